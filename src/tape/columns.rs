//! Vectorised passes over matrices with contiguous columns, which all values of a tape have.

use faer::prelude::ReborrowMut;
use faer::{Accum, MatMut, MatRef};

use crate::Scalar;
use crate::linalg::{column, column_mut};
use crate::simd::{Pass, dispatch};

/// out = f(out, a)
struct Update<'a, T: Scalar, F> {
    out: MatMut<'a, T>,
    a: MatRef<'a, T>,
    f: F,
}

impl<T: Scalar, F: Fn(T, T) -> T> Pass for Update<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for col in 0..self.out.ncols() {
            let out = column_mut(self.out.rb_mut(), col);
            for (out, &a) in out.iter_mut().zip(column(self.a, col)) {
                *out = (self.f)(*out, a);
            }
        }
    }
}

/// out = f(out, a, b)
struct UpdateByTwo<'a, T: Scalar, F> {
    out: MatMut<'a, T>,
    a: MatRef<'a, T>,
    b: MatRef<'a, T>,
    f: F,
}

impl<T: Scalar, F: Fn(T, T, T) -> T> Pass for UpdateByTwo<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for col in 0..self.out.ncols() {
            let out = column_mut(self.out.rb_mut(), col);
            for ((out, &a), &b) in out.iter_mut().zip(column(self.a, col)).zip(column(self.b, col)) {
                *out = (self.f)(*out, a, b);
            }
        }
    }
}

struct Exp<'a, T: Scalar> {
    out: MatMut<'a, T>,
    a: MatRef<'a, T>,
}

impl<T: Scalar> Pass for Exp<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for col in 0..self.out.ncols() {
            let out = column_mut(self.out.rb_mut(), col);
            for (out, &a) in out.iter_mut().zip(column(self.a, col)) {
                *out = a.lane_exp::<FMA>();
            }
        }
    }
}

/// out = f(out, a), element by element.
pub(super) fn update<T: Scalar>(out: MatMut<'_, T>, a: MatRef<'_, T>, f: impl Fn(T, T) -> T) {
    dispatch(Update { out, a, f });
}

/// out = f(out, a, b), element by element.
pub(super) fn update_by_two<T: Scalar>(
    out: MatMut<'_, T>,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    f: impl Fn(T, T, T) -> T,
) {
    dispatch(UpdateByTwo { out, a, b, f });
}

/// out = f(a) or out += f(a), element by element.
pub(super) fn map_into<T: Scalar>(out: MatMut<'_, T>, accum: Accum, a: MatRef<'_, T>, f: impl Fn(T) -> T) {
    match accum {
        Accum::Replace => update(out, a, |_, a| f(a)),
        Accum::Add => update(out, a, |out, a| out + f(a)),
    }
}

/// out = f(a, b) or out += f(a, b), element by element.
pub(super) fn zip_into<T: Scalar>(
    out: MatMut<'_, T>,
    accum: Accum,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    f: impl Fn(T, T) -> T,
) {
    match accum {
        Accum::Replace => update_by_two(out, a, b, |_, a, b| f(a, b)),
        Accum::Add => update_by_two(out, a, b, |out, a, b| out + f(a, b)),
    }
}

/// out = exp(a), element by element.
pub(super) fn exp_into<T: Scalar>(out: MatMut<'_, T>, a: MatRef<'_, T>) {
    dispatch(Exp { out, a });
}

/// out *= factor
pub(super) fn scale<T: Scalar>(mut out: MatMut<'_, T>, factor: T) {
    for col in 0..out.ncols() {
        crate::simd::elementwise::scale(column_mut(out.rb_mut(), col), factor);
    }
}

/// Σ a ∘ b, with the columns added up in `f64`.
pub(super) fn inner<T: Scalar>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> f64 {
    (0..a.ncols()).map(|col| crate::simd::dot(column(a, col), column(b, col)).as_f64()).sum()
}

/// Σ a, with the columns added up in `f64`.
pub(super) fn total<T: Scalar>(a: MatRef<'_, T>) -> f64 {
    (0..a.ncols()).map(|col| crate::simd::sum(column(a, col)).as_f64()).sum()
}
