//! Maps of each coordinate by itself, in `f64` at either precision: there are only as many values as
//! coordinates, and their derivatives cost more digits than they do.

use faer::Mat;

use crate::kernel::{FeatureGradients, Points};
use crate::params::PerDimension;
use crate::{Error, Result, Scalar};

/// The points that a function of the dimension and the coordinate makes.
pub(super) fn map<'a, T: Scalar>(points: &Points<'a, T>, value: impl Fn(usize, f64) -> f64) -> Points<'a, T> {
    let matrix = points.matrix();
    let of = |row, dim| T::from_f64(value(dim, matrix[(row, dim)].as_f64()));
    Points::made(Mat::from_fn(points.len(), points.dim(), of)).with_gradient(true)
}

/// The point that a function of the dimension and the coordinate makes of one point.
pub(super) fn map_point<T: Scalar>(x: &[T], out: &mut [T], value: impl Fn(usize, f64) -> f64) {
    for (dim, (out, &x)) in out.iter_mut().zip(x).enumerate() {
        *out = T::from_f64(value(dim, x.as_f64()));
    }
}

/// From the gradient in what was made: adds to that in the points and in the parameters, given the
/// function's derivatives in the coordinate and in each parameter.
pub(super) fn map_backward<T: Scalar, const N: usize>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    parameters: [&PerDimension; N],
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
    slopes: impl Fn(usize, f64) -> (f64, [f64; N]),
) {
    let Some(in_made) = gradients.take(made) else { return };
    let mut in_points = gradients.at_mut(points);
    for dim in 0..points.dim() {
        let mut sums = [0.0; N];
        for (row, (&x, &cotangent)) in points.column(dim).iter().zip(in_made.col_as_slice(dim)).enumerate() {
            let (slope, in_parameters) = slopes(dim, x.as_f64());
            sums.iter_mut().zip(in_parameters).for_each(|(sum, slope)| *sum += cotangent.as_f64() * slope);
            if let Some(in_points) = &mut in_points {
                in_points[(row, dim)] += T::from_f64(cotangent.as_f64() * slope);
            }
        }
        let mut first = 0;
        for (parameter, sum) in parameters.iter().zip(sums) {
            theta[first + if parameter.dim().is_some() { dim } else { 0 }] += sum;
            first += parameter.values().len();
        }
    }
}

/// Refuses points without a value for each dimension.
pub(super) fn check_dim(warp: &str, name: &str, values: &PerDimension, dim: usize) -> Result<()> {
    match values.dim() {
        Some(expected) if expected != dim => {
            let needs = format!("has {expected} value(s) of `{name}`, one for each dimension");
            Err(Error::Dimension { kernel: format!("{warp}(…)"), needs, found: dim })
        }
        _ => Ok(()),
    }
}
