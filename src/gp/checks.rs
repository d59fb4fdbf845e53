//! What models refuse before they compute.

use faer::MatRef;

use crate::data::check_finite;
use crate::kernel::{Expr, text};
use crate::likelihood::Likelihood;
use crate::{Error, Result, Scalar};

/// Refuses data that no model can work with: empty, of different lengths, or not finite.
pub(super) fn check_data<T: Scalar>(x: MatRef<'_, T>, y: &[T]) -> Result<()> {
    check_finite("x", x)?;
    check_count(x, y, 1)?;
    check_finite("y", MatRef::from_column_major_slice(y, y.len(), 1))
}

/// Refuses data that no model of this likelihood can work with, as [`check_data`] that of one output; of several, or of
/// mixtures, a NaN is a value that was not observed.
pub(super) fn check_data_of<T: Scalar>(x: MatRef<'_, T>, y: &[T], likelihood: &dyn Likelihood) -> Result<()> {
    if likelihood.outputs() == 1 && likelihood.mixing().is_none() {
        return check_data(x, y);
    }
    check_finite("x", x)?;
    check_count(x, y, likelihood.outputs())?;
    match y.iter().position(|y| y.as_f64().is_infinite()) {
        Some(row) => Err(Error::NonFinite { what: "y".to_owned(), row, col: 0, value: y[row].as_f64() }),
        None => Ok(()),
    }
}

/// Refuses another number of observations than one of each output for each point.
pub(super) fn check_count<T: Scalar>(x: MatRef<'_, T>, y: &[T], outputs: usize) -> Result<()> {
    let expected = x.nrows() * outputs;
    if y.len() == expected {
        return Ok(());
    }
    let of_each = if outputs == 1 { "one for each row of x" } else { "one of each output for each row of x" };
    Err(Error::shape("y", format!("{expected} value(s), {of_each}"), (y.len(), 1)))
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
