//! Inducing points.

use faer::{Mat, MatRef, Par};

use super::{InducingFeatures, InducingPrior};
use crate::data::check_finite;
use crate::kernel::{Expr, Kernel, matmul_into};
use crate::linalg::{Jitter, cast};
use crate::params::{Constraint, ParameterArray};
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// M inducing inputs, one a row: u = f(Z), for any kernel. K_uu = K(Z, Z) is dense, K_uf = K(Z, x).
///
/// # Parameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `inputs[i, d]` | Z | that of the inputs | any finite number |
///
/// Duplicate rows are allowed: they make K(Z, Z) singular, which the jitter policy then resolves and
/// reports.
///
/// # Examples
///
/// ```
/// use mercer::inducing::InducingPoints;
/// use mercer::prelude::*;
///
/// let points = InducingPoints::new(mat![[0.0, 1.0], [2.0, 3.0]].as_ref())?;
/// assert_eq!(points.get("inputs[1, 0]")?, 2.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "pseudo-inputs", alias = "Z")]
pub struct InducingPoints {
    inputs: ParameterArray,
}

crate::parameterized!(InducingPoints as "", parameters: [inputs]);

impl InducingPoints {
    /// Inducing inputs in the rows of a matrix.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) without rows or columns;
    /// [`Error::NonFinite`](crate::Error::NonFinite) for a NaN or an infinity.
    pub fn new(inputs: MatRef<'_, f64>) -> Result<Self> {
        check_finite("the inducing inputs", inputs)?;
        Ok(Self { inputs: ParameterArray::of_matrix("inputs", inputs, Constraint::Real)? })
    }

    /// The number of inducing points.
    pub fn len(&self) -> usize {
        self.inputs().nrows()
    }

    /// Whether there are none: never, as constructed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The inputs, one a row.
    pub fn inputs(&self) -> MatRef<'_, f64> {
        self.inputs.as_matrix()
    }

    /// The inputs at a precision.
    pub(crate) fn at<T: Scalar>(&self) -> Mat<T> {
        cast(self.inputs())
    }
}

impl InducingFeatures for InducingPoints {
    fn len(&self) -> usize {
        self.inputs().nrows()
    }

    fn dim(&self) -> usize {
        self.inputs().ncols()
    }

    fn points(&self) -> Option<MatRef<'_, f64>> {
        Some(self.inputs())
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        kernel.inputs(self.inputs().ncols()).map(drop)
    }

    fn parameter<'t, 'a, T: Scalar>(&'a self, tape: &'t Tape<'a, T>) -> Var<'t, T> {
        tape.parameter_cast(self.inputs())
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        _: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        z: Var<'t, T>,
        jitter: Jitter,
    ) -> Result<InducingPrior<'t, T>> {
        InducingPrior::dense(z, kernel.gram(z)?, jitter)
    }

    fn cross<'t, 'a, T: Scalar>(
        &'a self,
        _: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>> {
        kernel.cross(prior.parameter(), x)
    }

    fn cross_times<T: Scalar>(
        &self,
        kernel: &dyn Kernel<T>,
        x: MatRef<'_, T>,
        weights: MatRef<'_, T>,
        par: Par,
    ) -> Result<Option<Mat<T>>> {
        let mut product = Mat::zeros(x.nrows(), weights.ncols());
        matmul_into(kernel, x, self.at().as_ref(), weights, product.as_mut(), par)?;
        Ok(Some(product))
    }
}
