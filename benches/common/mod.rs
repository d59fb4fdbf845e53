//! Points that the benches share.

use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// n points, uniform in [−2, 2]ᴰ; the same on every run.
pub(crate) fn points<T: Scalar>(n: usize, dim: usize) -> Mat<T> {
    let mut rng = Pcg64::seed_from_u64(1);
    Mat::from_fn(n, dim, |_, _| T::from_f64(rng.random_range(-2.0..2.0)))
}
