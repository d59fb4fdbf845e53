//! Mean functions, likelihoods, inducing features and covariances of outputs on the tape.

use std::rc::Rc;

use faer::Mat;

use super::overflow::Largest;
use super::posterior::to_f64;
use crate::inducing::InducingFeatures;
use crate::kernels::Coregionalization;
use crate::likelihood::{Expectations, GaussianNoise, Likelihood};
use crate::linalg::{cast_column, column};
use crate::mean::{DynMean, Mean, MeanExpr};
use crate::params::{ParameterArray, ParameterizedExt};
use crate::tape::{Slopes, Tape, Var};
use crate::{Error, Result, Scalar};

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
    if mean.is_zero() && mean.num_params() == 0 {
        return Ok(Term { value: tape.zeros(points.as_mat().nrows(), 1), theta });
    }
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
    noise_variances_of(tape, likelihood, n, None)
}

/// The same for some rows of n.
pub(super) fn noise_variances_of<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    likelihood: &'a dyn GaussianNoise,
    n: usize,
    rows: Option<&'a [usize]>,
) -> Result<Term<'t, T>> {
    let theta = parameter_column(tape, &likelihood.values());
    let reverse = move |c: faer::MatRef<'_, T>| {
        let mut cotangent: Vec<f64> = c.col(0).iter().map(|&v| v.as_f64()).collect();
        if let Some(rows) = rows {
            let mut of_all = vec![0.0; n];
            rows.iter().zip(&cotangent).for_each(|(&row, &c)| of_all[row] = c);
            cotangent = of_all;
        }
        vec![Some(cast_column(&likelihood.noise_variances_vjp(&cotangent)))]
    };
    let mut variances = likelihood.noise_variances(n)?;
    if let Some(rows) = rows {
        variances = rows.iter().map(|&row| variances[row]).collect();
    }
    Ok(Term { value: tape.custom(&[theta], cast_column(&variances), Box::new(reverse)), theta })
}

/// Σᵢ E log p(yᵢ | fᵢ) for independent latent values of these means and variances, n × 1 for each of one or more latent
/// functions: 1 × 1. With what names an observation where it overflows.
pub(super) fn expected_log_likelihood<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    likelihood: &'a dyn Likelihood,
    y: &[T],
    means: &[Var<'t, T>],
    variances: &[Var<'t, T>],
) -> Result<(Term<'t, T>, Largest<'a>)> {
    let theta = parameter_column(tape, &likelihood.values());
    let values = |vars: &[Var<'t, T>]| -> Result<Vec<f64>> {
        let mut values = Vec::with_capacity(vars.len() * y.len() / likelihood.outputs().max(1));
        for &var in vars {
            values.extend(column(tape.value(var)?.as_mat(), 0).iter().map(|&v| v.as_f64()));
        }
        Ok(values)
    };
    let (mean_values, variance_values) = (values(means)?, values(variances)?);
    let expectations = likelihood.variational_expectations(&to_f64(y), &mean_values, &variance_values)?;
    let Expectations { d_mean, d_variance, d_params, .. } = &expectations;
    for (what, derivatives, expected) in [
        ("the derivatives in the means", d_mean, mean_values.len()),
        ("the derivatives in the variances", d_variance, variance_values.len()),
        ("the derivatives in the parameters of the likelihood", d_params, tape.shape(theta)?.0),
    ] {
        if derivatives.len() != expected {
            return Err(Error::shape(what, format!("{expected} value(s)"), (derivatives.len(), 1)));
        }
    }
    let (total, rows) = (crate::simd::sum(&expectations.values), mean_values.len() / means.len());
    let expectations = Rc::new(expectations);
    let largest = Largest::new(likelihood, expectations.clone(), mean_values, variance_values);
    let operands: Vec<_> = std::iter::once(&theta).chain(means).chain(variances).copied().collect();
    let value = tape.evaluated_from(total, operands, ByLatent { expectations, rows });
    Ok((Term { value, theta }, largest))
}

/// The derivatives of expectations: in the parameters, in the means of each latent function, and in its variances.
struct ByLatent {
    expectations: Rc<Expectations>,
    rows: usize,
}

impl Slopes for ByLatent {
    fn of(&self, operand: usize) -> &[f64] {
        let Expectations { d_mean, d_variance, d_params, .. } = &*self.expectations;
        let Some(of) = operand.checked_sub(1) else { return d_params };
        let latents = d_mean.len() / self.rows.max(1);
        let part = |of: usize| of * self.rows..(of + 1) * self.rows;
        if of < latents { &d_mean[part(of)] } else { &d_variance[part(of - latents)] }
    }
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
    let mut len = 0;
    for &part in parts {
        let (rows, cols) = tape.shape(part)?;
        len += rows * cols;
    }
    let mut all = Vec::with_capacity(len);
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
    tape.parameter_values(values)
}
