//! E log p(y | f), at every variance of f.

use std::f64::consts::{SQRT_2, TAU};
use std::sync::LazyLock;

use super::bend::Bend;
use super::jet::Jet;
use super::quadrature::{GaussHermite, deviation};

/// log p(y | f) of one observation at one f, with its derivatives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<G> {
    pub(super) value: f64,
    /// ∂/∂f
    pub(super) slope: f64,
    /// ∂²/∂f²
    pub(super) curvature: f64,
    /// See [`OneLatent::Gradient`].
    pub(super) gradient: G,
}

impl<G> Terms<G> {
    pub(super) fn jet(&self) -> Jet {
        Jet { value: self.value, slope: self.slope, curvature: self.curvature }
    }
}

/// E log p(y | f) of one observation, with its derivatives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<G> {
    pub(super) value: f64,
    pub(super) d_mean: f64,
    pub(super) d_variance: f64,
    pub(super) gradient: G,
}

/// −log of the error that rules aim at, beside a log density of size 1: 5e-12.
const DIGITS: f64 = 26.0;

/// Deviations beyond which N(f; μ, v) is left out: 1e-13 of it.
const REACH: f64 = 7.5;

/// The largest step in deviations: aliases of N(0, 1) fall as exp(−2π²/step²).
const STEP: f64 = 0.84;

/// So few points are no more work than to look for a better rule.
const FEW: usize = 24;

/// The half-width of the strip about the real line of t in which the density of a graded rule still falls off. The
/// limit is π/4.
const STRIP: f64 = 0.7;

/// E l(f) under f ~ N(mean, variance), with its derivatives, within some 1e-10 · (1 + |E l|), by the cheapest of three
/// rules whose errors are known beforehand from where l [bends](Bend):
///
/// - Gauss–Hermite quadrature of order 8 to 32, where √v is well below the width of the bend;
/// - the trapezoid rule in f, for bends that are wide or out of reach;
/// - the trapezoid rule in t with f = at + scale · sinh t, whose points crowd about the bend and thin out as their distance
///   from it: their number grows as log v. The strip in which the integrand is analytic has in t a width of its own,
///   whatever √v over the width of the bend is.
///
/// Trefethen & Weideman (2014), "The exponentially convergent trapezoidal rule", *SIAM Review* 56(3), 385–458.
pub(super) fn expectation<G>(terms: impl Fn(f64) -> Terms<G>, bend: Bend, mean: f64, variance: f64) -> Expected<G>
where
    G: Copy + Default + AsRef<[f64]> + AsMut<[f64]>,
{
    match rule(bend, mean, variance) {
        Rule::Hermite(rule) => by_quadrature(rule, terms, mean, variance),
        Rule::Trapezoid(rule) => by_points(rule.points(), terms, mean, deviation(variance)),
    }
}

/// A rule of integration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule<'r> {
    Hermite(&'r GaussHermite),
    Trapezoid(Trapezoid),
}

/// The rule of [`expectation`].
pub(super) fn rule(bend: Bend, mean: f64, variance: f64) -> Rule<'static> {
    match short_rule(bend, variance) {
        Some(rule) => Rule::Hermite(rule),
        None => Rule::Trapezoid(Trapezoid::choose(bend, mean, variance)),
    }
}

/// A fixed rule, with the distance of a singularity from where on it has all [`DIGITS`].
struct Short {
    rule: GaussHermite,
    from: f64,
}

impl Short {
    fn of_order(order: usize) -> Self {
        let (mut lower, mut upper) = (0.0, 1e3);
        while upper - lower > 1e-12 * upper {
            let middle = 0.5 * (lower + upper);
            if error_exponent(order, middle) > DIGITS { upper = middle } else { lower = middle }
        }
        Self { rule: GaussHermite::of_order(order), from: upper }
    }
}

/// A fixed rule, the one of fewest points where √v is far enough below the width of the bend. What is not finite it hands on.
pub(super) fn short_rule(bend: Bend, variance: f64) -> Option<&'static GaussHermite> {
    static RULES: LazyLock<[Short; 7]> = LazyLock::new(|| [8, 12, 16, 20, 24, 28, 32].map(Short::of_order));
    let (distance, need) = (bend.width / (SQRT_2 * deviation(variance)), need(bend));
    let is_enough = |short: &&Short| match need == DIGITS {
        true => distance >= short.from,
        false => error_exponent(short.rule.nodes().len(), distance) > need,
    };
    RULES.iter().find(|short| !variance.is_finite() || is_enough(short)).map(|short| &short.rule)
}

/// −log of the error that a rule may have, beside 1.
fn need(bend: Bend) -> f64 {
    // A part that is larger has no digits left beside 1.
    DIGITS + bend.size.clamp(1.0, 1e12).ln()
}

/// A trapezoid rule over t: the points z, in deviations from the mean, are t or at + scale · sinh t.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trapezoid {
    from: f64,
    step: f64,
    count: usize,
    /// Where points crowd, and the scale.
    graded: Option<(f64, f64)>,
}

