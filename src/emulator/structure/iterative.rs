//! Any components, too many weights to factorise together: conjugate gradients.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::dense::CHUNK;
use super::{Cotangents, Covariance, Problem, Structure, kernel_cotangent, stacked};
use crate::linalg::{
    BlockDiagonal, ConjugateGradients, Dense, LogDetEstimate, Operator, StochasticLogDet, column, padded, random_signs,
    steady,
};
use crate::{Error, Result};

/// Lanczos steps of the log-determinant: enough for condition numbers of S in the thousands.
const STEPS: usize = 50;

/// V = P + (N − diag(N)) ⊗ I, by products, with P = blockdiag(Kᵢ + Nᵢᵢ I) factorised: the preconditioner.
#[derive(Debug)]
pub(super) struct Iterative {
    problem: Problem,
    blocks: BlockDiagonal<Dense<f64>>,
    log_det: LogDetEstimate,
    probes: usize,
    seed: u64,
}

impl Iterative {
    pub(super) fn new(problem: Problem, probes: usize, seed: u64) -> Result<Self> {
        let rows = problem.components() * problem.spectra();
        if probes < 2 || probes > rows {
            let expected = format!("must be at least 2 and at most {rows}, the number of weights");
            return Err(Error::setting("the number of probes", probes, &expected));
        }
        let block = |component: usize| {
            let mut block = problem.gram(component, problem.par)?;
            let noise = problem.noise[(component, component)];
            block.diagonal_mut().column_vector_mut().iter_mut().for_each(|entry| *entry += noise);
            Dense::new(block.as_ref(), problem.jitter, problem.par)
        };
        let blocks = BlockDiagonal::new((0..problem.components()).map(block).collect::<Result<_>>()?);
        let nothing = LogDetEstimate { value: 0.0, standard_error: 0.0 };
        let mut made = Self { problem, blocks, log_det: nothing, probes, seed };
        let rng = &mut Pcg64::seed_from_u64(seed);
        let estimator = StochasticLogDet { probes, steps: STEPS };
        made.log_det = estimator.estimate(|x| made.product(x), Some(&made.blocks), rows, rng, made.problem.par)?;
        Ok(made)
    }

    /// V X.
    fn product(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let (m, spectra) = (self.problem.components(), self.problem.spectra());
        let mut out = self.blocks.matmul(x, steady(x.ncols(), self.problem.par))?;
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))).filter(|(i, j)| i != j) {
            let noise = self.problem.noise[(i, j)];
            let mut target = out.as_mut().subrows_mut(i * spectra, spectra);
            target += faer::Scale(noise) * x.subrows(j * spectra, spectra);
        }
        Ok(out)
    }

    /// V⁻¹B.
    fn solve(&self, b: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let solver = ConjugateGradients::default();
        let par = steady(b.ncols(), self.problem.par);
        Ok(solver.solve(|x| self.product(x), b, Some(&self.blocks), par)?.solution)
    }

    /// The [cotangents](Covariance::cotangents) from s vectors Z of which the mean of zzᵀ is I.
    ///
    /// For Y = F⁻ᵀZ and X = V⁻¹FZ with P = FFᵀ, the mean of xyᵀ is V⁻¹ and that of yyᵀ is P⁻¹: the diagonal blocks of
    /// V⁻¹ are those of P⁻¹, exactly, and an estimate of the difference, the smaller the more diagonal N is.
    fn cotangents_from(&self, z: MatRef<'_, f64>, a: MatRef<'_, f64>) -> Result<Cotangents> {
        let (m, spectra, par) = (self.problem.components(), self.problem.spectra(), self.problem.par);
        let y = self.blocks.solve_upper(z, par)?;
        // ½ (xyᵀ + yxᵀ) − yyᵀ = ½ ((x − y)yᵀ + y(x − y)ᵀ)
        let change = self.solve(self.blocks.matmul(y.as_ref(), par)?.as_ref())? - &y;
        let half = 0.5 / z.ncols() as f64;
        let (mut noise, mut kernels) = (a.transpose() * a, Vec::with_capacity(m));
        for i in 0..m {
            let [change_i, y_i] = [&change, &y].map(|of| of.subrows(i * spectra, spectra));
            let mut inverse: Mat<f64> = self.blocks.blocks()[i].cholesky().inverse(par);
            matmul(inverse.as_mut(), Accum::Add, change_i, y_i.transpose(), half, par);
            matmul(inverse.as_mut(), Accum::Add, y_i, change_i.transpose(), half, par);
            for j in 0..m {
                let [change_j, y_j] = [&change, &y].map(|of| of.subrows(j * spectra, spectra));
                let trace = if i == j {
                    inverse.diagonal().column_vector().iter().sum::<f64>()
                } else {
                    half * (inner(change_i, y_j) + inner(y_i, change_j))
                };
                noise[(i, j)] = 0.5 * (noise[(i, j)] - trace);
            }
            kernel_cotangent(inverse.as_mut(), column(a, i));
            kernels.push(self.problem.pull_back(i, inverse.as_ref(), par)?);
        }
        Ok(Cotangents { kernels, noise })
    }

    /// V⁻¹K* for the columns of K* that belong to these new parameters, and these columns: mM × mn, all parameters of
    /// the first component first.
    fn solved_cross(&self, cross: &[Mat<f64>], first: usize, count: usize) -> Result<(Mat<f64>, Mat<f64>)> {
        let cross = stacked(cross, first, count);
        Ok((self.solve(cross.as_ref())?, cross))
    }
}

