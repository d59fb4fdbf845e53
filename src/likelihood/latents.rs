//! Checks and views for likelihoods of several latent values.

use super::check_len;
use crate::{Error, Result};

/// Refuses slices that do not have so many latent values for each observation.
pub(super) fn check_latents(observations: usize, latents: usize, slices: &[(&str, &[f64])]) -> Result<()> {
    check_len(observations * latents, slices)
}

/// The number of observations that so many means are for.
pub(super) fn observations(latents: usize, mean: &[f64], variance: &[f64]) -> Result<usize> {
    check_len(mean.len(), &[("the variances", variance)])?;
    if !mean.len().is_multiple_of(latents) {
        let expected = format!("a multiple of {latents} values, one for each latent function");
        return Err(Error::shape("the means", expected, (mean.len(), 1)));
    }
    Ok(mean.len() / latents)
}

/// The latent values of one observation, out of slices that hold all observations of one latent after the other.
pub(super) fn of_row(values: &[f64], row: usize, observations: usize) -> Vec<f64> {
    values.iter().skip(row).step_by(observations).copied().collect()
}

/// Refuses observations other than the classes 0, 1, …, C − 1, and gives the classes.
pub(super) fn check_classes(likelihood: &str, y: &[f64], classes: usize) -> Result<Vec<usize>> {
    let class = |(row, &y): (usize, &f64)| {
        if super::poisson::is_count(y) && y < classes as f64 {
            return Ok(y as usize);
        }
        let expected = format!("a {likelihood} likelihood of {classes} classes takes 0, 1, ..., {}", classes - 1);
        Err(Error::Observation { row, value: y, expected })
    };
    y.iter().enumerate().map(class).collect()
}

/// The error for the distribution function of classes without an order.
pub(super) fn without_order(likelihood: &str) -> Error {
    let expected = "have no order, and so no quantiles: `predict` gives their probabilities, and `Ordinal` is for classes in an order";
    Error::setting("what is observed", format!("of {likelihood} likelihood"), &format!("its classes {expected}"))
}

/// Refuses fewer than two classes.
pub(super) fn check_class_count(classes: usize) -> Result<()> {
    if classes < 2 {
        return Err(Error::setting("the number of classes", classes, "must be at least 2"));
    }
    Ok(())
}
