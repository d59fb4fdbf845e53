//! Transposed copies in blocks.

use faer::MatMut;
use faer::prelude::ReborrowMut;

use super::{Pass, dispatch};
use crate::Scalar;

/// Side of the square blocks: eight cache lines are written at a time.
const BLOCK: usize = 8;

struct Transpose<'a, T: Scalar> {
    tile: &'a [T],
    rows: usize,
    cols: usize,
    out: MatMut<'a, T>,
}

impl<T: Scalar> Pass for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { tile, rows, cols, mut out } = self;
        for row in 0..rows {
            let Some(column) = out.rb_mut().col_mut(row).try_as_col_major_mut() else { return };
            let column = column.as_slice_mut();
            let (blocks, rest) = column[..cols].as_chunks_mut::<BLOCK>();
            let done = blocks.len() * BLOCK;
            for (index, block) in blocks.iter_mut().enumerate() {
                let tile = &tile[index * BLOCK * rows + row..];
                for (col, value) in block.iter_mut().enumerate() {
                    *value = tile[col * rows];
                }
            }
            for (col, value) in rest.iter_mut().enumerate() {
                *value = tile[(done + col) * rows + row];
            }
        }
    }
}

/// Writes the transpose of a tile (stored by columns) into a matrix with contiguous columns.
pub(crate) fn transpose<T: Scalar>(tile: &[T], rows: usize, cols: usize, out: MatMut<'_, T>) {
    dispatch(Transpose { tile, rows, cols, out });
}
