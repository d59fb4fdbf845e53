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

use super::column_mut;
use crate::Scalar;
use crate::simd::lanes::{Lanes, Many};
use crate::simd::level::{self, Level};
use crate::simd::transpose::{Place, Series, transpose_series};
use crate::simd::under;
use crate::simd::vector::Vector;
use crate::simd::window::{View, Window};

/// Registers of points in a panel.
const REGISTERS: usize = 2;

/// Outputs of a pass at a time.
pub(crate) const QUAD: usize = 4;

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
    let points = matrix.ncols().saturating_sub(first_panel * width);
    for (panel, out) in out.chunks_exact_mut(rows * width).enumerate() {
        let whole = (panel + 1) * width <= points;
        out[if whole { matrix.nrows() * width } else { 0 }..].fill(zero);
    }
    let count = (out.len() / (rows * width).max(1)).min(points.div_ceil(width));
    for_all_panels((count, points, width), |panel, count, points| {
        let Some(from) = View::new(matrix) else { return };
        transpose_series(Series {
            from,
            to: Window::of_tile(out, width),
            first: (Place::column((first_panel + panel) * width), Place::column(panel * rows)),
            step: (Place::column(width), Place::column(rows)),
            count,
            shape: (matrix.nrows(), points),
        });
    });
}

/// Copies panels into the columns of a matrix, or adds them to these.
pub(crate) fn scatter<T: Scalar>(layout: Layout, panels: &[T], rows: usize, mut out: MatMut<'_, T>, accum: Accum) {
    let width = layout.width;
    let (nrows, points) = out.shape();
    if accum == Accum::Add {
        for (panel, numbers) in panels.chunks_exact(rows * width).enumerate() {
            for lane in 0..width.min(points.saturating_sub(panel * width)) {
                let column = column_mut(out.rb_mut(), panel * width + lane);
                let numbers = numbers.iter().skip(lane).step_by(width);
                column.iter_mut().zip(numbers).for_each(|(out, &number)| *out += number);
            }
        }
        return;
    }
    let count = (panels.len() / (rows * width).max(1)).min(points.div_ceil(width));
    for_all_panels((count, points, width), |panel, count, points| {
        let Some(to) = Window::new(out.rb_mut()) else { return };
        transpose_series(Series {
            from: View::of_tile(panels, width),
            to,
            first: (Place::column(panel * rows), Place::column(panel * width)),
            step: (Place::column(rows), Place::column(width)),
            count,
            shape: (points, nrows),
        });
    });
}

/// Calls a function with the number of the first panel, how many there are, and how many points each has: of those that
/// are whole, and of a last one that is not.
fn for_all_panels((panels, points, width): (usize, usize, usize), mut f: impl FnMut(usize, usize, usize)) {
    let whole = panels.min(points / width);
    f(0, whole, width);
    if whole < panels {
        f(whole, 1, points - whole * width);
    }
}
