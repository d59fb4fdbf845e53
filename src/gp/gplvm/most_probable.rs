//! The latent-variable model with the most probable latents.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::back_constraint::BackConstraint;
use super::bayesian::{inducing_points, usual_expectations};
use super::bound::{Seen, record_collapsed, record_exact, solve_exact};
use super::expectations::KernelExpectations;
use super::latents::{LatentMarginals, LatentPrior, Locations};
use super::posterior::GplvmPosterior;
use crate::gp::checks::{check_outputs, check_psd};
use crate::gp::settings::model_settings;
use crate::gp::terms::{features_on, gather};
use crate::gp::variational::Root;
use crate::inducing::{InducingFeatures, InducingPoints, StoredPrior};
use crate::kernel::dynamic::DynKernel;
use crate::kernel::{Kernel, gram_into};
use crate::likelihood::Gaussian;
use crate::linalg::{Cholesky, Jitter};
use crate::optim::{Minimizer, Minimum, fit};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::tape::{Tape, Var};
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
/// let before = model.log_joint(y.as_ref())?.value;
/// model.fit(y.as_ref(), &Lbfgs { max_steps: 40, ..Lbfgs::default() })?;
/// assert!(model.log_joint(y.as_ref())?.value > before + 10.0);
///
/// let x = model.latents(y.as_ref())?;
/// let at = model.condition(y.as_ref())?.predict(x.as_ref())?;
/// assert!((at.mean - &y).norm_max() < 0.1);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lawrence (2005), "Probabilistic non-linear principal component analysis with Gaussian process latent variable
/// models", *Journal of Machine Learning Research* 6, 1783–1816.
#[derive(Clone, Debug)]
pub struct Gplvm<K = DynKernel> {
    kernel: K,
    likelihood: Gaussian,
    latents: Locations,
    inducing: Option<InducingPoints>,
    prior: LatentPrior,
    /// None if the kernel has no usual way: it is asked for only at uncertain inputs.
    expectations: Option<Arc<dyn KernelExpectations>>,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

/// The log density of outputs and latents of a [`Gplvm`], and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogJoint {
    /// `log_evidence + log_prior`
    pub value: f64,
    /// log p(Y | X), or its lower bound with inducing inputs.
    pub log_evidence: f64,
    /// log p(X)
    pub log_prior: f64,
    /// The jitter that was added to the diagonal of the covariance that is factorised.
    pub jitter: f64,
}

struct Recorded {
    value: Var,
    evidence: Var,
    log_prior: Var,
    jitter: f64,
    parameters: Vec<Var>,
}

impl<K: Expr + Clone> Gplvm<K> {
    model_settings!();

