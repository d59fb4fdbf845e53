//! Any components: one factorisation of the whole.

use faer::{Mat, MatMut, MatRef};

use super::{Cotangents, Covariance, Problem, Structure, kernel_cotangent, stacked};
use crate::Result;
use crate::linalg::{Cholesky, column, padded, steady};

/// New parameters whose right-hand sides, m each, are solved for at a time.
pub(super) const CHUNK: usize = 64;

/// V as a matrix.
#[derive(Debug)]
pub(super) struct Dense {
    problem: Problem,
    factor: Cholesky<f64>,
}

impl Dense {
    pub(super) fn new(problem: Problem) -> Result<Self> {
        let (m, spectra) = (problem.components(), problem.spectra());
        let mut covariance = padded(m * spectra, m * spectra);
        for component in 0..m {
            let first = component * spectra;
            let gram = problem.gram(component, problem.par)?;
            covariance.as_mut().submatrix_mut(first, first, spectra, spectra).copy_from(&gram);
            for other in 0..m {
                for row in 0..spectra {
                    covariance[(other * spectra + row, first + row)] += problem.noise[(other, component)];
                }
            }
        }
        let factor = Cholesky::new(covariance.as_ref(), problem.jitter, problem.par)?;
        Ok(Self { problem, factor })
    }

    /// L⁻¹K*, from the columns of K* that belong to these new parameters: mM × mn, all parameters of the first
    /// component first.
    fn solve_lower(&self, cross: &[Mat<f64>], first: usize, count: usize) -> Result<Mat<f64>> {
        let mut half = stacked(cross, first, count);
        let par = steady(half.ncols(), self.problem.par);
        self.factor.solve_lower_in_place(half.as_mut(), par)?;
        Ok(half)
    }
}

impl Covariance for Dense {
    fn structure(&self) -> Structure {
        Structure::Dense
    }

    fn jitter(&self) -> f64 {
        self.factor.jitter()
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    fn log_det(&self) -> f64 {
        self.factor.log_det()
    }

    fn solve_in_place(&self, mut b: MatMut<'_, f64>) -> Result<()> {
        let (rows, cols) = (b.nrows(), b.ncols());
        let mut vector = Mat::from_fn(rows * cols, 1, |index, _| b[(index % rows, index / rows)]);
        self.factor.solve_in_place(vector.as_mut(), steady(1, self.problem.par))?;
        b.copy_from(MatRef::from_column_major_slice(column(vector.as_ref(), 0), rows, cols));
        Ok(())
    }

    fn cotangents(&self, a: MatRef<'_, f64>) -> Result<Cotangents> {
        let (m, spectra) = (self.problem.components(), self.problem.spectra());
        let mut inverse = self.factor.inverse(self.problem.par);
        let mut noise = a.transpose() * a;
        for i in 0..m {
            for j in 0..m {
                let block = inverse.as_ref().submatrix(i * spectra, j * spectra, spectra, spectra);
                noise[(i, j)] = 0.5 * (noise[(i, j)] - block.diagonal().column_vector().iter().sum::<f64>());
            }
        }
        let mut kernels = Vec::with_capacity(m);
        for i in 0..m {
            let mut block = inverse.as_mut().submatrix_mut(i * spectra, i * spectra, spectra, spectra);
            kernel_cotangent(block.as_mut(), column(a, i));
            kernels.push(self.problem.pull_back(i, block.as_ref(), self.problem.par)?);
        }
        Ok(Cotangents { kernels, noise })
    }

    fn explained(&self, cross: &[Mat<f64>]) -> Result<Vec<Mat<f64>>> {
        let n = cross.first().map_or(0, Mat::ncols);
        let mut explained = Vec::with_capacity(n);
        for first in (0..n).step_by(CHUNK) {
            let count = CHUNK.min(n - first);
            let half = self.solve_lower(cross, first, count)?;
            explained.extend((0..count).map(|new| {
                let column = |component: usize| half.col(component * count + new);
                Mat::from_fn(cross.len(), cross.len(), |i, j| column(i).transpose() * column(j))
            }));
        }
        Ok(explained)
    }

    fn explained_jointly(&self, cross: &[Mat<f64>]) -> Result<Mat<f64>> {
        let half = self.solve_lower(cross, 0, cross.first().map_or(0, Mat::ncols))?;
        Ok(half.transpose() * &half)
    }
}
