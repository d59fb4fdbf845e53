//! The softmax likelihood.

use rand::Rng;

use super::draws;
use super::latents::{check_class_count, check_classes, check_latents, observations, of_row, without_order};
use super::log_sum::LogSum;
use super::quadrature::GaussHermite;
use super::special::log_sum_exp;
use super::{Expectations, Likelihood, Predicted, check_latent_values};
use crate::{Result, parameterized};

/// Classes 0, 1, …, C − 1 by the softmax of C latent functions.
///
/// # Definition
///
/// p(y = c | f) = exp(f_c) / Σ_j exp(f_j)
///
/// With f_c ~ N(μ_c, v_c) independent, the expectation is μ_y − E log Σ_j exp f_j. It has no closed form, but
/// it is an integral over one variable of a product of C expectations over one variable each (Σ exp f
/// through Gumbel variables), so that nothing is sampled, at any C. With Gauss–Hermite quadrature of order 20 in each
/// it is within 1e-10 for v ≤ 1 and 1e-4 for v ≤ 10, and so are the probabilities of new observations, E
/// exp(f_c) / Σ exp f, which sum to 1 within 1e-10 at
/// any v up to 5000.
///
/// Slices of latent values have the N values of class 0 first. A prediction is of the indicators of the
/// classes: N·C means, the probabilities p_c, all of class 0 first, and variances p_c (1 − p_c).
///
/// # Hyperparameters
///
/// None.
///
/// # Complexity
///
/// O(C · order) exponentials at some 80 points for an observation, more for v ≫ 1.
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Likelihood, Softmax};
///
/// let likelihood = Softmax::new(3);
/// // Equal latent values: a third each, however uncertain.
/// let predicted = likelihood.predict(&[0.5; 3], &[2.0; 3])?;
/// assert!(predicted.mean.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-10));
/// // Far out: log p = −1000.
/// assert_eq!(likelihood.log_density(&[1.0], &[1e3, 0.0, 0.0])?, [-1e3]);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 3.5. McFadden (1974),
/// "Conditional logit analysis of qualitative choice behavior", for Gumbel variables behind the softmax.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "multiclass classification")]
pub struct Softmax {
    pub(super) classes: usize,
    pub(super) quadrature: GaussHermite,
}

parameterized!(Softmax as "softmax", parameters: []);

impl Softmax {
    /// So many classes, each with its latent function.
    ///
    /// # Panics
    ///
    /// For fewer than two; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(classes: usize) -> Self {
        crate::error::literal(Self::try_new(classes))
    }

    /// So many classes, each with its latent function.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for fewer than two.
    pub fn try_new(classes: usize) -> Result<Self> {
        check_class_count(classes)?;
        Ok(Self { classes, quadrature: GaussHermite::default() })
    }

    super::one_latent::quadrature_setting!("Takes Gauss–Hermite quadrature of another order than 20.");

    fn log_sum(&self, mean: &[f64], variance: &[f64], row: usize, observations: usize) -> LogSum {
        LogSum::new(&self.quadrature, &of_row(mean, row, observations), &of_row(variance, row, observations))
    }
}

impl Likelihood for Softmax {
    fn latents(&self) -> usize {
        self.classes
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        check_latents(y.len(), self.classes, &[("the latent values", f)])?;
        let classes = check_classes("softmax", y, self.classes)?;
        let density = |(row, class): (usize, usize)| {
            let f = of_row(f, row, y.len());
            f[class] - log_sum_exp(f.iter().copied())
        };
        Ok(classes.into_iter().enumerate().map(density).collect())
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        check_latents(y.len(), self.classes, &[("the means", mean), ("the variances", variance)])?;
        let classes = check_classes("softmax", y, self.classes)?;
        let n = y.len();
        let mut all = Expectations::with_capacity(n, mean.len(), 0);
        all.d_mean.resize(mean.len(), 0.0);
        all.d_variance.resize(mean.len(), 0.0);
        for (row, class) in classes.into_iter().enumerate() {
            let log_sum = self.log_sum(mean, variance, row, n);
            all.values.push(mean[class * n + row] - log_sum.value);
            for c in 0..self.classes {
                let target = if c == class { 1.0 } else { 0.0 };
                all.d_mean[c * n + row] = target - log_sum.ln_shares[c].exp();
                all.d_variance[c * n + row] = -log_sum.d_variance[c];
            }
        }
        Ok(all)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        let n = observations(self.classes, mean, variance)?;
        let mut probabilities = vec![0.0; mean.len()];
        for row in 0..n {
            let log_sum = self.log_sum(mean, variance, row, n);
            for (c, share) in log_sum.ln_shares.iter().enumerate() {
                probabilities[c * n + row] = share.exp();
            }
        }
        Ok(Predicted::of_indicators(probabilities))
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_latents(y.len(), self.classes, &[("the means", mean), ("the variances", variance)])?;
        let classes = check_classes("softmax", y, self.classes)?;
        let density = |(row, class): (usize, usize)| self.log_sum(mean, variance, row, y.len()).ln_shares[class];
        Ok(classes.into_iter().enumerate().map(density).collect())
    }

    fn cumulative(&self, _y: &[f64], _mean: &[f64], _variance: &[f64]) -> Result<Vec<f64>> {
        Err(without_order("a softmax"))
    }

