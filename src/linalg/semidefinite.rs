//! A root of a covariance that may be singular.

use faer::{Mat, MatRef, Par};
use num_traits::Float;

use super::checks::{check_lower_finite, check_square};
use super::storage::{column_mut, padded};
use super::{Cholesky, Jitter};
use crate::simd::elementwise::add_scaled;
use crate::{Error, Result, Scalar};

/// Pivots up to so many rounding errors, and as many for each pivot before, are zero.
const ZERO: f64 = 4.0;

/// F with FFᵀ = A for a symmetric A without negative eigenvalues, and by how much the diagonals of the two differ at
/// most, which is what rounding has left in A of 0. F has a column for each pivot that is more, or is the Cholesky factor.
///
/// `units[i]` is the size of what was added and subtracted in Aᵢᵢ: the rounding errors of Aᵢⱼ are those of √(uᵢuⱼ).
/// Nothing is added to A. Where it has no Cholesky factor, the largest element that is left of the diagonal, in these
/// units, is the next pivot, until it is rounding: a few ε, or smaller than what it would leave below 0 in the diagonal
/// of the others.
///
/// n³/3 operations, and where A is singular, of rank r, 2n²r more.
///
/// # Errors
///
/// [`Error::Shape`] and [`Error::NonFinite`] as for [`Cholesky::new`], and the first if there is not a unit for each
/// row; [`Error::NotPositiveDefinite`] if what is left at the end, of the diagonal or beside it, is more than √ε in
/// these units: A is no covariance.
///
/// # References
///
/// Higham (2002), *Accuracy and Stability of Numerical Algorithms*, section 10.3.
pub(crate) fn semidefinite_root<T: Scalar>(matrix: MatRef<'_, T>, units: &[T], par: Par) -> Result<(Mat<T>, f64)> {
    let what = "the covariance";
    check_square(what, matrix)?;
    check_lower_finite(what, matrix)?;
    if units.len() != matrix.nrows() {
        return Err(Error::shape(
            "the units of the covariance",
            format!("{} value(s)", matrix.nrows()),
            (units.len(), 1),
        ));
    }
    match Cholesky::new(matrix, Jitter::Fixed(0.0), par) {
        Ok(factor) => Ok((factor.into_factor(), 0.0)),
        Err(Error::NotPositiveDefinite { .. }) => {
            let mut elimination = Elimination::new(matrix, units);
            while elimination.advance() {}
            elimination.end()
        }
        Err(other) => Err(other),
    }
}

/// The matrix in units of the roots of its rows' units, pivots that were taken eliminated from what is left.
struct Elimination<'a, T: Scalar> {
    matrix: MatRef<'a, T>,
    /// √uᵢ
    roots: Vec<T>,
    columns: Vec<Vec<T>>,
    /// What is left of the diagonal.
    left: Vec<T>,
    taken: Vec<bool>,
}

impl<'a, T: Scalar> Elimination<'a, T> {
    fn new(matrix: MatRef<'a, T>, units: &[T]) -> Self {
        let n = matrix.nrows();
        // An element larger than its unit has the rounding of its own size.
        let unit = |i: usize| Float::max(Float::abs(units[i]), Float::abs(matrix[(i, i)]));
        let roots: Vec<T> = (0..n).map(|i| Float::sqrt(unit(i))).collect();
        let (columns, taken) = (Vec::new(), vec![false; n]);
        let mut own = Self { matrix, roots, columns, left: Vec::new(), taken };
        own.left = (0..n).map(|i| own.element(i, i)).collect();
        own
    }

    fn element(&self, row: usize, col: usize) -> T {
        let value = self.matrix[(row.max(col), row.min(col))];
        let unit = self.roots[row] * self.roots[col];
        // Without a unit nothing was added; that a row is not 0 all the same shows at the end.
        if unit > T::from_f64(0.0) { value / unit } else { value }
    }

    /// A column of what is left, at all rows.
    fn remainder(&self, col: usize) -> Vec<T> {
        let mut remainder: Vec<T> = (0..self.left.len()).map(|row| self.element(row, col)).collect();
        for column in &self.columns {
            add_scaled(&mut remainder, column, -column[col]);
        }
        remainder
    }

    /// Takes the next pivot; whether there was one.
    fn advance(&mut self) -> bool {
        let zero = T::from_f64(0.0);
        let open = (0..self.left.len()).filter(|&row| !self.taken[row]);
        let Some(next) = open.reduce(|best, row| if self.left[row] > self.left[best] { row } else { best }) else {
            return false;
        };
        let pivot = self.left[next];
        let rounding = T::epsilon() * T::from_f64(ZERO * (1 + self.columns.len()) as f64);
        if pivot <= rounding {
            return false;
        }
        let root = Float::sqrt(pivot);
        let mut column = self.remainder(next);
        for (row, value) in column.iter_mut().enumerate() {
            *value = if self.taken[row] { zero } else { *value / root };
        }
        column[next] = root;
        let left: Vec<T> = self.left.iter().zip(&column).map(|(&left, &value)| left - value * value).collect();
        if (0..left.len()).any(|row| row != next && !self.taken[row] && left[row] < -pivot) {
            return false;
        }
        self.left = left;
        self.taken[next] = true;
        self.columns.push(column);
        true
    }

