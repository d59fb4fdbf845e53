//! Gradients of functions of the squared distances of two sets of points, given the cotangents of their values.

use pulp::{Simd, WithSimd};

use super::cotangents::Ahead;
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

/// A function of the squared distance of two points, times a factor, and its gradient in that distance. All functions are
/// free of branches, and `#[inline(always)]`.
pub(crate) trait GradientInSquaredDistance<T: Scalar>: Copy {
    /// Whether the slope follows from the value alone: values that are known save their evaluation.
    const FROM_VALUE: bool;

    /// Whether it is proportional to the value.
    const PROPORTIONAL: bool = false;

    /// The argument of the function: the distance in units of its own.
    fn argument<L: Lanes<T>>(self, squared: L) -> L;

    /// The value, without the factor, and the slope in the argument.
    fn value_and_slope<L: Lanes<T>>(self, argument: L) -> (L, L);

    /// The slope, given the value, if it follows from that.
    fn slope<L: Lanes<T>>(self, value: L) -> L;

    /// What a slope, without the factor and in the argument, is to be multiplied by, kept finite.
    fn unit(self) -> T;
}

/// Where cotangent · slope of all pairs goes.
#[derive(Debug)]
pub(crate) enum Sink<'a, T> {
    /// Nobody wants it.
    Nowhere,
    /// Times the unit, into a tile of the block's shape.
    Tile(&'a mut [T]),
    /// Both for each dimension d, or one, without the unit: Σ cotangent · slope · (x_d − y_d)² over all pairs, to be added to
    /// in slots; and Σ cotangent · slope · (x_d − y_d) over columns, one dimension after the other, whose length is a whole
    /// number of [`SLOTS`].
    Sums { moments: &'a mut [[T; SLOTS]], rows: &'a mut [T] },
}

/// Values of a block that are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a, T> {
    pub(crate) values: View<'a, T>,
    /// What they are to be multiplied by.
    pub(crate) factor: T,
}

/// The gradient on a block of pairs.
pub(crate) struct Gradient<'r, 'c, 'a, 'w, T, F> {
    pub(crate) function: F,
    pub(crate) rows: Coordinates<'r, T>,
    pub(crate) cols: Coordinates<'c, T>,
    pub(crate) cotangent: View<'a, T>,
    pub(crate) known: Option<Known<'a, T>>,
    /// What is read for the block that will come next: its memory is asked for meanwhile.
    pub(crate) next: Option<&'a Ahead<'w, T>>,
    /// Whether the first of the two sums is wanted.
    pub(crate) in_argument: bool,
    pub(crate) sink: Sink<'a, T>,
    /// To be recycled.
    pub(crate) buffers: [Vec<T>; 3],
}

impl<T: Scalar, F: GradientInSquaredDistance<T>> Gradient<'_, '_, '_, '_, T, F> {
    /// Hands cotangent · slope to the sink. Returns Σ cotangent · slope · argument and Σ cotangent · value over all pairs,
    /// without the factor, and the buffers.
    pub(crate) fn run(self) -> ([T; 2], [Vec<T>; 3]) {
        super::with_simd(self)
    }
}

impl<T: Scalar, F: GradientInSquaredDistance<T>> WithSimd for Gradient<'_, '_, '_, '_, T, F> {
    type Output = ([T; 2], [Vec<T>; 3]);

