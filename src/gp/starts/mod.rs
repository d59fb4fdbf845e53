//! Where a fit may start, by what the data are.

mod distances;
mod period;
mod roles;
mod walk;

use faer::MatRef;

pub(super) use roles::{noise_units, variances};
pub(super) use walk::lengthscales;

use roles::{own_parameters, roles};
use walk::of_kernel;

use super::data::Data;
use crate::algebra::read_template;
use crate::kernel::{Expr, Kernel, Limits};
use crate::mean::DynMean;
use crate::params::{Parameterized, ParameterizedExt};
use crate::{DynKernel, Result, Scalar};

/// The part of the variance of what was observed that noise starts with.
const NOISE: f64 = 0.1;

/// Reads a kernel as text in which numbers may be left out: they come from the data. So do the variances of terms that have
/// none of their own.
///
/// Variances share what the observations vary, lengthscales are the median distance of the inputs that they are for, and
/// periods are those of the strongest waves along the first input that the kernel reads. What data do not tell is 1.
///
/// # Errors
///
/// [`Error::Parse`](crate::Error::Parse) as for any text; [`Error::Dimension`](crate::Error::Dimension) if the kernel cannot
/// read the inputs.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, kernel_from_data};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(60, 1, |i, _| 0.5 * i as f64);
/// let data = Data::new(&x, (0..60).map(|i| (std::f64::consts::TAU * 0.5 * i as f64 / 6.0).sin()).collect::<Vec<_>>());
/// let kernel = kernel_from_data("periodic + rbf(lengthscale=40)", &data)?;
/// assert!((kernel.get("sum[0].scaled.periodic.period")? - 6.0).abs() < 0.3);
/// assert_eq!(kernel.get("sum[1].scaled.rbf.lengthscale")?, 40.0);
/// assert!((kernel.get("sum[1].scaled.factor")? - 0.25).abs() < 0.01); // half of the variance
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn kernel_from_data<T: Scalar>(text: &str, data: &Data<T>) -> Result<DynKernel> {
    let (mut kernel, unset) = read_template(text, Limits::default())?;
    kernel.inputs(data.x().ncols())?;
    let suggested = of_kernel(&kernel, data.x(), (data.y().ncols() > 0).then_some(data.y()));
    let mut values = kernel.values();
    for (position, entry) in kernel.parameters().iter().enumerate() {
        let value = suggested.values[position];
        if unset[position] && entry.constraint.admits(value) {
            values[position] = value;
        }
    }
    kernel.set_values(&values)?;
    Ok(kernel)
}

/// What data suggest of the parameters of a model, of all scalars in visiting order: see
/// [`Model::suggest`](super::Model::suggest).
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [10.0], [30.0]], [4.0, -4.0, 0.0]);
/// let suggested = ExactGp::new(1.0 * Rbf::new(1.0)).suggest(&data)?;
/// assert_eq!(suggested.values[1], 20.0); // the median of 10, 20 and 30
/// assert_eq!(suggested.ranges[1], Some([20.0, 30.0])); // neighbours, and the range
/// assert!((suggested.values[2] - 0.1 * suggested.values[0]).abs() < 1e-12); // noise
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suggested {
    /// Values to start from.
    pub values: Vec<f64>,
    /// Of lengthscales, a distance within which nine in ten inputs have a neighbour, and the range of the inputs: further starts are
    /// drawn between them. Of others none.
    pub ranges: Vec<Option<[f64; 2]>>,
}

/// For a model, by its kernels in visiting order and by observations, a column for each output; of what is seen of the functions
/// through no Gaussian noise, by the inputs alone.
pub(super) fn suggested<T: Scalar>(
    model: &dyn Parameterized,
    kernels: &[&dyn Kernel<T>],
    means: &[DynMean],
    x: MatRef<'_, T>,
    y: Option<MatRef<'_, T>>,
) -> Suggested {
    let column = |output: usize| y.map(|y| y.subcols(if y.ncols() > output { output } else { 0 }, 1));
    let mut values = model.values();
    let mut ranges = vec![None; values.len()];
    let roles = roles(model);
    if let Some(mut first) = roles.iter().find(|role| role.part == "kernel").map(|role| role.position) {
        for (index, kernel) in kernels.iter().enumerate() {
            let own = of_kernel(*kernel, x, column(index));
            let positions = first..first + own.values.len();
            first = positions.end;
            values[positions.clone()].copy_from_slice(&own.values);
            ranges[positions].copy_from_slice(&own.ranges);
        }
    }
    if let Some(mut first) = roles.iter().find(|role| role.part == "mean").map(|role| role.position) {
        for (output, mean) in means.iter().enumerate() {
            // Of one function for all outputs, that of all of them.
            let of = y.map(|y| if means.len() == 1 { y } else { y.subcols(output.min(y.ncols() - 1), 1) });
            if let (Some(y), Some(at)) = (of, level(mean)) {
                let seen =
                    || y.col_iter().flat_map(|column| column.iter()).map(|y| y.as_f64()).filter(|y| y.is_finite());
                let count = seen().count() as f64;
                values[first + at] = seen().map(|y| y / count).sum();
            }
            first += mean.num_params();
        }
    }
    let variances = y.map(variances).unwrap_or_default();
    for (value, unit) in values.iter_mut().zip(noise_units(model, &variances)) {
        if unit > 0.0 {
            *value = NOISE * unit;
        }
    }
    // What is frozen stays, and what is tied is one.
    for (position, entry) in model.parameters().iter().enumerate() {
        let first = entry.tie.filter(|&first| first < position);
        values[position] = first.map_or(if entry.free { values[position] } else { entry.value }, |first| values[first]);
    }
    Suggested { values, ranges }
}

/// The parameter of a mean function that is added everywhere, if it is a constant or a linear one.
fn level(mean: &DynMean) -> Option<usize> {
    let name = match mean.name() {
        "constant" => "value",
        "linear" => "intercept",
        _ => return None,
    };
    own_parameters(mean).into_iter().find(|(own, ..)| own == name).map(|(_, _, position)| position)
}
