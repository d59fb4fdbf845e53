//! The continuous ranked probability score.

use std::f64::consts::PI;

use faer::MatRef;

use super::{check, check_variances};
use crate::likelihood::{normal_cumulative, normal_density};
use crate::{Error, Result, Scalar};

/// The mean continuous ranked probability score of normal predictions, ∫ (P(Y ≤ t) − 1{y ≤ t})² dt: in the units of y, 0 for
/// certainty that is right, and the absolute error for a prediction without uncertainty.
///
/// # Definition
///
/// With z = (y − m)/√v it is √v (z (2Φ(z) − 1) + 2φ(z) − 1/√π). The variances are those of observations, noise included.
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] for slices of different lengths;
/// [`Error::Parameter`] for a variance that is not positive and finite.
///
/// # Examples
///
/// ```
/// use mercer::data::metrics::crps;
///
/// // At the mean, √v (2φ(0) − 1/√π) = √v (√2 − 1)/√π.
/// let found = crps(&[3.0], &[3.0], &[4.0])?;
/// assert!((found - 2.0 * (2f64.sqrt() - 1.0) / std::f64::consts::PI.sqrt()).abs() < 1e-15);
/// // Next to certain, the absolute error.
/// assert!((crps(&[3.0], &[1.0], &[1e-12])? - 2.0).abs() < 1e-5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Gneiting & Raftery (2007), "Strictly proper scoring rules, prediction, and estimation", *Journal of the American
/// Statistical Association* 102(477), 359–378, equation 21 (there with the opposite sign),
/// <https://doi.org/10.1198/016214506000001437>.
pub fn crps(y: &[f64], mean: &[f64], variance: &[f64]) -> Result<f64> {
    check(y, &[("the means", mean), ("the variances", variance)])?;
    check_variances(variance)?;
    let score = |((&y, &mean), &variance): ((&f64, &f64), &f64)| {
        let deviation = variance.sqrt();
        let z = (y - mean) / deviation;
        // 2Φ(z) − 1, whose sign is that of z.
        let between = 1.0 - 2.0 * normal_cumulative(-z.abs());
        deviation * (z.abs() * between + 2.0 * normal_density(z) - PI.sqrt().recip())
    };
    Ok(y.iter().zip(mean).zip(variance).map(score).sum::<f64>() / y.len() as f64)
}

