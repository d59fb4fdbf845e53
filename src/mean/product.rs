//! The product of two mean functions.

use faer::{MatMut, MatRef};

use super::{DynMean, Mean, MeanExpr};
use crate::kernel::split_theta;
use crate::simd::elementwise::multiply;
use crate::{Result, Scalar};

/// The mean function m(x) = a(x) b(x): what `a * b` makes.
///
/// # Examples
///
/// ```
/// use mercer::mean::{LinearMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = LinearMean::new([0.5]) * (LinearMean::new([1.0]) + 1.0);
/// let mut out = [0.0; 2];
/// mean.mean_into(mat![[2.0], [4.0]].as_ref(), &mut out);
/// assert_eq!(out, [3.0, 10.0]);
/// assert_eq!(mean.get("product[0].linear.weights[0]")?, 0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProductMean {
    left: DynMean,
    right: DynMean,
}

crate::mean_ops!(ProductMean);

impl ProductMean {
    /// The product of two functions.
    pub fn new(left: impl Into<DynMean>, right: impl Into<DynMean>) -> Self {
        Self { left: left.into(), right: right.into() }
    }

    /// The two functions.
    pub fn parts(&self) -> (&DynMean, &DynMean) {
        (&self.left, &self.right)
    }

    /// The cotangents of the two factors: that of the product times the other factor.
    fn cotangents<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: &[T]) -> (Vec<T>, Vec<T>) {
        let zeros = || vec![T::from_f64(0.0); cotangent.len()];
        let (mut of_left, mut of_right) = (zeros(), zeros());
        self.right.mean_into(x, &mut of_left);
        self.left.mean_into(x, &mut of_right);
        multiply(&mut of_left, cotangent);
        multiply(&mut of_right, cotangent);
        (of_left, of_right)
    }
}

crate::parameterized!(ProductMean as "product", parameters: [], numbered: [left, right]);

impl MeanExpr for ProductMean {
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.left.check_dim(dim)?;
        self.right.check_dim(dim)
    }
}

impl<T: Scalar> Mean<T> for ProductMean {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        let mut right = vec![T::from_f64(0.0); out.len()];
        self.left.mean_into(x, out);
        self.right.mean_into(x, &mut right);
        multiply(out, &right);
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        let (of_left, of_right) = self.cotangents(x, cotangent);
        let (in_left, in_right) = split_theta(&self.left, theta);
        self.left.vjp(x, &of_left, in_left);
        self.right.vjp(x, &of_right, in_right);
    }

    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], mut gradient: MatMut<'_, T>) {
        let (of_left, of_right) = self.cotangents(x, cotangent);
        self.left.points_vjp(x, &of_left, gradient.as_mut());
        self.right.points_vjp(x, &of_right, gradient);
    }
}
