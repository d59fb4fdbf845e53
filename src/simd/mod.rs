//! Vectorised loops under run-time dispatch.
//!
//! A loop over a tile is written once, as plain scalar code in the body of a [`Pass`], and
//! [`dispatch`] runs the copy of it that was compiled for the best instruction set of the machine
//! (AVX-512, AVX2 with FMA, NEON, or the baseline). The compiler vectorises the body, so everything
//! that it calls must be `#[inline(always)]` and free of branches on data.
//!
//! Element-wise passes give the same bits at every vector width, because each operation is rounded
//! the same. Sums have to fix their order themselves: see [`sum`].

pub(crate) mod elementwise;
pub mod exp;
pub(crate) mod fused;
pub(crate) mod pairs;
mod power;
pub(crate) mod stream;
pub(crate) mod sum;
pub(crate) mod transpose;
pub(crate) mod window;

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
    pulp::Arch::new().dispatch(Dispatched(pass))
}
