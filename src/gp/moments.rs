//! Second moments of the whitened projection, from statistics of the data.

use faer::Mat;

use super::conditional::at_most;
use super::statistics::Statistics;
use super::terms::features_on;
use super::variational::Root;
use crate::Result;
use crate::inducing::{InducingFeatures, InducingPrior};
use crate::linalg::Jitter;
use crate::tape::{KernelVar, Tape, Var};

/// What bounds with Gaussian noise have of A = WΦ, on a tape.
pub(super) struct Moments<'a> {
    statistics: &'a Statistics,
    pub(super) prior: InducingPrior,
    /// The features' parameters.
    pub(super) parameter: Var,
    /// c, M × 1
    scale: Var,
    /// AAᵀ, M × M
    pub(super) outer: Var,
    /// Σᵢ k(xᵢ, xᵢ), or tr AAᵀ without a remainder, 1 × 1
    pub(super) variance: Var,
}

impl<'a> Moments<'a> {
    pub(super) fn new<F: InducingFeatures>(
        tape: &Tape<'a, f64>,
        statistics: &'a Statistics,
        features: &'a F,
        kernel: KernelVar<'a, f64>,
        differentiable: bool,
        jitter: Jitter,
    ) -> Result<Self> {
        let parameter = features_on(tape, features, differentiable)?;
        let prior = features.prior(tape, kernel, parameter, jitter)?;
        let ones = || tape.constant_owned(Mat::full(statistics.len(), 1, 1.0));
        let scale = prior.basis_scale().unwrap_or_else(ones);
        let gram = tape.constant(statistics.gram.as_ref());
        let half = tape.transpose(prior.whiten(tape, tape.scale_rows(gram, scale)?)?)?;
        let outer = prior.whiten(tape, tape.scale_rows(half, scale)?)?;
        let variance = if prior.has_remainder() {
            let one = tape.diag(kernel, tape.constant(statistics.point()))?;
            tape.scale(one, statistics.observations() as f64)?
        } else {
            let determined = tape.trace(outer)?;
            let of_all = |white| tape.add(determined, tape.scale(white, statistics.observations() as f64)?);
            prior.white().map_or(Ok(determined), of_all)?
        };
        Ok(Self { statistics, prior, parameter, scale, outer, variance })
    }

    pub(super) fn observations(&self) -> usize {
        self.statistics.observations()
    }

    /// Ar, M × 1.
    pub(super) fn target(&self, tape: &Tape<'a, f64>) -> Result<Var> {
        let target = tape.constant(self.statistics.target.as_ref());
        self.prior.whiten(tape, tape.scale_rows(target, self.scale)?)
    }

    /// ‖r − Aᵀm‖², for an m of M × 1: with β = Wᵀm, as [`Statistics`] has it.
    pub(super) fn misfit(&self, tape: &Tape<'a, f64>, m: Var) -> Result<Var> {
        let Statistics { gram, coefficients, left, misfit, .. } = self.statistics;
        let beta = tape.scale_rows(self.prior.whiten_transpose(tape, m)?, self.scale)?;
        let apart = tape.sub(tape.constant(coefficients.as_ref()), beta)?;
        let along = tape.inner(tape.constant(left.as_ref()), apart)?;
        let square = tape.inner(apart, tape.matmul(tape.constant(gram.as_ref()), apart)?)?;
        let change = tape.add(square, tape.scale(along, 2.0)?)?;
        tape.add(tape.scalar_constant(*misfit), change)
    }

    /// Σᵢ Var f(xᵢ), 1 × 1, for v of covariance S = Σ PPᵀ: Σᵢ k(xᵢ, xᵢ) + tr (S − I)AAᵀ.
    ///
    /// The difference is taken before it meets the prior's, as in the marginals of single points.
    pub(super) fn total_variance(&self, tape: &Tape<'a, f64>, roots: &[Root<Var>]) -> Result<Var> {
        let mut change = tape.neg(at_most(tape, tape.trace(self.outer)?, self.variance)?)?;
        for root in roots {
            let part = match *root {
                Root::Diagonal(d) => tape.inner(tape.diagonal(self.outer)?, tape.square(d)?)?,
                Root::Lower(p) | Root::Columns(p) => tape.inner(root.project(tape, self.outer)?, tape.transpose(p)?)?,
            };
            change = tape.add(change, part)?;
        }
        tape.add(self.variance, change)
    }
}
