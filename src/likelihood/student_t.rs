//! The Student-t likelihood.

use std::f64::consts::PI;

use rand::{Rng, RngExt};

use super::average::Turn;
use super::bend::Bend;
use super::expectation::Terms;
use super::incomplete::StudentTails;
use super::one_latent::{OneLatent, quadrature_setting};
use super::quadrature::GaussHermite;
use super::solve::Support;
use super::special::ln_gamma_half_step;
use super::tails::Tails;
use crate::{Error, Result};

crate::declare! {
    /// Noise with heavy tails, which outliers do not pull at.
    ///
    /// # Definition
    ///
    /// With scale σ, ν degrees of freedom and z = (y − f)/σ,
    ///
    /// p(y | f) = Γ((ν + 1)/2) / (Γ(ν/2) √(νπ) σ) · (1 + z²/ν)^(−(ν + 1)/2)
    ///
    /// A new observation has the mean μ, for ν > 1, and the variance v + σ² ν / (ν − 2), which is infinite
    /// for ν ≤ 2. Expectations are by quadrature that follows v beside σ²ν, since log p has its singularities σ√ν off the
    /// real line, and log densities of new observations by adaptive quadrature about all maxima of the integrand: there
    /// may be one near y and one near μ. Both are within 1e-9 of themselves or of 1.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `scale` | σ | that of the outputs | positive |
    /// | `degrees_of_freedom` | ν | none | positive |
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Likelihood, StudentT};
    ///
    /// // One degree of freedom is the Cauchy density, 1/π at its centre.
    /// let cauchy = StudentT::new(1.0, 1.0);
    /// assert!((cauchy.log_density(&[0.5], &[0.5])?[0] + std::f64::consts::PI.ln()).abs() < 1e-15);
    /// assert!(cauchy.predict(&[0.0], &[1.0]).is_err()); // it has no mean
    ///
    /// assert_eq!(StudentT::new(0.5, 4.0).predict(&[2.0], &[1.0])?.variance, [1.5]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Jylänki, Vanhatalo & Vehtari (2011), "Robust Gaussian process regression with a Student-t likelihood",
    /// *Journal of Machine Learning Research* 12, 3227–3257.
    pub StudentT as "student_t" {
        /// The scale σ.
        scale: Scalar = Positive,
        /// The degrees of freedom ν.
        degrees_of_freedom: Scalar = Positive,
        state quadrature: Option<GaussHermite>,
    }
}

#[cfg(feature = "serde")]
crate::save::saved!(StudentT as "student_t": try_new(scale, degrees_of_freedom), quadrature);

impl StudentT {
    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order for expectations at all variances, as other libraries do."
    );

    fn noise_variance(&self) -> f64 {
        let (scale, nu) = (self.scale(), self.degrees_of_freedom());
        if nu > 2.0 { scale * scale * nu / (nu - 2.0) } else { f64::INFINITY }
    }
}

impl OneLatent for StudentT {
    type Gradient = [f64; 2];

    fn expected(&self) -> String {
        "a Student-t likelihood takes finite numbers".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        y.is_finite()
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 2]> {
        let (scale, nu) = (self.scale(), self.degrees_of_freedom());
        let (ratio, in_ratio) = ln_gamma_half_step(0.5 * nu);
        let constant = ratio - 0.5 * (nu * PI).ln() - scale.ln();
        let in_constant = 0.5 * (in_ratio - 1.0 / nu);
        move |f| {
            let z = (y - f) / scale;
            let square = z * z;
            // log(1 + z²/ν), where z² may overflow
            let log = if square < 1e16 * nu { (square / nu).ln_1p() } else { 2.0 * z.abs().ln() - nu.ln() };
            // z²/(ν + z²), 0 at 0 and 1 where z² overflows
            let share = 1.0 / (1.0 + nu / square);
            Terms {
                value: constant - 0.5 * (nu + 1.0) * log,
                slope: (nu + 1.0) / (nu / z + z) / scale,
                curvature: (nu + 1.0) * (2.0 * share - 1.0) / (nu + square) / scale / scale,
                gradient: [((nu + 1.0) * share - 1.0) / scale, in_constant + 0.5 * ((nu + 1.0) / nu * share - log)],
            }
        }
    }

    fn bend(&self, _row: usize, y: f64) -> Bend {
        // 1 + z²/ν is 0 at z = ±i√ν.
        let nu = self.degrees_of_freedom();
        Bend { size: 0.5 * (nu + 1.0), ..Bend::new(y, self.scale() * nu.sqrt()) }
    }

