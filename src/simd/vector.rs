//! Registers of numbers.
//!
//! Explicit, because the compiler finds the vectors of a loop over arrays only now and then: the same loop over
//! registers took half the time.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use pulp::Simd;
use pulp::bytemuck::{cast_slice, cast_slice_mut};

use super::lanes::Lanes;
use crate::Scalar;

/// A register of numbers of type `T`, under an instruction set.
pub trait Vector<S: Simd, T: Scalar>: Lanes<T> {
    /// The same number in every lane.
    fn splat(simd: S, value: T) -> Self;
}

macro_rules! vector {
    ($name:ident, $type:ident, $bits:ident, $vector:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $load:ident, $store:ident,
     [$add:ident, $sub:ident, $mul:ident, $div:ident, $neg:ident, $mul_add:ident, $sqrt:ident, $min:ident, $less:ident, $equal:ident, $select:ident],
     $mantissa:literal) => {
        /// A register.
        #[derive(Clone, Copy)]
        pub struct $name<S: Simd> {
            simd: S,
            value: S::$vector,
        }

        impl<S: Simd> Debug for $name<S> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let lanes: &[$type] = cast_slice(std::slice::from_ref(&self.value));
                lanes.fmt(f)
            }
        }

        vector!(@operators $name, $type, Add, add, $add, $splat);
        vector!(@operators $name, $type, Sub, sub, $sub, $splat);
        vector!(@operators $name, $type, Mul, mul, $mul, $splat);
        vector!(@operators $name, $type, Div, div, $div, $splat);

        impl<S: Simd> Neg for $name<S> {
            type Output = Self;

            #[inline(always)]
            fn neg(self) -> Self {
                self.with(self.simd.$neg(self.value))
            }
        }

        impl<S: Simd> $name<S> {
            #[inline(always)]
            fn with(self, value: S::$vector) -> Self {
                Self { value, ..self }
            }
        }

        impl<S: Simd> Lanes<$type> for $name<S> {
            const FMA: bool = !S::IS_SCALAR;
            const LEN: usize = size_of::<S::$vector>() / size_of::<$type>();

            #[inline(always)]
            fn read(self, from: &[$type]) -> Self {
                let (whole, rest) = S::$as_simd(from);
                match whole.first() {
                    Some(&whole) => self.with(whole),
                    None => self.with(self.simd.$load(rest)),
                }
            }

            #[inline(always)]
            fn write(self, out: &mut [$type]) {
                let (whole, rest) = S::$as_mut_simd(out);
                match whole.first_mut() {
                    Some(whole) => *whole = self.value,
                    None => self.simd.$store(rest, self.value),
                }
            }

            #[inline(always)]
            fn all(self, value: $type) -> Self {
                self.with(self.simd.$splat(value))
            }

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                self.with(self.simd.$mul_add(self.value, a.value, b.value))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.with(self.simd.$sqrt(self.value))
            }

            #[inline(always)]
            fn if_less(self, than: Self, then: Self, otherwise: Self) -> Self {
                let mask = self.simd.$less(self.value, than.value);
                self.with(self.simd.$select(mask, then.value, otherwise.value))
            }

            #[inline(always)]
            fn if_equal(self, to: Self, then: Self, otherwise: Self) -> Self {
                let mask = self.simd.$equal(self.value, to.value);
                self.with(self.simd.$select(mask, then.value, otherwise.value))
            }

            #[inline(always)]
            fn at_most(self, largest: $type) -> Self {
                if cfg!(target_arch = "x86_64") && !S::IS_SCALAR {
                    // The instruction gives its second operand where one of both is NaN.
                    return self.with(self.simd.$min(self.simd.$splat(largest), self.value));
                }
                self.all(largest).if_less(self, self.all(largest), self)
            }

            #[inline(always)]
            fn shift_exponent(self, power: Self, none: Self) -> Self {
                let power = match cfg!(target_arch = "x86_64") {
                    // The instruction gives its second operand where one of both is NaN.
                    true => self.simd.$min(power.value, none.value),
                    false => power.if_less(none, power, none).value,
                };
                let mut value = self.value;
                let lanes: &mut [$bits] = cast_slice_mut(std::slice::from_mut(&mut value));
                let powers: &[$bits] = cast_slice(std::slice::from_ref(&power));
                for (lane, power) in lanes.iter_mut().zip(powers) {
                    *lane = lane.wrapping_add(power << $mantissa);
                }
                self.with(value)
            }
        }

        impl<S: Simd> Vector<S, $type> for $name<S> {
            #[inline(always)]
            fn splat(simd: S, value: $type) -> Self {
                Self { simd, value: simd.$splat(value) }
            }
        }
    };
    (@operators $name:ident, $type:ident, $trait:ident, $function:ident, $simd:ident, $splat:ident) => {
        impl<S: Simd> $trait for $name<S> {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                self.with(self.simd.$simd(self.value, other.value))
            }
        }

        impl<S: Simd> $trait<f64> for $name<S> {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: f64) -> Self {
                self.with(self.simd.$simd(self.value, self.simd.$splat(<$type>::from_f64(other))))
            }
        }
    };
}

