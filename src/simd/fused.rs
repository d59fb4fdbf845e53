//! Functions of squared distances, written straight into a matrix and its mirror image, and their
//! gradients, with cotangents read straight from there.
//!
//! Distance, function, transposition and both stores of a small block stay in registers. What this
//! saves beside the copy is waiting: a store to memory that is not in the first-level cache takes as
//! long as an exponential, and the processor can do both at once only if they stand close together.

#[cfg(target_arch = "x86_64")]
use pulp::NullaryFnOnce;

use super::pairs::{GROUP, Packed};
#[cfg(target_arch = "x86_64")]
use super::sum::lane_sum;
#[cfg(target_arch = "x86_64")]
use super::transpose::Block;
use super::lanes::{Lanes, One};
use super::window::{View, Window};
use crate::Scalar;

/// The gradient of a function of the squared distance of two points.
pub trait GradientInSquaredDistance<T: Scalar>: Copy {
    /// Of a value with a cotangent: cotangent · slope, and two numbers to be summed over all pairs. All are
    /// zero if the cotangent is. Called in vectorised loops: free of branches, and `#[inline(always)]`.
    fn weigh<L: Lanes<T>>(self, squared: L, cotangent: L) -> (L, [L; 2]);
}

/// Where the cotangents of a block are.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T> {
    pub(crate) block: View<'a, T>,
    /// Those of the mirror image, to be added.
    pub(crate) mirrored: Option<View<'a, T>>,
}

impl<T> Weights<'_, T> {
    /// Asks for their memory.
    pub(crate) fn prefetch(&self) {
        self.prefetch_part(0, 1);
    }

    #[inline(always)]
    fn prefetch_part(&self, part: usize, parts: usize) {
        self.block.prefetch(part, parts);
        if let Some(mirrored) = &self.mirrored {
            mirrored.prefetch(part, parts);
        }
    }
}

/// Where the gradients of all pairs go, cotangent · slope.
#[derive(Debug)]
pub enum Sink<'a, T> {
    /// Nobody wants them.
    Nowhere,
    /// A tile of the block's shape.
    Tile(Window<'a, T>),
    /// Σ gradient · (x_d − y_d)² for each dimension d, to be added to lane by lane.
    Moments(&'a mut [[T; GROUP]]),
}

/// The squared distances of the first `SIDE` rows and `TOGETHER` columns that are given: as many as fit
/// the registers, so that each coordinate is loaded once for several pairs.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn squared_distances<T: Scalar, const SIDE: usize, const TOGETHER: usize>(
    x: &[T],
    y: &[T],
    dim: usize,
    y_stride: usize,
) -> [[T; SIDE]; TOGETHER] {
    let mut sums = [[T::from_f64(0.0); SIDE]; TOGETHER];
    for d in 0..dim {
        let (Some(x), Some(y)) = (x[d * GROUP..].first_chunk::<SIDE>(), y[d * y_stride..].first_chunk::<TOGETHER>())
        else {
            return sums;
        };
        for c in 0..TOGETHER {
            for r in 0..SIDE {
                let difference = x[r] - y[c];
                sums[c][r] = difference.lane_mul_add::<true>(difference, sums[c][r]);
            }
        }
    }
    sums
}

/// Writes the valid part of a block, given as first row and height, first column and width.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn write<T: Scalar, const SIDE: usize>(
    block: &[[T; SIDE]; SIDE],
    window: &mut Window<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
) {
    // Whole lines apart from the others: their constant length makes them single registers.
    if height == SIDE {
        for (c, values) in block.iter().enumerate().take(width) {
            let out = window.line::<SIDE>(col + c, row);
            *out = *values;
        }
    } else {
        for (c, values) in block.iter().enumerate().take(width) {
            window.part(col + c, row, height).copy_from_slice(&values[..height]);
        }
    }
}