    // Pass by pass over a panel, whose numbers stay in the first-level cache: all in one loop would need more registers
    // than there are.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> ([T; 2], [Vec<T>; 3]) {
        let Self { function, rows, cols, cotangent, known, next, in_argument, mut sink, buffers } = self;
        let [in_rows, in_cols, mut room] = buffers;
        let line = Many([T::Vector::<S>::splat(simd, T::from_f64(0.0)); ROWS]);
        let width = Many::<T::Vector<S>, ROWS>::LEN;
        let (rows, cols) = (Groups::new(in_rows, width, rows), Groups::new(in_cols, QUAD, cols));
        let (count, len) = (cols.points(), cols.groups() * QUAD * width);
        room.resize(4 * len, T::from_f64(0.0));
        let mut slots = [[T::from_f64(0.0); SLOTS]; 2];
        let known = known.filter(|_| F::FROM_VALUE);
        for panel in 0..rows.groups() {
            let (x, row) = (rows.group(panel), panel * width);
            let (height, slot) = (width.min(rows.points() - row), row % SLOTS);
            let [arguments, values, slopes, weighed] = parts(&mut room, len);
            if in_argument || known.is_none() {
                let zero = [line.0[0]; ROWS * QUAD];
                for (quad, out) in (0..cols.groups()).zip((0..len).step_by(QUAD * width)) {
                    // A part with every tile, since the memory keeps pace with the computation then.
                    if let Some(next) = next {
                        next.prefetch(panel * cols.groups() + quad, rows.groups() * cols.groups());
                    }
                    let argument = function.argument(Many(squared_distances(zero, x, cols.group(quad))));
                    argument.write(&mut arguments[out..out + QUAD * width]);
                    if known.is_none() {
                        let (value, slope) = function.value_and_slope(argument);
                        value.write(&mut values[out..out + QUAD * width]);
                        if !F::FROM_VALUE {
                            slope.write(&mut slopes[out..out + QUAD * width]);
                        }
                    }
                }
            } else if let Some(next) = next {
                next.prefetch(panel, rows.groups());
            }

            let (view, first, factor) = match &known {
                Some(known) => (known.values, row, known.factor),
                None => (View::of_tile(values, width), 0, T::from_f64(1.0)),
            };
            // Beside values that there are, one that any function has, and not 0: its slope times 0 has to be 0.
            let mut beyond = [T::from_f64(0.0); SLOTS];
            beyond[height.min(SLOTS)..].fill(T::from_f64(1.0));
            let beyond = line.read(&beyond);
            let of_column = OfColumn { function, values: view, first, factor, cotangent, row };
            let mut value_sum = line.read(&slots[1][slot..slot + width]);
            if height == width {
                for (col, (out, slope)) in columns(weighed, slopes, width).take(count).enumerate() {
                    value_sum = of_column.weigh(line, (col, width), slope, out, (beyond, value_sum));
                }
            } else {
                for (col, (out, slope)) in columns(weighed, slopes, width).take(count).enumerate() {
                    value_sum = of_column.weigh(line, (col, height), slope, out, (beyond, value_sum));
                }
            }
            value_sum.write(&mut slots[1][slot..slot + width]);
            weighed[count * width..].fill(T::from_f64(0.0));

            if in_argument {
                let mut sum = line.read(&slots[0][slot..slot + width]);
                for (weighed, argument) in columns(weighed, arguments, width) {
                    sum = line.read(weighed).mul_add(line.read(argument), sum);
                }
                sum.write(&mut slots[0][slot..slot + width]);
            }
            match &mut sink {
                Sink::Nowhere => {}
                Sink::Tile(out) => {
                    let lines = out.chunks_exact_mut(rows.points()).zip(weighed.chunks_exact(width));
                    for (out, weighed) in lines {
                        let gradient = bounded(line.read(weighed) * line.all(function.unit()));
                        gradient.write(&mut out[row..row + height]);
                    }
                }
                Sink::Sums { moments, rows: in_rows } => {
                    let stride = in_rows.len() / rows.dim().max(1);
                    for (d, x) in x.chunks_exact(width).enumerate() {
                        let of_rows = in_rows.get_mut(d * stride + row..).and_then(|rows| rows.get_mut(..width));
                        let of_slots = moments.get_mut(d).map(|slots| &mut slots[slot..slot + width]);
                        add_sums(line, weighed, x, &cols, d, [of_rows, of_slots]);
                    }
                }
            }
        }
        (slots.map(by_halves), [rows.into_buffer(), cols.into_buffer(), room])
    }
}

/// Four parts of a buffer.
#[inline(always)]
fn parts<T>(room: &mut [T], len: usize) -> [&mut [T]; 4] {
    let (a, rest) = room.split_at_mut(len);
    let (b, rest) = rest.split_at_mut(len);
    let (c, d) = rest.split_at_mut(len);
    [a, b, c, d]
}

/// The columns of two parts.
#[inline(always)]
fn columns<'a, T>(first: &'a mut [T], second: &'a [T], width: usize) -> impl Iterator<Item = (&'a mut [T], &'a [T])> {
    first.chunks_exact_mut(width).zip(second.chunks_exact(width))
}

/// Kept from overflow, also where a thousand leaves add theirs, so that it gives 0 at r = 0; NaN for NaN.
#[inline(always)]
fn bounded<T: Scalar, L: Lanes<T>>(gradient: L) -> L {
    let largest = <T as num_traits::Float>::max_value() * T::from_f64(1.0 / 1024.0);
    -(-gradient.at_most(largest)).at_most(largest)
}

