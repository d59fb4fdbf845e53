//! The intrinsic coregionalization model on a full grid, exactly.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::grid::{check_grid, check_means, residuals};
use super::grid_methods::{Recorded, grid_methods, grid_model};
use super::icm_posterior::IcmPosterior;
use super::noise::OutputNoise;
use crate::gp::checks::check_psd;
use crate::gp::data::Data;
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::prior::{Observed, Prior};
use crate::gp::settings::plain_settings;
use crate::gp::terms::output_covariance;
use crate::gp::units;
use crate::kernel::DynKernel;
use crate::kernel::Kernel;
use crate::kernels::Coregionalization;
use crate::linalg::{NoisyKronecker, cast};
use crate::mean::{DynMean, Zero};
use crate::tape::{Tape, Var};
use crate::{Error, Expr, Result, Scalar};

/// The intrinsic coregionalization model of P outputs that were all observed at N inputs: exact inference through the
/// Kronecker structure, where the stacked model of N·P rows would take (N·P)³.
///
/// # Definition
///
/// f_p ~ GP(m_p, ·) with cov(f_p(x), f_q(x′)) = B_pq k(x, x′), seen as y = f(x) + ε with ε ~ N(0, Σ), independent from row to
/// row, so that with R the residuals of the values Y, N × P,
///
/// log p(Y) = log N(vec R | 0, B ⊗ K + Σ ⊗ I)
///
/// B is the matrix of a [`Coregionalization`]. Σ is diagonal, with a variance for each output, or a full covariance. The
/// scale of the kernel and that of B are one: leave the kernel without a factor.
///
/// With values missing it is not a Kronecker product: stack what was observed ([`Stacked`](super::Stacked)) and give
/// it to an [`ExactGp`](crate::gp::ExactGp) with [`icm`](crate::algebra::icm) and noise in a
/// [`BlockDiagonal`](crate::combine::BlockDiagonal) of [`White`](crate::kernels::White), which has the same evidence and
/// predicts the same observations. Its [`predict`](crate::gp::Predict::predict) includes the `White` of each output, which is a part of
/// the process there, where that of the [`IcmPosterior`] is without noise. Sums of such
/// terms, the linear model of coregionalization, have no common eigenvectors: [`lcm`](crate::algebra::lcm) there, or
/// [`Oilmm`](super::Oilmm) where the columns of the mixing matrix are orthogonal.
///
/// # Parameters
///
/// `kernel.…`, `outputs.coregionalization.…` (B), `mean.…` or `mean[p].…`, and of the noise `noise.variance[p]` or
/// `noise.coregionalization.…`, in this order.
///
/// # Complexity
///
/// O(N³ + P³ + N P (N + P)) time and O(N² + P² + N P) memory, with gradients. Nothing is added to a diagonal.
///
/// # Examples
///
/// ```
/// use mercer::gp::IcmGp;
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(25, 1, |i, _| 0.2 * i as f64);
/// let y = Mat::from_fn(25, 2, |i, p| [1.0, -2.0][p] * (0.2 * i as f64).sin() + 0.05 * (3.0 * (i + p) as f64).cos());
///
/// let outputs = Coregionalization::new(mat![[1.0], [0.5]], [0.1, 0.1]);
/// let mut gp = IcmGp::new(Rbf::new(1.0), outputs).with_noise(&[0.1, 0.1])?;
/// let data = Data::new(&x, &y);
/// gp.fit(&data, &Lbfgs::default())?;
/// let b: Mat<f64> = gp.outputs_kernel().gram(mat![[0.0], [1.0]].as_ref())?;
/// assert!(b[(0, 1)] / (b[(0, 0)] * b[(1, 1)]).sqrt() < -0.99); // anticorrelated
///
/// let predicted = gp.condition(&data)?.predict(mat![[2.3]].as_ref())?;
/// assert!((predicted.mean[(0, 1)] + 2.0 * 2.3f64.sin()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Bonilla, Chai & Williams (2007), Multi-task Gaussian process prediction, NIPS 20.
/// - Rakitsch, Lippert, Borgwardt & Stegle (2013), It is all in the noise: efficient multi-task Gaussian process inference
///   with structured residuals, NIPS 26.
#[derive(Clone, Debug)]
#[doc(alias = "multitask GP", alias = "MultitaskGP")]
pub struct IcmGp<K = DynKernel> {
    pub(super) kernel: K,
    pub(super) outputs: Coregionalization,
    pub(super) mean: PerLatent<DynMean>,
    pub(super) noise: OutputNoise,
    pub(super) allow_indefinite: bool,
    pub(super) par: Par,
}

