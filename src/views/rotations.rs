//! Whether a kernel is zonal, by rotating pairs of points.

use faer::{Mat, Par};
use rand::{RngExt, SeedableRng};

use crate::kernel::{Expr, Kernel, Limits, cross_into, text};
use crate::{DynKernel, Error, Result, Scalar};

/// Planes that pairs are rotated to.
const PLANES: usize = 8;

/// Angles between the points of a pair.
const ANGLES: [f64; 7] = [0.11, 0.43, 0.97, 1.46, 1.93, 2.51, 3.04];

/// How much values may change under rotation, relative to the largest: far below what a lengthscale of its own
/// for one dimension does, and above rounding, which is taken to be so many units where that is more.
const TOLERANCE: f64 = 1e-9;
const UNITS: f64 = 200.0;

/// Refuses a kernel that is not a function of the angle alone on the unit sphere, naming the subexpression.
///
/// A kernel that says of itself that it is isotropic or zonal is taken at its word. Of others, inner products and
/// what is composed of several kinds, values are compared at pairs of points in the plane of the first two axes and
/// in other planes, drawn with a fixed seed.
pub(super) fn check_zonal<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> Result<()> {
    kernel.inputs(dim)?;
    if is_known(kernel) || varies_little(kernel, dim)? {
        return Ok(());
    }
    Err(refused(kernel, dim))
}

/// The same for an expression that cannot be evaluated as it is, as far as its text can be read as a kernel.
pub(crate) fn check_zonal_text(kernel: &dyn Expr, dim: usize) -> Result<()> {
    kernel.inputs(dim)?;
    if is_known(kernel) {
        return Ok(());
    }
    match Limits::NONE.parse::<DynKernel>(&text(kernel).to_string()) {
        Ok(parsed) => check_zonal::<f64>(&parsed, dim),
        Err(_) => Ok(()),
    }
}

/// Whether the expression itself says that it is zonal on a sphere, and for all values of its parameters.
pub(super) fn is_known(kernel: &dyn Expr) -> bool {
    kernel.properties().isotropic || kernel.properties().zonal
}

/// [`Error::NotZonal`] with the innermost subexpression that is not.
pub(super) fn refused(kernel: &dyn Expr, dim: usize) -> Error {
    Error::NotZonal { kernel: culprit(kernel, dim), dim }
}

/// A subexpression is no kernel that could be evaluated, but its text can be read as one.
fn culprit(kernel: &dyn Expr, dim: usize) -> String {
    for child in kernel.children() {
        let Ok(child) = Limits::NONE.parse::<DynKernel>(&text(child).to_string()) else { continue };
        if let Err(Error::NotZonal { kernel, .. }) = check_zonal::<f64>(&child, dim) {
            return kernel;
        }
    }
    text(kernel).to_string()
}

fn varies_little<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> Result<bool> {
    let mut rows = Vec::new();
    for [u, v] in std::iter::once(axes(dim)).chain(planes(dim)) {
        let coordinate = |row: usize, d: usize| match row {
            0 => u[d],
            _ => ANGLES[row - 1].cos() * u[d] + ANGLES[row - 1].sin() * v[d],
        };
        let points = Mat::from_fn(ANGLES.len() + 1, dim, |row, d| T::from_f64(coordinate(row, d)));
        let (pole, others) = points.as_ref().split_at_row(1);
        let mut row = Mat::zeros(1, ANGLES.len());
        cross_into(kernel, pole, others, row.as_mut(), Par::Seq)?;
        rows.push(Mat::from_fn(1, ANGLES.len(), |_, col| row[(0, col)].as_f64()));
    }
    let (first, others) = (&rows[0], &rows[1..]);
    let largest = first.norm_max();
    let change = others.iter().map(|row| (row - first).norm_max()).fold(0.0, |a: f64, b| if b <= a { a } else { b });
    let rounding = UNITS * <T as num_traits::Float>::epsilon().as_f64();
    Ok(change <= TOLERANCE.max(rounding) * largest)
}

/// Two orthonormal vectors.
pub(super) type Plane = [Vec<f64>; 2];

fn axes(dim: usize) -> Plane {
    [0, 1].map(|axis| (0..dim).map(|d| f64::from(u8::from(d == axis))).collect())
}

/// Planes in general position.
pub(super) fn planes(dim: usize) -> impl Iterator<Item = Plane> {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(0x5eed);
    (0..PLANES).map(move |_| {
        let mut draw = || -> Vec<f64> { (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (mut u, mut v) = (draw(), draw());
        normalize(&mut u);
        // Twice, so that what is left of the first is rounding of the second.
        for _ in 0..2 {
            let along: f64 = u.iter().zip(&v).map(|(u, v)| u * v).sum();
            v.iter_mut().zip(&u).for_each(|(v, u)| *v -= along * u);
            normalize(&mut v);
        }
        [u, v]
    })
}

fn normalize(v: &mut [f64]) {
    let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    v.iter_mut().for_each(|v| *v /= norm);
}
