//! What to say of a bound whose expected log densities overflow.

use std::rc::Rc;

use crate::likelihood::{Expectations, Likelihood};
use crate::{Error, Scalar};

/// Names the observation whose expected log density, or a derivative of it, is the largest.
#[derive(Clone, Debug)]
pub(super) struct Largest<'a> {
    likelihood: &'a dyn Likelihood,
    expectations: Rc<Expectations>,
    /// Of all latent functions.
    means: Vec<f64>,
    variances: Vec<f64>,
}

impl<'a> Largest<'a> {
    pub(super) fn new(
        likelihood: &'a dyn Likelihood,
        expectations: Rc<Expectations>,
        means: Vec<f64>,
        variances: Vec<f64>,
    ) -> Self {
        Self { likelihood, expectations, means, variances }
    }

    /// An error if a bound or a gradient at this precision is not finite for it. Products with gradients of the model
    /// overflow somewhat before the expectations do.
    pub(super) fn check<T: Scalar>(&self, bound: f64, gradient: &[f64]) -> Result<(), Error> {
        let finite = bound.is_finite() && gradient.iter().all(|entry| entry.is_finite());
        let Some((size, error)) = (if finite { None } else { self.find() }) else { return Ok(()) };
        if size < T::max_value().as_f64().sqrt() { Ok(()) } else { Err(error) }
    }

    /// How large it is, and what to say of it; `None` if a mean or a variance is not finite itself, so that the likelihood
    /// is not to blame.
    fn find(&self) -> Option<(f64, Error)> {
        let Self { likelihood, expectations, means, variances } = self;
        if !means.iter().chain(variances).all(|value| value.is_finite()) {
            return None;
        }
        let n = means.len() / likelihood.latents().max(1);
        let all = [&expectations.values, &expectations.d_mean, &expectations.d_variance];
        let (mut row, mut size) = (0, 0.0);
        for (index, value) in all.into_iter().flat_map(|values| values.iter().enumerate()) {
            // NaN is infinity less infinity.
            let found = if value.is_nan() { f64::INFINITY } else { value.abs() };
            if found > size {
                (row, size) = (index.checked_rem(n)?, found);
            }
        }
        let extent = |&index: &usize| means[index].abs() + variances[index];
        let latent = (row..means.len()).step_by(n.max(1)).max_by(|a, b| extent(a).total_cmp(&extent(b)))?;
        let (mean, variance) = (means[latent], variances[latent]);
        Some((size, Error::Overflow { likelihood: likelihood.name().to_owned(), row, mean, variance }))
    }
}
