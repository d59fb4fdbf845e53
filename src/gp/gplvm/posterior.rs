//! What latent-variable models say of outputs.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand::Rng;

use super::expectations::{GaussianInputs, KernelExpectations};
use super::latents::LatentMarginals;
use crate::data::check_finite;
use crate::gp::posterior::Posterior;
use crate::gp::predict::Predict;
use crate::gp::prediction::{Prediction, Samples, clamp};
use crate::gp::process::{Latent, Process};
use crate::inducing::StoredPrior;
use crate::kernel::Kernel;
use crate::linalg::Root;
use crate::mean::{DynMean, Zero};
use crate::tape::{Tape, Value};
use crate::{Error, Result};

/// The processes of a latent-variable model given the outputs that it has learned.
///
/// # Definition
///
/// With whitened inducing variables v = L⁻¹u (the values at the latent inputs and their noise, for an exact model) of means m,
/// M × D, and covariance S, which is absent for an exact model, and a = L⁻¹k(Z, x), output d has
///
/// mean aᵀm_d, variance k(x, x) − ‖a‖² + aᵀSa
///
/// and at x ~ N(μ, diag s), with the [psi statistics](super::PsiStatistics) of that input alone and W = L⁻¹Ψ₂L⁻ᵀ,
///
/// mean ψ₁ᵀL⁻ᵀm_d, variance ψ₀ − tr W + tr WS + m_dᵀWm_d − mean²
///
/// From [`Model::condition`](crate::gp::Model::condition) of a [`BayesianGplvm`](super::BayesianGplvm) or a [`Gplvm`](super::Gplvm).
///
/// # Examples
///
/// ```
/// use mercer::gp::Gplvm;
/// use mercer::prelude::*;
///
/// // One row, of two outputs, at 0: k = 1, noise ½.
/// let model = Gplvm::new(Rbf::new(1.0), mat![[0.0]].as_ref())?.with_noise(0.5)?;
/// let posterior = model.condition(&mat![[3.0, -6.0]])?;
/// let at = posterior.predict(mat![[0.0]].as_ref())?;
/// assert!((at.mean - mat![[2.0, -4.0]]).norm_max() < 1e-15);
/// assert!((at.variance - mat![[1.0, 1.0]] / 3.0).norm_max() < 1e-15);
///
/// // At an uncertain input: E k = 2^(−½), E k² = 3^(−½), and both are more uncertain.
/// let at = posterior.predict_uncertain(mat![[0.0]].as_ref(), mat![[1.0]].as_ref())?;
/// assert!((at.mean[(0, 0)] - 2.0 * 0.5f64.sqrt()).abs() < 1e-14);
/// let expected = 1.0 - 3f64.powf(-0.5) / 1.5 + 4.0 * (3f64.powf(-0.5) - 0.5);
/// assert!((at.variance[(0, 0)] - expected).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GplvmPosterior {
    /// A process for each output, on the values at the inducing inputs.
    pub(super) processes: Posterior<f64>,
    pub(super) expectations: Option<Arc<dyn KernelExpectations>>,
    pub(super) noise: f64,
    pub(super) latents: Arc<LatentMarginals>,
    /// L⁻ᵀ(I − S)L⁻¹, M × M
    pub(super) explained: Arc<Mat<f64>>,
}

impl GplvmPosterior {
    /// Of whitened inducing variables of means m, M × D, and a covariance of this root.
    pub(super) fn new(
        kernel: Arc<dyn Kernel<f64>>,
        (prior, mean, root): (StoredPrior<f64>, Mat<f64>, Option<Root<Mat<f64>>>),
        expectations: Option<Arc<dyn KernelExpectations>>,
        noise: f64,
        latents: LatentMarginals,
        par: Par,
    ) -> Result<Self> {
        let (points, weights, explained) = {
            let tape = Tape::new(par);
            let l = prior.on(&tape);
            let m = mean.nrows();
            let mut gain = tape.constant_owned(Mat::identity(m, m));
            if let Some(root) = &root {
                let root = root.on(&tape).get().transpose();
                gain = gain - root.matmul_tn(root);
            }
            let half = l.whiten_transpose(gain).transpose();
            let explained = tape.value(l.whiten_transpose(half))?.as_mat().to_owned();
            let weights = l.whiten_transpose(tape.constant(mean.as_ref()));
            let points = tape.value(l.parameter())?.as_mat().to_owned();
            (points, tape.value(weights)?.as_mat().to_owned(), explained)
        };
        let roots: Arc<[_]> = root.into_iter().collect();
        let of_output = |_| Latent { mean: DynMean::new(Zero), roots: roots.clone() };
        let outputs = (0..mean.ncols()).map(of_output).collect();
        let (basis, process) = Process::on_points(kernel, outputs, points, prior, weights);
        let processes = Posterior::of(basis, [process], None, par);
        Ok(Self { processes, expectations, noise, latents: latents.into(), explained: explained.into() })
    }

    /// The jitter that was added to the diagonal of the covariance of the inducing variables, beside any noise of theirs.
    pub fn jitter(&self) -> f64 {
        self.processes.jitter()
    }

    /// The number of latent dimensions.
    pub fn dim(&self) -> usize {
        self.latents.mean.ncols()
    }

