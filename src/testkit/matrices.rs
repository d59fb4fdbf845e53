//! Laws about values: symmetry, agreement of every way to the same number, positive definiteness.

use faer::{Mat, MatRef, Par, Side};

use super::rounding::{Rounding, row};
use super::sample::{Stream, moved_for};
use super::violation::{Law, Violation};
use crate::kernel::{cross_into, diag_into, gram_into};
use crate::{DynKernel, Kernel, Scalar};

type Checked = Result<(), Violation>;

fn gram<T: Scalar>(law: Law<'_>, kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Result<Mat<T>, Violation> {
    let mut out = Mat::zeros(x.nrows(), x.nrows());
    law.evaluated(gram_into(kernel, x, out.as_mut(), Par::Seq))?;
    Ok(out)
}

fn cross<T: Scalar>(
    law: Law<'_>,
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
) -> Result<Mat<T>, Violation> {
    let mut out = Mat::zeros(x.nrows(), z.nrows());
    law.evaluated(cross_into(kernel, x, z, out.as_mut(), Par::Seq))?;
    Ok(out)
}

fn diag<T: Scalar>(law: Law<'_>, kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Result<Vec<T>, Violation> {
    let mut out = vec![T::from_f64(0.0); x.nrows()];
    law.evaluated(diag_into(kernel, x, &mut out))?;
    Ok(out)
}

/// K(X, X) is symmetric in every bit, and K(X, Z) is the transpose of K(Z, X) up to rounding.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// let (x, z) = (points::<f64>(20, 2, 1), points::<f64>(10, 2, 2));
/// matrices::symmetric::<f64>(&Rbf::new(1.0), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn symmetric<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, z: MatRef<'_, T>) -> Checked {
    let law = Law { name: "symmetric", kernel };
    let gram = gram(law, kernel, x)?;
    for col in 0..gram.ncols() {
        for row in 0..col {
            let place = || format!("K(X, X)[{row}, {col}]");
            law.close(place, gram[(row, col)].as_f64(), gram[(col, row)].as_f64(), 0.0)?;
        }
    }
    // The Gram matrix is mirrored, so that only two cross-covariances show an asymmetric kernel.
    let tolerance = Rounding::new(law, kernel, x, z, T::epsilon().as_f64())?.of_sums();
    let (forth, back) = (cross(law, kernel, x, z)?, cross(law, kernel, z, x)?);
    for col in 0..forth.ncols() {
        for row in 0..forth.nrows() {
            let place = || format!("K(X, Z)[{row}, {col}]");
            law.close(place, forth[(row, col)].as_f64(), back[(col, row)].as_f64(), tolerance)?;
        }
    }
    Ok(())
}

/// K(X, X) is, off the diagonal, the cross-covariance of X with a copy of itself. On the diagonal it
/// may differ: by white noise.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// matrices::gram_is_cross::<f64>(&(Rbf::new(1.0) + White::new(0.1)), points(20, 2, 1).as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn gram_is_cross<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Checked {
    let law = Law { name: "the Gram matrix is a cross-covariance", kernel };
    let (gram, cross) = (gram(law, kernel, x)?, cross(law, kernel, x, x)?);
    let tolerance = Rounding::new(law, kernel, x, x, T::epsilon().as_f64())?.of_sums();
    for col in 0..x.nrows() {
        for row in (0..x.nrows()).filter(|&row| row != col) {
            let place = || format!("K(X, X)[{row}, {col}]");
            law.close(place, gram[(row, col)].as_f64(), cross[(row, col)].as_f64(), tolerance)?;
        }
    }
    Ok(())
}

/// The diagonal that is computed by itself is that of K(X, X).
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// matrices::diag_is_gram_diagonal::<f64>(&(Linear::new(1.0) + White::new(0.1)), points(20, 2, 1).as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn diag_is_gram_diagonal<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Checked {
    let law = Law { name: "the diagonal is that of the Gram matrix", kernel };
    let (gram, diag) = (gram(law, kernel, x)?, diag(law, kernel, x)?);
    let tolerance = Rounding::new(law, kernel, x, x, T::epsilon().as_f64())?.of_sums();
    for (row, &value) in diag.iter().enumerate() {
        law.close(|| format!("point {row}"), value.as_f64(), gram[(row, row)].as_f64(), tolerance)?;
    }
    Ok(())
}

