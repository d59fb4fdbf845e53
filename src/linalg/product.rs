//! Products whose bits depend on nothing but their factors.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::padded;
use crate::Scalar;

/// A B on one thread. The operator `*` takes all threads of the pool, and products with vectors are then sums of as many
/// parts.
pub(crate) fn product<T: Scalar>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Mat<T> {
    let mut out = padded(a.nrows(), b.ncols());
    matmul(out.as_mut(), Accum::Replace, a, b, T::from_f64(1.0), Par::Seq);
    out
}