    /// The processes, without noise, at uncertain inputs xᵢ ~ N(μᵢ, diag sᵢ), by means and variances of n × Q: exact moments of a
    /// distribution that is not normal. O(n·M²·(Q + D)).
    ///
    /// # Errors
    ///
    /// As [`Predict::predict`]; [`Error::Parameter`] for a variance that is not positive; [`Error::Setting`] if no
    /// [kernel expectations](KernelExpectations) are available.
    pub fn predict_uncertain(&self, mean: MatRef<'_, f64>, variance: MatRef<'_, f64>) -> Result<Prediction<f64>> {
        self.check(mean)?;
        self.check_variances(variance, mean.shape())?;
        let (n, outputs, process) = (mean.nrows(), self.outputs(), self.process()?);
        let mut found = Prediction::zeros(n, outputs);
        for row in 0..n {
            let tape = Tape::new(self.processes.par);
            let inputs = GaussianInputs {
                mean: tape.constant_owned(mean.subrows(row, 1).to_owned()),
                variance: tape.constant_owned(variance.subrows(row, 1).to_owned()),
            };
            let z = process.prior.on(&tape).parameter();
            let psi = self.expectations()?.record(&tape, tape.fixed_kernel(&*process.kernel), inputs, z)?;
            let values = (tape.scalar(psi.psi0)?, tape.value(psi.psi1)?, tape.value(psi.psi2)?);
            self.moments(values, row, &mut found)?;
        }
        Ok(found)
    }

    /// Means and variances of a row from the psi statistics of its input.
    fn moments(
        &self,
        (psi0, psi1, psi2): (f64, Value<'_, f64>, Value<'_, f64>),
        row: usize,
        found: &mut Prediction<f64>,
    ) -> Result<()> {
        let (psi1, psi2) = (psi1.as_mat(), psi2.as_mat());
        let weights = &self.process()?.weights;
        let means = psi1 * weights;
        let mut spread = Mat::zeros(weights.nrows(), self.outputs());
        matmul(spread.as_mut(), Accum::Replace, psi2, weights.as_ref(), 1.0, self.processes.par);
        let explained: f64 = psi2.col_iter().zip(self.explained.col_iter()).map(|(a, b)| a.transpose() * b).sum();
        for output in 0..self.outputs() {
            let (mean, second) = (means[(0, output)], weights.col(output).transpose() * spread.col(output));
            let scale = psi0.max(second);
            found.mean[(row, output)] = mean;
            // The mean's own variance first: it is what is left of two numbers that may be large.
            let value = (second - mean * mean) + (psi0 - explained);
            found.variance[(row, output)] = clamp(value, scale, row, &mut found.clamped)?;
        }
        Ok(())
    }

    /// The way to the kernel's expectations.
    pub(super) fn process(&self) -> Result<&Process<f64>> {
        Ok(self.processes.process_of(0)?.0)
    }

    pub(super) fn expectations(&self) -> Result<&dyn KernelExpectations> {
        self.expectations.as_deref().ok_or_else(|| {
            let expected =
                "must be, by `with_expectations`, for a kernel that has no closed form in so many dimensions";
            Error::setting("the way to expectations of the kernel", "not given", expected)
        })
    }

    fn check(&self, x: MatRef<'_, f64>) -> Result<()> {
        check_finite("x", x)?;
        if x.ncols() != self.dim() {
            let expected = format!("{} column(s), as the latent inputs have", self.dim());
            return Err(Error::shape("x", expected, x.shape()));
        }
        Ok(())
    }

    fn check_variances(&self, variance: MatRef<'_, f64>, shape: (usize, usize)) -> Result<()> {
        if variance.shape() != shape {
            let expected = format!("{} x {}, as the means have", shape.0, shape.1);
            return Err(Error::shape("the variances of x", expected, variance.shape()));
        }
        check_finite("the variances of x", variance)?;
        for row in 0..shape.0 {
            if let Some(col) = (0..shape.1).find(|&col| variance[(row, col)] <= 0.0) {
                let path = format!("variance of x[{row}, {col}]");
                let (value, expected) = (variance[(row, col)], "positive and finite".to_owned());
                return Err(Error::Parameter { path, value, expected });
            }
        }
        Ok(())
    }
}

impl Predict<f64> for GplvmPosterior {
    fn functions(&self) -> usize {
        self.processes.latents()
    }

    fn predict(&self, x: MatRef<'_, f64>) -> Result<Prediction<f64>> {
        self.check(x)?;
        self.processes.predict(x)
    }

    fn predict_observations(&self, x: MatRef<'_, f64>) -> Result<Prediction<f64>> {
        Ok(self.predict(x)?.with_noise(|_| self.noise))
    }

    fn covariance(&self, x: MatRef<'_, f64>, output: usize) -> Result<Mat<f64>> {
        self.check(x)?;
        self.processes.covariance(x, output)
    }

    fn sample(&self, x: MatRef<'_, f64>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<f64>> {
        self.check(x)?;
        self.processes.sample(x, draws, rng)
    }

    fn sample_observations(&self, x: MatRef<'_, f64>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<f64>> {
        Ok(self.sample(x, draws, rng)?.with_noise(self.outputs(), |_| self.noise, rng))
    }
}
