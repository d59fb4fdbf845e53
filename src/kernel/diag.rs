//! The diagonal of a Gram matrix, without the matrix.

use faer::MatRef;

use super::features::Embedding;
use super::{Kernel, check_points};
use crate::{Error, Result, Scalar};

/// Writes k(xᵢ, xᵢ), the diagonal of the Gram matrix, into `out`, in O(n·D) time for most kernels.
///
/// # Errors
///
/// [`Error::Shape`] if `out` does not have one element for each point; [`Error::Dimension`] if the
/// kernel cannot read points of this dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let x = mat![[1.0], [3.0]];
/// let mut out = [0.0; 2];
/// mercer::kernel::diag_into(&Linear::new(2.0), x.as_ref(), &mut out)?;
/// assert_eq!(out, [2.0, 18.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn diag_into<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, out: &mut [T]) -> Result<()> {
    check_points(kernel, "x", x)?;
    if out.len() != x.nrows() {
        return Err(Error::shape("the output", format!("{} element(s)", x.nrows()), (out.len(), 1)));
    }
    let embedding = Embedding::new(kernel, x, false);
    kernel.tile_diag(&embedding.features, out);
    Ok(())
}
