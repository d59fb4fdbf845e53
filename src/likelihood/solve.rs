//! Quantiles, from P(Y ≤ y).

use super::special::logistic;
use super::tails::{Tails, normal_quantile};

/// What a new observation may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Support {
    Real,
    Positive,
    /// Between 0 and 1.
    Fraction,
    /// Whole numbers between these, which may be infinite.
    Whole {
        first: f64,
        last: f64,
    },
}

impl Support {
    pub(super) const COUNTS: Self = Self::Whole { first: 0.0, last: f64::INFINITY };

    /// The least and the greatest.
    pub(super) fn ends(self) -> (f64, f64) {
        match self {
            Self::Real => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Positive => (0.0, f64::INFINITY),
            Self::Fraction => (0.0, 1.0),
            Self::Whole { first, last } => (first, last),
        }
    }

    /// The tails at any y, from those at values that an observation may have.
    pub(super) fn tails(self, y: f64, within: impl FnOnce(f64) -> Tails) -> Tails {
        let (first, last) = self.ends();
        let y = if let Self::Whole { .. } = self { y.floor() } else { y };
        if y.is_nan() {
            Tails::NAN
        } else if y >= last {
            Tails::ALL
        } else if y < first || y == f64::NEG_INFINITY || (y == first && self != Self::Real && !self.is_whole()) {
            Tails::NONE
        } else {
            within(y)
        }
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// The coordinate in which y is sought.
    fn coordinate(self, y: f64) -> f64 {
        match self {
            Self::Positive => y.ln(),
            Self::Fraction => y.ln() - (-y).ln_1p(),
            Self::Real | Self::Whole { .. } => y,
        }
    }

    fn at(self, u: f64) -> f64 {
        match self {
            Self::Positive => u.exp(),
            // So that no number next to 1 is passed over.
            Self::Fraction if u > 0.0 => 1.0 - logistic(-u),
            Self::Fraction => logistic(u),
            Self::Real | Self::Whole { .. } => u,
        }
    }

    /// The bounds of the coordinate, at which P(Y ≤ y) is known or beyond which there are no numbers.
    fn bounds(self) -> (f64, f64) {
        match self {
            Self::Real => (-f64::MAX, f64::MAX),
            Self::Positive => (-745.0, f64::MAX.ln()),
            Self::Fraction => (-745.0, 40.0),
            Self::Whole { first, last } => ((first - 1.0).max(-f64::MAX), last.min(f64::MAX)),
        }
    }
}

/// So few normal deviations of p are as near as averages over f are accurate.
const ENOUGH: f64 = 2e-13;

/// A place, and how far P(Y ≤ y) is from p there, in normal deviations: negative below p.
#[derive(Clone, Copy, Debug)]
struct Tried {
    u: f64,
    miss: f64,
}

/// The smallest y with P(Y ≤ y) ≥ p, and of 0 and 1 the ends of what may be observed, from what is likely: a y and a spread of its [coordinate](Support::coordinate).
///
/// In normal scores P(Y ≤ y) is nearly a line. A secant brackets the solution; inverse quadratic interpolation within the
/// bracket, or halves of it, find it. Whole numbers are tried alone, until two are left: that of the answer has been compared with
/// p as it is.
///
/// Chandrupatla (1997), "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
/// using derivatives", *Advances in Engineering Software* 28(3), 145–149, <https://doi.org/10.1016/S0965-9978(96)00051-8>.
pub(super) fn quantile(support: Support, p: f64, likely: f64, spread: f64, tails: impl Fn(f64) -> Tails) -> f64 {
    let (first_of_all, last_of_all) = support.ends();
    if p == 0.0 {
        return first_of_all;
    }
    if p == 1.0 {
        return last_of_all;
    }
    let (lowest, highest) = support.bounds();
    // 1 − p is exact for the larger half.
    let target = if p > 0.5 { -normal_quantile(1.0 - p) } else { normal_quantile(p) };
    let try_at = |u: f64| {
        let tails = support.tails(support.at(u), &tails);
        let (score, reached) = (tails.score(), tails.probability() >= p);
        // Where scores have no more digits the comparison of probabilities decides.
        let miss = score - target;
        let miss = if reached == (miss >= 0.0) || miss.is_nan() {
            miss
        } else if reached {
            0.0
        } else {
            -f64::MIN_POSITIVE
        };
        Tried { u, miss }
    };
    let snap = |u: f64| if support.is_whole() { u.round() } else { u };
    let least = if support.is_whole() { 1.0 } else { f64::MIN_POSITIVE };
    let spread = if spread.is_finite() { spread } else { 1.0 };
    let start = support.coordinate(likely);
    let start = if start.is_nan() { 0.0 } else { start.clamp(lowest, highest) };
    let first = try_at(snap(start).clamp(lowest, highest));
    if first.miss.is_nan() {
        return f64::NAN;
    }
    let up = first.miss < 0.0;
    let (mut near, mut far) = (first, first);
    // Somewhat further than the spread says, and then by steps that double.
    let mut step = (1.1 * spread * first.miss.abs().min(4.0)).max(least).max(4.0 * f64::EPSILON * first.u.abs());
    while (far.miss < 0.0) == up {
        near = far;
        let end = if up { highest } else { lowest };
        if near.u == end {
            // Beyond all numbers, or below the least of them.
            return if up { last_of_all } else { support.at(end) };
        }
        let u = if up { near.u + step } else { near.u - step };
        far = try_at(snap(u).clamp(lowest, highest));
        step *= 2.0;
    }
    let (low, high) = if up { (near, far) } else { (far, near) };
    let best = refine(low, high, snap, support.is_whole(), try_at);
    support.at(best)
}

/// Of two ends, one below the solution and one at it or above, the solution.
fn refine(low: Tried, high: Tried, snap: impl Fn(f64) -> f64, whole: bool, try_at: impl Fn(f64) -> Tried) -> f64 {
    // The last point, the end on the other side of the solution, and the point before.
    let (mut newest, mut other) = (high, low);
    let mut fraction = newest.miss / (newest.miss - other.miss);
    loop {
        let width = other.u - newest.u;
        let tolerance = if whole { 1.0 } else { 2.0 * f64::EPSILON * newest.u.abs().max(other.u.abs()) };
        if width.abs() <= tolerance || !whole && newest.miss.abs() <= ENOUGH {
            break;
        }
        // Not nearer to an end than numbers are to each other.
        let margin = (0.5 * tolerance / width.abs()).min(0.5);
        let mut u = snap(newest.u + fraction.clamp(margin, 1.0 - margin) * width);
        if whole && (u - newest.u).abs() < 1.0 {
            u = newest.u + width.signum();
        } else if whole && (u - other.u).abs() < 1.0 {
            u = other.u - width.signum();
        }
        if u == newest.u || u == other.u {
            u = snap(newest.u + 0.5 * width);
            if u == newest.u || u == other.u {
                break;
            }
        }
        let tried = try_at(u);
        if tried.miss.is_nan() {
            return f64::NAN;
        }
        let before =
            if (tried.miss < 0.0) == (newest.miss < 0.0) { newest } else { std::mem::replace(&mut other, newest) };
        newest = tried;
        // Whether the inverse of the parabola through three points is monotone between the ends.
        let xi = (newest.u - other.u) / (before.u - other.u);
        let phi = (newest.miss - other.miss) / (before.miss - other.miss);
        fraction = if phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi {
            let (a, b, c) = (newest.miss, other.miss, before.miss);
            let alpha = (before.u - newest.u) / (other.u - newest.u);
            a / (b - a) * c / (b - c) + alpha * a / (c - a) * b / (c - b)
        } else {
            0.5
        };
        if !fraction.is_finite() {
            fraction = 0.5;
        }
    }
    // A number that has p; of two neighbours, the one that reaches it.
    if !whole && newest.miss.abs() <= ENOUGH || newest.miss >= 0.0 { newest.u } else { other.u }
}
