//! Sums whose order does not depend on the vector width.

use super::{Pass, dispatch};
use crate::Scalar;

/// How many partial sums a reduction keeps, whatever the machine's vector width.
pub const LANES: usize = 16;

/// The sum of the terms `term(i)`, `i` below `len`, in [`LANES`] interleaved partial sums.
#[inline(always)]
pub(crate) fn lane_sum<T: Scalar>(len: usize, term: impl Fn(usize) -> T) -> T {
    let mut partial = [T::from_f64(0.0); LANES];
    let whole = len / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for (lane, partial) in partial.iter_mut().enumerate() {
            *partial += term(start + lane);
        }
        start += LANES;
    }
    for (lane, partial) in partial.iter_mut().enumerate().take(len - whole) {
        *partial += term(whole + lane);
    }
    let mut width = LANES / 2;
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
        let len = self.0.len().min(self.1.len());
        let (a, b) = (&self.0[..len], &self.1[..len]);
        lane_sum(len, |i| a[i] * b[i])
    }
}

struct DotInF64<'a, T>(&'a [T], &'a [T]);

impl<T: Scalar> Pass for DotInF64<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let len = self.0.len().min(self.1.len());
        let (a, b) = (&self.0[..len], &self.1[..len]);
        lane_sum(len, |i| a[i].as_f64() * b[i].as_f64())
    }
}

/// The inner product of two slices (of their common length) in `f64`, in a fixed order of additions.
pub(crate) fn dot_in_f64<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    dispatch(DotInF64(a, b))
}

struct Total<'a, T>(&'a [T]);

impl<T: Scalar> Pass for Total<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let values = self.0;
        lane_sum(values.len(), |i| values[i])
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
