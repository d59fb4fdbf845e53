//! Products of point sets with matrices of weights, for warps that are made of them.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::{Error, Result, Scalar};

/// Points are multiplied so many at a time, the last block filled up with zeros: a library may choose
/// another order of additions for another number of rows, but what is made of a point must not depend
/// on how many others there are.
const BLOCK: usize = 64;

/// A matrix of weights, stored by columns: a row for each output and a column for each input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'w> {
    pub(super) values: &'w [f64],
    pub(super) rows: usize,
}

impl Weights<'_> {
    pub(super) fn cols(self) -> usize {
        self.values.len() / self.rows
    }

    /// The number of outputs, if the number of inputs fits.
    pub(super) fn output_dim(self, dim: usize, warp: &str) -> Result<usize> {
        if dim == self.cols() {
            return Ok(self.rows);
        }
        let needs = format!("has a matrix with {} column(s), one for each dimension", self.cols());
        Err(Error::Dimension { kernel: warp.to_owned(), needs, found: dim })
    }

    fn matrix<T: Scalar>(self) -> Mat<T> {
        Mat::from_fn(self.rows, self.cols(), |row, col| T::from_f64(self.values[row + col * self.rows]))
    }

    /// W x for each point x, a row of a matrix.
    pub(super) fn apply<T: Scalar>(self, points: MatRef<'_, T>) -> Mat<T> {
        multiply(points, self.matrix().transpose())
    }

    /// Wᵀ g for each row g of a matrix.
    pub(super) fn apply_transposed<T: Scalar>(self, outputs: MatRef<'_, T>) -> Mat<T> {
        multiply(outputs, self.matrix().as_ref())
    }

    /// W x for one point.
    #[inline]
    pub(super) fn apply_point<T: Scalar>(self, x: &[T], out: &mut [T]) {
        out.fill(T::from_f64(0.0));
        for (column, &x) in self.values.chunks_exact(self.rows).zip(x) {
            for (out, &weight) in out.iter_mut().zip(column) {
                *out += T::from_f64(weight) * x;
            }
        }
    }

    /// Adds Σᵢ gᵢ xᵢᵀ, the gradient in the weights for the gradients g in the outputs of the points x;
    /// in the order of the weights, and in `f64` over blocks of points.
    pub(super) fn gradient<T: Scalar>(self, points: MatRef<'_, T>, outputs: MatRef<'_, T>, theta: &mut [f64]) {
        let mut sum = Mat::<T>::zeros(self.rows, self.cols());
        for start in (0..points.nrows()).step_by(BLOCK) {
            let rows = BLOCK.min(points.nrows() - start);
            let (points, outputs) = (points.subrows(start, rows), outputs.subrows(start, rows));
            matmul(sum.as_mut(), Accum::Replace, outputs.transpose(), points, T::from_f64(1.0), Par::Seq);
            for (theta, column) in theta.chunks_exact_mut(self.rows).zip(sum.col_iter()) {
                theta.iter_mut().zip(column.iter()).for_each(|(theta, sum)| *theta += sum.as_f64());
            }
        }
    }
}

/// The product of points, one a row, with a matrix.
fn multiply<T: Scalar>(points: MatRef<'_, T>, by: MatRef<'_, T>) -> Mat<T> {
    let (inputs, outputs) = (by.nrows(), by.ncols());
    let mut made = Mat::zeros(points.nrows(), outputs);
    let (mut block, mut product) = (Mat::<T>::zeros(BLOCK, inputs), Mat::<T>::zeros(BLOCK, outputs));
    for start in (0..points.nrows()).step_by(BLOCK) {
        let rows = BLOCK.min(points.nrows() - start);
        block.subrows_mut(rows, BLOCK - rows).fill(T::from_f64(0.0));
        block.subrows_mut(0, rows).copy_from(points.subrows(start, rows));
        matmul(product.as_mut(), Accum::Replace, block.as_ref(), by, T::from_f64(1.0), Par::Seq);
        made.subrows_mut(start, rows).copy_from(product.subrows(0, rows));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(rows: usize, cols: usize) -> Mat<f64> {
        Mat::from_fn(rows, cols, |row, col| ((row * 31 + col * 17) % 101) as f64 / 50.0 - 1.0)
    }

    #[test]
    fn what_is_made_of_a_point_depends_on_it_alone() {
        for (rows, cols) in [(1, 1), (3, 2), (17, 8), (40, 33)] {
            let values: Vec<f64> = (0..rows * cols).map(|i| (i * 37 % 101) as f64 / 50.0 - 1.0).collect();
            let weights = Weights { values: &values, rows };
            let x = points(200, cols);
            let whole = weights.apply(x.as_ref());
            for (start, len) in [(0, 1), (3, 64), (77, 123), (199, 1)] {
                let part = weights.apply(x.as_ref().subrows(start, len));
                assert_eq!(whole.subrows(start, len), part, "{rows} × {cols}, {len} points from {start}");
            }
        }
    }

    #[test]
    fn against_loops() {
        let (rows, cols, len) = (5, 3, 130);
        let matrix = points(rows, cols);
        let values: Vec<f64> = (0..rows * cols).map(|i| matrix[(i % rows, i / rows)]).collect();
        let weights = Weights { values: &values, rows };
        let (x, g) = (points(len, cols), points(len, rows));
        let mut theta = vec![0.5; rows * cols];
        weights.gradient(x.as_ref(), g.as_ref(), &mut theta);
        let (made, back) = (weights.apply(x.as_ref()), weights.apply_transposed(g.as_ref()));
        for (i, found) in theta.iter().enumerate() {
            let expected = 0.5 + (0..len).map(|p| g[(p, i % rows)] * x[(p, i / rows)]).sum::<f64>();
            assert!((found - expected).abs() < 1e-12);
        }
        assert!((made - &x * matrix.transpose()).norm_max() < 1e-14);
        assert!((back - &g * &matrix).norm_max() < 1e-14);
    }
}
