//! A diag(c) Aᵀ, from the rows of A side by side.
//!
//! Rows take the place of points: a panel of rows has the numbers of one point after those of another. So its
//! sums over points are vertical too, in the order of the points, and the inner loop is that of the other passes.

use super::passes::dots;
use super::{Layout, Pass, QUAD, Rows, for_all_panels};
use crate::Scalar;
use crate::simd::lanes::Lanes;
use crate::simd::transpose::{Place, Series, transpose_series};
use crate::simd::window::{View, Window};

/// Points that are summed over before the next outputs: what of them is read again stays in the first-level cache.
const POINTS: usize = 128;

/// The panel of rows of a number, with zeros beyond the last row.
pub(crate) fn turn<T: Scalar>(layout: Layout, a: Rows<'_, T>, rows: usize, panel: usize, out: &mut [T]) {
    let width = layout.width;
    let first = panel * width;
    let rows = width.min(rows - first);
    if rows < width {
        out.fill(T::from_f64(0.0));
    }
    transpose_series(Series {
        from: View::of_tile(a.numbers, width),
        to: Window::of_tile(out, width),
        first: (Place::column(a.first + first), Place::default()),
        step: (Place::column(a.of), Place::column(width)),
        count: a.numbers.len() / (a.of * width).max(1),
        shape: (width, rows),
    });
}

/// A panel of rows times what belongs to the points, by a row of their panels.
pub(crate) fn weigh<T: Scalar>(layout: Layout, turned: &[T], weights: (Rows<'_, T>, usize), out: &mut [T]) {
    layout.run(Weigh(Turned { turned, weights, out }));
}

/// Σ_b g_b A_ib for a panel of rows i.
pub(crate) fn add_up<T: Scalar>(layout: Layout, turned: &[T], weights: (Rows<'_, T>, usize), out: &mut [T]) {
    layout.run(AddUp(Turned { turned, weights, out }));
}

/// A panel of rows, and numbers of the points.
struct Turned<'a, T> {
    turned: &'a [T],
    weights: (Rows<'a, T>, usize),
    out: &'a mut [T],
}

struct Weigh<'a, T>(Turned<'a, T>);

impl<T: Scalar> Pass<T> for Weigh<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        let (width, Turned { turned, weights, out }) = (L::LEN, self.0);
        let (of_points, row) = weights;
        let panels = turned.chunks_exact(width * width).zip(out.chunks_exact_mut(width * width));
        for ((lines, out), of_points) in panels.zip(of_points.numbers.chunks_exact(of_points.of * width)) {
            let weights = &of_points[row * width..][..width];
            for ((line, out), &weight) in lines.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(weights) {
                (zero.read(line) * zero.all(weight)).write(out);
            }
        }
    }
}

struct AddUp<'a, T>(Turned<'a, T>);

impl<T: Scalar> Pass<T> for AddUp<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        let (width, Turned { turned, weights, out }) = (L::LEN, self.0);
        // Panels of points are whole quads, and none waits for the point before.
        let mut sums = [zero; QUAD];
        let (of_points, row) = weights;
        let panels = turned.chunks_exact(width * width).zip(of_points.numbers.chunks_exact(of_points.of * width));
        for (lines, of_points) in panels {
            let weights = of_points[row * width..][..width].chunks_exact(QUAD);
            for (lines, weights) in lines.chunks_exact(QUAD * width).zip(weights) {
                for ((sum, line), &weight) in sums.iter_mut().zip(lines.chunks_exact(width)).zip(weights) {
                    *sum = zero.read(line).mul_add(zero.all(weight), *sum);
                }
            }
        }
        ((sums[0] + sums[1]) + (sums[2] + sums[3])).write(out);
    }
}

/// The lower triangle of A diag(c) Aᵀ, in panels of its columns: some of them, from the number of the first, given all
/// panels of rows of A as they are and [weighed](weigh). Above the diagonal only what is in its blocks is written.
pub(crate) fn weighted_gram<T: Scalar>(
    layout: Layout,
    (turned, weighed): (&[T], &[T]),
    first: usize,
    rows: usize,
    out: &mut [T],
) {
    layout.run(Gram { points: layout.panels() * layout.width, turned, weighed, first, rows, out });
}

struct Gram<'a, T> {
    points: usize,
    turned: &'a [T],
    weighed: &'a [T],
    first: usize,
    rows: usize,
    out: &'a mut [T],
}

impl<T: Scalar> Pass<T> for Gram<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        let Self { points, turned, weighed, first, rows, out } = self;
        let width = L::LEN;
        // Once even for no points: the result is 0.
        for start in (0..points.max(1)).step_by(POINTS) {
            let chunk = start * width..points.min(start + POINTS) * width;
            for row in (first * width..rows).step_by(QUAD) {
                let weighed = &weighed[row / width * points * width..][chunk.clone()];
                let weighed = weighed.get(row % width..).unwrap_or_default();
                for (panel, out) in out.chunks_exact_mut(rows * width).enumerate() {
                    let panel = first + panel;
                    if row < panel * width {
                        break;
                    }
                    let values = dots(zero, &turned[panel * points * width..][chunk.clone()], weighed, width);
                    for (value, out) in values.iter().zip(out[row * width..][..QUAD * width].chunks_exact_mut(width)) {
                        (if start == 0 { *value } else { *value + zero.read(out) }).write(out);
                    }
                }
            }
        }
    }
}

/// Copies what of a square matrix in panels is below its diagonal to above it.
pub(crate) fn mirror<T: Scalar>(layout: Layout, rows: usize, numbers: &mut [T]) {
    let len = rows * layout.width;
    for panel in 0..layout.panels() {
        let (before, own) = numbers.split_at_mut(panel * len);
        let (own, first) = (&mut own[..len], panel * layout.width);
        turn_blocks(layout, rows, before, first, &mut own[..first * layout.width]);
        let block = &mut own[first * layout.width..];
        for col in 0..layout.width.min(rows - first) {
            for row in 0..col {
                block[row * layout.width + col] = block[col * layout.width + row];
            }
        }
    }
}

/// Lines of a panel whose lanes are the rows from this one on, from panels that have those side by side.
fn turn_blocks<T: Scalar>(layout: Layout, rows: usize, panels: &[T], first: usize, out: &mut [T]) {
    let width = layout.width;
    let lanes = width.min(rows.saturating_sub(first));
    if lanes < width {
        out.fill(T::from_f64(0.0));
    }
    let count = out.len().div_ceil(width * width).min(panels.len() / (rows * width).max(1));
    for_all_panels((count, out.len() / width, width), |panel, count, lines| {
        transpose_series(Series {
            from: View::of_tile(panels, width),
            to: Window::of_tile(out, width),
            first: (Place::column(panel * rows + first), Place::column(panel * width)),
            step: (Place::column(rows), Place::column(width)),
            count,
            shape: (lines, lanes),
        });
    });
}

/// The transpose of a square matrix in panels.
pub(crate) fn transpose<T: Scalar>(layout: Layout, rows: usize, numbers: &[T], out: &mut [T]) {
    for (panel, out) in out.chunks_exact_mut(rows * layout.width).enumerate() {
        turn_blocks(layout, rows, numbers, panel * layout.width, out);
    }
}
