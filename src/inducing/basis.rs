//! Inducing features whose type is forgotten.

use std::any::Any;
use std::fmt::Debug;

use faer::{Mat, MatRef, Par};

use super::{InducingFeatures, InducingPrior};
#[cfg(feature = "serde")]
use crate::Expr;
use crate::kernel::Kernel;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// Inducing features whose type is forgotten.
pub(crate) trait Basis<T: Scalar>: Any + Debug + Send + Sync {
    /// The number of columns of the points.
    fn dim(&self) -> usize;

    /// M, the number of features.
    #[cfg(feature = "serde")]
    fn len(&self) -> usize;

    /// What errors call the features.
    #[cfg(feature = "serde")]
    fn called(&self) -> String;

    /// See [`InducingFeatures::check_kernel`].
    #[cfg(feature = "serde")]
    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()>;

    /// The shape of [`InducingFeatures::parameter`].
    #[cfg(feature = "serde")]
    fn parameter_shape(&self) -> Result<(usize, usize)>;

    /// See [`InducingFeatures::check_points`].
    fn check_points(&self, x: MatRef<'_, T>) -> Result<()>;

    /// See [`InducingFeatures::cross`].
    fn cross<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>>;

    /// See [`InducingFeatures::cross_times`].
    fn cross_times(
        &self,
        kernel: &dyn Kernel<T>,
        x: MatRef<'_, T>,
        weights: MatRef<'_, T>,
        par: Par,
    ) -> Result<Option<Mat<T>>>;
}

impl<T: Scalar, F: InducingFeatures> Basis<T> for F {
    fn dim(&self) -> usize {
        InducingFeatures::dim(self)
    }

    #[cfg(feature = "serde")]
    fn len(&self) -> usize {
        InducingFeatures::len(self)
    }

    #[cfg(feature = "serde")]
    fn called(&self) -> String {
        let name = self.name();
        if name.is_empty() { std::any::type_name::<F>().to_owned() } else { name.to_owned() }
    }

    #[cfg(feature = "serde")]
    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        InducingFeatures::check_kernel(self, kernel)
    }

    #[cfg(feature = "serde")]
    fn parameter_shape(&self) -> Result<(usize, usize)> {
        let tape = Tape::<T>::new(Par::Seq);
        tape.shape(self.parameter(&tape))
    }

    fn check_points(&self, x: MatRef<'_, T>) -> Result<()> {
        InducingFeatures::check_points(self, x)
    }

    fn cross<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>> {
        InducingFeatures::cross(self, tape, kernel, prior, x)
    }

    fn cross_times(
        &self,
        kernel: &dyn Kernel<T>,
        x: MatRef<'_, T>,
        weights: MatRef<'_, T>,
        par: Par,
    ) -> Result<Option<Mat<T>>> {
        InducingFeatures::cross_times(self, kernel, x, weights, par)
    }
}
