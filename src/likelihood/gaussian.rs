//! The Gaussian likelihood.

use std::f64::consts::PI;

use rand::Rng;

use super::quadrature::deviation;
use super::tails::{Tails, normal_quantile};
use super::{Expectations, Likelihood, Predicted, check_latent_values, check_len, check_probability, draws};
use crate::Result;
use crate::simd::Lanes;
use crate::simd::map::{Map, map};

crate::declare! {
    /// Gaussian noise of one variance.
    ///
    /// # Definition
    ///
    /// With noise variance σ² and f ~ N(μ, v),
    ///
    /// - log p(y | f) = −½ log 2πσ² − (y − f)² / (2σ²);
    /// - E = E\[log p(y | f)\] = −½ log 2πσ² − ((y − μ)² + v) / (2σ²), with
    ///   ∂E/∂μ = (y − μ) / σ², ∂E/∂v = −1 / (2σ²) and
    ///   ∂E/∂σ² = ((y − μ)² + v − σ²) / (2σ⁴);
    /// - a new observation is N(μ, v + σ²), of log density −½ log 2π(v + σ²) − (y − μ)² / (2(v + σ²)).
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared | positive |
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Gaussian, Likelihood};
    /// use mercer::prelude::*;
    ///
    /// let noise = Gaussian::new(0.25);
    /// assert_eq!(noise.get("gaussian.variance")?, 0.25);
    /// assert_eq!(noise.predict(&[3.0], &[0.5])?.variance, [0.75]);
    ///
    /// let expected = noise.variational_expectations(&[1.0], &[0.0], &[0.5])?;
    /// assert_eq!((expected.d_mean[0], expected.d_variance[0]), (4.0, -2.0));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Hensman, Fusi & Lawrence (2013), "Gaussian processes for big data", UAI, equation 4.
    pub Gaussian as "gaussian" {
        /// The variance σ².
        variance: Scalar = Positive,
    }
}

#[cfg(feature = "serde")]
crate::save::saved!(Gaussian as "gaussian": try_new(variance));

/// log N(y; mean, variance).
pub(crate) fn log_normal(y: f64, mean: f64, variance: f64) -> f64 {
    let miss = y - mean;
    // log 2π + log v, where 2πv could overflow.
    -0.5 * ((2.0 * PI).ln() + variance.ln() + miss * (miss / variance))
}

impl Gaussian {
    /// The deviation of a new observation.
    fn spread(&self, variance: f64) -> f64 {
        self.variance().sqrt().hypot(deviation(variance))
    }
}

/// The expectation of one observation, and its derivative in the mean; ((y − μ)² + v)/σ² − 1 is summed.
#[derive(Clone, Copy)]
struct Expected {
    noise: f64,
    /// log 2π + log σ²
    constant: f64,
}

impl Map<f64, 3, 2, 1> for Expected {
    #[inline(always)]
    fn map<L: Lanes<f64>>(self, [y, mean, variance]: [L; 3]) -> ([L; 2], [L; 1]) {
        let miss = y - mean;
        // The ratios first: σ⁴ underflows long before σ².
        let slope = miss / self.noise;
        let value = (miss * slope + self.constant) * -0.5 - variance / self.noise * 0.5;
        ([value, slope], [(miss * miss + variance) / self.noise - 1.0])
    }
}

impl Likelihood for Gaussian {
    fn gaussian_noise(&self) -> Option<f64> {
        Some(self.variance())
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        check_len(y.len(), &[("the latent values", f)])?;
        Ok(y.iter().zip(f).map(|(&y, &f)| log_normal(y, f, self.variance())).collect())
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        check_len(y.len(), &[("the means", mean), ("the variances", variance)])?;
        let noise = self.variance();
        let [values, d_mean] = &mut [(); 2].map(|()| vec![0.0; y.len()]);
        let constant = (2.0 * PI).ln() + noise.ln();
        let [excess] = map(Expected { noise, constant }, [y, mean, variance], [values, d_mean]);
        Ok(Expectations {
            values: std::mem::take(values),
            d_mean: std::mem::take(d_mean),
            d_variance: vec![-0.5 / noise; y.len()],
            d_params: vec![0.5 * excess / noise],
        })
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        check_len(mean.len(), &[("the variances", variance)])?;
        let variance = variance.iter().map(|v| v + self.variance()).collect();
        Ok(Predicted { mean: mean.to_vec(), variance })
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_len(y.len(), &[("the means", mean), ("the variances", variance)])?;
        let terms = y.iter().zip(mean).zip(variance);
        Ok(terms.map(|((&y, &mean), &variance)| log_normal(y, mean, variance + self.variance())).collect())
    }

