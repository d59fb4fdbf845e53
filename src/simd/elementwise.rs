//! Element-wise passes over tiles.

use super::{Pass, dispatch};
use crate::Scalar;

struct Update<'a, T, F> {
    out: &'a mut [T],
    by: &'a [T],
    update: F,
}

impl<T: Scalar, F: Fn(T, T) -> T> Pass for Update<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, &by) in self.out.iter_mut().zip(self.by) {
            *out = (self.update)(*out, by);
        }
    }
}

/// out += by
pub(crate) fn add<T: Scalar>(out: &mut [T], by: &[T]) {
    let update = |out: T, by: T| out + by;
    dispatch(Update { out, by, update });
}

/// out ∘= by
pub(crate) fn multiply<T: Scalar>(out: &mut [T], by: &[T]) {
    let update = |out: T, by: T| out * by;
    dispatch(Update { out, by, update });
}

/// out += factor · by
pub(crate) fn add_scaled<T: Scalar>(out: &mut [T], by: &[T], factor: T) {
    let update = move |out: T, by: T| out + factor * by;
    dispatch(Update { out, by, update });
}

struct Map<'a, T, F> {
    out: &'a mut [T],
    a: &'a [T],
    b: &'a [T],
    map: F,
}

impl<T: Scalar, F: Fn(T, T) -> T> Pass for Map<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((out, &a), &b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *out = (self.map)(a, b);
        }
    }
}

/// out = a ∘ b
pub(crate) fn product<T: Scalar>(out: &mut [T], a: &[T], b: &[T]) {
    let map = |a: T, b: T| a * b;
    dispatch(Map { out, a, b, map });
}

/// out = factor · a
pub(crate) fn scaled<T: Scalar>(out: &mut [T], a: &[T], factor: T) {
    let map = move |a: T, _: T| factor * a;
    dispatch(Map { out, a, b: a, map });
}

struct Scale<'a, T> {
    out: &'a mut [T],
    factor: T,
}

impl<T: Scalar> Pass for Scale<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for out in self.out {
            *out *= self.factor;
        }
    }
}

/// out *= factor
pub(crate) fn scale<T: Scalar>(out: &mut [T], factor: T) {
    dispatch(Scale { out, factor });
}
