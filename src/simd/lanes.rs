//! Numbers side by side, which formulas of kernels are written in: one, or as many as fit a register.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::decay::negative_power_of_two;
use crate::Scalar;

/// The most numbers side by side: eight of the widest registers of `f32`.
pub(super) const MOST: usize = 128;

/// One number, or several side by side, with which the same is done at once. A formula that is written once for
/// any of them runs pair by pair, and in whole registers of each instruction set, with the same bits.
///
/// Operations with an `f64` are with that number rounded to `T`. Mark what is generic in `Lanes` with
/// `#[inline(always)]`: code that is not inlined is compiled for the instruction set that all machines have.
///
/// # Examples
///
/// ```
/// use mercer::simd::{Lanes, One};
/// use mercer::Scalar;
///
/// #[inline(always)]
/// fn gaussian<T: Scalar, L: Lanes<T>>(squared: L) -> L {
///     squared.decay(0.5)
/// }
///
/// let value = gaussian(One::<f64, false>(2.0)).0;
/// assert!((value - (-1f64).exp()).abs() < 1e-16);
///
/// let (two, three) = (One::<f64, false>(2.0), One(3.0));
/// assert_eq!(two.mul_add(three, two).0, 8.0);
/// assert_eq!((two.if_less(three, -two, two).0, two.if_equal(three, -two, two).0), (-2.0, 2.0));
/// assert_eq!((two.recip().0, two.at_most(1.5).0, (two / 3.0).floor().0), (0.5, 1.5, 0.0));
/// assert_eq!((two.tanh().0, two.atan2(two).0), (2f64.tanh(), std::f64::consts::FRAC_PI_4));
/// assert!((two.ln().exp().0 - 2.0).abs() < 1e-15 && (two.pow(0.5) - two.sqrt()).0.abs() < 1e-15);
/// ```
pub trait Lanes<T: Scalar>:
    Copy
    + Debug
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    /// Whether fused multiply-add is an instruction.
    const FMA: bool;

    /// How many numbers.
    const LEN: usize;

    /// The same number in every lane.
    fn all(self, value: T) -> Self;

    /// The first [`LEN`](Self::LEN) numbers of a slice; zeros beyond its end.
    fn read(self, from: &[T]) -> Self;

    /// Writes the first numbers into a slice: as many as it has room for.
    fn write(self, out: &mut [T]);

    /// `self · a + b`, with one rounding where that is an instruction.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// 1/x
    #[inline(always)]
    fn recip(self) -> Self {
        self.all(T::from_f64(1.0)) / self
    }

    /// The square root.
    fn sqrt(self) -> Self;

    /// `then` where `self` is less than `than`, `otherwise` elsewhere, as where one of both is NaN.
    fn if_less(self, than: Self, then: Self, otherwise: Self) -> Self;

    /// `then` where `self` is equal to `to`, `otherwise` elsewhere.
    fn if_equal(self, to: Self, then: Self, otherwise: Self) -> Self;

    /// At most this number; NaN for NaN.
    fn at_most(self, largest: T) -> Self;

    /// This times 2 to the power that is in the low bits of the mantissa of `power`, which is 0 in `none`; this where
    /// `power` is NaN.
    #[doc(hidden)]
    fn shift_exponent(self, power: Self, none: Self) -> Self;

    /// e<sup>−rx</sup> with this rate r ≥ 0, for x at least 0, and NaN for NaN: what most kernels end with. What it
    /// gives for negative numbers is not specified. At most 1 + rx units in the last place off, for rx is rounded.
    #[inline(always)]
    fn decay(self, rate: f64) -> Self {
        if Self::FMA { negative_power_of_two(self * (rate * std::f64::consts::LOG2_E)) } else { (self * -rate).exp() }
    }

    /// A function of each lane.
    // Through memory: a loop that is long enough for the compiler to find the vectors.
    #[inline(always)]
    fn each<F: OfLane<T>>(self, function: F) -> Self {
        let mut lanes = [T::from_f64(0.0); MOST];
        let lanes = &mut lanes[..Self::LEN];
        self.write(lanes);
        for lane in lanes.iter_mut() {
            *lane = if Self::FMA { function.of::<true>(*lane) } else { function.of::<false>(*lane) };
        }
        self.read(lanes)
    }

    /// The exponential: see [`Scalar::lane_exp`].
    #[inline(always)]
    fn exp(self) -> Self {
        self.each(Exp)
    }

    /// The natural logarithm: see [`Scalar::lane_ln`].
    #[inline(always)]
    fn ln(self) -> Self {
        self.each(Ln)
    }

    /// log(1 + x): see [`Scalar::lane_ln_1p`].
    #[inline(always)]
    fn ln_1p(self) -> Self {
        self.each(LnOnePlus)
    }

    /// The power of a number that is not negative: see [`Scalar::lane_pow`].
    #[inline(always)]
    fn pow(self, exponent: T) -> Self {
        self.each(Pow(exponent))
    }

    /// The sine: see [`Scalar::lane_sin`].
    #[inline(always)]
    fn sin(self) -> Self {
        self.each(Sin)
    }

    /// The cosine: see [`Scalar::lane_cos`].
    #[inline(always)]
    fn cos(self) -> Self {
        self.each(Cos)
    }

    /// The hyperbolic tangent: see [`Scalar::lane_tanh`].
    #[inline(always)]
    fn tanh(self) -> Self {
        self.each(Tanh)
    }

    /// The angle of the point (`x`, `self`), from −π to π: see [`Scalar::lane_atan2`].
    #[inline(always)]
    fn atan2(self, x: Self) -> Self {
        angles(self, x)
    }

    /// The largest integer that is not greater.
    #[inline(always)]
    fn floor(self) -> Self {
        self.each(Floor)
    }
}

