//! Sums whose order does not depend on the vector width.

use super::{Pass, dispatch};
use crate::Scalar;

/// How many partial sums a reduction keeps, whatever the machine's vector width.
pub const LANES: usize = 16;

/// The sum of the terms of slices (of their common length), in [`LANES`] interleaved partial sums.
#[inline(always)]
pub(crate) fn lane_sum<T: Copy, S: Scalar, const N: usize>(slices: [&[T]; N], term: impl Fn([T; N]) -> S) -> S {
    const { assert!(N > 0) };
    let mut len = slices[0].len();
    for slice in slices {
        len = len.min(slice.len());
    }
    // Whole arrays: with bounds to check in between, the compiler would add one number at a time. And loops in place of
    // `map` and `from_fn`, which every program that reduces anything would compile again.
    let mut parts = [slices[0][..len].as_chunks::<LANES>(); N];
    for n in 1..N {
        parts[n] = slices[n][..len].as_chunks::<LANES>();
    }
    let mut partial = [S::from_f64(0.0); LANES];
    for index in 0..len / LANES {
        let mut whole = [&parts[0].0[index]; N];
        for n in 1..N {
            whole[n] = &parts[n].0[index];
        }
        for lane in 0..LANES {
            let mut values = [whole[0][lane]; N];
            for n in 1..N {
                values[n] = whole[n][lane];
            }
            partial[lane] += term(values);
        }
    }
    for (lane, sum) in partial.iter_mut().enumerate().take(len % LANES) {
        let mut values = [parts[0].1[lane]; N];
        for n in 1..N {
            values[n] = parts[n].1[lane];
        }
        *sum += term(values);
    }
    by_halves(partial)
}

/// The sum of a power of two of numbers: the second half is added to the first until one is left.
#[inline(always)]
pub(crate) fn by_halves<T: Scalar, const N: usize>(mut partial: [T; N]) -> T {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            partial[lane] += partial[lane + width];
        }
        width /= 2;
    }
    partial[0]
}

struct Dot<'a, T>(&'a [T], &'a [T]);

impl<T: Scalar> Pass for Dot<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        lane_sum([self.0, self.1], |[a, b]| a * b)
    }
}

struct DotInF64<'a, T>(&'a [T], &'a [T]);

impl<T: Scalar> Pass for DotInF64<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        lane_sum([self.0, self.1], |[a, b]| a.as_f64() * b.as_f64())
    }
}

/// The inner product of two slices (of their common length) in `f64`, in a fixed order of additions.
pub(crate) fn dot_in_f64<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    dispatch(DotInF64(a, b))
}

/// Σᵢ gᵢ xᵢ for a gradient g. Where g is 0 nothing depends on x, and x counts nothing: not even a NaN, of a point that is
/// masked further in or of a column that is not read.
pub(crate) fn dot_of_gradient<T: Scalar>(g: &[T], x: &[T]) -> f64 {
    let sum = dot_in_f64(g, x);
    if !sum.is_nan() {
        return sum;
    }
    let terms = g.iter().zip(x).filter(|(g, _)| **g != T::from_f64(0.0));
    terms.map(|(g, x)| g.as_f64() * x.as_f64()).sum()
}

struct Total<'a, T>(&'a [T]);

impl<T: Scalar> Pass for Total<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        lane_sum([self.0], |[value]| value)
    }
}

/// The inner product of two slices (of their common length), in a fixed order of additions.
///
/// # Examples
///
/// ```
/// assert_eq!(mercer::simd::dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
#[inline]
pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    dispatch(Dot(a, b))
}

/// The sum of a slice, in a fixed order of additions.
///
/// # Examples
///
/// ```
/// let ones = vec![1.0f32; 37];
/// assert_eq!(mercer::simd::sum(&ones), 37.0);
/// ```
#[inline]
pub fn sum<T: Scalar>(values: &[T]) -> T {
    dispatch(Total(values))
}
