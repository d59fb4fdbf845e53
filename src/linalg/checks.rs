//! What matrices must fulfil before they are worked on.

use faer::MatRef;

use super::storage::column;
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch};
use crate::{Error, Result, Scalar};

/// Σ 0 · x: 0, or NaN if one is not finite.
struct NotFinite<'a, T>(&'a [T]);

impl<T: Scalar> Pass for NotFinite<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        lane_sum([self.0], |[x]| x * T::from_f64(0.0))
    }
}

pub(super) fn check_square<T: Scalar>(what: &str, matrix: MatRef<'_, T>) -> Result<()> {
    if matrix.nrows() == matrix.ncols() {
        return Ok(());
    }
    Err(Error::shape(what, "a square matrix", (matrix.nrows(), matrix.ncols())))
}

/// Refuses a right-hand side, or a product, that does not have so many rows.
pub(super) fn check_rows<T: Scalar>(what: &str, dim: usize, b: MatRef<'_, T>) -> Result<()> {
    if b.nrows() == dim {
        return Ok(());
    }
    Err(Error::shape(what, format!("{dim} row(s)"), (b.nrows(), b.ncols())))
}

pub(super) fn check_finite<T: Scalar>(what: &str, matrix: MatRef<'_, T>) -> Result<()> {
    (0..matrix.ncols()).try_for_each(|col| check_column(what, matrix, 0, col))
}

/// Refuses a NaN or an infinity on the diagonal or below it.
pub(super) fn check_lower_finite<T: Scalar>(what: &str, matrix: MatRef<'_, T>) -> Result<()> {
    (0..matrix.ncols()).try_for_each(|col| check_column(what, matrix, col, col))
}

fn check_column<T: Scalar>(what: &str, matrix: MatRef<'_, T>, first: usize, col: usize) -> Result<()> {
    let contiguous = column(matrix, col);
    if contiguous.len() == matrix.nrows() && dispatch(NotFinite(&contiguous[first..])) == T::from_f64(0.0) {
        return Ok(());
    }
    for row in first..matrix.nrows() {
        let value = matrix[(row, col)].as_f64();
        if !value.is_finite() {
            return Err(Error::NonFinite { what: what.to_owned(), row, col, value });
        }
    }
    Ok(())
}