/// [`Lanes::atan2`], through memory as in [`Lanes::each`].
#[inline(always)]
fn angles<T: Scalar, L: Lanes<T>>(y: L, x: L) -> L {
    let zeros = [T::from_f64(0.0); MOST];
    let (mut lanes, mut of_x) = (zeros, zeros);
    let (lanes, of_x) = (&mut lanes[..L::LEN], &mut of_x[..L::LEN]);
    y.write(lanes);
    x.write(of_x);
    for (y, x) in lanes.iter_mut().zip(of_x) {
        *y = if L::FMA { y.lane_atan2::<true>(*x) } else { y.lane_atan2::<false>(*x) };
    }
    y.read(lanes)
}

/// A function of one number, straight-line code: see [`Lanes::each`].
///
/// # Examples
///
/// ```
/// use mercer::simd::{Lanes, OfLane, One};
/// use mercer::Scalar;
///
/// #[derive(Clone, Copy)]
/// struct Cube;
///
/// impl<T: Scalar> OfLane<T> for Cube {
///     #[inline(always)]
///     fn of<const FMA: bool>(self, x: T) -> T {
///         x * x * x
///     }
/// }
///
/// assert_eq!(One::<f64, false>(2.0).each(Cube).0, 8.0);
/// ```
pub trait OfLane<T: Scalar>: Copy {
    /// Its value. `FMA` tells whether fused multiply-add is an instruction. Mark it `#[inline(always)]`.
    fn of<const FMA: bool>(self, x: T) -> T;
}

macro_rules! of_lane {
    ($($name:ident: $x:ident, $fma:ident => $value:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name;

            impl<T: Scalar> OfLane<T> for $name {
                #[inline(always)]
                fn of<const $fma: bool>(self, $x: T) -> T {
                    $value
                }
            }
        )*
    };
}

of_lane! {
    Exp: x, FMA => x.lane_exp::<FMA>();
    Ln: x, FMA => x.lane_ln::<FMA>();
    LnOnePlus: x, FMA => x.lane_ln_1p::<FMA>();
    Sin: x, FMA => x.lane_sin::<FMA>();
    Cos: x, FMA => x.lane_cos::<FMA>();
    Tanh: x, FMA => x.lane_tanh::<FMA>();
    Floor: x, FMA => num_traits::Float::floor(x);
}

#[derive(Clone, Copy)]
struct Pow<T>(T);

impl<T: Scalar> OfLane<T> for Pow<T> {
    #[inline(always)]
    fn of<const FMA: bool>(self, x: T) -> T {
        x.lane_pow::<FMA>(self.0)
    }
}

/// One number. `FMA` tells whether fused multiply-add is an instruction where it is computed with.
///
/// # Examples
///
/// ```
/// use mercer::simd::{Lanes, One};
///
/// let x = One::<f64, false>(2.0);
/// assert_eq!((x * x + 0.5).0, 4.5);
/// assert_eq!(x.all(9.0).sqrt().at_most(2.5).0, 2.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct One<T, const FMA: bool>(
    /// The number.
    pub T,
);