impl Trapezoid {
    fn choose(bend: Bend, mean: f64, variance: f64) -> Self {
        let deviation = deviation(variance);
        let need = need(bend);
        let width = bend.width / deviation;
        let (at, span) = ((bend.at - mean) / deviation, bend.span / deviation);
        // What grows as exp(growth · f) up to the bend moves mass from 0 to growth · √v.
        let (lower, upper) = (-REACH, REACH + (bend.growth * deviation).min(at).max(0.0));
        let over = |from: f64, to: f64, step: f64, graded| {
            let count = ((to - from) / step).ceil() as usize + 1;
            Self { from, step, count, graded }
        };

        // A singularity at x + i·width counts as exp(−2π width/step − (x² − width²)/2), and some are nearer along a diagonal.
        let scale = span + width;
        let nearest = (f64::abs(at) - scale).max(0.0);
        let out_of_reach = at + scale < lower || at - scale > upper;
        let step = if out_of_reach {
            STEP
        } else {
            let need = (need - 0.5 * (nearest * nearest - width * width)).max(1.0);
            (TAU * width / need).min(STEP)
        };
        let even = over(lower, upper, step, None);
        if even.count <= FEW {
            return even;
        }

        let (re, im) = (span / scale, width / scale);
        // The imaginary part of arsinh of the nearest singularity.
        let strip = (0.5 * ((1.0 + im).hypot(re) - (1.0 - im).hypot(re))).min(1.0).asin().min(STRIP);
        // A narrower strip may do: on the line Im t = θ, N(z; 0, 1) is up to exp(at² sin²θ / 2 cos 2θ + scale² sin²θ / 2)
        // times as large.
        let step_of = |angle: f64| {
            let (sin, cos) = angle.sin_cos();
            TAU * angle / (need + 0.5 * sin * sin * (at * at / (cos * cos - sin * sin) + scale * scale))
        };
        let step_in_t = [1.0, 0.75, 0.5].map(|part| step_of(part * strip)).into_iter().fold(0.0, f64::max);
        let (from, to) = (((lower - at) / scale).asinh(), ((upper - at) / scale).asinh());
        let graded = over(from, to, step_in_t, Some((at, scale)));
        // A graded point takes an exponential more.
        if 5 * even.count <= 6 * graded.count { even } else { graded }
    }

    /// Values of z with their weights, all but exp(−z²/2)/√2π.
    pub(super) fn points(self) -> impl Iterator<Item = (f64, f64)> {
        (0..self.count).map(move |i| {
            let t = self.from + self.step * i as f64;
            let Some((at, scale)) = self.graded else { return (t, self.step) };
            // At small t the difference has lost digits; beside `at` it does not count, and at = 0 is the bend itself.
            let up = 0.5 * t.exp();
            let down = 0.25 / up;
            (at + scale * (up - down), self.step * scale * (up + down))
        })
    }
}

/// −log of the error of Gauss–Hermite quadrature, for a singularity so many half-variances off: by the leading order of
/// Hermite polynomials off the real line.
///
/// Barrett (1961), "Convergence properties of Gaussian quadrature formulae", *The Computer Journal* 3(4), 272–277.
fn error_exponent(order: usize, distance: f64) -> f64 {
    let n = (2 * order + 1) as f64;
    let distance = distance.min(1e8);
    n * (distance / (distance + (n + distance * distance).sqrt()) + (distance / n.sqrt()).asinh())
}

fn by_points<G>(
    points: impl Iterator<Item = (f64, f64)>,
    terms: impl Fn(f64) -> Terms<G>,
    mean: f64,
    deviation: f64,
) -> Expected<G>
where
    G: Copy + Default + AsRef<[f64]> + AsMut<[f64]>,
{
    let mut total = 0.0;
    let mut sum = Expected { value: 0.0, d_mean: 0.0, d_variance: 0.0, gradient: G::default() };
    for (z, weight) in points {
        let weight = weight * (-0.5 * z * z).exp();
        let at = terms(mean + deviation * z);
        total += weight;
        sum.value += weight * at.value;
        sum.d_mean += weight * at.slope;
        sum.d_variance += weight * z * at.slope;
        sum.gradient.as_mut().iter_mut().zip(at.gradient.as_ref()).for_each(|(sum, entry)| *sum += weight * entry);
    }
    sum.value /= total;
    sum.d_mean /= total;
    sum.d_variance /= 2.0 * deviation * total;
    sum.gradient.as_mut().iter_mut().for_each(|sum| *sum /= total);
    sum
}

/// Below this variance ∂E/∂v is ½ E l″; see [`by_quadrature`].
pub(super) const SMALL: f64 = 1e-8;

/// E l(f) by the rule, and the derivatives of the rule's own sum: those that an optimiser of the sum
/// needs, exact whatever the error of the sum is.
///
/// With f_k = μ + √v z_k, ∂/∂v Σ wₖ l(fₖ) = Σ wₖ zₖ l′(fₖ) / (2√v), where the terms of zₖ and −zₖ nearly cancel
/// for small v. There ½ Σ wₖ l″(fₖ) takes its place, the same but for the error of the rule, which is
/// nothing on so short a range.
pub(super) fn by_quadrature<G>(
    rule: &GaussHermite,
    terms: impl Fn(f64) -> Terms<G>,
    mean: f64,
    variance: f64,
) -> Expected<G>
where
    G: Copy + Default + AsRef<[f64]> + AsMut<[f64]>,
{
    let deviation = deviation(variance);
    let mut sum = Expected { value: 0.0, d_mean: 0.0, d_variance: 0.0, gradient: G::default() };
    for (z, weight) in rule.iter() {
        let at = terms(mean + deviation * z);
        sum.value += weight * at.value;
        sum.d_mean += weight * at.slope;
        sum.d_variance += 0.5 * weight * if variance < SMALL { at.curvature } else { z * at.slope / deviation };
        sum.gradient.as_mut().iter_mut().zip(at.gradient.as_ref()).for_each(|(sum, entry)| *sum += weight * entry);
    }
    sum
}
