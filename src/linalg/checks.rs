//! What matrices must fulfil before they are worked on.

use faer::MatRef;

use crate::{Error, Result, Scalar};

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
    for row in first..matrix.nrows() {
        let value = matrix[(row, col)].as_f64();
        if !value.is_finite() {
            return Err(Error::NonFinite { what: what.to_owned(), row, col, value });
        }
    }
    Ok(())
}
