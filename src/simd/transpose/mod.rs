//! Transposed copies of tiles.
//!
//! Whole blocks are transposed in registers, by the shuffles of AVX-512 or AVX where the machine has
//! them: the compiler does not find these on its own, and a transposition by single elements costs as
//! much as an exponential. What is left over, and other machines, go by single elements.

#[cfg(target_arch = "x86_64")]
mod registers;
mod series;

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
pub(super) use registers::Block;
pub(crate) use series::{Place, Series, transpose_series};

use super::window::Window;
use crate::Scalar;

/// Lines that are written at a time: as many as a tile has rows.
const LINES: usize = 64;

/// Writes the transpose of a tile with so many rows into `out`:
/// `out[col + cols · row] = tile[row + rows · col]`.
pub(crate) fn transpose<T: Scalar>(tile: &[T], rows: usize, out: &mut [T]) {
    if !out.is_empty() {
        let cols = tile.len() / rows;
        transpose_into_lines(tile, rows, out.chunks_exact_mut(cols));
    }
}

/// The same, each row of the tile into a line of its own. Lines are as long as the tile has columns.
pub(crate) fn transpose_into_lines<'o, T: Scalar>(tile: &[T], rows: usize, mut out: impl Iterator<Item = &'o mut [T]>) {
    let cols = tile.len() / rows.max(1);
    for first in (0..rows).step_by(LINES) {
        let lines = LINES.min(rows - first);
        let mut group: [&mut [T]; LINES] =
            std::array::from_fn(|line| if line < lines { out.next().unwrap_or_default() } else { &mut [] });
        let layout = Layout { rows, first, cols };
        let (whole_lines, whole_cols) = T::transpose_blocks(layout, tile, &mut group[..lines]);
        for col in 0..cols {
            let done = if col < whole_cols { whole_lines } else { 0 };
            for line in done..lines {
                group[line][col] = tile[layout.source(line, col)];
            }
        }
    }
}

/// Which rows of a tile become the lines of a group.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    rows: usize,
    first: usize,
    cols: usize,
}

impl Layout {
    #[inline(always)]
    fn source(self, line: usize, col: usize) -> usize {
        self.first + line + col * self.rows
    }
}

#[cfg(target_arch = "x86_64")]
mod avx {
    use pulp::NullaryFnOnce;

    use super::registers::Block;
    use super::{Layout, Range, Window};
    use crate::simd::stream::LINE;

    /// Transposes whole blocks, and returns how many lines and columns are done.
    pub(super) struct Blocks<'a, 'o, S, T, const SIDE: usize> {
        pub(super) simd: S,
        pub(super) layout: Layout,
        pub(super) tile: &'a [T],
        pub(super) out: &'a mut [&'o mut [T]],
    }

    impl<S: Block<T, SIDE>, T: Copy + Default, const SIDE: usize> NullaryFnOnce for Blocks<'_, '_, S, T, SIDE> {
        type Output = (usize, usize);

        #[inline(always)]
        fn call(self) -> (usize, usize) {
            let Self { simd, layout, tile, out } = self;
            let whole_cols = layout.cols / SIDE * SIDE;
            let (groups, _) = out.as_chunks_mut::<SIDE>();
            for (group, lines) in groups.iter_mut().enumerate() {
                for col in (0..whole_cols).step_by(SIDE) {
                    let mut block = [[T::default(); SIDE]; SIDE];
                    for (c, column) in block.iter_mut().enumerate() {
                        if let Some(source) = tile[layout.source(group * SIDE, col + c)..].first_chunk() {
                            *column = *source;
                        }
                    }
                    let block = simd.transpose(block);
                    for (line, values) in lines.iter_mut().zip(&block) {
                        if let Some(target) = line[col..].first_chunk_mut() {
                            *target = *values;
                        }
                    }
                }
            }
            (groups.len() * SIDE, whole_cols)
        }
    }

    pub(super) struct Mirror<'a, 'w, S, T, const SIDE: usize> {
        pub(super) simd: S,
        pub(super) matrix: &'a mut Window<'w, T>,
        pub(super) rows: Range<usize>,
        pub(super) cols: Range<usize>,
        pub(super) past_caches: bool,
    }

    impl<S: Block<T, SIDE>, T: Copy + Default, const SIDE: usize> NullaryFnOnce for Mirror<'_, '_, S, T, SIDE> {
        type Output = (usize, usize);

        #[inline(always)]
        fn call(self) -> (usize, usize) {
            let Self { simd, matrix, rows, cols, past_caches } = self;
            let past_caches = past_caches && matrix.is_aligned() && (cols.start * size_of::<T>()).is_multiple_of(LINE);
            let (whole_rows, whole_cols) = (rows.len() / SIDE * SIDE, cols.len() / SIDE * SIDE);
            for row in (rows.start..rows.start + whole_rows).step_by(SIDE) {
                for col in (cols.start..cols.start + whole_cols).step_by(SIDE) {
                    let mut block = [[T::default(); SIDE]; SIDE];
                    for (c, column) in block.iter_mut().enumerate() {
                        *column = *matrix.line::<SIDE>(col + c, row);
                    }
                    for (r, line) in simd.transpose(block).iter().enumerate() {
                        let out = matrix.line::<SIDE>(row + r, col);
                        if past_caches {
                            simd.stream(*line, out);
                        } else {
                            *out = *line;
                        }
                    }
                }
            }
            (whole_rows, whole_cols)
        }
    }
}

