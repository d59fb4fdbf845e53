//! P(Y ≤ y) where f is uncertain.

use std::f64::consts::TAU;

use super::gauss_kronrod::Panel;
use super::quadrature::deviation;
use super::special::normal_density;
use super::tails::Tails;

/// Where P(Y ≤ y | f), as a function of f, turns from 1 to 0 or the other way round, and over what width: one of a standard
/// deviation, or less where its continuation to complex f is not smooth so far off the real line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) at: f64,
    pub(super) width: f64,
}

impl Turn {
    /// The widest turn of a logistic function, with its singularities at iπ.
    pub(super) const LOGISTIC: f64 = 1.8;
}

/// Deviations from the mean beyond which N(f; μ, v) is left out: 1e-23 of it.
const REACH: f64 = 10.0;

/// The most halvings of the step. One or two are usual.
const HALVINGS: usize = 14;

/// Two rules agree. The error of the finer one is at most about the square of their difference.
const AGREE: f64 = 1e-6;

/// E P(Y ≤ y | f) under f ~ N(mean, variance), and the same of P(Y > y | f): within some 1e-12 of the smaller of the two, down
/// to 1e-12.
///
/// By the trapezoid rule in f, or, where the turn is narrow beside √v, in t with f = at + width · sinh t, whose points crowd about
/// the turn. Both converge exponentially; the step is halved until two rules agree.
///
/// Trefethen & Weideman (2014), "The exponentially convergent trapezoidal rule", *SIAM Review* 56(3), 385–458,
/// <https://doi.org/10.1137/130932132>.
pub(super) fn average(given: impl Fn(f64) -> Tails, turn: Turn, mean: f64, variance: f64) -> Tails {
    let deviation = deviation(variance);
    if !(mean + deviation).is_finite() {
        return Tails::NAN;
    }
    if deviation == 0.0 {
        return given(mean);
    }
    let rule = Rule::choose(((turn.at - mean) / deviation, turn.width / deviation));
    let mut step = rule.step;
    let mut sums = rule.sum(&given, mean, deviation, 0.0, step, Tails { below: 0.0, above: 0.0 });
    for _ in 0..HALVINGS {
        let between = rule.sum(&given, mean, deviation, 0.5 * step, step, sums);
        let halved = Tails { below: sums.below + between.below, above: sums.above + between.above };
        step *= 0.5;
        let miss = |coarse: f64, fine: f64| (2.0 * coarse - fine).abs();
        let smaller = halved.below.min(halved.above);
        let missed = miss(sums.below, halved.below).max(miss(sums.above, halved.above));
        sums = halved;
        // Below 1e-23 of the whole nothing is known.
        if missed.is_nan() || missed <= AGREE * smaller.max(1e-23 * (sums.below + sums.above)) {
            break;
        }
    }
    let total = sums.below + sums.above;
    Tails { below: sums.below / total, above: sums.above / total }
}

/// E p(f) under f ~ N(mean, variance) of a probability, whatever function of f it is, and the same of 1 − p(f): within some
/// 1e-10, by adaptive quadrature. Panels crowd about where p turns, which can be far narrower than what they would find by
/// themselves.
pub(super) fn average_of_any(p: impl Fn(f64) -> f64, mean: f64, variance: f64) -> Tails {
    let deviation = deviation(variance);
    if !(mean + deviation).is_finite() {
        return Tails::NAN;
    }
    if deviation == 0.0 {
        return Tails::of_below(p(mean));
    }
    let at = |z: f64| p(mean + deviation * z);
    let integrand = |z: f64| at(z) * normal_density(z);
    let mut ends = vec![-FAR, -5.0, -2.0, 0.0, 2.0, 5.0, FAR];
    ends.extend(about_the_turn(&at));
    ends.sort_by(f64::total_cmp);
    let mut spare = 1000;
    let of_panel = |ends: &[f64]| Panel::new(&integrand, ends[0], ends[1]).refined(&integrand, 1e-10, &mut spare);
    Tails::of_below(ends.windows(2).map(of_panel).sum())
}

/// Deviations beyond which nothing is looked for.
const FAR: f64 = 9.0;

/// Places about the middle of the way from one end of p to the other, apart by powers of 4 of how far a quarter of the way is.
fn about_the_turn(p: &impl Fn(f64) -> f64) -> Vec<f64> {
    let (low, high) = (p(-FAR), p(FAR));
    let reached = |share: f64| {
        let (mut from, mut to) = (-FAR, FAR);
        // To the distance between two numbers.
        for _ in 0..64 {
            let middle = 0.5 * (from + to);
            let before = ((p(middle) - low) / (high - low)) < share;
            (from, to) = if before { (middle, to) } else { (from, middle) };
        }
        from
    };
    let way = (high - low).abs();
    if way.is_nan() || way <= 1e-12 {
        return Vec::new();
    }
    let (middle, quarter) = (reached(0.5), 0.5 * (reached(0.75) - reached(0.25)).abs().max(1e-15));
    let distances = std::iter::successors(Some(quarter), |distance| Some(4.0 * distance)).take_while(|&d| d < 1.0);
    let about = distances.flat_map(|distance| [middle - distance, middle + distance]);
    std::iter::once(middle).chain(about).filter(|z| z.abs() < FAR).collect()
}

