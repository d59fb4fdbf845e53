//! Likelihoods under which a latent function can be integrated out.

use super::{FixedNoise, Gaussian, Likelihood};
use crate::Result;

/// A likelihood p(yᵢ | fᵢ) = N(yᵢ; fᵢ, σᵢ²): what models that are exact or collapsed take.
///
/// [`Gaussian`] has one variance for all, [`FixedNoise`] a known one for each. Of the variances of n observations, models
/// use the derivatives too.
///
/// # Examples
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::likelihood::{FixedNoise, Gaussian, GaussianNoise};
/// use mercer::prelude::*;
///
/// let (same, each) = (Gaussian::new(0.3), FixedNoise::new(&[0.3, 0.3])?);
/// assert_eq!(same.noise_variances(2)?, each.noise_variances(2)?);
/// // One parameter moves both variances; there is none of known ones.
/// assert_eq!(same.noise_variances_vjp(&[1.0, 10.0]), [11.0]);
/// assert!(each.noise_variances_vjp(&[1.0, 10.0]).is_empty());
///
/// let (x, y) = (mat![[0.0], [1.0]], [0.4, -0.2]);
/// let data = Data::new(&x, &y);
/// let one = ExactGp::new(Rbf::new(1.0)).with_likelihood(same).objective(&data)?;
/// let other = ExactGp::new(Rbf::new(1.0)).with_likelihood(each).objective(&data)?;
/// assert_eq!(one, other);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait GaussianNoise: Likelihood {
    /// σᵢ² of n observations: positive.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if they are known for another number of observations.
    fn noise_variances(&self, n: usize) -> Result<Vec<f64>>;

    /// The gradient of Σ cᵢσᵢ² in the natural parameters, in visiting order, for the n elements of c.
    fn noise_variances_vjp(&self, cotangent: &[f64]) -> Vec<f64>;
}

impl GaussianNoise for Gaussian {
    fn noise_variances(&self, n: usize) -> Result<Vec<f64>> {
        Ok(vec![self.variance(); n])
    }

    fn noise_variances_vjp(&self, cotangent: &[f64]) -> Vec<f64> {
        vec![cotangent.iter().sum()]
    }
}

impl GaussianNoise for FixedNoise {
    fn noise_variances(&self, n: usize) -> Result<Vec<f64>> {
        self.variances(n)
    }

    fn noise_variances_vjp(&self, _cotangent: &[f64]) -> Vec<f64> {
        Vec::new()
    }
}