impl Covariance for Iterative {
    fn structure(&self) -> Structure {
        Structure::Iterative { probes: self.probes, seed: self.seed }
    }

    fn jitter(&self) -> f64 {
        self.blocks.blocks().iter().map(|block| block.cholesky().jitter()).fold(0.0, f64::max)
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    fn log_det(&self) -> f64 {
        self.log_det.value
    }

    fn log_det_error(&self) -> f64 {
        self.log_det.standard_error
    }

    fn solve_in_place(&self, mut b: MatMut<'_, f64>) -> Result<()> {
        let (rows, cols) = (b.nrows(), b.ncols());
        let vector = Mat::from_fn(rows * cols, 1, |index, _| b[(index % rows, index / rows)]);
        let solved = self.solve(vector.as_ref())?;
        b.copy_from(MatRef::from_column_major_slice(column(solved.as_ref(), 0), rows, cols));
        Ok(())
    }

    /// An estimate over the random signs of the log-determinant.
    fn cotangents(&self, a: MatRef<'_, f64>) -> Result<Cotangents> {
        let rng = &mut Pcg64::seed_from_u64(self.seed);
        let signs = random_signs(Operator::<f64>::dim(&self.blocks), self.probes, rng);
        self.cotangents_from(signs.as_ref(), a)
    }

    fn explained(&self, cross: &[Mat<f64>]) -> Result<Vec<Mat<f64>>> {
        let (m, n) = (cross.len(), cross.first().map_or(0, Mat::ncols));
        let mut explained = Vec::with_capacity(n);
        for first in (0..n).step_by(CHUNK) {
            let count = CHUNK.min(n - first);
            let (solved, cross) = self.solved_cross(cross, first, count)?;
            explained.extend((0..count).map(|new| {
                let at = |i: usize, j: usize| cross.col(i * count + new).transpose() * solved.col(j * count + new);
                // Symmetric beyond the tolerance of the solver.
                Mat::from_fn(m, m, |i, j| 0.5 * (at(i, j) + at(j, i)))
            }));
        }
        Ok(explained)
    }

    fn explained_jointly(&self, cross: &[Mat<f64>]) -> Result<Mat<f64>> {
        let (solved, cross) = self.solved_cross(cross, 0, cross.first().map_or(0, Mat::ncols))?;
        let mut explained = padded(solved.ncols(), solved.ncols());
        for (left, right) in [(&cross, &solved), (&solved, &cross)] {
            matmul(explained.as_mut(), Accum::Add, left.transpose(), right.as_ref(), 0.5, self.problem.par);
        }
        Ok(explained)
    }
}

/// The sum of products of elements.
fn inner(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols()).map(|col| a.col(col).transpose() * b.col(col)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use faer::{Par, mat};

    use super::*;
    use crate::kernel::Kernel;
    use crate::kernels::Rbf;
    use crate::linalg::Jitter;

    /// With a vector for each dimension, of which the mean of zzᵀ is I exactly, nothing is estimated.
    #[test]
    fn a_full_set_of_vectors_gives_the_gradient() {
        let theta = Arc::new(Mat::from_fn(9, 1, |row, _| 0.2 * (row * row) as f64));
        let kernels = [0.5, 2.0].map(|lengthscale| Arc::new(Rbf::new(lengthscale)) as Arc<dyn Kernel<f64>>);
        let problem = || Problem {
            kernels: kernels.to_vec(),
            theta: theta.clone(),
            noise: mat![[0.5, 0.4], [0.4, 0.7]],
            jitter: Jitter::default(),
            par: Par::Seq,
        };
        let a = Mat::from_fn(9, 2, |row, col| ((3 * row + 5 * col) % 7) as f64 - 3.0);
        let z = Mat::<f64>::identity(18, 18) * faer::Scale(18f64.sqrt());
        let iterative = Iterative::new(problem(), 2, 0).unwrap();
        let found = iterative.cotangents_from(z.as_ref(), a.as_ref()).unwrap();
        let expected = super::super::Dense::new(problem()).unwrap().cotangents(a.as_ref()).unwrap();
        assert!((found.noise - expected.noise).norm_max() < 1e-9);
        for (found, expected) in found.kernels.iter().flatten().zip(expected.kernels.iter().flatten()) {
            assert!((found - expected).abs() < 1e-8 * expected.abs().max(1.0), "{found} is not {expected}");
        }
    }
}
