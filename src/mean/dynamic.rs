//! Mean functions as values whose type is known at run time.

use std::marker::PhantomData;

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::scalar::ByPrecision;
use crate::{Result, Scalar};

/// A mean function at both precisions: what a [`DynMean`] can hold. Implemented for every type that
/// is a [`Mean`] of `f32` and of `f64`.
pub trait AnyMean: Mean<f32> + Mean<f64> {}

impl<M: Mean<f32> + Mean<f64>> AnyMean for M {}

dyn_clone::clone_trait_object!(AnyMean);

/// Any mean function, in a box: what models hold.
///
/// # Examples
///
/// ```
/// use mercer::mean::{ConstantMean, DynMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = DynMean::new(ConstantMean::new(0.7));
/// let mut out = [0.0f32; 1];
/// mean.mean_into(mat![[1.0]].as_ref(), &mut out);
/// assert_eq!(out, [0.7]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DynMean(pub(super) Box<dyn AnyMean>);

impl DynMean {
    /// Boxes a mean function.
    pub fn new(mean: impl AnyMean + 'static) -> Self {
        Self(Box::new(mean))
    }

    fn at<T: Scalar>(&self) -> &dyn Mean<T> {
        T::select::<At<'_>>(&*self.0)
    }
}

struct At<'m>(PhantomData<&'m ()>);

impl<'m> ByPrecision for At<'m> {
    type Input<T: Scalar> = &'m dyn AnyMean;
    type Output<T: Scalar> = &'m dyn Mean<T>;

    fn f32(mean: &'m dyn AnyMean) -> &'m dyn Mean<f32> {
        mean
    }

    fn f64(mean: &'m dyn AnyMean) -> &'m dyn Mean<f64> {
        mean
    }
}

impl Parameterized for DynMean {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.0.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.0.visit_mut(visitor);
    }
}

impl MeanExpr for DynMean {
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.0.check_dim(dim)
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl<T: Scalar> Mean<T> for DynMean {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        self.at::<T>().mean_into(x, out);
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        self.at::<T>().vjp(x, cotangent, theta);
    }

    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], gradient: MatMut<'_, T>) {
        self.at::<T>().points_vjp(x, cotangent, gradient);
    }
}
