//! Brute force for likelihoods: the trapezoid rule over f and over y, and central differences.

use std::f64::consts::TAU;

use super::Violation;
use crate::likelihood::{Expectations, Likelihood};
use crate::params::ParameterizedExt;

pub(super) type Checked = Result<(), Violation>;

/// What a likelihood gives for some observations, against brute force from its log density and nothing else.
///
/// # Examples
///
/// The test that a likelihood of one's own needs:
///
/// ```
/// use mercer::likelihood::Pointwise;
/// use mercer::prelude::*;
/// use mercer::testkit::likelihoods::Oracle;
///
/// mercer::declare! {
///     /// y is exponential with mean s·exp(f).
///     pub Waiting as "waiting" {
///         /// The mean s at f = 0.
///         scale: Scalar = Positive,
///     }
/// }
///
/// impl Pointwise for Waiting {
///     fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
///         -(f + theta[0].ln()) - (-f).exp() * y / theta[0]
///     }
///
///     fn moments(&self, f: f64) -> Option<(f64, f64)> {
///         let mean = self.scale() * f.exp();
///         Some((mean, mean * mean))
///     }
/// }
///
/// let likelihood = Waiting::new(2.0);
/// let oracle = Oracle::of(&likelihood).at(&[3.0, 0.2], &[0.4, -1.3], &[0.3, 0.2]).within(1e-6);
/// oracle.check()?;
///
/// // The density integrates to 1 over y = exp(t), by the trapezoid rule in t.
/// let (step, steps) = (0.01, -2000..1000);
/// let weighted: Vec<(f64, f64)> = steps.map(|i| (step * f64::from(i)).exp()).map(|y| (y, step * y)).collect();
/// oracle.integrates_to_one(&weighted)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
#[derive(Clone, Debug)]
pub struct Oracle<'a> {
    pub(super) likelihood: &'a dyn Likelihood,
    pub(super) y: Vec<f64>,
    pub(super) mean: Vec<f64>,
    pub(super) variance: Vec<f64>,
    pub(super) tolerance: f64,
}

/// Values of f and their weights under N(mean, variance).
fn grid(mean: f64, variance: f64) -> (Vec<f64>, Vec<f64>) {
    const STEPS: i32 = 4000;
    let h = 12.0 / f64::from(STEPS);
    let z = (-STEPS..=STEPS).map(|i| h * f64::from(i));
    z.map(|z| (mean + variance.sqrt() * z, h * (-0.5 * z * z).exp() / TAU.sqrt())).unzip()
}

/// The array with another element.
pub(super) fn moved(array: &[f64], index: usize, to: f64) -> Vec<f64> {
    let mut array = array.to_vec();
    array[index] = to;
    array
}

impl<'a> Oracle<'a> {
    /// Of a likelihood, and of no observations yet. Values have to agree within 10⁻⁹.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::Gaussian;
    /// use mercer::testkit::likelihoods::Oracle;
    ///
    /// let noise = Gaussian::new(0.3);
    /// assert!(Oracle::of(&noise).at(&[1.0], &[0.4], &[0.2]).check().is_ok());
    /// ```
    pub fn of(likelihood: &'a dyn Likelihood) -> Self {
        Self { likelihood, y: Vec::new(), mean: Vec::new(), variance: Vec::new(), tolerance: 1e-9 }
    }

    /// At these observations, for these means and variances of the latent values. With several latent functions, those of
    /// all observations of the first function come first.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::Bernoulli;
    /// use mercer::testkit::likelihoods::Oracle;
    ///
    /// let likelihood = Bernoulli::logit();
    /// assert!(Oracle::of(&likelihood).at(&[1.0, 0.0], &[0.4, -2.0], &[0.3, 0.1]).check().is_ok());
    /// assert!(Oracle::of(&likelihood).at(&[0.5], &[0.4], &[0.3]).check().is_err()); // no label
    /// ```
    #[must_use]
    pub fn at(mut self, y: &[f64], mean: &[f64], variance: &[f64]) -> Self {
        (self.y, self.mean, self.variance) = (y.to_vec(), mean.to_vec(), variance.to_vec());
        self
    }

