//! Gaussian noise of known variances.

use rand::Rng;

use super::average::Turn;
use super::draws;
use super::expectation::{Expected, Terms};
use super::log_normal;
use super::one_latent::OneLatent;
use super::per_observation::PerObservation;
use super::quadrature::deviation;
use super::solve::Support;
use super::tails::{Tails, normal_quantile};
use crate::{Result, parameterized};

/// Gaussian noise with a known variance for each observation.
///
/// # Definition
///
/// p(yᵢ | f) = N(yᵢ; f, σᵢ²), σᵢ² given. Everything has the closed form of
/// [`Gaussian`](super::Gaussian).
///
/// The variances belong to the rows of the data: a minibatch is seen through the likelihood that
/// [`rows`](super::Likelihood::rows) gives for its rows, and predicting new observations is an error but with
/// the likelihood that [`for_new`](Self::for_new) makes from their noise. Predictions of the latent
/// function need neither.
///
/// # Hyperparameters
///
/// None.
///
/// # Examples
///
/// ```
/// use mercer::Error;
/// use mercer::likelihood::{FixedNoise, Likelihood};
///
/// let noise = FixedNoise::new(&[0.1, 0.4])?;
/// let expected = noise.variational_expectations(&[1.0, 1.0], &[0.0, 0.0], &[0.5, 0.5])?;
/// assert_eq!(expected.d_mean, [10.0, 2.5]);
///
/// // What noise would a new observation have?
/// assert!(matches!(noise.predict(&[0.0, 0.0], &[0.5, 0.5]), Err(Error::Setting { .. })));
/// assert_eq!(noise.for_new(&[0.25])?.predict(&[3.0], &[0.5])?.variance, [0.75]);
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 2.2, of a diagonal
/// noise covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedNoise {
    pub(super) variances: PerObservation,
}

parameterized!(FixedNoise as "fixed_noise", parameters: []);

const WHAT: &str = "noise variance";

impl FixedNoise {
    /// The variances of the noise of the data, one for each row.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter), by its row, for a variance that is not positive and finite.
    pub fn new(variances: &[f64]) -> Result<Self> {
        Ok(Self { variances: PerObservation::of_data(WHAT, variances)? })
    }

    /// The likelihood of new observations, with the variances of their noise: it predicts as many.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn for_new(&self, variances: &[f64]) -> Result<Self> {
        Ok(Self { variances: PerObservation::of_new(WHAT, variances)? })
    }

    /// The deviation of a new observation.
    fn spread(&self, row: usize, variance: f64) -> f64 {
        self.variances.get(row).sqrt().hypot(deviation(variance))
    }

    /// Those of n observations.
    pub(super) fn variances(&self, n: usize) -> Result<Vec<f64>> {
        self.variances.check_count(n)?;
        Ok((0..n).map(|row| self.variances.get(row)).collect())
    }
}

impl OneLatent for FixedNoise {
    type Gradient = [f64; 0];

    fn expected(&self) -> String {
        "Gaussian noise takes finite numbers".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        y.is_finite()
    }

    fn terms(&self, row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 0]> {
        let noise = self.variances.get(row);
        move |f| Terms { value: log_normal(y, f, noise), slope: (y - f) / noise, curvature: -1.0 / noise, gradient: [] }
    }

    fn check_count(&self, count: usize) -> Result<()> {
        self.variances.check_count(count)
    }

    fn check_new(&self, count: usize) -> Result<()> {
        self.variances.check_new(count)
    }

    fn select(&self, rows: &[usize]) -> Result<Option<Self>> {
        let variances = self.variances.select(rows)?;
        Ok(variances.map(|variances| Self { variances }))
    }

    fn expectation(&self, row: usize, y: f64, mean: f64, variance: f64) -> Expected<[f64; 0]> {
        let at = self.terms(row, y)(mean);
        let d_variance = 0.5 * at.curvature;
        Expected { value: at.value + d_variance * variance, d_mean: at.slope, d_variance, gradient: [] }
    }