/// A column of a panel.
struct OfColumn<'a, T, F> {
    function: F,
    values: View<'a, T>,
    /// The row where the values of the panel begin.
    first: usize,
    factor: T,
    cotangent: View<'a, T>,
    /// The row where the cotangents begin.
    row: usize,
}

impl<T: Scalar, F: GradientInSquaredDistance<T>> OfColumn<'_, T, F> {
    /// Writes cotangent · slope, and adds cotangent · value.
    #[inline(always)]
    fn weigh<L: Lanes<T>>(
        &self,
        line: L,
        (col, height): (usize, usize),
        slope: &[T],
        out: &mut [T],
        (beyond, sum): (L, L),
    ) -> L {
        let cotangent = line.read(self.cotangent.part(col, self.row, height));
        let value = line.read(self.values.part(col, self.first, height));
        let value = if height == L::LEN { value } else { value + beyond };
        let value = value * line.all(self.factor);
        let slope = if F::FROM_VALUE { self.function.slope(value) } else { line.read(slope) };
        (cotangent * slope).write(out);
        cotangent.mul_add(value, sum)
    }
}

/// Adds weighed · (x − y) of a panel in one dimension to rows, and weighed · (x − y)² to slots. Even and odd columns are
/// summed apart, so that a sum does not wait for the one before.
#[inline(always)]
fn add_sums<T: Scalar, V: Lanes<T>>(
    line: Many<V, ROWS>,
    weighed: &[T],
    x: &[T],
    cols: &Groups<T>,
    dim: usize,
    [rows, slots]: [Option<&mut [T]>; 2],
) {
    let x = line.read(x);
    let zero = line.all(T::from_f64(0.0));
    let (mut of_rows, mut of_slots) = ([zero; 2], [zero; 2]);
    for (quad, weighed) in weighed.chunks_exact(QUAD * Many::<V, ROWS>::LEN).enumerate().take(cols.groups()) {
        let y = &cols.group(quad)[dim * QUAD..][..QUAD];
        for (c, (&y, weighed)) in y.iter().zip(weighed.chunks_exact(Many::<V, ROWS>::LEN)).enumerate() {
            let difference = x - line.all(y);
            let product = line.read(weighed) * difference;
            of_rows[c % 2] = of_rows[c % 2] + product;
            of_slots[c % 2] = product.mul_add(difference, of_slots[c % 2]);
        }
    }
    for (out, [even, odd]) in [(rows, of_rows), (slots, of_slots)] {
        if let Some(out) = out {
            (zero.read(out) + (even + odd)).write(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::under_each;

    /// ½ s² + s, for s = 2 r².
    #[derive(Clone, Copy)]
    struct Square;

    impl<T: Scalar> GradientInSquaredDistance<T> for Square {
        const FROM_VALUE: bool = false;

        #[inline(always)]
        fn argument<L: Lanes<T>>(self, squared: L) -> L {
            squared * 2.0
        }

        #[inline(always)]
        fn value_and_slope<L: Lanes<T>>(self, s: L) -> (L, L) {
            ((s * 0.5 + 1.0) * s, s + 1.0)
        }

        #[inline(always)]
        fn slope<L: Lanes<T>>(self, value: L) -> L {
            // Nobody asks.
            value.all(T::nan())
        }

        #[inline(always)]
        fn unit(self) -> T {
            T::from_f64(2.0)
        }
    }

    /// √(1 + s), for s = r²/2.
    #[derive(Clone, Copy)]
    struct Root;

    impl<T: Scalar> GradientInSquaredDistance<T> for Root {
        const FROM_VALUE: bool = true;

        #[inline(always)]
        fn argument<L: Lanes<T>>(self, squared: L) -> L {
            squared * 0.5
        }

        #[inline(always)]
        fn value_and_slope<L: Lanes<T>>(self, s: L) -> (L, L) {
            let value = (s + 1.0).sqrt();
            (value, value.recip() * 0.5)
        }

        #[inline(always)]
        fn slope<L: Lanes<T>>(self, value: L) -> L {
            // Infinite at 0, which no value is.
            value.recip() * 0.5
        }

        #[inline(always)]
        fn unit(self) -> T {
            T::from_f64(0.5)
        }
    }

    #[derive(Clone)]
    struct Run<T, F> {
        function: F,
        x: Vec<Vec<T>>,
        y: Vec<Vec<T>>,
        cotangent: Vec<T>,
        /// The values of all pairs, times 4.
        known: Option<Vec<T>>,
    }

    impl<T: Scalar, F: GradientInSquaredDistance<T>> WithSimd for Run<T, F> {
        /// The sums, the gradients of all pairs, and the moments with the sums by row.
        type Output = ([T; 2], Vec<T>, Vec<T>);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let Self { function, x, y, cotangent, known } = &self;
            let (of_x, of_y) = (|d: usize| &x[d][..], |d: usize| &y[d][..]);
            // What a buffer held before must not matter.
            let mut room = vec![T::nan(); 7];
            let mut run = |in_argument, sink: Sink<'_, T>| {
                let rows = Coordinates { points: x[0].len(), dim: x.len(), column: &of_x };
                let cols = Coordinates { points: y[0].len(), dim: y.len(), column: &of_y };
                let view = |tile| View::of_tile(tile, x[0].len());
                let known = known.as_ref().map(|known| Known { values: view(known), factor: T::from_f64(0.25) });
                let (cotangent, function) = (view(cotangent), *function);
                room.fill(T::nan());
                let buffers = [Vec::new(), Vec::new(), std::mem::take(&mut room)];
                let gradient =
                    Gradient { function, rows, cols, cotangent, known, next: None, in_argument, sink, buffers };
                let (sums, [_, _, back]) = gradient.with_simd(simd);
                room = back;
                sums
            };
            let sums = run(true, Sink::Nowhere);
            assert_eq!(run(false, Sink::Nowhere), [T::from_f64(0.0), sums[1]]);
            let mut gradients = vec![T::from_f64(0.0); cotangent.len()];
            assert_eq!(run(true, Sink::Tile(&mut gradients)), sums);
            let mut moments = vec![[T::from_f64(0.0); SLOTS]; x.len()];
            assert_eq!(run(true, Sink::Sums { moments: &mut moments, rows: &mut [] }), sums);
            let mut rows = vec![T::from_f64(0.0); x[0].len().next_multiple_of(SLOTS) * x.len()];
            assert_eq!(run(true, Sink::Sums { moments: &mut [], rows: &mut rows }), sums);
            let mut again = vec![[T::from_f64(0.0); SLOTS]; x.len()];
            let mut same = vec![T::from_f64(0.0); rows.len()];
            run(false, Sink::Sums { moments: &mut again, rows: &mut same });
            assert!(again == moments && same == rows);
            (sums, gradients, moments.into_iter().map(by_halves).chain(rows).collect())
        }
    }

    /// `of` gives the argument, the value and the slope from the squared distance.
    fn check<T: Scalar, F: GradientInSquaredDistance<T>>(function: F, of: fn(f64) -> [f64; 3], with_values: bool) {
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
            let (mut gradients, mut values) = (Vec::new(), Vec::new());
            for (pair, w) in cotangent.iter().map(|w| w.as_f64()).enumerate() {
                let difference = |d: usize| x[d][pair % n].as_f64() - y[d][pair / n].as_f64();
                let [s, value, slope] = of((0..dim).map(|d| difference(d).powi(2)).sum());
                values.push(T::from_f64(4.0 * value));
                gradients.push(w * slope * function.unit().as_f64());
                sums = [sums[0] + w * slope * s, sums[1] + w * value];
                size += (w * slope * s).abs() + (w * value).abs();
                (0..dim).for_each(|d| moments[d] += w * slope * difference(d).powi(2));
                (0..dim).for_each(|d| moments[dim + d * stride + pair % n] += w * slope * difference(d));
            }
            let known = with_values.then_some(values);
            let found = under_each(Run { function, x, y, cotangent, known });
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
        let square = |squared: f64| [2.0 * squared, (squared + 1.0) * 2.0 * squared, 2.0 * squared + 1.0];
        check::<f32, _>(Square, square, false);
        check::<f64, _>(Square, square, false);
    }

    #[test]
    fn the_same_from_values_that_are_known() {
        let root = |squared: f64| {
            let value = (1.0 + 0.5 * squared).sqrt();
            [0.5 * squared, value, 0.5 / value]
        };
        for with_values in [false, true] {
            check::<f32, _>(Root, root, with_values);
            check::<f64, _>(Root, root, with_values);
        }
    }
}