/// Tiles hold what `pairwise` gives, up to rounding.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// let (x, z) = (points::<f32>(20, 2, 1), points::<f32>(10, 2, 2));
/// matrices::tile_is_pairwise::<f32>(&Periodic::new(1.0, 3.0), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn tile_is_pairwise<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, z: MatRef<'_, T>) -> Checked {
    let law = Law { name: "tiles agree with pairs", kernel };
    let cross = cross(law, kernel, x, z)?;
    let rounding = Rounding::new(law, kernel, x, z, T::epsilon().as_f64())?;
    for j in 0..z.nrows() {
        for i in 0..x.nrows() {
            let (x, z) = (row(x, i), row(z, j));
            let expected = kernel.pairwise(&x, &z).as_f64();
            law.close(|| format!("K(X, Z)[{i}, {j}]"), cross[(i, j)].as_f64(), expected, rounding.at(&x, &z))?;
        }
    }
    Ok(())
}

/// The values in `f32` are those in `f64` of the same points, up to the rounding of `f32`.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// let (x, z) = (points::<f32>(20, 2, 1), points::<f32>(10, 2, 2));
/// matrices::single_precision(&Matern32::new(1.0).dynamic(), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn single_precision(kernel: &DynKernel, x: MatRef<'_, f32>, z: MatRef<'_, f32>) -> Checked {
    let law = Law { name: "single precision agrees with double", kernel };
    let wide = |points: MatRef<'_, f32>| Mat::from_fn(points.nrows(), points.ncols(), |i, j| points[(i, j)].as_f64());
    let (wide_x, wide_z) = (wide(x), wide(z));
    let (wide_x, wide_z) = (wide_x.as_ref(), wide_z.as_ref());
    let narrow = cross::<f32>(law, kernel, x, z)?;
    let exact = cross::<f64>(law, kernel, wide_x, wide_z)?;
    let rounding = Rounding::<f64>::new(law, kernel, wide_x, wide_z, f32::EPSILON.into())?;
    for j in 0..z.nrows() {
        for i in 0..x.nrows() {
            let tolerance = rounding.at(&row(wide_x, i), &row(wide_z, j));
            law.close(|| format!("K(X, Z)[{i}, {j}]"), narrow[(i, j)].as_f64(), exact[(i, j)], tolerance)?;
        }
    }
    let (narrow, exact) = (gram::<f32>(law, kernel, x)?, gram::<f64>(law, kernel, wide_x)?);
    for j in 0..x.nrows() {
        for i in 0..x.nrows() {
            let tolerance = rounding.at(&row(wide_x, i), &row(wide_x, j));
            law.close(|| format!("K(X, X)[{i}, {j}]"), narrow[(i, j)].as_f64(), exact[(i, j)], tolerance)?;
        }
    }
    Ok(())
}

/// Where the kernel claims to be positive semi-definite, no eigenvalue of K(X, X) is below zero by
/// more than rounding explains: n ε times the largest eigenvalue, the error of the eigenvalues
/// themselves.
///
/// # Errors
///
/// A [`Violation`] with the smallest eigenvalue.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// let x = points::<f64>(30, 2, 1);
/// matrices::positive_semidefinite(&(Rbf::new(1.0) + Linear::new(1.0)), x.as_ref())?;
/// // Promises nothing, so nothing is asked of it.
/// matrices::positive_semidefinite(&(-Rbf::new(1.0)), x.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn positive_semidefinite(kernel: &dyn Kernel<f64>, x: MatRef<'_, f64>) -> Checked {
    let law = Law { name: "positive semi-definite", kernel };
    if !kernel.properties().psd.holds_in(x.ncols()) {
        return Ok(());
    }
    let gram = gram(law, kernel, x)?;
    let Ok(eigenvalues) = gram.self_adjoint_eigenvalues(Side::Lower) else {
        return law.broken("K(X, X)", "no eigenvalues", "a finite matrix");
    };
    let (smallest, largest) = eigenvalues.iter().fold((0.0f64, 0.0f64), |(a, b), &v| (a.min(v), b.max(v.abs())));
    let tolerance = x.nrows() as f64 * f64::EPSILON * largest;
    law.close(|| "the smallest eigenvalue of K(X, X)".to_owned(), smallest.min(0.0), 0.0, tolerance)
}

/// Where the kernel claims to be stationary, moving all points by the same amount changes K(X, X) by
/// no more than rounding.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// matrices::stationary::<f64>(&Periodic::new(1.0, 3.0), points(20, 2, 1).as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn stationary<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Checked {
    let law = Law { name: "stationary", kernel };
    if !kernel.properties().stationary {
        return Ok(());
    }
    let moved = moved_for(kernel, x, |dim| 1.5 + dim as f64);
    unchanged(law, kernel, x, moved.as_ref(), 1.0)
}

