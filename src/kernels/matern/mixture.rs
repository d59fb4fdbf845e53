//! The Matérn kernel of any smoothness as a mixture.
//!
//! Its textbook form has a Bessel function, whose derivative in the order ν has no simple formula, and
//! which is slow. But a Matérn kernel is a mixture of squared exponentials over their lengthscale:
//!
//! k(s) = ∫ exp(−s/(2w)) p(w) dw, p the gamma density of shape ν and rate ν (mean 1).
//!
//! With w = e^τ the integrand is exp(ν (τ − e^τ) − s e^−τ/2). Its peak is where w = w₀ = (1 + √(1 + 2s/ν))/2, and its
//! logarithm there is lower by ν (2δ − log (1 + δ)) than that at s = 0, for δ = w₀ − 1: the [`decay`] of the kernel,
//! which is taken off. What is left, with τ = log w₀ + u and P(u) = e^u − 1 − u, is a sum without cancellation at
//! every s, whose largest term is 1:
//!
//! exp(decay) k(s) = ∫ exp(−ν P(u) − δ ν (P(u) + P(−u))) du / ∫ exp(−ν P(u)) du
//!
//! The integrand is smooth and falls off doubly exponentially on one side, exponentially on the other, for which the
//! trapezoidal rule converges exponentially. s·dk/ds and dk/dν are sums over the same nodes, of which a whole octave
//! of s can share one set. The gamma function is not needed, because the integral below is such a sum too.

use crate::Scalar;
use crate::simd::Pass;

/// Smoothness beyond this is as good as infinite: k differs from its limit by s²/(8ν), and dk/dν is as small.
const LARGEST: f64 = 1e100;
/// For smaller ones, k is below 10⁻²⁸⁶ at every s above 0; and 2s/ν stays finite in the table.
const SMALLEST: f64 = 1e-290;
/// Terms below e^−50 of the largest are left out.
const DEPTH: f64 = 50.0;

/// P(u) = e^u − 1 − u, to full relative precision.
fn excess(u: f64) -> f64 {
    if u.abs() > 0.05 {
        return u.exp_m1() - u;
    }
    // u²/2! + u³/3! + … to u¹⁰, where terms are 10⁻¹⁶ of the first.
    let term = |(sum, term): (f64, f64), n: u32| {
        let term = term * u / f64::from(n);
        (sum + term, term)
    };
    (2..=10).fold((0.0, u), term).0
}

/// The distance of the nodes where −log of the integrand has the second derivative `curvature` at its peak.
///
/// The error of the rule is below 10⁻¹⁷ then: ¼ for the analyticity of the integrand, which ends at an imaginary part
/// of π/2, and 0.7/√curvature for the Gaussian that it approaches.
fn step(curvature: f64) -> f64 {
    0.25 / (1.0 + curvature / 8.0).sqrt()
}

/// A smoothness within the limits that sums are right for.
pub(super) fn within_limits(nu: f64) -> f64 {
    nu.clamp(SMALLEST, LARGEST)
}

/// δ = w₀ − 1 at s.
#[inline(always)]
fn beyond_one(s: f64, nu: f64) -> f64 {
    let ratio = s * (1.0 / nu);
    // Kept from overflow, where k has vanished with ν or with s.
    let ratio = if ratio > 1e300 { 1e300 } else { ratio };
    ratio / (1.0 + (1.0 + 2.0 * ratio).sqrt())
}

/// −log of the factor that is taken off all functions.
#[inline(always)]
pub(super) fn decay<const FMA: bool>(s: f64, nu: f64) -> f64 {
    let delta = beyond_one(s, nu);
    nu * (2.0 * delta - delta.lane_ln_1p::<FMA>())
}

/// One place of the integrand.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// ν P(u)
    fixed: f64,
    /// ν (P(u) + P(−u)), the factor of δ.
    spread: f64,
    /// e^−u
    inverse: f64,
    /// e^u − 1
    growth: f64,
    /// P(u)
    excess: f64,
}

impl Node {
    fn new(nu: f64, u: f64) -> Self {
        let (excess, mirrored) = (excess(u), self::excess(-u));
        Self { fixed: nu * excess, spread: nu * (excess + mirrored), inverse: (-u).exp(), growth: u.exp_m1(), excess }
    }
}

/// What the mixture of one smoothness has in common at all s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture {
    nu: f64,
    /// ∫ exp(−ν P(u)) du
    total: f64,
    /// The mean of P(τ) under the density.
    mean_excess: f64,
}

