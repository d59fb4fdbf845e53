//! The log density of the latent-variable model with the most probable latents, and what follows from it.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::Gplvm;
use super::bound::{Seen, record_collapsed, solve_exact};
use super::latents::LatentMarginals;
use super::posterior::GplvmPosterior;
use crate::gp::checks::{check_outputs, check_psd};
use crate::gp::latents::PerLatent;
use crate::gp::prior::{self, Prior};
use crate::gp::rounding::{gradient_and_rounding, loss};
use crate::gp::terms::features_on;
use crate::gp::variational::Root;
use crate::gp::{coincident, units};
use crate::inducing::{InducingFeatures, StoredPrior};
use crate::kernel::{Kernel, gram_into};
use crate::linalg::Cholesky;
use crate::mean::{DynMean, Zero};
use crate::optim::{Minimizer, Minimum, fit_in_units};
use crate::tape::{Tape, Var};
use crate::{Expr, Result};

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
    /// The jitter that was added to the diagonal of I + AAᵀ/σ² with inducing inputs, A = L⁻¹K_uf: 0 unless the noise is as
    /// small as the rounding errors of the covariances. It lowers `log_evidence`, so a lower bound stays one.
    pub precision_jitter: f64,
    /// By how much rounding may have changed `value`.
    pub rounding: f64,
}

struct Recorded {
    value: Var,
    evidence: Var,
    log_prior: Var,
    jitter: f64,
    precision_jitter: f64,
    parameters: Vec<Var>,
}

impl<K: Expr + Clone> Gplvm<K> {
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
        Ok(self.evaluate(y, self.kernel.properties().differentiable)?.0)
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
        self.evaluate(y, true)
    }

    fn evaluate(&self, y: MatRef<'_, f64>, differentiable: bool) -> Result<(LogJoint, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::new(self.par);
        tape.watch_rounding();
        let recorded = self.record(&tape, y, differentiable)?;
        let (gradient, rounding) = gradient_and_rounding(&tape, recorded.value, &recorded.parameters, self)?;
        Ok((recorded.log_joint(&tape, rounding)?, gradient))
    }

    /// Maximises the log density over the free parameters; with [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`log_joint_gradient`](Self::log_joint_gradient) at the start, and [`Error::Rounding`](crate::Error::Rounding) where
    /// [`rounding`](LogJoint::rounding) is above [`ROUNDING_LIMIT`](crate::gp::ROUNDING_LIMIT); later failures end the search at the best
    /// parameters found.
    pub fn fit(&mut self, y: MatRef<'_, f64>, minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<f64>,
    {
        let spreads = self.prior.spreads();
        let inducing = self.inducing.iter().flat_map(|inducing| units::of_inducing(inducing, &spreads));
        let units =
            [units::ones(&self.kernel), units::ones(&self.likelihood), self.latents.units(&self.prior)].concat();
        let units: Vec<f64> = units.into_iter().chain(inducing).collect();
        let mut objective = |model: &Self| {
            let (joint, gradient) = model.log_joint_gradient(y)?;
            loss("the log density", joint.value, joint.rounding, gradient)
        };
        coincident::part(self, &spreads, &mut objective);
        fit_in_units(self, &units, minimizer, objective)
    }

    /// What the model says of so many outputs before data, as functions of the latent inputs.
    pub fn prior(&self, outputs: usize) -> Prior<f64>
    where
        K: Kernel<f64>,
    {
        let (kernel, mean) = (std::slice::from_ref(&self.kernel), PerLatent::one(DynMean::new(Zero)));
        let seen = prior::Seen::with(vec![self.likelihood.variance(); outputs]);
        Prior::independent(kernel, mean, outputs, seen, self.par)
    }

    /// The posterior of the processes given the outputs, for predictions and for the latents of others.
    ///
    /// # Errors
    ///
    /// As [`log_joint`](Self::log_joint).
    pub fn condition(&self, y: MatRef<'_, f64>) -> Result<GplvmPosterior>
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
        let kernel = Arc::new(self.kernel.clone());
        GplvmPosterior::new(kernel, (prior, mean, root), expectations, noise, latents, self.par)
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
        let (evidence, jitter, precision_jitter) = match &self.inducing {
            None => {
                let covariance = tape.add_to_diagonal(tape.gram(kernel, x)?, noise)?;
                let (densities, jitter) = tape.gaussian_log_density(y, covariance, self.jitter)?;
                (tape.sum(densities)?, jitter, 0.0)
            }
            Some(inducing) => {
                let z = features_on(tape, inducing, differentiable)?;
                parameters.push(z);
                let prior = inducing.prior(tape, kernel, z, self.jitter)?;
                let seen = Seen::of_points(tape, kernel, &prior, x, y)?;
                let (bound, precision_jitter) = record_collapsed(tape, &seen, y, noise)?;
                (bound, prior.jitter(), precision_jitter)
            }
        };
        let log_prior = self.prior.log_density(tape, x)?;
        let value = tape.add(evidence, log_prior)?;
        Ok(Recorded { value, evidence, log_prior, jitter, precision_jitter, parameters })
    }
}

impl Recorded {
    fn log_joint(&self, tape: &Tape<'_, f64>, rounding: f64) -> Result<LogJoint> {
        let [value, log_evidence, log_prior] =
            [tape.scalar(self.value)?, tape.scalar(self.evidence)?, tape.scalar(self.log_prior)?];
        let &Self { jitter, precision_jitter, .. } = self;
        Ok(LogJoint { value, log_evidence, log_prior, jitter, precision_jitter, rounding })
    }
}
