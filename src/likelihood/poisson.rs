//! The Poisson likelihood.

use rand::Rng;

use super::average::Turn;
use super::bend::Bend;
use super::draws;
use super::expectation::{Expected, Terms};
use super::incomplete::gamma_tails;
use super::one_latent::{OneLatent, quadrature_setting};
use super::per_observation::PerObservation;
use super::quadrature::GaussHermite;
use super::solve::Support;
use super::special::log_normal_moments;
use super::tails::Tails;
use crate::{Result, parameterized};

/// Counts of events at the rate exp(f), each over an exposure.
///
/// # Definition
///
/// With exposure t (time, area, people at risk; 1 unless given) and f ~ N(μ, v),
///
/// - log p(y | f) = y (f + log t) − t exp(f) − log y!;
/// - E log p(y | f) = y (μ + log t) − t exp(μ + v/2) − log y!;
/// - a new observation has the mean m = t exp(μ + v/2) and the variance m + m² (exp(v) − 1); its log density
///   is by adaptive quadrature about the mode of the integrand, within 1e-9 of itself or of 1.
///
/// Exposures of single observations belong to the rows of the data: see [`for_new`](Self::for_new)
/// for predictions.
///
/// # Hyperparameters
///
/// None.
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Likelihood, Poisson};
///
/// // p(2 | rate e⁰) = e⁻¹/2
/// let likelihood = Poisson::new();
/// assert!((likelihood.log_density(&[2.0], &[0.0])?[0] - (-1.0 - 2f64.ln())).abs() < 1e-15);
/// // Ten times the exposure, ten times the count.
/// assert_eq!(likelihood.with_exposure(10.0)?.predict(&[0.0], &[0.0])?.mean, [10.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Diggle, Tawn & Moyeed (1998), "Model-based geostatistics", *Journal of the Royal Statistical Society C*
/// 47(3), 299–350: log-linear Poisson models of Gaussian processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Poisson {
    pub(super) exposure: Option<PerObservation>,
    pub(super) quadrature: Option<GaussHermite>,
}

parameterized!(Poisson as "poisson", parameters: []);

const WHAT: &str = "exposure";

/// Whether a number counts something.
pub(super) fn is_count(y: f64) -> bool {
    y >= 0.0 && y.is_finite() && y.fract() == 0.0
}

impl Poisson {
    /// Counts of exposure 1.
    pub fn new() -> Self {
        Self { exposure: None, quadrature: None }
    }

    /// Sets one exposure for all observations, new ones too.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if it is not positive and finite.
    pub fn with_exposure(mut self, exposure: f64) -> Result<Self> {
        self.exposure = Some(PerObservation::same(WHAT, exposure)?);
        Ok(self)
    }

    /// Sets an exposure for each row of the data.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter), by its row, for one that is not positive and finite.
    pub fn with_exposures(mut self, exposures: &[f64]) -> Result<Self> {
        self.exposure = Some(PerObservation::of_data(WHAT, exposures)?);
        Ok(self)
    }

    /// The likelihood of new observations, with their exposures: it predicts as many.
    ///
    /// # Errors
    ///
    /// As [`with_exposures`](Self::with_exposures).
    pub fn for_new(&self, exposures: &[f64]) -> Result<Self> {
        Ok(Self { exposure: Some(PerObservation::of_new(WHAT, exposures)?), ..self.clone() })
    }

    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order, about the mode of the integrand, for densities of new observations."
    );

    fn exposure(&self, row: usize) -> f64 {
        self.exposure.as_ref().map_or(1.0, |exposure| exposure.get(row))
    }
}

impl Default for Poisson {
    fn default() -> Self {
        Self::new()
    }
}

impl OneLatent for Poisson {
    type Gradient = [f64; 0];
    const LOG_CONCAVE: bool = true;

    fn expected(&self) -> String {
        "a Poisson likelihood takes counts: whole numbers, at least 0".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        is_count(y)
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 0]> {
        let log_exposure = self.exposure(row).ln();
        let log_factorial = libm::lgamma(y + 1.0);
        move |f| {
            let log_rate = f + log_exposure;
            let rate = log_rate.exp();
            Terms { value: y * log_rate - rate - log_factorial, slope: y - rate, curvature: -rate, gradient: [] }
        }
    }

    fn bend(&self, row: usize, _y: f64) -> Bend {
        Bend::new(-self.exposure(row).ln(), 1.0)
    }

    fn check_count(&self, count: usize) -> Result<()> {
        self.exposure.as_ref().map_or(Ok(()), |exposure| exposure.check_count(count))
    }

