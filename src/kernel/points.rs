//! Points, as kernels read them.

use std::borrow::Cow;
use std::sync::Arc;

use faer::{Mat, MatRef};

use super::span::{Span, frame};
use crate::Scalar;

/// A set of points, one a row, stored by columns; borrowed, or shared so that a clone never copies.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::kernel::Points;
///
/// let x = mat![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
/// let points = Points::new(x.as_ref());
/// assert_eq!((points.len(), points.dim()), (3, 2));
/// assert_eq!(points.column(1), [2.0, 4.0, 6.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Points<'a, T: Scalar> {
    storage: Storage<'a, T>,
    /// Whether the gradient is wanted.
    pub(super) needs_whole: bool,
    /// Whether moments of the gradient are wanted.
    needs_moments: bool,
    /// Where the second set of the matrix lies in these coordinates, if it is known.
    span: Option<Span<'a, T>>,
    /// Whether the coordinates themselves are read, and not their differences alone.
    fixed: bool,
    /// What differences of these coordinates are still to be multiplied by.
    pub(super) weights: Option<Arc<[T]>>,
}

#[derive(Clone, Debug)]
enum Storage<'a, T: Scalar> {
    Borrowed(MatRef<'a, T>),
    Shared(Arc<Mat<T>>),
}

impl<'a, T: Scalar> Points<'a, T> {
    /// Points in the rows of a matrix. Borrows it if its columns are contiguous and apart, else copies:
    /// columns that overlap would be taken for one another, being told apart by their address.
    pub fn new(matrix: MatRef<'a, T>) -> Self {
        let apart = matrix.ncols() <= 1 || matrix.col_stride() >= matrix.nrows() as isize;
        let contiguous = matrix.row_stride() == 1 && apart;
        Self::stored(if contiguous { Storage::Borrowed(matrix) } else { Storage::Shared(Arc::new(matrix.to_owned())) })
    }

    fn stored(storage: Storage<'a, T>) -> Self {
        Self { storage, needs_whole: false, needs_moments: false, span: None, fixed: false, weights: None }
    }

    /// So many points without coordinates: for kernels that read none.
    pub(crate) fn without_coordinates(len: usize) -> Self {
        Self::made(Mat::zeros(len, 0))
    }

    /// Points that a map has made.
    pub fn made(matrix: Mat<T>) -> Self {
        Self::stored(Storage::Shared(Arc::new(matrix)))
    }

    /// The same points, marked by whether anybody wants their gradient.
    #[must_use]
    pub fn with_gradient(mut self, needed: bool) -> Self {
        (self.needs_whole, self.needs_moments) = (needed, false);
        self
    }

    /// The same points, of whose gradient G also Σᵢ xᵢ_d Gᵢ_d is wanted, for each dimension d: what a
    /// lengthscale of dimension d needs. It costs less than G, which stays right for those who ask for it.
    #[must_use]
    pub(crate) fn with_moments(mut self) -> Self {
        self.needs_moments = true;
        self
    }

    /// Whether anybody wants the gradient in these points.
    pub fn needs_gradient(&self) -> bool {
        self.needs_whole || self.needs_moments
    }

    /// Whether moments of the gradient are summed pair by pair.
    pub(super) fn has_moments(&self) -> bool {
        self.needs_moments || self.weights.is_some()
    }

    /// The same points, in a matrix whose second set lies there.
    #[must_use]
    pub(crate) fn against(mut self, span: Option<Span<'a, T>>) -> Self {
        self.span = span;
        self
    }

