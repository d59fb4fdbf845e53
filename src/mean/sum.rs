//! The sum of two mean functions.

use faer::{MatMut, MatRef};

use super::{DynMean, Mean, MeanExpr};
use crate::kernel::split_theta;
use crate::simd::elementwise::add;
use crate::{Result, Scalar};

/// The mean function m(x) = a(x) + b(x): what `a + b` makes. The number in `a + 2.0` is a
/// [`ConstantMean`](super::ConstantMean).
///
/// # Examples
///
/// ```
/// use mercer::mean::{LinearMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = LinearMean::new([0.5]) + 10.0;
/// let mut out = [0.0; 2];
/// mean.mean_into(mat![[2.0], [4.0]].as_ref(), &mut out);
/// assert_eq!(out, [11.0, 12.0]);
/// assert_eq!(mean.get("sum[1].constant.value")?, 10.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SumMean {
    left: DynMean,
    right: DynMean,
}

crate::mean_ops!(SumMean);

impl SumMean {
    /// The sum of two functions.
    pub fn new(left: impl Into<DynMean>, right: impl Into<DynMean>) -> Self {
        Self { left: left.into(), right: right.into() }
    }

    /// The two functions.
    pub fn parts(&self) -> (&DynMean, &DynMean) {
        (&self.left, &self.right)
    }
}

crate::parameterized!(SumMean as "sum", parameters: [], numbered: [left, right]);

impl MeanExpr for SumMean {
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.left.check_dim(dim)?;
        self.right.check_dim(dim)
    }
}

impl<T: Scalar> Mean<T> for SumMean {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        let mut right = vec![T::from_f64(0.0); out.len()];
        self.left.mean_into(x, out);
        self.right.mean_into(x, &mut right);
        add(out, &right);
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        let (in_left, in_right) = split_theta(&self.left, theta);
        self.left.vjp(x, cotangent, in_left);
        self.right.vjp(x, cotangent, in_right);
    }

    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], mut gradient: MatMut<'_, T>) {
        self.left.points_vjp(x, cotangent, gradient.as_mut());
        self.right.points_vjp(x, cotangent, gradient);
    }
}