crate::parameterized!([K] IcmGp<K> as "", parameters: [], children: [kernel, outputs, mean, noise]);

/// B ⊗ K + Σ ⊗ I and the residuals, on a tape.
struct Parts<'t, T: Scalar> {
    residual: Var<'t, T>,
    outputs: Var<'t, T>,
    noise: Var<'t, T>,
    gram: Var<'t, T>,
    parameters: Vec<Var<'t, T>>,
}

grid_model!(IcmGp, IcmPosterior, seen: true);

impl<K: Expr + Clone> IcmGp<K> {
    plain_settings!();
    grid_methods!();

    /// Zero-mean GP regression of several outputs with this kernel of the inputs, this covariance of the outputs, and
    /// independent Gaussian noise of variance 1.
    pub fn new(kernel: K, outputs: Coregionalization) -> Self {
        let variances = vec![1.0; outputs.diagonal().len()];
        // Ones are positive and as many as there are outputs.
        let noise = crate::error::literal(OutputNoise::independent(&variances, variances.len()));
        Self {
            kernel,
            outputs,
            mean: PerLatent::one(DynMean::new(Zero)),
            noise,
            allow_indefinite: false,
            par: Par::rayon(0),
        }
    }

    /// Sets independent noise, of a variance for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of them; [`Error::Parameter`] for one that is not positive and finite.
    pub fn with_noise(mut self, variances: &[f64]) -> Result<Self> {
        self.noise = OutputNoise::independent(variances, self.outputs())?;
        Ok(self)
    }

    /// Sets noise that is correlated between the outputs of a row, of the covariance Σ = V Vᵀ + diag(κ).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a covariance of another number of outputs.
    pub fn with_correlated_noise(mut self, covariance: Coregionalization) -> Result<Self> {
        let (expected, found) = (self.outputs(), covariance.diagonal().len());
        if found != expected {
            return Err(Error::shape("the noise covariance", format!("{expected} x {expected}"), (found, found)));
        }
        self.noise = OutputNoise::Correlated(covariance);
        Ok(self)
    }

    /// The kernel of the inputs.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The covariance B of the outputs, as a kernel of their index.
    pub fn outputs_kernel(&self) -> &Coregionalization {
        &self.outputs
    }

