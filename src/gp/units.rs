//! The units in which fits count parameters that may be any finite number: those of the data, so that steps do not depend on the
//! units that the data come in.
//!
//! Each function gives the units of the scalars of a part, in visiting order.

use faer::MatRef;

use super::latents::PerLatent;
use crate::kernel::{Kernel, diag_into};
use crate::kernels::Coregionalization;
use crate::mean::{DynMean, Mean};
use crate::params::{Label, ParameterRef, Parameterized, ParameterizedExt, Shape, Visitor};
use crate::{Result, Scalar};

/// What has no unit, or is counted on a scale of its own.
pub(super) fn ones<P: Parameterized + ?Sized>(part: &P) -> Vec<f64> {
    vec![1.0; part.num_params()]
}

/// The standard deviation of the values that were observed; where they are all one value its size, and 1 if that is 0.
pub(super) fn spread<T: Scalar>(values: impl Iterator<Item = T>) -> f64 {
    let seen: Vec<f64> = values.map(|value| value.as_f64()).filter(|value| value.is_finite()).collect();
    let largest = seen.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if largest == 0.0 {
        return 1.0;
    }
    // In units of the largest, of which no square overflows.
    let count = seen.len() as f64;
    let mean = seen.iter().map(|value| value / largest).sum::<f64>() / count;
    let variance = seen.iter().map(|value| (value / largest - mean).powi(2)).sum::<f64>() / count;
    let rounding = f64::EPSILON * count.sqrt();
    if variance.sqrt() > rounding { largest * variance.sqrt() } else { largest }
}

/// The spread of each column.
pub(super) fn of_columns<T: Scalar>(x: MatRef<'_, T>) -> Vec<f64> {
    x.col_iter().map(|column| spread(column.iter().copied())).collect()
}

/// The deviation of the process a priori, at the points on average.
pub(super) fn of_process<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Result<f64> {
    let mut variances = vec![T::from_f64(0.0); x.nrows()];
    diag_into(kernel, x, &mut variances)?;
    let mean = variances.iter().map(|variance| variance.as_f64() / x.nrows() as f64).sum::<f64>();
    Ok(if mean > 0.0 && mean.is_finite() { mean.sqrt() } else { 1.0 })
}

/// Of a mean function of values with this spread: a parameter changes the mean by one spread, at the points on average.
pub(super) fn of_mean<T: Scalar>(mean: &DynMean, x: MatRef<'_, T>, spread: f64) -> Vec<f64> {
    let mut squares = vec![0.0; mean.num_params()];
    if squares.is_empty() {
        return squares;
    }
    let mut gradient = squares.clone();
    for row in 0..x.nrows() {
        gradient.fill(0.0);
        mean.vjp(x.subrows(row, 1), &[T::from_f64(1.0)], &mut gradient);
        // A row that is not there, of a kernel that masks it, moves nothing.
        if gradient.iter().all(|g| g.is_finite()) {
            squares.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g * g / x.nrows() as f64);
        }
    }
    let unit = |square: f64| spread / square.sqrt();
    squares.into_iter().map(|square| Some(unit(square)).filter(|u| u.is_normal()).unwrap_or(1.0)).collect()
}

/// Of the mean functions of functions with these spreads, one for all or one for each.
pub(super) fn of_means<T: Scalar>(means: &PerLatent<DynMean>, x: MatRef<'_, T>, spreads: &[f64]) -> Vec<f64> {
    match means.all() {
        [one] => of_mean(one, x, together(spreads)),
        each => each.iter().zip(spreads).flat_map(|(mean, &spread)| of_mean(mean, x, spread)).collect(),
    }
}

/// The unit of what is counted in all of these: their geometric mean.
pub(super) fn together(units: &[f64]) -> f64 {
    (units.iter().map(|unit| unit.ln()).sum::<f64>() / units.len().max(1) as f64).exp()
}

/// Of the weights of a coregionalization, which are what they start as, and of its diagonal, which is positive.
pub(super) fn of_coregionalization(matrix: &Coregionalization) -> Vec<f64> {
    let (weights, mut units) = (matrix.weights(), ones(matrix));
    let (norm, count) = (weights.norm_l2(), weights.nrows() * weights.ncols());
    if norm > 0.0 {
        units[..count].fill(norm / (count as f64).sqrt());
    }
    units
}

/// Of inducing features: of inputs, one a row, those of the columns.
pub(super) fn of_inducing<F: Parameterized + ?Sized>(features: &F, columns: &[f64]) -> Vec<f64> {
    struct Inputs<'a> {
        columns: &'a [f64],
        units: Vec<f64>,
    }
    impl Visitor for Inputs<'_> {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            match parameter.shape() {
                Shape::Matrix(rows, cols) if parameter.name() == "inputs" && cols == self.columns.len() => {
                    self.units.extend(self.columns.iter().flat_map(|&unit| std::iter::repeat_n(unit, rows)));
                }
                shape => self.units.extend(std::iter::repeat_n(1.0, shape.len())),
            }
        }

        fn child(&mut self, _: Label, child: &dyn Parameterized) {
            child.visit(self);
        }
    }
    let mut inputs = Inputs { columns, units: Vec::new() };
    features.visit(&mut inputs);
    inputs.units
}
