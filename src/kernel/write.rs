//! How tiles get into a matrix.

use faer::prelude::ReborrowMut;
use faer::{ColMut, MatMut};

use crate::Scalar;
use crate::simd::prefetch::prefetch;
use crate::simd::stream;
use crate::simd::transpose::{transpose, transpose_into_lines};

/// Matrices of up to so many bytes stay in the second-level cache of present machines: asking for their
/// lines beforehand costs more than it saves.
const SMALL: usize = 2 << 20;

/// Matrices of more bytes than this are written past the caches. Below, writing through them costs
/// little more, and pays when the matrix is read.
const LARGE: usize = 4 << 20;

/// Writes tiles into the blocks of one matrix, past the caches if it is large.
#[derive(Clone, Debug)]
pub(super) struct Writer<T> {
    prefetches: bool,
    past_caches: bool,
    /// Room for a transposed tile.
    mirrored: Vec<T>,
}

impl<T: Scalar> Writer<T> {
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        let bytes = rows * cols * size_of::<T>();
        Self { prefetches: bytes > SMALL && bytes <= LARGE, past_caches: bytes > LARGE, mirrored: Vec::new() }
    }

    /// Announces a block, so that its memory is on its way while the tile is computed.
    pub(super) fn announce(&self, block: faer::MatRef<'_, T>) {
        if self.prefetches {
            prefetch(block);
        }
    }

    /// Writes a tile into a block of the same shape.
    pub(super) fn write(&self, tile: &[T], mut out: MatMut<'_, T>) {
        let rows = out.nrows();
        if tile.is_empty() {
            return;
        }
        for (col, values) in tile.chunks_exact(rows).enumerate() {
            let column = out.rb_mut().col_mut(col);
            match column.try_as_col_major_mut() {
                Some(column) if self.past_caches => stream::copy(values, column.as_slice_mut()),
                Some(column) => column.as_slice_mut().copy_from_slice(values),
                None => values.iter().enumerate().for_each(|(row, &value)| out[(row, col)] = value),
            }
        }
    }

    /// Writes the transpose of a tile with so many rows, without the first `skip` of them.
    pub(super) fn write_mirrored(&mut self, tile: &[T], rows: usize, skip: usize, mut out: MatMut<'_, T>) {
        if out.row_stride() != 1 {
            for row in 0..out.ncols() {
                for col in 0..out.nrows() {
                    out[(col, row)] = tile[skip + row + col * rows];
                }
            }
            return;
        }
        let (height, width) = (out.nrows(), out.ncols());
        let columns = out.col_iter_mut().filter_map(ColMut::try_as_col_major_mut).map(ColMut::as_slice_mut);
        if self.past_caches {
            self.mirrored.resize(tile.len(), T::from_f64(0.0));
            let mirrored = &mut self.mirrored[..width * height];
            transpose(tile, rows, skip, mirrored);
            mirrored.chunks_exact(height.max(1)).zip(columns).for_each(|(values, column)| stream::copy(values, column));
        } else {
            transpose_into_lines(tile, rows, skip, columns);
        }
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        if self.past_caches {
            stream::fence();
        }
    }
}
