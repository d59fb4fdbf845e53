//! The gamma likelihood.

use rand::Rng;

use super::average::Turn;
use super::bend::Bend;
use super::draws;
use super::expectation::{Expected, Terms};
use super::incomplete::gamma_tails;
use super::one_latent::{OneLatent, quadrature_setting};
use super::quadrature::GaussHermite;
use super::solve::Support;
use super::special::{digamma, log_normal_moments};
use super::tails::Tails;

crate::declare! {
    /// Positive observations of mean exp(f), whose deviation is a fixed part of the mean.
    ///
    /// # Definition
    ///
    /// With shape α and f ~ N(μ, v),
    ///
    /// - log p(y | f) = α (log α − f) − log Γ(α) + (α − 1) log y − α y exp(−f), of mean exp(f) and variance exp(2f)/α;
    /// - its expectation has μ in place of f and exp(−μ + v/2) in place of exp(−f);
    /// - a new observation has the mean M = exp(μ + v/2) and the variance M² (exp(v)/α + exp(v) − 1); its log density
    ///   is by adaptive quadrature about the mode of the integrand, within 1e-9.
    ///
    /// α = 1 is exponential decay.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `shape` | α | none | positive |
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Gamma, Likelihood};
    ///
    /// // An exponential density of mean 2 at 3: e^(−3/2)/2
    /// let density = Gamma::new(1.0).log_density(&[3.0], &[2f64.ln()])?[0];
    /// assert!((density - (-1.5 - 2f64.ln())).abs() < 1e-15);
    /// // One quarter of the mean squared.
    /// assert_eq!(Gamma::new(4.0).predict(&[0.0], &[0.0])?.variance, [0.25]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// McCullagh & Nelder (1989), *Generalized Linear Models*, second edition, chapter 8.
    pub Gamma as "gamma" {
        /// The shape α.
        shape: Scalar = Positive,
        state quadrature: Option<GaussHermite>,
    }
}

#[cfg(feature = "serde")]
crate::save::saved!(Gamma as "gamma": try_new(shape), quadrature);

impl Gamma {
    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order, about the mode of the integrand, for densities of new observations."
    );

    /// log p with u = log y − f, and y exp(−f) given apart: their expectations are what E log p needs.
    fn log_density_of(&self, y: f64, u: f64, ratio: f64) -> (f64, f64) {
        let shape = self.shape();
        let value = shape * (shape.ln() + u - ratio) - libm::lgamma(shape) - y.ln();
        (value, shape.ln() + 1.0 + u - ratio - digamma(shape))
    }
}

impl OneLatent for Gamma {
    type Gradient = [f64; 1];
    const LOG_CONCAVE: bool = true;

    fn expected(&self) -> String {
        "a gamma likelihood takes positive finite numbers".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        y > 0.0 && y.is_finite()
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 1]> {
        move |f| {
            let u = y.ln() - f;
            let ratio = u.exp();
            let (value, in_shape) = self.log_density_of(y, u, ratio);
            let shape = self.shape();
            Terms { value, slope: shape * (ratio - 1.0), curvature: -shape * ratio, gradient: [in_shape] }
        }
    }

    fn bend(&self, _row: usize, y: f64) -> Bend {
        Bend::new(self.shape().ln() + y.ln(), 1.0)
    }

    fn expectation(&self, _row: usize, y: f64, mean: f64, variance: f64) -> Expected<[f64; 1]> {
        let u = y.ln() - mean;
        let ratio = (u + 0.5 * variance).exp();
        let (value, in_shape) = self.log_density_of(y, u, ratio);
        let shape = self.shape();
        Expected { value, d_mean: shape * (ratio - 1.0), d_variance: -0.5 * shape * ratio, gradient: [in_shape] }
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        log_normal_moments(1.0, mean, variance, 1.0 / self.shape())
    }

    fn support(&self) -> Support {
        Support::Positive
    }

    fn tails(&self, _row: usize, y: f64) -> impl Fn(f64) -> Tails {
        let (shape, log) = (self.shape(), self.shape().ln() + y.ln());
        move |f| gamma_tails(shape, (log - f).exp())
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        Turn { at: y.ln(), width: self.shape().sqrt().recip().min(0.9) }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        f.exp()
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        // What underflows is the least number that has a density.
        (f - self.shape().ln() + draws::ln_gamma(self.shape(), rng)).exp().max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::assert_refused;
    use super::*;
    use crate::likelihood::Likelihood;
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        for shape in [0.6, 1.0, 8.0] {
            let likelihood = Gamma::new(shape).with_quadrature(60).unwrap();
            Oracle::of(&likelihood).at(&[3.0, 0.01, 20.0], &[0.4, -1.3, 2.0], &[0.3, 1.2, 0.8]).check().unwrap();
        }
        // In log y the integrands are smooth and fall off on both sides.
        let y = |i: i32| (0.01 * f64::from(i)).exp();
        let weighted: Vec<(f64, f64)> = (-4000..1000).map(|i| (y(i), 0.01 * y(i))).collect();
        Oracle::of(&Gamma::new(1.7)).within(1e-6).integrates_to_one(&weighted).unwrap();
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        for y in [1e-3, 1.0, 7.0, 1e3] {
            for shape in [0.5, 3.0, 100.0] {
                Oracle::of(&Gamma::new(shape)).within(1e-7).at(&[y], &[0.3], &[1.0]).check_values().unwrap();
                Oracle::of(&Gamma::new(shape)).within(1e-4).at(&[y], &[0.3], &[4.0]).check_predictive().unwrap();
            }
        }
    }

    #[test]
    fn tails_and_support() {
        let likelihood = Gamma::new(2.0);
        let at = likelihood.log_density(&[1.0, 1e3], &[1e3, 1e3]).unwrap();
        assert!((at[0] - (2.0 * 2f64.ln() - 2e3)).abs() < 1e-11 && (at[1] - at[0] - 1e3f64.ln()).abs() < 1e-11);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_refused(&likelihood, &[1.0], bad);
        }
        assert!(Gamma::try_new(0.0).is_err());
    }
}
