//! One column of numbers.

use faer::MatRef;

use crate::Scalar;

/// A slice as a matrix of one column.
///
/// # Examples
///
/// ```
/// let y = mercer::data::column(&[1.0, 2.0]);
/// assert_eq!((y.shape(), y[(1, 0)]), ((2, 1), 2.0));
/// ```
pub fn column<T: Scalar>(values: &[T]) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(values, values.len(), 1)
}
