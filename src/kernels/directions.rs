//! Points as a direction and a length, behind the kernels of angles.

use faer::Mat;

use crate::Scalar;
use crate::kernel::{FeatureGradients, Points};

/// The map from x to the length a and the direction u of (√weight x, √bias).
///
/// A vector of length 0 has the direction of the first axis, so that every kernel of directions is
/// defined, and positive semi-definite, there too; its gradient is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Augmented {
    pub(crate) weight: f64,
    pub(crate) bias: Option<f64>,
}

/// Whether directions are so nearly opposite, by |u − v|², that the rest of the angle to π has lost
/// digits: below 1/3.
#[inline]
pub(super) fn is_opposite<T: Scalar>(chord: T) -> bool {
    chord > T::from_f64(3.9)
}

/// −|u + v|²
pub(super) fn opposite<T: Scalar>(coordinates: impl Iterator<Item = (T, T)>) -> T {
    let sum: T = coordinates.map(|(u, v)| (u + v) * (u + v)).sum();
    // Not −0, which would not be below 0.
    -num_traits::Float::max(sum, num_traits::Float::min_positive_value())
}

impl Augmented {
    /// For directions of the points as they are.
    pub(crate) const PLAIN: Self = Self { weight: 1.0, bias: None };

    fn scales<T: Scalar>(self) -> (T, T) {
        (T::from_f64(self.weight.sqrt()), T::from_f64(self.bias.unwrap_or(0.0).sqrt()))
    }

    /// The length, by way of the largest coordinate so that no square overflows or vanishes.
    pub(super) fn length<T: Scalar>(self, x: impl Iterator<Item = T> + Clone) -> T {
        let (scale, constant) = self.scales::<T>();
        let largest = x.clone().fold(constant, |largest, x| {
            let size = num_traits::Float::abs(scale * x);
            // A NaN stays.
            if size <= largest || largest.is_nan() { largest } else { size }
        });
        if largest == T::from_f64(0.0) {
            return largest;
        }
        let square = |z: T| (z / largest) * (z / largest);
        let sum: T = x.map(|x| square(scale * x)).sum::<T>() + square(constant);
        largest * num_traits::Float::sqrt(sum)
    }

    /// Coordinate `dim` of the direction.
    fn direction<T: Scalar>(self, x: T, length: T, dim: usize) -> T {
        if length == T::from_f64(0.0) {
            return T::from_f64(if dim == 0 { 1.0 } else { 0.0 });
        }
        self.scales::<T>().0 * x / length
    }

    /// |u − v|² and the lengths, for two points.
    pub(crate) fn chord<T: Scalar>(self, x: &[T], y: &[T]) -> (T, T, T) {
        let (a, b) = (self.length(x.iter().copied()), self.length(y.iter().copied()));
        let chord = self.coordinates(x, a, y, b).map(|(u, v)| (u - v) * (u - v)).sum();
        (chord, a, b)
    }

    /// The pair's number of [`Reads::SquaredChord`](super::Reads::SquaredChord), and the lengths.
    pub(super) fn signed_chord<T: Scalar>(self, x: &[T], y: &[T]) -> (T, T, T) {
        let (chord, a, b) = self.chord(x, y);
        let signed = if is_opposite(chord) { opposite(self.coordinates(x, a, y, b)) } else { chord };
        (signed, a, b)
    }

    /// The coordinates of both directions, for two points of these lengths.
    fn coordinates<'x, T: Scalar>(self, x: &'x [T], a: T, y: &'x [T], b: T) -> impl Iterator<Item = (T, T)> + 'x {
        let pair = move |(d, (&x, &y)): (usize, (&T, &T))| (self.direction(x, a, d), self.direction(y, b, d));
        let constant = self.scales::<T>().1;
        let last = self.bias.map(|_| (constant / a, constant / b));
        x.iter().zip(y).enumerate().map(pair).chain(last)
    }

    /// The lengths, as points of one dimension, and the directions.
    pub(crate) fn embed<'a, T: Scalar>(self, points: &Points<'_, T>) -> (Points<'a, T>, Points<'a, T>) {
        let (rows, dim, matrix) = (points.len(), points.dim(), points.matrix());
        let lengths = Mat::from_fn(rows, 1, |row, _| self.length((0..dim).map(move |d| matrix[(row, d)])));
        let constant = self.scales::<T>().1;
        let columns = dim + usize::from(self.bias.is_some());
        let directions = Mat::from_fn(rows, columns, |row, d| {
            let length = lengths[(row, 0)];
            if d < dim { self.direction(matrix[(row, d)], length, d) } else { constant / length }
        });
        (Points::made(lengths).with_gradient(true), Points::made(directions).with_gradient(true))
    }

    /// From the gradients in lengths and directions: adds to that in the points, and to those in the
    /// weight and the bias where `theta` has room for them.
    ///
    /// With z = a u, dz is along u for da, and (dz − u uᵀdz)/a for du.
    pub(crate) fn backward<T: Scalar>(
        self,
        points: &Points<'_, T>,
        lengths: &Points<'_, T>,
        directions: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let (in_lengths, in_directions) = (gradients.take(lengths), gradients.take(directions));
        let (a, u, x) = (lengths.column(0), directions.matrix(), points.matrix());
        let (dim, zero) = (points.dim(), T::from_f64(0.0));
        let scale = self.scales::<T>().0;
        let mut in_points = gradients.at_mut(points);
        let (mut in_weight, mut in_bias) = (0.0, 0.0);
        for row in (0..points.len()).filter(|&row| a[row] != zero) {
            let in_direction = |d: usize| in_directions.as_ref().map_or(zero, |g| g[(row, d)]);
            let along: T = (0..u.ncols()).map(|d| u[(row, d)] * in_direction(d)).sum();
            let in_length = in_lengths.as_ref().map_or(zero, |g| g[(row, 0)]);
            let in_augmented = |d: usize| (in_direction(d) - u[(row, d)] * along) / a[row] + u[(row, d)] * in_length;
            for d in 0..dim {
                let g = in_augmented(d);
                in_weight += g.as_f64() * x[(row, d)].as_f64();
                if let Some(in_points) = &mut in_points {
                    in_points[(row, d)] += scale * g;
                }
            }
            if self.bias.is_some() {
                in_bias += in_augmented(dim).as_f64();
            }
        }
        if let Some(sum) = theta.first_mut() {
            *sum += in_weight / (2.0 * self.weight.sqrt());
        }
        if let (Some(sum), Some(bias)) = (theta.get_mut(1), self.bias) {
            *sum += in_bias / (2.0 * bias.sqrt());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_angles_and_extreme_lengths_keep_their_digits() {
        let angle = 1e-9f64;
        let y = [angle.cos(), angle.sin()];
        for scale in [1e-200, 1.0, 1e200] {
            let (chord, a, b) = Augmented::PLAIN.chord(&[1.0, 0.0], &[scale * y[0], scale * y[1]]);
            assert!((chord / (angle * angle) - 1.0).abs() < 1e-7, "{chord:e}");
            assert!(a == 1.0 && (b / scale - 1.0).abs() < 1e-15);
        }
        assert_eq!(Augmented::PLAIN.chord(&[0.0, 0.0], &[0.0, 3.0]), (2.0, 0.0, 3.0));
    }
}
