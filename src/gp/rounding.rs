//! What a bound states of its own rounding error, and what a fit makes of it.

use super::terms::gather;
use crate::params::{Parameterized, ParameterizedExt};
use crate::tape::{Adjoints, Tape, Var};
use crate::{Error, Result, Scalar};

/// Local errors are some 0.3 ε, where the tape counts each as ε: what is stated is some five of their standard deviations.
const DEVIATIONS: f64 = 1.5;

/// The rounding error of a fit's objective, in nats, above which the fit does not go.
pub const ROUNDING_LIMIT: f64 = 0.01;

/// The gradient of what a model's tape has computed, in these parameters, and by how much rounding may have changed the
/// value; infinite where the tape does not watch it.
pub(super) fn gradient_and_rounding<T: Scalar>(
    tape: &Tape<'_, T>,
    value: Var<'_, T>,
    parameters: &[Var<'_, T>],
    model: &impl Parameterized,
) -> Result<(Vec<f64>, f64)> {
    let adjoints = tape.backward(value)?;
    let gradient = gather(&adjoints, tape, parameters)?;
    let rounding = stated(&adjoints, model, &gradient);
    tape.recycle(adjoints);
    Ok((gradient, rounding))
}

/// By how much rounding may have changed a result: on its tape, and by what the precision of the tape makes of parameters,
/// of which the gradients are given.
fn stated<T: Scalar>(adjoints: &Adjoints<T>, model: &impl Parameterized, gradient: &[f64]) -> f64 {
    if adjoints.squared_rounding() == f64::INFINITY {
        return f64::INFINITY;
    }
    let moved = |value: f64| T::from_f64(value).as_f64() - value;
    let by_parameters: f64 = model.values().iter().zip(gradient).map(|(&value, slope)| slope * moved(value)).sum();
    DEVIATIONS * (adjoints.squared_rounding() + by_parameters * by_parameters).sqrt()
}

/// The loss of a fit, −`value`, and its gradient from that of the value, where they have the digits that a fit needs.
///
/// Where they have not, rounding errors have either sign, and an optimiser takes the favourable ones for a better model.
pub(super) fn loss(what: &str, value: f64, rounding: f64, mut gradient: Vec<f64>) -> Result<(f64, Vec<f64>)> {
    if rounding > ROUNDING_LIMIT {
        return Err(Error::Rounding { what: what.to_owned(), error: rounding, limit: ROUNDING_LIMIT });
    }
    gradient.iter_mut().for_each(|entry| *entry = -*entry);
    Ok((-value, gradient))
}
