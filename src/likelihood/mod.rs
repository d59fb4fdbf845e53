//! Likelihoods: how observations scatter about the latent function.

mod bernoulli;
mod beta;
mod fixed_noise;
mod gamma;
mod gaussian;
mod heteroscedastic;
mod laplace;
mod latents;
mod log_sum;
mod negative_binomial;
mod one_latent;
#[cfg(test)]
mod oracle;
mod ordinal;
mod per_observation;
mod poisson;
mod quadrature;
mod robust_max;
mod softmax;
mod special;
mod student_t;

pub use bernoulli::Bernoulli;
pub use beta::Beta;
pub use fixed_noise::FixedNoise;
pub use gamma::Gamma;
pub use gaussian::Gaussian;
pub use heteroscedastic::Heteroscedastic;
pub use laplace::Laplace;
pub use negative_binomial::NegativeBinomial;
pub use ordinal::Ordinal;
pub use poisson::Poisson;
pub use quadrature::GaussHermite;
pub use robust_max::RobustMax;
pub use softmax::Softmax;
pub use student_t::StudentT;
pub(crate) use gaussian::log_normal;

use std::fmt::Debug;

use crate::params::Parameterized;
use crate::{Error, Result};

/// A likelihood p(y | f) that factorises over observations.
///
/// Each observation has [`latents`](Self::latents) latent values. With N observations and L latents,
/// slices of latent values, means and variances have N·L elements, all observations of the first
/// latent first; slices of observations have N. Gradients in parameters are in visiting order.
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Gaussian, Likelihood};
///
/// let likelihood: Box<dyn Likelihood> = Box::new(Gaussian::new(0.25));
/// // Without uncertainty in f, the expectation is the log density.
/// let expected = likelihood.variational_expectations(&[1.0], &[0.4], &[0.0])?;
/// assert_eq!(expected.values, likelihood.log_density(&[1.0], &[0.4])?);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Likelihood: Parameterized + dyn_clone::DynClone + Debug + Send + Sync {
    /// The number of latent values of an observation.
    fn latents(&self) -> usize {
        1
    }

    /// The same likelihood for these rows of the data alone, in this order; `None` if it is the same for
    /// all rows. What a likelihood with something of its own for each observation (fixed noise, exposures)
    /// needs for a minibatch.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] for a row that it has nothing for.
    fn rows(&self, _rows: &[usize]) -> Result<Option<Box<dyn Likelihood>>> {
        Ok(None)
    }

    /// log p(yᵢ | fᵢ) for each observation.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together.
    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>>;

    /// E\[log p(yᵢ | f)\] under f ~ N(μᵢ, vᵢ) for each observation, with its derivatives: the data term of
    /// a variational bound.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together.
    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations>;

    /// Mean and variance of a new observation where f ~ N(μᵢ, vᵢ).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together.
    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted>;

    /// log ∫ p(yᵢ | f) N(f; μᵢ, vᵢ) df for each observation.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together.
    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>>;
}

dyn_clone::clone_trait_object!(Likelihood);

/// What [`Likelihood::variational_expectations`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectations {
    /// The expectation for each observation.
    pub values: Vec<f64>,
    /// Its derivative in each mean.
    pub d_mean: Vec<f64>,
    /// Its derivative in each variance.
    pub d_variance: Vec<f64>,
    /// The gradient of the sum of the expectations in the parameters, in visiting order.
    pub d_params: Vec<f64>,
}

impl Expectations {
    /// No values yet, room for so many, and gradients in parameters of 0.
    fn with_capacity(observations: usize, latent_values: usize, params: usize) -> Self {
        Self {
            values: Vec::with_capacity(observations),
            d_mean: Vec::with_capacity(latent_values),
            d_variance: Vec::with_capacity(latent_values),
            d_params: vec![0.0; params],
        }
    }
}

/// Means and variances of new observations: N of each. Of classes without an order, those of the N·C
/// indicators of C classes, all observations of the first class first.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// The mean of each.
    pub mean: Vec<f64>,
    /// The variance of each.
    pub variance: Vec<f64>,
}

impl Predicted {
    /// Of what is 1 with these probabilities and else 0.
    fn of_indicators(probabilities: Vec<f64>) -> Self {
        let variance = probabilities.iter().map(|p| p * (1.0 - p)).collect();
        Self { mean: probabilities, variance }
    }
}

/// Refuses slices whose lengths differ from the one expected.
pub(crate) fn check_len(expected: usize, slices: &[(&str, &[f64])]) -> Result<()> {
    for (what, slice) in slices {
        if slice.len() != expected {
            return Err(Error::shape(what, format!("{expected} value(s)"), (slice.len(), 1)));
        }
    }
    Ok(())
}