/// K(X, X) is the same at points that were moved, to so many rounding errors of what was moved.
fn unchanged<T: Scalar>(
    law: Law<'_>,
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    moved: MatRef<'_, T>,
    errors: f64,
) -> Checked {
    let (here, there) = (gram(law, kernel, x)?, gram(law, kernel, moved)?);
    let rounding = Rounding::new(law, kernel, moved, moved, T::epsilon().as_f64() * errors)?;
    for j in 0..x.nrows() {
        for i in 0..x.nrows() {
            let tolerance = rounding.at(&row(moved, i), &row(moved, j));
            law.close(|| format!("K(X, X)[{i}, {j}]"), there[(i, j)].as_f64(), here[(i, j)].as_f64(), tolerance)?;
        }
    }
    Ok(())
}

/// Where the kernel claims to be zonal, a common rotation of all points, and a factor for the length of
/// each, change K(X, X) by no more than rounding.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// matrices::zonal::<f64>(&ArcCosine::new(0, 1.0), points(20, 2, 1).as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn zonal<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Checked {
    let law = Law { name: "zonal", kernel };
    if !kernel.properties().zonal {
        return Ok(());
    }
    let mut moved = Mat::from_fn(x.nrows(), x.ncols(), |i, d| x[(i, d)] * T::from_f64(0.3 + (i % 5) as f64));
    // Each dimension with the next, by the angle whose tangent is 3/4.
    let (cos, sin) = (T::from_f64(0.8), T::from_f64(0.6));
    for i in 0..x.nrows() {
        for d in 1..x.ncols() {
            let (a, b) = (moved[(i, d - 1)], moved[(i, d)]);
            (moved[(i, d - 1)], moved[(i, d)]) = (cos * a - sin * b, sin * a + cos * b);
        }
    }
    // The rotation rounds every coordinate by as much as the largest of its point, as `unchanged` allows.
    unchanged(law, kernel, x, moved.as_ref(), 1.0)
}

/// Where the kernel claims to be isotropic, turning all points by the same rotation changes K(X, X) by
/// no more than rounding.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points};
///
/// let x = points::<f64>(20, 3, 1);
/// matrices::isotropic::<f64>(&(Matern32::new(1.0) + 0.5), x.as_ref())?;
/// // Claims nothing, so nothing is asked of it.
/// assert!(!Rbf::new([1.0, 2.0, 3.0]).properties().isotropic);
/// matrices::isotropic::<f64>(&Rbf::new([1.0, 2.0, 3.0]), x.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn isotropic<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Checked {
    let law = Law { name: "isotropic", kernel };
    if !kernel.properties().isotropic {
        return Ok(());
    }
    for seed in 0..3 {
        let turned = rotated(x, &mut Stream::new(23 + seed));
        // The rotation itself moves a coordinate by some D rounding errors of the largest one: as much
        // again as the evaluation of the kernel does.
        unchanged(law, kernel, x, turned.as_ref(), 1.0 + x.ncols() as f64)?;
    }
    Ok(())
}

/// The points, turned by a random product of reflections x − 2 v vᵀx/‖v‖², two for each dimension.
fn rotated<T: Scalar>(x: MatRef<'_, T>, stream: &mut Stream) -> Mat<T> {
    let dim = x.ncols();
    let mut turned = Mat::from_fn(x.nrows(), dim, |i, d| x[(i, d)].as_f64());
    for _ in 0..2 * dim {
        let v: Vec<f64> = (0..dim).map(|_| stream.next()).collect();
        let norm2: f64 = v.iter().map(|v| v * v).sum();
        for i in 0..x.nrows() {
            let along: f64 = (0..dim).map(|d| v[d] * turned[(i, d)]).sum();
            (0..dim).for_each(|d| turned[(i, d)] -= 2.0 * v[d] * along / norm2);
        }
    }
    Mat::from_fn(x.nrows(), dim, |i, d| T::from_f64(turned[(i, d)]))
}

/// No value is infinite or NaN at finite points, and no gradient where the kernel has them: coincident
/// points, points far from the origin and the longest and shortest lengthscales are where they hide.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{matrices, points, with_coincident_points};
///
/// let x = with_coincident_points(points::<f32>(30, 2, 1), 1e8);
/// matrices::finite::<f32>(&Matern12::new(1e-6), x.as_ref(), x.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn finite<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, z: MatRef<'_, T>) -> Checked {
    let law = Law { name: "finite", kernel };
    for (name, values) in super::bits::everything(law, kernel, x, z, Par::Seq)? {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return law.broken(format!("{name}, element {index}"), values[index], "a finite number");
        }
    }
    Ok(())
}
