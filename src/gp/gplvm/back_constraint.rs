//! Latents as a function of the outputs.

use faer::{Mat, MatRef, Par};

use crate::data::check_finite;
use crate::gp::checks::check_psd;
use crate::gp::terms::matrix_on;
use crate::kernel::DynKernel;
use crate::kernel::gram_into;
use crate::linalg::{Cholesky, Jitter};
use crate::params::{Constraint, ParameterArray};
use crate::tape::{Tape, Var};
use crate::{Error, Expr, KernelExt, Result};

/// A kernel regression from outputs to latents, X = K(Y, Y) A, so that outputs that are close have latents that are: kernel
/// and weights are trained with the rest of a model. Over a [network](crate::warp::Mlp), as in `Rbf::new(1.0).mlp(…)`, the map
/// is a network with it.
///
/// # Parameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `kernel.…` | k | that of the outputs | its own |
/// | `weights[n, q]` | A | that of the latents | any finite number |
///
/// # Examples
///
/// ```
/// use mercer::gp::gplvm::BackConstraint;
/// use mercer::prelude::*;
///
/// let (y, x) = (mat![[0.0, 1.0], [1.0, 0.0], [3.0, 1.0]], mat![[-1.0], [0.2], [1.0]]);
/// let map = BackConstraint::through(Rbf::new(1.0), y.as_ref(), x.as_ref())?;
/// // At the outputs that it was made from it gives their latents, and between them something between.
/// assert!((map.map(y.as_ref(), y.as_ref())? - &x).norm_max() < 1e-14);
/// let between = map.map(y.as_ref(), mat![[0.4, 0.6]].as_ref())?;
/// assert!(between[(0, 0)] > -1.0 && between[(0, 0)] < 0.2);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lawrence & Quiñonero-Candela (2006), *Local distance preservation in the GP-LVM through back constraints*, ICML.
#[derive(Clone, Debug)]
pub struct BackConstraint {
    pub(super) kernel: DynKernel,
    pub(super) weights: ParameterArray,
    pub(super) jitter: f64,
}

crate::parameterized!(BackConstraint as "", parameters: [weights], children: [kernel]);

impl BackConstraint {
    /// The map that has these latents, N × Q, at these outputs, N × D, to √ε of the largest of them: A = K(Y, Y)⁻¹ X, with
    /// [jitter](Self::jitter) where rows of Y are equal or nearly so.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for data that does not fit; [`Error::Dimension`] if
    /// the kernel cannot read the outputs; [`Error::Indefinite`] for one that is not guaranteed positive
    /// semi-definite; [`Error::NotPositiveDefinite`] if the default [`Jitter`] is not enough; [`Error::Setting`], with the
    /// rows, if the map misses the latents: the kernel can hardly tell apart outputs that have different ones.
    pub fn through(kernel: impl crate::algebra::Compose, y: MatRef<'_, f64>, latents: MatRef<'_, f64>) -> Result<Self> {
        let kernel = DynKernel::new(kernel);
        check_finite("y", y)?;
        check_finite("the latents", latents)?;
        if latents.nrows() != y.nrows() {
            let expected = format!("{} rows, one for each row of y", y.nrows());
            return Err(Error::shape("the latents", expected, latents.shape()));
        }
        kernel.inputs(y.ncols())?;
        check_psd(&kernel, y.ncols(), false)?;
        let mut gram = Mat::zeros(y.nrows(), y.nrows());
        gram_into(&kernel, y, gram.as_mut(), Par::rayon(0))?;
        let mut weights = latents.to_owned();
        let cholesky = Cholesky::new(gram.as_ref(), Jitter::default(), Par::rayon(0))?;
        cholesky.solve_in_place(weights.as_mut(), Par::rayon(0))?;
        check_reached(gram.as_ref(), weights.as_ref(), latents)?;
        let weights = ParameterArray::of_matrix("weights", weights.as_ref(), Constraint::Real)?;
        Ok(Self { kernel, weights, jitter: cholesky.jitter() })
    }

    /// What was added to the diagonal of K(Y, Y) when the map was made, in the unit of k: the map was X − jitter·A at Y.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::gplvm::BackConstraint;
    /// use mercer::prelude::*;
    ///
    /// let through = |y: Mat<f64>, x: Mat<f64>| BackConstraint::through(Rbf::new(1.0), y.as_ref(), x.as_ref());
    /// assert_eq!(through(mat![[1.0], [2.0]], mat![[0.5], [0.6]])?.jitter(), 0.0);
    /// // Equal outputs make K(Y, Y) singular, and have one latent.
    /// let jitter = through(mat![[1.0], [1.0]], mat![[0.5], [0.5]])?.jitter();
    /// assert!(jitter > 0.0 && jitter < 1e-13);
    /// assert!(through(mat![[1.0], [1.0]], mat![[0.5], [0.6]]).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// The latents of other outputs, given those that the map was made from: K(Y*, Y) A.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for outputs that cannot be; [`Error::Shape`] if `y` does not have as many
    /// rows as there are weights, or the two differ in columns; [`Error::Dimension`] if the kernel cannot read them.
    pub fn map(&self, y: MatRef<'_, f64>, others: MatRef<'_, f64>) -> Result<Mat<f64>> {
        check_finite("y", y)?;
        check_finite("the other outputs", others)?;
        self.check(y)?;
        let (rows, cols) = self.shape();
        let weights = MatRef::from_column_major_slice(self.weights.values(), rows, cols);
        self.kernel.matmul(others, y, weights)
    }

    /// N and Q.
    pub(super) fn shape(&self) -> (usize, usize) {
        self.weights.as_matrix().shape()
    }

    /// The latents and the parameters, in visiting order.
    pub(super) fn on<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        y: Var<'t, f64>,
        differentiable: bool,
    ) -> Result<(Var<'t, f64>, Vec<Var<'t, f64>>)> {
        self.check(tape.value(y)?.as_mat())?;
        let kernel = tape.kernel_var(&self.kernel, differentiable)?;
        let weights = matrix_on(tape, &self.weights, differentiable);
        let latents = kernel.gram(y)? * weights;
        Ok((latents, vec![weights, kernel.theta()]))
    }

    fn check(&self, y: MatRef<'_, f64>) -> Result<()> {
        let rows = self.shape().0;
        if y.nrows() == rows {
            return Ok(());
        }
        Err(Error::shape("y", format!("{rows} rows, as the back-constraint has weights"), y.shape()))
    }
}

/// Refuses weights that do not give the latents, by the row that is missed most and the one that is most like it.
fn check_reached(gram: MatRef<'_, f64>, weights: MatRef<'_, f64>, latents: MatRef<'_, f64>) -> Result<()> {
    let missed = gram * weights - latents;
    let miss = |row: usize| missed.row(row).norm_max();
    let Some(worst) = (0..missed.nrows()).max_by(|&a, &b| miss(a).total_cmp(&miss(b))) else { return Ok(()) };
    if miss(worst) <= f64::EPSILON.sqrt() * latents.norm_max() {
        return Ok(());
    }
    let apart = |row: usize| gram[(row, row)] - 2.0 * gram[(row, worst)];
    let others = (0..gram.nrows()).filter(|&row| row != worst);
    let alike = others.min_by(|&a, &b| apart(a).total_cmp(&apart(b))).unwrap_or(worst);
    let name = format!("the back-constraint at rows {} and {} of y", worst.min(alike), worst.max(alike));
    let expected = "outputs that the kernel can hardly tell apart must have latents that are as close: change these latents, \
                    leave out a row, or take a shorter lengthscale";
    Err(Error::setting(&name, format!("{:e} off its latents", miss(worst)), expected))
}
