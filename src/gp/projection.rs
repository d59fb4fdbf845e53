//! The whitened projection A = L⁻¹ K_uf, with K_uu = LLᵀ: what sparse models see of the data.

use crate::inducing::{InducingFeatures, InducingPrior};
use crate::linalg::Jitter;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// A on a tape.
pub(super) struct Projection {
    pub(super) prior: InducingPrior,
    /// M × N
    pub(super) a: Var,
}

impl Projection {
    pub(super) fn new<'a, T: Scalar, F: InducingFeatures>(
        tape: &Tape<'a, T>,
        features: &'a F,
        kernel: KernelVar<'a, T>,
        parameter: Var,
        x: Var,
        jitter: Jitter,
    ) -> Result<Self> {
        let prior = features.prior(tape, kernel, parameter, jitter)?;
        let k_uf = features.cross(tape, kernel, &prior, x)?;
        Ok(Self { prior, a: prior.whiten(tape, k_uf)? })
    }
}

/// The features' parameters, with or without gradient.
pub(super) fn features_on<'a, T: Scalar, F: InducingFeatures>(
    tape: &Tape<'a, T>,
    features: &'a F,
    differentiable: bool,
) -> Result<Var> {
    let parameter = features.parameter(tape);
    if differentiable {
        return Ok(parameter);
    }
    Ok(tape.constant_owned(tape.value(parameter)?.as_mat().to_owned()))
}
