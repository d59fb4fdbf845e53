//! The expectation of log Σ exp f for independent normal f.

use super::expectation::SMALL;
use super::quadrature::{GaussHermite, deviation};
use super::special::log_sum_exp;
use crate::Scalar;
use crate::simd::{Pass, dispatch};

/// E log Σ_c exp f_c for f_c ~ N(μ_c, v_c), and its derivatives.
///
/// Given f, the largest of f_c + γ_c with standard Gumbel γ_c is again Gumbel, about log Σ exp f_c. So its
/// expectation is that of a Gumbel variable about any a, plus the area between the two distribution
/// functions:
///
/// E log Σ exp f_c = a + ∫ (G(u − a) − Π_c F_c(u)) du, G(u) = exp(−e⁻ᵘ), F_c(u) = E G(u − f_c)
///
/// C expectations of one variable in place of one of C. Each F_c is by Gauss–Hermite quadrature. The trapezoid rule
/// over u, whose integrand is analytic within π/2 of the real line and falls off on both sides, is off by
/// about exp(−π²/step): 1e-12. With a = log E Σ exp f_c the leading terms cancel to the right, which
/// halves the range.
///
/// Derivatives are those of these sums. That in μ_c is E exp f_c / Σ exp f, the share of the class.
pub(super) struct LogSum {
    pub(super) value: f64,
    /// log of the derivative in each mean, also where the share itself underflows.
    pub(super) ln_shares: Vec<f64>,
    pub(super) d_variance: Vec<f64>,
}

/// The step, which grows only beyond so many points: for v > 5000.
const STEP: f64 = 0.35;
const POINTS: f64 = 4096.0;
/// Where G is 0 to rounding, and where e⁻ᵘ is.
const LEFT: f64 = 3.7;
const RIGHT: f64 = 37.0;

/// One class on the grid of u.
struct Class {
    /// The largest f of the rule.
    top: f64,
    /// F
    distribution: Vec<f64>,
    /// −∂F/∂μ
    slope: Vec<f64>,
    /// −∂F/∂μ · exp(u − top), for shares so small that the slope underflows.
    scaled_slope: Vec<f64>,
    /// −∂F/∂v
    in_variance: Vec<f64>,
    /// log E exp f
    log_mean: f64,
    /// ∂E exp f/∂v / E exp f
    log_mean_in_variance: f64,
}

impl LogSum {
    pub(super) fn new(rule: &GaussHermite, mean: &[f64], variance: &[f64]) -> Self {
        let classes = || mean.iter().zip(variance);
        let nodes = rule.nodes();
        // F_c is 0 below the lowest f of its class: so is the product below the highest of these.
        let lowest = classes().map(|(mean, &v)| mean + deviation(v) * nodes[0]).fold(f64::NEG_INFINITY, f64::max);
        let log_means = classes().map(|(&mean, &v)| rule.log_mean_exp(mean, v, |f| f)).collect::<Vec<_>>();
        let center = log_sum_exp(log_means.iter().copied());
        // Without the leading terms e⁻²ᵘ E(Σ exp f)² is left, at most exp(max v) above the square of the mean.
        let widest = variance.iter().fold(0.0, |widest: f64, &v| widest.max(v));
        let start = lowest.min(center) - LEFT;
        let end = center + (0.5 * (RIGHT + widest)).min(RIGHT);
        if !(end - start).is_finite() {
            return Self {
                value: f64::NAN,
                ln_shares: vec![f64::NAN; mean.len()],
                d_variance: vec![f64::NAN; mean.len()],
            };
        }
        let step = STEP.max((end - start) / POINTS);
        let grid: Vec<f64> = (0..=((end - start) / step) as usize).map(|i| start + step * i as f64).collect();
        let classes: Vec<Class> = classes().map(|(&mean, &v)| Class::new(rule, mean, v, &grid)).collect();
        Self::over(&grid, step, center, &classes)
    }

    fn over(grid: &[f64], step: f64, center: f64, classes: &[Class]) -> Self {
        let (mut value, mut total) = (center, 0.0);
        let mut shares = vec![0.0; classes.len()];
        let mut scaled_shares = vec![0.0; classes.len()];
        let mut d_variance = vec![0.0; classes.len()];
        let mut others = vec![0.0; classes.len()];
        for (i, &u) in grid.iter().enumerate() {
            let rate = (center - u).exp();
            total += step * (if rate.is_finite() { rate * (-rate).exp() } else { 0.0 });
            value += step * ((-rate).exp() - products(classes, i, &mut others));
            for (c, class) in classes.iter().enumerate() {
                shares[c] += step * class.slope[i] * others[c];
                scaled_shares[c] += step * (grid[0] - u).exp() * class.scaled_slope[i] * others[c];
                d_variance[c] += step * class.in_variance[i] * others[c];
            }
        }
        // What the grid leaves out on the right, in the derivative of the center.
        let rest = 1.0 - total;
        let mut ln_shares = Vec::with_capacity(classes.len());
        for (c, class) in classes.iter().enumerate() {
            let of_center = rest * (class.log_mean - center).exp();
            d_variance[c] += of_center * class.log_mean_in_variance;
            let share = shares[c] + of_center;
            let scale = class.top - grid[0];
            let scaled_share = scaled_shares[c] + rest * (class.log_mean - center - scale).exp();
            ln_shares.push(if share > 1e-200 { share.ln() } else { scale + scaled_share.ln() });
        }
        Self { value, ln_shares, d_variance }
    }
}

