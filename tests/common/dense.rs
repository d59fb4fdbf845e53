//! Gaussian processes by the textbook's formulas, with dense matrices.
#![allow(clippy::unwrap_used)]

use faer::linalg::solvers::Solve;
use mercer::prelude::*;

pub(crate) fn column(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), 1, |row, _| values[row])
}

/// With these variances added to the diagonal.
pub(crate) fn noisy(covariance: &Mat<f64>, variance: impl Fn(usize) -> f64) -> Mat<f64> {
    let entry = |i, j| covariance[(i, j)] + if i == j { variance(i) } else { 0.0 };
    Mat::from_fn(covariance.nrows(), covariance.ncols(), entry)
}

/// log N(r; 0, V)
pub(crate) fn log_normal(residual: &[f64], covariance: &Mat<f64>) -> f64 {
    let factor = covariance.llt(faer::Side::Lower).unwrap();
    let (r, n) = (column(residual), residual.len());
    let log_det: f64 = (0..n).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    -0.5 * ((r.transpose() * factor.solve(&r))[(0, 0)] + log_det + n as f64 * std::f64::consts::TAU.ln())
}

/// Q(X, X′) = K(X, Z) K(Z, Z)⁻¹ K(Z, X′).
pub(crate) fn projected(kernel: &dyn Kernel<f64>, z: &Mat<f64>, x: &Mat<f64>, other: &Mat<f64>) -> Mat<f64> {
    let cross = |a: &Mat<f64>, b: &Mat<f64>| {
        let mut k = Mat::zeros(a.nrows(), b.nrows());
        mercer::kernel::cross_into(kernel, a.as_ref(), b.as_ref(), k.as_mut(), Par::Seq).unwrap();
        k
    };
    cross(x, z) * cross(z, z).llt(faer::Side::Lower).unwrap().solve(cross(z, other))
}