impl Mixture {
    /// The mixture of a smoothness within the limits.
    pub(super) fn new(nu: f64) -> Self {
        let step = step(nu);
        let (mut total, mut in_excess) = (0.0, 0.0);
        // Adds a term, and returns how much lower than the largest it is.
        let mut add = |u: f64| {
            let excess = excess(u);
            let weight = (-nu * excess).exp();
            total += weight;
            in_excess += weight * excess;
            nu * excess
        };
        let place = |index: u32| f64::from(index) * step;
        let mut index = 0;
        while add(place(index)) <= DEPTH {
            index += 1;
        }
        // Beyond −40, P is |u| − 1 to all digits.
        let mut last = 1;
        while add(-place(last)) <= DEPTH && place(last) <= 40.0 {
            last += 1;
        }
        // What follows is a geometric series of ratio t, with Σ tⁱ = t/(1 − t) and Σ i tⁱ = t/(1 − t)².
        let (ratio, rest) = ((-nu * step).exp(), -(-nu * step).exp_m1());
        let last = excess(-place(last));
        let below = (-nu * last).exp() * ratio / rest;
        let whole = total + below;
        let mean_excess = in_excess / whole + below / whole * (last + step / rest);
        Self { nu, total: whole * step, mean_excess }
    }

    /// The rule for s between two positive numbers, which is good if they are no further apart than an octave.
    pub(super) fn rule(self, lowest: f64, highest: f64) -> Rule {
        let (low, high) = (beyond_one(lowest, self.nu), beyond_one(highest, self.nu));
        let step = step(self.nu * (1.0 + 2.0 * high));
        // |u| is there for dk/ds, whose terms have the factor e^−u. NaN, of 0 · ∞, ends it too.
        let within = |u: f64, node: &Node| node.fixed + low * node.spread <= DEPTH + u.abs();
        let side = |sign: f64, first: i32| {
            let place = move |index: i32| sign * f64::from(index) * step;
            let nodes = (first..).map(move |index| (place(index), Node::new(self.nu, place(index))));
            nodes.take_while(move |(u, node)| within(*u, node)).map(|(_, node)| node)
        };
        let nodes = side(1.0, 0).chain(side(-1.0, 1)).collect();
        Rule { nu: self.nu, mean_excess: self.mean_excess, weight: step / self.total, nodes }
    }
}

/// The nodes for an octave of s at most.
#[derive(Debug)]
pub(super) struct Rule {
    nu: f64,
    mean_excess: f64,
    weight: f64,
    nodes: Vec<Node>,
}

/// exp(decay) k at elements of s that a rule is for.
pub(super) struct Values<'a> {
    pub(super) rule: &'a Rule,
    pub(super) s: &'a [f64],
    pub(super) out: &'a mut [f64],
}

impl Pass for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rule { nu, weight, ref nodes, .. } = *self.rule;
        let delta: Vec<f64> = self.s.iter().map(|&s| beyond_one(s, nu)).collect();
        self.out.fill(0.0);
        for node in nodes {
            for (out, &delta) in self.out.iter_mut().zip(&delta) {
                *out += (-delta.lane_mul_add::<FMA>(node.spread, node.fixed)).lane_exp::<FMA>();
            }
        }
        self.out.iter_mut().for_each(|out| *out *= weight);
    }
}

/// exp(decay) s·dk/ds and exp(decay) dk/dν at elements of s that a rule is for.
///
/// s·dk/ds = −½ E[s/w], where ½ s/w = ν δ e^−u because w₀ (w₀ − 1) = s/(2ν). By dlog p/dν = −P(τ) + E[P], and P(τ) = P(u) + δ (e^u − 1) + δ − log (1 + δ) for τ = log w₀ + u,
/// dk/dν has three positive terms and one of either sign that is smaller.
pub(super) struct Slopes<'a> {
    pub(super) rule: &'a Rule,
    pub(super) s: &'a [f64],
    pub(super) in_s: &'a mut [f64],
    pub(super) in_nu: &'a mut [f64],
}

impl Pass for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rule { nu, mean_excess, weight, ref nodes } = *self.rule;
        let delta: Vec<f64> = self.s.iter().map(|&s| beyond_one(s, nu)).collect();
        let mut whole = vec![0.0; delta.len()];
        self.in_s.fill(0.0);
        self.in_nu.fill(0.0);
        for node in nodes {
            let sums = self.in_s.iter_mut().zip(self.in_nu.iter_mut()).zip(&mut whole);
            for (((in_s, in_nu), whole), &delta) in sums.zip(&delta) {
                let term = (-delta.lane_mul_add::<FMA>(node.spread, node.fixed)).lane_exp::<FMA>();
                *whole += term;
                *in_s = (nu * delta * node.inverse).lane_mul_add::<FMA>(term, *in_s);
                *in_nu = delta.lane_mul_add::<FMA>(node.growth, node.excess).lane_mul_add::<FMA>(term, *in_nu);
            }
        }
        let sums = self.in_s.iter_mut().zip(self.in_nu).zip(whole);
        for (((in_s, in_nu), whole), &delta) in sums.zip(&delta) {
            *in_s *= -weight;
            let common = delta - delta.lane_ln_1p::<FMA>() - mean_excess;
            *in_nu = -weight * common.lane_mul_add::<FMA>(whole, *in_nu);
        }
    }
}
