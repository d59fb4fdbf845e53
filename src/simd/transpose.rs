//! Transposed copies of tiles.

use super::{Pass, dispatch};
use crate::Scalar;

/// Side of the square blocks that are transposed in registers.
const BLOCK: usize = 8;

struct Transpose<'a, T> {
    tile: &'a [T],
    rows: usize,
    skip: usize,
    out: &'a mut [T],
}

impl<T: Scalar> Pass for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { tile, rows, skip, out } = self;
        let cols = tile.len() / rows;
        let kept = rows - skip;
        let (whole_rows, whole_cols) = (kept / BLOCK * BLOCK, cols / BLOCK * BLOCK);
        for col in (0..whole_cols).step_by(BLOCK) {
            for row in (0..whole_rows).step_by(BLOCK) {
                let mut block = [[T::from_f64(0.0); BLOCK]; BLOCK];
                for (c, block) in block.iter_mut().enumerate() {
                    block.copy_from_slice(&tile[(col + c) * rows + skip + row..][..BLOCK]);
                }
                for r in 0..BLOCK {
                    let mut line = [T::from_f64(0.0); BLOCK];
                    for c in 0..BLOCK {
                        line[c] = block[c][r];
                    }
                    out[(row + r) * cols + col..][..BLOCK].copy_from_slice(&line);
                }
            }
        }
        for col in 0..cols {
            let from = if col < whole_cols { whole_rows } else { 0 };
            for row in from..kept {
                out[row * cols + col] = tile[col * rows + skip + row];
            }
        }
    }
}

/// Writes the transpose of a tile with so many rows, without the first `skip` of them, into `out`:
/// `out[col + cols · row] = tile[skip + row + rows · col]`.
pub(crate) fn transpose<T: Scalar>(tile: &[T], rows: usize, skip: usize, out: &mut [T]) {
    dispatch(Transpose { tile, rows, skip, out });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_lands_where_it_should() {
        for (rows, cols, skip) in [(1, 1, 0), (8, 8, 0), (64, 32, 0), (64, 32, 32), (37, 19, 5), (9, 16, 8), (16, 9, 0)]
        {
            let tile: Vec<f64> = (0..rows * cols).map(|entry| entry as f64).collect();
            let mut out = vec![-1.0; (rows - skip) * cols];
            transpose(&tile, rows, skip, &mut out);
            for row in skip..rows {
                for col in 0..cols {
                    assert_eq!(out[col + cols * (row - skip)], tile[row + rows * col]);
                }
            }
        }
    }
}
