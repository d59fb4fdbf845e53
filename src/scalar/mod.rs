//! The floating-point types that kernels are evaluated in, and numbers with derivatives.

pub(crate) mod dual;
mod real;

pub use dual::Dual;
pub use real::Real;

use std::fmt::{Debug, Display};

use crate::kernel::Kernel;
use crate::kernel::dynamic::AnyKernel;
use crate::mean::{AnyMean, Mean};
use crate::simd::fused::{OfSquaredDistance, Windows};
use crate::simd::pairs::Packed;
use crate::simd::transpose::Layout;

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

    /// The exponential: at most 1.1 units in the last place off, `exp(0) = 1` exactly, NaN for NaN.
    fn lane_exp<const FMA: bool>(self) -> Self;

    /// log(1 + x). Not vectorised: the standard library's function.
    fn lane_ln_1p<const FMA: bool>(self) -> Self;

    #[doc(hidden)]
    fn transpose_blocks(layout: Layout, tile: &[Self], out: &mut [&mut [Self]]) -> (usize, usize);

    #[doc(hidden)]
    fn fused<F: OfSquaredDistance<Self>>(function: F, packed: &Packed<Self>, windows: &mut Windows<'_, Self>) -> bool;

    #[doc(hidden)]
    fn select_kernel(kernel: &dyn AnyKernel) -> &dyn Kernel<Self>;

    #[doc(hidden)]
    fn select_mean(mean: &dyn AnyMean) -> &dyn Mean<Self>;
}

macro_rules! scalar {
    ($type:ty, $exp:path, $transpose:path, $fused:path) => {
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
            fn lane_ln_1p<const FMA: bool>(self) -> Self {
                <$type>::ln_1p(self)
            }

            fn transpose_blocks(layout: Layout, tile: &[Self], out: &mut [&mut [Self]]) -> (usize, usize) {
                $transpose(layout, tile, out)
            }

            fn fused<F: OfSquaredDistance<Self>>(
                function: F,
                packed: &Packed<Self>,
                windows: &mut Windows<'_, Self>,
            ) -> bool {
                $fused(function, packed, windows)
            }

            fn select_kernel(kernel: &dyn AnyKernel) -> &dyn Kernel<Self> {
                kernel
            }

            fn select_mean(mean: &dyn AnyMean) -> &dyn Mean<Self> {
                mean
            }
        }
    };
}

scalar!(f32, crate::simd::exp::exp_f32, crate::simd::transpose::transpose_blocks_f32, crate::simd::fused::fused_f32);
scalar!(f64, crate::simd::exp::exp_f64, crate::simd::transpose::transpose_blocks_f64, crate::simd::fused::fused_f64);
