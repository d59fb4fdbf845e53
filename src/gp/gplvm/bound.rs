//! The bound with the inducing variables integrated out, from what the inducing variables see.

use faer::{Mat, MatRef};

use super::expectations::PsiStatistics;
use crate::Result;
use crate::gp::collapsed::record_density;
use crate::gp::conditional::at_most;
use crate::gp::low_rank::Solved;
use crate::inducing::InducingPrior;
use crate::linalg::{Cholesky, Jitter};
use crate::tape::{KernelVar, Tape, Var};

/// p(u) of inducing variables that are values at inputs z with noise, of a variance that is this fraction of the mean
/// k(z, z), and all that was added to the diagonal of their covariance.
pub(super) fn record_prior<'a>(
    tape: &Tape<'a, f64>,
    kernel: KernelVar<'a, f64>,
    z: Var,
    fraction: f64,
    jitter: Jitter,
) -> Result<(InducingPrior, f64)> {
    let gram = tape.gram(kernel, z)?;
    let noise = tape.scale(tape.trace(gram)?, fraction / tape.shape(z)?.0 as f64)?;
    let prior = InducingPrior::dense(tape, z, tape.add_to_diagonal(gram, noise)?, jitter)?;
    Ok((prior, tape.scalar(noise)? + prior.jitter()))
}

/// What the whitened inducing variables see of the data, on a tape.
pub(super) struct ProjectedOutputs {
    /// W = L⁻¹ Ψ₂ L⁻ᵀ, M × M
    outer: Var,
    /// T = L⁻¹ Ψ₁ᵀ Y, M × D
    target: Var,
    /// ψ₀, 1 × 1
    psi0: Var,
    /// A = L⁻¹K_uf, M × N, of inputs that are known
    projection: Option<Var>,
}

impl ProjectedOutputs {
    pub(super) fn of_expectations(
        tape: &Tape<'_, f64>,
        psi: &PsiStatistics,
        prior: &InducingPrior,
        y: Var,
    ) -> Result<Self> {
        let half = tape.transpose(prior.whiten(tape, psi.psi2)?)?;
        let outer = prior.whiten(tape, half)?;
        let target = prior.whiten(tape, tape.matmul_tn(psi.psi1, y)?)?;
        Ok(Self { outer, target, psi0: psi.psi0, projection: None })
    }

    /// Of inputs X that are known: W = AAᵀ with A = L⁻¹K_uf, which is positive semi-definite also where L is
    /// nearly singular.
    pub(super) fn of_points<'a>(
        tape: &Tape<'a, f64>,
        kernel: KernelVar<'a, f64>,
        prior: &InducingPrior,
        x: Var,
        y: Var,
    ) -> Result<Self> {
        let a = prior.whiten(tape, tape.cross(kernel, prior.parameter(), x)?)?;
        let psi0 = tape.sum(tape.diag(kernel, x)?)?;
        Ok(Self { outer: tape.matmul_nt(a, a)?, target: tape.matmul(a, y)?, psi0, projection: Some(a) })
    }

    /// ‖Y‖² − 2 tr(Tᵀm) + tr(mᵀWm), 1 × 1, for an m of M × D. Of known inputs it is ‖Y − Aᵀm‖², which does not cancel
    /// where the fit is good.
    fn misfit(&self, tape: &Tape<'_, f64>, y: Var, m: Var) -> Result<Var> {
        if let Some(a) = self.projection {
            return tape.sum_of_squares(tape.sub(y, tape.matmul_tn(a, m)?)?);
        }
        let along = tape.scale(tape.inner(self.target, m)?, -2.0)?;
        tape.add(tape.add(tape.sum_of_squares(y)?, along)?, tape.inner(m, tape.matmul(self.outer, m)?)?)
    }

    /// The posterior of the whitened inducing variables: means m, M × D, and a root of B⁻¹, which all outputs share.
    pub(super) fn infer(&self, tape: &Tape<'_, f64>, noise: f64) -> Result<Solved<f64>> {
        let (outer, target) = (tape.value(self.outer)?, tape.value(self.target)?);
        Solved::of_moments(outer.as_mat(), target.as_mat(), noise, tape.par())
    }
}

/// A lower bound of log p(Y | q(X)) for outputs Y, N × D, that are independent processes of one kernel:
///
/// −½ (N D log 2πσ² + D log|B| + D (ψ₀ − tr W)/σ² + ‖Y‖²/σ² − tr(TᵀB⁻¹T)/σ⁴), B = I + W/σ², T = L⁻¹Ψ₁ᵀY
///
/// The last two terms are the least value over m, M × D, of (‖Y‖² − 2 tr(Tᵀm) + tr(mᵀWm))/σ² + ‖m‖², at
/// m = B⁻¹T/σ²: an error of m enters by its square, and m can be held constant in the gradients.
pub(super) fn record_collapsed(
    tape: &Tape<'_, f64>,
    seen: &ProjectedOutputs,
    y: Var,
    noise: Var,
) -> Result<(Var, f64)> {
    let (n, outputs) = tape.shape(y)?;
    let &ProjectedOutputs { outer, target, psi0, .. } = seen;
    record_density(tape, (outer, target), n, (noise, tape.recip(noise)?), |m| {
        let misfit = seen.misfit(tape, y, m)?;
        let explained = at_most(tape, tape.trace(outer)?, psi0)?;
        tape.add(misfit, tape.scale(tape.sub(psi0, explained)?, outputs as f64)?)
    })
}

/// L⁻¹Y of an exact process, with its factor.
pub(super) fn solve_exact(factor: &Cholesky<f64>, y: MatRef<'_, f64>, par: faer::Par) -> Result<Mat<f64>> {
    let mut half = y.to_owned();
    factor.solve_lower_in_place(half.as_mut(), par)?;
    Ok(half)
}
