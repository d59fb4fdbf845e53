//! Matrices as passes over panels read them.

use faer::{Mat, MatRef};

use crate::Scalar;
use crate::linalg::panels::{Coefficients, Packing, Use};
use crate::linalg::{Root, column, column_mut};

/// A matrix as passes read it, in a buffer of the pool.
pub(super) enum Factor<T: Scalar> {
    Packed(Packing, Mat<T>),
    /// The entries of a column, filled up to whole quads with zeros.
    Column(Mat<T>),
}

impl<T: Scalar> Factor<T> {
    pub(super) fn pack(packing: Packing, matrix: MatRef<'_, T>, take: Take<'_, T>) -> Self {
        let mut numbers = take(packing.len());
        packing.pack(matrix, column_mut(numbers.as_mut(), 0));
        Self::Packed(packing, numbers)
    }

    pub(super) fn column(entries: MatRef<'_, T>, rows: usize, take: Take<'_, T>) -> Self {
        let mut numbers = take(rows);
        let (own, rest) = column_mut(numbers.as_mut(), 0).split_at_mut(entries.nrows());
        own.copy_from_slice(column(entries, 0));
        rest.fill(T::from_f64(0.0));
        Self::Column(numbers)
    }

    /// For PX, or PᵀX.
    pub(super) fn root(root: Root<MatRef<'_, T>>, transposed: bool, rows: usize, take: Take<'_, T>) -> Self {
        match root {
            Root::Lower(p) => Self::pack(Packing::lower(Use::Product, transposed, p.nrows()), p, take),
            Root::Columns(p) => Self::pack(Packing::dense(transposed, (p.nrows(), p.ncols())), p, take),
            Root::Diagonal(d) => Self::column(d, rows, take),
        }
    }

    /// What was packed; `None` for a column.
    pub(super) fn coefficients(&self) -> Option<Coefficients<'_, T>> {
        match self {
            Self::Packed(packing, numbers) => Some(packing.read(column(numbers.as_ref(), 0))),
            Self::Column(_) => None,
        }
    }

    pub(super) fn numbers(&self) -> &[T] {
        match self {
            Self::Packed(_, numbers) | Self::Column(numbers) => column(numbers.as_ref(), 0),
        }
    }

    pub(super) fn into_buffer(self) -> Mat<T> {
        match self {
            Self::Packed(_, numbers) | Self::Column(numbers) => numbers,
        }
    }
}

/// A buffer of so many numbers, which are arbitrary.
pub(super) type Take<'a, T> = &'a dyn Fn(usize) -> Mat<T>;
