//! Orthogonal components: a problem for each.

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::{Cotangents, Covariance, Problem, Structure, kernel_cotangent};
use crate::Result;
use crate::linalg::{Cholesky, column};

/// V = blockdiag(Kᵢ + nᵢ I). Components are worked on side by side, each on one thread, so that the bits do not depend
/// on how many there are.
#[derive(Debug)]
pub(super) struct Independent {
    problem: Problem,
    factors: Vec<Cholesky<f64>>,
}

impl Independent {
    pub(super) fn new(problem: Problem) -> Result<Self> {
        let factors = by_component(&problem, |component| {
            let mut covariance = problem.gram(component, Par::Seq)?;
            let noise = problem.noise[(component, component)];
            covariance.diagonal_mut().column_vector_mut().iter_mut().for_each(|entry| *entry += noise);
            Cholesky::new(covariance.as_ref(), problem.jitter, Par::Seq)
        })?;
        Ok(Self { problem, factors })
    }

    /// Lᵢ⁻¹kᵢ for each component.
    fn solve_lowers(&self, cross: &[Mat<f64>]) -> Result<Vec<Mat<f64>>> {
        by_component(&self.problem, |component| {
            let mut half = cross[component].clone();
            self.factors[component].solve_lower_in_place(half.as_mut(), Par::Seq)?;
            Ok(half)
        })
    }
}

/// What `f` makes of each component, in order.
fn by_component<R: Send>(problem: &Problem, f: impl Fn(usize) -> Result<R> + Sync + Send) -> Result<Vec<R>> {
    match problem.par {
        Par::Seq => (0..problem.components()).map(f).collect(),
        _ => (0..problem.components()).into_par_iter().map(f).collect(),
    }
}

impl Covariance for Independent {
    fn structure(&self) -> Structure {
        Structure::Independent
    }

    fn jitter(&self) -> f64 {
        self.factors.iter().map(Cholesky::jitter).fold(0.0, f64::max)
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    fn log_det(&self) -> f64 {
        self.factors.iter().map(Cholesky::log_det).sum()
    }

    fn solve_in_place(&self, mut b: MatMut<'_, f64>) -> Result<()> {
        for (component, factor) in self.factors.iter().enumerate() {
            factor.solve_in_place(b.rb_mut().subcols_mut(component, 1), Par::Seq)?;
        }
        Ok(())
    }

    fn cotangents(&self, a: MatRef<'_, f64>) -> Result<Cotangents> {
        let parts = by_component(&self.problem, |component| {
            let mut cotangent = self.factors[component].inverse(Par::Seq);
            kernel_cotangent(cotangent.as_mut(), column(a, component));
            let noise: f64 = cotangent.diagonal().column_vector().iter().sum();
            Ok((self.problem.pull_back(component, cotangent.as_ref(), Par::Seq)?, noise))
        })?;
        let mut noise = Mat::zeros(parts.len(), parts.len());
        let mut kernels = Vec::with_capacity(parts.len());
        for (component, (theta, in_noise)) in parts.into_iter().enumerate() {
            noise[(component, component)] = in_noise;
            kernels.push(theta);
        }
        Ok(Cotangents { kernels, noise })
    }

    fn explained(&self, cross: &[Mat<f64>]) -> Result<Vec<Mat<f64>>> {
        let halves = self.solve_lowers(cross)?;
        let (m, n) = (halves.len(), cross.first().map_or(0, Mat::ncols));
        let at = |new: usize| {
            let mut explained = Mat::zeros(m, m);
            for (component, half) in halves.iter().enumerate() {
                explained[(component, component)] = half.col(new).squared_norm_l2();
            }
            explained
        };
        Ok((0..n).map(at).collect())
    }

    fn explained_jointly(&self, cross: &[Mat<f64>]) -> Result<Mat<f64>> {
        let halves = self.solve_lowers(cross)?;
        let (m, n) = (halves.len(), cross.first().map_or(0, Mat::ncols));
        let mut explained = Mat::zeros(m * n, m * n);
        for (component, half) in halves.iter().enumerate() {
            let block = half.transpose() * half;
            explained.as_mut().submatrix_mut(component * n, component * n, n, n).copy_from(&block);
        }
        Ok(explained)
    }
}
