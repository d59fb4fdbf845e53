//! Gauss–Hermite quadrature for expectations under a normal distribution.

use std::f64::consts::LN_2;
use std::sync::LazyLock;

use super::special::log_sum_exp;
use crate::{Error, Result};

/// Nodes and weights for expectations under N(0, 1).
///
/// # Definition
///
/// E\[g(μ + √v z)\] ≈ Σₖ wₖ g(μ + √v zₖ), z₁ < … < zₙ the zeros of the Hermite polynomial orthogonal under
/// N(0, 1), Σₖ wₖ = 1. The rule is exact for polynomials of degree up to 2n − 1. For a g that is
/// analytic in a strip of half-width d about the real line the error falls about as
/// exp(d² / 2v − 2 d √(n / v)), for d² below n v; where g has a kink or a jump in reach of √v, as 1/√n or 1/n only.
///
/// The nodes are zeros to within an ulp or two: bisection on Sturm counts of the Jacobi matrix finds each, two
/// steps of Newton's method end it. Weights come from the orthonormal recurrence with its magnitude kept
/// apart, so that any order works; weights too small for an `f64` are 0.
///
/// # Complexity
///
/// O(n²) to construct.
///
/// # Examples
///
/// Three nodes give the fourth moment of N(0, 1), and that of N(1, 4):
///
/// ```
/// use mercer::likelihood::GaussHermite;
///
/// let rule = GaussHermite::new(3)?;
/// assert!((rule.expectation(0.0, 1.0, |z| z.powi(4)) - 3.0).abs() < 1e-14);
/// // μ⁴ + 6μ²v + 3v²
/// assert!((rule.expectation(1.0, 4.0, |f| f.powi(4)) - 73.0).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Golub & Welsch (1969), "Calculation of Gauss quadrature rules", *Mathematics of Computation* 23(106),
/// 221–230: nodes as eigenvalues of the Jacobi matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussHermite {
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

impl GaussHermite {
    /// The rule of an order, the number of its nodes.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for the order 0.
    pub fn new(order: usize) -> Result<Self> {
        if order == 0 {
            return Err(Error::setting("the order of the quadrature", order, "must be at least 1"));
        }
        Ok(Self::of_order(order))
    }

    pub(super) fn of_order(order: usize) -> Self {
        let mut nodes = vec![0.0; order];
        let mut weights = vec![0.0; order];
        // The rule is symmetric: the middle node of an odd order is exactly 0.
        for index in 0..order / 2 {
            let node = zero(order, index);
            let weight = weight(order, node);
            (nodes[index], nodes[order - 1 - index]) = (node, -node);
            (weights[index], weights[order - 1 - index]) = (weight, weight);
        }
        if order % 2 == 1 {
            weights[order / 2] = weight(order, 0.0);
        }
        Self { nodes, weights }
    }

    /// The nodes zₖ, ascending.
    pub fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    /// The weights wₖ.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Pairs of a node and its weight.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        self.nodes.iter().copied().zip(self.weights.iter().copied())
    }

    /// E\[g(f)\] under f ~ N(mean, variance); a variance below 0 counts as 0.
    pub fn expectation(&self, mean: f64, variance: f64, mut g: impl FnMut(f64) -> f64) -> f64 {
        let deviation = deviation(variance);
        self.iter().map(|(z, weight)| weight * g(mean + deviation * z)).sum()
    }

    /// log E\[exp l(f)\] under f ~ N(mean, variance), from l: the largest term stands apart, so that none overflows.
    pub(crate) fn log_mean_exp(&self, mean: f64, variance: f64, l: impl Fn(f64) -> f64) -> f64 {
        let deviation = deviation(variance);
        log_sum_exp(self.iter().map(|(z, weight)| weight.ln() + l(mean + deviation * z)))
    }
}

/// Of order 20.
impl Default for GaussHermite {
    fn default() -> Self {
        static USUAL: LazyLock<GaussHermite> = LazyLock::new(|| GaussHermite::of_order(20));
        USUAL.clone()
    }
}

/// √v: 0 for a variance that rounding left below 0, and NaN for NaN.
pub(crate) fn deviation(variance: f64) -> f64 {
    if variance < 0.0 { 0.0 } else { variance.sqrt() }
}

