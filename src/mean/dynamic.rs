//! Mean functions as values whose type is known at run time.

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::{Result, Scalar};

/// A mean function at both precisions: what a [`DynMean`] can hold. Implemented for every type that
/// is a [`Mean`] of `f32` and of `f64`.
pub trait AnyMean: Mean<f32> + Mean<f64> {
    #[doc(hidden)]
    fn as_parameterized_mut(&mut self) -> &mut dyn Parameterized;
}

impl<M: Mean<f32> + Mean<f64>> AnyMean for M {
    fn as_parameterized_mut(&mut self) -> &mut dyn Parameterized {
        self
    }
}

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
pub struct DynMean(Box<dyn AnyMean>);

impl DynMean {
    /// Boxes a mean function.
    pub fn new(mean: impl AnyMean + 'static) -> Self {
        Self(Box::new(mean))
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
        self.0.as_parameterized_mut().visit_mut(visitor);
    }
}

impl MeanExpr for DynMean {
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.0.check_dim(dim)
    }
}

impl<T: Scalar> Mean<T> for DynMean {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        T::select_mean(&*self.0).mean_into(x, out);
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        T::select_mean(&*self.0).vjp(x, cotangent, theta);
    }

    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], gradient: MatMut<'_, T>) {
        T::select_mean(&*self.0).points_vjp(x, cotangent, gradient);
    }
}
