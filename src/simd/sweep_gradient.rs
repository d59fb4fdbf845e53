//! Gradients of functions of the squared distances of two sets of points, given the cotangents of their values.

use pulp::{Simd, WithSimd};

use super::cotangents::Weights;
use super::groups::{Coordinates, Groups};
use super::lanes::{Lanes, Many};
use super::sum::by_halves;
use super::sweep::{QUAD, ROWS, squared_distances};
use super::vector::Vector;
use super::window::View;
use crate::Scalar;

/// How many sums are kept apart, by the row: twice as many numbers as the widest register has, so that they are the same whatever
/// the register.
pub(crate) const SLOTS: usize = 32;

/// The gradient of a function of the squared distance of two points.
pub(crate) trait GradientInSquaredDistance<T: Scalar>: Copy {
    /// Of a value with a cotangent: cotangent · slope, and two numbers to be summed over all pairs. All are
    /// zero if the cotangent is. Free of branches, and `#[inline(always)]`.
    fn weigh<L: Lanes<T>>(self, squared: L, cotangent: L) -> (L, [L; 2]);
}

/// Where the gradients of all pairs go, cotangent · slope.
#[derive(Debug)]
pub(crate) enum Sink<'a, T> {
    /// Nobody wants them.
    Nowhere,
    /// A tile of the block's shape.
    Tile(&'a mut [T]),
    /// Both for each dimension d, or one: Σ gradient · (x_d − y_d)² over all pairs, to be added to in slots; and
    /// Σ gradient · (x_d − y_d) over columns, one dimension after the other, whose length is a whole number of [`SLOTS`].
    Sums { moments: &'a mut [[T; SLOTS]], rows: &'a mut [T] },
}

/// The gradient on a block of pairs.
pub(crate) struct Gradient<'r, 'c, 'a, 'w, T, F> {
    pub(crate) function: F,
    pub(crate) rows: Coordinates<'r, T>,
    pub(crate) cols: Coordinates<'c, T>,
    pub(crate) cotangent: View<'a, T>,
    /// The cotangents of the block that will come next: their memory is asked for meanwhile.
    pub(crate) next: Option<&'a Weights<'w, T>>,
    pub(crate) sink: Sink<'a, T>,
    /// To be recycled.
    pub(crate) buffers: [Vec<T>; 2],
}

impl<T: Scalar, F: GradientInSquaredDistance<T>> Gradient<'_, '_, '_, '_, T, F> {
    /// Hands the gradients to the sink; returns what is summed, and the buffers.
    pub(crate) fn run(self) -> ([T; 2], [Vec<T>; 2]) {
        super::with_simd(self)
    }
}

