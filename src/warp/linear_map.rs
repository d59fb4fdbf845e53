//! A matrix applied to the points.

use faer::Mat;

use super::dense::Weights;
use super::differences::rounding;
use super::{Warp, WarpExpr};
use crate::kernel::span::Span;
use crate::kernel::variables::with_buffer;
use crate::kernel::{FeatureGradients, Points, Psd, Variable};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::{Error, Result, Scalar};

/// A matrix applied to the points: the warp behind
/// [`linear_map`](crate::algebra::Compose::linear_map). A metric that is not along the axes, or a
/// projection to fewer dimensions.
///
/// # Definition
///
/// f(x) = A x
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `matrix[q, d]` | A_qd | one over that of input dimension d | any finite number |
///
/// # Properties
///
/// Keeps stationarity; positive semi-definite where the kernel is in as many dimensions as A has rows.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0).linear_map(mat![[0.6, 0.8]]);
/// assert!((kernel.eval(&[0.0, 0.0], &[3.0, 4.0])? - (-0.5 * 25.0f64).exp()).abs() < 1e-15);
/// assert_eq!(kernel.eval(&[0.0, 0.0], &[-4.0, 3.0])?, 1.0);
/// assert_eq!((2.0 * kernel).to_string(), "2 * linear_map(rbf(lengthscale=1), matrix=[[0.6, 0.8]])");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 5.1: the factor
/// analysis distance.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearMap {
    matrix: ParameterArray,
    rows: usize,
}

crate::parameterized!(LinearMap as "linear_map", parameters: [matrix]);

impl LinearMap {
    /// The map by a matrix with a row for each dimension that it makes, and a column for each that it
    /// reads.
    ///
    /// # Panics
    ///
    /// If the matrix is empty, or an entry not finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(matrix: Mat<f64>) -> Self {
        crate::error::literal(Self::try_new(matrix))
    }

    /// The map by a matrix with a row for each dimension that it makes, and a column for each that it
    /// reads.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if the matrix is empty; [`Error::Parameter`] if an entry is not finite.
    pub fn try_new(matrix: Mat<f64>) -> Result<Self> {
        Ok(Self { rows: matrix.nrows(), matrix: matrix_parameter("matrix", &matrix)? })
    }

    /// The entry in a row and a column.
    pub fn entry(&self, row: usize, col: usize) -> f64 {
        self.matrix.values()[row + col * self.rows]
    }

    /// |A| v
    fn apply_absolute(&self, v: &[f64]) -> Vec<f64> {
        let entry = |row: usize| v.iter().enumerate().map(|(col, v)| self.entry(row, col).abs() * v).sum();
        (0..self.rows).map(entry).collect()
    }

    fn weights(&self) -> Weights<'_> {
        Weights { values: self.matrix.values(), rows: self.rows }
    }
}

/// The entries of a matrix as free parameters.
pub(super) fn matrix_parameter(name: &str, matrix: &Mat<f64>) -> Result<ParameterArray> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    if rows == 0 || cols == 0 {
        return Err(Error::Empty { what: format!("the matrix `{name}`") });
    }
    let values = matrix.col_iter().flat_map(|col| col.iter().copied()).collect();
    ParameterArray::new(name, values, Shape::Matrix(rows, cols), Constraint::Real)
}

crate::construct!(LinearMap: try_new(matrix: Mat<f64>));

impl WarpExpr for LinearMap {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        self.weights().output_dim(dim, "linear_map(…)")
    }

    fn psd(&self, kernel: Psd) -> Psd {
        if kernel.holds_in(self.rows) { Psd::Always } else { Psd::Unknown }
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn matrix(&self, theta: &[Variable], dim: usize) -> Option<Vec<Vec<Variable>>> {
        let row = |row: usize| (0..dim).map(|col| theta.get(row + col * self.rows).copied()).collect();
        (0..self.rows).map(row).collect()
    }

    fn differentiable(&self) -> bool {
        true
    }
}

impl<T: Scalar> Warp<T> for LinearMap {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        let moved = points.less_origin();
        let made = self.weights().apply(moved.as_ref().map_or(points.matrix(), Mat::as_ref));
        // Symmetric about the image of the middle, which covers the range.
        let ranges = points.span().map(|span| {
            let ends =
                span.ranges().iter().enumerate().map(|(dim, range)| range.map(|end| end - points.origin(dim).as_f64()));
            let (middle, half): (Vec<f64>, Vec<f64>) =
                ends.map(|[low, high]| (0.5 * (low + high), 0.5 * (high - low))).unzip();
            let mut center = vec![0.0; self.rows];
            self.weights().apply_point(&middle, &mut center);
            let half = self.apply_absolute(&half);
            Span::known(center.iter().zip(half).map(|(center, half)| [center - half, center + half]).collect())
        });
        Points::made(made).with_gradient(true).against(ranges)
    }

    #[inline]
    fn point(&self, x: &[T], out: &mut [T]) {
        self.weights().apply_point(x, out);
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let Some(in_made) = gradients.take(made) else { return };
        let moved = points.less_origin();
        self.weights().gradient(moved.as_ref().map_or(points.matrix(), Mat::as_ref), in_made.as_ref(), theta);
        if let Some(in_points) = gradients.at_mut(points) {
            *in_points += self.weights().apply_transposed(in_made.as_ref());
        }
    }

    fn difference(&self, [x, y]: [&[T]; 2], out: &mut [T]) -> bool {
        with_buffer(x.len(), T::from_f64(0.0), |difference| {
            difference.iter_mut().zip(x.iter().zip(y)).for_each(|(difference, (&x, &y))| *difference = x - y);
            self.weights().apply_point(difference, out);
        });
        true
    }

    fn rounding(&self, points: &Points<'_, T>) -> Option<Vec<f64>> {
        Some(self.apply_absolute(&rounding(points)?))
    }

    fn difference_backward(
        &self,
        [x, y]: [&[T]; 2],
        _: &[T],
        in_difference: &[T],
        [in_x, in_y]: [&mut [T]; 2],
        theta: &mut [f64],
    ) {
        for (dim, in_column) in theta.chunks_exact_mut(self.rows).enumerate() {
            let moved = (x[dim] - y[dim]).as_f64();
            for (row, (in_entry, &gradient)) in in_column.iter_mut().zip(in_difference).enumerate() {
                *in_entry += gradient.as_f64() * moved;
                let in_point = gradient * T::from_f64(self.entry(row, dim));
                in_x[dim] += in_point;
                in_y[dim] -= in_point;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_diagonal_matrix_is_ard() {
        let (x, y) = ([0.3, -1.2], [1.1, 0.4]);
        let mapped: f64 = Matern32::new(1.0).linear_map(mat![[2.0, 0.0], [0.0, 0.5]]).eval(&x, &y).unwrap();
        let expected: f64 = Matern32::new(1.0).ard([0.5, 2.0]).eval(&x, &y).unwrap();
        assert_eq!(mapped, expected);
    }

    #[test]
    fn points_of_another_dimension_are_refused() {
        let kernel = Rbf::new(1.0).linear_map(mat![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        let error = kernel.eval(&[1.0], &[1.0]).unwrap_err().to_string();
        assert!(error.contains("2 column(s), one for each dimension"), "{error}");
        assert!(LinearMap::try_new(Mat::zeros(0, 2)).is_err());
        assert_eq!(kernel.map().entry(2, 1), 6.0);
    }
}
