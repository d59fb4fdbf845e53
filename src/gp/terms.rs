//! Mean functions, likelihoods, inducing features and covariances of outputs on the tape.

use faer::Mat;

use super::overflow::Largest;
use super::posterior::to_f64;
use crate::inducing::InducingFeatures;
use crate::kernels::Coregionalization;
use crate::likelihood::{GaussianNoise, Likelihood};
use crate::linalg::cast_column;
use crate::mean::{DynMean, Mean};
use crate::params::{ParameterArray, ParameterizedExt};
use crate::tape::{Tape, Var};
use crate::{Result, Scalar};

/// A part of a model on the tape: its value, and the variable that gets the gradient in the part's
/// natural parameters, in visiting order.
pub(super) struct Term<'t, T: Scalar> {
    pub(super) value: Var<'t, T>,
    pub(super) theta: Var<'t, T>,
}

/// The mean function at the points x (n × D): n × 1.
pub(super) fn prior_mean<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    mean: &'a DynMean,
    x: Var<'t, T>,
) -> Result<Term<'t, T>> {
    let theta = parameter_column(tape, &mean.values());
    let points = tape.value(x)?;
    let mut value = Mat::zeros(points.as_mat().nrows(), 1);
    mean.mean_into(points.as_mat(), value.col_as_slice_mut(0));
    let params = mean.num_params();
    let wants_points = tape.needs_gradient(x)?;
    let reverse = move |c: faer::MatRef<'_, T>| {
        let cotangent: Vec<T> = c.col(0).iter().copied().collect();
        let mut in_theta = vec![0.0; params];
        mean.vjp(points.as_mat(), &cotangent, &mut in_theta);
        let in_points = wants_points.then(|| {
            let mut gradient = Mat::zeros(points.as_mat().nrows(), points.as_mat().ncols());
            mean.points_vjp(points.as_mat(), &cotangent, gradient.as_mut());
            gradient
        });
        vec![Some(cast_column(&in_theta)), in_points]
    };
    Ok(Term { value: tape.custom(&[theta, x], value, Box::new(reverse)), theta })
}

/// The variances of the noise of n observations: n × 1.
pub(super) fn noise_variances<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    likelihood: &'a dyn GaussianNoise,
    n: usize,
) -> Result<Term<'t, T>> {
    let theta = parameter_column(tape, &likelihood.values());
    let reverse = move |c: faer::MatRef<'_, T>| {
        let cotangent: Vec<f64> = c.col(0).iter().map(|&v| v.as_f64()).collect();
        vec![Some(cast_column(&likelihood.noise_variances_vjp(&cotangent)))]
    };
    Ok(Term { value: tape.custom(&[theta], cast_column(&likelihood.noise_variances(n)?), Box::new(reverse)), theta })
}

/// Σᵢ E log p(yᵢ | fᵢ) for independent latent values of these means and variances, n × 1 for each of one or more latent
/// functions: 1 × 1. With the observation to name where it overflows.
pub(super) fn expected_log_likelihood<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    likelihood: &'a dyn Likelihood,
    y: &[T],
    means: &[Var<'t, T>],
    variances: &[Var<'t, T>],
) -> Result<(Term<'t, T>, Option<Largest>)> {
    let theta = parameter_column(tape, &likelihood.values());
    let values = |vars: &[Var<'t, T>]| -> Result<Vec<f64>> {
        let mut values = Vec::new();
        for &var in vars {
            values.extend(tape.value(var)?.as_mat().col(0).iter().map(|&v| v.as_f64()));
        }
        Ok(values)
    };
    let (mean_values, variance_values) = (values(means)?, values(variances)?);
    let expectations = likelihood.variational_expectations(&to_f64(y), &mean_values, &variance_values)?;
    let total: f64 = expectations.values.iter().sum();
    let rows = expectations.d_mean.len() / means.len();
    let largest = Largest::find(likelihood, &expectations, &mean_values, &variance_values, rows);
    let reverse = move |c: faer::MatRef<'_, T>| {
        let c = c[(0, 0)].as_f64();
        let scaled = |values: &[f64]| Some(cast_column(&values.iter().map(|value| c * value).collect::<Vec<_>>()));
        let by_latent = expectations.d_mean.chunks(rows).chain(expectations.d_variance.chunks(rows));
        std::iter::once(scaled(&expectations.d_params)).chain(by_latent.map(scaled)).collect()
    };
    let operands: Vec<_> = std::iter::once(&theta).chain(means).chain(variances).copied().collect();
    let value = tape.custom(&operands, cast_column(&[total]), Box::new(reverse));
    Ok((Term { value, theta }, largest))
}

/// The features' parameters, with or without gradient.
pub(super) fn features_on<'t, 'a, T: Scalar, F: InducingFeatures>(
    tape: &'t Tape<'a, T>,
    features: &'a F,
    differentiable: bool,
) -> Result<Var<'t, T>> {
    let parameter = features.parameter(tape);
    if differentiable {
        return Ok(parameter);
    }
    Ok(tape.constant_owned(tape.value(parameter)?.as_mat().to_owned()))
}

/// A matrix of parameters, with or without gradient.
pub(super) fn matrix_on<'t, 'a>(
    tape: &'t Tape<'a, f64>,
    array: &'a ParameterArray,
    differentiable: bool,
) -> Var<'t, f64> {
    if differentiable { tape.parameter_ref(array.as_matrix()) } else { tape.constant(array.as_matrix()) }
}

/// The covariance of outputs by their index.
pub(super) fn output_covariance<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    matrix: &'a Coregionalization,
    differentiable: bool,
) -> Result<Term<'t, T>> {
    let count = matrix.diagonal().len();
    let indices = tape.constant_owned(Mat::from_fn(count, 1, |row, _| T::from_f64(row as f64)));
    let kernel = tape.kernel_var(matrix, differentiable)?;
    Ok(Term { value: kernel.gram(indices)?, theta: kernel.theta() })
}

/// The gradients of several parts, one after the other, as one vector.
pub(super) fn gather<T: Scalar>(
    gradients: &crate::tape::Adjoints<T>,
    tape: &Tape<'_, T>,
    parts: &[Var<'_, T>],
) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for &part in parts {
        match gradients.get(part) {
            Some(gradient) => {
                for col in 0..gradient.ncols() {
                    all.extend(gradient.col(col).iter().map(|&value| value.as_f64()));
                }
            }
            // A part that the objective does not depend on.
            None => {
                let (rows, cols) = tape.shape(part)?;
                all.resize(all.len() + rows * cols, 0.0);
            }
        }
    }
    Ok(all)
}

/// The values as a column at the precision of the tape.
pub(super) fn parameter_column<'t, T: Scalar>(tape: &'t Tape<'_, T>, values: &[f64]) -> Var<'t, T> {
    tape.parameter(cast_column(values))
}
