//! The circle embedding behind the periodic kernel.

use faer::Mat;

use crate::Scalar;
use crate::kernel::{FeatureGradients, Points};
use crate::params::PerDimension;

/// 2π times the part of x that the period leaves over, divided by the period. The remainder of
/// floating-point numbers is exact, so that the angle is as good far from the origin as near it.
#[inline]
fn angle<T: Scalar>(x: T, period: T) -> T {
    T::TAU() * ((x % period) / period)
}

/// The points on the circle: for each dimension d, the columns cos and sin of 2π x_d/p_d.
///
/// The squared distance of two such points is Σ_d 4 sin²(π Δ_d/p_d).
pub(crate) fn embed<'a, T: Scalar>(points: &Points<'a, T>, period: &PerDimension) -> Points<'a, T> {
    embed_by(points, |dim, x| angle(x, T::from_f64(period.at(dim))))
}

/// For each dimension, the columns cos and sin of an angle.
pub(crate) fn embed_by<'a, T: Scalar>(points: &Points<'a, T>, angle: impl Fn(usize, T) -> T) -> Points<'a, T> {
    let mut made = Mat::zeros(points.len(), 2 * points.dim());
    for dim in 0..points.dim() {
        for (row, &x) in points.column(dim).iter().enumerate() {
            let (sin, cos) = num_traits::Float::sin_cos(angle(dim, x));
            made[(row, 2 * dim)] = cos;
            made[(row, 2 * dim + 1)] = sin;
        }
    }
    Points::made(made).with_gradient(true)
}

/// From the gradient in the points on the circle: adds to that in the points and in the period.
pub(crate) fn embed_backward<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    period: &PerDimension,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    if let Some(in_made) = gradients.take(made) {
        backward(points, made, &in_made, period, gradients, theta);
    }
}

/// As [`embed_backward`], given the gradient. Columns after those of the circle are not read.
pub(crate) fn backward<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    in_made: &Mat<T>,
    period: &PerDimension,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    for dim in 0..points.dim() {
        // The angle is 2π x/p up to whole turns.
        let p = period.at(dim);
        let turns_by_x = backward_by(points, made, in_made, dim, 1.0 / p, gradients);
        theta[if period.dim().is_some() { dim } else { 0 }] -= turns_by_x / p / p;
    }
}

/// From the gradient in the circle of one dimension, whose angle is 2π `turns` x: adds to that in the
/// points, and returns the derivative by `turns`.
pub(crate) fn backward_by<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    in_made: &Mat<T>,
    dim: usize,
    turns: f64,
    gradients: &mut FeatureGradients<T>,
) -> f64 {
    let (cos, sin) = (made.column(2 * dim), made.column(2 * dim + 1));
    let (in_cos, in_sin) = (in_made.col_as_slice(2 * dim), in_made.col_as_slice(2 * dim + 1));
    let mut in_points = gradients.at_mut(points);
    let by_x = T::from_f64(std::f64::consts::TAU * turns);
    let mut in_turns = 0.0;
    for (row, &x) in points.column(dim).iter().enumerate() {
        // d(cos, sin)/dangle = (-sin, cos)
        let in_angle = in_sin[row] * cos[row] - in_cos[row] * sin[row];
        in_turns += in_angle.as_f64() * x.as_f64();
        if let Some(in_points) = &mut in_points {
            in_points[(row, dim)] += in_angle * by_x;
        }
    }
    in_turns * std::f64::consts::TAU
}
