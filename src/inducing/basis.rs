//! Inducing features whose type is forgotten.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::{InducingFeatures, InducingPrior, StoredPrior};
#[cfg(feature = "serde")]
use crate::Expr;
use crate::kernel::Kernel;
use crate::linalg::Jitter;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Error, Result, Scalar};

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

    /// What [`cross`](Self::cross) and what follows need for the covariances of the features of a whole process, of this
    /// prior, with a part of it that has this kernel.
    fn of_part(&self, kernel: &dyn Kernel<T>, prior: &Arc<StoredPrior<T>>) -> Result<PartPrior<T>>;
}

/// See [`Basis::of_part`].
#[derive(Debug)]
pub(crate) struct PartPrior<T: Scalar> {
    pub(crate) prior: Arc<StoredPrior<T>>,
    /// P, M × 1, if ‖PA‖² is the variance of the part that the features do not explain; `None` if it is what is left of that
    /// of the kernel.
    pub(crate) remainder: Option<Mat<T>>,
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

    fn of_part(&self, kernel: &dyn Kernel<T>, prior: &Arc<StoredPrior<T>>) -> Result<PartPrior<T>> {
        if self.points().is_some() {
            return Ok(PartPrior { prior: prior.clone(), remainder: None });
        }
        let nowhere = Mat::<T>::zeros(0, InducingFeatures::dim(self));
        if self.basis(nowhere.as_ref())?.is_some() {
            InducingFeatures::check_kernel(self, kernel)?;
            let tape = Tape::new(Par::Seq);
            let own = self.prior(&tape, tape.fixed_kernel(kernel), self.parameter(&tape), Jitter::Fixed(0.0))?;
            if let Some(part) = prior.of_part(&own.store(&tape)?) {
                return Ok(part);
            }
        }
        let expected = "have no covariances with one term of the kernel: take inducing points, or features that are \
                        independent coefficients of a fixed basis";
        Err(Error::setting("the inducing features", self.name(), expected))
    }
}
