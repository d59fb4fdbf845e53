//! The bound of the Bayesian latent-variable model, and what follows from it.

use std::cell::RefCell;
use std::sync::Arc;

use faer::MatRef;

use super::BayesianGplvm;
use super::bound::{Seen, record_collapsed, record_prior};
use super::posterior::GplvmPosterior;
use crate::gp::checks::{check_outputs, check_psd};
use crate::gp::latents::PerLatent;
use crate::gp::prior::{self, Prior};
use crate::gp::rounding::{gradient_and_rounding, loss};
use crate::gp::terms::features_on;
use crate::gp::variational::Root;
use crate::gp::{coincident, units};
use crate::kernel::Kernel;
use crate::mean::{DynMean, Zero};
use crate::optim::{Minimizer, Minimum, fit_in_units};
use crate::tape::{Pool, Tape, Var};
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

/// The bound on a tape, and its parameters in visiting order.
struct Recorded {
    value: Var,
    expected_evidence: Var,
    precision_jitter: f64,
    divergence: Var,
    jitter: f64,
    parameters: Vec<Var>,
}

impl<K: Expr + Clone> BayesianGplvm<K> {
    /// The lower bound of log p(Y) for outputs of N × D.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty), [`Error::NonFinite`](crate::Error::NonFinite) and [`Error::Shape`](crate::Error::Shape) for outputs that do not fit;
    /// [`Error::Indefinite`](crate::Error::Indefinite) for a kernel that is not guaranteed positive semi-definite; [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite)
    /// if no jitter that the policy allows is enough; whatever the [expectations](super::KernelExpectations) refuse.
    pub fn elbo(&self, y: MatRef<'_, f64>) -> Result<GplvmElbo>
    where
        K: Kernel<f64>,
    {
        Ok(self.evaluate(y, &RefCell::default(), self.kernel.properties().differentiable)?.0)
    }

    /// The bound, and its gradient in all natural parameters in visiting order.
    ///
    /// # Errors
    ///
    /// As [`elbo`](Self::elbo), and [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) for a kernel without gradients.
    pub fn elbo_gradient(&self, y: MatRef<'_, f64>) -> Result<(GplvmElbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        self.elbo_gradient_with(y, &RefCell::default())
    }

    /// The same, with matrices from a pool and back into it: what a loop of one's own calls.
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient).
    pub fn elbo_gradient_with(&self, y: MatRef<'_, f64>, pool: &RefCell<Pool<f64>>) -> Result<(GplvmElbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        self.evaluate(y, pool, true)
    }

    fn evaluate(
        &self,
        y: MatRef<'_, f64>,
        pool: &RefCell<Pool<f64>>,
        differentiable: bool,
    ) -> Result<(GplvmElbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::with_pool(self.par, pool.take());
        tape.watch_rounding();
        let recorded = self.record(&tape, y, differentiable)?;
        let (gradient, rounding) = gradient_and_rounding(&tape, recorded.value, &recorded.parameters, self)?;
        let elbo = recorded.elbo(&tape, rounding)?;
        pool.replace(tape.into_pool());
        Ok((elbo, gradient))
    }

    /// Maximises the bound over the free parameters; with [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient) at the start, and [`Error::Rounding`](crate::Error::Rounding) where
    /// [`rounding`](GplvmElbo::rounding) is above [`ROUNDING_LIMIT`](crate::gp::ROUNDING_LIMIT); later failures end the search at the best parameters found.
    pub fn fit(&mut self, y: MatRef<'_, f64>, minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<f64>,
    {
        let spreads = self.prior.spreads();
        let inducing = units::of_inducing(&self.inducing, &spreads);
        let latents = self.latents.units(&self.prior);
        let units = [units::ones(&self.kernel), units::ones(&self.likelihood), latents, inducing].concat();
        let pool = RefCell::default();
        let mut objective = |model: &Self| {
            let (elbo, gradient) = model.elbo_gradient_with(y, &pool)?;
            loss("the bound", elbo.value, elbo.rounding, gradient)
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
    /// As [`elbo`](Self::elbo).
    pub fn condition(&self, y: MatRef<'_, f64>) -> Result<GplvmPosterior>
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
        let solved = Seen::of_expectations(&tape, &psi, &prior, y_var)?.infer(&tape, noise)?;
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
        if self.allow_indefinite { Ok(()) } else { check_psd(&self.kernel, dim) }
    }

    fn record<'a>(&'a self, tape: &Tape<'a, f64>, y: MatRef<'a, f64>, differentiable: bool) -> Result<Recorded>
    where
        K: Kernel<f64>,
    {
        self.check(y)?;
        let (y, z) = (tape.constant(y), features_on(tape, &self.inducing, differentiable)?);
        let kernel = if differentiable { tape.kernel(&self.kernel)? } else { tape.fixed_kernel(&self.kernel) };
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let (inputs, latents) = self.latents.on(tape, y, differentiable)?;
        let psi = self.expectations.record(tape, kernel, inputs, z)?;
        let (prior, jitter) = record_prior(tape, kernel, z, self.inducing_noise, self.jitter)?;
        let seen = Seen::of_expectations(tape, &psi, &prior, y)?;
        let (expected_evidence, precision_jitter) = record_collapsed(tape, &seen, y, noise)?;
        let divergence = self.prior.divergence(tape, inputs)?;
        let value = tape.sub(expected_evidence, divergence)?;
        let parameters = [kernel.theta(), noise].into_iter().chain(latents).chain([z]).collect();
        Ok(Recorded { value, expected_evidence, divergence, jitter, precision_jitter, parameters })
    }
}

impl Recorded {
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
