//! The constant mean function.

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::{Result, Scalar, mean_ops};

crate::declare! {
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
    pub ConstantMean as "constant" {
        /// The value c.
        value: Scalar = Real,
    }
}

mean_ops!(ConstantMean);

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
