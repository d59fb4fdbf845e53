//! Whether a search that finds nothing better has come as far as the digits of the value go.

use super::dot;
use super::lbfgs::Evaluation;

/// A trial of a search that began at the best point, along its gradient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    /// How far from there it is.
    length: f64,
    /// The slopes along the way, at the best point and at the trial.
    slopes: [f64; 2],
    /// By how much the value is above the best one.
    rise: f64,
}

/// How many of its rounding errors what is left to gain may be.
const ERRORS: f64 = 4.0;

/// What counts as a rounding error at most, in a value of size 1: beyond, it is another function than the gradient's.
const LARGEST_ERROR: f64 = 1e-6;

/// The cosine from which on two directions are one.
const ALONG: f64 = 0.999;

impl Trial {
    /// None for one in another direction, or without a value.
    pub(super) fn new(best: &Evaluation, trial: &Evaluation) -> Option<Self> {
        let step: Vec<f64> = trial.x.iter().zip(&best.x).map(|(to, from)| to - from).collect();
        let length = dot(&step, &step).sqrt();
        let slopes = [&best.gradient, &trial.gradient].map(|gradient| dot(gradient, &step) / length);
        let along = -slopes[0] >= ALONG * dot(&best.gradient, &best.gradient).sqrt();
        let found = Self { length, slopes, rise: trial.value - best.value };
        (length > 0.0 && along && found.rise.is_finite()).then_some(found)
    }
}

/// Whether what the gradient at the best point promises is no more than the values are off by rounding, as trials along it show.
///
/// Along a line, values are v + s t + h t²/2, with the slope s from the gradient. The curvature h is that of the gradients,
/// from the nearest trial at which the slope is another; −s²/2h is left to gain; and what values of nearer trials differ
/// from the parabola is rounding.
pub(super) fn is_exhausted(value: f64, trials: &[Trial]) -> bool {
    let mut lines = trials.to_vec();
    lines.sort_by(|a, b| a.length.total_cmp(&b.length));
    let bends = |trial: &&Trial| (trial.slopes[1] - trial.slopes[0]).abs() >= 0.1 * trial.slopes[0].abs();
    let Some(&Trial { length, slopes: [slope, there], .. }) = lines.iter().find(bends) else { return false };
    let curvature = (there - slope) / length;
    if slope >= 0.0 || curvature <= 0.0 {
        return false;
    }
    let near = lines.iter().take_while(|trial| trial.length <= -0.1 * slope / curvature);
    let off = near.map(|trial| {
        let t = trial.length;
        (trial.rise - trial.slopes[0] * t - 0.5 * curvature * t * t).abs()
    });
    let size = value.abs().max(1.0);
    let rounding = off.fold(16.0 * f64::EPSILON * size, f64::max).min(LARGEST_ERROR * size);
    slope * slope / (2.0 * curvature) <= ERRORS * rounding
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::optim::{Lbfgs, Minimizer};

    fn exact() -> Lbfgs {
        Lbfgs { gradient_tolerance: 0.0, cost_tolerance: 0.0, ..Lbfgs::default() }
    }

    /// The last digits of this bowl are lost, and its minimum is found as well as they tell.
    #[test]
    fn what_has_no_digits_is_exhausted() {
        let lost = |value: f64| (value * 1e6).round() / 1e6;
        let mut bowl = |x: &[f64]| {
            let value = 300.0 + 20.0 * (x[0] - 1.0).powi(2) + (x[1] + 2.0).powi(2) * 0.5;
            Ok((lost(value), vec![40.0 * (x[0] - 1.0), x[1] + 2.0]))
        };
        let minimum = exact().minimize(&mut bowl, &[3.0, 3.0]).unwrap();
        assert!(minimum.converged, "{}", minimum.reason);
        assert!((minimum.x[0] - 1.0).abs() < 1e-3 && (minimum.x[1] + 2.0).abs() < 5e-3, "{:?}", minimum.x);
    }

    /// From a gradient that lies, nothing is: of either curvature.
    #[test]
    fn a_wrong_gradient_is_not() {
        let minimum = exact().minimize(&mut |x| Ok((x[0] * x[0], vec![-2.0 * x[0]])), &[1.0]).unwrap();
        assert!(!minimum.converged, "{}", minimum.reason);
        for start in [0.2, 0.3, 0.4] {
            let start = std::f64::consts::FRAC_PI_2 + start;
            let minimum = exact().minimize(&mut |x| Ok((-x[0].cos(), vec![-x[0].sin()])), &[start]).unwrap();
            assert!(!minimum.converged, "{start}: {}", minimum.reason);
        }
    }
}
