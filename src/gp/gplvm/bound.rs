//! The bound with the inducing variables integrated out, from what the inducing variables see.

use faer::{Mat, MatRef};

use super::expectations::PsiStatistics;
use crate::Result;
use crate::gp::collapsed::record_density;
use crate::gp::low_rank::Solved;
use crate::inducing::InducingPrior;
use crate::linalg::{Cholesky, Jitter};
use crate::tape::{KernelVar, Tape, Var};

/// p(u) of inducing variables that are values at inputs z with noise, of a variance that is this fraction of the mean
/// k(z, z), and all that was added to the diagonal of their covariance.
pub(super) fn record_prior<'t>(
    tape: &Tape<'_, f64>,
    kernel: KernelVar<'t, '_, f64>,
    z: Var<'t, f64>,
    fraction: f64,
    jitter: Jitter,
) -> Result<(InducingPrior<'t, f64>, f64)> {
    let gram = kernel.gram(z)?;
    let noise = fraction / tape.shape(z)?.0 as f64 * gram.trace();
    let prior = InducingPrior::dense(z, gram.add_to_diagonal(noise), jitter)?;
    Ok((prior, tape.scalar(noise)? + prior.jitter()))
}

/// What the whitened inducing variables see of the data, on a tape.
pub(super) struct ProjectedOutputs<'t> {
    /// W = L⁻¹ Ψ₂ L⁻ᵀ, M × M
    outer: Var<'t, f64>,
    /// T = L⁻¹ Ψ₁ᵀ Y, M × D
    target: Var<'t, f64>,
    /// ψ₀, 1 × 1
    psi0: Var<'t, f64>,
    /// A = L⁻¹K_uf, M × N, of inputs that are known
    projection: Option<Var<'t, f64>>,
}

impl<'t> ProjectedOutputs<'t> {
    pub(super) fn of_expectations(psi: &PsiStatistics<'t>, prior: &InducingPrior<'t, f64>, y: Var<'t, f64>) -> Self {
        let half = prior.whiten(psi.psi2).transpose();
        let outer = prior.whiten(half);
        let target = prior.whiten(psi.psi1.matmul_tn(y));
        Self { outer, target, psi0: psi.psi0, projection: None }
    }

    /// Of inputs X that are known: W = AAᵀ with A = L⁻¹K_uf, which is positive semi-definite also where L is
    /// nearly singular.
    pub(super) fn of_points(
        kernel: KernelVar<'t, '_, f64>,
        prior: &InducingPrior<'t, f64>,
        x: Var<'t, f64>,
        y: Var<'t, f64>,
    ) -> Result<Self> {
        let a = prior.whiten(kernel.cross(prior.parameter(), x)?);
        let psi0 = kernel.diag(x)?.sum();
        Ok(Self { outer: a.matmul_nt(a), target: a * y, psi0, projection: Some(a) })
    }

    /// ‖Y‖² − 2 tr(Tᵀm) + tr(mᵀWm), 1 × 1, for an m of M × D. Of known inputs it is ‖Y − Aᵀm‖², which does not cancel
    /// where the fit is good.
    fn misfit(&self, y: Var<'t, f64>, m: Var<'t, f64>) -> Var<'t, f64> {
        if let Some(a) = self.projection {
            return (y - a.matmul_tn(m)).sum_of_squares();
        }
        let along = -2.0 * self.target.inner(m);
        y.sum_of_squares() + along + m.inner(self.outer * m)
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
pub(super) fn record_collapsed<'t>(
    tape: &'t Tape<'_, f64>,
    seen: &ProjectedOutputs<'t>,
    y: Var<'t, f64>,
    noise: Var<'t, f64>,
) -> Result<(Var<'t, f64>, f64)> {
    let (n, outputs) = tape.shape(y)?;
    let &ProjectedOutputs { outer, target, psi0, .. } = seen;
    record_density(tape, (outer, target), n, (noise, noise.recip()), |m| {
        let misfit = seen.misfit(y, m);
        let explained = outer.trace().at_most(psi0);
        misfit + outputs as f64 * (psi0 - explained)
    })
}

/// L⁻¹Y of an exact process, with its factor.
pub(super) fn solve_exact(factor: &Cholesky<f64>, y: MatRef<'_, f64>, par: faer::Par) -> Result<Mat<f64>> {
    let mut half = y.to_owned();
    factor.solve_lower_in_place(half.as_mut(), par)?;
    Ok(half)
}
