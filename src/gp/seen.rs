//! What is seen of latent functions through a likelihood.

use faer::{Mat, MatRef};
use rand::Rng;

use super::posterior::to_f64;
use super::predict::check_observations;
use super::prediction::{Prediction, Samples};
use crate::likelihood::{Likelihood, check_probability};
use crate::linalg::cast;
use crate::{Error, Result, Scalar};

/// Means and variances of observations.
pub(super) fn observe<T: Scalar>(likelihood: &dyn Likelihood, latent: Prediction<T>) -> Result<Prediction<T>> {
    let seen = likelihood.predict(&stacked(latent.mean.as_ref()), &stacked(latent.variance.as_ref()))?;
    let (points, found) = (latent.mean.nrows(), seen.mean.len());
    if !found.is_multiple_of(points) || seen.variance.len() != found {
        let expected = format!("a multiple of {points} means, one for each point, and as many variances");
        return Err(Error::shape("the prediction of the likelihood", expected, (found, 1)));
    }
    // Of classes, a column for each.
    let as_columns = |values: &[f64]| cast(MatRef::from_column_major_slice(values, points, values.len() / points));
    Ok(Prediction::new(as_columns(&seen.mean), as_columns(&seen.variance), latent.clamped))
}

/// log p(y) of each row, through a likelihood of functions that are predicted.
pub(super) fn log_density<T: Scalar>(
    likelihood: &dyn Likelihood,
    x: MatRef<'_, T>,
    y: MatRef<'_, T>,
    predict: impl FnOnce(MatRef<'_, T>) -> Result<Prediction<T>>,
) -> Result<Vec<f64>> {
    check_observations(x, y, likelihood.outputs())?;
    let Prediction { mean, variance, .. } = predict(x)?;
    let of_each =
        likelihood.log_predictive_density(&stacked(y), &stacked(mean.as_ref()), &stacked(variance.as_ref()))?;
    Ok((0..x.nrows()).map(|row| of_each.iter().skip(row).step_by(x.nrows()).sum()).collect())
}

/// Quantiles of what is seen through a likelihood of functions that are predicted.
pub(super) fn quantiles<T: Scalar>(
    likelihood: &dyn Likelihood,
    probabilities: &[f64],
    predict: impl FnOnce() -> Result<Prediction<T>>,
) -> Result<Vec<Mat<T>>> {
    probabilities.iter().try_for_each(|&p| check_probability(p))?;
    let Prediction { mean, variance, .. } = predict()?;
    let (latent, spread) = (stacked(mean.as_ref()), stacked(variance.as_ref()));
    let of_probability = |&p: &f64| {
        let found = likelihood.quantile(p, &latent, &spread)?;
        as_columns(&found, mean.nrows(), likelihood.outputs(), "the quantiles of the likelihood")
    };
    probabilities.iter().map(of_probability).collect()
}

/// P(Y ≤ y) through a likelihood of functions that are predicted.
pub(super) fn cumulative<T: Scalar>(
    likelihood: &dyn Likelihood,
    x: MatRef<'_, T>,
    y: MatRef<'_, T>,
    predict: impl FnOnce() -> Result<Prediction<T>>,
) -> Result<Mat<T>> {
    check_observations(x, y, likelihood.outputs())?;
    let Prediction { mean, variance, .. } = predict()?;
    let found = likelihood.cumulative(&stacked(y), &stacked(mean.as_ref()), &stacked(variance.as_ref()))?;
    as_columns(&found, y.nrows(), y.ncols(), "the probabilities of the likelihood")
}

/// Observations of drawn functions, draw by draw.
pub(super) fn draw_observations<T: Scalar>(
    likelihood: &dyn Likelihood,
    functions: Samples<T>,
    rng: &mut dyn Rng,
) -> Result<Samples<T>> {
    let Samples { values, jitter } = functions;
    let draws = values.ncols();
    let rows = values.nrows() / likelihood.latents() * likelihood.outputs();
    let mut seen = Mat::zeros(rows, draws);
    for draw in 0..draws {
        let found = likelihood.draw(&to_f64(values.col_as_slice(draw)), rng)?;
        let found = as_columns(&found, rows, 1, "the draws of the likelihood")?;
        seen.col_as_slice_mut(draw).copy_from_slice(found.col_as_slice(0));
    }
    Ok(Samples::new(seen, jitter))
}

/// What a likelihood gives for each point and output, a column for each output.
fn as_columns<T: Scalar>(values: &[f64], points: usize, outputs: usize, what: &str) -> Result<Mat<T>> {
    if values.len() != points * outputs {
        return Err(Error::shape(what, format!("{} value(s)", points * outputs), (values.len(), 1)));
    }
    Ok(cast(MatRef::from_column_major_slice(values, points, outputs)))
}

/// All points of the first column first, as likelihoods have them.
fn stacked<T: Scalar>(values: MatRef<'_, T>) -> Vec<f64> {
    values.col_iter().flat_map(|column| column.iter().map(|value| value.as_f64())).collect()
}
