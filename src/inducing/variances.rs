//! Variances of coefficients, from a kernel.

use faer::MatRef;

use crate::linalg::cast_column;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// From cotangents to the gradient in the hyperparameters.
type Vjp<'a> = Box<dyn Fn(&[f64]) -> Result<Vec<f64>> + 'a>;

/// Variances of coefficients under a kernel, with the way back to its hyperparameters.
pub(super) struct Variances<'a> {
    pub(super) values: Vec<f64>,
    pub(super) vjp: Vjp<'a>,
}

impl<'a> Variances<'a> {
    /// M × 1
    pub(super) fn record<'t, T: Scalar>(self, tape: &'t Tape<'a, T>, kernel: KernelVar<'t, 'a, T>) -> Var<'t, T> {
        let value = cast_column(&self.values);
        let backward = move |c: MatRef<'_, T>| {
            let cotangent: Vec<f64> = c.col(0).iter().map(|c| c.as_f64()).collect();
            Ok(vec![Some(cast_column(&(self.vjp)(&cotangent)?))])
        };
        tape.fallible(&[kernel.theta()], value, Box::new(backward))
    }
}