    /// P, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs.diagonal().len()
    }

    /// The prior of the model: predictions and draws before data.
    pub fn prior<T: Scalar>(&self) -> Prior<T>
    where
        K: Kernel<T>,
    {
        // B = [W, √κ] [W, √κ]ᵀ
        let (weights, own) = (self.outputs.weights(), self.outputs.diagonal());
        let mixing = Mat::from_fn(own.len(), weights.ncols() + own.len(), |row, col| {
            T::from_f64(match col.checked_sub(weights.ncols()) {
                None => weights[(row, col)],
                Some(output) if output == row => own[row].sqrt(),
                Some(_) => 0.0,
            })
        });
        let seen = Observed::WithNoise(cast(self.noise.covariance().as_ref()).into());
        Prior::mixed(std::slice::from_ref(&self.kernel), self.mean.clone(), mixing, seen, self.par)
            .allowing_indefinite(self.allow_indefinite)
    }

    /// Predictions of each observation from all others, those of the other outputs at the same inputs among them, in closed
    /// form: for each output. O(N² (N + P)) once.
    ///
    /// # Errors
    ///
    /// As [`objective`](crate::gp::Model::objective).
    ///
    /// # Examples
    ///
    /// Outputs that have nothing to do with each other are as two models:
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, IcmGp};
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [0.5], [2.0]], mat![[0.3, 1.0], [0.4, 1.1], [-0.7, 0.2]]);
    /// let gp = IcmGp::new(Rbf::new(0.8), Coregionalization::new(mat![[0.0], [0.0]], [1.0, 1.0]));
    /// let left_out = gp.leave_one_out(&Data::new(&x, &y))?;
    /// let alone = ExactGp::new(Rbf::new(0.8)).leave_one_out(&Data::new(&x, [1.0, 1.1, 0.2]))?;
    /// assert!((left_out[1].mean[2] - alone.mean[2]).abs() < 1e-14);
    /// assert!((left_out[1].variance[0] - alone.variance[0]).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn leave_one_out<T: Scalar>(&self, data: &Data<T>) -> Result<Vec<LeaveOneOut<T>>>
    where
        K: Kernel<T>,
    {
        self.posterior(data.x(), data.y())?.left_out(data.y())
    }

    fn posterior<T: Scalar>(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<IcmPosterior<T>>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let tape = Tape::new(self.par);
        let parts = self.parts(&tape, x, y, false)?;
        let [residual, outputs, noise, gram] =
            [parts.residual, parts.outputs, parts.noise, parts.gram].map(|var| tape.value(var));
        let (outputs, noise, gram) = (outputs?, noise?, gram?);
        let covariance = NoisyKronecker::new(outputs.as_mat(), noise.as_mat(), &[gram.as_mat()], self.par)?;
        IcmPosterior::new(Arc::new(self.kernel.clone()), self.mean.clone(), x, residual?.as_mat(), covariance, self.par)
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<()>
    where
        K: Kernel<T>,
    {
        check_grid(x, y, [&self.kernel as &dyn Kernel<T>], &self.mean, self.outputs())?;
        self.kernel.inputs(x.ncols())?;
        check_means(&self.mean, self.outputs(), x.ncols())?;
        check_psd(&self.kernel, x.ncols(), self.allow_indefinite)
    }

    fn kernels_at<T: Scalar>(&self) -> Vec<&dyn Kernel<T>>
    where
        K: Kernel<T>,
    {
        vec![&self.kernel]
    }

    fn expressions(&self) -> Vec<&dyn Expr> {
        vec![&self.kernel]
    }

    /// The units of the parameters that may be any finite number, in visiting order of all scalars.
    fn units<T: Scalar>(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Vec<f64> {
        let means = units::of_means(&self.mean, x, &units::of_columns(y));
        let noise = match &self.noise {
            OutputNoise::Independent(_) => units::ones(&self.noise),
            OutputNoise::Correlated(matrix) => units::of_coregionalization(matrix),
        };
        [units::ones(&self.kernel), units::of_coregionalization(&self.outputs), means, noise].concat()
    }

    fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        x: MatRef<'a, T>,
        y: MatRef<'_, T>,
        differentiable: bool,
    ) -> Result<Recorded<'t, T>>
    where
        K: Kernel<T>,
    {
        let parts = self.parts(tape, x, y, differentiable)?;
        let evidence = parts.residual.kronecker_log_density(parts.outputs, parts.noise, &[parts.gram])?;
        Ok(Recorded { evidence, parameters: parts.parameters })
    }

    fn parts<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        x: MatRef<'a, T>,
        y: MatRef<'_, T>,
        differentiable: bool,
    ) -> Result<Parts<'t, T>>
    where
        K: Kernel<T>,
    {
        let x = tape.constant(x);
        let kernel = tape.kernel_var(&self.kernel, differentiable)?;
        let outputs = output_covariance(tape, &self.outputs, differentiable)?;
        let (residual, means) = residuals(tape, &self.mean, x, y)?;
        let noise = self.noise.record(tape, differentiable)?;
        let parameters = [kernel.theta(), outputs.theta].into_iter().chain(means).chain([noise.theta]).collect();
        let (outputs, noise) = (outputs.value, noise.value);
        Ok(Parts { residual, outputs, noise, gram: kernel.gram(x)?, parameters })
    }
}