vector!(
    F64s,
    f64,
    u64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    partial_load_f64s,
    partial_store_f64s,
    [
        add_f64s,
        sub_f64s,
        mul_f64s,
        div_f64s,
        neg_f64s,
        mul_add_e_f64s,
        sqrt_f64s,
        min_f64s,
        less_than_f64s,
        equal_f64s,
        select_f64s
    ],
    52
);
vector!(
    F32s,
    f32,
    u32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    partial_load_f32s,
    partial_store_f32s,
    [
        add_f32s,
        sub_f32s,
        mul_f32s,
        div_f32s,
        neg_f32s,
        mul_add_e_f32s,
        sqrt_f32s,
        min_f32s,
        less_than_f32s,
        equal_f32s,
        select_f32s
    ],
    23
);

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::simd::lanes::{Many, One};
    use crate::simd::under_each;

    /// Every operation on one set of numbers.
    #[inline(always)]
    fn operations<T: Scalar, L: Lanes<T>>(x: L, y: L) -> [L; 21] {
        let size = x.if_less(x.all(T::from_f64(0.0)), -x, x);
        [
            x + y,
            x - y,
            x * y,
            x / y,
            -x,
            x + 0.3,
            x - 0.3,
            x * 0.3,
            x / 0.3,
            x.recip(),
            x.mul_add(y, x),
            size.sqrt(),
            x.if_less(y, x, y),
            x.if_equal(y, x, -y),
            x.at_most(T::from_f64(0.5)),
            size.decay(0.7),
            x.exp(),
            size.ln_1p(),
            x.floor(),
            x.tanh(),
            y.atan2(x),
        ]
    }

    #[derive(Clone)]
    struct Registers<T>(Vec<T>, Vec<T>);

    impl<T: Scalar> WithSimd for Registers<T> {
        type Output = Vec<Vec<T>>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<Vec<T>> {
            let zero = Many([T::Vector::<S>::splat(simd, T::from_f64(0.0)); 3]);
            let len = Many::<T::Vector<S>, 3>::LEN;
            let mut out = vec![vec![T::from_f64(0.0); self.0.len()]; 21];
            for start in (0..self.0.len()).step_by(len) {
                let values = operations(zero.read(&self.0[start..]), zero.read(&self.1[start..]));
                for (value, out) in values.into_iter().zip(&mut out) {
                    value.write(&mut out[start..]);
                }
            }
            out
        }
    }

    fn check<T: Scalar>() {
        let special = [0.0, -0.0, 1.0, -3.5, 1e-30, -1e30, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let mut pairs: Vec<(f64, f64)> = special.iter().flat_map(|&x| special.map(|y| (x, y))).collect();
        pairs.extend((0..200).map(|i| ((f64::from(i) * 0.7).sin() * 20.0, (f64::from(i) * 1.3).cos() * 3.0)));
        let x: Vec<T> = pairs.iter().map(|pair| T::from_f64(pair.0)).collect();
        let y: Vec<T> = pairs.iter().map(|pair| T::from_f64(pair.1)).collect();
        for (level, found) in under_each(Registers(x.clone(), y.clone())).into_iter().enumerate() {
            for (index, (&x, &y)) in x.iter().zip(&y).enumerate() {
                let expected = match level {
                    0 => operations(One::<T, false>(x), One(y)).map(|value| value.0),
                    _ => operations(One::<T, true>(x), One(y)).map(|value| value.0),
                };
                for (operation, (expected, found)) in expected.iter().zip(&found).enumerate() {
                    let (expected, found) = (expected.as_f64(), found[index].as_f64());
                    let same = expected.to_bits() == found.to_bits() || (expected.is_nan() && found.is_nan());
                    assert!(same, "{operation} of {x} and {y} at level {level}: {found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn registers_do_what_single_numbers_do() {
        check::<f32>();
        check::<f64>();
    }
}
