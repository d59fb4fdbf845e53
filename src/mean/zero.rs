//! The mean function that is zero.

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::{Result, Scalar, mean_ops, parameterized};

/// The mean function m(x) = 0, without parameters: for standardised outputs.
///
/// # Examples
///
/// ```
/// use mercer::mean::{Mean, Zero};
/// use mercer::prelude::*;
///
/// let mut out = [1.0, 2.0];
/// Zero.mean_into(mat![[1.0], [5.0]].as_ref(), &mut out);
/// assert_eq!(out, [0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zero;

parameterized!(Zero as "zero", parameters: []);
mean_ops!(Zero);

impl MeanExpr for Zero {
    fn check_dim(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn is_zero(&self) -> bool {
        true
    }
}

impl<T: Scalar> Mean<T> for Zero {
    fn mean_into(&self, _: MatRef<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(0.0));
    }

    fn vjp(&self, _: MatRef<'_, T>, _: &[T], _: &mut [f64]) {}

    fn points_vjp(&self, _: MatRef<'_, T>, _: &[T], _: MatMut<'_, T>) {}
}