macro_rules! operator {
    ($trait:ident, $function:ident) => {
        impl<T: Scalar, const FMA: bool> $trait for One<T, FMA> {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                Self($trait::$function(self.0, other.0))
            }
        }

        impl<T: Scalar, const FMA: bool> $trait<f64> for One<T, FMA> {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: f64) -> Self {
                Self($trait::$function(self.0, T::from_f64(other)))
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl<T: Scalar, const FMA: bool> Neg for One<T, FMA> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl<T: Scalar, const FMA: bool> Lanes<T> for One<T, FMA> {
    const FMA: bool = FMA;
    const LEN: usize = 1;

    #[inline(always)]
    fn read(self, from: &[T]) -> Self {
        Self(from.first().copied().unwrap_or_default())
    }

    #[inline(always)]
    fn write(self, out: &mut [T]) {
        if let Some(first) = out.first_mut() {
            *first = self.0;
        }
    }

    #[inline(always)]
    fn all(self, value: T) -> Self {
        Self(value)
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(self.0.lane_mul_add::<FMA>(a.0, b.0))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(num_traits::Float::sqrt(self.0))
    }

    #[inline(always)]
    fn if_less(self, than: Self, then: Self, otherwise: Self) -> Self {
        if self.0 < than.0 { then } else { otherwise }
    }

    #[inline(always)]
    fn if_equal(self, to: Self, then: Self, otherwise: Self) -> Self {
        if self.0 == to.0 { then } else { otherwise }
    }

    #[inline(always)]
    fn at_most(self, largest: T) -> Self {
        if self.0 > largest { Self(largest) } else { self }
    }

    #[inline(always)]
    fn shift_exponent(self, power: Self, none: Self) -> Self {
        if power.0 <= none.0 { Self(self.0.shift_exponent(power.0)) } else { self }
    }

    #[inline(always)]
    fn each<F: OfLane<T>>(self, function: F) -> Self {
        Self(function.of::<FMA>(self.0))
    }

    #[inline(always)]
    fn atan2(self, x: Self) -> Self {
        Self(self.0.lane_atan2::<FMA>(x.0))
    }
}

/// Several registers side by side: each step of a formula is taken for all of them before the next, so that its constants
/// are loaded once, and no step waits for the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many<V, const N: usize>(pub(crate) [V; N]);

macro_rules! many {
    (@operator $trait:ident, $function:ident) => {
        impl<V: $trait<Output = V> + Copy, const N: usize> $trait for Many<V, N> {
            type Output = Self;

            #[inline(always)]
            fn $function(mut self, other: Self) -> Self {
                for n in 0..N {
                    self.0[n] = $trait::$function(self.0[n], other.0[n]);
                }
                self
            }
        }

        impl<V: $trait<f64, Output = V> + Copy, const N: usize> $trait<f64> for Many<V, N> {
            type Output = Self;

            #[inline(always)]
            fn $function(mut self, other: f64) -> Self {
                for n in 0..N {
                    self.0[n] = $trait::$function(self.0[n], other);
                }
                self
            }
        }
    };
    (@each $($function:ident($($other:ident),*; $($value:ident: $type:ty)?);)*) => {
        $(
            #[inline(always)]
            fn $function(mut self, $($other: Self,)* $($value: $type)?) -> Self {
                for n in 0..N {
                    self.0[n] = self.0[n].$function($($other.0[n],)* $($value)?);
                }
                self
            }
        )*
    };
}

many!(@operator Add, add);
many!(@operator Sub, sub);
many!(@operator Mul, mul);
many!(@operator Div, div);

impl<V: Neg<Output = V> + Copy, const N: usize> Neg for Many<V, N> {
    type Output = Self;

    #[inline(always)]
    fn neg(mut self) -> Self {
        for n in 0..N {
            self.0[n] = -self.0[n];
        }
        self
    }
}

impl<T: Scalar, V: Lanes<T>, const N: usize> Lanes<T> for Many<V, N> {
    const FMA: bool = V::FMA;
    const LEN: usize = N * V::LEN;

    many!(@each
        all(; value: T);
        mul_add(a, b;);
        sqrt(;);
        if_less(than, then, otherwise;);
        if_equal(to, then, otherwise;);
        at_most(; largest: T);
        shift_exponent(power, none;);
    );

    // Two registers at a time: its steps alone take all that there are.
    #[inline(always)]
    fn atan2(mut self, x: Self) -> Self {
        let (pairs, rest) = self.0.as_chunks_mut::<2>();
        let (pairs_of_x, rest_of_x) = x.0.as_chunks::<2>();
        for (y, x) in pairs.iter_mut().zip(pairs_of_x) {
            *y = angles(Many(*y), Many(*x)).0;
        }
        for (y, x) in rest.iter_mut().zip(rest_of_x) {
            *y = y.atan2(*x);
        }
        self
    }

    #[inline(always)]
    fn read(mut self, from: &[T]) -> Self {
        for n in 0..N {
            self.0[n] = self.0[n].read(from.get(n * V::LEN..).unwrap_or_default());
        }
        self
    }

    #[inline(always)]
    fn write(self, out: &mut [T]) {
        for n in 0..N {
            if let Some(out) = out.get_mut(n * V::LEN..) {
                self.0[n].write(out);
            }
        }
    }
}