impl<T: Scalar, F: GradientInSquaredDistance<T>> WithSimd for Gradient<'_, '_, '_, '_, T, F> {
    type Output = ([T; 2], [Vec<T>; 2]);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> ([T; 2], [Vec<T>; 2]) {
        let Self { function, rows, cols, cotangent, next, mut sink, buffers: [in_rows, in_cols] } = self;
        let len = T::Vector::<S>::LEN;
        let width = ROWS * len;
        let (rows, cols) = (Groups::new(in_rows, width, rows), Groups::new(in_cols, QUAD, cols));
        let zero = T::Vector::<S>::splat(simd, T::from_f64(0.0));
        let mut slots = [[T::from_f64(0.0); SLOTS]; 2];
        let (mut part, parts) = (0, rows.groups() * cols.groups());
        for panel in 0..rows.groups() {
            let x = rows.group(panel);
            let row = panel * width;
            let (height, slot) = (width.min(rows.points() - row), row % SLOTS);
            let mut sums = [[zero; ROWS]; 2];
            for (sums, slots) in sums.iter_mut().zip(&slots) {
                *sums = Many(*sums).read(&slots[slot..slot + width]).0;
            }
            for quad in 0..cols.groups() {
                // A part with every tile, since the memory keeps pace with the computation then.
                if let Some(next) = next {
                    next.prefetch(part, parts);
                }
                part += 1;
                let y = cols.group(quad);
                let squared = squared_distances([zero; ROWS * QUAD], x, y);
                let columns = quad * QUAD..cols.points().min((quad + 1) * QUAD);
                let mut cotangents = [zero; ROWS * QUAD];
                for (line, col) in cotangents.as_chunks_mut::<ROWS>().0.iter_mut().zip(columns.clone()) {
                    *line = Many(*line).read(cotangent.part(col, row, height)).0;
                }
                let (Many(gradients), [Many(first), Many(second)]) = function.weigh(Many(squared), Many(cotangents));
                for c in 0..QUAD {
                    for r in 0..ROWS {
                        sums[0][r] = sums[0][r] + first[c * ROWS + r];
                        sums[1][r] = sums[1][r] + second[c * ROWS + r];
                    }
                }
                match &mut sink {
                    Sink::Nowhere => {}
                    Sink::Tile(out) => {
                        for (line, col) in gradients.as_chunks::<ROWS>().0.iter().zip(columns) {
                            Many(*line).write(&mut out[col * rows.points() + row..][..height]);
                        }
                    }
                    Sink::Sums { moments, rows: in_rows } => {
                        let stride = in_rows.len() / rows.dim().max(1);
                        for (d, (x, y)) in x.chunks_exact(width).zip(y.chunks_exact(QUAD)).enumerate() {
                            let in_rows = in_rows.get_mut(d * stride + row..).and_then(|rows| rows.get_mut(..width));
                            let slots = moments.get_mut(d).map(|slots| &mut slots[slot..slot + width]);
                            add_sums(gradients, x, y, in_rows, slots);
                        }
                    }
                }
            }
            for (sums, slots) in sums.into_iter().zip(&mut slots) {
                Many(sums).write(&mut slots[slot..slot + width]);
            }
        }
        (slots.map(by_halves), [rows.into_buffer(), cols.into_buffer()])
    }
}

