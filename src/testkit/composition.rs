//! Laws about a kernel as a part of others: every operator computes what it says, entry by entry.

use faer::{Mat, MatRef};

use super::rounding::{Rounding, row};
use super::violation::{Law, Violation};
use crate::algebra::Compose;
use crate::kernel::{Kernel, cross_into};
use crate::kernels::Matern52;
use crate::{DynKernel, Expr};

/// Sums, differences, products, multiples, powers and negations of the kernel are those of its matrix, entry
/// by entry, beside another kernel that reads the same points; and reading dimensions in another order is
/// reading points whose dimensions have that order.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{composition, points};
///
/// let (x, z) = (points::<f64>(9, 2, 1), points::<f64>(5, 2, 2));
/// composition::operators(&Linear::new(0.5).dynamic(), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn operators(kernel: &DynKernel, x: MatRef<'_, f64>, z: MatRef<'_, f64>) -> Result<(), Violation> {
    let other = Matern52::new(0.9).dynamic();
    let plain = |kernel: &DynKernel| cross(kernel, x, z);
    let (a, b) = (plain(kernel)?, plain(&other)?);
    type Combine = fn(f64, f64) -> f64;
    let combinations: [(DynKernel, Combine); 9] = [
        (kernel.clone() + other.clone(), |a, b| a + b),
        (other.clone() - kernel.clone(), |a, b| b - a),
        (kernel.clone() * other.clone(), |a, b| a * b),
        (other.clone() * (kernel.clone() + 0.5), |a, b| b * (a + 0.5)),
        (-kernel.clone(), |a, _| -a),
        (-1.5 * kernel.clone(), |a, _| -1.5 * a),
        (1.0 - kernel.clone(), |a, _| 1.0 - a),
        (kernel.clone().pow(2).dynamic(), |a, _| a * a),
        (kernel.clone().plus(kernel.clone()).dynamic(), |a, _| 2.0 * a),
    ];
    for (combined, combine) in &combinations {
        let law = Law { name: "operators act entry by entry", kernel: combined };
        let found = cross(combined, x, z)?;
        let rounding = Rounding::new(law, combined, x, z, f64::EPSILON)?;
        for j in 0..z.nrows() {
            for i in 0..x.nrows() {
                let expected = combine(a[(i, j)], b[(i, j)]);
                let tolerance = rounding.at(&row(x, i), &row(z, j));
                law.close(|| format!("K(X, Z)[{i}, {j}]"), found[(i, j)], expected, tolerance)?;
            }
        }
    }

    let dims: Vec<usize> = (0..x.ncols()).rev().collect();
    let turned = kernel.clone().on(dims.iter().copied()).dynamic();
    let law = Law { name: "dimensions in another order", kernel: &turned };
    let reversed = |points: MatRef<'_, f64>| Mat::from_fn(points.nrows(), dims.len(), |i, d| points[(i, dims[d])]);
    let (x_reversed, z_reversed) = (reversed(x), reversed(z));
    let found = cross(&turned, x_reversed.as_ref(), z_reversed.as_ref())?;
    for j in 0..z.nrows() {
        for i in 0..x.nrows() {
            law.close(|| format!("K(X, Z)[{i}, {j}]"), found[(i, j)], a[(i, j)], 0.0)?;
        }
    }
    Ok(())
}

fn cross(kernel: &DynKernel, x: MatRef<'_, f64>, z: MatRef<'_, f64>) -> Result<Mat<f64>, Violation> {
    let law = Law { name: "operators act entry by entry", kernel: kernel as &dyn Expr };
    let mut out = Mat::zeros(x.nrows(), z.nrows());
    law.evaluated(cross_into(kernel as &dyn Kernel<f64>, x, z, out.as_mut(), faer::Par::Seq))?;
    Ok(out)
}
