//! The Cholesky factorisation.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::Jitter;
use super::checks::{check_lower_finite, check_rows, check_square};
use super::storage::{clear_strict_upper, column, column_mut, padded};
use crate::{Error, Result, Scalar};

/// A + jitter·I = LLᵀ for a symmetric A, with L lower triangular.
///
/// n³/3 operations to make, n² for each column of a solve. Only the lower triangle of A is read.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Cholesky, Jitter};
/// use mercer::prelude::*;
///
/// let a = mat![[4.0, 2.0], [2.0, 5.0]];
/// let cholesky = Cholesky::new(a.as_ref(), Jitter::default(), Par::Seq)?;
/// assert_eq!(cholesky.factor(), mat![[2.0, 0.0], [1.0, 2.0]]);
/// assert_eq!(cholesky.jitter(), 0.0);
/// assert!((cholesky.log_det() - 16.0f64.ln()).abs() < 1e-15);
///
/// let mut b = mat![[6.0], [7.0]];
/// cholesky.solve_in_place(b.as_mut(), Par::Seq)?;
/// assert_eq!(b, mat![[1.0], [1.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cholesky<T: Scalar> {
    factor: Mat<T>,
    jitter: f64,
}

impl<T: Scalar> Cholesky<T> {
    /// Factorises the symmetric matrix whose lower triangle is given. An empty matrix has an empty
    /// factor.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it is not square; [`Error::NonFinite`] for a NaN or an infinity in the
    /// lower triangle; [`Error::NotPositiveDefinite`] if no amount that `jitter` allows is enough;
    /// [`Error::Setting`] for a jitter policy that cannot work, or is not through after a hundred amounts.
    pub fn new(matrix: MatRef<'_, T>, jitter: Jitter, par: Par) -> Result<Self> {
        Self::above(matrix, jitter, LEAST_PIVOT, par)
    }

    /// Sets the least pivot, in units of ε times its element of the diagonal.
    pub(crate) fn above(matrix: MatRef<'_, T>, jitter: Jitter, least: f64, par: Par) -> Result<Self> {
        check_square("the matrix", matrix)?;
        let mut factor = padded(matrix.nrows(), matrix.nrows());
        let jitter = factorize(factor.as_mut(), matrix, jitter, least, par)?;
        Ok(Self { factor, jitter })
    }

    /// That of a square matrix and a diagonal, in a matrix of its size, whose elements are overwritten.
    pub(crate) fn of_sum(
        mut factor: Mat<T>,
        matrix: MatRef<'_, T>,
        diagonal: &[T],
        jitter: Jitter,
        par: Par,
    ) -> Result<Self> {
        let jitter = factorize_sum(factor.as_mut(), (matrix, diagonal), jitter, LEAST_PIVOT, par)?;
        Ok(Self { factor, jitter })
    }

    /// L: lower triangular, with zeros above the diagonal.
    pub fn factor(&self) -> MatRef<'_, T> {
        self.factor.as_ref()
    }

    /// L itself.
    pub fn into_factor(self) -> Mat<T> {
        self.factor
    }

    /// What was added to each element of the diagonal.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// The number of rows.
    pub fn dim(&self) -> usize {
        self.factor.nrows()
    }

    /// ln det(LLᵀ) = 2 Σᵢ ln Lᵢᵢ, summed in `f64`; 0 for an empty matrix.
    pub fn log_det(&self) -> f64 {
        (0..self.dim()).map(|i| 2.0 * self.factor[(i, i)].as_f64().ln()).sum()
    }

    /// B becomes (LLᵀ)⁻¹B.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have a row for each row of L.
    pub fn solve_in_place(&self, mut b: MatMut<'_, T>, par: Par) -> Result<()> {
        self.solve_lower_in_place(b.rb_mut(), par)?;
        self.solve_upper_in_place(b, par)
    }

    /// B becomes L⁻¹B. The squared norms of its columns are then bᵀ(LLᵀ)⁻¹b.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have a row for each row of L.
    pub fn solve_lower_in_place(&self, b: MatMut<'_, T>, par: Par) -> Result<()> {
        check_rows("the right-hand side", self.dim(), b.rb())?;
        solve_lower_triangular_in_place(self.factor(), b, par);
        Ok(())
    }

    /// B becomes L⁻ᵀB. If the columns of B are standard normal, those of the result have the
    /// covariance (LLᵀ)⁻¹.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have a row for each row of L.
    pub fn solve_upper_in_place(&self, b: MatMut<'_, T>, par: Par) -> Result<()> {
        check_rows("the right-hand side", self.dim(), b.rb())?;
        solve_upper_triangular_in_place(self.factor().transpose(), b, par);
        Ok(())
    }

    /// (LLᵀ)⁻¹, exactly symmetric. Solving is faster and more accurate than multiplying by it.
    pub fn inverse(&self, par: Par) -> Mat<T> {
        let (mut half, mut inverse) = (padded(self.dim(), self.dim()), padded(self.dim(), self.dim()));
        inverse_from_factor(self.factor(), half.as_mut(), inverse.as_mut(), par);
        super::mirror_lower(inverse.as_mut());
        inverse
    }
}

