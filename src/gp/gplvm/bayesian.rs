//! The Bayesian latent-variable model.

use std::sync::Arc;

use faer::{MatRef, Par};

use super::back_constraint::BackConstraint;
use super::closed_form::{ClosedForm, is_squared_exponential};
use super::expectations::KernelExpectations;
use super::latents::{GaussianLatents, LatentMarginals, LatentPrior};
use super::quadrature::Nodes;
use crate::gp::checks::check_outputs;
use crate::gp::settings::model_settings;
use crate::inducing::InducingPoints;
use crate::kernel::DynKernel;
use crate::likelihood::Gaussian;
use crate::linalg::Jitter;
use crate::tape::Tape;
use crate::{Error, Expr, Result};

/// A latent-variable model with a Gaussian distribution of the latent inputs, the kernel's functions integrated out.
///
/// # Definition
///
/// Each of D outputs is a process of N latent inputs xₙ in Q dimensions with noise: y_d = f_d(X) + ε, f_d ~ GP(0, k),
/// ε ~ N(0, σ²). Given are priors N(m₀, v₀) of the entries of X, by default N(0, 1); q(X) is Gaussian with means μ and
/// variances S, an entry on its own. With the [psi statistics](super::PsiStatistics) of the kernel under q,
/// K_uu = LLᵀ of M inducing inputs, W = L⁻¹Ψ₂L⁻ᵀ, B = I + W/σ² and T = L⁻¹Ψ₁ᵀY, a lower bound of log p(Y) is
///
/// −½ (N D log 2πσ² + D log|B| + ‖Y‖²/σ² − tr(TᵀB⁻¹T)/σ⁴ + D (ψ₀ − tr W)/σ²) − KL(q(X) ‖ p(X))
///
/// Outputs have no mean function: centre them, and scale them if their units differ. A kernel with a lengthscale for
/// each latent dimension switches off those that it does not need.
///
/// Inducing variables are values of the processes with noise, of 10⁻⁶ of the mean k(z, z) unless
/// [told otherwise](Self::with_inducing_noise). The bound is one for any of it; without it W, unlike that of known inputs,
/// has the rounding errors of Ψ₂ divided by the smallest eigenvalue of K_uu.
///
/// *Known inputs*, all or some, exactly or not, are priors: [`with_prior`](Self::with_prior) with their values and
/// variances, so that the model is one of uncertain inputs. *Back-constraints*
/// ([`with_back_constraint`](Self::with_back_constraint)) make the means μ a function of the outputs.
///
/// # Parameters
///
/// `kernel.…`, `likelihood.gaussian.variance` (σ²), `latents.mean[n, q]`, `latents.variance[n, q]` and
/// `inducing.inputs[j, q]`, in this order; with a back-constraint, `latents.map.…` in place of the means.
///
/// # Complexity
///
/// O(N·M²·Q + M³ + M²·D + N·M·D) time, on all threads, and O(N·(M + D) + M²) memory for a
/// [squared exponential](ClosedForm); for [others](Nodes), so many times an evaluation of the kernel as there are nodes.
///
/// # Examples
///
/// With inputs that are known to rounding the bound is that of sparse regression:
///
/// ```
/// use mercer::gp::{BayesianGplvm, Sgpr};
/// use mercer::linalg::Jitter;
/// use mercer::prelude::*;
///
/// let (x, y) = (mat![[0.0], [0.7], [1.5]], [0.3, 0.9, 0.8]);
/// let (z, s) = (mat![[0.2], [1.1]], Mat::full(3, 1, 1e-12));
/// let model = BayesianGplvm::new(2.0 * Rbf::new(0.8), x.as_ref(), s.as_ref(), z.as_ref())?.with_noise(0.1)?;
/// let found = model.objective(&mercer::data::column(&y).to_owned())?;
/// let sparse = Sgpr::new(2.0 * Rbf::new(0.8), z.as_ref())?.with_noise(0.1)?.with_jitter(Jitter::Fixed(2e-6));
/// assert!((found.expected_evidence - sparse.objective(&Data::new(&x, &y))?.value).abs() < 1e-9);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias & Lawrence (2010), *Bayesian Gaussian process latent variable model*, AISTATS; Damianou, Titsias & Lawrence
/// (2016), "Variational inference for latent variables and uncertain inputs in Gaussian processes", *Journal of Machine
/// Learning Research* 17(42).
#[derive(Clone, Debug)]
#[doc(alias = "Bayesian GP-LVM")]
pub struct BayesianGplvm<K = DynKernel> {
    pub(super) kernel: K,
    pub(super) likelihood: Gaussian,
    pub(super) latents: GaussianLatents,
    pub(super) inducing: InducingPoints,
    pub(super) prior: LatentPrior,
    pub(super) expectations: Arc<dyn KernelExpectations>,
    pub(super) inducing_noise: f64,
    pub(super) jitter: Jitter,
    pub(super) allow_indefinite: bool,
    pub(super) par: Par,
}

crate::parameterized!([K] BayesianGplvm<K> as "", parameters: [], children: [kernel, likelihood, latents, inducing]);

/// The noise of inducing variables, as a fraction of the mean variance of the process.
const INDUCING_NOISE: f64 = 1e-6;

/// The order of the quadrature that replaces the closed form where there is none.
pub(super) const ORDER: usize = 8;

