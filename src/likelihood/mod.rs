//! Likelihoods: how observations scatter about the latent function.

mod gaussian;

pub use gaussian::Gaussian;
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

/// Means and variances of new observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// The mean of each.
    pub mean: Vec<f64>,
    /// The variance of each.
    pub variance: Vec<f64>,
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
