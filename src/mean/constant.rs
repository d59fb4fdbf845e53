//! The constant mean function.

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::params::{Constraint, Parameter};
use crate::{Result, Scalar, mean_ops, parameterized};

/// The mean function m(x) = c.
///
/// Its parameter `value` is c, any finite number, in units of the outputs.
///
/// # Examples
///
/// ```
/// use mercer::mean::{ConstantMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = ConstantMean::new(0.7);
/// let mut out = [0.0; 2];
/// mean.mean_into(mat![[1.0], [5.0]].as_ref(), &mut out);
/// assert_eq!(out, [0.7, 0.7]);
/// assert_eq!(mean.get("constant.value")?, 0.7);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantMean {
    value: Parameter,
}

parameterized!(ConstantMean as "constant", parameters: [value]);
mean_ops!([] ConstantMean);

impl ConstantMean {
    /// The function with a value.
    ///
    /// # Panics
    ///
    /// If the value is not finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(value: f64) -> Self {
        crate::error::literal(Self::try_new(value))
    }

    /// The function with a value.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the value is not finite.
    pub fn try_new(value: f64) -> Result<Self> {
        Ok(Self { value: Parameter::new("value", value, Constraint::Real)? })
    }

    /// The value c.
    pub fn value(&self) -> f64 {
        self.value.value()
    }
}

impl MeanExpr for ConstantMean {
    fn check_dim(&self, _: usize) -> Result<()> {
        Ok(())
    }
}

impl<T: Scalar> Mean<T> for ConstantMean {
    fn mean_into(&self, _: MatRef<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(self.value()));
    }

    fn vjp(&self, _: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        theta[0] += cotangent.iter().map(|&c| c.as_f64()).sum::<f64>();
    }

    fn points_vjp(&self, _: MatRef<'_, T>, _: &[T], _: MatMut<'_, T>) {}
}
