//! Scores of predictions against observations.

mod calibration;
mod crps;
mod intervals;

pub use calibration::Calibration;
pub use crps::{crps, crps_of_draws};
pub use intervals::interval_coverage;

use crate::likelihood::{check_len, log_normal};
use crate::{Error, Result};

/// The half-width, in standard deviations, of the central interval that holds 95 % of a normal
/// distribution.
pub const CENTRAL_95: f64 = 1.959_963_984_540_054;

/// The root of the mean squared error, √(Σᵢ (yᵢ − mᵢ)² / N).
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] for slices of different lengths.
///
/// # Examples
///
/// ```
/// assert_eq!(mercer::data::metrics::rmse(&[1.0, 2.0], &[4.0, -2.0])?, 12.5f64.sqrt());
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn rmse(y: &[f64], mean: &[f64]) -> Result<f64> {
    check(y, &[("the means", mean)])?;
    let squares: f64 = y.iter().zip(mean).map(|(y, m)| (y - m) * (y - m)).sum();
    Ok((squares / y.len() as f64).sqrt())
}

/// The mean negative log density of the observations under Gaussian predictions,
/// −Σᵢ log N(yᵢ; mᵢ, vᵢ) / N. The variances are those of observations, noise included.
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] for slices of different lengths;
/// [`Error::Parameter`] for a variance that is not positive and finite.
///
/// # Examples
///
/// ```
/// let nlpd = mercer::data::metrics::nlpd(&[1.0], &[1.0], &[1.0])?;
/// assert!((nlpd - 0.5 * (2.0 * std::f64::consts::PI).ln()).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn nlpd(y: &[f64], mean: &[f64], variance: &[f64]) -> Result<f64> {
    check(y, &[("the means", mean), ("the variances", variance)])?;
    check_variances(variance)?;
    let terms = y.iter().zip(mean).zip(variance).map(|((&y, &m), &v)| log_normal(y, m, v));
    Ok(-terms.sum::<f64>() / y.len() as f64)
}

/// The fraction of observations within so many standard deviations of the mean, bounds included:
/// near 0.95 for [`CENTRAL_95`] if Gaussian predictions are calibrated.
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] for slices of different lengths;
/// [`Error::Parameter`] for a variance that is not positive and finite; [`Error::Setting`] for a
/// half-width that is negative or NaN.
///
/// # Examples
///
/// ```
/// use mercer::data::metrics::{CENTRAL_95, coverage};
///
/// // Half-widths of 1.96 and 3.92.
/// assert_eq!(coverage(&[2.0, 2.0], &[0.0, 0.0], &[1.0, 4.0], CENTRAL_95)?, 0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn coverage(y: &[f64], mean: &[f64], variance: &[f64], half_width: f64) -> Result<f64> {
    check(y, &[("the means", mean), ("the variances", variance)])?;
    check_variances(variance)?;
    if half_width.is_nan() || half_width < 0.0 {
        return Err(Error::setting("half_width", half_width, "must not be negative"));
    }
    let inside = |((y, m), v): &((&f64, &f64), &f64)| (**y - **m).abs() <= half_width * v.sqrt();
    let count = y.iter().zip(mean).zip(variance).filter(inside).count();
    Ok(count as f64 / y.len() as f64)
}

/// The fraction of observations that are of the class held most probable; of equal ones, the first.
///
/// Probabilities are as [`Likelihood::predict`](crate::likelihood::Likelihood::predict) gives them as
/// means: N for the classes 0 and 1, of the class 1; or N·C for C classes, all observations of the first
/// class first.
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] unless there are N or a multiple of N
/// probabilities; [`Error::Observation`] for an observation that is not one of the classes;
/// [`Error::Parameter`] for a probability outside \[0, 1\] by more than 1e-6.
///
/// # Examples
///
/// ```
/// use mercer::data::metrics::accuracy;
///
/// assert_eq!(accuracy(&[0.0, 1.0, 1.0, 1.0], &[0.2, 0.9, 0.6, 0.4])?, 0.75);
/// // Two observations of three classes.
/// assert_eq!(accuracy(&[2.0, 0.0], &[0.1, 0.3, 0.2, 0.4, 0.7, 0.3])?, 0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn accuracy(y: &[f64], probabilities: &[f64]) -> Result<f64> {
    check(y, &[])?;
    let n = y.len();
    if probabilities.is_empty() || !probabilities.len().is_multiple_of(n) {
        let expected = format!("{n} value(s), or so many for each class");
        return Err(Error::shape("the probabilities", expected, (probabilities.len(), 1)));
    }
    if let Some(row) = probabilities.iter().position(|p| !(-1e-6..=1.0 + 1e-6).contains(p)) {
        let expected = "between 0 and 1".to_owned();
        return Err(Error::Parameter { path: format!("probabilities[{row}]"), value: probabilities[row], expected });
    }
    let classes = (probabilities.len() / n).max(2);
    let class = |y: &f64| (0..classes).find(|&class| *y == class as f64);
    if let Some(row) = y.iter().position(|y| class(y).is_none()) {
        let expected = format!("the classes are 0, 1, ..., {}", classes - 1);
        return Err(Error::Observation { row, value: y[row], expected });
    }
    let most_probable = |row: usize| {
        if probabilities.len() == n {
            return usize::from(probabilities[row] > 0.5);
        }
        let of = |class: usize| probabilities[class * n + row];
        (1..classes).fold(0, |best, class| if of(class) > of(best) { class } else { best })
    };
    let right = (0..n).filter(|&row| class(&y[row]) == Some(most_probable(row))).count();
    Ok(right as f64 / n as f64)
}

