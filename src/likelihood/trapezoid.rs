//! The trapezoid rule for densities of new observations.

use std::f64::consts::TAU;

use super::quadrature::deviation;
use super::special::{HALF_LN_TAU, log_sum_exp};

/// Deviations beyond which N(f; μ, v) is left out.
const REACH: f64 = 9.0;

/// The most points on either side.
const POINTS: f64 = 5000.0;

/// log E exp l(f) under f ~ N(mean, variance), where exp l is analytic within `strip` of the real line and has
/// no peak narrower than `width`: by the trapezoid rule, whose error falls as exp(−2π strip/step) and, for a
/// peak like a normal density, as exp(−2π² (width/step)²). The step makes both 1e-13, so that peaks narrower
/// than N(μ, v), or in its tails, are no matter; beyond 5000 points it grows.
///
/// Trefethen & Weideman (2014), "The exponentially convergent trapezoidal rule", *SIAM Review* 56(3), 385–458.
pub(super) fn log_mean_exp_by_trapezoid(
    l: impl Fn(f64) -> f64,
    mean: f64,
    variance: f64,
    strip: f64,
    width: f64,
) -> f64 {
    let deviation = deviation(variance);
    if deviation == 0.0 {
        return l(mean);
    }
    // In units of the deviation; the peak is that of the product with the normal density.
    let (strip, width) = (strip / deviation, width / deviation);
    let width = (1.0 + 1.0 / (width * width)).recip().sqrt();
    let step = (TAU * strip / 30.0).min(0.7 * width).max(REACH / POINTS);
    let count = (REACH / step) as i32;
    let points = (-count..=count).map(|i| step * f64::from(i));
    let exponents: Vec<f64> = points.map(|z| l(mean + deviation * z) - 0.5 * z * z).collect();
    log_sum_exp(exponents.into_iter()) + step.ln() - HALF_LN_TAU
}

#[cfg(test)]
mod tests {
    use super::super::log_normal;
    use super::*;

    /// Of a normal density it is N(y; μ, v + σ²), at all ratios of σ² to v.
    #[test]
    fn normal_densities() {
        for noise in [1e-5, 1e-2, 1.0, 1e4] {
            for y in [0.0, 1.0, -4.0] {
                let found =
                    log_mean_exp_by_trapezoid(|f| log_normal(y, f, noise), 0.3, 2.0, f64::INFINITY, f64::sqrt(noise));
                let expected = log_normal(y, 0.3, 2.0 + noise);
                assert!((found - expected).abs() < 1e-11, "{noise} {y}: {found} {expected}");
            }
        }
        assert_eq!(log_mean_exp_by_trapezoid(|f| 2.0 * f, 0.3, 0.0, 1.0, 1.0), 0.6);
        assert!(log_mean_exp_by_trapezoid(|f| f, 0.3, f64::NAN, 1.0, 1.0).is_nan());
    }
}