/// Writes the lower triangle of (LLᵀ)⁻¹, given room for a matrix of its size.
pub(crate) fn inverse_from_factor<T: Scalar>(l: MatRef<'_, T>, mut half: MatMut<'_, T>, out: MatMut<'_, T>, par: Par) {
    use BlockStructure::{TriangularLower, TriangularUpper};
    // L⁻¹ and then the lower half of L⁻ᵀL⁻¹: a third of the operations of two solves for the identity.
    invert_lower_triangular(half.rb_mut(), l, par);
    let (half, one) = (half.rb(), T::from_f64(1.0));
    matmul(out, TriangularLower, Accum::Replace, half.transpose(), TriangularUpper, half, TriangularLower, one, par);
}

/// The least pivot that is not what rounding has left of zero, in units of ε times its element of the diagonal.
pub(crate) const LEAST_PIVOT: f64 = 1.0;

/// The same where the first digit of what a pivot explains counts. A pivot is off by some ε times its element, so that one
/// of this size is known to an eighth, and a smaller one may explain many times what it should, or hide as much.
pub(crate) const LEAST_KNOWN_PIVOT: f64 = 8.0;

/// Writes the Cholesky factor of a square matrix into `out`, whose columns are contiguous, and
/// returns the jitter that it took so that no pivot is below the least.
pub(crate) fn factorize<T: Scalar>(
    out: MatMut<'_, T>,
    matrix: MatRef<'_, T>,
    jitter: Jitter,
    least: f64,
    par: Par,
) -> Result<f64> {
    factorize_sum(out, (matrix, &[]), jitter, least, par)
}

