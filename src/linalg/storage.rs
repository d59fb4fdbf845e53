//! Where matrices lie in memory.

use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Mat, MatMut, MatRef, Par};

use crate::Scalar;

/// Columns that start a multiple of this many bytes apart share the sets of an L1 cache.
const ALIAS: usize = 4096;

/// The width of a cache line, to which faer rounds the stride of an owned matrix.
const LINE: usize = 64;

/// Columns that a transposition reads side by side: a cache line of doubles.
const BLOCK: usize = 8;

/// How a product or a solve with so many columns is divided, such that the bits do not depend on the number of
/// threads: not at all for one, which would be added up in parts.
pub(crate) fn steady(columns: usize, par: Par) -> Par {
    if columns == 1 { Par::Seq } else { par }
}

/// An m × n matrix of zeros whose columns are not a multiple of 4 KiB apart.
///
/// At such strides the columns of a block compete for the same few lines of the L1 cache, and
/// products and factorisations lose up to 40% of their speed: a size of 512 is slower than 520.
///
/// # Examples
///
/// ```
/// use mercer::linalg::padded;
///
/// let matrix = padded::<f64>(512, 3);
/// assert_eq!((matrix.nrows(), matrix.ncols()), (512, 3));
/// assert_eq!(matrix.col_stride(), 520);
/// assert_eq!(padded::<f64>(500, 3).col_stride(), 504);
/// ```
pub fn padded<T: Scalar>(nrows: usize, ncols: usize) -> Mat<T> {
    let line = LINE / size_of::<T>();
    let mut capacity = nrows.next_multiple_of(line);
    if ncols > 1 && nrows > 0 && (capacity * size_of::<T>()).is_multiple_of(ALIAS) {
        capacity += line;
    }
    let mut matrix = Mat::with_capacity(capacity, ncols);
    matrix.resize_with(nrows, ncols, |_, _| T::from_f64(0.0));
    matrix
}

/// The matrix at a precision.
pub(crate) fn cast<T: Scalar>(matrix: MatRef<'_, f64>) -> Mat<T> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |row, col| T::from_f64(matrix[(row, col)]))
}

/// Values as one column, at a precision.
pub(crate) fn cast_column<T: Scalar>(values: &[f64]) -> Mat<T> {
    Mat::from_fn(values.len(), 1, |row, _| T::from_f64(values[row]))
}

/// Column `col` as a slice; empty if its elements are not contiguous, which those of owned matrices
/// are.
#[inline(always)]
pub(crate) fn column<T: Scalar>(matrix: MatRef<'_, T>, col: usize) -> &[T] {
    matrix.col(col).try_as_col_major().map_or(&[], |column| column.as_slice())
}

/// Column `col` as a slice to write to; empty if its elements are not contiguous.
#[inline(always)]
pub(crate) fn column_mut<T: Scalar>(matrix: MatMut<'_, T>, col: usize) -> &mut [T] {
    matrix.col_mut(col).try_as_col_major_mut().map_or(&mut [], |column| column.as_slice_mut())
}

/// out = aᵀ, by blocks, for matrices with contiguous columns.
pub(crate) fn transpose_into<T: Scalar>(mut out: MatMut<'_, T>, a: MatRef<'_, T>) {
    for first in (0..a.ncols()).step_by(BLOCK) {
        let width = BLOCK.min(a.ncols() - first);
        write_rows(out.rb_mut().subrows_mut(first, width), a.subcols(first, width));
    }
}

/// Copies the strict lower triangle of a square matrix with contiguous columns onto the upper.
pub(crate) fn mirror_lower<T: Scalar>(mut a: MatMut<'_, T>) {
    let n = a.ncols();
    for first in (0..n).step_by(BLOCK) {
        let last = n.min(first + BLOCK);
        for col in first..last {
            for row in first..col {
                a[(row, col)] = a[(col, row)];
            }
        }
        let (left, right) = a.rb_mut().split_at_col_mut(last);
        let width = last - first;
        let (source, out) = (left.rb().submatrix(last, first, n - last, width), right.subrows_mut(first, width));
        write_rows(out, source);
    }
}

/// out = aᵀ for a few columns of a: read side by side, written a cache line at a time.
fn write_rows<T: Scalar>(mut out: MatMut<'_, T>, a: MatRef<'_, T>) {
    let mut columns = [[].as_slice(); BLOCK];
    for (col, slot) in columns[..a.ncols()].iter_mut().enumerate() {
        *slot = column(a, col);
    }
    for row in 0..a.nrows() {
        let target = column_mut(out.rb_mut(), row);
        match <&mut [T; BLOCK]>::try_from(&mut *target) {
            Ok(target) => *target = columns.map(|column| column[row]),
            Err(_) => target.iter_mut().zip(&columns).for_each(|(value, column)| *value = column[row]),
        }
    }
}

/// Writes zeros above the diagonal.
pub(crate) fn clear_strict_upper<T: Scalar>(mut a: MatMut<'_, T>) {
    for col in 0..a.ncols() {
        let above = col.min(a.nrows());
        column_mut(a.rb_mut(), col)[..above].fill(T::from_f64(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_avoid_the_pages_at_both_precisions() {
        for nrows in [0, 1, 2, 511, 512, 1000, 1024, 2048, 4096] {
            let (wide, narrow) = (padded::<f64>(nrows, 2), padded::<f32>(nrows, 2));
            assert_eq!((wide.nrows(), narrow.nrows(), narrow.ncols()), (nrows, nrows, 2));
            if nrows > 0 {
                assert_ne!(wide.col_stride() * 8 % 4096, 0, "f64, {nrows} rows");
                assert_ne!(narrow.col_stride() * 4 % 4096, 0, "f32, {nrows} rows");
            }
        }
    }

    #[test]
    fn blocked_copies_match_their_definitions() {
        for (m, n) in [(1, 1), (3, 70), (65, 33), (0, 2)] {
            let a = Mat::from_fn(m, n, |i, j| (i * 100 + j) as f64);
            let mut out = padded(n, m);
            transpose_into(out.as_mut(), a.as_ref());
            assert_eq!(out, a.transpose().to_owned());
        }
        for n in [1, 31, 70] {
            let a = Mat::from_fn(n, n, |i, j| (i * 100 + j) as f64);
            let mut mirrored = a.clone();
            mirror_lower(mirrored.as_mut());
            assert_eq!(mirrored, Mat::from_fn(n, n, |i, j| a[(i.max(j), i.min(j))]));
            clear_strict_upper(mirrored.as_mut());
            assert_eq!(mirrored, Mat::from_fn(n, n, |i, j| if i < j { 0.0 } else { a[(i, j)] }));
        }
    }
}
