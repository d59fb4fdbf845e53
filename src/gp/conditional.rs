//! The marginals of a process given its inducing variables.

use super::variational::Root;
use crate::inducing::InducingPrior;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// f(x) given whitened inducing variables v, at a batch of B points: f = Aᵀv + a remainder of variance
/// k(x, x) − ‖a‖², or of none for features without remainder.
pub(super) struct Conditional<'t, T: Scalar> {
    /// A = L⁻¹ K_uf, M × B
    pub(super) a: Var<'t, T>,
    /// k(x, x), or ‖a‖² without a remainder, B × 1
    pub(super) prior_variance: Var<'t, T>,
    /// ‖a‖², B × 1
    norms: Var<'t, T>,
    /// The same, in a bound at most k(x, x): above it, it is rounding alone.
    explained: Var<'t, T>,
}

impl<'t, T: Scalar> Conditional<'t, T> {
    pub(super) fn new(
        kernel: KernelVar<'t, '_, T>,
        prior: &InducingPrior<'t, T>,
        k_uf: Var<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Self> {
        let a = prior.whiten(k_uf);
        let norms = a.column_sums_of_squares();
        if !prior.has_remainder() {
            let prior_variance = prior.white().map_or(norms, |white| norms.add_scalar(white));
            return Ok(Self { a, prior_variance, norms, explained: norms });
        }
        let prior_variance = kernel.diag(x)?;
        Ok(Self { a, prior_variance, norms, explained: norms })
    }

    /// The same where the variances go into a bound: what is explained is at most what there is.
    pub(super) fn bounded(self) -> Self {
        Self { explained: self.norms.at_most(self.prior_variance), ..self }
    }

    /// The variance of the remainder, B × 1.
    pub(super) fn unexplained(&self) -> Var<'t, T> {
        self.prior_variance - self.explained
    }

    /// The same as rounding has it, which may be below 0.
    pub(super) fn remainders(&self, tape: &Tape<'_, T>) -> Result<Vec<T>> {
        let (prior, norms) = (tape.value(self.prior_variance)?, tape.value(self.norms)?);
        Ok(prior.as_mat().col(0).iter().zip(norms.as_mat().col(0).iter()).map(|(&prior, &norm)| prior - norm).collect())
    }

    /// Aᵀm, B × 1, for v of this mean.
    pub(super) fn mean(&self, mean: Var<'t, T>) -> Var<'t, T> {
        self.a.matmul_tn(mean)
    }

    /// k(x, x) + aᵀ(S − I)a, B × 1, for v of covariance S = Σ PPᵀ.
    ///
    /// The difference is taken before it meets k(x, x): at S = I it is 0, and so are its gradients.
    pub(super) fn variance(&self, roots: &[Root<Var<'t, T>>]) -> Var<'t, T> {
        let uncertain = roots.iter().map(|root| root.project(self.a).column_sums_of_squares());
        match uncertain.reduce(|sum, part| sum + part) {
            // Without remainder: what would be added and taken away is not.
            Some(uncertain) if self.prior_variance == self.explained => uncertain,
            Some(uncertain) => self.prior_variance + (uncertain - self.explained),
            None => self.prior_variance - self.explained,
        }
    }
}
