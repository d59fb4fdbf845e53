//! The bound, recorded forward.

use faer::MatRef;

use super::Svgp;
use crate::gp::conditional::Conditional;
use crate::gp::mean_basis;
use crate::gp::model::{Memory, Objective};
use crate::gp::overflow::Largest;
use crate::gp::rounding::gradient_and_rounding;
use crate::gp::terms::{Term, expected_log_likelihood, features_on, prior_mean};
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::likelihood::Likelihood;
use crate::mean::MeanExpr;
use crate::tape::{Head, KernelVar, Tape, Var};
use crate::{Expr, Result, Scalar};

/// A bound on the log evidence, and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elbo {
    /// `expected_log_likelihood − kl`
    pub value: f64,
    /// Σᵢ E log p(yᵢ | fᵢ) under the variational marginals, scaled to all data for a minibatch.
    pub expected_log_likelihood: f64,
    /// KL(q ‖ p) of the inducing variables, and of the mean by a basis of its own, summed over latent functions.
    pub kl: f64,
    /// The jitter that was added to the diagonal of K_uu: the largest, if there are several.
    pub jitter: f64,
    /// By how much rounding may have changed `value`: a lower bound exceeds the exact log evidence by no more. Infinite
    /// where it was not asked for, as in a training loop.
    pub rounding: f64,
}

impl Objective for Elbo {
    fn value(&self) -> f64 {
        self.value
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// The bound on `total` observations, from some of them.
    pub(super) fn bound<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T], total: usize) -> Result<Elbo>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        self.check_observed(x, y, total)?;
        let differentiable = self.kernel.all().iter().all(|kernel| kernel.properties().differentiable);
        // Features may have values for a kernel, and no gradients.
        let evaluate =
            |differentiable| self.evaluate_rows(&*self.likelihood, x, y, total, &Memory::default(), differentiable);
        Ok(evaluate(differentiable).or_else(|_| evaluate(false))?.0)
    }

    pub(super) fn checked_gradient<T: Scalar>(
        &self,
        x: MatRef<'_, T>,
        y: &[T],
        total: usize,
        memory: &Memory,
    ) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        self.check_observed(x, y, total)?;
        self.gradient_through(&*self.likelihood, x, y, total, memory)
    }

    /// The bound and its gradient, for data that is checked, the observations seen through a likelihood with the parameters
    /// of the model's.
    pub(super) fn gradient_through<T: Scalar>(
        &self,
        likelihood: &dyn Likelihood,
        x: MatRef<'_, T>,
        y: &[T],
        total: usize,
        memory: &Memory,
    ) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        let (elbo, gradient, sound) = self.evaluate_rows(likelihood, x, y, total, memory, true)?;
        sound.map(|()| (elbo, gradient))
    }

    /// The same, without the gradient in kernels and features, unless it is differentiable; and the error that names the
    /// likelihood, if it is what overflows.
    pub(super) fn evaluate_rows<T: Scalar>(
        &self,
        likelihood: &dyn Likelihood,
        x: MatRef<'_, T>,
        y: &[T],
        total: usize,
        memory: &Memory,
        differentiable: bool,
    ) -> Result<(Elbo, Vec<f64>, Result<()>)>
    where
        K: Kernel<T>,
    {
        memory.on_tape(self.par, |tape| {
            let recorded = self.record(tape, likelihood, x, y, total, differentiable)?;
            let (gradient, rounding) = gradient_and_rounding(tape, recorded.bound, &recorded.parameters, self)?;
            let elbo = recorded.elbo(tape, rounding)?;
            let sound = recorded.check_overflow(&elbo, &gradient);
            Ok((elbo, gradient, sound))
        })
    }

    /// The bound, as in the definition.
    pub(super) fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        likelihood: &'a dyn Likelihood,
        x: MatRef<'a, T>,
        y: &[T],
        total: usize,
        differentiable: bool,
    ) -> Result<Recorded<'t, 'a, T>>
    where
        K: Kernel<T>,
    {
        let rows = x.nrows() as f64;
        let x = tape.constant(x);
        let features = features_on(tape, &self.inducing, differentiable)?;
        let mut kernels = Vec::new();
        for kernel in self.kernel.all() {
            kernels.push(tape.kernel_var(kernel, differentiable)?);
        }
        let prior_means = self.mean.all().iter().map(|mean| prior_mean(tape, mean, x)).collect::<Result<Vec<_>>>()?;
        let basis = self.mean_basis.as_ref().map(|basis| basis.record(tape, differentiable)).transpose()?;
        let marginals = self.marginals(tape, x, features, &kernels, &prior_means, basis)?;

        let (fit, largest) = expected_log_likelihood(tape, likelihood, y, &marginals.means, &marginals.variances)?;
        let expected = total as f64 / rows * fit.value;
        let bound = expected - marginals.kl;
        let kernels = kernels.iter().map(|kernel| kernel.theta());
        let before = kernels.chain(prior_means.iter().map(|mean| mean.theta)).chain([fit.theta, features]);
        let before = before.chain(basis.iter().flat_map(|basis| [basis.inputs, basis.weights]));
        Ok(Recorded {
            bound,
            expected,
            largest: Some(largest),
            kl: marginals.kl,
            jitter: marginals.jitter,
            parameters: before.chain(marginals.parameters).collect(),
        })
    }

    /// q(f) at the points x, latent function by latent function.
    fn marginals<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        x: Var<'t, T>,
        features: Var<'t, T>,
        kernels: &[KernelVar<'t, 'a, T>],
        prior_means: &[Term<'t, T>],
        basis: Option<mean_basis::Recorded<'t, T>>,
    ) -> Result<Marginals<'t, T>> {
        let mut given = Vec::new();
        let mut jitter = 0.0f64;
        for &kernel in kernels {
            let prior = self.inducing.prior(tape, kernel, features, self.jitter)?;
            let k_uf = self.inducing.cross(tape, kernel, &prior, x)?;
            let given_points = Conditional::new(kernel, &prior, k_uf, x)?.bounded();
            let of_basis = |basis: mean_basis::Recorded<'t, T>| {
                basis.of_kernel(tape, &self.inducing, kernel, &prior)?.at(kernel, x)
            };
            given.push((prior, given_points, basis.map(of_basis).transpose()?));
            jitter = jitter.max(prior.jitter());
        }
        let (mut heads, mut shifts, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
        let mut kl = None;
        for (latent, q) in self.variational.all().iter().enumerate() {
            let (prior, _, basis) = &given[if given.len() == 1 { 0 } else { latent }];
            let prior_mean = &prior_means[if prior_means.len() == 1 { 0 } else { latent }];
            let q = q.record(tape, prior)?;
            let (mut mean, mut whitened) = (prior_mean.value, q.mean);
            let q_kl = match basis {
                None => q.divergence(tape, prior, q.mean)?,
                Some(basis) => {
                    let added = basis.add(latent, q.mean);
                    mean = mean + added.shift;
                    whitened = added.whitened;
                    q.divergence(tape, prior, added.expected)? + added.kl
                }
            };
            // Nothing is not added.
            let nothing = basis.is_none() && self.mean.of(latent).is_zero();
            shifts.push((!nothing).then_some(mean));
            heads.push(Head { mean: Some(whitened), roots: q.roots });
            parameters.extend(q.parameters);
            kl = Some(kl.map_or(q_kl, |sum| sum + q_kl));
        }
        // Those of one kernel together: they share what is whitened.
        let of_kernel = heads.chunks(if given.len() == 1 { heads.len() } else { 1 });
        let marginals = given.iter().zip(of_kernel).flat_map(|((_, given, _), heads)| given.marginals(tape, heads).0);
        let points = tape.shape(x)?.0;
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for (shift, (mean, variance)) in shifts.into_iter().zip(marginals) {
            means.push(match (shift, mean) {
                (Some(shift), Some(mean)) => shift + mean,
                (shift, mean) => shift.or(mean).unwrap_or_else(|| tape.zeros(points, 1)),
            });
            variances.push(variance);
        }
        let kl = kl.unwrap_or_else(|| tape.scalar_constant(0.0));
        Ok(Marginals { means, variances, kl, jitter, parameters })
    }
}