/// Points z, in deviations from the mean, that are t or at + scale · sinh t.
struct Rule {
    /// The t of the mean.
    origin: f64,
    /// At and scale.
    graded: Option<(f64, f64)>,
    /// The step to begin with.
    step: f64,
}

impl Rule {
    fn choose((at, width): (f64, f64)) -> Self {
        if width < 0.7 && at.abs() < REACH {
            return Self { origin: (-at / width).asinh(), graded: Some((at, width)), step: 0.32 };
        }
        // The product of N(z; 0, 1) and a turn of this width falls off as a normal density of width/√(1 + width²).
        let narrowest = (1.0 + 1.0 / (width * width)).sqrt().recip().max(0.5);
        Self { origin: 0.0, graded: None, step: 1.2 * narrowest }
    }

    /// A point, with its weight.
    fn point(&self, t: f64) -> (f64, f64) {
        let (z, slope) = match self.graded {
            None => (t, 1.0),
            Some((at, scale)) => (at + scale * t.sinh(), scale * t.cosh()),
        };
        (z, slope * (-0.5 * z * z).exp() / TAU.sqrt())
    }

    /// The sum over the points at whole steps from an offset, from the mean outwards: until what is left is nothing beside the
    /// smaller of the sums, together with those that there are.
    fn sum(
        &self,
        given: &impl Fn(f64) -> Tails,
        mean: f64,
        deviation: f64,
        offset: f64,
        step: f64,
        known: Tails,
    ) -> Tails {
        let mut sums = Tails { below: 0.0, above: 0.0 };
        for direction in [1.0, -1.0] {
            let first = if direction > 0.0 || offset > 0.0 { 0 } else { 1 };
            for index in first.. {
                let (z, weight) = self.point(self.origin + direction * (offset + step * f64::from(index)));
                if z.abs() > REACH {
                    break;
                }
                let at = given(mean + deviation * z);
                sums.below += weight * at.below;
                sums.above += weight * at.above;
                let smaller = (sums.below + known.below).min(sums.above + known.above);
                // Probabilities are at most 1, and the tail of N(0, 1) beyond z is at most its density at z.
                if direction * z > 1.0 && weight < 1e-17 * smaller {
                    break;
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::tails::normal_quantile;
    use super::*;

    /// E Φ((c − f)/w) = Φ((c − μ)/√(w² + v)), for turns of all widths and places.
    #[test]
    fn averages_of_normal_turns_are_in_closed_form() {
        for width in [1e-9, 1e-4, 0.1, 0.6, 0.8, 1.0, 3.0, 1e6] {
            for at in [-30.0, -8.0, -1.0, 0.0, 0.3, 2.0, 5.0, 12.0] {
                for deviation in [1.0, 1e-3, 1e5] {
                    let (mean, at, width) = (0.7, 0.7 + deviation * at, deviation * width);
                    let given = |f: f64| Tails::normal((at - f) / width);
                    let found = average(given, Turn { at, width }, mean, deviation * deviation);
                    let expected = Tails::normal((at - mean) / width.hypot(deviation));
                    let place = format!("{at} {width} {deviation}: {found:?} {expected:?}");
                    // Beyond ten deviations nothing is looked at.
                    let close = |a: f64, b: f64| (a - b).abs() <= 1e-11 * b + 1e-23;
                    assert!(close(found.below, expected.below) && close(found.above, expected.above), "{place}");
                }
            }
        }
    }

    #[test]
    fn without_uncertainty_it_is_what_is_averaged() {
        let given = |f: f64| Tails::normal(1.0 - f);
        let turn = Turn { at: 1.0, width: 1.0 };
        assert_eq!(average(given, turn, 0.3, 0.0), given(0.3));
        assert_eq!(average(given, turn, 0.3, -1e-20), given(0.3));
        assert!(
            average(given, turn, f64::NAN, 1.0).below.is_nan()
                && average(given, turn, 0.0, f64::INFINITY).below.is_nan()
        );
        assert!((average(given, turn, 0.3, 1e-24).below - given(0.3).below).abs() < 1e-12);
        assert!((given(1.0 - normal_quantile(0.2)).below - 0.2).abs() < 1e-15);
    }
}
