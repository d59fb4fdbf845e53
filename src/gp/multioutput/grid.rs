//! Values of several outputs, all observed at the same inputs: N × P.

use faer::{Mat, MatRef};

use super::stacked::check_values;
use crate::gp::checks::check_inputs;
use crate::gp::latents::PerLatent;
use crate::gp::terms::prior_mean;
use crate::kernel::Kernel;
use crate::mean::{DynMean, Mean, MeanExpr};
use crate::tape::{Tape, Var};
use crate::{Error, Result, Scalar};

/// Refuses inputs and values, N × P, that no model of a full grid can work with: a missing value by its place.
pub(super) fn check_grid<'m, T: Scalar>(
    x: MatRef<'_, T>,
    y: MatRef<'_, T>,
    kernels: impl IntoIterator<Item = &'m dyn Kernel<T>>,
    means: &'m PerLatent<DynMean>,
    outputs: usize,
) -> Result<()> {
    check_inputs(x, kernels, means.all())?;
    check_values(x, y)?;
    if y.ncols() != outputs {
        let expected = format!("{outputs} column(s), one for each output of the model");
        return Err(Error::shape("y", expected, y.shape()));
    }
    for row in 0..y.nrows() {
        if let Some(col) = (0..outputs).find(|&col| y[(row, col)].as_f64().is_nan()) {
            let expected = "this model needs all outputs of a row: leave the row out, or give what was observed, as \
                            `Stacked`, to an `ExactGp`, or with the gaps to an `Svgp` of `LinearMixing`";
            return Err(Error::setting(&format!("y[{row}, {col}]"), "missing", expected));
        }
    }
    Ok(())
}

/// Refuses mean functions that are neither one for all outputs nor one for each, or cannot read the points.
pub(super) fn check_means(means: &PerLatent<DynMean>, outputs: usize, dim: usize) -> Result<()> {
    let count = means.all().len();
    if count != 1 && count != outputs {
        let expected = format!("must be 1 or {outputs}, the number of outputs");
        return Err(Error::setting("the number of mean functions", count, &expected));
    }
    means.all().iter().try_for_each(|mean| mean.check_dim(dim))
}

/// The mean functions at the points, N × P.
pub(super) fn means_at<T: Scalar>(means: &PerLatent<DynMean>, x: MatRef<'_, T>, outputs: usize) -> Mat<T> {
    let mut values = Mat::zeros(x.nrows(), outputs);
    (0..outputs).for_each(|output| means.of(output).mean_into(x, values.col_as_slice_mut(output)));
    values
}

/// What the mean functions leave of the values, N × P, on a tape; and the parameters of each mean function.
pub(super) fn residuals<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    means: &'a PerLatent<DynMean>,
    x: Var<'t, T>,
    y: MatRef<'_, T>,
) -> Result<(Var<'t, T>, Vec<Var<'t, T>>)> {
    let terms = means.all().iter().map(|mean| prior_mean(tape, mean, x)).collect::<Result<Vec<_>>>()?;
    let operands: Vec<_> = terms.iter().map(|term| term.value).collect();
    let mut value = y.to_owned();
    for output in 0..y.ncols() {
        let mean = tape.value(operands[if operands.len() == 1 { 0 } else { output }])?;
        value.col_as_slice_mut(output).iter_mut().zip(mean.as_mat().col(0).iter()).for_each(|(y, &mean)| *y -= mean);
    }
    let count = operands.len();
    let reverse = move |c: MatRef<'_, T>| {
        let zero = T::from_f64(0.0);
        let of = |row: usize, mean: usize| {
            if count == 1 { -c.row(row).iter().fold(zero, |sum, &c| sum + c) } else { -c[(row, mean)] }
        };
        (0..count).map(|mean| Some(Mat::from_fn(c.nrows(), 1, |row, _| of(row, mean)))).collect()
    };
    let residual = tape.custom(&operands, value, Box::new(reverse));
    Ok((residual, terms.into_iter().map(|term| term.theta).collect()))
}
