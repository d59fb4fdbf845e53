//! The marginals of a process given its inducing variables.

use crate::inducing::InducingPrior;
use crate::tape::{Head, KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// f(x) given whitened inducing variables v, at a batch of B points: f = Aᵀv with A = L⁻¹ K_uf + a remainder of variance
/// k(x, x) − ‖a‖², or of none for features without remainder.
#[derive(Clone, Copy)]
pub(super) struct Conditional<'t, T: Scalar> {
    prior: InducingPrior<'t, T>,
    k_uf: Var<'t, T>,
    /// k(x, x), B × 1, where there is a remainder
    own_variance: Option<Var<'t, T>>,
    bounded: bool,
}

/// Variances at the points, each B × 1.
#[derive(Clone, Copy)]
pub(super) struct Variances<'t, T: Scalar> {
    /// k(x, x), or ‖a‖² without a remainder
    pub(super) prior: Var<'t, T>,
    /// ‖a‖²
    norms: Var<'t, T>,
    /// The same, in a bound at most k(x, x): above it, it is rounding alone.
    explained: Var<'t, T>,
}

/// Means Aᵀm, where they were asked for, and variances: each B × 1.
pub(super) type Marginals<'t, T> = Vec<(Option<Var<'t, T>>, Var<'t, T>)>;

impl<'t, T: Scalar> Conditional<'t, T> {
    pub(super) fn new(
        kernel: KernelVar<'t, '_, T>,
        prior: &InducingPrior<'t, T>,
        k_uf: Var<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Self> {
        let own_variance = if prior.has_remainder() { Some(kernel.diag(x)?) } else { None };
        Ok(Self { prior: *prior, k_uf, own_variance, bounded: false })
    }

    /// The same where the variances go into a bound: what is explained is at most what there is.
    pub(super) fn bounded(self) -> Self {
        Self { bounded: true, ..self }
    }

    fn variances(&self, norms: Var<'t, T>) -> Variances<'t, T> {
        let without_remainder = || self.prior.white().map_or(norms, |white| norms.add_scalar(white));
        let prior = self.own_variance.unwrap_or_else(without_remainder);
        let bounded = self.bounded && self.own_variance.is_some();
        Variances { prior, norms, explained: if bounded { norms.at_most(prior) } else { norms } }
    }

    /// A, M × B, with the variances.
    pub(super) fn whitened(&self) -> (Var<'t, T>, Variances<'t, T>) {
        let a = self.prior.whiten(self.k_uf);
        (a, self.variances(a.column_sums_of_squares()))
    }

    /// What distributions of v give: Aᵀm and k(x, x) + aᵀ(S − I)a, for v of mean m and covariance S = Σ PPᵀ.
    ///
    /// The difference is taken before it meets k(x, x): at S = I it is 0, and so are its gradients.
    pub(super) fn marginals(
        &self,
        tape: &'t Tape<'_, T>,
        heads: &[Head<Var<'t, T>>],
    ) -> (Marginals<'t, T>, Variances<'t, T>) {
        let (whitening, k) = self.prior.whitening(self.k_uf);
        let (norms, projected) = tape.whitened_marginals(whitening, k, heads);
        let variances = self.variances(norms);
        let marginals = projected.into_iter().map(|of| (of.mean, variances.with(of.variance)));
        (marginals.collect(), variances)
    }
}

impl<'t, T: Scalar> Variances<'t, T> {
    fn with(&self, uncertain: Option<Var<'t, T>>) -> Var<'t, T> {
        match uncertain {
            // Without remainder: what would be added and taken away is not.
            Some(uncertain) if self.prior == self.explained => uncertain,
            Some(uncertain) => self.prior + (uncertain - self.explained),
            None => self.prior - self.explained,
        }
    }

    /// The variance of the remainder, B × 1.
    pub(super) fn unexplained(&self) -> Var<'t, T> {
        self.prior - self.explained
    }

    /// The same as rounding has it, which may be below 0.
    pub(super) fn remainders(&self, tape: &Tape<'_, T>) -> Result<Vec<T>> {
        let (prior, norms) = (tape.value(self.prior)?, tape.value(self.norms)?);
        Ok(prior.as_mat().col(0).iter().zip(norms.as_mat().col(0).iter()).map(|(&prior, &norm)| prior - norm).collect())
    }
}
