//! The law about where points are.

use faer::{Mat, MatRef, Par};

use super::bits::everything;
use super::sample::Stream;
use super::violation::{Law, Violation};
use crate::{Kernel, Scalar};

/// A kernel of differences has the same values and gradients, in points and in all hyperparameters, when all points are
/// moved by the same amount, as exactly as it is moved: Gram matrix, cross-covariance, diagonal, product and their gradients,
/// and values pair by pair.
///
/// The points are rounded first to a grid on which the move is exact. What may change are then rounding errors, which
/// are those of points that are each off by ε times the largest coordinate *near* the origin, and ε of the largest value: the
/// change of each result under three random errors of that size is measured, and eight times the largest of its
/// kind allowed, with 64 ε of the largest value.
///
/// The caller knows that the kernel is one of differences: [`stationary`](crate::kernel::Properties::stationary), or of distances on
/// a circle.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{points, translation};
///
/// let (x, z) = (points::<f32>(9, 2, 1), points::<f32>(7, 2, 2));
/// translation::moved::<f32>(&Matern32::new([0.3, 1.7]), x.as_ref(), z.as_ref(), 1958.0)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn moved<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, z: MatRef<'_, T>, by: f64) -> Result<(), Violation> {
    let law = Law { name: "the same values and gradients far from the origin", kernel };
    let epsilon = T::epsilon().as_f64();
    let grid = 2.0 * epsilon * by.abs().log2().ceil().exp2();
    let rounded = |points: MatRef<'_, T>| {
        let on_grid = |value: f64| (value / grid).round() * grid;
        Mat::from_fn(points.nrows(), points.ncols(), |row, dim| T::from_f64(on_grid(points[(row, dim)].as_f64())))
    };
    let (x, z) = (rounded(x), rounded(z));
    let far =
        |points: &Mat<T>| Mat::from_fn(points.nrows(), points.ncols(), |row, dim| points[(row, dim)] + T::from_f64(by));
    let (far_x, far_z) = (far(&x), far(&z));

    let near = results(law, kernel, &x, &z)?;
    let mut stream = Stream::new(17);
    let mut changes = vec![0.0f64; near.len()];
    for _ in 0..3 {
        let mut off = |points: &Mat<T>| {
            let error = epsilon * points.norm_max().as_f64();
            Mat::from_fn(points.nrows(), points.ncols(), |row, dim| {
                points[(row, dim)] + T::from_f64(if stream.next() < 0.0 { -error } else { error })
            })
        };
        let (off_x, off_z) = (off(&x), off(&z));
        for (change, (found, expected)) in
            changes.iter_mut().zip(results(law, kernel, &off_x, &off_z)?.iter().zip(&near))
        {
            *change = found.1.iter().zip(&expected.1).fold(*change, |most, (a, b)| most.max((a - b).abs()));
        }
    }
    for ((found, expected), change) in results(law, kernel, &far_x, &far_z)?.iter().zip(&near).zip(changes) {
        let largest = expected.1.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let tolerance = 8.0 * change + 64.0 * epsilon * largest;
        for (index, (&found, &near)) in found.1.iter().zip(&expected.1).enumerate() {
            law.close(|| format!("{}, element {index}", expected.0), found, near, tolerance)?;
        }
    }
    Ok(())
}

/// What all drivers give, and values pair by pair.
fn results<T: Scalar>(
    law: Law<'_>,
    kernel: &dyn Kernel<T>,
    x: &Mat<T>,
    z: &Mat<T>,
) -> Result<Vec<(&'static str, Vec<f64>)>, Violation> {
    let mut results = everything(law, kernel, x.as_ref(), z.as_ref(), Par::Seq)?;
    let row = |points: &Mat<T>, row| (0..points.ncols()).map(|dim| points[(row, dim)]).collect::<Vec<T>>();
    let mut pairs = Vec::with_capacity(x.nrows() * z.nrows());
    for col in 0..z.nrows() {
        pairs.extend((0..x.nrows()).map(|i| kernel.pairwise(&row(x, i), &row(z, col)).as_f64()));
    }
    results.push(("k(x, z)", pairs));
    Ok(results)
}