/// The mean continuous ranked probability score of predictions of any form, from draws: a row for each observation, M draws
/// in each.
///
/// # Definition
///
/// Σᵢ |xᵢ − y| / M − Σᵢⱼ |xᵢ − xⱼ| / (2 M (M − 1)), whose expectation is the score of the distribution that draws are from, whatever M
/// is. It may be below 0.
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] if there is not one row of draws for each, and for fewer than two
/// draws; [`Error::NonFinite`] for a draw that is not finite.
///
/// # Complexity
///
/// O(M log M) for an observation.
///
/// # Examples
///
/// ```
/// use mercer::data::metrics::crps_of_draws;
/// use mercer::prelude::*;
///
/// // |1 − 2| and |4 − 2|, less |1 − 4|: (1 + 2)/2 − 3/2
/// assert_eq!(crps_of_draws(&[2.0], mat![[1.0, 4.0]].as_ref())?, 0.0);
/// assert_eq!(crps_of_draws(&[9.0], mat![[1.0, 4.0]].as_ref())?, 5.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Zamo & Naveau (2018), "Estimation of the continuous ranked probability score with limited information and applications to
/// ensemble weather forecasts", *Mathematical Geosciences* 50, 209–234, <https://doi.org/10.1007/s11004-017-9709-7>.
pub fn crps_of_draws<T: Scalar>(y: &[f64], draws: MatRef<'_, T>) -> Result<f64> {
    check(y, &[])?;
    let (rows, count) = draws.shape();
    if rows != y.len() || count < 2 {
        let expected = format!("{} row(s), one for each observation, of at least 2 draws", y.len());
        return Err(Error::shape("the draws", expected, (rows, count)));
    }
    let m = count as f64;
    let mut total = 0.0;
    let mut sorted = vec![0.0; count];
    for (row, &y) in y.iter().enumerate() {
        for (col, draw) in sorted.iter_mut().enumerate() {
            *draw = draws[(row, col)].as_f64();
            if !draw.is_finite() {
                return Err(Error::NonFinite { what: "the draws".to_owned(), row, col, value: *draw });
            }
        }
        sorted.sort_by(f64::total_cmp);
        // Differences from the observation, so that sums do not cancel where draws are far from 0.
        let distance: f64 = sorted.iter().map(|draw| (draw - y).abs()).sum();
        let weighted = sorted.iter().enumerate().map(|(rank, draw)| (2.0 * rank as f64 - (m - 1.0)) * (draw - y));
        total += distance / m - weighted.sum::<f64>() / (m * (m - 1.0));
    }
    Ok(total / y.len() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::Mat;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;

    /// ∫ (F(t) − 1{y ≤ t})² dt by the trapezoid rule on both sides of y.
    #[test]
    fn the_closed_form_is_the_integral() {
        for (y, mean, variance) in [(0.3, 0.0, 1.0), (-2.0, 1.0, 0.25), (30.0, 1.0, 4.0), (1.0, 1.0, 9.0)] {
            let deviation = f64::sqrt(variance);
            let side = |sign: f64| -> f64 {
                let reach = f64::abs(y - mean) + 10.0 * deviation;
                let (n, step) = (200_000, reach / 200_000.0);
                let square = |t: f64| normal_cumulative(sign * (t - mean) / deviation).powi(2);
                (0..=n).map(|i| if i == 0 { 0.5 } else { 1.0 } * step * square(y - sign * step * f64::from(i))).sum()
            };
            let (found, expected) = (crps(&[y], &[mean], &[variance]).unwrap(), side(1.0) + side(-1.0));
            assert!((found - expected).abs() < 1e-8 * expected.max(1.0), "{y} {mean} {variance}: {found} {expected}");
        }
    }

    #[test]
    fn draws_score_as_double_sums_and_in_the_mean_as_what_they_are_from() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(11);
        let draws = Mat::from_fn(3, 7, |_, _| 1e6 + rng.sample::<f64, _>(StandardNormal));
        let y = [1e6, 1e6 + 2.0, 1e6 - 5.0];
        let brute = |row: usize| -> f64 {
            let x: Vec<f64> = draws.row(row).iter().copied().collect();
            let pairs: f64 = x.iter().flat_map(|a| x.iter().map(move |b| (a - b).abs())).sum();
            x.iter().map(|x| (x - y[row]).abs()).sum::<f64>() / 7.0 - pairs / (2.0 * 7.0 * 6.0)
        };
        let expected = (0..3).map(brute).sum::<f64>() / 3.0;
        assert!((crps_of_draws(&y, draws.as_ref()).unwrap() - expected).abs() < 1e-9);
        // Fair: of three draws each, the mean over many is the closed form. The deviation of one score is below 0.6.
        let n = 20_000;
        let draws = Mat::from_fn(n, 3, |_, _| rng.sample::<f64, _>(StandardNormal));
        let found = crps_of_draws(&vec![0.7; n], draws.as_ref()).unwrap();
        let expected = crps(&[0.7], &[0.0], &[1.0]).unwrap();
        assert!((found - expected).abs() < 4.0 * 0.6 / (n as f64).sqrt(), "{found} {expected}");
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(crps(&[], &[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(crps(&[1.0], &[0.0], &[0.0]), Err(Error::Parameter { .. })));
        let one = Mat::<f64>::zeros(1, 1);
        assert!(matches!(crps_of_draws(&[1.0], one.as_ref()), Err(Error::Shape { .. })));
        let bad = Mat::from_fn(1, 2, |_, _| f64::NAN);
        assert!(matches!(crps_of_draws(&[1.0], bad.as_ref()), Err(Error::NonFinite { .. })));
        assert!(matches!(crps_of_draws(&[1.0, 2.0], Mat::<f64>::zeros(1, 2).as_ref()), Err(Error::Shape { .. })));
    }
}