/// The same of a matrix and what is added to its diagonal, or nothing.
fn factorize_sum<T: Scalar>(
    mut out: MatMut<'_, T>,
    (matrix, added): (MatRef<'_, T>, &[T]),
    jitter: Jitter,
    least: f64,
    par: Par,
) -> Result<f64> {
    let n = matrix.nrows();
    let what = "the matrix to factorise";
    check_lower_finite(what, matrix)?;
    let diagonal: Vec<T> = (0..n).map(|i| matrix[(i, i)] + added.get(i).copied().unwrap_or_default()).collect();
    if let Some(row) = diagonal.iter().position(|entry| !entry.as_f64().is_finite()) {
        return Err(Error::NonFinite { what: what.to_owned(), row, col: row, value: diagonal[row].as_f64() });
    }
    let mean_diagonal = diagonal.iter().map(|entry| entry.as_f64()).sum::<f64>() / n.max(1) as f64;
    let mut stack = MemBuffer::new(factor::cholesky_in_place_scratch::<T>(n, par, Default::default()));
    let mut failure = (0, 0.0);
    let adaptive = matches!(jitter, Jitter::Adaptive { .. });
    for amount in jitter.amounts::<T>(mean_diagonal)? {
        // A failed attempt leaves nothing to go on with, so each starts from the matrix.
        copy_lower(out.rb_mut(), matrix);
        for i in 0..n {
            out[(i, i)] = diagonal[i] + T::from_f64(amount);
        }
        let stack = MemStack::new(&mut stack);
        match factor::cholesky_in_place(out.rb_mut(), Default::default(), par, stack, Default::default()) {
            Ok(_) => match adaptive.then(|| rounded_away(out.rb(), &diagonal, amount, least)).flatten() {
                Some(index) => failure = (index, amount),
                None => {
                    clear_strict_upper(out);
                    return Ok(amount);
                }
            },
            Err(factor::LltError::NonPositivePivot { index }) => failure = (index, amount),
        }
    }
    Err(jitter.exhausted::<T>(Error::NotPositiveDefinite { pivot: failure.0, jitter: failure.1, mean_diagonal }))
}

/// The first pivot below the least.
///
/// Such a pivot is what rounding has left of zero. The factor still multiplies to the matrix, but
/// half solves L⁻¹b divide rounding errors of size ε by its root, and may have any size.
fn rounded_away<T: Scalar>(factor: MatRef<'_, T>, diagonal: &[T], amount: f64, least: f64) -> Option<usize> {
    let relative = T::epsilon() * T::from_f64(least);
    (0..diagonal.len()).find(|&i| {
        let least = relative * (diagonal[i] + T::from_f64(amount));
        factor[(i, i)] * factor[(i, i)] < least
    })
}

fn copy_lower<T: Scalar>(mut out: MatMut<'_, T>, matrix: MatRef<'_, T>) {
    for col in 0..matrix.ncols() {
        let target = &mut column_mut(out.rb_mut(), col)[col..];
        if matrix.row_stride() == 1 {
            target.copy_from_slice(&column(matrix, col)[col..]);
        } else {
            target.iter_mut().enumerate().for_each(|(offset, value)| *value = matrix[(col + offset, col)]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use faer::mat;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn positive<T: Scalar>(n: usize) -> Mat<T> {
        let a = Mat::<f64>::from_fn(n, n, |i, j| ((i * 7 + j * 3) % 5) as f64 - 1.5);
        let a = &a * a.transpose() + Mat::<f64>::identity(n, n) * (n as f64);
        Mat::from_fn(n, n, |i, j| T::from_f64(a[(i, j)]))
    }

    fn agrees<T: Scalar>(tolerance: f64) {
        for n in [0, 1, 5, 67] {
            let a = positive::<T>(n);
            let cholesky = Cholesky::new(a.as_ref(), Jitter::default(), Par::Seq).unwrap();
            let l = cholesky.factor();
            let close = |x: Mat<T>, y: Mat<T>| {
                assert_eq!(x.shape(), y.shape());
                for j in 0..x.ncols() {
                    for i in 0..x.nrows() {
                        let (x, y) = (x[(i, j)].as_f64(), y[(i, j)].as_f64());
                        assert!((x - y).abs() < tolerance * (1.0 + y.abs()), "{x} against {y} at {n}");
                    }
                }
            };
            close(l * l.transpose(), a.clone());
            assert!((0..n).all(|j| (0..j).all(|i| l[(i, j)].as_f64() == 0.0)));
            let b = Mat::from_fn(n, 3, |i, j| T::from_f64((i + j) as f64 / 4.0));
            let mut x = b.clone();
            cholesky.solve_in_place(x.as_mut(), Par::Seq).unwrap();
            close(&a * &x, b.clone());
            close(&a * cholesky.inverse(Par::Seq), Mat::identity(n, n));
            let mut half = b.clone();
            cholesky.solve_lower_in_place(half.as_mut(), Par::Seq).unwrap();
            close(l * &half, b.clone());
            let mut half = b.clone();
            cholesky.solve_upper_in_place(half.as_mut(), Par::Seq).unwrap();
            close(l.transpose() * &half, b);
        }
    }

    #[test]
    fn factor_solves_and_inverse_agree_with_the_matrix() {
        agrees::<f64>(1e-11);
        agrees::<f32>(1e-3);
    }

    #[test]
    fn log_det_is_that_of_the_eigenvalues() {
        let a = positive::<f64>(6);
        let cholesky = Cholesky::new(a.as_ref(), Jitter::default(), Par::Seq).unwrap();
        let sum: f64 = a.self_adjoint_eigenvalues(faer::Side::Lower).unwrap().iter().map(|e| e.ln()).sum();
        assert!((cholesky.log_det() - sum).abs() < 1e-12);
        let empty = Cholesky::new(Mat::<f64>::zeros(0, 0).as_ref(), Jitter::default(), Par::Seq).unwrap();
        assert_eq!(empty.log_det(), 0.0);
    }

    #[test]
    fn only_the_lower_triangle_is_read_in_any_layout() {
        let a = mat![[4.0, f64::NAN], [2.0, 5.0]];
        let cholesky = Cholesky::new(a.as_ref(), Jitter::default(), Par::Seq).unwrap();
        assert_eq!(cholesky.factor(), mat![[2.0, 0.0], [1.0, 2.0]]);
        let transposed = mat![[4.0, 2.0], [f64::NAN, 5.0]];
        let cholesky = Cholesky::new(transposed.transpose(), Jitter::default(), Par::Seq).unwrap();
        assert_eq!(cholesky.factor(), mat![[2.0, 0.0], [1.0, 2.0]]);
    }

    #[test]
    fn a_fixed_jitter_is_added_even_where_none_is_needed() {
        let cholesky = Cholesky::new(mat![[3.0f64]].as_ref(), Jitter::Fixed(1.0), Par::Seq).unwrap();
        assert_eq!((cholesky.factor()[(0, 0)], cholesky.jitter()), (2.0, 1.0));
    }

    /// Points of which some are equal: rounding leaves pivots of any size below ε, or none, and a half
    /// solve of a column of the matrix has the norm of its element of the diagonal all the same.
    #[test]
    fn a_pivot_of_rounding_errors_counts_as_zero() {
        for (seed, scale) in (0..300).zip([1.0, 1e-8, 1e8].into_iter().cycle()) {
            let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
            let mut at: Vec<f64> = (0..8).map(|_| rng.random_range(-2.0..2.0)).collect();
            at.extend_from_within(seed as usize % 8..);
            let n = at.len();
            let a = Mat::from_fn(n, n, |i, j| scale * f64::exp(-f64::abs(at[i] - at[j]) / 0.7));
            let cholesky = Cholesky::new(a.as_ref(), Jitter::default(), Par::Seq).unwrap();
            assert!(cholesky.jitter() > 0.0);
            let mut half = a.clone();
            cholesky.solve_lower_in_place(half.as_mut(), Par::Seq).unwrap();
            for col in 0..n {
                let norm = half.col(col).squared_norm_l2() / scale;
                assert!((norm - 1.0).abs() < 1e-11, "{seed}: {norm}");
            }
        }
    }

    #[test]
    fn refusals_carry_what_was_found() {
        let factorise = |a: Mat<f64>| Cholesky::new(a.as_ref(), Jitter::default(), Par::Seq);
        match factorise(mat![[1.0, 0.0, 0.0], [0.0, 1.0, 3.0], [0.0, 3.0, 1.0]]) {
            Err(Error::NotPositiveDefinite { pivot: 2, jitter, mean_diagonal: 1.0 }) => {
                assert!(jitter > 1e-8 && jitter < 1e-6, "{jitter:e}");
            }
            other => unreachable!("{other:?}"),
        }
        let error = factorise(mat![[1.0, 0.0], [f64::INFINITY, 1.0]]).unwrap_err();
        assert!(matches!(error, Error::NonFinite { row: 1, col: 0, .. }), "{error:?}");
        let error = factorise(Mat::zeros(2, 3)).unwrap_err();
        assert!(matches!(error, Error::Shape { found: (2, 3), .. }), "{error:?}");
        let zero = factorise(Mat::zeros(2, 2)).unwrap_err();
        assert!(matches!(zero, Error::NotPositiveDefinite { pivot: 0, jitter: 0.0, .. }), "{zero:?}");
        let cholesky = factorise(mat![[1.0]]).unwrap();
        let error = cholesky.solve_in_place(Mat::zeros(2, 1).as_mut(), Par::Seq).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error:?}");
    }
}