    fn check_new(&self, count: usize) -> Result<()> {
        self.exposure.as_ref().map_or(Ok(()), |exposure| exposure.check_new(count))
    }

    fn select(&self, rows: &[usize]) -> Result<Option<Self>> {
        let Some(exposure) = &self.exposure else { return Ok(None) };
        Ok(exposure.select(rows)?.map(|exposure| Self { exposure: Some(exposure), ..self.clone() }))
    }

    fn expectation(&self, row: usize, y: f64, mean: f64, variance: f64) -> Expected<[f64; 0]> {
        let log_exposure = self.exposure(row).ln();
        let rate = (mean + 0.5 * variance + log_exposure).exp();
        let value = y * (mean + log_exposure) - rate - libm::lgamma(y + 1.0);
        Expected { value, d_mean: y - rate, d_variance: -0.5 * rate, gradient: [] }
    }

    fn predict_one(&self, row: usize, mean: f64, variance: f64) -> (f64, f64) {
        let (rate, spread) = log_normal_moments(self.exposure(row), mean, variance, 0.0);
        (rate, rate + spread)
    }

    fn support(&self) -> Support {
        Support::COUNTS
    }

    fn tails(&self, row: usize, y: f64) -> impl Fn(f64) -> Tails {
        // P(Y ≤ y) = Q(y + 1, rate).
        let log_exposure = self.exposure(row).ln();
        move |f| gamma_tails(y + 1.0, (f + log_exposure).exp()).mirrored()
    }

    fn turn(&self, row: usize, y: f64) -> Turn {
        Turn { at: (y + 0.7).ln() - self.exposure(row).ln(), width: (y + 1.0).sqrt().recip().min(0.9) }
    }

    fn likely(&self, row: usize, f: f64) -> f64 {
        (f + self.exposure(row).ln()).exp().floor()
    }

    fn draw_one(&self, row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        draws::count((f + self.exposure(row).ln()).exp(), rng)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::Error;
    use crate::likelihood::Likelihood;
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        let likelihood = Poisson::new().for_new(&[1.0, 0.5, 20.0]).unwrap().with_quadrature(60).unwrap();
        Oracle::of(&likelihood).at(&[3.0, 0.0, 400.0], &[0.4, 1.3, 2.0], &[0.3, 1.2, 0.8]).check().unwrap();
        let support: Vec<f64> = (0..400).map(f64::from).collect();
        Oracle::of(&Poisson::new().with_exposure(3.0).unwrap()).within(2e-6).sums_to_one(&support).unwrap();
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        for y in [0.0, 1.0, 7.0, 1e3] {
            for mean in [0.0, 3.0, 8.0] {
                Oracle::of(&Poisson::new()).within(1e-7).at(&[y], &[mean], &[1.0]).check_values().unwrap();
                Oracle::of(&Poisson::new()).within(1e-4).at(&[y], &[mean], &[4.0]).check_predictive().unwrap();
            }
        }
        // Of many counts the rate is known to 1/√y: the density is that of log y, up to 1/y.
        let found = Poisson::new().log_predictive_density(&[1e9], &[0.0], &[1.0]).unwrap()[0];
        let log_y = 1e9f64.ln();
        close("many", found, crate::likelihood::log_normal(log_y, 0.0, 1.0) - log_y, 1e-8);
    }

    #[test]
    fn tails() {
        let likelihood = Poisson::new();
        let at = likelihood.log_density(&[0.0, 3.0, 0.0], &[-1e3, -1e3, 5.0]).unwrap();
        assert_eq!((at[0], at[2]), (0.0, -5f64.exp()));
        assert!((at[1] + 3e3 + 6f64.ln()).abs() < 1e-12);
        // The rate overflows: the density is 0.
        assert_eq!(likelihood.log_density(&[3.0], &[1e3]).unwrap(), [f64::NEG_INFINITY]);
    }

    #[test]
    fn what_is_refused() {
        for bad in [-1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert_refused(&Poisson::new(), &[0.0, 3.0], bad);
        }
        let exposed = Poisson::new().with_exposures(&[1.0, 2.0]).unwrap();
        assert!(matches!(exposed.predict(&[0.0; 2], &[1.0; 2]), Err(Error::Setting { .. })));
        assert!(matches!(exposed.log_density(&[0.0], &[1.0]), Err(Error::Shape { .. })));
        assert!(exposed.rows(&[1]).unwrap().is_some() && Poisson::new().rows(&[1]).unwrap().is_none());
        assert!(matches!(Poisson::new().with_exposure(0.0), Err(Error::Parameter { path, .. }) if path == "exposure"));
    }
}