/// Adds gradient · (x − y) of a tile in one dimension to rows, and gradient · (x − y)² to slots.
#[inline(always)]
fn add_sums<T: Scalar, V: Lanes<T>>(
    gradients: [V; ROWS * QUAD],
    x: &[T],
    y: &[T],
    rows: Option<&mut [T]>,
    slots: Option<&mut [T]>,
) {
    let lines = Many([gradients[0]; ROWS]);
    let x = lines.read(x);
    let zero = lines.all(T::from_f64(0.0));
    let mut of_rows = rows.as_ref().map_or(zero, |rows| zero.read(rows));
    let mut of_slots = slots.as_ref().map_or(zero, |slots| zero.read(slots));
    for (&y, gradients) in y.iter().zip(gradients.as_chunks::<ROWS>().0) {
        let difference = x - lines.all(y);
        let product = Many(*gradients) * difference;
        of_rows = of_rows + product;
        of_slots = product.mul_add(difference, of_slots);
    }
    if let Some(rows) = rows {
        of_rows.write(rows);
    }
    if let Some(slots) = slots {
        of_slots.write(slots);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::under_each;

    /// Of ½ s² + s.
    #[derive(Clone, Copy)]
    struct Square;

    impl<T: Scalar> GradientInSquaredDistance<T> for Square {
        #[inline(always)]
        fn weigh<L: Lanes<T>>(self, squared: L, cotangent: L) -> (L, [L; 2]) {
            let gradient = cotangent * (squared + 1.0);
            (gradient, [gradient * squared, cotangent * squared])
        }
    }

    #[derive(Clone)]
    struct Run<T> {
        x: Vec<Vec<T>>,
        y: Vec<Vec<T>>,
        cotangent: Vec<T>,
    }

    impl<T: Scalar> WithSimd for Run<T> {
        /// The sums, the gradients of all pairs, and the moments with the sums by row.
        type Output = ([T; 2], Vec<T>, Vec<T>);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let Self { x, y, cotangent } = &self;
            let (of_x, of_y) = (|d: usize| &x[d][..], |d: usize| &y[d][..]);
            let run = |sink: Sink<'_, T>| {
                let rows = Coordinates { points: x[0].len(), dim: x.len(), column: &of_x };
                let cols = Coordinates { points: y[0].len(), dim: y.len(), column: &of_y };
                let cotangent = View::of_tile(cotangent, x[0].len());
                let buffers = Default::default();
                Gradient { function: Square, rows, cols, cotangent, next: None, sink, buffers }.with_simd(simd).0
            };
            let sums = run(Sink::Nowhere);
            let mut gradients = vec![T::from_f64(0.0); cotangent.len()];
            assert_eq!(run(Sink::Tile(&mut gradients)), sums);
            let mut moments = vec![[T::from_f64(0.0); SLOTS]; x.len()];
            assert_eq!(run(Sink::Sums { moments: &mut moments, rows: &mut [] }), sums);
            let mut rows = vec![T::from_f64(0.0); x[0].len().next_multiple_of(SLOTS) * x.len()];
            assert_eq!(run(Sink::Sums { moments: &mut [], rows: &mut rows }), sums);
            let mut again = vec![[T::from_f64(0.0); SLOTS]; x.len()];
            let mut same = vec![T::from_f64(0.0); rows.len()];
            run(Sink::Sums { moments: &mut again, rows: &mut same });
            assert!(again == moments && same == rows);
            (sums, gradients, moments.into_iter().map(by_halves).chain(rows).collect())
        }
    }

    fn check<T: Scalar>() {
        let epsilon = <T as num_traits::Float>::epsilon().as_f64();
        for (n, m, dim) in [(1, 1, 1), (5, 3, 2), (64, 32, 1), (37, 30, 3), (61, 7, 16)] {
            let points = |count: usize, seed: f64| -> Vec<Vec<T>> {
                let at = |point: usize, d: usize| T::from_f64((seed + 1.7 * point as f64 + 0.9 * d as f64).sin());
                (0..dim).map(|d| (0..count).map(|point| at(point, d)).collect()).collect()
            };
            let (x, y) = (points(n, 0.1), points(m, 0.7));
            let cotangent: Vec<T> = (0..n * m).map(|pair| T::from_f64((pair as f64 * 0.61).sin())).collect();
            let stride = n.next_multiple_of(SLOTS);
            let (mut sums, mut moments, mut size) = ([0.0; 2], vec![0.0; dim + stride * dim], 0.0);
            let mut gradients = Vec::new();
            for (pair, w) in cotangent.iter().map(|w| w.as_f64()).enumerate() {
                let difference = |d: usize| x[d][pair % n].as_f64() - y[d][pair / n].as_f64();
                let of = |d: usize| difference(d).powi(2);
                let s: f64 = (0..dim).map(of).sum();
                gradients.push(w * (s + 1.0));
                sums = [sums[0] + w * (s + 1.0) * s, sums[1] + w * s];
                size += (w * (s + 1.0) * s).abs();
                (0..dim).for_each(|d| moments[d] += w * (s + 1.0) * of(d));
                (0..dim).for_each(|d| moments[dim + d * stride + pair % n] += w * (s + 1.0) * difference(d));
            }
            let found = under_each(Run { x, y, cotangent });
            for (own, of_pairs, in_dims) in &found {
                let close = |found: T, exact: f64| (found.as_f64() - exact).abs() <= 40.0 * epsilon * (1.0 + size);
                assert!(own.iter().zip(sums).all(|(&found, exact)| close(found, exact)), "{n} x {m}, {dim}");
                assert!(
                    of_pairs.iter().zip(&gradients).all(|(&found, &exact)| close(found, exact)),
                    "{n} x {m}, {dim}"
                );
                assert!(in_dims.iter().zip(&moments).all(|(&found, &exact)| close(found, exact)), "{n} x {m}, {dim}");
            }
            // The same bits in registers of any width.
            assert!(found[1..].iter().all(|all| *all == found[1]), "{n} x {m}, {dim}");
        }
    }

    #[test]
    fn sums_gradients_and_moments_under_every_instruction_set() {
        check::<f32>();
        check::<f64>();
    }
}