/// The marginals of the latent functions, with what belongs to q.
struct Marginals<'t, T: Scalar> {
    means: Vec<Var<'t, T>>,
    variances: Vec<Var<'t, T>>,
    kl: Var<'t, T>,
    jitter: f64,
    parameters: Vec<Var<'t, T>>,
}

/// The bound on a tape.
pub(super) struct Recorded<'t, 'a, T: Scalar> {
    pub(super) bound: Var<'t, T>,
    pub(super) expected: Var<'t, T>,
    pub(super) largest: Option<Largest<'a>>,
    pub(super) kl: Var<'t, T>,
    pub(super) jitter: f64,
    pub(super) parameters: Vec<Var<'t, T>>,
}

impl<T: Scalar> Recorded<'_, '_, T> {
    pub(super) fn elbo(&self, tape: &Tape<'_, T>, rounding: f64) -> Result<Elbo> {
        let expected_log_likelihood = tape.scalar(self.expected)?;
        let kl = tape.scalar(self.kl)?;
        let value = expected_log_likelihood - kl;
        Ok(Elbo { value, expected_log_likelihood, kl, jitter: self.jitter, rounding })
    }

    /// Names a likelihood that overflows, where that is why the bound or its gradient is not finite.
    pub(super) fn check_overflow(&self, elbo: &Elbo, gradient: &[f64]) -> Result<()> {
        self.largest.as_ref().map_or(Ok(()), |largest| largest.check::<T>(elbo.value, gradient))
    }
}