    fn check_moments(&self) -> Result<()> {
        if self.degrees_of_freedom() > 1.0 {
            return Ok(());
        }
        let expected = "a mean exists only above 1; the log predictive density exists always";
        Err(Error::setting("the degrees of freedom", self.degrees_of_freedom(), expected))
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        (mean, variance + self.noise_variance())
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn tails(&self, _row: usize, y: f64) -> impl Fn(f64) -> Tails {
        let (scale, student) = (self.scale(), StudentTails::new(self.degrees_of_freedom()));
        move |f| student.at((y - f) / scale)
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        // 1 + z²/ν is 0 at z = ±i√ν, and the widest turn with its singularities there is √ν times 1.8/π.
        Turn { at: y, width: self.scale() * (self.degrees_of_freedom().sqrt() * Turn::LOGISTIC / PI).min(1.0) }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        f
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        // Refused only for what are no degrees of freedom.
        let draw = rand_distr::StudentT::new(self.degrees_of_freedom()).map_or(f64::NAN, |student| rng.sample(student));
        f + self.scale() * draw
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::likelihood::{Gaussian, Likelihood};
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        for (scale, nu) in [(1.0, 3.0), (0.5, 60.0), (2.0, 1.2)] {
            let likelihood = StudentT::new(scale, nu).with_quadrature(200).unwrap();
            Oracle::of(&likelihood).at(&[3.0, 0.01, -0.8], &[0.4, -1.3, 0.9], &[0.3, 0.2, 0.1]).check().unwrap();
        }
        // y = sinh t has light tails in t.
        let weighted: Vec<(f64, f64)> =
            (-2500..=2500).map(|i| 0.01 * f64::from(i)).map(|t| (t.sinh(), 0.01 * t.cosh())).collect();
        Oracle::of(&StudentT::new(0.8, 6.0).with_quadrature(100).unwrap())
            .within(1e-7)
            .integrates_to_one(&weighted)
            .unwrap();
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        let likelihood = StudentT::new(0.3, 4.0);
        for y in [-1.0, 0.1, 0.5, 4.0] {
            for (variance, tolerance) in [(0.09, 1e-6), (1.44, 2e-2)] {
                let value = |likelihood: &StudentT| {
                    likelihood.variational_expectations(&[y], &[0.0], &[variance]).unwrap().values[0]
                };
                close(
                    "expectation",
                    value(&likelihood),
                    value(&likelihood.clone().with_quadrature(1000).unwrap()),
                    tolerance,
                );
                Oracle::of(&likelihood).within(1e-10).at(&[y], &[0.0], &[variance]).check_predictive().unwrap();
            }
        }
    }

    #[test]
    fn many_degrees_of_freedom_are_gaussian_noise() {
        let found = StudentT::new(0.5, 1e12).log_density(&[1.3], &[0.4]).unwrap()[0];
        close("density", found, Gaussian::new(0.25).log_density(&[1.3], &[0.4]).unwrap()[0], 1e-11);
    }

    #[test]
    fn tails_and_support() {
        let likelihood = StudentT::new(1.0, 3.0);
        let at = |f: f64| likelihood.variational_expectations(&[0.0], &[f], &[0.0]).unwrap();
        // Four powers of f, at any distance.
        close("ratio", at(1e3).values[0] - at(1e200).values[0], 4.0 * 197.0 * 10f64.ln(), 1e-8);
        assert!((at(1e200).d_mean[0] / -4e-200 - 1.0).abs() < 1e-15 && at(1e200).d_variance[0] == 0.0);
        assert!(at(0.0).d_mean[0] == 0.0 && (at(0.0).d_variance[0] + 2.0 / 3.0).abs() < 1e-15);
        for bad in [f64::NAN, f64::INFINITY] {
            assert_refused(&likelihood, &[0.5], bad);
        }
        assert!(StudentT::try_new(0.0, 3.0).is_err() && StudentT::try_new(1.0, -3.0).is_err());
        assert_eq!(StudentT::new(1.0, 1.5).predict(&[0.0], &[1.0]).unwrap().variance, [f64::INFINITY]);
        assert!(matches!(StudentT::new(1.0, 0.9).predict(&[0.0], &[1.0]), Err(Error::Setting { .. })));
        assert!(StudentT::new(1.0, 0.9).log_predictive_density(&[0.0], &[0.0], &[1.0]).unwrap()[0].is_finite());
    }
}
