//! A mean basis on a tape.

use super::MeanBasis;
use crate::gp::terms::{features_on, parameter_column};
use crate::inducing::{InducingFeatures, InducingPrior};
use crate::tape::{KernelVar, Tape, Var};
use crate::{Error, Result, Scalar};

impl MeanBasis {
    pub(in crate::gp) fn record<'a, T: Scalar>(&'a self, tape: &Tape<'a, T>, differentiable: bool) -> Result<Recorded> {
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
pub(in crate::gp) struct Recorded {
    /// Γ, G × D
    pub(in crate::gp) inputs: Var,
    /// Those of all latent functions, one after the other: G·L × 1.
    pub(in crate::gp) weights: Var,
    len: usize,
    orthogonal: bool,
}

impl Recorded {
    /// What a latent function of this kernel adds.
    pub(in crate::gp) fn of_kernel<'a, T: Scalar, F: InducingFeatures>(
        self,
        tape: &Tape<'a, T>,
        features: &'a F,
        kernel: KernelVar<'a, T>,
        prior: &InducingPrior,
    ) -> Result<Beside> {
        if !prior.has_remainder() {
            let expected = "must leave a part of the function to the mean basis, as values at points do";
            return Err(Error::setting("the inducing features", "the whole function", expected));
        }
        let b = prior.whiten(tape, features.cross(tape, kernel, prior, self.inputs)?)?;
        Ok(Beside { basis: self, b })
    }
}

/// A mean basis as the inducing variables of one kernel see it.
#[derive(Clone, Copy)]
pub(in crate::gp) struct Beside {
    basis: Recorded,
    /// B = L⁻¹K(u, Γ), M × G
    b: Var,
}

impl Beside {
    /// a of one latent function, G × 1.
    pub(in crate::gp) fn weights<T: Scalar>(&self, tape: &Tape<'_, T>, latent: usize) -> Result<Var> {
        let len = self.basis.len;
        tape.rows(self.basis.weights, latent * len..(latent + 1) * len)
    }

    /// Ba, M × 1.
    pub(in crate::gp) fn seen<T: Scalar>(&self, tape: &Tape<'_, T>, weights: Var) -> Result<Var> {
        tape.matmul(self.b, weights)
    }

    /// What is to be multiplied with Aᵀ: m, or m − Ba of an orthogonal basis.
    pub(in crate::gp) fn whitened_mean<T: Scalar>(&self, tape: &Tape<'_, T>, mean: Var, seen: Var) -> Result<Var> {
        if self.basis.orthogonal { tape.sub(mean, seen) } else { Ok(mean) }
    }

    /// With what a batch of points needs.
    pub(in crate::gp) fn at<'a, T: Scalar>(
        self,
        tape: &Tape<'a, T>,
        kernel: KernelVar<'a, T>,
        x: Var,
    ) -> Result<Batch> {
        let inputs = self.basis.inputs;
        Ok(Batch { beside: self, cross: tape.cross(kernel, inputs, x)?, gram: tape.gram(kernel, inputs)? })
    }
}

/// A mean basis as the inducing variables of one kernel and a batch of points see it.
pub(in crate::gp) struct Batch {
    beside: Beside,
    /// K(Γ, x), G × B
    cross: Var,
    /// K(Γ, Γ)
    gram: Var,
}

/// What a mean basis makes of q of one latent function.
pub(in crate::gp) struct Added {
    /// K(x, Γ) a, B × 1
    pub(in crate::gp) shift: Var,
    /// See [`Beside::whitened_mean`].
    pub(in crate::gp) whitened: Var,
    /// The mean of the whitened inducing variables, M × 1: m, or m + Ba of a basis that is not orthogonal.
    pub(in crate::gp) expected: Var,
    /// What the weights add to the KL of a q of this mean: ½ aᵀ(K(Γ, Γ) − BᵀB)a.
    pub(in crate::gp) kl: Var,
}

impl Batch {
    pub(in crate::gp) fn add<T: Scalar>(&self, tape: &Tape<'_, T>, latent: usize, mean: Var) -> Result<Added> {
        let weights = self.beside.weights(tape, latent)?;
        let norm = tape.inner(weights, tape.matmul(self.gram, weights)?)?;
        let seen = self.beside.seen(tape, weights)?;
        // mᵀBa + ½ aᵀK(Γ, Γ)a is what ½ ‖m + Ba‖² has beyond ½ ‖m‖², and the same: two terms of which none is negative.
        let expected = if self.beside.basis.orthogonal { mean } else { tape.add(mean, seen)? };
        let twice = tape.sub(norm, tape.sum_of_squares(seen)?)?;
        // Of what rounding has left of 0 where u determines the basis.
        let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
        let kl = tape.scale(tape.map(twice, move |x| if x < zero { zero } else { x }, move |_, _| one)?, 0.5)?;
        let whitened = self.beside.whitened_mean(tape, mean, seen)?;
        Ok(Added { shift: tape.matmul_tn(self.cross, weights)?, whitened, expected, kl })
    }
}
