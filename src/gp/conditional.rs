//! The marginals of a process given its inducing variables.

use super::variational::Root;
use crate::inducing::InducingPrior;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// f(x) given whitened inducing variables v, at a batch of B points: f = Aᵀv + a remainder of variance
/// k(x, x) − ‖a‖², or of none for features without remainder.
pub(super) struct Conditional {
    /// A = L⁻¹ K_uf, M × B
    pub(super) a: Var,
    /// k(x, x), or ‖a‖² without a remainder, B × 1
    pub(super) prior_variance: Var,
    /// ‖a‖², B × 1
    explained: Var,
}

impl Conditional {
    pub(super) fn new<'a, T: Scalar>(
        tape: &Tape<'a, T>,
        kernel: KernelVar<'a, T>,
        prior: &InducingPrior,
        k_uf: Var,
        x: Var,
    ) -> Result<Self> {
        let a = prior.whiten(tape, k_uf)?;
        let explained = tape.column_sums_of_squares(a)?;
        let prior_variance = if prior.has_remainder() { tape.diag(kernel, x)? } else { explained };
        Ok(Self { a, prior_variance, explained })
    }

    /// The variance of the remainder, B × 1.
    pub(super) fn unexplained<T: Scalar>(&self, tape: &Tape<'_, T>) -> Result<Var> {
        tape.sub(self.prior_variance, self.explained)
    }

    /// Aᵀm, B × 1, for v of this mean.
    pub(super) fn mean<T: Scalar>(&self, tape: &Tape<'_, T>, mean: Var) -> Result<Var> {
        tape.matmul_tn(self.a, mean)
    }

    /// k(x, x) + aᵀ(S − I)a, B × 1, for v of covariance S = Σ PPᵀ.
    ///
    /// The difference is taken before it meets k(x, x): at S = I it is 0, and so are its gradients.
    pub(super) fn variance<T: Scalar>(&self, tape: &Tape<'_, T>, roots: &[Root<Var>]) -> Result<Var> {
        let mut uncertain = None;
        for root in roots {
            let part = tape.column_sums_of_squares(root.project(tape, self.a)?)?;
            uncertain = Some(match uncertain {
                None => part,
                Some(sum) => tape.add(sum, part)?,
            });
        }
        let change = match uncertain {
            // Without remainder: what would be added and taken away is not.
            Some(uncertain) if self.prior_variance == self.explained => return Ok(uncertain),
            Some(uncertain) => tape.sub(uncertain, self.explained)?,
            None => tape.neg(self.explained)?,
        };
        tape.add(self.prior_variance, change)
    }
}
