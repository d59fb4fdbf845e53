//! Functions of the squared distances of two sets of points, written straight into a matrix.
//!
//! Distances and functions of a tile of one panel of rows by four columns stay in registers; each coordinate that is
//! loaded serves several pairs. A column is written for many rows before the next: a block of short columns, each
//! on a page of its own, takes longer to write than to compute.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::groups::{Coordinates, Groups};
use super::lanes::{Lanes, Many};
use super::transpose::mirror;
use super::vector::Vector;
use super::window::Window;
use crate::Scalar;

/// Registers of rows in a tile.
pub(super) const ROWS: usize = 2;

/// Columns in a tile.
pub(super) const QUAD: usize = 4;

/// What the coordinates of the rows between two changes of column may take of the first-level cache.
const NEAR: usize = 16 << 10;

/// Rows and columns of a block that is mirrored: what the first-level cache holds half of.
const BLOCK: (usize, usize) = (64, 32);

/// A function of the squared distance of two points.
pub(crate) trait OfSquaredDistance<T: Scalar>: Copy {
    /// Its value. Free of branches, and `#[inline(always)]`.
    fn value<L: Lanes<T>>(self, squared: L) -> L;
}

/// How a window is filled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    /// One half from the other, for all pairs of some points.
    pub(crate) mirrored: bool,
    /// What is mirrored past the caches. Whoever asks for it calls [`fence`](super::stream::fence) in the end.
    pub(crate) past_caches: bool,
    /// Asking for memory ahead, where it is not in the caches.
    pub(crate) ahead: bool,
}

/// Fills a window with a function of the squared distances of its rows and its columns. Two buffers are recycled.
pub(crate) fn sweep<T: Scalar, F: OfSquaredDistance<T>>(
    function: F,
    rows: Coordinates<'_, T>,
    cols: Coordinates<'_, T>,
    out: &mut Window<'_, T>,
    order: Order,
    buffers: [Vec<T>; 2],
) -> [Vec<T>; 2] {
    super::with_simd(Sweep { function, rows, cols, out, order, buffers })
}

struct Sweep<'r, 'c, 'o, 'w, T, F> {
    function: F,
    rows: Coordinates<'r, T>,
    cols: Coordinates<'c, T>,
    out: &'o mut Window<'w, T>,
    order: Order,
    buffers: [Vec<T>; 2],
}

impl<T: Scalar, F: OfSquaredDistance<T>> WithSimd for Sweep<'_, '_, '_, '_, T, F> {
    type Output = [Vec<T>; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [Vec<T>; 2] {
        let Self { function, rows, cols, out, order, buffers: [in_rows, in_cols] } = self;
        let width = ROWS * T::Vector::<S>::LEN;
        let (rows, cols) = (Groups::new(in_rows, width, rows), Groups::new(in_cols, QUAD, cols));
        // Blocks of rows whose coordinates stay near; by blocks of columns too, where these are mirrored from there.
        let (height, breadth) = if order.mirrored {
            (BLOCK.0 / width, BLOCK.1 / QUAD)
        } else {
            ((NEAR / (width * size_of::<T>() * rows.dim().max(1))).max(4), cols.groups())
        };
        let zero = [T::Vector::<S>::splat(simd, T::from_f64(0.0)); ROWS * QUAD];
        for panels in blocks(rows.groups(), height) {
            for quads in blocks(cols.groups(), breadth) {
                let first = (panels.start * width, quads.start * QUAD);
                if order.mirrored && first.1 >= panels.end * width {
                    break;
                }
                for quad in quads.clone() {
                    let y = cols.group(quad);
                    for panel in panels.clone() {
                        let x = rows.group(panel);
                        let values = function.value(Many(squared_distances(zero, x, y))).0;
                        let (row, col) = (panel * width, quad * QUAD);
                        // The next columns come from memory while these are computed.
                        if order.ahead {
                            out.prefetch::<QUAD>(col + QUAD, row);
                        }
                        let (height, count) = (width.min(rows.points() - row), QUAD.min(cols.points() - col));
                        let (lines, _) = values.as_chunks::<ROWS>();
                        if height == width && count == QUAD {
                            for (line, out) in lines.iter().zip(out.columns::<QUAD>(col, row, width)) {
                                Many(*line).write(out);
                            }
                        } else {
                            for (line, col) in lines.iter().zip(col..col + count) {
                                Many(*line).write(out.part(col, row, height));
                            }
                        }
                    }
                }
                if order.mirrored && first.1 < first.0 {
                    mirror(
                        out,
                        first.0..rows.points().min(panels.end * width),
                        first.1..quads.end * QUAD,
                        order.past_caches,
                    );
                }
            }
        }
        [rows.into_buffer(), cols.into_buffer()]
    }
}

/// Ranges of so many of a number of groups.
#[inline(always)]
fn blocks(groups: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..groups).step_by(step.max(1)).map(move |first| first..groups.min(first + step))
}

