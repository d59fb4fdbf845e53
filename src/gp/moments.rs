//! Second moments of the whitened projection, from statistics of the data.

use faer::Mat;

use super::statistics::Statistics;
use super::terms::features_on;
use crate::Result;
use crate::inducing::{InducingFeatures, InducingPrior};
use crate::linalg::Jitter;
use crate::linalg::Root;
use crate::tape::{KernelVar, Tape, Var};

/// What bounds with Gaussian noise have of A = WΦ, on a tape.
pub(super) struct Moments<'t, 'a> {
    statistics: &'a Statistics,
    pub(super) prior: InducingPrior<'t, f64>,
    /// The features' parameters.
    pub(super) parameter: Var<'t, f64>,
    /// c, M × 1
    scale: Var<'t, f64>,
    /// AAᵀ, M × M
    pub(super) outer: Var<'t, f64>,
    /// Σᵢ k(xᵢ, xᵢ), or tr AAᵀ without a remainder, 1 × 1
    pub(super) variance: Var<'t, f64>,
}

impl<'t, 'a> Moments<'t, 'a> {
    pub(super) fn new<F: InducingFeatures>(
        tape: &'t Tape<'a, f64>,
        statistics: &'a Statistics,
        features: &'a F,
        kernel: KernelVar<'t, 'a, f64>,
        differentiable: bool,
        jitter: Jitter,
    ) -> Result<Self> {
        let parameter = features_on(tape, features, differentiable)?;
        let prior = features.prior(tape, kernel, parameter, jitter)?;
        let ones = || tape.constant_owned(Mat::full(statistics.len(), 1, 1.0));
        let scale = prior.basis_scale().unwrap_or_else(ones);
        let gram = tape.constant(statistics.gram.as_ref());
        let half = prior.whiten(gram.scale_rows(scale)).transpose();
        let outer = prior.whiten(half.scale_rows(scale));
        let variance = if prior.has_remainder() {
            let one = kernel.diag(tape.constant(statistics.point()))?;
            statistics.observations() as f64 * one
        } else {
            let determined = outer.trace();
            prior.white().map_or(determined, |white| determined + statistics.observations() as f64 * white)
        };
        Ok(Self { statistics, prior, parameter, scale, outer, variance })
    }

    pub(super) fn observations(&self) -> usize {
        self.statistics.observations()
    }

    /// Ar, M × 1.
    pub(super) fn target(&self, tape: &'t Tape<'a, f64>) -> Var<'t, f64> {
        let target = tape.constant(self.statistics.target.as_ref());
        self.prior.whiten(target.scale_rows(self.scale))
    }

    /// ‖r − Aᵀm‖², for an m of M × 1: with β = Wᵀm, as [`Statistics`] has it.
    pub(super) fn misfit(&self, tape: &'t Tape<'a, f64>, m: Var<'t, f64>) -> Var<'t, f64> {
        let Statistics { gram, coefficients, left, misfit, .. } = self.statistics;
        let beta = self.prior.whiten_transpose(m).scale_rows(self.scale);
        let apart = tape.constant(coefficients.as_ref()) - beta;
        let along = tape.constant(left.as_ref()).inner(apart);
        let square = apart.inner(tape.constant(gram.as_ref()) * apart);
        square + 2.0 * along + *misfit
    }

    /// Σᵢ Var f(xᵢ), 1 × 1, for v of covariance S = Σ PPᵀ: Σᵢ k(xᵢ, xᵢ) + tr (S − I)AAᵀ.
    ///
    /// The difference is taken before it meets the prior's, as in the marginals of single points.
    pub(super) fn total_variance(&self, roots: &[Root<Var<'t, f64>>]) -> Var<'t, f64> {
        let mut change = -self.outer.trace().at_most(self.variance);
        for root in roots {
            let part = match *root {
                Root::Diagonal(d) => self.outer.diagonal().inner(d.square()),
                Root::Lower(p) | Root::Columns(p) => root.project(self.outer).inner(p.transpose()),
            };
            change = change + part;
        }
        self.variance + change
    }
}