/// Copies a block of a matrix, given as rows and columns, to its mirror image, which it may not overlap: past the caches
/// if asked to, where a register is a cache line and the columns begin with one.
pub(crate) fn mirror<T: Scalar>(matrix: &mut Window<'_, T>, rows: Range<usize>, cols: Range<usize>, past_caches: bool) {
    let (whole_rows, whole_cols) = T::mirror_blocks(matrix, rows.clone(), cols.clone(), past_caches);
    for col in cols.clone() {
        let first = if col < cols.start + whole_cols { rows.start + whole_rows } else { rows.start };
        for row in first..rows.end {
            let value = matrix.part(col, row, 1)[0];
            matrix.part(row, col, 1)[0] = value;
        }
    }
}

/// Transposes whole blocks and returns how many lines and columns are done: in blocks of the widest
/// registers there are, or of the half of that if none of those fits.
macro_rules! transpose_blocks {
    ($name:ident, $mirror:ident, $series:ident, $type:ty, $half:literal, $whole:literal) => {
        /// Transposes all blocks, or gives the series back.
        pub(crate) fn $series<'a, 'w>(series: Series<'a, 'w, $type>) -> Option<Series<'a, 'w, $type>> {
            #[cfg(target_arch = "x86_64")]
            {
                // Blocks that are no larger than half a register are as well in one of half the size.
                let least = series.shape.0.min(series.shape.1);
                if least > $half
                    && let Some(simd) = crate::simd::level::v4()
                {
                    simd.vectorize(series::All::<_, $type, $whole> { simd, series });
                    return None;
                }
                if let Some(simd) = crate::simd::level::v3() {
                    simd.vectorize(series::All::<_, $type, $half> { simd, series });
                    return None;
                }
            }
            Some(series)
        }

        /// Mirrors whole blocks and returns how many rows and columns are done.
        pub(crate) fn $mirror(
            matrix: &mut Window<'_, $type>,
            rows: Range<usize>,
            cols: Range<usize>,
            past_caches: bool,
        ) -> (usize, usize) {
            #[cfg(target_arch = "x86_64")]
            {
                if rows.len() >= $whole
                    && cols.len() >= $whole
                    && let Some(simd) = crate::simd::level::v4()
                {
                    return simd.vectorize(avx::Mirror::<_, $type, $whole> { simd, matrix, rows, cols, past_caches });
                }
                if let Some(simd) = crate::simd::level::v3() {
                    return simd.vectorize(avx::Mirror::<_, $type, $half> { simd, matrix, rows, cols, past_caches });
                }
            }
            let _ = (matrix, rows, cols, past_caches);
            (0, 0)
        }

        pub(crate) fn $name(layout: Layout, tile: &[$type], out: &mut [&mut [$type]]) -> (usize, usize) {
            #[cfg(target_arch = "x86_64")]
            {
                if layout.cols >= $whole
                    && out.len() >= $whole
                    && let Some(simd) = crate::simd::level::v4()
                {
                    return simd.vectorize(avx::Blocks::<_, $type, $whole> { simd, layout, tile, out });
                }
                if let Some(simd) = crate::simd::level::v3() {
                    return simd.vectorize(avx::Blocks::<_, $type, $half> { simd, layout, tile, out });
                }
            }
            let _ = (layout, tile, out);
            (0, 0)
        }
    };
}

transpose_blocks!(transpose_blocks_f32, mirror_blocks_f32, transpose_series_f32, f32, 8, 16);
transpose_blocks!(transpose_blocks_f64, mirror_blocks_f64, transpose_series_f64, f64, 4, 8);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Scalar>() {
        for (rows, cols) in [(1, 1), (8, 8), (64, 32), (33, 32), (37, 19), (9, 16), (16, 9), (100, 40)] {
            let tile: Vec<T> = (0..rows * cols).map(|entry| T::from_f64(entry as f64)).collect();
            let mut out = vec![T::from_f64(-1.0); rows * cols];
            transpose(&tile, rows, &mut out);
            for row in 0..rows {
                for col in 0..cols {
                    assert_eq!(out[col + cols * row], tile[row + rows * col]);
                }
            }
        }
    }

    #[test]
    fn every_shape_lands_where_it_should() {
        check::<f32>();
        check::<f64>();
    }
}