/// A block of cotangents, given as first row and height, first column and width; zero beyond.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn read<S: Block<T, SIDE>, T: Scalar, const SIDE: usize>(
    simd: S,
    weights: &Weights<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
) -> [[T; SIDE]; SIDE] {
    let mut block = read_lines(&weights.block, (row, height), (col, width));
    if let Some(mirrored) = &weights.mirrored {
        let image = simd.transpose(read_lines(mirrored, (col, width), (row, height)));
        for (out, image) in block.as_flattened_mut().iter_mut().zip(image.as_flattened()) {
            *out += *image;
        }
    }
    block
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn read_lines<T: Scalar, const SIDE: usize>(
    view: &View<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
) -> [[T; SIDE]; SIDE] {
    let mut block = [[T::from_f64(0.0); SIDE]; SIDE];
    if height == SIDE {
        for (c, line) in block.iter_mut().enumerate().take(width) {
            *line = *view.line::<SIDE>(col + c, row);
        }
    } else {
        for (c, line) in block.iter_mut().enumerate().take(width) {
            line[..height].copy_from_slice(view.part(col + c, row, height));
        }
    }
    block
}

#[cfg(target_arch = "x86_64")]
struct FusedGradient<'a, 'w, S, T, F, const SIDE: usize, const TOGETHER: usize> {
    simd: S,
    function: F,
    packed: &'a Packed<T>,
    weights: &'a Weights<'w, T>,
    /// The cotangents of the block that will come next: their memory is asked for meanwhile.
    next: Option<&'a Weights<'w, T>>,
    sink: Sink<'a, T>,
}

#[cfg(target_arch = "x86_64")]
impl<S, T: Scalar, F: GradientInSquaredDistance<T>, const SIDE: usize, const TOGETHER: usize> NullaryFnOnce
    for FusedGradient<'_, '_, S, T, F, SIDE, TOGETHER>
where
    S: Block<T, SIDE>,
{
    type Output = [T; 2];

    #[inline(always)]
    fn call(mut self) -> [T; 2] {
        let (x, y) = self.packed.split();
        let (rows, cols, dim, y_stride) = (self.packed.rows, self.packed.cols, self.packed.dim, self.packed.y_stride());
        let zero = T::from_f64(0.0);
        // In lanes that do not depend on the width of the registers.
        let mut sums = [[zero; GROUP]; 2];
        let (mut part, parts) = (0, rows.div_ceil(SIDE) * cols.div_ceil(SIDE));
        for row in (0..rows).step_by(SIDE) {
            let height = SIDE.min(rows - row);
            let x = &x[row / GROUP * GROUP * dim + row % GROUP..];
            for col in (0..cols).step_by(SIDE) {
                let width = SIDE.min(cols - col);
                // Column by column, since each stands on a page of its own; a part with every block, since
                // the memory keeps pace with the computation then.
                if let Some(next) = self.next {
                    next.prefetch_part(part, parts);
                }
                part += 1;
                let cotangent = read(self.simd, self.weights, (row, height), (col, width));
                let mut block = [[zero; SIDE]; SIDE];
                let (blocks, _) = block.as_chunks_mut::<TOGETHER>();
                for (index, squared) in blocks.iter_mut().enumerate() {
                    *squared = squared_distances(x, &y[col + index * TOGETHER..], dim, y_stride);
                }
                let [first, second] = &mut sums;
                let (Some(first), Some(second)) =
                    (first[row % GROUP..].first_chunk_mut::<SIDE>(), second[row % GROUP..].first_chunk_mut::<SIDE>())
                else {
                    continue;
                };
                let (mut a, mut b) = (*first, *second);
                for (line, cotangent) in block.iter_mut().zip(&cotangent) {
                    for lane in 0..SIDE {
                        let (squared, cotangent) = (One::<T, true>(line[lane]), One(cotangent[lane]));
                        let (gradient, terms) = self.function.weigh(squared, cotangent);
                        line[lane] = gradient.0;
                        a[lane] += terms[0].0;
                        b[lane] += terms[1].0;
                    }
                }
                (*first, *second) = (a, b);
                match &mut self.sink {
                    Sink::Nowhere => {}
                    Sink::Tile(out) => {
                        write(&block, out, (row, height), (col, width));
                    }
                    Sink::Moments(moments) => {
                        add_moments(&block, x, &y[col..], (dim, y_stride), row % GROUP, moments);
                    }
                }
            }
        }
        let [a, b] = sums;
        [lane_sum([&a], |[sum]| sum), lane_sum([&b], |[sum]| sum)]
    }
}

/// Adds gradient · (x − y)² of a block to the sums of each dimension, in the lanes of its rows.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add_moments<T: Scalar, const SIDE: usize>(
    gradient: &[[T; SIDE]; SIDE],
    x: &[T],
    y: &[T],
    (dim, y_stride): (usize, usize),
    lane: usize,
    moments: &mut [[T; GROUP]],
) {
    for (d, sums) in moments.iter_mut().enumerate().take(dim) {
        let (Some(x), Some(y), Some(sums)) = (
            x[d * GROUP..].first_chunk::<SIDE>(),
            y[d * y_stride..].first_chunk::<SIDE>(),
            sums[lane..].first_chunk_mut::<SIDE>(),
        ) else {
            return;
        };
        // By value, which the compiler keeps in a register; through the reference it would store every sum.
        let (x, mut total) = (*x, *sums);
        for c in 0..SIDE {
            for r in 0..SIDE {
                let difference = x[r] - y[c];
                total[r] = (gradient[c][r] * difference).lane_mul_add::<true>(difference, total[r]);
            }
        }
        *sums = total;
    }
}

