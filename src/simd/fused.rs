//! Functions of squared distances, written straight into a matrix and its mirror image.
//!
//! Distance, function, transposition and both stores of a small block stay in registers. What this
//! saves beside the copy is waiting: a store to memory that is not in the first-level cache takes as
//! long as an exponential, and the processor can do both at once only if they stand close together.

#[cfg(target_arch = "x86_64")]
use pulp::NullaryFnOnce;

#[cfg(target_arch = "x86_64")]
use super::pairs::GROUP;
use super::pairs::Packed;
#[cfg(target_arch = "x86_64")]
use super::transpose::Block;
use super::window::Window;
use crate::Scalar;

/// A function of the squared distance of two points.
pub trait OfSquaredDistance<T: Scalar>: Copy {
    /// Its value. Called in vectorised loops: free of branches, and `#[inline(always)]`.
    fn value<const FMA: bool>(self, squared: T) -> T;
}

/// Where the values of a block go.
#[derive(Debug)]
pub struct Windows<'a, T> {
    pub(crate) block: Window<'a, T>,
    /// The mirror image of the block, if it is wanted.
    pub(crate) mirrored: Option<Window<'a, T>>,
    /// Whether to write past the caches.
    pub(crate) past_caches: bool,
}

#[cfg(target_arch = "x86_64")]
struct Fused<'a, 'w, S, T, F, const SIDE: usize, const TOGETHER: usize> {
    simd: S,
    function: F,
    packed: &'a Packed<T>,
    windows: &'a mut Windows<'w, T>,
}

#[cfg(target_arch = "x86_64")]
impl<S: Block<T, SIDE>, T: Scalar, F: OfSquaredDistance<T>, const SIDE: usize, const TOGETHER: usize> NullaryFnOnce
    for Fused<'_, '_, S, T, F, SIDE, TOGETHER>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, function, packed, windows } = self;
        let (x, y) = packed.split();
        let (rows, cols, dim, y_stride) = (packed.rows, packed.cols, packed.dim, packed.y_stride());
        let past_caches = windows.past_caches
            && windows.block.is_aligned()
            && windows.mirrored.as_ref().is_none_or(Window::is_aligned);
        for row in (0..rows).step_by(SIDE) {
            let height = SIDE.min(rows - row);
            let x = &x[row / GROUP * GROUP * dim + row % GROUP..];
            for col in (0..cols).step_by(SIDE) {
                let width = SIDE.min(cols - col);
                let mut block = [[T::from_f64(0.0); SIDE]; SIDE];
                let (parts, _) = block.as_chunks_mut::<TOGETHER>();
                for (part, sums) in parts.iter_mut().enumerate() {
                    *sums = squared_distances(x, &y[col + part * TOGETHER..], dim, y_stride);
                }
                for value in block.as_flattened_mut() {
                    *value = function.value::<true>(*value);
                }
                write(simd, &block, &mut windows.block, (row, height), (col, width), past_caches);
                if let Some(mirrored) = &mut windows.mirrored {
                    let block = simd.transpose(block);
                    write(simd, &block, mirrored, (col, width), (row, height), past_caches);
                }
            }
        }
    }
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
fn write<S: Block<T, SIDE>, T: Scalar, const SIDE: usize>(
    simd: S,
    block: &[[T; SIDE]; SIDE],
    window: &mut Window<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
    past_caches: bool,
) {
    for (c, values) in block.iter().enumerate().take(width) {
        let out = window.part(col + c, row, height);
        match out.first_chunk_mut::<SIDE>() {
            Some(out) if past_caches => simd.stream(*values, out),
            Some(out) => *out = *values,
            None => out.copy_from_slice(&values[..height]),
        }
    }
}

/// Writes the values of a function into a block and its mirror image, where this machine has
/// registers to do so; says whether it did. The functions that [`Scalar`] selects are made here.
macro_rules! fused {
    ($name:ident, $type:ty, $half:literal, $whole:literal, $together:literal) => {
        pub(crate) fn $name<F: OfSquaredDistance<$type>>(
            function: F,
            packed: &Packed<$type>,
            windows: &mut Windows<'_, $type>,
        ) -> bool {
            #[cfg(target_arch = "x86_64")]
            {
                if let Some(simd) = pulp::x86::V4::try_new() {
                    simd.vectorize(Fused::<_, $type, F, $whole, $together> { simd, function, packed, windows });
                    return true;
                }
                if let Some(simd) = pulp::x86::V3::try_new()
                    && !windows.past_caches
                {
                    simd.vectorize(Fused::<_, $type, F, $half, 4> { simd, function, packed, windows });
                    return true;
                }
            }
            let _ = (function, packed, windows);
            false
        }
    };
}

fused!(fused_f32, f32, 8, 16, 4);
fused!(fused_f64, f64, 4, 8, 8);