/// Π_c F_c at a point of the grid, and the products of all but one.
fn products(classes: &[Class], i: usize, others: &mut [f64]) -> f64 {
    let mut product = 1.0;
    for (other, class) in others.iter_mut().zip(classes) {
        *other = product;
        product *= class.distribution[i];
    }
    let mut after = 1.0;
    for (other, class) in others.iter_mut().zip(classes).rev() {
        *other *= after;
        after *= class.distribution[i];
    }
    product
}

impl Class {
    fn new(rule: &GaussHermite, mean: f64, variance: f64, grid: &[f64]) -> Self {
        let deviation = deviation(variance);
        let top = mean + deviation * rule.nodes().last().copied().unwrap_or(0.0);
        let mut class = Self {
            top,
            distribution: vec![0.0; grid.len()],
            slope: vec![0.0; grid.len()],
            scaled_slope: vec![0.0; grid.len()],
            in_variance: vec![0.0; grid.len()],
            log_mean: rule.log_mean_exp(mean, variance, |f| f),
            log_mean_in_variance: 0.0,
        };
        for (z, weight) in rule.iter() {
            let f = mean + deviation * z;
            // See `by_quadrature`: at small variances by the second derivative.
            let (by_slope, by_curvature) =
                if variance < SMALL { (0.0, 0.5 * weight) } else { (0.5 * weight * z / deviation, 0.0) };
            class.log_mean_in_variance += (by_slope + by_curvature) * (f - class.log_mean).exp();
            let below_top = weight * (f - top).exp();
            let start = grid.partition_point(|u| f - u > LEFT);
            dispatch(Node { class: &mut class, grid, start, f, weight, below_top, by_slope, by_curvature });
        }
        class
    }
}

/// What one node of the rule adds to its class, on the grid from `start` on.
struct Node<'a> {
    class: &'a mut Class,
    grid: &'a [f64],
    start: usize,
    f: f64,
    weight: f64,
    /// weight · exp(f − top)
    below_top: f64,
    /// Of ∂/∂v, in units of the slope and of its derivative.
    by_slope: f64,
    by_curvature: f64,
}

impl Pass for Node<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { class, grid, start, f, weight, below_top, by_slope, by_curvature } = self;
        let values = class.distribution[start..].iter_mut().zip(&mut class.slope[start..]);
        let others = class.scaled_slope[start..].iter_mut().zip(&mut class.in_variance[start..]);
        for ((&u, (value, slope)), (scaled_slope, in_variance)) in grid[start..].iter().zip(values).zip(others) {
            let rate = (f - u).lane_exp::<FMA>();
            let distribution = (-rate).lane_exp::<FMA>();
            let density = rate * distribution;
            *value += weight * distribution;
            *slope += weight * density;
            *scaled_slope += below_top * distribution;
            *in_variance += density * (by_slope + by_curvature * (1.0 - rate));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::close;
    use super::super::special::{logistic, softplus};
    use super::*;

    /// Without variance it is log Σ exp μ, and the shares are those of the softmax.
    #[test]
    fn certain_values() {
        let rule = GaussHermite::default();
        for mean in [vec![0.3, -1.0, 2.0], vec![5.0; 100], vec![0.0, -1e3], vec![1e3, 1e3 + 1.0]] {
            let found = LogSum::new(&rule, &mean, &vec![0.0; mean.len()]);
            let expected = log_sum_exp(mean.iter().copied());
            close("value", found.value, expected, 1e-12);
            for (share, mean) in found.ln_shares.iter().zip(&mean) {
                close("share", *share, mean - expected, 1e-11);
            }
        }
    }

    /// Of two classes, log(e^a + e^b) = b + softplus(a − b), of one normal variable.
    #[test]
    fn two_classes() {
        let (rule, many) = (GaussHermite::new(60).unwrap(), GaussHermite::new(200).unwrap());
        for (mean, variance) in [([0.3, -1.0], [0.5, 0.2]), ([4.0, -3.0], [2.0, 1.0]), ([0.0, 0.0], [1e-9, 0.3])] {
            let found = LogSum::new(&rule, &mean, &variance);
            let (difference, spread) = (mean[0] - mean[1], variance[0] + variance[1]);
            close("value", found.value, mean[1] + many.expectation(difference, spread, softplus), 1e-10);
            close("share", found.ln_shares[0].exp(), many.expectation(difference, spread, logistic), 1e-10);
            let curvature = many.expectation(difference, spread, |d| logistic(d) * logistic(-d));
            close("d_variance", found.d_variance[0], 0.5 * curvature, 1e-8);
            close("d_variance", found.d_variance[1], 0.5 * curvature, 1e-8);
        }
    }
}
