//! What to say of a bound whose expected log densities overflow.

use crate::likelihood::{Expectations, Likelihood};
use crate::{Error, Scalar};

/// The observation whose expected log density, or a derivative of it, is the largest.
#[derive(Clone, Debug)]
pub(super) struct Largest {
    likelihood: String,
    row: usize,
    mean: f64,
    variance: f64,
    size: f64,
}

impl Largest {
    /// Of n rows, from the means and variances of all latent functions; `None` if a row has one that is not finite
    /// itself, so that the likelihood is not to blame.
    pub(super) fn find(
        likelihood: &dyn Likelihood,
        expectations: &Expectations,
        means: &[f64],
        variances: &[f64],
        n: usize,
    ) -> Option<Self> {
        if n == 0 || !means.iter().chain(variances).all(|value| value.is_finite()) {
            return None;
        }
        let all = [&expectations.values, &expectations.d_mean, &expectations.d_variance];
        let (mut row, mut size) = (0, 0.0);
        for (index, value) in all.into_iter().flat_map(|values| values.iter().enumerate()) {
            // NaN is infinity less infinity.
            let found = if value.is_nan() { f64::INFINITY } else { value.abs() };
            if found > size {
                (row, size) = (index % n, found);
            }
        }
        let extent = |&index: &usize| means[index].abs() + variances[index];
        let latent = (row..means.len()).step_by(n).max_by(|a, b| extent(a).total_cmp(&extent(b)))?;
        let (mean, variance) = (means[latent], variances[latent]);
        Some(Self { likelihood: likelihood.name().to_owned(), row, mean, variance, size })
    }

    /// An error if a bound or a gradient at this precision is not finite for it. Products with gradients of the model
    /// overflow somewhat before the expectations do.
    pub(super) fn check<T: Scalar>(&self, bound: f64, gradient: &[f64]) -> Result<(), Error> {
        let finite = bound.is_finite() && gradient.iter().all(|entry| entry.is_finite());
        if finite || self.size < T::max_value().as_f64().sqrt() {
            return Ok(());
        }
        let Self { likelihood, row, mean, variance, .. } = self.clone();
        Err(Error::Overflow { likelihood, row, mean, variance })
    }
}
