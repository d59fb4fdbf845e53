//! A mean function times a number.

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::params::{Constraint, Parameter};
use crate::simd::{dot, elementwise::scale};
use crate::{Result, Scalar};

/// The mean function m(x) = c · a(x): what `2.0 * a` and `a * 2.0` make.
///
/// Its parameter `factor` is c, any finite number.
///
/// # Examples
///
/// ```
/// use mercer::mean::{LinearMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = -2.0 * LinearMean::new([0.5]);
/// let mut out = [0.0; 2];
/// mean.mean_into(mat![[2.0], [4.0]].as_ref(), &mut out);
/// assert_eq!(out, [-2.0, -4.0]);
/// assert_eq!(mean.get("scaled.factor")?, -2.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledMean<M> {
    factor: Parameter,
    mean: M,
}

crate::mean_ops!([M] ScaledMean<M>);

impl<M> ScaledMean<M> {
    /// The function times a factor.
    ///
    /// # Panics
    ///
    /// If the factor is not finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(factor: f64, mean: M) -> Self {
        crate::error::literal(Self::try_new(factor, mean))
    }

    /// The function times a factor.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the factor is not finite.
    pub fn try_new(factor: f64, mean: M) -> Result<Self> {
        Ok(Self { factor: Parameter::new("factor", factor, Constraint::Real)?, mean })
    }

    /// The factor.
    pub fn factor(&self) -> f64 {
        self.factor.value()
    }

    /// The function that is scaled.
    pub fn mean(&self) -> &M {
        &self.mean
    }

    fn scaled<T: Scalar>(&self, cotangent: &[T]) -> Vec<T> {
        let mut scaled = cotangent.to_vec();
        scale(&mut scaled, T::from_f64(self.factor()));
        scaled
    }
}

crate::parameterized!([M] ScaledMean<M> as "scaled", parameters: [factor], child: mean);

impl<M: MeanExpr + Clone> MeanExpr for ScaledMean<M> {
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.mean.check_dim(dim)
    }
}

impl<T: Scalar, M: Mean<T> + Clone> Mean<T> for ScaledMean<M> {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        self.mean.mean_into(x, out);
        scale(out, T::from_f64(self.factor()));
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        let Some((in_factor, in_mean)) = theta.split_first_mut() else { return };
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        self.mean.mean_into(x, &mut value);
        *in_factor += dot(cotangent, &value).as_f64();
        self.mean.vjp(x, &self.scaled(cotangent), in_mean);
    }

    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], gradient: MatMut<'_, T>) {
        self.mean.points_vjp(x, &self.scaled(cotangent), gradient);
    }
}
