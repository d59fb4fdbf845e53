//! The log density of the latent-variable model with the most probable latents, and what follows from it.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::Gplvm;
use super::bound::{ProjectedOutputs, record_collapsed, solve_exact};
use super::latents::LatentMarginals;
use super::posterior::GplvmPosterior;
use crate::gp::checks::{check_outputs, check_psd};
use crate::gp::latents::PerLatent;
use crate::gp::model::{Memory, Model, Objective, Scales};
use crate::gp::prior::{self, Prior};
use crate::gp::rounding::gradient_and_rounding;
use crate::gp::terms::features_on;
use crate::gp::{starts, units};
use crate::inducing::{InducingFeatures, StoredPrior};
use crate::kernel::{Kernel, gram_into};
use crate::linalg::Cholesky;
use crate::linalg::Root;
use crate::mean::{DynMean, Zero};
use crate::tape::{Tape, Var};
use crate::{Expr, Result};

/// The log density of outputs and latents of a [`Gplvm`], and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogJoint {
    /// `log_marginal_likelihood + log_prior`
    pub value: f64,
    /// log p(Y | X), or its lower bound with inducing inputs.
    pub log_marginal_likelihood: f64,
    /// log p(X)
    pub log_prior: f64,
    /// The jitter that was added to the diagonal of the covariance that is factorised.
    pub jitter: f64,
    /// The jitter that was added to the diagonal of I + AAᵀ/σ² with inducing inputs, A = L⁻¹K_uf: 0 unless the noise is as
    /// small as the rounding errors of the covariances. It lowers `log_marginal_likelihood`, so a lower bound stays one.
    pub precision_jitter: f64,
    /// By how much rounding may have changed `value`.
    pub rounding: f64,
}

impl Objective for LogJoint {
    fn value(&self) -> f64 {
        self.value
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

struct Recorded<'t> {
    value: Var<'t, f64>,
    evidence: Var<'t, f64>,
    log_prior: Var<'t, f64>,
    jitter: f64,
    precision_jitter: f64,
    parameters: Vec<Var<'t, f64>>,
}

impl<K: Expr + Clone> Gplvm<K> {
    fn evaluate_rows(&self, y: MatRef<'_, f64>, memory: &Memory, differentiable: bool) -> Result<(LogJoint, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        memory.on_tape(self.par, |tape| {
            let recorded = self.record(tape, y, differentiable)?;
            let (gradient, rounding) = gradient_and_rounding(tape, recorded.value, &recorded.parameters, self)?;
            Ok((recorded.log_joint(tape, rounding)?, gradient))
        })
    }

    /// What the model says of so many outputs before data, as functions of the latent inputs.
    pub fn prior(&self, outputs: usize) -> Prior<f64>
    where
        K: Kernel<f64>,
    {
        let (kernel, mean) = (std::slice::from_ref(&self.kernel), PerLatent::one(DynMean::new(Zero)));
        let seen = prior::Observed::with(vec![self.likelihood.variance(); outputs]);
        Prior::independent(kernel, mean, outputs, seen, self.par).allowing_indefinite(self.allow_indefinite)
    }

    fn posterior(&self, y: MatRef<'_, f64>) -> Result<GplvmPosterior>
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
                let solved = ProjectedOutputs::of_points(kernel, &prior, x, y)?.infer(&tape, noise)?;
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
        check_psd(&self.kernel, dim, self.allow_indefinite)
    }

    fn record<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        y: MatRef<'a, f64>,
        differentiable: bool,
    ) -> Result<Recorded<'t>>
    where
        K: Kernel<f64>,
    {
        self.check(y)?;
        let y = tape.constant(y);
        let kernel = tape.kernel_var(&self.kernel, differentiable)?;
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let (x, latents) = self.latents.on(tape, y, differentiable)?;
        let mut parameters: Vec<_> = [kernel.theta(), noise].into_iter().chain(latents).collect();
        let (evidence, jitter, precision_jitter) = match &self.inducing {
            None => {
                let covariance = kernel.gram(x)?.add_to_diagonal(noise);
                let (densities, jitter) = y.gaussian_log_density(covariance, self.jitter)?;
                (densities.sum(), jitter, 0.0)
            }
            Some(inducing) => {
                let z = features_on(tape, inducing, differentiable)?;
                parameters.push(z);
                let prior = inducing.prior(tape, kernel, z, self.jitter)?;
                let seen = ProjectedOutputs::of_points(kernel, &prior, x, y)?;
                let (bound, precision_jitter) = record_collapsed(tape, &seen, y, noise)?;
                (bound, prior.jitter(), precision_jitter)
            }
        };
        let log_prior = self.prior.log_density(tape, x);
        let value = evidence + log_prior;
        Ok(Recorded { value, evidence, log_prior, jitter, precision_jitter, parameters })
    }
}

impl<'t> Recorded<'t> {
    fn log_joint(&self, tape: &Tape<'_, f64>, rounding: f64) -> Result<LogJoint> {
        let [value, log_marginal_likelihood, log_prior] =
            [tape.scalar(self.value)?, tape.scalar(self.evidence)?, tape.scalar(self.log_prior)?];
        let &Self { jitter, precision_jitter, .. } = self;
        Ok(LogJoint { value, log_marginal_likelihood, log_prior, jitter, precision_jitter, rounding })
    }
}

impl<K: Kernel<f64> + Clone> Model<Mat<f64>> for Gplvm<K> {
    type Objective = LogJoint;
    type Posterior = GplvmPosterior;

    fn objective(&self, y: &Mat<f64>) -> Result<LogJoint> {
        Ok(self.evaluate_rows(y.as_ref(), &Memory::default(), self.kernel.properties().differentiable)?.0)
    }

    fn evaluate(&self, y: &Mat<f64>, memory: &Memory) -> Result<(LogJoint, Vec<f64>)> {
        self.evaluate_rows(y.as_ref(), memory, true)
    }

    fn condition(&self, y: &Mat<f64>) -> Result<GplvmPosterior> {
        self.posterior(y.as_ref())
    }

    fn scales(&self, y: &Mat<f64>) -> Result<Scales> {
        let columns = self.prior.spreads();
        let inducing = self.inducing.iter().flat_map(|inducing| units::of_inducing(inducing, &columns));
        let parts = [units::ones(&self.kernel), units::ones(&self.likelihood), self.latents.units(&self.prior)];
        let noise = starts::noise_units(self, &starts::variances(y.as_ref()));
        Ok(Scales { parameters: parts.concat().into_iter().chain(inducing).collect(), columns, noise })
    }
}
