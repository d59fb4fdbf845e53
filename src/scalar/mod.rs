//! The floating-point types that kernels are evaluated in, and numbers with derivatives.

pub(crate) mod dual;
mod real;
pub(crate) mod special;

pub use dual::Dual;
pub use real::Real;

use std::fmt::{Debug, Display};
use std::ops::Range;

use pulp::Simd;

use crate::simd::cotangents::{Weights, read_f32, read_f64};
use crate::simd::transpose::{
    Layout, Series, mirror_blocks_f32, mirror_blocks_f64, transpose_blocks_f32, transpose_blocks_f64,
    transpose_series_f32, transpose_series_f64,
};
use crate::simd::vector::{F32s, F64s, Vector};
use crate::simd::window::Window;
use crate::simd::{decay, exp, expm1, inverse_trig, log, pow, tanh, trig};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`: the type of inputs, features and covariances.
///
/// Hyperparameters are `f64` whatever the scalar: one kernel value works at both precisions.
/// The trait is sealed. Its `lane_*` functions are the building blocks of vectorised loops: they are
/// branch-free, always inlined, and take as a constant whether the surrounding code was compiled for
/// a machine with fused multiply-add (see [`crate::simd`]).
///
/// # Examples
///
/// ```
/// use mercer::Scalar;
///
/// fn half<T: Scalar>() -> T {
///     T::from_f64(0.5)
/// }
/// assert_eq!(half::<f32>(), 0.5f32);
/// assert_eq!(half::<f64>().as_f64(), 0.5);
/// ```
pub trait Scalar:
    faer::traits::RealField
    + num_traits::Float
    + num_traits::FloatConst
    + std::iter::Sum
    + Copy
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + 'static
    + sealed::Sealed
{
    /// The nearest value of this type, `±∞` where it overflows.
    fn from_f64(value: f64) -> Self;

    /// The value as `f64`, exactly.
    fn as_f64(self) -> f64;

    /// `self · a + b`, with one rounding if `FMA` holds and two if not.
    fn lane_mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self;

    /// The exponential: at most 1.2 units in the last place off, `exp(0) = 1` exactly, NaN for NaN.
    fn lane_exp<const FMA: bool>(self) -> Self;

    /// eˣ − 1: at most 1.2 units in the last place off, also near 0. See [`crate::simd::expm1`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(1e-20f64.lane_exp_m1::<false>(), 1e-20);
    /// ```
    fn lane_exp_m1<const FMA: bool>(self) -> Self;

    /// The natural logarithm: at most 1.2 units in the last place off, NaN for negative numbers. See
    /// [`crate::simd::log`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(2f32.lane_ln::<false>(), std::f32::consts::LN_2);
    /// ```
    fn lane_ln<const FMA: bool>(self) -> Self;

    /// log(1 + x): at most 1.2 units in the last place off, also near 0. See [`crate::simd::log`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(1e-20f64.lane_ln_1p::<false>(), 1e-20);
    /// ```
    fn lane_ln_1p<const FMA: bool>(self) -> Self;

    /// The hyperbolic tangent: at most 1.2 units in the last place off. See [`crate::simd::tanh`](mod@crate::simd::tanh).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!((-30f64).lane_tanh::<false>(), -1.0);
    /// ```
    fn lane_tanh<const FMA: bool>(self) -> Self;

    /// The power with exponent `exponent` of a number that is not negative: at most 1.4 units in the last
    /// place off. What it gives for negative numbers is not specified. See [`crate::simd::pow`](mod@crate::simd::pow).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(4f64.lane_pow::<false>(0.5), 2.0);
    /// ```
    fn lane_pow<const FMA: bool>(self, exponent: Self) -> Self;

    /// The angle of the point (`x`, `self`), from −π to π: at most 1.2 units in the last place off. See
    /// [`crate::simd::inverse_trig`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(1f64.lane_atan2::<false>(1.0), std::f64::consts::FRAC_PI_4);
    /// ```
    fn lane_atan2<const FMA: bool>(self, x: Self) -> Self;

    /// The largest angle of [`lane_sin_cos`](Self::lane_sin_cos): 2¹⁵ for `f32`, 2³² for `f64`.
    const LARGEST_LANE_ANGLE: Self;

    /// The sine and the cosine: each at most 1.2 units in the last place off for angles up to
    /// [`LARGEST_LANE_ANGLE`](Self::LARGEST_LANE_ANGLE) in size. Where `FMA` holds, a larger angle gives NaN:
    /// [`crate::simd::trig`] has functions of slices that take all.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// let (sin, cos) = 0.5f64.lane_sin_cos::<false>();
    /// assert!((sin * sin + cos * cos - 1.0).abs() < 3e-16);
    /// ```
    fn lane_sin_cos<const FMA: bool>(self) -> (Self, Self);

    /// The sine of [`lane_sin_cos`](Self::lane_sin_cos).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(0f64.lane_sin::<false>(), 0.0);
    /// ```
    #[inline(always)]
    fn lane_sin<const FMA: bool>(self) -> Self {
        self.lane_sin_cos::<FMA>().0
    }

    /// The cosine of [`lane_sin_cos`](Self::lane_sin_cos).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::Scalar;
    ///
    /// assert_eq!(0f64.lane_cos::<false>(), 1.0);
    /// ```
    #[inline(always)]
    fn lane_cos<const FMA: bool>(self) -> Self {
        self.lane_sin_cos::<FMA>().1
    }

    /// A register of these under an instruction set.
    #[doc(hidden)]
    type Vector<S: Simd>: Vector<S, Self>;

    #[doc(hidden)]
    const POWERS_OF_TWO: &'static decay::PowersOfTwo<Self>;

    /// This times 2 to the power that is in the low bits of the mantissa of `power`.
    #[doc(hidden)]
    fn shift_exponent(self, power: Self) -> Self;

    #[doc(hidden)]
    fn transpose_blocks(layout: Layout, tile: &[Self], out: &mut [&mut [Self]]) -> (usize, usize);

    #[doc(hidden)]
    fn mirror_blocks(
        matrix: &mut Window<'_, Self>,
        rows: Range<usize>,
        cols: Range<usize>,
        past_caches: bool,
    ) -> (usize, usize);

    #[doc(hidden)]
    fn transpose_series<'a, 'w>(series: Series<'a, 'w, Self>) -> Option<Series<'a, 'w, Self>>;

    #[doc(hidden)]
    fn read_weights(weights: &Weights<'_, Self>, rows: usize, out: &mut [Self]) -> bool;

    /// What a function that is written once for each precision makes of this.
    #[doc(hidden)]
    fn select<F: ByPrecision>(input: F::Input<Self>) -> F::Output<Self>;
}

/// A function that is there once for each precision. Calling it for any [`Scalar`] compiles no more than the call:
/// generic code behind it is compiled in this crate, and not again in each that depends on it.
#[doc(hidden)]
#[allow(missing_docs)]
pub trait ByPrecision {
    type Input<T: Scalar>;
    type Output<T: Scalar>;
    fn f32(input: Self::Input<f32>) -> Self::Output<f32>;
    fn f64(input: Self::Input<f64>) -> Self::Output<f64>;
}

/// Names a function of any precision, to be compiled once for each in this crate: `Name<'a, T>(argument) -> result = function`.
macro_rules! by_precision {
    ($name:ident<$life:lifetime, $precision:ident>($input:ty) -> $output:ty = $function:ident) => {
        struct $name<$life>(std::marker::PhantomData<&$life()>);

        impl<$life> crate::scalar::ByPrecision for $name<$life> {
            type Input<$precision: crate::Scalar> = $input;
            type Output<$precision: crate::Scalar> = $output;

            #[inline(never)]
            fn f32(input: Self::Input<f32>) -> Self::Output<f32> {
                $function(input)
            }

            #[inline(never)]
            fn f64(input: Self::Input<f64>) -> Self::Output<f64> {
                $function(input)
            }
        }
    };
}

pub(crate) use by_precision;

macro_rules! scalar {
    ($name:ident, $type:ty, $vector:ident, $constants:path, $transpose:path, $mirror:path, $series:path, $read:path, $largest_angle:path, $exp:path, $exp_m1:path, $ln:path, $ln_1p:path, $tanh:path, $pow:path,
     $atan2:path, $sin_cos:path) => {
        impl Scalar for $type {
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn as_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn lane_mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self {
                if FMA { <$type>::mul_add(self, a, b) } else { self * a + b }
            }

            #[inline(always)]
            fn lane_exp<const FMA: bool>(self) -> Self {
                if FMA { $exp(self) } else { <$type>::exp(self) }
            }

            #[inline(always)]
            fn lane_exp_m1<const FMA: bool>(self) -> Self {
                if FMA { $exp_m1(self) } else { <$type>::exp_m1(self) }
            }

            #[inline(always)]
            fn lane_ln<const FMA: bool>(self) -> Self {
                if FMA { $ln(self) } else { <$type>::ln(self) }
            }

            #[inline(always)]
            fn lane_ln_1p<const FMA: bool>(self) -> Self {
                if FMA { $ln_1p(self) } else { <$type>::ln_1p(self) }
            }

            #[inline(always)]
            fn lane_tanh<const FMA: bool>(self) -> Self {
                if FMA { $tanh(self) } else { <$type>::tanh(self) }
            }

            #[inline(always)]
            fn lane_pow<const FMA: bool>(self, exponent: Self) -> Self {
                if FMA { $pow(self, exponent) } else { <$type>::powf(self, exponent) }
            }

            #[inline(always)]
            fn lane_atan2<const FMA: bool>(self, x: Self) -> Self {
                if FMA { $atan2(self, x) } else { <$type>::atan2(self, x) }
            }

            const LARGEST_LANE_ANGLE: Self = $largest_angle;

            #[inline(always)]
            fn lane_sin_cos<const FMA: bool>(self) -> (Self, Self) {
                if FMA { $sin_cos(self) } else { <$type>::sin_cos(self) }
            }

            type Vector<S: Simd> = $vector<S>;

            const POWERS_OF_TWO: &'static decay::PowersOfTwo<Self> = &$constants;

            #[inline(always)]
            fn shift_exponent(self, power: Self) -> Self {
                <$type>::from_bits(self.to_bits().wrapping_add(power.to_bits() << (<$type>::MANTISSA_DIGITS - 1)))
            }

            fn transpose_blocks(layout: Layout, tile: &[Self], out: &mut [&mut [Self]]) -> (usize, usize) {
                $transpose(layout, tile, out)
            }

            fn mirror_blocks(
                matrix: &mut Window<'_, Self>,
                rows: Range<usize>,
                cols: Range<usize>,
                past_caches: bool,
            ) -> (usize, usize) {
                $mirror(matrix, rows, cols, past_caches)
            }

            fn transpose_series<'a, 'w>(series: Series<'a, 'w, Self>) -> Option<Series<'a, 'w, Self>> {
                $series(series)
            }

            fn read_weights(weights: &Weights<'_, Self>, rows: usize, out: &mut [Self]) -> bool {
                $read(weights, rows, out)
            }

            #[inline(always)]
            fn select<F: ByPrecision>(input: F::Input<Self>) -> F::Output<Self> {
                F::$name(input)
            }
        }
    };
}

scalar!(
    f32,
    f32,
    F32s,
    decay::POWERS_F32,
    transpose_blocks_f32,
    mirror_blocks_f32,
    transpose_series_f32,
    read_f32,
    trig::LARGEST_F32,
    exp::exp_f32,
    expm1::exp_m1_f32,
    log::ln_f32,
    log::ln_1p_f32,
    tanh::tanh_f32,
    pow::pow_f32,
    inverse_trig::atan2_f32,
    trig::sin_cos_f32
);
scalar!(
    f64,
    f64,
    F64s,
    decay::POWERS_F64,
    transpose_blocks_f64,
    mirror_blocks_f64,
    transpose_series_f64,
    read_f64,
    trig::LARGEST_F64,
    exp::exp_f64,
    expm1::exp_m1_f64,
    log::ln_f64,
    log::ln_1p_f64,
    tanh::tanh_f64,
    pow::pow_f64,
    inverse_trig::atan2_f64,
    trig::sin_cos_f64
);