    fn quantile(&self, _probability: f64, _mean: &[f64], _variance: &[f64]) -> Result<Vec<f64>> {
        Err(without_order("a softmax"))
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        check_latent_values(f)?;
        let n = observations(self.classes, f, f)?;
        let class = |row: usize| draws::softmax(&of_row(f, row, n), rng) as f64;
        Ok((0..n).map(class).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::Error;
    use crate::likelihood::Bernoulli;
    use crate::testkit::likelihoods::Oracle;

    const Y: [f64; 2] = [2.0, 0.0];
    const MEAN: [f64; 6] = [0.4, 0.1, -0.3, 0.6, 1.0, -2.0];
    const VARIANCE: [f64; 6] = [0.3, 1.2, 0.2, 0.05, 0.6, 0.9];

    /// Against a product of three accurate rules.
    #[test]
    fn matches_quadrature() {
        let (likelihood, rule) = (Softmax::new(3), GaussHermite::new(40).unwrap());
        let found = likelihood.variational_expectations(&Y, &MEAN, &VARIANCE).unwrap();
        let predictive = likelihood.log_predictive_density(&Y, &MEAN, &VARIANCE).unwrap();
        for row in 0..2 {
            let over = |of: &dyn Fn(f64) -> f64| {
                let expectation =
                    |c: usize, g: &dyn Fn(f64) -> f64| rule.expectation(MEAN[2 * c + row], VARIANCE[2 * c + row], g);
                expectation(0, &|a| {
                    expectation(1, &|b| {
                        expectation(2, &|c| of(likelihood.log_density(&[Y[row]], &[a, b, c]).unwrap()[0]))
                    })
                })
            };
            close("value", found.values[row], over(&|l| l), 1e-7);
            close("predictive", predictive[row], over(&f64::exp).ln(), 1e-7);
        }
        Oracle::of(&likelihood).at(&Y, &MEAN, &VARIANCE).check_derivatives().unwrap();
    }

    /// Of two classes, it is the Bernoulli likelihood of the difference.
    #[test]
    fn two_classes_are_a_logit() {
        for (variance, tolerance) in [(0.5, 1e-10), (5.0, 1e-4)] {
            for mean in [-3.0, 0.2, 2.0] {
                let found = Softmax::new(2);
                let logit = Bernoulli::logit().with_quadrature(200).unwrap();
                let expected = logit.variational_expectations(&[1.0], &[mean], &[2.0 * variance]).unwrap();
                let softmax = found.variational_expectations(&[1.0], &[0.0, mean], &[variance; 2]).unwrap();
                close("value", softmax.values[0], expected.values[0], tolerance);
                let expected = logit.log_predictive_density(&[1.0], &[mean], &[2.0 * variance]).unwrap();
                let predictive = found.log_predictive_density(&[1.0], &[0.0, mean], &[variance; 2]).unwrap();
                close("predictive", predictive[0], expected[0], tolerance);
            }
        }
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        let mean = [0.4, -1.0, 2.0, 0.0];
        for (variance, tolerance) in [(1.0, 1e-10), (10.0, 1e-4)] {
            let [few, many] = [20, 120].map(|order| {
                let likelihood = Softmax::new(4).with_quadrature(order).unwrap();
                let expected = likelihood.variational_expectations(&[1.0], &mean, &[variance; 4]).unwrap();
                (expected.values[0], likelihood.predict(&mean, &[variance; 4]).unwrap().mean)
            });
            close("value", few.0, many.0, tolerance);
            (0..4).for_each(|c| close("probability", few.1[c], many.1[c], tolerance));
        }
    }

    #[test]
    fn probabilities_sum_to_one() {
        for variance in [0.0, 0.3, 4.0, 50.0, 5000.0] {
            let mean = [0.4, -1.0, 2.0, 7.0, -300.0];
            let predicted = Softmax::new(5).predict(&mean, &[variance; 5]).unwrap();
            close("sum", predicted.mean.iter().sum(), 1.0, 1e-10);
            let by_density = Softmax::new(5).log_predictive_density(&[3.0], &mean, &[variance; 5]).unwrap();
            close("density", by_density[0].exp(), predicted.mean[3], 1e-14);
            assert!((predicted.variance[3] - predicted.mean[3] * (1.0 - predicted.mean[3])).abs() < 1e-14);
        }
    }

    #[test]
    fn tails_and_what_is_refused() {
        let likelihood = Softmax::new(3);
        // Beside values near 0, E exp(f)/Σ exp f → exp(μ + v/2)/2.
        let found = likelihood.log_predictive_density(&[2.0], &[0.0, 0.0, -1e3], &[0.0, 0.0, 0.4]).unwrap();
        close("predictive", found[0], -1e3 + 0.2 - 2f64.ln(), 1e-12);
        for bad in [-1.0, 0.5, 3.0, f64::NAN] {
            assert_refused(&likelihood, &[0.0, 2.0], bad);
        }
        assert!(matches!(Softmax::try_new(1), Err(Error::Setting { .. })));
        assert!(matches!(likelihood.log_density(&[0.0], &[0.0; 2]), Err(Error::Shape { .. })));
        assert!(matches!(likelihood.predict(&[0.0; 4], &[0.0; 4]), Err(Error::Shape { .. })));
    }
}