/// The closed form for a kernel that has it, or else a quadrature.
pub(super) fn usual_expectations(kernel: &dyn Expr, dim: usize) -> Result<Arc<dyn KernelExpectations>> {
    if is_squared_exponential(kernel, dim) {
        return Ok(Arc::new(ClosedForm));
    }
    Ok(Arc::new(Nodes::gauss_hermite(ORDER, dim)?))
}

impl<K: Expr + Clone> BayesianGplvm<K> {
    model_settings!();

    /// A model with these means and variances of the latent inputs, N × Q, to start from, and these inducing inputs,
    /// M × Q; its noise has the variance 1. Expectations are in [closed form](ClosedForm) for a squared exponential,
    /// and by [quadrature](Nodes::gauss_hermite) of order 8 for other kernels, with which the bound is one to the
    /// [error of the rule](Nodes#accuracy) only: compare it with that of a higher order after a fit.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`], [`Error::Shape`] and [`Error::Parameter`] for invalid initial latents;
    /// [`Error::Dimension`] if the kernel cannot read them; [`Error::Setting`] for a kernel without closed form in more than 5
    /// dimensions.
    pub fn new(
        kernel: K,
        mean: MatRef<'_, f64>,
        variance: MatRef<'_, f64>,
        inducing_inputs: MatRef<'_, f64>,
    ) -> Result<Self> {
        let latents = GaussianLatents::new(mean, variance)?;
        kernel.inputs(mean.ncols())?;
        let expectations = usual_expectations(&kernel, mean.ncols())?;
        Ok(Self {
            likelihood: Gaussian::new(1.0),
            prior: LatentPrior::standard(latents.mean.shape()),
            latents,
            inducing: inducing_points(inducing_inputs, mean.ncols())?,
            expectations,
            inducing_noise: INDUCING_NOISE,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
            kernel,
        })
    }

    crate::gp::settings::noise_setting!();

    /// Sets the noise of the inducing variables: its variance, as a fraction of the mean k(z, z), 0 for none.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is negative or not finite.
    pub fn with_inducing_noise(mut self, fraction: f64) -> Result<Self> {
        if !(fraction.is_finite() && fraction >= 0.0) {
            return Err(Error::setting(
                "the noise of the inducing variables",
                fraction,
                "must be finite and not negative",
            ));
        }
        self.inducing_noise = fraction;
        Ok(self)
    }

    /// Sets the means and variances of the latent inputs a priori, N × Q.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] unless both are N × Q; [`Error::NonFinite`]; [`Error::Parameter`] for a variance that is not
    /// positive or has no finite reciprocal.
    ///
    /// # Examples
    ///
    /// Inputs that were measured with an error of variance 0.04, q at the prior:
    ///
    /// ```
    /// use mercer::gp::BayesianGplvm;
    /// use mercer::prelude::*;
    ///
    /// let (x, s) = (mat![[0.0], [2.0], [5.0]], Mat::full(3, 1, 0.04));
    /// let model = BayesianGplvm::new(Rbf::new(1.0), x.as_ref(), s.as_ref(), x.as_ref())?;
    /// let model = model.with_prior(x.as_ref(), s.as_ref())?;
    /// assert!(model.objective(&x)?.divergence.abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_prior(mut self, mean: MatRef<'_, f64>, variance: MatRef<'_, f64>) -> Result<Self> {
        self.prior = LatentPrior::new(mean, variance, self.latents.mean.shape())?;
        Ok(self)
    }

    /// Sets how the psi statistics, the expectations of the kernel, are computed.
    #[must_use]
    pub fn with_expectations(mut self, expectations: impl KernelExpectations + 'static) -> Self {
        self.expectations = Arc::new(expectations);
        self
    }

    /// Makes the means a function of the outputs, in place of free parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the map is not of N outputs to Q dimensions.
    pub fn with_back_constraint(mut self, map: BackConstraint) -> Result<Self> {
        self.latents.mean = self.latents.mean.mapped(map)?;
        Ok(self)
    }

    /// The kernel.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The likelihood, which holds the noise variance.
    pub fn likelihood(&self) -> &Gaussian {
        &self.likelihood
    }

    /// The inducing inputs.
    pub fn inducing(&self) -> &InducingPoints {
        &self.inducing
    }

    /// q(X), for the outputs that the model is of.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for outputs that do not fit; [`Error::Dimension`] if the
    /// kernel of a back-constraint cannot read them.
    pub fn latents(&self, y: MatRef<'_, f64>) -> Result<LatentMarginals> {
        check_outputs(y, self.latents.mean.shape().0)?;
        let tape = Tape::new(self.par);
        let (mean, _) = self.latents.mean.on(&tape, tape.constant(y), false)?;
        Ok(LatentMarginals { mean: tape.value(mean)?.as_mat().to_owned(), variance: self.latents.variance() })
    }
}

/// Inducing inputs in as many dimensions as the latents.
pub(super) fn inducing_points(inputs: MatRef<'_, f64>, dim: usize) -> Result<InducingPoints> {
    if inputs.ncols() != dim {
        let expected = format!("{dim} column(s), as the latent inputs have");
        return Err(Error::shape("the inducing inputs", expected, inputs.shape()));
    }
    InducingPoints::new(inputs)
}