    /// With values that agree to within this, of the larger of 1 and the value: for Gauss–Hermite sums of few terms, and
    /// densities with a kink, where the trapezoid rule is off. Derivatives have to agree within 10⁻⁶ whatever this is, with
    /// differences of the values.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::Laplace;
    /// use mercer::testkit::likelihoods::Oracle;
    ///
    /// let likelihood = Laplace::new(0.3);
    /// let oracle = Oracle::of(&likelihood).at(&[0.01], &[-1.3], &[1.2]);
    /// assert!(oracle.clone().within(2e-5).check().is_ok());
    /// assert!(oracle.within(1e-12).check().is_err()); // for the kink
    /// ```
    #[must_use]
    pub fn within(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Expectations, densities of new observations, and the derivatives of expectations in means, variances and parameters.
    ///
    /// Values need one latent function and one output: of several, derivatives alone are checked.
    ///
    /// # Errors
    ///
    /// The first [`Violation`], also if an observation is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Likelihood, Poisson, Softmax};
    /// use mercer::testkit::likelihoods::Oracle;
    ///
    /// Oracle::of(&Poisson::new()).at(&[3.0, 0.0], &[0.4, 1.3], &[0.3, 1.2]).check()?;
    /// let refused = Oracle::of(&Poisson::new()).at(&[-3.0], &[0.4], &[0.3]).check().unwrap_err();
    /// assert_eq!((refused.law, refused.of.as_str()), ("can be evaluated", "poisson"));
    ///
    /// let classes = Softmax::new(2);
    /// assert_eq!(classes.latents(), 2);
    /// Oracle::of(&classes).at(&[1.0], &[0.4, -0.2], &[0.3, 0.5]).check()?;
    /// # Ok::<(), mercer::testkit::Violation>(())
    /// ```
    pub fn check(&self) -> Checked {
        if self.likelihood.latents() == 1 && self.likelihood.outputs() == 1 {
            self.check_values()?;
        }
        self.check_derivatives()
    }

    pub(super) fn broken(&self, law: &'static str, place: String, found: String, expected: String) -> Checked {
        Err(Violation { law, of: self.likelihood.name().to_owned(), place, found, expected })
    }

    pub(super) fn evaluated<V>(&self, what: &str, result: crate::Result<V>) -> Result<V, Violation> {
        result.map_err(|error| Violation {
            law: "can be evaluated",
            of: self.likelihood.name().to_owned(),
            place: what.to_owned(),
            found: error.to_string(),
            expected: "no error".to_owned(),
        })
    }

    pub(super) fn close(
        &self,
        law: &'static str,
        place: impl ToString,
        found: f64,
        expected: f64,
        tolerance: f64,
    ) -> Checked {
        let tolerance = tolerance * expected.abs().max(1.0);
        // Written so that a NaN on either side breaks the law.
        if (found - expected).abs() <= tolerance {
            return Ok(());
        }
        self.broken(law, place.to_string(), format!("{found:e}"), format!("{expected:e}, to within {tolerance:e}"))
    }

    /// log p(y | f) of one row at many f.
    fn log_density(&self, row: usize, y: f64, f: &[f64]) -> Result<Vec<f64>, Violation> {
        let replicated = self.evaluated("`rows`", self.likelihood.rows(&vec![row; f.len()]))?;
        let likelihood = replicated.as_deref().unwrap_or(self.likelihood);
        self.evaluated("`log_density`", likelihood.log_density(&vec![y; f.len()], f))
    }

    /// E p(y | f)
    fn marginal(&self, row: usize, y: f64) -> Result<f64, Violation> {
        let (f, weights) = grid(self.mean[row], self.variance[row]);
        Ok(self.log_density(row, y, &f)?.iter().zip(weights).map(|(l, w)| w * l.exp()).sum())
    }

    /// E log p(y | f) with its derivatives.
    fn expectations(&self, of: &dyn Likelihood, mean: &[f64], variance: &[f64]) -> Result<Expectations, Violation> {
        let expectations = of.variational_expectations(&self.y, mean, variance);
        let expectations = self.evaluated("`variational_expectations`", expectations)?;
        let Expectations { d_mean, d_variance, d_params, .. } = &expectations;
        for (place, found, expected) in [
            ("the number of variances", variance.len(), mean.len()),
            ("the number of `d_mean`", d_mean.len(), mean.len()),
            ("the number of `d_variance`", d_variance.len(), mean.len()),
            ("the number of `d_params`", d_params.len(), of.num_params()),
        ] {
            self.same_number(place, found, expected)?;
        }
        Ok(expectations)
    }

    pub(super) fn same_number(&self, place: &str, found: usize, expected: usize) -> Checked {
        if found == expected {
            return Ok(());
        }
        self.broken("as many of each", place.to_owned(), found.to_string(), expected.to_string())
    }

    /// Expectations and densities of new observations.
    pub(crate) fn check_values(&self) -> Checked {
        let expected = self.expectations(self.likelihood, &self.mean, &self.variance)?;
        self.same_number("the number of means", self.mean.len(), self.y.len())?;
        self.same_number("the number of expectations", expected.values.len(), self.y.len())?;
        for row in 0..self.y.len() {
            let (f, weights) = grid(self.mean[row], self.variance[row]);
            let log_density = self.log_density(row, self.y[row], &f)?;
            let value: f64 = log_density.iter().zip(weights).map(|(l, w)| w * l).sum();
            self.close("expectations", format!("row {row}"), expected.values[row], value, self.tolerance)?;
        }
        self.check_predictive()
    }

    /// Densities of new observations.
    pub(crate) fn check_predictive(&self) -> Checked {
        let predictive = self.likelihood.log_predictive_density(&self.y, &self.mean, &self.variance);
        let predictive = self.evaluated("`log_predictive_density`", predictive)?;
        self.same_number("the number of predictive densities", predictive.len(), self.y.len())?;
        for (row, found) in predictive.into_iter().enumerate() {
            let marginal = self.marginal(row, self.y[row])?;
            self.close("predictive densities", format!("row {row}"), found, marginal.ln(), self.tolerance)?;
        }
        Ok(())
    }

    /// Derivatives against central differences of what they are derivatives of.
    pub(crate) fn check_slopes(&self) -> Checked {
        let found = self.expectations(self.likelihood, &self.mean, &self.variance)?;
        let value = |likelihood: &dyn Likelihood, mean: &[f64], variance: &[f64]| -> Result<f64, Violation> {
            Ok(self.expectations(likelihood, mean, variance)?.values.iter().sum())
        };
        let agrees = |name: &str, i: usize, found: f64, at: f64, by: &dyn Fn(f64) -> Result<f64, Violation>| {
            let step = 1e-5 * at.abs().max(0.01);
            let difference = (by(at + step)? - by(at - step)?) / (2.0 * step);
            self.close("derivatives of expectations", format!("{name}[{i}]"), found, difference, 1e-6)
        };
        for i in 0..self.mean.len() {
            agrees("d_mean", i, found.d_mean[i], self.mean[i], &|to| {
                value(self.likelihood, &moved(&self.mean, i, to), &self.variance)
            })?;
            agrees("d_variance", i, found.d_variance[i], self.variance[i], &|to| {
                value(self.likelihood, &self.mean, &moved(&self.variance, i, to))
            })?;
        }
        let params = self.likelihood.values();
        for (i, &at) in params.iter().enumerate() {
            agrees("d_params", i, found.d_params[i], at, &|to| {
                let mut likelihood = dyn_clone::clone_box(self.likelihood);
                self.evaluated("`set_values`", likelihood.set_values(&moved(&params, i, to)))?;
                value(&*likelihood, &self.mean, &self.variance)
            })?;
        }
        Ok(())
    }

    /// The same, and the derivative in the variance is continuous down to 0.
    pub(crate) fn check_derivatives(&self) -> Checked {
        self.check_slopes()?;
        let at = |variance: f64| self.expectations(self.likelihood, &self.mean, &vec![variance; self.mean.len()]);
        let (still, small) = (at(0.0)?, at(2e-8)?);
        for (i, (small, still)) in small.d_variance.into_iter().zip(still.d_variance).enumerate() {
            self.close("derivatives near a variance of 0", format!("d_variance[{i}]"), small, still, 1e-5)?;
        }
        Ok(())
    }

    /// All observations that have probability sum to 1, given f and predicted; and the prediction's mean and
    /// variance are the sums that define them.
    #[cfg(test)]
    pub(crate) fn sums_to_one(mut self, support: &[f64]) -> Checked {
        (self.mean, self.variance) = (vec![0.7], vec![0.4]);
        self.integrates_to_one(&support.iter().map(|&y| (y, 1.0)).collect::<Vec<_>>())
    }

    /// The density of observations integrates to 1, given f and predicted, and the mean and the variance of a prediction are the
    /// integrals that define them: of the first row, or at a mean of 0.7 and a variance of 0.4 if there is none. The
    /// pairs are observations and their shares of an integral; of counts, all counts with 1 each.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::Bernoulli;
    /// use mercer::testkit::likelihoods::Oracle;
    ///
    /// let likelihood = Bernoulli::logit();
    /// Oracle::of(&likelihood).integrates_to_one(&[(0.0, 1.0), (1.0, 1.0)])?;
    /// assert!(Oracle::of(&likelihood).integrates_to_one(&[(1.0, 1.0)]).is_err());
    /// # Ok::<(), mercer::testkit::Violation>(())
    /// ```
    pub fn integrates_to_one(&self, weighted: &[(f64, f64)]) -> Checked {
        let mean = self.mean.first().copied().unwrap_or(0.7);
        let variance = self.variance.first().copied().unwrap_or(0.4);
        let mut conditional = 0.0;
        let mut densities = Vec::with_capacity(weighted.len());
        for &(y, weight) in weighted {
            conditional += weight * self.log_density(0, y, &[mean])?.iter().sum::<f64>().exp();
            let predictive = self.likelihood.log_predictive_density(&[y], &[mean], &[variance]);
            densities.push(weight * self.evaluated("`log_predictive_density`", predictive)?.iter().sum::<f64>().exp());
        }
        let moment = |power: i32, about: f64| -> f64 {
            densities.iter().zip(weighted).map(|(p, (y, _))| p * (y - about).powi(power)).sum()
        };
        let law = "densities integrate to 1";
        self.close(law, "given f", conditional, 1.0, self.tolerance)?;
        self.close(law, "predicted", moment(0, 0.0), 1.0, self.tolerance)?;
        let predicted = self.evaluated("`predict`", self.likelihood.predict(&[mean], &[variance]))?;
        let law = "moments of predictions";
        let first = |values: &[f64]| values.first().copied().unwrap_or(f64::NAN);
        let (mean, variance) = (first(&predicted.mean), first(&predicted.variance));
        self.close(law, "the mean", mean, moment(1, 0.0), self.tolerance)?;
        self.close(law, "the variance", variance, moment(2, mean), self.tolerance)
    }
}