/// The squared distances of a panel of rows and a quad of columns, by columns.
#[inline(always)]
pub(super) fn squared_distances<T: Scalar, V: Lanes<T>>(
    mut sums: [V; ROWS * QUAD],
    x: &[T],
    y: &[T],
) -> [V; ROWS * QUAD] {
    for (x, y) in x.chunks_exact(ROWS * V::LEN).zip(y.chunks_exact(QUAD)) {
        let (a, b) = (sums[0].read(&x[..V::LEN]), sums[0].read(&x[V::LEN..]));
        for c in 0..QUAD {
            let y = a.all(y[c]);
            let (in_a, in_b) = (a - y, b - y);
            sums[c * ROWS] = in_a.mul_add(in_a, sums[c * ROWS]);
            sums[c * ROWS + 1] = in_b.mul_add(in_b, sums[c * ROWS + 1]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::under_each;

    #[derive(Clone, Copy)]
    struct HalfAndOne;

    impl<T: Scalar> OfSquaredDistance<T> for HalfAndOne {
        #[inline(always)]
        fn value<L: Lanes<T>>(self, squared: L) -> L {
            squared * 0.5 + 1.0
        }
    }

    /// Points by columns.
    #[derive(Clone)]
    struct Points<T>(Vec<Vec<T>>);

    impl<T: Scalar> Points<T> {
        fn new(points: usize, dim: usize, seed: f64) -> Self {
            let at = |point: usize, d: usize| (seed + 1.7 * point as f64 + 0.9 * d as f64).sin() * 3.0;
            Self((0..dim).map(|d| (0..points).map(|point| T::from_f64(at(point, d))).collect()).collect())
        }

        fn len(&self) -> usize {
            self.0[0].len()
        }
    }

    #[derive(Clone)]
    struct Run<T> {
        x: Points<T>,
        y: Points<T>,
        mirrored: bool,
        /// Rows between two columns beyond those that are written.
        gap: usize,
    }

    impl<T: Scalar> WithSimd for Run<T> {
        type Output = Vec<T>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
            let Self { x, y, mirrored, gap } = self;
            let (of_x, of_y) = (|d: usize| &x.0[d][..], |d: usize| &y.0[d][..]);
            let rows = Coordinates { points: x.len(), dim: x.0.len(), column: &of_x };
            let cols = Coordinates { points: y.len(), dim: y.0.len(), column: &of_y };
            let stride = x.len() + gap;
            let mut matrix = vec![T::from_f64(-7.0); stride * y.len()];
            let whole = faer::MatMut::from_column_major_slice_mut(&mut matrix, stride, y.len());
            if let Some(mut out) = Window::new(whole.subrows_mut(0, x.len())) {
                let order = Order { mirrored, past_caches: gap == 0, ahead: gap == 0 };
                let sweep =
                    Sweep { function: HalfAndOne, rows, cols, out: &mut out, order, buffers: Default::default() };
                sweep.with_simd(simd);
            }
            matrix
        }
    }

    fn check<T: Scalar>() {
        let epsilon = <T as num_traits::Float>::epsilon().as_f64();
        for (n, m, dim, gap) in
            [(1, 1, 1, 0), (3, 5, 2, 1), (16, 4, 1, 0), (37, 70, 3, 3), (70, 37, 16, 0), (131, 9, 5, 5)]
        {
            let (x, y) = (Points::<T>::new(n, dim, 0.1), Points::<T>::new(m, dim, 0.7));
            for found in under_each(Run { x: x.clone(), y: y.clone(), mirrored: false, gap }) {
                for (col, column) in found.chunks_exact(n + gap).enumerate() {
                    for (row, value) in column[..n].iter().enumerate() {
                        let of = |d: usize| x.0[d][row].as_f64() - y.0[d][col].as_f64();
                        let exact = 1.0 + 0.5 * (0..dim).map(|d| of(d) * of(d)).sum::<f64>();
                        let bound = (dim as f64 + 4.0) * epsilon * exact;
                        assert!((value.as_f64() - exact).abs() <= bound, "({row}, {col}) of {n} x {m}, {dim}");
                    }
                    assert!(column[n..].iter().all(|value| value.as_f64() == -7.0), "beside {n} x {m}");
                }
            }
        }
    }

    #[test]
    fn every_shape_under_every_instruction_set() {
        check::<f32>();
        check::<f64>();
    }

    fn check_mirrored<T: Scalar>() {
        for (n, dim) in [(1, 1), (20, 3), (64, 2), (65, 1), (100, 16), (201, 4), (1100, 1)] {
            let x = Points::<T>::new(n, dim, 0.3);
            let run = |mirrored| under_each(Run { x: x.clone(), y: x.clone(), mirrored, gap: 0 });
            let bits = |matrix: &[T]| matrix.iter().map(|value| value.as_f64().to_bits()).collect::<Vec<_>>();
            for (mirrored, whole) in run(true).iter().zip(run(false)) {
                assert!(bits(mirrored) == bits(&whole), "{n} points, {dim} dimensions");
            }
        }
    }

    #[test]
    fn half_of_a_matrix_is_the_mirror_image_of_the_other() {
        check_mirrored::<f32>();
        check_mirrored::<f64>();
    }
}
