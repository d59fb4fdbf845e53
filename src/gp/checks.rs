//! What models refuse before they compute.

use faer::MatRef;

use crate::data::{check_finite, check_taken};
use crate::kernel::{Expr, Kernel, text};
use crate::likelihood::Likelihood;
use crate::mean::{DynMean, Mean, MeanExpr};
use crate::{Error, Result, Scalar};

/// Refuses inputs that the kernels and the mean functions of a model give no value: an infinity in a column that a kernel
/// reads, a NaN there that no mask takes, and either where a mean function reads it. What nobody reads may be anything.
pub(crate) fn check_inputs<'m, T: Scalar>(
    x: MatRef<'_, T>,
    kernels: impl IntoIterator<Item = &'m dyn Kernel<T>>,
    means: impl IntoIterator<Item = &'m DynMean>,
) -> Result<()> {
    match check_finite("x", x) {
        Err(Error::NonFinite { .. }) => {}
        other => return other,
    }
    kernels.into_iter().try_for_each(|kernel| check_taken("x", x, kernel))?;
    means.into_iter().try_for_each(|mean| check_mean(x, mean))
}

/// As [`check_inputs`], for one mean function.
fn check_mean<T: Scalar>(x: MatRef<'_, T>, mean: &DynMean) -> Result<()> {
    mean.check_dim(x.ncols())?;
    let mut values = vec![T::from_f64(0.0); x.nrows()];
    mean.mean_into(x, &mut values);
    let finite = |row: usize| (0..x.ncols()).all(|col| x[(row, col)].as_f64().is_finite());
    match (0..x.nrows()).find(|&row| !values[row].as_f64().is_finite() && !finite(row)) {
        None => Ok(()),
        Some(row) => {
            let expected = "the mean function reads columns of that row that are not finite: impute them, remove the row, \
                            or take a mean function that does not read them";
            Err(Error::setting(&format!("the mean at row {row} of x"), values[row].as_f64(), expected))
        }
    }
}

/// Refuses data that no model can work with: [inputs](check_inputs), another number of observations, and observations
/// that are not finite.
pub(super) fn check_data<'m, T: Scalar>(
    x: MatRef<'_, T>,
    y: &[T],
    kernels: impl IntoIterator<Item = &'m dyn Kernel<T>>,
    means: impl IntoIterator<Item = &'m DynMean>,
) -> Result<()> {
    check_inputs(x, kernels, means)?;
    check_count(x, y, 1)?;
    check_finite("y", MatRef::from_column_major_slice(y, y.len(), 1))
}

/// Refuses data that no model of this likelihood can work with, as [`check_data`] that of one output; of several, or of
/// mixtures, a NaN is a value that was not observed.
pub(super) fn check_data_of<'m, T: Scalar>(
    x: MatRef<'_, T>,
    y: &[T],
    kernels: impl IntoIterator<Item = &'m dyn Kernel<T>>,
    means: impl IntoIterator<Item = &'m DynMean>,
    likelihood: &dyn Likelihood,
) -> Result<()> {
    if likelihood.outputs() == 1 && likelihood.mixing().is_none() {
        return check_data(x, y, kernels, means);
    }
    check_inputs(x, kernels, means)?;
    check_count(x, y, likelihood.outputs())?;
    match y.iter().position(|y| y.as_f64().is_infinite()) {
        Some(at) => {
            let (row, col) = (at % x.nrows(), at / x.nrows());
            Err(Error::NonFinite { what: "y".to_owned(), row, col, value: y[at].as_f64() })
        }
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
/// subexpression that loses the guarantee; unless such are allowed.
pub(crate) fn check_psd(kernel: &dyn Expr, dim: usize, allow_indefinite: bool) -> Result<()> {
    fn culprit(node: &dyn Expr) -> &dyn Expr {
        let psd = node.properties().psd;
        let weakest = node.children().into_iter().find(|child| child.properties().psd <= psd);
        weakest.map_or(node, |child| culprit(child))
    }
    if allow_indefinite || kernel.properties().psd.holds_in(dim) {
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
