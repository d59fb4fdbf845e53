//! What models refuse before they compute.

use faer::MatRef;

use crate::data::check_finite;
use crate::kernel::{Expr, text};
use crate::{Error, Result, Scalar};

/// Refuses data that no model can work with: empty, of different lengths, or not finite.
pub(super) fn check_data<T: Scalar>(x: MatRef<'_, T>, y: &[T]) -> Result<()> {
    check_finite("x", x)?;
    if y.len() != x.nrows() {
        return Err(Error::shape("y", format!("{} value(s), one for each row of x", x.nrows()), (y.len(), 1)));
    }
    check_finite("y", MatRef::from_column_major_slice(y, y.len(), 1))
}

/// Refuses a kernel that is not guaranteed positive semi-definite in this dimension, by the
/// subexpression that loses the guarantee.
pub(crate) fn check_psd(kernel: &dyn Expr, dim: usize) -> Result<()> {
    fn culprit(node: &dyn Expr) -> &dyn Expr {
        node.children().into_iter().find(|child| child.psd() <= node.psd()).map_or(node, culprit)
    }
    if kernel.psd().holds_in(dim) {
        return Ok(());
    }
    Err(Error::Indefinite { kernel: text(culprit(kernel)).to_string(), dim })
}

/// Refuses outputs, one row for each of n inputs, that no model can work with.
pub(super) fn check_outputs(y: MatRef<'_, f64>, n: usize) -> Result<()> {
    check_finite("y", y)?;
    if y.nrows() != n {
        return Err(Error::shape("y", format!("{n} row(s), one for each input"), y.shape()));
    }
    Ok(())
}
