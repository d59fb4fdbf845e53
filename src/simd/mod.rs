//! Vectorised loops under run-time dispatch.
//!
//! A formula is written once for [`Lanes`], which is one number or registers of them: the profile of a radial kernel, for
//! one. Other loops over a tile are written once as plain scalar code in the body of a [`Pass`], and
//! [`dispatch`] runs the copy of it that was compiled for the best instruction set of the machine
//! (AVX-512, AVX2 with FMA, NEON, or the baseline). The compiler vectorises the body, so everything
//! that it calls must be `#[inline(always)]` and free of branches on data.
//!
//! Element-wise passes give the same bits at every vector width, because each operation is rounded
//! the same. Sums have to fix their order themselves: see [`sum`].
//!
//! # Elementary functions
//!
//! Straight-line code, vectorised wherever it is called. They are methods of [`Scalar`](crate::Scalar) too, which
//! take the standard library's functions where fused multiply-add is not an instruction. The
//! largest errors found, in units in the last place of the exact value:
//!
//! | function | `f32` | `f64` | |
//! |---|---|---|---|
//! | e<sup>x</sup>: [`exp`] | 0.892 | 0.907 | |
//! | e<sup>x</sup> − 1: [`expm1`] | 0.993 | 1.050 | |
//! | log x: [`log`] | 0.804 | 0.835 | |
//! | log (1 + x): [`log`] | 0.804 | 0.827 | |
//! | tanh x: [`tanh`](mod@tanh) | 0.780 | 0.815 | |
//! | x<sup>y</sup>: [`pow`](mod@pow) | 0.501 | 1.357 | x not negative |
//! | sin x: [`trig`] | 0.775 | 0.785 | up to 2<sup>15</sup>, 2<sup>32</sup>; slices of any size |
//! | cos x: [`trig`] | 0.781 | 0.780 | the same |
//! | atan2(y, x): [`inverse_trig`] | 0.703 | 0.635 | |
//!
//! Results below the smallest normal number are flushed to zero by e<sup>x</sup> and x<sup>y</sup>; arguments and other
//! results may be subnormal.

pub(crate) mod cotangents;
pub(crate) mod decay;
pub(crate) mod elementwise;
pub(crate) mod entries;
pub mod exp;
pub mod expm1;
pub(crate) mod groups;
pub mod inverse_trig;
pub(crate) mod lanes;
pub(crate) mod level;
pub mod log;
pub(crate) mod map;
pub(crate) mod pairs;
pub mod pow;
mod power;
#[cfg(test)]
mod reference;
pub(crate) mod remainder;
pub(crate) mod stream;
pub(crate) mod sum;
pub(crate) mod sweep;
pub(crate) mod sweep_gradient;
pub mod tanh;
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "blocks stay in registers where there are many"))]
pub(crate) mod transpose;
pub mod trig;
#[doc(hidden)]
pub mod vector;
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "blocks stay in registers where there are many"))]
pub(crate) mod window;

pub use lanes::{Lanes, OfLane, One};
pub use level::{Level, restrict};
pub(crate) use power::power;
pub use sum::{LANES, dot, sum};

use pulp::{Simd, WithSimd};

/// A loop that [`dispatch`] compiles for several instruction sets.
///
/// Mark `run` with `#[inline(always)]`; otherwise it is compiled once, for the baseline.
pub trait Pass {
    /// What the pass returns.
    type Output;

    /// The loop. `FMA` tells whether fused multiply-add is an instruction here; it is `false` only
    /// on the fallback, where [`crate::Scalar::lane_mul_add`] must not call the software version.
    fn run<const FMA: bool>(self) -> Self::Output;
}

struct Dispatched<P>(P);

impl<P: Pass> WithSimd for Dispatched<P> {
    type Output = P::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> P::Output {
        if S::IS_SCALAR { self.0.run::<false>() } else { self.0.run::<true>() }
    }
}

/// Runs a pass under the best instruction set that this machine has.
///
/// # Examples
///
/// ```
/// use mercer::simd::{Pass, dispatch};
/// use mercer::Scalar;
///
/// struct Exponentials<'a>(&'a mut [f64]);
///
/// impl Pass for Exponentials<'_> {
///     type Output = ();
///
///     #[inline(always)]
///     fn run<const FMA: bool>(self) {
///         for value in self.0 {
///             *value = value.lane_exp::<FMA>();
///         }
///     }
/// }
///
/// let mut values = [0.0, 1.0];
/// dispatch(Exponentials(&mut values));
/// assert_eq!(values[0], 1.0);
/// assert!((values[1] - std::f64::consts::E).abs() < 1e-15);
/// ```
#[inline]
pub fn dispatch<P: Pass>(pass: P) -> P::Output {
    with_simd(Dispatched(pass))
}

/// Runs what is generic in the instruction set under the best one that this machine has.
#[inline]
pub(crate) fn with_simd<P: WithSimd>(pass: P) -> P::Output {
    under(level::best(), pass)
}

/// The same under a level that this machine has.
#[inline]
pub(crate) fn under<P: WithSimd>(level: Level, pass: P) -> P::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let (Level::Avx512, Some(simd)) = (level, pulp::x86::V4::try_new()) {
            return Simd::vectorize(simd, pass);
        }
        match pulp::x86::V3::try_new() {
            Some(simd) if level >= Level::Avx2 => Simd::vectorize(simd, pass),
            _ => pass.with_simd(pulp::Scalar),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    if level >= Level::Avx2 { pulp::Arch::new().dispatch(pass) } else { pass.with_simd(pulp::Scalar) }
}

/// Runs the same pass under each instruction set that this machine has, from the baseline on: for tests.
#[cfg(test)]
fn under_each<P: WithSimd + Clone>(pass: P) -> Vec<P::Output> {
    let mut results = vec![pass.clone().with_simd(pulp::Scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        results.extend(pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, pass.clone())));
        results.extend(pulp::x86::V4::try_new().map(|simd| Simd::vectorize(simd, pass)));
    }
    #[cfg(not(target_arch = "x86_64"))]
    results.push(pulp::Arch::new().dispatch(pass));
    results
}
