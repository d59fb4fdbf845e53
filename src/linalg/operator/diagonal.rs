//! Diagonal matrices.

use faer::{Mat, MatRef, Par};

use super::{Operator, check_rows, copied};
use crate::linalg::column_mut;
use crate::{Error, Result, Scalar};

/// A diagonal matrix with positive entries: everything takes O(n) for a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagonal<T: Scalar> {
    entries: Vec<T>,
}

impl<T: Scalar> Diagonal<T> {
    /// From the entries of the diagonal.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] for a NaN or an infinity; [`Error::NotPositiveDefinite`] with the first
    /// entry that is not positive.
    pub fn new(entries: Vec<T>) -> Result<Self> {
        for (pivot, entry) in entries.iter().map(|&entry| Scalar::as_f64(entry)).enumerate() {
            if !entry.is_finite() {
                let what = "the diagonal".to_owned();
                return Err(Error::NonFinite { what, row: pivot, col: 0, value: entry });
            }
            if entry <= 0.0 {
                let mean_diagonal =
                    entries.iter().map(|&entry| Scalar::as_f64(entry)).sum::<f64>() / entries.len() as f64;
                return Err(Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal });
            }
        }
        Ok(Self { entries })
    }

    /// The entries of the diagonal.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// B with a function of each entry and the element of B applied along the rows.
    fn by_row(&self, b: MatRef<'_, T>, f: impl Fn(T, T) -> T) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        for col in 0..b.ncols() {
            let column = column_mut(out.as_mut(), col);
            column.iter_mut().zip(&self.entries).for_each(|(value, &entry)| *value = f(*value, entry));
        }
        Ok(out)
    }
}

impl<T: Scalar> Operator<T> for Diagonal<T> {
    fn dim(&self) -> usize {
        self.entries.len()
    }

    fn matmul(&self, b: MatRef<'_, T>, _: Par) -> Result<Mat<T>> {
        self.by_row(b, |value, entry| value * entry)
    }

    fn solve(&self, b: MatRef<'_, T>, _: Par) -> Result<Mat<T>> {
        self.by_row(b, |value, entry| value / entry)
    }

    fn solve_lower(&self, b: MatRef<'_, T>, _: Par) -> Result<Mat<T>> {
        self.by_row(b, |value, entry| value / num_traits::Float::sqrt(entry))
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.solve_lower(b, par)
    }

    fn log_det(&self) -> f64 {
        self.entries.iter().map(|&entry| Scalar::as_f64(entry).ln()).sum()
    }
}
