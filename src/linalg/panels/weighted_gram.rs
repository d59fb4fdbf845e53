//! A diag(c) Aᵀ, from the rows of A side by side.
//!
//! Rows take the place of points: a panel of rows has the numbers of one point after those of another. So its
//! sums over points are vertical too, in the order of the points, and the inner loop is that of the other passes.

use super::passes::dots;
use super::{LINES, Layout, Pass, QUAD, Rows, by_column, has_blocks};
use crate::Scalar;
use crate::simd::lanes::Lanes;

/// Points that are summed over before the next outputs: what of them is read again stays in the first-level cache.
const POINTS: usize = 128;

/// The panel of rows of a number, with zeros beyond the last row.
pub(crate) fn turn<T: Scalar>(layout: Layout, a: Rows<'_, T>, rows: usize, panel: usize, out: &mut [T]) {
    let (width, zero) = (layout.width, T::from_f64(0.0));
    let first = panel * width;
    let rows = width.min(rows - first);
    if rows < width {
        out.fill(zero);
    }
    for (numbers, out) in a.numbers.chunks_exact(a.of * width).zip(out.chunks_exact_mut(width * width)) {
        let lines = &numbers[(a.first + first) * width..][..rows * width];
        let whole = if has_blocks(width) { rows / LINES * LINES } else { 0 };
        for lane in (0..width).step_by(LINES) {
            for row in (0..whole).step_by(LINES) {
                by_column(&lines[row * width..], width, lane, |n, numbers| {
                    out[(lane + n) * width + row..][..LINES].copy_from_slice(&numbers);
                });
            }
        }
        for (row, line) in lines.chunks_exact(width).enumerate().skip(whole) {
            for (&number, out) in line.iter().zip(out.chunks_exact_mut(width)) {
                out[row] = number;
            }
        }
    }
}

/// A panel of rows times what belongs to the points, by a row of their panels.
pub(crate) fn weigh<T: Scalar>(layout: Layout, turned: &[T], weights: (Rows<'_, T>, usize), out: &mut [T]) {
    layout.run(Weigh(Turned { turned, weights, out }));
}

/// Σ_b g_b A_ib for a panel of rows i.
pub(crate) fn add_up<T: Scalar>(layout: Layout, turned: &[T], weights: (Rows<'_, T>, usize), out: &mut [T]) {
    layout.run(AddUp(Turned { turned, weights, out }));
}

/// What belongs to the points, one after the other.
fn by_point<'a, T: Scalar>((of, row): (Rows<'a, T>, usize), width: usize) -> impl Iterator<Item = &'a T> {
    of.numbers.chunks_exact(of.of * width).flat_map(move |panel| &panel[row * width..][..width])
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
        let lines = turned.chunks_exact(width).zip(out.chunks_exact_mut(width));
        for ((line, out), &weight) in lines.zip(by_point(weights, width)) {
            (zero.read(line) * zero.all(weight)).write(out);
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
        let mut weights = by_point(weights, width);
        for lines in turned.chunks_exact(QUAD * width) {
            for ((sum, line), &weight) in sums.iter_mut().zip(lines.chunks_exact(width)).zip(&mut weights) {
                *sum = zero.read(line).mul_add(zero.all(weight), *sum);
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
    let panels = panels.chunks_exact(rows * width);
    for (from, out) in panels.zip(out.chunks_mut(width * width)) {
        for lane in (0..width).step_by(LINES) {
            let count = LINES.min(rows.saturating_sub(first + lane));
            let lines = out.len() / width;
            let whole = if count == LINES && has_blocks(width) { lines / LINES * LINES } else { 0 };
            for line in (0..whole).step_by(LINES) {
                by_column(&from[(first + lane) * width..], width, line, |n, numbers| {
                    out[(line + n) * width + lane..][..LINES].copy_from_slice(&numbers);
                });
            }
            for (line, out) in out.chunks_exact_mut(width).enumerate().skip(whole) {
                for (n, out) in out[lane..].iter_mut().take(LINES).enumerate() {
                    let row = first + lane + n;
                    *out = if row < rows { from[row * width + line] } else { T::from_f64(0.0) };
                }
            }
        }
    }
}

/// The transpose of a square matrix in panels.
pub(crate) fn transpose<T: Scalar>(layout: Layout, rows: usize, numbers: &[T], out: &mut [T]) {
    for (panel, out) in out.chunks_exact_mut(rows * layout.width).enumerate() {
        turn_blocks(layout, rows, numbers, panel * layout.width, out);
    }
}