    /// A model with these latent inputs, N × Q, to start from, and noise of variance 1.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) and [`Error::NonFinite`](crate::Error::NonFinite) for latents that cannot be;
    /// [`Error::Dimension`](crate::Error::Dimension) if the kernel cannot read them.
    pub fn new(kernel: K, latents: MatRef<'_, f64>) -> Result<Self> {
        let latents = Locations::free("position", latents)?;
        kernel.check_dim(latents.shape().1)?;
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

    /// The same with a noise variance σ².
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if it is not positive and finite.
    pub fn with_noise(mut self, variance: f64) -> Result<Self> {
        self.likelihood = Gaussian::try_new(variance)?;
        Ok(self)
    }

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

    /// The same with means and variances of the latent inputs a priori, N × Q.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) unless both are N × Q; [`Error::NonFinite`](crate::Error::NonFinite);
    /// [`Error::Parameter`](crate::Error::Parameter) for a variance that is not positive.
    pub fn with_prior(mut self, mean: MatRef<'_, f64>, variance: MatRef<'_, f64>) -> Result<Self> {
        self.prior = LatentPrior::new(mean, variance, self.latents.shape())?;
        Ok(self)
    }

    /// The same with another way to expectations, of which only what concerns uncertain inputs is made: of its
    /// [posterior](Self::condition), [`predict_uncertain`](GplvmPosterior::predict_uncertain) and
    /// [`infer`](GplvmPosterior::infer). By default as of [`BayesianGplvm`](super::BayesianGplvm::new).
    #[must_use]
    pub fn with_expectations(mut self, expectations: impl KernelExpectations + 'static) -> Self {
        self.expectations = Some(Arc::new(expectations));
        self
    }

    /// The same with latents that are a function of the outputs, in place of free ones.
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
    /// [`Error::Shape`](crate::Error::Shape) for outputs that do not fit.
    pub fn latents(&self, y: MatRef<'_, f64>) -> Result<Mat<f64>> {
        check_outputs(y, self.latents.shape().0)?;
        let tape = Tape::new(self.par);
        let (latents, _) = self.latents.on(&tape, tape.constant(y), false)?;
        Ok(tape.value(latents)?.as_mat().to_owned())
    }

    /// log p(Y, X) for outputs of N × D, or its lower bound.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty), [`Error::NonFinite`](crate::Error::NonFinite) and
    /// [`Error::Shape`](crate::Error::Shape) for outputs that do not fit; [`Error::Indefinite`](crate::Error::Indefinite) for a
    /// kernel that is not guaranteed positive semi-definite;
    /// [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if no jitter that the policy allows is enough.
    pub fn log_joint(&self, y: MatRef<'_, f64>) -> Result<LogJoint>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::new(self.par);
        let recorded = self.record(&tape, y, false)?;
        recorded.log_joint(&tape)
    }

    /// The log density, and its gradient in all natural parameters in visiting order.
    ///
    /// # Errors
    ///
    /// As [`log_joint`](Self::log_joint), and [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) for a kernel
    /// without gradients.
    pub fn log_joint_gradient(&self, y: MatRef<'_, f64>) -> Result<(LogJoint, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::new(self.par);
        let recorded = self.record(&tape, y, true)?;
        let gradients = tape.backward(recorded.value)?;
        Ok((recorded.log_joint(&tape)?, gather(&gradients, &tape, &recorded.parameters)?))
    }

    /// Maximises the log density over the free parameters; with [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`log_joint_gradient`](Self::log_joint_gradient) at the start; later failures end the search at the best
    /// parameters found.
    pub fn fit(&mut self, y: MatRef<'_, f64>, minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<f64>,
    {
        fit(self, minimizer, |model| {
            let (joint, mut gradient) = model.log_joint_gradient(y)?;
            gradient.iter_mut().for_each(|entry| *entry = -*entry);
            Ok((-joint.value, gradient))
        })
    }

    /// The posterior of the processes given the outputs, for predictions and for the latents of others.
    ///
    /// # Errors
    ///
    /// As [`log_joint`](Self::log_joint).
    pub fn condition(&self, y: MatRef<'_, f64>) -> Result<GplvmPosterior<'_>>
    where
        K: Kernel<f64>,
    {
        self.check(y)?;
        let (x, noise) = (self.latents(y)?, self.likelihood.variance());
        let (prior, mean, root) = match &self.inducing {
            None => {
                let mut covariance = Mat::zeros(x.nrows(), x.nrows());
                gram_into(&self.kernel, x.as_ref(), covariance.as_mut(), self.par)?;
                (0..x.nrows()).for_each(|i| covariance[(i, i)] += noise);
                let factor = Cholesky::new(covariance.as_ref(), self.jitter, self.par)?;
                let (mean, jitter) = (solve_exact(&factor, y, self.par)?, factor.jitter());
                (StoredPrior::dense(x.clone(), factor.into_factor(), jitter), mean, None)
            }
            Some(inducing) => {
                let tape = Tape::new(self.par);
                let (kernel, z) = (tape.fixed_kernel(&self.kernel), features_on(&tape, inducing, false)?);
                let prior = inducing.prior(&tape, kernel, z, self.jitter)?;
                let (x, y) = (tape.constant(x.as_ref()), tape.constant(y));
                let solved = Seen::of_points(&tape, kernel, &prior, x, y)?.infer(&tape, noise)?;
                (prior.store(&tape)?, solved.mean, Some(Root::Lower(solved.root)))
            }
        };
        let expectations = self.expectations.clone();
        let variance = Mat::zeros(x.nrows(), x.ncols());
        let latents = LatentMarginals { mean: x, variance };
        GplvmPosterior::new(&self.kernel, expectations, prior, mean, root, noise, latents, self.par)
    }

    fn check(&self, y: MatRef<'_, f64>) -> Result<()> {
        let (n, dim) = self.latents.shape();
        check_outputs(y, n)?;
        if self.allow_indefinite { Ok(()) } else { check_psd(&self.kernel, dim) }
    }

    fn record<'a>(&'a self, tape: &Tape<'a, f64>, y: MatRef<'a, f64>, differentiable: bool) -> Result<Recorded>
    where
        K: Kernel<f64>,
    {
        self.check(y)?;
        let y = tape.constant(y);
        let kernel = if differentiable { tape.kernel(&self.kernel)? } else { tape.fixed_kernel(&self.kernel) };
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let (x, latents) = self.latents.on(tape, y, differentiable)?;
        let mut parameters: Vec<Var> = [kernel.theta(), noise].into_iter().chain(latents).collect();
        let (evidence, jitter) = match &self.inducing {
            None => {
                let covariance = tape.add_to_diagonal(tape.gram(kernel, x)?, noise)?;
                record_exact(tape, covariance, y, self.jitter)?
            }
            Some(inducing) => {
                let z = features_on(tape, inducing, differentiable)?;
                parameters.push(z);
                let prior = inducing.prior(tape, kernel, z, self.jitter)?;
                let seen = Seen::of_points(tape, kernel, &prior, x, y)?;
                (record_collapsed(tape, &seen, y, noise)?.value, prior.jitter())
            }
        };
        let log_prior = self.prior.log_density(tape, x)?;
        Ok(Recorded { value: tape.add(evidence, log_prior)?, evidence, log_prior, jitter, parameters })
    }
}

impl Recorded {
    fn log_joint(&self, tape: &Tape<'_, f64>) -> Result<LogJoint> {
        let [value, log_evidence, log_prior] =
            [tape.scalar(self.value)?, tape.scalar(self.evidence)?, tape.scalar(self.log_prior)?];
        Ok(LogJoint { value, log_evidence, log_prior, jitter: self.jitter })
    }
}

impl<K: Parameterized> Parameterized for Gplvm<K> {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Part("kernel"), &self.kernel);
        visitor.child(Label::Part("likelihood"), &self.likelihood);
        visitor.child(Label::Part("latents"), &self.latents);
        if let Some(inducing) = &self.inducing {
            visitor.child(Label::Part("inducing"), inducing);
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Part("kernel"), &mut self.kernel);
        visitor.child(Label::Part("likelihood"), &mut self.likelihood);
        visitor.child(Label::Part("latents"), &mut self.latents);
        if let Some(inducing) = &mut self.inducing {
            visitor.child(Label::Part("inducing"), inducing);
        }
    }
}
