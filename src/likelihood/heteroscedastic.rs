//! Gaussian noise whose variance is a second latent function.

use rand::Rng;

use super::average::{Turn, average};
use super::jet::Jet;
use super::latents::{check_latents, observations};
use super::log_mean_exp::log_mean_exp;
use super::quadrature::deviation;
use super::solve::{self, Support};
use super::special::{HALF_LN_TAU, logistic};
use super::tails::{Tails, normal_quantile};
use super::{Expectations, Likelihood, Predicted, check_draws, check_latent_values, check_probability, draws};
use crate::{Error, Result, parameterized};

/// Gaussian noise with a deviation of its own at each point, the exponential of a second latent function.
///
/// # Definition
///
/// With two latent values, f of the mean and g of the logarithm of the deviation, f ~ N(μ, v) and
/// g ~ N(η, w) independent,
///
/// - log p(y | f, g) = −½ log 2π − g − (y − f)² exp(−2g) / 2;
/// - its expectation is −½ log 2π − η − ((y − μ)² + v) exp(−2η + 2w) / 2, in closed form;
/// - a new observation has the mean μ and the variance v + exp(2η + 2w); its log density, that of
///   ∫ N(y; μ, v + exp(2g)) N(g; η, w) dg, is by adaptive quadrature, within 1e-9 of itself or of 1, and its distribution
///   function, that of ∫ Φ((y − μ)/√(v + exp(2g))) N(g; η, w) dg, by the trapezoid rule, within 1e-10.
///
/// Slices have the N values of f first, then the N values of g.
///
/// # Hyperparameters
///
/// None: a constant mean function of g is the level of the noise.
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Heteroscedastic, Likelihood};
///
/// let likelihood = Heteroscedastic::new();
/// assert_eq!(likelihood.latents(), 2);
/// // Two observations; the noise of the second has the deviation ½.
/// let latent = [0.0, 1.0, 0.0, 0.5f64.ln()];
/// assert!((likelihood.predict(&latent, &[0.0; 4])?.variance[1] - 0.25).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lázaro-Gredilla & Titsias (2011), "Variational heteroscedastic Gaussian process regression", *International
/// Conference on Machine Learning*, 841–848 (there of the log variance, 2g).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heteroscedastic;

parameterized!(Heteroscedastic as "heteroscedastic", parameters: []);

impl Heteroscedastic {
    /// Noise whose log deviation is the second latent function.
    pub fn new() -> Self {
        Self
    }
}

fn check(y: &[f64], slices: &[(&str, &[f64])]) -> Result<()> {
    check_latents(y.len(), 2, slices)?;
    match y.iter().position(|y| !y.is_finite()) {
        Some(row) => {
            let expected = "a heteroscedastic likelihood takes finite numbers".to_owned();
            Err(Error::Observation { row, value: y[row], expected })
        }
        None => Ok(()),
    }
}

/// A product in which 0 stays 0 where the other factor overflows: no miss weighs nothing at any precision.
fn times(miss: f64, precision: f64) -> f64 {
    if miss == 0.0 { 0.0 } else { miss * precision }
}

/// log N(miss; 0, certain² + exp(2g)) as a function of g.
fn log_density_of(miss: f64, certain: f64, g: f64) -> Jet {
    // The share of exp(2g) in the variance s², which is s² = exp(2g)/share, and its derivative.
    let share = logistic(2.0 * (g - certain.ln()));
    let d_share = 2.0 * share * logistic(2.0 * (certain.ln() - g));
    let log_deviation = if share > 0.5 { g - 0.5 * share.ln() } else { certain.ln() - 0.5 * (-share).ln_1p() };
    let z = times(miss, (-log_deviation).exp());
    let square = z * z;
    Jet {
        value: -HALF_LN_TAU - log_deviation - 0.5 * square,
        slope: times(share, square - 1.0),
        curvature: times(d_share, square - 1.0) - times(2.0 * share * share, square),
    }
}

/// P(Y ≤ μ + miss) and P(Y > μ + miss).
fn tails(miss: f64, variance: f64, log_noise: f64, noise_variance: f64) -> Tails {
    let certain = deviation(variance);
    let z = |g: f64| if miss == 0.0 { 0.0 } else { miss / certain.hypot(g.exp()) };
    // The noise overtakes what is certain, or reaches the miss; v + exp(2g) is 0 at log √v + iπ/2.
    let turn = Turn { at: certain.max(miss.abs()).max(f64::MIN_POSITIVE).ln(), width: 0.9 };
    average(|g| Tails::normal(z(g)), turn, log_noise, noise_variance)
}