fn check(y: &[f64], slices: &[(&str, &[f64])]) -> Result<()> {
    if y.is_empty() {
        return Err(Error::Empty { what: "the observations".to_owned() });
    }
    check_len(y.len(), slices)
}

fn check_variances(variance: &[f64]) -> Result<()> {
    match variance.iter().position(|v| !(*v > 0.0 && v.is_finite())) {
        None => Ok(()),
        Some(row) => Err(Error::Parameter {
            path: format!("variance[{row}]"),
            value: variance[row],
            expected: "positive and finite".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;
    use rand_pcg::Pcg64;

    #[test]
    fn calibrated_predictions_cover_95_percent() {
        let mut rng = Pcg64::seed_from_u64(5);
        let n = 20_000;
        let mean: Vec<f64> = (0..n).map(|i| f64::from(i) * 0.1).collect();
        let variance: Vec<f64> = (0..n).map(|i| 0.5 + f64::from(i % 7)).collect();
        let noise = |(m, v): (&f64, &f64)| m + v.sqrt() * rng.sample::<f64, _>(StandardNormal);
        let y: Vec<f64> = mean.iter().zip(&variance).map(noise).collect();
        // Three standard errors of the fraction.
        assert!((coverage(&y, &mean, &variance, CENTRAL_95).unwrap() - 0.95).abs() < 3.0 * 0.00154);
    }

    #[test]
    fn density_is_scored_at_a_known_point() {
        // −log(φ(2) / 2) for y two standard deviations of 2 away.
        let expected = -(0.05399096651318806f64 / 2.0).ln();
        assert!((nlpd(&[4.0, -4.0], &[0.0, 0.0], &[4.0, 4.0]).unwrap() - expected).abs() < 1e-14);
    }

    #[test]
    fn accuracy_is_of_what_a_likelihood_predicts() {
        use crate::likelihood::{Bernoulli, Likelihood, Softmax};
        // Certain latent values of four observations: the classes 1, 0, 2 and, of three equal ones, 0.
        let f = [0.0, 5.0, -1.0, 0.3, 2.0, 1.0, 0.0, 0.3, 1.9, -1.0, 4.0, 0.3];
        let predicted = Softmax::new(3).predict(&f, &[0.0; 12]).unwrap();
        assert_eq!(accuracy(&[1.0, 0.0, 2.0, 0.0], &predicted.mean), Ok(1.0));
        assert_eq!(accuracy(&[1.0, 1.0, 2.0, 2.0], &predicted.mean), Ok(0.5));
        let predicted = Bernoulli::logit().predict(&[3.0, -0.1, 0.1], &[1.0; 3]).unwrap();
        assert_eq!(accuracy(&[1.0, 0.0, 1.0], &predicted.mean), Ok(1.0));
        assert_eq!(accuracy(&[0.0, 1.0, 0.0], &predicted.mean), Ok(0.0));
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(rmse(&[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(rmse(&[1.0], &[1.0, 2.0]), Err(Error::Shape { .. })));
        assert!(matches!(nlpd(&[1.0], &[1.0], &[-1.0]), Err(Error::Parameter { .. })));
        assert!(matches!(accuracy(&[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(accuracy(&[1.0, 0.0], &[0.1, 0.2, 0.7]), Err(Error::Shape { .. })));
        assert!(matches!(accuracy(&[1.0, 0.0], &[0.1, f64::NAN]), Err(Error::Parameter { .. })));
        for wrong in [2.0, 0.5, -1.0, f64::NAN] {
            assert!(matches!(accuracy(&[1.0, wrong], &[0.1, 0.2]), Err(Error::Observation { row: 1, .. })));
        }
        assert!(matches!(coverage(&[1.0], &[1.0], &[1.0], f64::NAN), Err(Error::Setting { .. })));
    }
}