    /// F, if what is left is rounding.
    fn end(self) -> Result<(Mat<T>, f64)> {
        let (n, rank) = (self.left.len(), self.columns.len());
        let limit = Float::sqrt(<T as Float>::epsilon());
        let mut largest = 0.0f64;
        for col in (0..n).filter(|&col| !self.taken[col]) {
            let mut remainder = self.remainder(col);
            remainder[col] = self.left[col];
            let open = remainder.iter().zip(&self.taken).filter(|&(_, &taken)| !taken);
            // Also where it is NaN.
            if !open.fold(true, |small, (&value, _)| small && Float::abs(value) <= limit) {
                let mean_diagonal = (0..n).map(|i| self.matrix[(i, i)].as_f64()).sum::<f64>() / n as f64;
                return Err(Error::NotPositiveDefinite { pivot: col, jitter: 0.0, mean_diagonal });
            }
            largest = largest.max((self.left[col] * self.roots[col] * self.roots[col]).as_f64().abs());
        }
        let mut factor = padded(n, rank);
        for (col, values) in self.columns.iter().enumerate() {
            let out = column_mut(factor.as_mut(), col);
            out.iter_mut().zip(values).zip(&self.roots).for_each(|((out, &value), &root)| *out = value * root);
        }
        Ok((factor, largest))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use approx::assert_abs_diff_eq;
    use faer::mat;
    use rand::{RngExt, SeedableRng};

    fn root<T: Scalar>(a: &Mat<T>) -> Result<(Mat<T>, f64)> {
        let units: Vec<T> = (0..a.nrows()).map(|i| T::from_f64(1.0).max(a[(i, i)])).collect();
        semidefinite_root(a.as_ref(), &units, Par::Seq)
    }

    #[test]
    fn nothing_comes_of_nothing() {
        for n in [0, 1, 3] {
            let (factor, left) = semidefinite_root(Mat::<f64>::zeros(n, n).as_ref(), &vec![0.0; n], Par::Seq).unwrap();
            assert_eq!((factor.norm_max(), left), (0.0, 0.0), "{n}");
        }
        let (factor, left) = root(&mat![[0.0, 0.0], [0.0, 4.0]]).unwrap();
        assert_eq!((factor, left), (mat![[0.0], [2.0]], 0.0));
    }

    /// Covariances of rank r, and rounding errors up to √ε/4 of the units on them: the root multiplies to the matrix, to
    /// a few times these errors.
    fn multiplies<T: Scalar>(errors: &[f64]) {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(crate::testkit::seed(614));
        for trial in 0..crate::testkit::trials(60) {
            let n = rng.random_range(1..25);
            let (rank, error) = (rng.random_range(0..=n), errors[trial % errors.len()]);
            let half = Mat::from_fn(n, rank, |_, _| rng.random_range(-1.0..1.0) / (1.0 + rank as f64).sqrt());
            let exact = &half * half.transpose();
            let mut a = Mat::from_fn(n, n, |i, j| T::from_f64(exact[(i, j)]));
            for i in 0..n {
                for j in 0..=i {
                    let moved = a[(i, j)] + T::from_f64(error * rng.random_range(-1.0..1.0));
                    (a[(i, j)], a[(j, i)]) = (moved, moved);
                }
            }
            let (factor, left) = root(&a).unwrap();
            let miss = (&factor * factor.transpose() - &a).norm_max().as_f64();
            let allowed = 8.0 * n as f64 * (error + n as f64 * T::epsilon().as_f64());
            assert!(miss <= allowed && left <= allowed, "{trial}: {miss:e} {left:e} of {allowed:e}");
        }
    }

    #[test]
    fn the_root_multiplies_to_a_matrix_of_any_rank() {
        multiplies::<f64>(&[0.0, 1e-16, 1e-13, 1e-10]);
        multiplies::<f32>(&[0.0, 1e-7, 1e-5]);
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        let refused = |a: Mat<f64>| root(&a).unwrap_err();
        for a in
            [mat![[-1e-3]], mat![[0.0, 1.0], [1.0, 0.0]], mat![[1.0, 2.0], [2.0, 1.0]], mat![[0.0, 1e-3], [1e-3, 1.0]]]
        {
            assert!(matches!(refused(a.clone()), Error::NotPositiveDefinite { .. }), "{a:?}");
        }
        assert!(matches!(refused(mat![[f64::NAN]]), Error::NonFinite { .. }));
        assert!(matches!(refused(Mat::zeros(1, 2)), Error::Shape { .. }));
        // Of rounding's size where much larger numbers were subtracted.
        let (factor, left) = semidefinite_root(mat![[-1e-3]].as_ref(), &[1e6], Par::Seq).unwrap();
        assert_eq!(factor.ncols(), 0);
        assert_abs_diff_eq!(left, 1e-3, epsilon = 1e-18);
    }
}
