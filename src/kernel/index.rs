//! Columns of the points that hold an index.

use faer::MatRef;

use super::{Expr, Inputs, text};
use crate::{Error, Result, Scalar};

/// A column of the points that a kernel reads as an index: of a category, an output, a node. It holds
/// 0, 1, … `count` − 1, as floating-point numbers.
///
/// The drivers refuse other values with [`Error::Index`]. A kernel that reads indices has a gradient
/// of zero in them.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0).on([0]) * Coregionalization::new(mat![[1.0], [0.5]], [0.1, 0.2]).on([1]);
/// let columns = kernel.inputs(2)?;
/// let columns = columns.indices();
/// assert_eq!((columns.len(), columns[0].column(), columns[0].count()), (1, 1, 2));
///
/// let error = kernel.gram(mat![[0.3, 1.0], [0.7, 2.0]].as_ref()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`coregionalization(weights=[[1], [0.5]], diagonal=[0.1, 0.2])` reads x[1, 1] as an index, but it is 2; \
///      it must be a whole number, at least 0 and below 2",
/// );
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct IndexColumn<'k> {
    kernel: &'k dyn Expr,
    column: usize,
    count: usize,
    may_be_missing: bool,
}

impl<'k> IndexColumn<'k> {
    /// A column that a kernel reads as an index below `count`.
    pub fn new(kernel: &'k dyn Expr, column: usize, count: usize) -> Self {
        Self { kernel, column, count, may_be_missing: false }
    }

    /// The subexpression that reads it.
    pub fn kernel(&self) -> &'k dyn Expr {
        self.kernel
    }

    /// Which column of the points it is.
    pub fn column(&self) -> usize {
        self.column
    }

    /// One more than the largest index.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The same where a NaN stands for a point that is missing.
    ///
    /// # Examples
    ///
    /// What [`Masked`](crate::combine::Masked) does for the kernel in it:
    ///
    /// ```
    /// use mercer::combine::Missing;
    /// use mercer::prelude::*;
    ///
    /// let groups = Categorical::new(3, 0.4);
    /// let x = mat![[2.0], [f64::NAN]];
    /// assert!(groups.gram(x.as_ref()).is_err());
    /// let gram = groups.masked(Missing::Isolate).gram(x.as_ref())?;
    /// assert_eq!(gram, mat![[1.0, 0.0], [0.0, 1.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn or_missing(self) -> Self {
        Self { may_be_missing: true, ..self }
    }

    /// The same for points of which another column is read.
    #[must_use]
    pub fn at(self, column: usize) -> Self {
        Self { column, ..self }
    }
}

/// The index that a coordinate holds, if it is a whole number below `count`.
#[inline]
pub(crate) fn index<T: Scalar>(coordinate: T, count: usize) -> Option<usize> {
    let coordinate = coordinate.as_f64();
    // The cast takes NaN to 0 and what is out of range to the nearest end; neither is equal again.
    let index = coordinate as usize;
    (index < count && index as f64 == coordinate).then_some(index)
}

/// The index that a coordinate holds, where the drivers have checked it.
#[inline]
pub(crate) fn checked_index<T: Scalar>(coordinate: T) -> usize {
    coordinate.as_f64() as usize
}

/// Refuses points with anything but an index where the kernel reads one.
pub(crate) fn check_indices<T: Scalar>(inputs: &Inputs<'_>, what: &str, points: MatRef<'_, T>) -> Result<()> {
    for read in inputs.indices() {
        let accepted =
            |coordinate: T| index(coordinate, read.count).is_some() || (read.may_be_missing && coordinate.is_nan());
        let refused = (0..points.nrows()).find(|&row| !accepted(points[(row, read.column)]));
        if let Some(row) = refused {
            return Err(Error::Index {
                kernel: text(read.kernel).to_string(),
                what: what.to_owned(),
                row,
                col: read.column,
                value: points[(row, read.column)].as_f64(),
                count: read.count,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_in_range_are_indices() {
        assert_eq!(index(2.0, 3), Some(2));
        assert_eq!(index(-0.0f32, 3), Some(0));
        for refused in [3.0, -1.0, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(index(refused, 3), None);
        }
        assert_eq!(index(0.0, 0), None);
    }
}
