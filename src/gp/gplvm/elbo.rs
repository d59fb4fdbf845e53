//! The bound of the Bayesian latent-variable model, and what follows from it.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::BayesianGplvm;
use super::bound::{ProjectedOutputs, record_collapsed, record_prior};
use super::posterior::GplvmPosterior;
use crate::gp::checks::{check_outputs, check_psd};
use crate::gp::latents::PerLatent;
use crate::gp::model::{Memory, Model, Objective, Scales};
use crate::gp::prior::{self, Prior};
use crate::gp::rounding::gradient_and_rounding;
use crate::gp::terms::features_on;
use crate::gp::{starts, units};
use crate::kernel::Kernel;
use crate::linalg::Root;
use crate::mean::{DynMean, Zero};
use crate::tape::{Tape, Var};
use crate::{Expr, Result};

/// The bound of a [`BayesianGplvm`], and its parts.
///
/// It is a bound as far as the expectations are exact: with [`ClosedForm`](super::ClosedForm), to rounding; with
/// [`Nodes`](super::Nodes), to the [error of the rule](super::Nodes#accuracy), by which it can exceed log p(Y).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GplvmElbo {
    /// `expected_evidence − divergence`: a lower bound of log p(Y), to the error of the expectations.
    pub value: f64,
    /// The bound of the outputs' log evidence under q(X).
    pub expected_evidence: f64,
    /// KL(q(X) ‖ p(X))
    pub divergence: f64,
    /// What was added to the diagonal of K_uu: the noise of the inducing variables, and jitter if it took some.
    pub jitter: f64,
    /// The jitter that was added to the diagonal of B: 0 unless the noise is as small as rounding errors.
    pub precision_jitter: f64,
    /// By how much rounding may have changed `value`.
    pub rounding: f64,
}

impl Objective for GplvmElbo {
    fn value(&self) -> f64 {
        self.value
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

/// The bound on a tape, and its parameters in visiting order.
struct Recorded<'t> {
    value: Var<'t, f64>,
    expected_evidence: Var<'t, f64>,
    precision_jitter: f64,
    divergence: Var<'t, f64>,
    jitter: f64,
    parameters: Vec<Var<'t, f64>>,
}

impl<K: Expr + Clone> BayesianGplvm<K> {
    fn evaluate_rows(&self, y: MatRef<'_, f64>, memory: &Memory, differentiable: bool) -> Result<(GplvmElbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        memory.on_tape(self.par, |tape| {
            let recorded = self.record(tape, y, differentiable)?;
            let (gradient, rounding) = gradient_and_rounding(tape, recorded.value, &recorded.parameters, self)?;
            Ok((recorded.elbo(tape, rounding)?, gradient))
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
        let tape = Tape::new(self.par);
        let (y_var, z) = (tape.constant(y), features_on(&tape, &self.inducing, false)?);
        let kernel = tape.fixed_kernel(&self.kernel);
        let (inputs, _) = self.latents.on(&tape, y_var, false)?;
        let psi = self.expectations.record(&tape, kernel, inputs, z)?;
        let (prior, _) = record_prior(&tape, kernel, z, self.inducing_noise, self.jitter)?;
        let noise = self.likelihood.variance();
        let solved = ProjectedOutputs::of_expectations(&psi, &prior, y_var).infer(&tape, noise)?;
        GplvmPosterior::new(
            Arc::new(self.kernel.clone()),
            (prior.store(&tape)?, solved.mean, Some(Root::Lower(solved.root))),
            Some(Arc::clone(&self.expectations)),
            noise,
            self.latents(y)?,
            self.par,
        )
    }

    fn check(&self, y: MatRef<'_, f64>) -> Result<()> {
        let (n, dim) = self.latents.mean.shape();
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
        let (y, z) = (tape.constant(y), features_on(tape, &self.inducing, differentiable)?);
        let kernel = tape.kernel_var(&self.kernel, differentiable)?;
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let (inputs, latents) = self.latents.on(tape, y, differentiable)?;
        let psi = self.expectations.record(tape, kernel, inputs, z)?;
        let (prior, jitter) = record_prior(tape, kernel, z, self.inducing_noise, self.jitter)?;
        let seen = ProjectedOutputs::of_expectations(&psi, &prior, y);
        let (expected_evidence, precision_jitter) = record_collapsed(tape, &seen, y, noise)?;
        let divergence = self.prior.divergence(tape, inputs);
        let value = expected_evidence - divergence;
        let parameters = [kernel.theta(), noise].into_iter().chain(latents).chain([z]).collect();
        Ok(Recorded { value, expected_evidence, divergence, jitter, precision_jitter, parameters })
    }
}

impl<'t> Recorded<'t> {
    fn elbo(&self, tape: &Tape<'_, f64>, rounding: f64) -> Result<GplvmElbo> {
        Ok(GplvmElbo {
            value: tape.scalar(self.value)?,
            expected_evidence: tape.scalar(self.expected_evidence)?,
            divergence: tape.scalar(self.divergence)?,
            jitter: self.jitter,
            precision_jitter: self.precision_jitter,
            rounding,
        })
    }
}

impl<K: Kernel<f64> + Clone> Model<Mat<f64>> for BayesianGplvm<K> {
    type Objective = GplvmElbo;
    type Posterior = GplvmPosterior;

    fn objective(&self, y: &Mat<f64>) -> Result<GplvmElbo> {
        Ok(self.evaluate_rows(y.as_ref(), &Memory::default(), self.kernel.properties().differentiable)?.0)
    }

    fn evaluate(&self, y: &Mat<f64>, memory: &Memory) -> Result<(GplvmElbo, Vec<f64>)> {
        self.evaluate_rows(y.as_ref(), memory, true)
    }

    fn condition(&self, y: &Mat<f64>) -> Result<GplvmPosterior> {
        self.posterior(y.as_ref())
    }

    fn scales(&self, y: &Mat<f64>) -> Result<Scales> {
        let columns = self.prior.spreads();
        let (latents, inducing) = (self.latents.units(&self.prior), units::of_inducing(&self.inducing, &columns));
        let parameters = [units::ones(&self.kernel), units::ones(&self.likelihood), latents, inducing].concat();
        Ok(Scales { parameters, columns, noise: starts::noise_units(self, &starts::variances(y.as_ref())) })
    }
}
