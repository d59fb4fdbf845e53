//! The latent-variable model with the most probable latents.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::back_constraint::BackConstraint;
use super::bayesian::{inducing_points, usual_expectations};
use super::expectations::KernelExpectations;
use super::latents::{LatentPrior, Locations};
use crate::gp::checks::check_outputs;
use crate::gp::settings::model_settings;
use crate::inducing::InducingPoints;
use crate::kernel::DynKernel;
use crate::likelihood::Gaussian;
use crate::linalg::Jitter;
use crate::tape::Tape;
use crate::{Expr, Result};

/// A latent-variable model with the most probable latent inputs, for any kernel, exact or sparse.
///
/// # Definition
///
/// Each of D outputs is a process of N latent inputs in Q dimensions with noise, y_d = f_d(X) + ε, f_d ~ GP(0, k), and the
/// entries of X have priors N(m₀, v₀), by default N(0, 1). Latents, kernel and noise maximise
///
/// log p(Y, X) = Σ_d log N(y_d; 0, K(X, X) + σ²I) + log p(X)
///
/// or, with [inducing inputs](Self::with_inducing_inputs), its lower bound, which integrates over their values as
/// [`Sgpr`](crate::gp::Sgpr) does. Outputs have no mean function: centre them. Only the product of lengthscales and
/// latents counts for the evidence; the prior of X fixes the scale.
///
/// # Parameters
///
/// `kernel.…`, `likelihood.gaussian.variance` (σ²), `latents.position[n, q]` (`latents.map.…` with a back-constraint),
/// and `inducing.inputs[j, q]` if there are any, in this order.
///
/// # Complexity
///
/// O(N³ + N²·D) time and O(N²) memory; with M inducing inputs O(N·M² + N·M·D) and O(N·M).
///
/// # Examples
///
/// ```
/// use mercer::gp::Gplvm;
/// use mercer::gp::gplvm::principal_latents;
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let y = Mat::from_fn(12, 3, |i, d| (0.3 * i as f64 + d as f64).sin());
/// let start = principal_latents(y.as_ref(), 1)?;
/// let mut model = Gplvm::new(1.0 * Matern52::new(1.0), start.as_ref())?.with_noise(0.1)?;
/// let before = model.objective(&y)?.value;
/// model.fit(&y, &Lbfgs { max_steps: 40, ..Lbfgs::default() })?;
/// assert!(model.objective(&y)?.value > before + 10.0);
///
/// let x = model.latents(y.as_ref())?;
/// let at = model.condition(&y)?.predict(x.as_ref())?;
/// assert!((at.mean - &y).norm_max() < 0.1);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lawrence (2005), "Probabilistic non-linear principal component analysis with Gaussian process latent variable
/// models", *Journal of Machine Learning Research* 6, 1783–1816.
#[derive(Clone, Debug)]
#[doc(alias = "GP-LVM", alias = "latent variable model")]
pub struct Gplvm<K = DynKernel> {
    pub(super) kernel: K,
    pub(super) likelihood: Gaussian,
    pub(super) latents: Locations,
    pub(super) inducing: Option<InducingPoints>,
    pub(super) prior: LatentPrior,
    /// None if the kernel has no usual way: it is asked for only at uncertain inputs.
    pub(super) expectations: Option<Arc<dyn KernelExpectations>>,
    pub(super) jitter: Jitter,
    pub(super) allow_indefinite: bool,
    pub(super) par: Par,
}

impl<K: Expr + Clone> Gplvm<K> {
    model_settings!();

    /// A model with these latent inputs, N × Q, to start from, and noise of variance 1.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) and [`Error::NonFinite`](crate::Error::NonFinite) for invalid initial latents;
    /// [`Error::Dimension`](crate::Error::Dimension) if the kernel cannot read them.
    pub fn new(kernel: K, latents: MatRef<'_, f64>) -> Result<Self> {
        let latents = Locations::free("position", latents)?;
        kernel.inputs(latents.shape().1)?;
        let expectations = usual_expectations(&kernel, latents.shape().1).ok();
        Ok(Self {
            kernel,
            likelihood: Gaussian::new(1.0),
            prior: LatentPrior::standard(latents.shape()),
            latents,
            inducing: None,
            expectations,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    crate::gp::settings::noise_setting!();

    /// The same, sparse: with inducing inputs, M × Q, which are free.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) unless they have Q columns; [`Error::Empty`](crate::Error::Empty) and
    /// [`Error::NonFinite`](crate::Error::NonFinite).
    pub fn with_inducing_inputs(mut self, inputs: MatRef<'_, f64>) -> Result<Self> {
        self.inducing = Some(inducing_points(inputs, self.latents.shape().1)?);
        Ok(self)
    }

    /// Sets the means and variances of the latent inputs a priori, N × Q.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) unless both are N × Q; [`Error::NonFinite`](crate::Error::NonFinite);
    /// [`Error::Parameter`](crate::Error::Parameter) for a variance that is not positive or has no finite reciprocal.
    pub fn with_prior(mut self, mean: MatRef<'_, f64>, variance: MatRef<'_, f64>) -> Result<Self> {
        self.prior = LatentPrior::new(mean, variance, self.latents.shape())?;
        Ok(self)
    }

    /// Sets how expectations of the kernel are computed, of which only what concerns uncertain inputs is made: of its
    /// [posterior](crate::gp::Model::condition), [`predict_uncertain`](super::GplvmPosterior::predict_uncertain) and
    /// [`infer`](super::GplvmPosterior::infer). By default as of [`BayesianGplvm`](super::BayesianGplvm::new).
    #[must_use]
    pub fn with_expectations(mut self, expectations: impl KernelExpectations + 'static) -> Self {
        self.expectations = Some(Arc::new(expectations));
        self
    }

    /// Makes the latent inputs a function of the outputs, in place of free parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the map is not of N outputs to Q dimensions.
    pub fn with_back_constraint(mut self, map: BackConstraint) -> Result<Self> {
        self.latents = self.latents.mapped(map)?;
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

    /// X, N × Q, for the outputs that the model is of.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty), [`Error::NonFinite`](crate::Error::NonFinite) and
    /// [`Error::Shape`](crate::Error::Shape) for outputs that do not fit; [`Error::Dimension`](crate::Error::Dimension) if the
    /// kernel of a back-constraint cannot read them.
    pub fn latents(&self, y: MatRef<'_, f64>) -> Result<Mat<f64>> {
        check_outputs(y, self.latents.shape().0)?;
        let tape = Tape::new(self.par);
        let (latents, _) = self.latents.on(&tape, tape.constant(y), false)?;
        Ok(tape.value(latents)?.as_mat().to_owned())
    }
}

crate::parameterized!([K] Gplvm<K> as "", parameters: [], children: [kernel, likelihood, latents, inducing]);
