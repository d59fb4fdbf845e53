//! Points side by side in registers: what sparse models do with M numbers for each of many points.
//!
//! A panel holds all rows of a few points, the numbers of a row side by side. So sums over rows, triangular solves
//! included, are vertical: each point has a lane of its own, and its sums are in the order of the rows, whatever the
//! registers. What one pass writes is what the next reads: nothing of M × B is packed in between, and M need not be a
//! multiple of anything.
//!
//! All passes have the same inner loop: two registers of points by four outputs. It runs at the rate of a large matrix
//! product from the smallest M on.

mod coefficients;
mod columns;
mod passes;
mod weighted_gram;

pub(crate) use coefficients::{Coefficients, Packing, Use};
pub(crate) use columns::solve_columns;
pub(crate) use passes::{Combination, Sum, add_sum, combine, multiply, solve};
pub(crate) use weighted_gram::{add_up, mirror, transpose, turn, weigh, weighted_gram};

use std::marker::PhantomData;
use std::ops::Range;

use faer::prelude::ReborrowMut;
use faer::{Accum, MatMut, MatRef};
use pulp::{Simd, WithSimd};

use super::column;
use crate::Scalar;
use crate::simd::lanes::{Lanes, Many};
use crate::simd::level::{self, Level};
use crate::simd::under;
use crate::simd::vector::Vector;

/// Registers of points in a panel.
const REGISTERS: usize = 2;

/// Outputs of a pass at a time.
pub(crate) const QUAD: usize = 4;

/// Lines that are transposed at a time.
const LINES: usize = 8;

/// How points stand in panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The instruction set that the passes run under, as its registers make the width.
    level: Level,
    width: usize,
    points: usize,
}

impl Layout {
    /// For so many points of type `T`, under the best instruction set.
    pub(crate) fn of<T: Scalar>(points: usize) -> Self {
        let level = level::best();
        Self { level, width: under(level, Registers(Width, PhantomData::<T>)), points }
    }

    /// The same for other points.
    pub(crate) fn with_points(self, points: usize) -> Self {
        Self { points, ..self }
    }

    /// Points of a panel.
    pub(crate) fn width(self) -> usize {
        self.width
    }

    pub(crate) fn points(self) -> usize {
        self.points
    }

    pub(crate) fn panels(self) -> usize {
        self.points.div_ceil(self.width)
    }

    /// How many numbers so many rows are.
    pub(crate) fn len(self, rows: usize) -> usize {
        self.panels() * self.width * rows
    }

    fn run<T: Scalar, P: Pass<T>>(self, pass: P) -> P::Output {
        under(self.level, Registers(pass, PhantomData))
    }
}

/// A loop over panels, written in what holds a row of one.
trait Pass<T: Scalar> {
    type Output;

    /// The loop. `#[inline(always)]`.
    fn run<L: Lanes<T>>(self, zero: L) -> Self::Output;
}

struct Registers<T, P>(P, PhantomData<T>);

impl<T: Scalar, P: Pass<T>> WithSimd for Registers<T, P> {
    type Output = P::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> P::Output {
        let zero = T::Vector::<S>::splat(simd, T::from_f64(0.0));
        if S::IS_SCALAR { self.0.run(Many([zero; 2 * QUAD])) } else { self.0.run(Many([zero; REGISTERS])) }
    }
}

struct Width;

impl<T: Scalar> Pass<T> for Width {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes<T>>(self, _: L) -> usize {
        L::LEN
    }
}

/// Some rows of every one of several panels, one panel after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T> {
    pub(crate) numbers: &'a [T],
    /// Rows of a panel in all.
    pub(crate) of: usize,
    /// The first of these rows.
    pub(crate) first: usize,
}

impl<'a, T> Rows<'a, T> {
    /// All rows.
    pub(crate) fn all(numbers: &'a [T], of: usize) -> Self {
        Self { numbers, of, first: 0 }
    }

    /// Those of some panels.
    pub(crate) fn of_panels(self, layout: Layout, panels: Range<usize>) -> Self {
        let len = self.of * layout.width;
        Self { numbers: &self.numbers[panels.start * len..panels.end * len], ..self }
    }
}

/// The same to write to.
#[derive(Debug)]
pub(crate) struct RowsMut<'a, T> {
    pub(crate) numbers: &'a mut [T],
    pub(crate) of: usize,
    pub(crate) first: usize,
}