#[cfg(target_arch = "x86_64")]
struct Read<'a, 'w, S, T, const SIDE: usize> {
    simd: S,
    weights: &'a Weights<'w, T>,
    rows: usize,
    cols: usize,
    out: Window<'a, T>,
}

#[cfg(target_arch = "x86_64")]
impl<S: Block<T, SIDE>, T: Scalar, const SIDE: usize> NullaryFnOnce for Read<'_, '_, S, T, SIDE> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        for row in (0..self.rows).step_by(SIDE) {
            let height = SIDE.min(self.rows - row);
            for col in (0..self.cols).step_by(SIDE) {
                let width = SIDE.min(self.cols - col);
                let block = read(self.simd, self.weights, (row, height), (col, width));
                write(&block, &mut self.out, (row, height), (col, width));
            }
        }
    }
}

/// The functions that [`Scalar`] selects, where this machine has the registers for them; each says whether
/// it did its work.
macro_rules! fused {
    ($gradient:ident, $read:ident, $type:ty, $half:literal, $whole:literal, $together:literal) => {
        /// Hands the gradients of a function to a sink, and returns what is summed.
        pub(crate) fn $gradient<F: GradientInSquaredDistance<$type>>(
            function: F,
            packed: &Packed<$type>,
            weights: &Weights<'_, $type>,
            next: Option<&Weights<'_, $type>>,
            sink: Sink<'_, $type>,
        ) -> Option<[$type; 2]> {
            #[cfg(target_arch = "x86_64")]
            {
                if let Some(simd) = crate::simd::level::v4() {
                    return Some(simd.vectorize(FusedGradient::<_, $type, F, $whole, $together> {
                        simd,
                        function,
                        packed,
                        weights,
                        next,
                        sink,
                    }));
                }
                if let Some(simd) = crate::simd::level::v3() {
                    return Some(simd.vectorize(FusedGradient::<_, $type, F, $half, 4> {
                        simd,
                        function,
                        packed,
                        weights,
                        next,
                        sink,
                    }));
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = (function, packed, weights, next, sink);
            None
        }

        /// Fills a tile with so many rows with the cotangents of a block.
        pub(crate) fn $read(weights: &Weights<'_, $type>, rows: usize, out: &mut [$type]) -> bool {
            #[cfg(target_arch = "x86_64")]
            {
                let cols = out.len() / rows.max(1);
                if let Some(simd) = crate::simd::level::v4() {
                    let out = Window::of_tile(out, rows);
                    simd.vectorize(Read::<_, $type, $whole> { simd, weights, rows, cols, out });
                    return true;
                }
                if let Some(simd) = crate::simd::level::v3() {
                    let out = Window::of_tile(out, rows);
                    simd.vectorize(Read::<_, $type, $half> { simd, weights, rows, cols, out });
                    return true;
                }
            }
            let _ = (weights, rows, out);
            false
        }
    };
}

fused!(fused_gradient_f32, read_f32, f32, 8, 16, 4);
fused!(fused_gradient_f64, read_f64, f64, 4, 8, 8);
