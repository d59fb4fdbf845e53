//! The numbers that formulas are written over.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A real number that a formula of one's own is written over, once: `f64`, or a [`Dual`](crate::Dual),
/// which carries derivatives along, or stands for an `f32` if it carries none.
///
/// Arithmetic takes another number of the type or an `f64` on the right: `theta[0] * x[0] + 0.5`. On the
/// left a number stands as `R::from_f64(0.5)`. Comparisons take both too, and look at values alone.
///
/// # Derivatives where there are none
///
/// Formulas are differentiated at every pair of points, coincident ones too, and one NaN would spoil
/// all gradients. So every function has a finite derivative wherever its value is finite, but for
/// those that grow without bound towards the place (`ln` at 0):
///
/// - at a kink, the mean of the derivatives on both sides: 0 for `abs` at 0, half of each argument's
///   for `min` and `max` of equal numbers, 0 for `hypot` at the origin;
/// - 0 where the derivative is infinite or there is none: `sqrt` and `powf` at 0, `asin` and `acos` at
///   ±1, `atan2` at the origin, `powf` of a negative base in its exponent;
/// - 0 · ∞ counts as 0 in the chain rule, so that exp(−r²/ℓ²) has the derivative 0 where r²/ℓ²
///   overflows.
///
/// NaN gives NaN, in `min` and `max` too.
///
/// # Examples
///
/// ```
/// use mercer::{Dual, Real};
///
/// fn logistic<R: Real>(x: R) -> R {
///     ((-x).exp() + 1.0).recip()
/// }
///
/// assert_eq!(logistic(0.0), 0.5);
/// let slope = logistic(Dual::<f64, 1>::variable(0.0, 0)).partials[0];
/// assert_eq!(slope, 0.25);
/// ```
pub trait Real:
    Copy
    + Debug
    + Send
    + Sync
    + 'static
    + PartialOrd
    + PartialOrd<f64>
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + AddAssign<f64>
    + SubAssign<f64>
    + MulAssign<f64>
    + DivAssign<f64>
    + Sum
{
    /// A constant.
    fn from_f64(value: f64) -> Self;

    /// The value, without derivatives.
    fn value(self) -> f64;

    /// eˣ
    fn exp(self) -> Self;

    /// eˣ − 1, accurate near 0.
    fn exp_m1(self) -> Self;

    /// The natural logarithm.
    fn ln(self) -> Self;

    /// ln(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;

    /// The square root.
    fn sqrt(self) -> Self;

    /// The sine, of radians.
    fn sin(self) -> Self;

    /// The cosine, of radians.
    fn cos(self) -> Self;

    /// The tangent, of radians.
    fn tan(self) -> Self;

    /// The arc sine, in radians; NaN outside [−1, 1].
    fn asin(self) -> Self;

    /// The arc cosine, in radians; NaN outside [−1, 1].
    fn acos(self) -> Self;

    /// The arc tangent, in radians.
    fn atan(self) -> Self;

    /// The angle of the point (x, y) in radians, `self` being y: that of `f64::atan2`.
    fn atan2(self, x: Self) -> Self;

    /// The hyperbolic sine.
    fn sinh(self) -> Self;

    /// The hyperbolic cosine.
    fn cosh(self) -> Self;

    /// The hyperbolic tangent.
    fn tanh(self) -> Self;

    /// The error function, 2/√π ∫₀ˣ exp(−t²) dt.
    fn erf(self) -> Self;

    /// x to a whole power.
    fn powi(self, exponent: i32) -> Self;

    /// x to a real power.
    fn powf(self, exponent: Self) -> Self;

    /// |x|
    fn abs(self) -> Self;

    /// 1/x
    fn recip(self) -> Self;

    /// √(x² + y²), without overflow on the way.
    fn hypot(self, other: Self) -> Self;

    /// The smaller of two numbers; NaN if one is.
    fn min(self, other: Self) -> Self;

    /// The larger of two numbers; NaN if one is.
    fn max(self, other: Self) -> Self;
}

macro_rules! standard {
    ($($function:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            #[inline]
            fn $function(self, $($argument: $type),*) -> Self {
                f64::$function(self, $($argument),*)
            }
        )*
    };
}

impl Real for f64 {
    #[inline]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline]
    fn value(self) -> f64 {
        self
    }

    standard! {
        exp(); exp_m1(); ln(); ln_1p(); sqrt(); sin(); cos(); tan(); asin(); acos(); atan(); sinh(); cosh(); tanh();
        abs(); recip(); atan2(x: f64); hypot(other: f64); powi(exponent: i32); powf(exponent: f64);
    }

    #[inline]
    fn erf(self) -> Self {
        libm::erf(self)
    }

    // Unlike `f64::min`, which passes over a NaN.
    #[inline]
    fn min(self, other: Self) -> Self {
        if self.is_nan() || self < other { self } else { other }
    }

    #[inline]
    fn max(self, other: Self) -> Self {
        if self.is_nan() || self > other { self } else { other }
    }
}
