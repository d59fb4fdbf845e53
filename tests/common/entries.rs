//! The entries of matrices.

use faer::MatRef;

/// All entries, those of the first column first.
pub(crate) fn by_columns(matrix: MatRef<'_, f64>) -> Vec<f64> {
    matrix.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()).collect()
}

/// All entries, those of the first row first.
pub(crate) fn by_rows(matrix: MatRef<'_, f64>) -> Vec<f64> {
    by_columns(matrix.transpose())
}