    /// Where the second set of the matrix lies, if it is known.
    pub(crate) fn span(&self) -> Option<&Span<'a, T>> {
        self.span.as_ref()
    }

    /// The same points, for a map under a kernel that is not a function of differences: the origin stays 0.
    #[must_use]
    pub(crate) fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }

    /// Whether the coordinates themselves are read, and not their differences alone.
    pub(crate) fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// What to subtract from a coordinate before it is scaled or multiplied: the same for both sets of a matrix. For
    /// nodes whose value depends on differences alone.
    pub(crate) fn origin(&self, dim: usize) -> T {
        self.frame(dim).map_or(T::from_f64(0.0), |(origin, _)| origin)
    }

    /// How far from the origin the second set reaches in a coordinate, if that is known.
    pub(crate) fn reach(&self, dim: usize) -> Option<f64> {
        self.frame(dim).map(|(_, reach)| reach)
    }

    fn frame(&self, dim: usize) -> Option<(T, f64)> {
        let &[low, high] = self.span.as_ref()?.ranges().get(dim)?;
        Some(if self.fixed { (T::from_f64(0.0), high.max(-low)) } else { frame([low, high]) })
    }

    /// The same points, as features of a leaf that reads squared distances alone: their differences are to be
    /// multiplied by these weights. A set that is weighted otherwise has a slot of its own.
    #[must_use]
    pub(crate) fn weighted(mut self, weights: Vec<T>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// What differences are to be multiplied by, if by anything.
    #[inline]
    pub(crate) fn weights(&self) -> Option<&[T]> {
        self.weights.as_deref()
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.matrix().nrows()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The dimension of the points.
    pub fn dim(&self) -> usize {
        self.matrix().ncols()
    }

    /// The points as a matrix, one a row.
    pub fn matrix(&self) -> MatRef<'_, T> {
        match &self.storage {
            Storage::Borrowed(matrix) => *matrix,
            Storage::Shared(matrix) => Mat::as_ref(matrix),
        }
    }

    /// One coordinate of all points, contiguous.
    #[inline]
    pub fn column(&self, dim: usize) -> &[T] {
        // Every constructor makes columns contiguous, so the other arm is never taken.
        self.matrix().col(dim).try_as_col_major().map_or(&[], |column| column.as_slice())
    }

    /// One coordinate of all points, less the origin.
    pub(crate) fn shifted(&self, dim: usize) -> Cow<'_, [T]> {
        let (column, origin) = (self.column(dim), self.origin(dim));
        if origin == T::from_f64(0.0) {
            return Cow::Borrowed(column);
        }
        Cow::Owned(column.iter().map(|&x| x - origin).collect())
    }

    /// The points less the origin, if it is not 0.
    pub(crate) fn less_origin(&self) -> Option<Mat<T>> {
        let origin: Vec<T> = (0..self.dim()).map(|dim| self.origin(dim)).collect();
        let moved = origin.iter().any(|&origin| origin != T::from_f64(0.0));
        moved.then(|| Mat::from_fn(self.len(), self.dim(), |row, dim| self.column(dim)[row] - origin[dim]))
    }

    /// Whether all points of the second set are known to be 0.
    pub(crate) fn against_zero(&self) -> bool {
        self.span.as_ref().is_some_and(|span| span.ranges().iter().all(|range| *range == [0.0; 2]))
    }

    /// Copies one point into a buffer.
    pub fn copy_row(&self, row: usize, out: &mut Vec<T>) {
        out.clear();
        out.extend((0..self.dim()).map(|dim| self.column(dim)[row]));
    }

    /// The first columns of borrowed points, without a copy; otherwise, or for other columns, a copy.
    pub(crate) fn select(&self, columns: &[usize]) -> Self {
        let in_sequence = columns.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let selected = match (&self.storage, in_sequence, columns.first()) {
            (Storage::Borrowed(matrix), true, Some(&first)) => {
                Self::stored(Storage::Borrowed(matrix.subcols(first, columns.len())))
            }
            _ => {
                let matrix = self.matrix();
                Self::made(Mat::from_fn(matrix.nrows(), columns.len(), |row, col| matrix[(row, columns[col])]))
            }
        };
        let span = self.span.as_ref().map(|span| span.select(columns));
        selected.with_gradient(self.needs_gradient()).against(span)
    }

    /// Whether both are the same numbers at the same place.
    pub(crate) fn is_same_memory(&self, other: &Points<'_, T>) -> bool {
        self.memory() == other.memory()
    }

    pub(super) fn memory(&self) -> Memory {
        let matrix = self.matrix();
        Memory {
            address: matrix.as_ptr().addr(),
            shape: (matrix.nrows(), matrix.ncols()),
            stride: matrix.col_stride(),
            weights: self.weights.as_ref().map(|weights| weights.as_ptr().addr()),
        }
    }
}

/// Tells whether two sets of points are the same piece of memory, read the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    address: usize,
    pub(super) shape: (usize, usize),
    stride: isize,
    weights: Option<usize>,
}
