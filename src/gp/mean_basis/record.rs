//! A mean basis on a tape.

use super::MeanBasis;
use crate::gp::terms::{features_on, parameter_column};
use crate::inducing::{InducingFeatures, InducingPrior};
use crate::tape::{KernelVar, Tape, Var};
use crate::{Error, Result, Scalar};

impl MeanBasis {
    pub(in crate::gp) fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        differentiable: bool,
    ) -> Result<Recorded<'t, T>> {
        let inputs = features_on(tape, &self.points, differentiable)?;
        let mut weights = parameter_column(tape, self.weights.values());
        if !differentiable {
            weights = tape.constant_owned(tape.value(weights)?.as_mat().to_owned());
        }
        Ok(Recorded { inputs, weights, len: self.len(), orthogonal: self.orthogonal })
    }
}

/// A mean basis on a tape.
#[derive(Clone, Copy)]
pub(in crate::gp) struct Recorded<'t, T: Scalar> {
    /// Γ, G × D
    pub(in crate::gp) inputs: Var<'t, T>,
    /// Those of all latent functions, one after the other: G·L × 1.
    pub(in crate::gp) weights: Var<'t, T>,
    len: usize,
    orthogonal: bool,
}

impl<'t, T: Scalar> Recorded<'t, T> {
    /// What a latent function of this kernel adds.
    pub(in crate::gp) fn of_kernel<'a, F: InducingFeatures>(
        self,
        tape: &'t Tape<'a, T>,
        features: &'a F,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
    ) -> Result<Beside<'t, T>> {
        if !prior.has_remainder() {
            let expected = "must leave a part of the function to the mean basis, as values at points do";
            return Err(Error::setting("the inducing features", "the whole function", expected));
        }
        let b = prior.whiten(features.cross(tape, kernel, prior, self.inputs)?);
        Ok(Beside { basis: self, b })
    }
}

/// A mean basis as the inducing variables of one kernel see it.
#[derive(Clone, Copy)]
pub(in crate::gp) struct Beside<'t, T: Scalar> {
    basis: Recorded<'t, T>,
    /// B = L⁻¹K(u, Γ), M × G
    b: Var<'t, T>,
}

impl<'t, T: Scalar> Beside<'t, T> {
    /// a of one latent function, G × 1.
    pub(in crate::gp) fn weights(&self, latent: usize) -> Var<'t, T> {
        let len = self.basis.len;
        self.basis.weights.rows(latent * len..(latent + 1) * len)
    }

    /// Ba, M × 1.
    pub(in crate::gp) fn seen(&self, weights: Var<'t, T>) -> Var<'t, T> {
        self.b * weights
    }

    /// What is to be multiplied with Aᵀ: m, or m − Ba of an orthogonal basis.
    pub(in crate::gp) fn whitened_mean(&self, mean: Var<'t, T>, seen: Var<'t, T>) -> Var<'t, T> {
        if self.basis.orthogonal { mean - seen } else { mean }
    }

    /// With what a batch of points needs.
    pub(in crate::gp) fn at(self, kernel: KernelVar<'t, '_, T>, x: Var<'t, T>) -> Result<Batch<'t, T>> {
        let inputs = self.basis.inputs;
        Ok(Batch { beside: self, cross: kernel.cross(inputs, x)?, gram: kernel.gram(inputs)? })
    }
}

/// A mean basis as the inducing variables of one kernel and a batch of points see it.
pub(in crate::gp) struct Batch<'t, T: Scalar> {
    beside: Beside<'t, T>,
    /// K(Γ, x), G × B
    cross: Var<'t, T>,
    /// K(Γ, Γ)
    gram: Var<'t, T>,
}

/// What a mean basis makes of q of one latent function.
pub(in crate::gp) struct Added<'t, T: Scalar> {
    /// K(x, Γ) a, B × 1
    pub(in crate::gp) shift: Var<'t, T>,
    /// See [`Beside::whitened_mean`].
    pub(in crate::gp) whitened: Var<'t, T>,
    /// The mean of the whitened inducing variables, M × 1: m, or m + Ba of a basis that is not orthogonal.
    pub(in crate::gp) expected: Var<'t, T>,
    /// What the weights add to the KL of a q of this mean: ½ aᵀ(K(Γ, Γ) − BᵀB)a.
    pub(in crate::gp) kl: Var<'t, T>,
}

impl<'t, T: Scalar> Batch<'t, T> {
    pub(in crate::gp) fn add(&self, latent: usize, mean: Var<'t, T>) -> Added<'t, T> {
        let weights = self.beside.weights(latent);
        let norm = weights.inner(self.gram * weights);
        let seen = self.beside.seen(weights);
        // mᵀBa + ½ aᵀK(Γ, Γ)a is what ½ ‖m + Ba‖² has beyond ½ ‖m‖², and the same: two terms of which none is negative.
        let expected = if self.beside.basis.orthogonal { mean } else { mean + seen };
        let twice = norm - seen.sum_of_squares();
        // Of what rounding has left of 0 where u determines the basis.
        let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
        let kl = 0.5 * twice.map(move |x| if x < zero { zero } else { x }, move |_, _| one);
        let whitened = self.beside.whitened_mean(mean, seen);
        Added { shift: self.cross.matmul_tn(weights), whitened, expected, kl }
    }
}