impl Likelihood for Heteroscedastic {
    fn latents(&self) -> usize {
        2
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        check(y, &[("the latent values", f)])?;
        let (f, g) = f.split_at(y.len());
        let density = |((&y, &f), &g): ((&f64, &f64), &f64)| {
            let z = times(y - f, (-g).exp());
            -HALF_LN_TAU - g - 0.5 * z * z
        };
        Ok(y.iter().zip(f).zip(g).map(density).collect())
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        check(y, &[("the means", mean), ("the variances", variance)])?;
        let n = y.len();
        let mut all = Expectations::with_capacity(n, 2 * n, 0);
        all.d_mean.resize(2 * n, 0.0);
        all.d_variance.resize(2 * n, 0.0);
        for row in 0..n {
            let miss = y[row] - mean[row];
            let precision = (2.0 * (variance[n + row] - mean[n + row])).exp();
            let square = times(miss * miss + variance[row], precision);
            all.values.push(-HALF_LN_TAU - mean[n + row] - 0.5 * square);
            all.d_mean[row] = times(miss, precision);
            all.d_mean[n + row] = square - 1.0;
            all.d_variance[row] = -0.5 * precision;
            all.d_variance[n + row] = -square;
        }
        Ok(all)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        let n = observations(2, mean, variance)?;
        let seen = |row: usize| variance[row] + (2.0 * (mean[n + row] + variance[n + row])).exp();
        Ok(Predicted { mean: mean[..n].to_vec(), variance: (0..n).map(seen).collect() })
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check(y, &[("the means", mean), ("the variances", variance)])?;
        let n = y.len();
        let density = |row: usize| {
            let (miss, certain) = (f64::abs(y[row] - mean[row]), deviation(variance[row]));
            // The noise overtakes what is certain, and is as large as the miss.
            let landmarks = [(certain.ln(), 1.0), (miss.ln(), 0.5)];
            log_mean_exp(|g| log_density_of(miss, certain, g), &landmarks, mean[n + row], variance[n + row])
        };
        Ok((0..n).map(density).collect())
    }

    fn cumulative(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        let n = y.len();
        check_latents(n, 2, &[("the means", mean), ("the variances", variance)])?;
        let tails = |row: usize| {
            let tails = |y: f64| tails(y - mean[row], variance[row], mean[n + row], variance[n + row]);
            Support::Real.tails(y[row], tails).probability()
        };
        Ok((0..n).map(tails).collect())
    }