    fn cumulative(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_len(y.len(), &[("the means", mean), ("the variances", variance)])?;
        let rows = y.iter().zip(mean).zip(variance);
        Ok(rows
            .map(|((&y, &mean), &variance)| Tails::normal((y - mean) / self.spread(variance)).probability())
            .collect())
    }

    fn quantile(&self, probability: f64, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_probability(probability)?;
        check_len(mean.len(), &[("the variances", variance)])?;
        let z = normal_quantile(probability);
        Ok(mean.iter().zip(variance).map(|(&mean, &variance)| mean + z * self.spread(variance)).collect())
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        check_latent_values(f)?;
        let deviation = self.variance().sqrt();
        Ok(f.iter().map(|f| f + deviation * draws::normal(rng)).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Error;
    use crate::params::ParameterizedExt;

    const Y: [f64; 3] = [1.0, -0.5, 2.0];
    const MEAN: [f64; 3] = [0.4, 0.1, 1.9];
    const VARIANCE: [f64; 3] = [0.3, 1.2, 0.05];

    /// ∫ g(f) N(f; mean, variance) df by the trapezoid rule, exact to rounding for such functions.
    fn expectation(mean: f64, variance: f64, g: impl Fn(f64) -> f64) -> f64 {
        let h = 0.01;
        let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
        (-1000..=1000).map(|i| f64::from(i) * h).map(|z| h * density(z) * g(mean + variance.sqrt() * z)).sum()
    }

    #[test]
    fn density_is_the_normal_one() {
        // φ(2) / 0.5, φ from tables.
        let density = Gaussian::new(0.25).log_density(&[1.0], &[0.0]).unwrap()[0].exp();
        assert!((density - 0.05399096651318806 / 0.5).abs() < 1e-15);
    }

    #[test]
    fn expectations_match_quadrature() {
        let noise = Gaussian::new(0.3);
        let expected = noise.variational_expectations(&Y, &MEAN, &VARIANCE).unwrap();
        let predictive = noise.log_predictive_density(&Y, &MEAN, &VARIANCE).unwrap();
        for i in 0..3 {
            let log_density = |f| noise.log_density(&[Y[i]], &[f]).unwrap()[0];
            let quadrature = expectation(MEAN[i], VARIANCE[i], log_density);
            assert!((expected.values[i] - quadrature).abs() < 1e-10);
            let marginal = expectation(MEAN[i], VARIANCE[i], |f| log_density(f).exp());
            assert!((predictive[i] - marginal.ln()).abs() < 1e-10);
        }
    }

    #[test]
    fn derivatives_match_finite_differences() {
        let noise = Gaussian::new(0.3);
        let expected = noise.variational_expectations(&Y, &MEAN, &VARIANCE).unwrap();
        let step = 1e-6;
        let value = |sigma2: f64, mean: [f64; 3], variance: [f64; 3]| {
            Gaussian::new(sigma2).variational_expectations(&Y, &mean, &variance).unwrap().values.iter().sum::<f64>()
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-8 * (1.0 + b.abs()), "{a} {b}");
        for i in 0..3 {
            let moved = |array: [f64; 3], by: f64| {
                let mut array = array;
                array[i] += by;
                array
            };
            let upper = value(0.3, moved(MEAN, step), VARIANCE);
            let lower = value(0.3, moved(MEAN, -step), VARIANCE);
            close((upper - lower) / (2.0 * step), expected.d_mean[i]);
            let upper = value(0.3, MEAN, moved(VARIANCE, step));
            let lower = value(0.3, MEAN, moved(VARIANCE, -step));
            close((upper - lower) / (2.0 * step), expected.d_variance[i]);
        }
        let difference = value(0.3 + step, MEAN, VARIANCE) - value(0.3 - step, MEAN, VARIANCE);
        close(difference / (2.0 * step), expected.d_params[0]);
        assert_eq!(expected.d_params.len(), noise.num_params());
    }

    #[test]
    fn lengths_are_checked() {
        let noise = Gaussian::new(0.3);
        assert!(matches!(noise.log_density(&Y, &[0.0]), Err(Error::Shape { .. })));
        assert!(matches!(noise.variational_expectations(&Y, &MEAN, &[]), Err(Error::Shape { .. })));
        assert!(matches!(noise.predict(&MEAN, &[]), Err(Error::Shape { .. })));
        assert!(matches!(noise.log_predictive_density(&Y, &[], &VARIANCE), Err(Error::Shape { .. })));
        assert!(matches!(Gaussian::try_new(0.0), Err(Error::Parameter { .. })));
    }
}
