//! How far rounding may move a kernel's values.

use faer::MatRef;

use super::violation::{Law, Violation};
use crate::kernel::{cross_into, diag_into};
use crate::{Kernel, Scalar};

/// A bound on rounding errors, from a backward error analysis.
///
/// A kernel's value is reached by some D + c operations on coordinates and hyperparameters, each of
/// which is as good as a relative change of a coordinate by the unit roundoff, or an absolute error of
/// a unit in the last place of the largest intermediate value, for which the largest entry (and at
/// least 1) stands. So |error| ≤ (D + c) ε (magnitude + Σ |∂k/∂x_d| |x_d| + Σ |∂k/∂z_d| |z_d|), the
/// derivatives taken as one-sided differences so that a kink counts with its slope.
pub(super) struct Rounding<'k, T: Scalar> {
    kernel: &'k dyn Kernel<T>,
    magnitude: f64,
    unit: f64,
}

/// Operations besides those in the sum over dimensions: the exponential, scales, sums of terms.
const OPERATIONS: f64 = 16.0;

impl<'k, T: Scalar> Rounding<'k, T> {
    /// For kernels between these points, evaluated in a type with this machine epsilon.
    pub(super) fn new(
        law: Law<'_>,
        kernel: &'k dyn Kernel<T>,
        x: MatRef<'_, T>,
        z: MatRef<'_, T>,
        epsilon: f64,
    ) -> Result<Self, Violation> {
        let mut cross = faer::Mat::<T>::zeros(x.nrows(), z.nrows());
        law.evaluated(cross_into(kernel, x, z, cross.as_mut(), faer::Par::Seq))?;
        let mut magnitude = 1.0f64;
        for col in 0..cross.ncols() {
            for row in 0..cross.nrows() {
                magnitude = magnitude.max(cross[(row, col)].as_f64().abs());
            }
        }
        for points in [x, z] {
            let mut diag = vec![T::from_f64(0.0); points.nrows()];
            law.evaluated(diag_into(kernel, points, &mut diag))?;
            magnitude = diag.iter().fold(magnitude, |magnitude, &value| magnitude.max(value.as_f64().abs()));
        }
        Ok(Self { kernel, magnitude, unit: epsilon * (x.ncols() as f64 + OPERATIONS) })
    }

    /// The bound where derivatives do not matter: between two evaluations on the same features.
    pub(super) fn of_sums(&self) -> f64 {
        self.unit * self.magnitude
    }

    /// The bound at a pair of points.
    pub(super) fn at(&self, x: &[T], z: &[T]) -> f64 {
        // The square root of epsilon balances the rounding of a difference against its curvature.
        let step = num_traits::Float::epsilon();
        let step: T = num_traits::Float::sqrt(step);
        let here = self.kernel.pairwise(x, z);
        let mut points = [x.to_vec(), z.to_vec()];
        let mut sensitivity = 0.0;
        for side in 0..2 {
            for dim in 0..x.len() {
                let coordinate = points[side][dim];
                let mut slope = 0.0f64;
                for moved in [coordinate + coordinate * step, coordinate - coordinate * step] {
                    points[side][dim] = moved;
                    let change = self.kernel.pairwise(&points[0], &points[1]) - here;
                    slope = slope.max((change / step).as_f64().abs());
                }
                points[side][dim] = coordinate;
                sensitivity += slope;
            }
        }
        self.unit * (self.magnitude + sensitivity)
    }
}

/// A point, as `pairwise` takes it.
pub(super) fn row<T: Scalar>(points: MatRef<'_, T>, row: usize) -> Vec<T> {
    (0..points.ncols()).map(|col| points[(row, col)]).collect()
}