impl<'a, T> RowsMut<'a, T> {
    /// All rows.
    pub(crate) fn all(numbers: &'a mut [T], of: usize) -> Self {
        Self { numbers, of, first: 0 }
    }
}

/// Copies the columns of a matrix into the panels of its points, with zeros beyond its rows and its columns.
pub(crate) fn gather<T: Scalar>(layout: Layout, matrix: MatRef<'_, T>, first_panel: usize, out: &mut [T], rows: usize) {
    let (width, zero) = (layout.width, T::from_f64(0.0));
    for (panel, out) in out.chunks_exact_mut(rows * width).enumerate() {
        let first = (first_panel + panel) * width;
        for lane in (0..width).step_by(LINES.min(width)) {
            let columns: [&[T]; LINES] = std::array::from_fn(|n| {
                let point = first + lane + n;
                if point < matrix.ncols() { column(matrix, point) } else { &[] }
            });
            let lines = out.chunks_exact_mut(width);
            if columns.iter().all(|column| column.len() == matrix.nrows()) && width.is_multiple_of(LINES) {
                for (row, line) in lines.enumerate() {
                    let (line, _) = line[lane..].as_chunks_mut::<LINES>();
                    line[0] = if row < matrix.nrows() { columns.map(|column| column[row]) } else { [zero; LINES] };
                }
            } else {
                for (row, line) in lines.enumerate() {
                    for (number, column) in line[lane..].iter_mut().zip(columns) {
                        *number = column.get(row).copied().unwrap_or(zero);
                    }
                }
            }
        }
    }
}

/// Copies panels into the columns of a matrix, or adds them to these.
pub(crate) fn scatter<T: Scalar>(layout: Layout, panels: &[T], rows: usize, mut out: MatMut<'_, T>, accum: Accum) {
    let width = layout.width;
    for (panel, numbers) in panels.chunks_exact(rows * width).enumerate() {
        let first = panel * width;
        let points = width.min(out.ncols() - first);
        let blocks = accum == Accum::Replace && points == width && has_blocks(width);
        let whole = if blocks { out.nrows() / LINES * LINES } else { 0 };
        for lane in (0..points).step_by(LINES) {
            let mut columns: [&mut [T]; LINES] = std::array::from_fn(|_| &mut [] as &mut [T]);
            let part = out.rb_mut().subcols_mut(first + lane, LINES.min(points - lane));
            for (slot, column) in columns.iter_mut().zip(part.col_iter_mut()) {
                *slot = column.try_as_col_major_mut().map_or(&mut [], |column| column.as_slice_mut());
            }
            for row in (0..whole).step_by(LINES) {
                by_column(&numbers[row * width..], width, lane, |n, numbers| {
                    columns[n][row..row + LINES].copy_from_slice(&numbers);
                });
            }
            for (n, column) in columns.iter_mut().enumerate() {
                let numbers = numbers.iter().skip(lane + n).step_by(width).skip(whole);
                for (out, &number) in column.iter_mut().skip(whole).zip(numbers) {
                    *out = if accum == Accum::Add { *out + number } else { number };
                }
            }
        }
    }
}

/// Calls a function with every column of a block of [`LINES`] lines of a panel, from a lane on.
#[inline(always)]
fn by_column<T: Scalar>(lines: &[T], width: usize, first: usize, column: impl FnMut(usize, [T; LINES])) {
    // Widths that the compiler knows are twice as fast.
    match width {
        8 => by_column_of::<T, 8>(lines, first, column),
        16 => by_column_of::<T, 16>(lines, first, column),
        _ => by_column_of::<T, 32>(lines, first, column),
    }
}

#[inline(always)]
fn by_column_of<T: Scalar, const WIDTH: usize>(lines: &[T], first: usize, mut column: impl FnMut(usize, [T; LINES])) {
    if let Some(lines) = lines.as_chunks::<WIDTH>().0.first_chunk::<LINES>() {
        for lane in 0..LINES {
            column(lane, std::array::from_fn(|row| lines[row][first + lane]));
        }
    }
}

/// Whether whole blocks make a panel.
fn has_blocks(width: usize) -> bool {
    matches!(width, 8 | 16 | 32)
}
