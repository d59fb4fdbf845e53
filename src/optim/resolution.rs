//! Whether a search that finds nothing better has come as far as the digits of the value go.

use super::dot;
use super::lbfgs::Evaluation;

/// How many of its rounding errors what is left to gain may be.
const ERRORS: f64 = 4.0;

/// Whether what the gradient at the best point promises is no more than the values are off by rounding, as the trials show
/// that came after it: the last search, from there along the gradient.
///
/// Along a line, values are v + s t + h t²/2, with the slope s from the gradient. The curvature h is that of the gradients,
/// from the nearest trial at which the slope is another; −s²/2h is left to gain; and what values of nearer trials differ
/// from the parabola is rounding.
pub(super) fn is_exhausted(best: &Evaluation, trials: &[Evaluation]) -> bool {
    let along = |trial: &Evaluation| {
        let step: Vec<f64> = trial.x.iter().zip(&best.x).map(|(to, from)| to - from).collect();
        let length = dot(&step, &step).sqrt();
        let slopes = [&best.gradient, &trial.gradient].map(|gradient| dot(gradient, &step) / length);
        (length, slopes, trial.value - best.value)
    };
    let mut lines: Vec<_> = trials.iter().filter(|trial| trial.value.is_finite()).map(along).collect();
    lines.retain(|(length, _, _)| *length > 0.0);
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bends = |(_, [slope, there], _): &&(f64, [f64; 2], f64)| (there - slope).abs() >= 0.1 * slope.abs();
    let Some(&(length, [slope, there], _)) = lines.iter().find(bends) else { return false };
    let curvature = (there - slope) / length;
    if slope >= 0.0 || curvature <= 0.0 {
        return false;
    }
    let near = lines.iter().take_while(|(length, _, _)| *length <= -0.1 * slope / curvature);
    let off = near.map(|(t, [s, _], rise)| (rise - s * t - 0.5 * curvature * t * t).abs());
    let rounding = off.fold(16.0 * f64::EPSILON * best.value.abs(), f64::max);
    slope * slope / (2.0 * curvature) <= ERRORS * rounding
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::optim::{Lbfgs, Minimizer};

    /// The last digits of this bowl are lost, and its minimum is found as well as they tell; from a gradient that lies, nothing
    /// is.
    #[test]
    fn only_what_has_no_digits_is_exhausted() {
        let lost = |value: f64| (value * 1e6).round() / 1e6;
        for (slope, converged) in [(1.0, true), (-1.0, false)] {
            let mut bowl = |x: &[f64]| {
                let value = 300.0 + 20.0 * (x[0] - 1.0).powi(2) + (x[1] + 2.0).powi(2) * 0.5;
                Ok((lost(value), vec![slope * 40.0 * (x[0] - 1.0), slope * (x[1] + 2.0)]))
            };
            let lbfgs = Lbfgs { gradient_tolerance: 0.0, cost_tolerance: 0.0, ..Lbfgs::default() };
            let minimum = lbfgs.minimize(&mut bowl, &[3.0, 3.0]).unwrap();
            assert_eq!(minimum.converged, converged, "{}", minimum.reason);
            let near = (minimum.x[0] - 1.0).abs() < 1e-3 && (minimum.x[1] + 2.0).abs() < 5e-3;
            assert_eq!(near, converged, "{:?}", minimum.x);
        }
    }
}
