//! Which instruction sets may be used.

use std::sync::atomic::{AtomicU8, Ordering};

/// A level of instruction sets, from the least.
///
/// Values have the same bits at [`Avx2`](Self::Avx2) and [`Avx512`](Self::Avx512); at
/// [`Baseline`](Self::Baseline), without fused multiply-add, they differ by rounding. See [`restrict`].
///
/// # Examples
///
/// ```
/// use mercer::simd::Level;
///
/// assert!(Level::Baseline < Level::Avx2 && Level::Avx2 < Level::Avx512);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// What every machine of the architecture has.
    Baseline,
    /// AVX2 with fused multiply-add, or what an architecture that is not x86-64 has beyond its baseline.
    Avx2,
    /// AVX-512.
    Avx512,
}

static HIGHEST: AtomicU8 = AtomicU8::new(Level::Avx512 as u8);

/// Restricts the whole program to instruction sets up to a level, whatever the machine has: to compare
/// them, or to keep to one that does not lower the clock. Models and kernels take it up at their next
/// call.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::simd::{Level, restrict};
///
/// let x = mat![[0.0], [0.3], [1.1], [2.0]];
/// let widest = Matern52::new(0.7).gram(x.as_ref())?;
/// restrict(Level::Avx2);
/// assert_eq!(Matern52::new(0.7).gram(x.as_ref())?, widest);
/// restrict(Level::Avx512);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn restrict(highest: Level) {
    HIGHEST.store(highest as u8, Ordering::Relaxed);
}

/// Whether a level may be used, if the machine has it.
#[inline(always)]
pub(super) fn allows(level: Level) -> bool {
    HIGHEST.load(Ordering::Relaxed) >= level as u8
}

#[cfg(target_arch = "x86_64")]
pub(super) fn v4() -> Option<pulp::x86::V4> {
    if allows(Level::Avx512) { pulp::x86::V4::try_new() } else { None }
}

#[cfg(target_arch = "x86_64")]
pub(super) fn v3() -> Option<pulp::x86::V3> {
    if allows(Level::Avx2) { pulp::x86::V3::try_new() } else { None }
}

/// The best level that may be used and that the machine has.
#[inline]
pub(crate) fn best() -> Level {
    #[cfg(target_arch = "x86_64")]
    match (v4(), v3()) {
        (Some(_), _) => Level::Avx512,
        (None, Some(_)) => Level::Avx2,
        (None, None) => Level::Baseline,
    }
    #[cfg(not(target_arch = "x86_64"))]
    if allows(Level::Avx2) { Level::Avx2 } else { Level::Baseline }
}
