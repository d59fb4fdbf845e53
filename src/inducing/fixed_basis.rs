//! Features of a basis that no hyperparameter moves.

use std::fmt::Debug;

use faer::{Mat, MatRef};

use super::{InducingFeatures, InducingPrior};
use crate::kernel::Expr;
use crate::linalg::Jitter;
use crate::params::Parameterized;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// Inducing features by functions Φ of a point, with K_uf = diag(c) Φ(x): what is left to say is Φ, and where c and K_uu come
/// from.
pub(super) trait FixedBasis: Parameterized + Clone + Debug + Send + Sync {
    /// M
    fn len(&self) -> usize;

    /// See [`InducingFeatures::dim`].
    fn dim(&self) -> usize;

    /// See [`InducingFeatures::check_kernel`].
    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()>;

    /// See [`InducingFeatures::check_points`].
    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()>;

    /// K_uu, and c as its [scale](InducingPrior::with_basis_scale).
    fn prior<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        kernel: KernelVar<'a, T>,
        parameter: Var,
        jitter: Jitter,
    ) -> Result<InducingPrior>;

    /// Φ(x), M × n; refuses points where there is none.
    fn values<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Mat<T>>;

    /// The gradient of Σ C ∘ Φ(x) in the points, n × D; `None` on points that are indices.
    fn points_vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Result<Option<Mat<T>>>;

    /// Whether k(x, x) is the same at all points, for every kernel that fits.
    fn is_homogeneous(&self) -> bool {
        true
    }
}

impl<B: FixedBasis> InducingFeatures for B {
    fn len(&self) -> usize {
        B::len(self)
    }

    fn dim(&self) -> usize {
        B::dim(self)
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        B::check_kernel(self, kernel)
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        B::check_points(self, x)
    }

    fn prior<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        kernel: KernelVar<'a, T>,
        parameter: Var,
        jitter: Jitter,
    ) -> Result<InducingPrior> {
        B::prior(self, tape, kernel, parameter, jitter)
    }

    fn cross<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        _: KernelVar<'a, T>,
        prior: &InducingPrior,
        x: Var,
    ) -> Result<Var> {
        let points = tape.value(x)?;
        let values = self.values(points.as_mat())?;
        let backward = move |c: MatRef<'_, T>| Ok(vec![self.points_vjp(points.as_mat(), c)?]);
        let values = tape.fallible(&[x], values, Box::new(backward))?;
        prior.basis_scale().map_or(Ok(values), |scale| tape.scale_rows(values, scale))
    }

    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        if self.is_homogeneous() { self.values(x).map(Some) } else { Ok(None) }
    }
}

/// Variances of coefficients under a kernel, with the way back to its hyperparameters.
pub(super) struct Variances<'a> {
    pub(super) values: Vec<f64>,
    pub(super) vjp: Box<dyn Fn(&[f64]) -> Result<Vec<f64>> + 'a>,
}

impl<'a> Variances<'a> {
    /// M × 1
    pub(super) fn record<T: Scalar>(self, tape: &Tape<'a, T>, kernel: KernelVar<'a, T>) -> Result<Var> {
        let column = |values: &[f64]| Mat::from_fn(values.len(), 1, |row, _| T::from_f64(values[row]));
        let value = column(&self.values);
        let backward = move |c: MatRef<'_, T>| {
            let cotangent: Vec<f64> = c.col(0).iter().map(|c| c.as_f64()).collect();
            Ok(vec![Some(column(&(self.vjp)(&cotangent)?))])
        };
        tape.fallible(&[kernel.theta()], value, Box::new(backward))
    }
}
