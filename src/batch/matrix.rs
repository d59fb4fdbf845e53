//! A matrix for each member of a batch.

use faer::{MatMut, MatRef};

use crate::{Error, Result, Scalar};

/// A matrix for each member of a batch, in one contiguous piece of memory: B × N × M, each matrix by
/// columns. A member's matrix is looked at in place, never copied.
///
/// # Examples
///
/// ```
/// use mercer::batch::BatchMatrix;
/// use mercer::prelude::*;
///
/// let mut weights = BatchMatrix::zeros(&[2], 3, 4);
/// weights.get_mut(&[1])?[(2, 3)] = 5.0;
/// assert_eq!(weights.shape(), [2, 3, 4]);
/// assert_eq!(weights.get(&[1])?[(2, 3)], 5.0);
/// assert_eq!(weights.as_slice()[23], 5.0);
/// assert!(weights.get(&[2]).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BatchMatrix<T: Scalar> {
    sizes: Vec<usize>,
    nrows: usize,
    ncols: usize,
    data: Vec<T>,
}

impl<T: Scalar> BatchMatrix<T> {
    /// Matrices of zeros, for a batch of these sizes (one for each level, the outermost first).
    pub fn zeros(sizes: &[usize], nrows: usize, ncols: usize) -> Self {
        let members: usize = sizes.iter().product();
        Self { sizes: sizes.to_vec(), nrows, ncols, data: vec![T::from_f64(0.0); members * nrows * ncols] }
    }

    /// The sizes of the batch, then the rows and columns of each matrix.
    pub fn shape(&self) -> Vec<usize> {
        self.sizes.iter().copied().chain([self.nrows, self.ncols]).collect()
    }

    /// The sizes of the batch, the outermost level first.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The rows of each matrix.
    pub fn nrows(&self) -> usize {
        self.nrows
    }

    /// The columns of each matrix.
    pub fn ncols(&self) -> usize {
        self.ncols
    }

    /// All entries: the members in order, each matrix by columns.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// The matrix of a member, by its index at each level.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] if there is no such member, [`Error::Shape`] if the number of indices is not that
    /// of the levels.
    pub fn get(&self, index: &[usize]) -> Result<MatRef<'_, T>> {
        let start = self.position(index)? * self.nrows * self.ncols;
        let entries = &self.data[start..start + self.nrows * self.ncols];
        Ok(MatRef::from_column_major_slice(entries, self.nrows, self.ncols))
    }

    /// The matrix of a member, to write to.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_mut(&mut self, index: &[usize]) -> Result<MatMut<'_, T>> {
        let start = self.position(index)? * self.nrows * self.ncols;
        let entries = &mut self.data[start..start + self.nrows * self.ncols];
        Ok(MatMut::from_column_major_slice_mut(entries, self.nrows, self.ncols))
    }

    /// The matrices of all members, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = MatRef<'_, T>> {
        let size = self.nrows * self.ncols;
        (0..self.sizes.iter().product()).map(move |member| {
            MatRef::from_column_major_slice(&self.data[member * size..(member + 1) * size], self.nrows, self.ncols)
        })
    }

    pub(super) fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The number of a member in the order of storage.
    fn position(&self, index: &[usize]) -> Result<usize> {
        if index.len() != self.sizes.len() {
            let expected = format!("{} number(s), one for each level of the batch", self.sizes.len());
            return Err(Error::shape("the index of a member", expected, (index.len(), 1)));
        }
        let mut position = 0;
        for (&at, &size) in index.iter().zip(&self.sizes) {
            if at >= size {
                return Err(Error::rows("the batch", at..at + 1, size));
            }
            position = position * size + at;
        }
        Ok(position)
    }
}
