//! The Matérn kernel of any smoothness as a mixture.
//!
//! Its textbook form has a Bessel function, whose derivative in the order ν has no simple formula, and
//! which is slow. But a Matérn kernel is a mixture of squared exponentials over their lengthscale:
//!
//! k(s) = ∫ exp(−s/(2w)) p(w) dw, p the gamma density of shape ν and rate ν (mean 1).
//!
//! With w = e^τ the integrand is smooth and falls off doubly exponentially on one side, exponentially on
//! the other, for which the trapezoidal rule converges exponentially: the value, dk/ds and dk/dν are
//! sums over the same nodes, whose places do not depend on s, and each tile is some passes of vectorised
//! exponentials. The rule's weights add up to 1, so that a constant factor of p is not needed, and
//! neither is the gamma function.

use crate::Scalar;
use crate::kernels::radial;
use crate::simd::Pass;

/// One squared exponential of the mixture, w = e^τ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<T> {
    /// 1/(2w), the factor of −s in the exponent.
    rate: T,
    weight: T,
    /// −weight · rate, for dk/ds.
    weight_in_slope: T,
    /// dweight/dν
    weight_in_nu: T,
}

/// τ − (e^τ − 1), to full relative precision: ν times it is the logarithm of the density of τ, less its
/// largest value.
fn log_density(tau: f64) -> f64 {
    if tau.abs() > 0.05 {
        return tau - tau.exp_m1();
    }
    // −τ²/2! − τ³/3! − … to τ¹⁰, where terms are 10⁻¹⁶ of the first.
    let term = |(sum, term): (f64, f64), n: u32| {
        let term = term * tau / f64::from(n);
        (sum - term, term)
    };
    (2..=10).fold((0.0, tau), term).0
}

/// Where, on the side of a sign, the density of τ has fallen by e^−`depth`; at most 1000.
fn reach(nu: f64, depth: f64, sign: f64) -> f64 {
    let (mut near, mut far) = (0.0f64, 1000.0f64);
    // By the geometric mean where there is one: for the largest ν, the reach is as small as 1e-75.
    for _ in 0..60 {
        let middle = if near > 0.0 { (near * far).sqrt() } else { far * 1e-6 };
        if nu * log_density(sign * middle) > -depth {
            near = middle;
        } else {
            far = middle;
        }
    }
    sign * far
}

/// The mixture at a smoothness, from the largest rate to the smallest.
///
/// With the step h = ¼/√(1 + ν/8), the error of the rule is below 4 · 10⁻¹⁶ in value and in dk/dν, as
/// measured against 40 digits for ν from 0.1 to 50 and s from 10⁻⁸ to 40: ¼ for the analyticity of
/// exp(−s e^−τ/2), which ends at an imaginary part of π/2, and 0.7/√ν for the Gaussian that the density
/// of τ approaches.
pub(super) fn nodes<T: Scalar>(nu: f64) -> Vec<Node<T>> {
    let step = 0.25 / (1.0 + nu / 8.0).sqrt();
    let largest = <T as num_traits::Float>::max_value().as_f64();
    // Below, weights are under 4e-18, or rates so large that they do nothing but at s = 0.
    let lowest = reach(nu, 40.0, -1.0).max(1.0 - largest.ln());
    let first = (lowest / step).ceil() as i64;
    // Above, the weights matter to values of 1e-40, at large s.
    let last = (reach(nu, 100.0, 1.0) / step).floor() as i64;
    let at = |index: i64| {
        let log_density = log_density(index as f64 * step);
        (index as f64 * step, log_density, (nu * log_density).exp())
    };

    // The nodes below the first have log density τ + 1: their weights are a geometric series of ratio t,
    // with Σ tⁱ = t/(1 − t) and Σ i tⁱ = t/(1 − t)².
    let (_, log_first, weight_first) = at(first);
    let (ratio, rest) = ((-nu * step).exp(), -(-nu * step).exp_m1());
    let below = weight_first * ratio / rest;
    let (mut total, mut log_total) = (below, below * (log_first - step / rest));
    for index in first..=last {
        let (_, log_density, weight) = at(index);
        total += weight;
        log_total += weight * log_density;
    }
    // dweight/dν = weight (g − E[g]), g the log density: what normalises the weights depends on ν too.
    let mean = log_total / total;
    let node = |index: i64| {
        let (tau, log_density, weight) = at(index);
        let (rate, weight) = (0.5 * (-tau).exp(), weight / total);
        Node {
            rate: T::from_f64(rate),
            weight: T::from_f64(weight),
            weight_in_slope: T::from_f64(-weight * rate),
            weight_in_nu: T::from_f64(weight * (log_density - mean)),
        }
    };
    (first..=last).map(node).collect()
}

/// The nodes that are not exactly 0 at every positive element of s, and at least one, to hand on a NaN.
fn needed<'n, T: Scalar>(nodes: &'n [Node<T>], s: &[T]) -> &'n [Node<T>] {
    let zero = T::from_f64(0.0);
    let positive = s.iter().copied().filter(|&s| s > zero);
    let nearest = positive.fold(<T as num_traits::Float>::infinity(), |a, b| if b < a { b } else { a });
    // Beyond 746, exp is 0 in every type: leaving such terms out changes no bit.
    let without = nodes.partition_point(|node| node.rate * nearest > T::from_f64(750.0));
    &nodes[without.min(nodes.len().saturating_sub(1))..]
}

/// Σ weight · exp(−rate · s), exactly 1 at s = 0.
pub(super) struct Values<'a, T> {
    pub(super) nodes: &'a [Node<T>],
    pub(super) s: &'a [T],
    pub(super) out: &'a mut [T],
}

impl<T: Scalar> Pass for Values<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.out.fill(T::from_f64(0.0));
        for node in needed(self.nodes, self.s) {
            for (out, &s) in self.out.iter_mut().zip(self.s) {
                *out = node.weight.lane_mul_add::<FMA>((-node.rate * s).lane_exp::<FMA>(), *out);
            }
        }
        for (out, &s) in self.out.iter_mut().zip(self.s) {
            *out = if s == T::from_f64(0.0) { T::from_f64(1.0) } else { *out };
        }
    }
}

/// dk/ds and dk/dν.
pub(super) struct Slopes<'a, T> {
    pub(super) nodes: &'a [Node<T>],
    pub(super) slope_at_0: T,
    pub(super) s: &'a [T],
    pub(super) in_s: &'a mut [T],
    pub(super) in_nu: &'a mut [T],
}

impl<T: Scalar> Pass for Slopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let zero = T::from_f64(0.0);
        self.in_s.fill(zero);
        self.in_nu.fill(zero);
        for node in needed(self.nodes, self.s) {
            for ((in_s, in_nu), &s) in self.in_s.iter_mut().zip(self.in_nu.iter_mut()).zip(self.s) {
                let exponential = (-node.rate * s).lane_exp::<FMA>();
                *in_s = node.weight_in_slope.lane_mul_add::<FMA>(exponential, *in_s);
                *in_nu = node.weight_in_nu.lane_mul_add::<FMA>(exponential, *in_nu);
            }
        }
        for ((in_s, in_nu), &s) in self.in_s.iter_mut().zip(self.in_nu.iter_mut()).zip(self.s) {
            *in_s = if s == zero { self.slope_at_0 } else { radial::slope_bounded(*in_s) };
            *in_nu = if s == zero { zero } else { *in_nu };
        }
    }
}
