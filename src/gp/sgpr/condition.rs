//! What collapsed models say given data.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::Sgpr;
use crate::gp::collapsed::{Approximation, check_left, check_positive};
use crate::gp::data::Data;
use crate::gp::diagnostics::{Bounds, Diagnostics, diagnose};
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::low_rank::LowRank;
use crate::gp::model::Model;
use crate::gp::posterior::{Posterior, from_f64};
use crate::gp::prior::{self, Prior};
use crate::gp::process::{Latent, Process, Values};
use crate::gp::terms::features_on;
use crate::gp::variational::Variational;
use crate::inducing::{InducingFeatures, InducingPoints, StoredPrior};
use crate::kernel::Kernel;
use crate::likelihood::GaussianNoise;
use crate::linalg::Root;
use crate::mean::Mean;
use crate::tape::{Tape, Value};
use crate::{Expr, Result, Scalar};

/// The data as the inducing variables see it.
pub(super) struct ProjectedData<'a, T: Scalar> {
    prior: StoredPrior<T>,
    /// A, M × N.
    a: Value<'a, T>,
    /// diag(K − AᵀA), as rounding has it: an element may be below 0.
    unexplained: Vec<T>,
    /// y − m(X)
    residual: Vec<T>,
}

impl<K: Expr + Clone, F: InducingFeatures, N: GaussianNoise + Clone> Sgpr<K, F, N> {
    /// An upper bound on the exact log evidence, whatever the approximation of this model:
    ///
    /// log p(y) ≤ −½ rᵀ(Q + (σ² + t) I)⁻¹r − ½ log|Q + σ²I| − (N/2) log 2π, with t = tr(K − Q),
    ///
    /// because Q ⪯ K ⪯ Q + t I, and likewise with diag(σᵢ²) for σ²I. With the variational bound it brackets the truth: the two meet as t goes
    /// to 0.
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective).
    ///
    /// # References
    ///
    /// Titsias (2014), *Variational inference for Gaussian and determinantal point processes*, workshop on
    /// advances in variational inference, NIPS.
    pub fn upper_bound<T: Scalar>(&self, data: &Data<T>) -> Result<f64>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(1)?;
        let seen = self.see(data.x(), &y)?;
        let variances = self.likelihood.noise_variances(y.len())?;
        let noise: Vec<T> = from_f64(&variances);
        let least = LowRank::new(seen.a.as_mat(), &seen.residual, &noise, self.par)?;
        let trace = seen.unexplained.iter().map(|value| value.as_f64().max(0.0)).sum::<f64>();
        let noisier: Vec<T> = noise.iter().map(|&noise| noise + T::from_f64(trace)).collect();
        let most = LowRank::new(seen.a.as_mat(), &seen.residual, &noisier, self.par)?;
        let log_det = least.log_det + variances.iter().map(|v| v.ln() + std::f64::consts::TAU.ln()).sum::<f64>();
        Ok(-0.5 * (most.quadratic + log_det))
    }

    /// The prior of the model: predictions and draws before data.
    pub fn prior<T: Scalar>(&self) -> Prior<T>
    where
        K: Kernel<T>,
    {
        let (kernel, mean) = (std::slice::from_ref(&self.kernel), PerLatent::one(self.mean.clone()));
        Prior::independent(kernel, mean, 1, prior::Observed::Through(Arc::new(self.likelihood.clone())), self.par)
            .allowing_indefinite(self.allow_indefinite)
    }

    pub(super) fn posterior<T: Scalar>(&self, data: &Data<T>) -> Result<Posterior<T>>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(1)?;
        let seen = self.see(data.x(), &y)?;
        let LowRank { mean, root, .. } = self.infer(&seen, self.approximation)?;
        let weights = {
            let tape = Tape::new(self.par);
            let weights = seen.prior.on(&tape).whiten_transpose(tape.constant(mean.as_ref()));
            tape.value(weights)?.as_mat().to_owned()
        };
        let jitter = seen.prior.jitter();
        self.posterior_of(seen.prior, root, weights, jitter)
    }

    pub(super) fn posterior_of<T: Scalar>(
        &self,
        prior: StoredPrior<T>,
        root: Mat<T>,
        weights: Mat<T>,
        jitter: f64,
    ) -> Result<Posterior<T>>
    where
        K: Kernel<T>,
    {
        let latents = vec![Latent { mean: self.mean.clone(), roots: [Root::Lower(root)].into() }];
        let (kernel, values) = (Arc::new(self.kernel.clone()), Values::of(&self.inducing, jitter));
        let process = Process {
            kernel,
            prior: Arc::new(prior),
            latents,
            weights,
            further: None,
            values,
            fitc: self.approximation == Approximation::Fitc,
        };
        let likelihood = Some(Arc::new(self.likelihood.clone()) as _);
        Ok(Posterior::of(Arc::new(self.inducing.clone()), [process], likelihood, self.par))
    }

    /// Predictions of each observation from all others, in closed form; inducing features and
    /// hyperparameters stay. O(N·M²).
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective); [`Error::NegativeVariance`](crate::Error::NegativeVariance) too where rounding
    /// leaves nothing of what the others say, which takes a noise some 10⁻¹⁶ of the process's
    /// variance.
    pub fn leave_one_out<T: Scalar>(&self, data: &Data<T>) -> Result<LeaveOneOut<T>>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(1)?;
        let seen = self.see(data.x(), &y)?;
        let posterior = self.infer(&seen, self.approximation)?;
        let noise = self.noise(&seen, self.approximation)?;
        let mut conditional: Vec<T> = from_f64(&self.likelihood.noise_variances(y.len())?);
        conditional.iter_mut().zip(&seen.unexplained).for_each(|(noise, &left)| *noise += left);
        LeaveOneOut::of_low_rank(seen.a.as_mat(), &y, &seen.residual, &noise, &conditional, &posterior, self.par)
    }

    pub(super) fn see<'a, T: Scalar>(&'a self, x: MatRef<'a, T>, y: &[T]) -> Result<ProjectedData<'a, T>>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let tape = Tape::new(self.par);
        let (points, kernel) = (tape.constant(x), tape.fixed_kernel(&self.kernel));
        let features = features_on(&tape, &self.inducing, false)?;
        let (prior, given) = self.given(&tape, kernel, features, points)?;
        let (a, variances) = given.whitened();
        let unexplained = variances.remainders(&tape)?;
        let mut residual = vec![T::from_f64(0.0); y.len()];
        self.mean.mean_into(x, &mut residual);
        residual.iter_mut().zip(y).for_each(|(entry, &y)| *entry = y - *entry);
        Ok(ProjectedData { prior: prior.store(&tape)?, a: tape.value(a)?, unexplained, residual })
    }

    /// The diagonal of Λ.
    fn noise<T: Scalar>(&self, seen: &ProjectedData<'_, T>, approximation: Approximation) -> Result<Vec<T>> {
        let mut noise: Vec<T> = from_f64(&self.likelihood.noise_variances(seen.residual.len())?);
        if approximation == Approximation::Fitc {
            check_left(&seen.unexplained, &noise)?;
            let zero = T::from_f64(0.0);
            noise
                .iter_mut()
                .zip(&seen.unexplained)
                .for_each(|(noise, &left)| *noise += if left > zero { left } else { zero });
        }
        check_positive(&noise)?;
        Ok(noise)
    }

    pub(super) fn infer<T: Scalar>(
        &self,
        seen: &ProjectedData<'_, T>,
        approximation: Approximation,
    ) -> Result<LowRank<T>> {
        LowRank::new(seen.a.as_mat(), &seen.residual, &self.noise(seen, approximation)?, self.par)
    }
}

impl<K: Expr + Clone, N: GaussianNoise + Clone> Sgpr<K, InducingPoints, N> {
    /// Diagnostics: conditioning, near-duplicate inducing inputs, bounds; with a q of [`Svgp`](crate::gp::Svgp), its
    /// [gap](Self::gap) too.
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective) and [`gap`](Self::gap).
    pub fn diagnose(&self, data: &Data<f64>, q: Option<&Variational>) -> Result<Diagnostics>
    where
        K: Kernel<f64>,
    {
        let lower = self.clone().with_approximation(Approximation::Vfe).objective(data)?;
        let upper = self.upper_bound(data)?;
        let gap = q.map(|q| self.gap(data, q)).transpose()?;
        let mut diagnostics = diagnose(&self.kernel, self.inducing.inputs(), self.jitter, self.par)?;
        let (trace, rounding) = (lower.trace, lower.rounding);
        diagnostics.bounds = Some(Bounds { lower: lower.value, upper, trace, rounding, gap });
        Ok(diagnostics)
    }
}
