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
    norms: Var,
    /// The same, in a bound at most k(x, x): above it, it is rounding alone.
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
        let norms = tape.column_sums_of_squares(a)?;
        if !prior.has_remainder() {
            let prior_variance = prior.white().map_or(Ok(norms), |white| tape.add_scalar(norms, white))?;
            return Ok(Self { a, prior_variance, norms, explained: norms });
        }
        let prior_variance = tape.diag(kernel, x)?;
        Ok(Self { a, prior_variance, norms, explained: norms })
    }

    /// The same where the variances go into a bound: what is explained is at most what there is.
    pub(super) fn bounded<T: Scalar>(self, tape: &Tape<'_, T>) -> Result<Self> {
        let explained = at_most(tape, self.norms, self.prior_variance)?;
        Ok(Self { explained, ..self })
    }

    /// The variance of the remainder, B × 1.
    pub(super) fn unexplained<T: Scalar>(&self, tape: &Tape<'_, T>) -> Result<Var> {
        tape.sub(self.prior_variance, self.explained)
    }

    /// The same as rounding has it, which may be below 0.
    pub(super) fn remainders<T: Scalar>(&self, tape: &Tape<'_, T>) -> Result<Vec<T>> {
        let (prior, norms) = (tape.value(self.prior_variance)?, tape.value(self.norms)?);
        Ok(prior.as_mat().col(0).iter().zip(norms.as_mat().col(0).iter()).map(|(&prior, &norm)| prior - norm).collect())
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

/// What is explained of a variance, n × 1, where rounding may have it exceed all that there is.
///
/// By as much as it does it may be off, and then what is left is 0: it must not be negative, or an optimiser would
/// look for such places, where a bound is above what it bounds.
pub(super) fn at_most<T: Scalar>(tape: &Tape<'_, T>, explained: Var, total: Var) -> Result<Var> {
    let least = tape.least(explained, total)?;
    if least != explained {
        let (found, least_value) = (tape.value(explained)?, tape.value(least)?);
        let pairs = found.as_mat().col(0).iter().zip(least_value.as_mat().col(0).iter());
        let excess = pairs.map(|(found, least)| found.as_f64() - least.as_f64()).collect();
        tape.is_off_by(least, excess)?;
    }
    Ok(least)
}