    fn predict_one(&self, row: usize, mean: f64, variance: f64) -> (f64, f64) {
        (mean, variance + self.variances.get(row))
    }

    fn log_predictive(&self, row: usize, y: f64, mean: f64, variance: f64) -> f64 {
        log_normal(y, mean, variance + self.variances.get(row))
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn tails(&self, row: usize, y: f64) -> impl Fn(f64) -> Tails {
        move |f| self.predictive_tails(row, y, f, 0.0)
    }

    fn turn(&self, row: usize, y: f64) -> Turn {
        Turn { at: y, width: self.variances.get(row).sqrt() }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        f
    }

    fn predictive_tails(&self, row: usize, y: f64, mean: f64, variance: f64) -> Tails {
        Tails::normal((y - mean) / self.spread(row, variance))
    }

    fn predictive_quantile(&self, row: usize, p: f64, mean: f64, variance: f64) -> f64 {
        mean + self.spread(row, variance) * normal_quantile(p)
    }

    fn draw_one(&self, row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        f + self.variances.get(row).sqrt() * draws::normal(rng)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::assert_refused;
    use super::*;
    use crate::Error;
    use crate::likelihood::{Gaussian, Likelihood};
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        let noise = FixedNoise::new(&[0.3, 0.02]).unwrap().for_new(&[0.3, 0.02]).unwrap();
        Oracle::of(&noise).at(&[1.0, -0.5], &[0.4, 0.1], &[0.3, 1.2]).check().unwrap();
    }

    #[test]
    fn equal_variances_are_gaussian_noise() {
        let (y, mean, variance) = ([1.0, -0.5], [0.4, 0.1], [0.3, 1.2]);
        let (fixed, gaussian) = (FixedNoise::new(&[0.3; 2]).unwrap(), Gaussian::new(0.3));
        let by_fixed = fixed.variational_expectations(&y, &mean, &variance).unwrap();
        let by_gaussian = gaussian.variational_expectations(&y, &mean, &variance).unwrap();
        for row in 0..2 {
            assert!((by_fixed.values[row] - by_gaussian.values[row]).abs() < 1e-15);
            assert_eq!(by_fixed.d_mean[row], by_gaussian.d_mean[row]);
            assert_eq!(by_fixed.d_variance[row], by_gaussian.d_variance[row]);
        }
    }

    #[test]
    fn rows_have_their_own_noise() {
        let noise = FixedNoise::new(&[0.1, 0.2, 0.4]).unwrap();
        let batch = noise.rows(&[2, 0]).unwrap().unwrap();
        let whole = noise.log_density(&[1.0, 2.0, 3.0], &[0.0; 3]).unwrap();
        assert_eq!(batch.log_density(&[3.0, 1.0], &[0.0; 2]).unwrap(), [whole[2], whole[0]]);
        assert!(matches!(noise.rows(&[3]), Err(Error::Rows { start: 3, len: 3, .. })));
        let error = noise.log_density(&[1.0], &[0.0]).unwrap_err();
        assert!(error.to_string().contains("one for each noise variance"), "{error}");
    }

    #[test]
    fn new_observations_need_their_own() {
        let noise = FixedNoise::new(&[0.1, 0.2]).unwrap();
        let error = noise.predict(&[0.0; 2], &[1.0; 2]).unwrap_err();
        assert!(error.to_string().contains("the noise variance of new observations is unknown"), "{error}");
        assert_eq!(noise.log_predictive_density(&[0.0; 2], &[0.0; 2], &[1.0; 2]).unwrap_err(), error);
        let new = noise.for_new(&[0.5]).unwrap();
        assert!(matches!(new.predict(&[0.0; 2], &[1.0; 2]), Err(Error::Shape { .. })));
        assert!(
            matches!(FixedNoise::new(&[0.1, -0.2]), Err(Error::Parameter { path, .. }) if path == "noise variance[1]")
        );
        assert_refused(&FixedNoise::new(&[0.1, 0.2]).unwrap().for_new(&[0.1, 0.2]).unwrap(), &[0.0], f64::NAN);
    }
}