    fn quantile(&self, probability: f64, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_probability(probability)?;
        let n = observations(2, mean, variance)?;
        let of_row = |row: usize| {
            let (log_noise, noise_variance) = (mean[n + row], variance[n + row]);
            // Symmetric about the mean, which is the median.
            let of_miss = |miss: f64| tails(miss, variance[row], log_noise, noise_variance);
            let spread = deviation(variance[row]).hypot(log_noise.exp());
            let likely = normal_quantile(probability) * spread;
            mean[row] + solve::quantile(Support::Real, probability, likely, spread, of_miss)
        };
        Ok((0..n).map(of_row).collect())
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        check_latent_values(f)?;
        let n = observations(2, f, f)?;
        let draws = (0..n).map(|row| f[row] + f[n + row].exp() * draws::normal(rng)).collect();
        check_draws("heteroscedastic", &f[n..], draws)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::likelihood::{GaussHermite, Gaussian, log_normal};
    use crate::testkit::likelihoods::Oracle;

    const Y: [f64; 2] = [1.0, -0.5];
    const MEAN: [f64; 4] = [0.4, 0.1, -0.3, 0.6];
    const VARIANCE: [f64; 4] = [0.3, 1.2, 0.2, 0.05];

    /// With certain noise it is the Gaussian likelihood.
    #[test]
    fn certain_noise_is_gaussian() {
        let likelihood = Heteroscedastic::new();
        let (mean, variance) = ([0.4, 0.1, 0.3f64.ln(), 0.3f64.ln()], [0.3, 1.2, 0.0, 0.0]);
        let gaussian = Gaussian::new(0.09);
        let found = likelihood.variational_expectations(&Y, &mean, &variance).unwrap();
        let expected = gaussian.variational_expectations(&Y, &mean[..2], &variance[..2]).unwrap();
        let predictive = likelihood.log_predictive_density(&Y, &mean, &variance).unwrap();
        let expected_predictive = gaussian.log_predictive_density(&Y, &mean[..2], &variance[..2]).unwrap();
        for row in 0..2 {
            close("value", found.values[row], expected.values[row], 1e-14);
            close("d_mean", found.d_mean[row], expected.d_mean[row], 1e-14);
            close("d_variance", found.d_variance[row], expected.d_variance[row], 1e-14);
            close("predictive", predictive[row], expected_predictive[row], 1e-14);
        }
        assert_eq!(likelihood.predict(&mean, &variance).unwrap().mean, [0.4, 0.1]);
    }

    /// Against a product of two accurate rules.
    #[test]
    fn matches_quadrature() {
        let (likelihood, rule) = (Heteroscedastic::new(), GaussHermite::new(64).unwrap());
        let found = likelihood.variational_expectations(&Y, &MEAN, &VARIANCE).unwrap();
        let predictive = likelihood.log_predictive_density(&Y, &MEAN, &VARIANCE).unwrap();
        for row in 0..2 {
            let over = |of: &dyn Fn(f64) -> f64| {
                rule.expectation(MEAN[2 + row], VARIANCE[2 + row], |g| {
                    rule.expectation(MEAN[row], VARIANCE[row], |f| {
                        of(likelihood.log_density(&[Y[row]], &[f, g]).unwrap()[0])
                    })
                })
            };
            close("value", found.values[row], over(&|l| l), 1e-10);
            // Order 64 is no better where p(y | f, g) is narrow in f.
            close("predictive", predictive[row], over(&f64::exp).ln(), 1e-6);
        }
        Oracle::of(&likelihood).at(&Y, &MEAN, &VARIANCE).check_derivatives().unwrap();
        // Wide, and far out.
        let fine = |y: f64, v: f64, w: f64| -> f64 {
            let points = (-90_000..=90_000).map(|i| 1e-4 * f64::from(i));
            let density = |z: f64| (log_normal(y, 0.0, v + (2.0 * w.sqrt() * z).exp()) + log_normal(z, 0.0, 1.0)).exp();
            points.map(|z| 1e-4 * density(z)).sum::<f64>().ln()
        };
        for w in [0.1, 1.0, 6.0] {
            for (y, v) in [(0.0, 0.0), (0.0, 0.1), (2.0, 1e-4), (4.0, 0.1), (30.0, 0.0)] {
                let found = likelihood.log_predictive_density(&[y], &[0.0, 0.0], &[v, w]).unwrap()[0];
                close("predictive", found, fine(y, v, w), 1e-8);
            }
        }
    }

    /// Mean, variance and total probability of a new observation, by the trapezoid rule over y.
    #[test]
    fn predictions_are_moments_of_the_predictive_density() {
        let likelihood = Heteroscedastic::new();
        let (mean, variance) = ([0.4, -0.3], [0.3, 0.1]);
        let predicted = likelihood.predict(&mean, &variance).unwrap();
        let h = 0.01;
        let moment = |power: i32| -> f64 {
            let y = (-2000..=2000).map(|i| 0.4 + h * f64::from(i));
            let density = |y: f64| likelihood.log_predictive_density(&[y], &mean, &variance).unwrap()[0].exp();
            y.map(|y| h * density(y) * (y - 0.4).powi(power)).sum()
        };
        close("total", moment(0), 1.0, 1e-12);
        close("mean", predicted.mean[0] - 0.4, moment(1), 1e-12);
        close("variance", predicted.variance[0], moment(2), 1e-9);
    }

    #[test]
    fn tails_and_what_is_refused() {
        let likelihood = Heteroscedastic::new();
        // exp(−2g) overflows on its own, but not beside a miss of 0.
        assert_eq!(likelihood.log_density(&[0.0], &[0.0, -1e3]).unwrap(), [1e3 - HALF_LN_TAU]);
        let at = likelihood.variational_expectations(&[0.0], &[0.0, -1e3], &[0.0; 2]).unwrap();
        assert_eq!((at.values[0], &at.d_mean[..]), (1e3 - HALF_LN_TAU, &[0.0, -1.0][..]));
        assert_eq!(likelihood.log_density(&[5.0], &[1e3, 1e3]).unwrap(), [-1e3 - HALF_LN_TAU]);
        assert_refused(&likelihood, &[0.0], f64::NAN);
        assert!(matches!(likelihood.log_density(&Y, &[0.0; 2]), Err(Error::Shape { .. })));
        assert!(matches!(likelihood.predict(&[0.0; 3], &[0.0; 3]), Err(Error::Shape { .. })));
        assert!(matches!(likelihood.predict(&[0.0; 4], &[0.0; 2]), Err(Error::Shape { .. })));
    }
}
