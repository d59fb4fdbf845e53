//! What collapsed models say given data.

use faer::{Mat, MatRef};

use super::Sgpr;
use crate::gp::collapsed::{Approximation, check_positive};
use crate::gp::diagnostics::{Bounds, Diagnostics, diagnose};
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::low_rank::LowRank;
use crate::gp::posterior::Posterior;
use crate::gp::process::{Latent, Process};
use crate::gp::projection::project;
use crate::gp::variational::{Root, Variational};
use crate::kernel::{Kernel, diag_into};
use crate::linalg::Cholesky;
use crate::mean::Mean;
use crate::{Expr, Result, Scalar};

/// The data as the inducing variables see it.
pub(super) struct Seen<T: Scalar> {
    /// L
    factor: Cholesky<T>,
    /// A, M × N.
    a: Mat<T>,
    /// diag(K − AᵀA)
    unexplained: Vec<T>,
    /// y − m(X)
    residual: Vec<T>,
}

impl<K: Expr + Clone> Sgpr<K> {
    /// An upper bound on the exact log evidence, whatever the approximation of this model:
    ///
    /// log p(y) ≤ −½ rᵀ(Q + (σ² + t) I)⁻¹r − ½ log|Q + σ²I| − (N/2) log 2π, with t = tr(K − Q),
    ///
    /// because Q ⪯ K ⪯ Q + t I. With the variational bound it brackets the truth: the two meet as t goes
    /// to 0.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence).
    ///
    /// # References
    ///
    /// Titsias (2014), *Variational inference for Gaussian and determinantal point processes*, workshop on
    /// advances in variational inference, NIPS.
    pub fn upper_bound<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<f64>
    where
        K: Kernel<T>,
    {
        let seen = self.see(x, y)?;
        let noise = T::from_f64(self.likelihood.variance());
        let least = LowRank::new(seen.a.as_ref(), &seen.residual, &vec![noise; y.len()], self.par)?;
        // Where nothing is left to explain, rounding may leave less than nothing.
        let trace = seen.unexplained.iter().map(|value| value.as_f64()).sum::<f64>().max(0.0);
        let noisier = vec![noise + T::from_f64(trace); y.len()];
        let most = LowRank::new(seen.a.as_ref(), &seen.residual, &noisier, self.par)?;
        let log_det = least.log_det + y.len() as f64 * (self.likelihood.variance().ln() + std::f64::consts::TAU.ln());
        Ok(-0.5 * (most.quadratic + log_det))
    }

    /// The posterior given data.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence).
    pub fn condition<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Posterior<'_, T>>
    where
        K: Kernel<T>,
    {
        let seen = self.see(x, y)?;
        let LowRank { mean: mut weights, root, .. } = self.infer(&seen, self.approximation)?;
        seen.factor.half_solve_transpose_in_place(weights.as_mut(), self.par)?;
        let (inputs, latent) = (self.inducing.at(), Latent { mean: &self.mean, roots: vec![Root::Lower(root)] });
        let (basis, process) = Process::on_points(&self.kernel, latent, inputs.as_ref(), seen.factor, weights)?;
        Ok(Posterior { basis, processes: vec![process], likelihood: &self.likelihood, par: self.par })
    }

    /// Predictions of each observation from all others, in closed form; inducing inputs and
    /// hyperparameters stay. O(N·M²).
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence); [`Error::NegativeVariance`](crate::Error::NegativeVariance) too where rounding
    /// leaves nothing of what the others say, which takes a noise some 10⁻¹⁶ of the process's
    /// variance.
    pub fn leave_one_out<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<LeaveOneOut<T>>
    where
        K: Kernel<T>,
    {
        let seen = self.see(x, y)?;
        let posterior = self.infer(&seen, self.approximation)?;
        let (noise, sigma2) = (self.noise(&seen, self.approximation)?, T::from_f64(self.likelihood.variance()));
        let conditional: Vec<T> = seen.unexplained.iter().map(|&left| left + sigma2).collect();
        LeaveOneOut::of_low_rank(seen.a.as_ref(), y, &seen.residual, &noise, &conditional, &posterior, self.par)
    }

    /// What is worth knowing about the inducing inputs and the bounds; with a q of [`Svgp`](crate::gp::Svgp), its
    /// [gap](Self::gap) too.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence) and [`gap`](Self::gap).
    pub fn diagnose(&self, x: MatRef<'_, f64>, y: &[f64], q: Option<&Variational>) -> Result<Diagnostics>
    where
        K: Kernel<f64>,
    {
        let lower = self.clone().with_approximation(Approximation::Vfe).log_evidence(x, y)?;
        let upper = self.upper_bound(x, y)?;
        let gap = q.map(|q| self.gap(x, y, q)).transpose()?;
        let mut diagnostics = diagnose(&self.kernel, self.inducing.inputs(), self.jitter, self.par)?;
        diagnostics.bounds = Some(Bounds { lower: lower.value, upper, trace: lower.trace, gap });
        Ok(diagnostics)
    }

    pub(super) fn see<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Seen<T>>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let (factor, a) = project(&self.kernel, self.inducing.at().as_ref(), x, self.jitter, self.par)?;
        let mut unexplained = vec![T::from_f64(0.0); y.len()];
        diag_into(&self.kernel, x, &mut unexplained)?;
        for (col, left) in unexplained.iter_mut().enumerate() {
            *left -= crate::simd::dot(a.col_as_slice(col), a.col_as_slice(col));
        }
        let mut residual = vec![T::from_f64(0.0); y.len()];
        self.mean.mean_into(x, &mut residual);
        residual.iter_mut().zip(y).for_each(|(entry, &y)| *entry = y - *entry);
        Ok(Seen { factor, a, unexplained, residual })
    }

    /// The diagonal of Λ.
    fn noise<T: Scalar>(&self, seen: &Seen<T>, approximation: Approximation) -> Result<Vec<T>> {
        let sigma2 = T::from_f64(self.likelihood.variance());
        let noise: Vec<T> = match approximation {
            Approximation::Fitc => seen.unexplained.iter().map(|&left| left + sigma2).collect(),
            Approximation::Vfe | Approximation::Dtc => vec![sigma2; seen.residual.len()],
        };
        check_positive(MatRef::from_column_major_slice(&noise, noise.len(), 1))?;
        Ok(noise)
    }

    pub(super) fn infer<T: Scalar>(&self, seen: &Seen<T>, approximation: Approximation) -> Result<LowRank<T>> {
        LowRank::new(seen.a.as_ref(), &seen.residual, &self.noise(seen, approximation)?, self.par)
    }
}
