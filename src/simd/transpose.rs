//! Transposed copies of tiles.
//!
//! Whole blocks are transposed in registers, by the shuffles of AVX-512 or AVX where the machine has
//! them: the compiler does not find these on its own, and a transposition by single elements costs as
//! much as an exponential. What is left over, and other machines, go by single elements.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::cotangents::{read_lines, write};
use super::window::{View, Window};
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

/// Blocks of one matrix whose transposes are blocks of another.
#[derive(Debug)]
pub struct Series<'a, 'w, T> {
    pub(crate) from: View<'a, T>,
    pub(crate) to: Window<'w, T>,
    /// Where the first block begins, and its transpose.
    pub(crate) first: (Place, Place),
    /// How far the next is from it.
    pub(crate) step: (Place, Place),
    pub(crate) count: usize,
    /// Rows and columns of a block.
    pub(crate) shape: (usize, usize),
}

/// A row and a column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl Place {
    /// In the first row.
    pub(crate) fn column(col: usize) -> Self {
        Self { row: 0, col }
    }

    #[inline(always)]
    fn after(self, steps: usize, step: Self) -> Self {
        Self { row: self.row + steps * step.row, col: self.col + steps * step.col }
    }
}

/// Writes the transposes of blocks.
pub(crate) fn transpose_series<T: Scalar>(series: Series<'_, '_, T>) {
    if let Some(Series { from, mut to, first, step, count, shape }) = T::transpose_series(series) {
        for index in 0..count {
            let (source, target) = (first.0.after(index, step.0), first.1.after(index, step.1));
            for col in 0..shape.1 {
                let column = from.part(source.col + col, source.row, shape.0);
                for (row, &value) in column.iter().enumerate() {
                    to.part(target.col + row, target.row + col, 1)[0] = value;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use avx::Block;

#[cfg(target_arch = "x86_64")]
mod avx {
    use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, cast};

    use super::{Layout, Range, Series, Window};
    use crate::simd::stream::LINE;

    /// A block of one vector register a side, transposed. Closures inside would not be inlined into
    /// code compiled for AVX, so there are none.
    pub(in crate::simd) trait Block<T, const SIDE: usize>: Copy {
        fn transpose(self, lines: [[T; SIDE]; SIDE]) -> [[T; SIDE]; SIDE];

        /// Writes a line past the caches where a register is a whole cache line, which its place must begin
        /// with; elsewhere through them.
        #[inline(always)]
        fn stream(self, line: [T; SIDE], out: &mut [T; SIDE])
        where
            T: Copy,
        {
            *out = line;
        }
    }

    impl Block<f64, 4> for V3 {
        #[inline(always)]
        fn transpose(self, lines: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
            let avx = self.avx;
            let [a, b, c, d]: [__m256d; 4] = cast(lines);
            let (ab_even, ab_odd) = (avx._mm256_unpacklo_pd(a, b), avx._mm256_unpackhi_pd(a, b));
            let (cd_even, cd_odd) = (avx._mm256_unpacklo_pd(c, d), avx._mm256_unpackhi_pd(c, d));
            cast([
                avx._mm256_permute2f128_pd::<0x20>(ab_even, cd_even),
                avx._mm256_permute2f128_pd::<0x20>(ab_odd, cd_odd),
                avx._mm256_permute2f128_pd::<0x31>(ab_even, cd_even),
                avx._mm256_permute2f128_pd::<0x31>(ab_odd, cd_odd),
            ])
        }
    }

    /// Of four lines: elements 0 and 4, 1 and 5, 2 and 6, 3 and 7 of each.
    #[inline(always)]
    fn quarters(simd: V3, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        let avx = simd.avx;
        let (ab_low, ab_high) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d));
        [
            avx._mm256_shuffle_ps::<0x44>(ab_low, cd_low),
            avx._mm256_shuffle_ps::<0xee>(ab_low, cd_low),
            avx._mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            avx._mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ]
    }

    impl Block<f32, 8> for V3 {
        #[inline(always)]
        fn transpose(self, lines: [[f32; 8]; 8]) -> [[f32; 8]; 8] {
            let avx = self.avx;
            let [a, b, c, d, e, f, g, h]: [__m256; 8] = cast(lines);
            let [p0, p1, p2, p3] = quarters(self, [a, b, c, d]);
            let [q0, q1, q2, q3] = quarters(self, [e, f, g, h]);
            cast([
                avx._mm256_permute2f128_ps::<0x20>(p0, q0),
                avx._mm256_permute2f128_ps::<0x20>(p1, q1),
                avx._mm256_permute2f128_ps::<0x20>(p2, q2),
                avx._mm256_permute2f128_ps::<0x20>(p3, q3),
                avx._mm256_permute2f128_ps::<0x31>(p0, q0),
                avx._mm256_permute2f128_ps::<0x31>(p1, q1),
                avx._mm256_permute2f128_ps::<0x31>(p2, q2),
                avx._mm256_permute2f128_ps::<0x31>(p3, q3),
            ])
        }
    }

    /// The quarters of four registers as a matrix of four a side, transposed.
    #[inline(always)]
    fn transpose_quarters(simd: V4, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        let avx = simd.avx512f;
        let (ab_even, ab_odd) = (avx._mm512_shuffle_f32x4::<0x88>(a, b), avx._mm512_shuffle_f32x4::<0xdd>(a, b));
        let (cd_even, cd_odd) = (avx._mm512_shuffle_f32x4::<0x88>(c, d), avx._mm512_shuffle_f32x4::<0xdd>(c, d));
        [
            avx._mm512_shuffle_f32x4::<0x88>(ab_even, cd_even),
            avx._mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd),
            avx._mm512_shuffle_f32x4::<0xdd>(ab_even, cd_even),
            avx._mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd),
        ]
    }

    impl Block<f64, 8> for V4 {
        #[inline(always)]
        fn stream(self, line: [f64; 8], out: &mut [f64; 8]) {
            assert!(out.as_ptr().addr().is_multiple_of(size_of_val(out)));
            // SAFETY: `out` is borrowed mutably, has the size of a register, and is aligned to it.
            #[allow(unsafe_code)]
            unsafe {
                self.avx512f._mm512_stream_pd(out.as_mut_ptr().cast(), cast(line));
            }
        }

        #[inline(always)]
        fn transpose(self, lines: [[f64; 8]; 8]) -> [[f64; 8]; 8] {
            let avx = self.avx512f;
            let [a, b, c, d, e, f, g, h]: [__m512d; 8] = cast(lines);
            let even = [
                avx._mm512_unpacklo_pd(a, b),
                avx._mm512_unpacklo_pd(c, d),
                avx._mm512_unpacklo_pd(e, f),
                avx._mm512_unpacklo_pd(g, h),
            ];
            let odd = [
                avx._mm512_unpackhi_pd(a, b),
                avx._mm512_unpackhi_pd(c, d),
                avx._mm512_unpackhi_pd(e, f),
                avx._mm512_unpackhi_pd(g, h),
            ];
            let [l0, l2, l4, l6] = transpose_quarters(self, cast(even));
            let [l1, l3, l5, l7] = transpose_quarters(self, cast(odd));
            cast([l0, l1, l2, l3, l4, l5, l6, l7])
        }
    }

    /// Of four lines: in each quarter, elements 0, 1, 2 and 3 of each.
    #[inline(always)]
    fn interleave(simd: V4, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        let avx = simd.avx512f;
        let low: [__m512d; 2] = cast([avx._mm512_unpacklo_ps(a, b), avx._mm512_unpacklo_ps(c, d)]);
        let high: [__m512d; 2] = cast([avx._mm512_unpackhi_ps(a, b), avx._mm512_unpackhi_ps(c, d)]);
        cast([
            avx._mm512_unpacklo_pd(low[0], low[1]),
            avx._mm512_unpackhi_pd(low[0], low[1]),
            avx._mm512_unpacklo_pd(high[0], high[1]),
            avx._mm512_unpackhi_pd(high[0], high[1]),
        ])
    }

    impl Block<f32, 16> for V4 {
        #[inline(always)]
        fn stream(self, line: [f32; 16], out: &mut [f32; 16]) {
            assert!(out.as_ptr().addr().is_multiple_of(size_of_val(out)));
            // SAFETY: `out` is borrowed mutably, has the size of a register, and is aligned to it.
            #[allow(unsafe_code)]
            unsafe {
                self.avx512f._mm512_stream_ps(out.as_mut_ptr().cast(), cast(line));
            }
        }

        #[inline(always)]
        fn transpose(self, lines: [[f32; 16]; 16]) -> [[f32; 16]; 16] {
            let [a, b, c, d]: [[__m512; 4]; 4] = cast(lines);
            let [a, b, c, d] = [interleave(self, a), interleave(self, b), interleave(self, c), interleave(self, d)];
            let [l0, l4, l8, l12] = transpose_quarters(self, [a[0], b[0], c[0], d[0]]);
            let [l1, l5, l9, l13] = transpose_quarters(self, [a[1], b[1], c[1], d[1]]);
            let [l2, l6, l10, l14] = transpose_quarters(self, [a[2], b[2], c[2], d[2]]);
            let [l3, l7, l11, l15] = transpose_quarters(self, [a[3], b[3], c[3], d[3]]);
            cast([l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14, l15])
        }
    }

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

    /// All blocks of a series.
    pub(super) struct All<'a, 'w, S, T, const SIDE: usize> {
        pub(super) simd: S,
        pub(super) series: Series<'a, 'w, T>,
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

#[cfg(target_arch = "x86_64")]
impl<S: Block<T, SIDE>, T: Scalar, const SIDE: usize> pulp::NullaryFnOnce for avx::All<'_, '_, S, T, SIDE> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Series { from, mut to, first, step, count, shape } = self.series;
        for index in 0..count {
            let (source, target) = (first.0.after(index, step.0), first.1.after(index, step.1));
            for row in (0..shape.0).step_by(SIDE) {
                let height = SIDE.min(shape.0 - row);
                for col in (0..shape.1).step_by(SIDE) {
                    let width = SIDE.min(shape.1 - col);
                    let (from_row, from_col) = (source.row + row, source.col + col);
                    let (to_row, to_col) = (target.row + col, target.col + row);
                    if height == SIDE && width == SIDE {
                        // Apart from the others: the compiler knows how many lines there are.
                        let block = self.simd.transpose(from.block::<SIDE>(from_col, from_row));
                        to.set_block(to_col, to_row, &block);
                    } else {
                        let block = read_lines(&from, (from_row, height), (from_col, width));
                        let block = self.simd.transpose(block);
                        write(&block, &mut to, (to_row, width), (to_col, height));
                    }
                }
            }
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
                    simd.vectorize(avx::All::<_, $type, $whole> { simd, series });
                    return None;
                }
                if let Some(simd) = crate::simd::level::v3() {
                    simd.vectorize(avx::All::<_, $type, $half> { simd, series });
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

    /// Blocks side by side, each from below a line that is not read into one that has a line to spare.
    fn check_series<T: Scalar>() {
        for (rows, cols, count) in [(1, 1, 1), (8, 20, 3), (16, 16, 2), (3, 9, 4), (17, 5, 2), (32, 33, 3), (4, 8, 0)] {
            let from: Vec<T> = (0..(rows + 1) * cols * count).map(|entry| T::from_f64(entry as f64)).collect();
            let mut to = vec![T::from_f64(-1.0); (cols + 1) * rows * count];
            transpose_series(Series {
                from: View::of_tile(&from, rows + 1),
                to: Window::of_tile(&mut to, cols + 1),
                first: (Place { row: 1, col: 0 }, Place::default()),
                step: (Place::column(cols), Place::column(rows)),
                count,
                shape: (rows, cols),
            });
            for index in 0..count {
                for (row, line) in to.chunks_exact(cols + 1).skip(index * rows).take(rows).enumerate() {
                    for col in 0..cols {
                        assert_eq!(line[col], from[(index * cols + col) * (rows + 1) + row + 1], "{rows} x {cols}");
                    }
                    assert_eq!(line[cols], T::from_f64(-1.0));
                }
            }
        }
    }

    #[test]
    fn blocks_of_a_series_land_where_they_should() {
        check_series::<f32>();
        check_series::<f64>();
    }
}