/// The zero number `index` from below, of those below 0.
fn zero(order: usize, index: usize) -> f64 {
    // All zeros are within 2√n.
    let (mut lower, mut upper) = (-2.0 * (order as f64).sqrt(), 0.0);
    while upper - lower > 1e-9 * f64::abs(lower) {
        let middle = 0.5 * (lower + upper);
        if zeros_below(order, middle) > index { upper = middle } else { lower = middle }
    }
    let mut node = 0.5 * (lower + upper);
    for _ in 0..2 {
        let top = top(order, node);
        // pₙ′ = √n pₙ₋₁
        node -= top.last / ((order as f64).sqrt() * top.before);
    }
    node
}

/// How many zeros lie below x: the negative pivots of J − xI, J having √1, √2, … beside its diagonal.
fn zeros_below(order: usize, x: f64) -> usize {
    let mut pivot = -x;
    let mut count = usize::from(pivot < 0.0);
    for k in 1..order {
        let safe = if pivot == 0.0 { f64::MIN_POSITIVE } else { pivot };
        pivot = -x - k as f64 / safe;
        count += usize::from(pivot < 0.0);
    }
    count
}

/// pₙ₋₁ and pₙ of the orthonormal polynomials, both divided by 2^exponent.
struct Top {
    before: f64,
    last: f64,
    exponent: i32,
}

fn top(order: usize, x: f64) -> Top {
    const STEP: i32 = 400;
    let (mut before, mut last, mut exponent) = (0.0, 1.0, 0);
    for k in 0..order {
        let next = (x * last - (k as f64).sqrt() * before) / ((k + 1) as f64).sqrt();
        (before, last) = (last, next);
        if f64::max(f64::abs(last), f64::abs(before)) > 2f64.powi(STEP) {
            before *= 2f64.powi(-STEP);
            last *= 2f64.powi(-STEP);
            exponent += STEP;
        }
    }
    Top { before, last, exponent }
}

/// 1 / (n pₙ₋₁²) at a zero of pₙ.
fn weight(order: usize, node: f64) -> f64 {
    let top = top(order, node);
    1.0 / (order as f64 * top.before * top.before) * (-2.0 * f64::from(top.exponent) * LN_2).exp()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_exact() {
        for order in [1, 2, 3, 7, 20, 33, 64] {
            let rule = GaussHermite::new(order).unwrap();
            let mut moment = 1.0;
            for half in 0..order {
                // E z^(2k) = (2k − 1)!!; a term is off by 2k ulps of the node and some of the weight.
                if half > 0 {
                    moment *= (2 * half - 1) as f64;
                }
                let found = rule.expectation(0.0, 1.0, |z| z.powi(2 * half as i32));
                let tolerance = (20 + 8 * half) as f64 * f64::EPSILON;
                assert!((found / moment - 1.0).abs() < tolerance, "order {order}, moment {}: {found}", 2 * half);
                // A pair of nodes cancels exactly; the order of summation leaves rounding.
                let odd = rule.expectation(0.0, 1.0, |z| z.powi(2 * half as i32 + 1));
                assert!(odd.abs() < 1e-13 * moment * ((2 * half + 1) as f64).sqrt(), "{odd}");
            }
        }
    }

    #[test]
    fn nodes_of_low_orders_are_those_of_the_closed_form() {
        let rule = GaussHermite::new(4).unwrap();
        let (inner, outer) = ((3.0 - 6f64.sqrt()).sqrt(), (3.0 + 6f64.sqrt()).sqrt());
        for (found, expected) in rule.nodes().iter().zip([-outer, -inner, inner, outer]) {
            assert!((found - expected).abs() < 4.0 * f64::EPSILON, "{found} {expected}");
        }
        assert_eq!(GaussHermite::new(1).unwrap().nodes(), [0.0]);
        assert_eq!(GaussHermite::default().nodes().len(), 20);
    }

    /// E cos(a z) = exp(−a²/2), far beyond where polynomials overflow.
    #[test]
    fn high_orders_work() {
        for order in [100, 401, 1000] {
            let rule = GaussHermite::new(order).unwrap();
            assert!((rule.weights().iter().sum::<f64>() - 1.0).abs() < 1e-13, "{order}");
            assert!((rule.expectation(0.0, 1.0, |z| (3.0 * z).cos()) - (-4.5f64).exp()).abs() < 1e-14, "{order}");
            assert!(rule.nodes().windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn bad_settings() {
        assert!(matches!(GaussHermite::new(0), Err(Error::Setting { .. })));
        let rule = GaussHermite::default();
        assert_eq!(rule.expectation(0.5, -1e-20, |f| f), rule.expectation(0.5, 0.0, |f| f));
        assert!(rule.expectation(0.5, f64::NAN, |f| f).is_nan());
    }
}
