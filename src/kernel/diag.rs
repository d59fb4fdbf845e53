//! The diagonal of a Gram matrix, without the matrix.

use faer::MatRef;

use super::features::{Embedding, FeatureGradients};
use super::points::Points;
use super::span::Ranges;
use super::{Kernel, check_points};
use crate::scalar::by_precision;
use crate::simd::elementwise::{add, add_scaled};
use crate::{Error, Result, Scalar};

/// Writes k(xᵢ, xᵢ), the diagonal of the Gram matrix, into `out`, in O(n·D) time for most kernels.
///
/// # Errors
///
/// [`Error::Shape`] if `out` does not have one element for each point; [`Error::Dimension`] if the
/// kernel cannot read points of this dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let x = mat![[1.0], [3.0]];
/// let mut out = [0.0; 2];
/// mercer::kernel::diag_into(&Linear::new(2.0), x.as_ref(), &mut out)?;
/// assert_eq!(out, [2.0, 18.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn diag_into<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, out: &mut [T]) -> Result<()> {
    T::select::<Diag<'_>>((kernel, x, out))
}

type Arguments<'a, T> = (&'a dyn Kernel<T>, MatRef<'a, T>, &'a mut [T]);

by_precision!(Diag<'a, T>(Arguments<'a, T>) -> Result<()> = diag);

fn diag<T: Scalar>((kernel, x, out): Arguments<'_, T>) -> Result<()> {
    check_points(kernel, "x", x)?;
    if out.len() != x.nrows() {
        return Err(Error::shape("the output", format!("{} element(s)", x.nrows()), (out.len(), 1)));
    }
    let ranges = Ranges::of(x);
    let embedding = Embedding::new(kernel, x, &ranges, false);
    kernel.tile_diag(&embedding.features, out);
    Ok(())
}

/// Fills `out` with k(x, x) for a kernel of the differences x − y: one number wherever x is. The difference of a
/// NaN or infinite point to itself is NaN, and so is what stands there in the Gram matrix.
pub(crate) fn fill_diag<T: Scalar>(points: &Points<'_, T>, value: T, out: &mut [T]) {
    out.fill(value);
    add_own_differences(points, out);
}

/// Adds Σ_d (x_d − x_d) of each point, which is Σ_d 0·x_d: 0, or NaN where a coordinate is NaN or infinite.
pub(crate) fn add_own_differences<T: Scalar>(points: &Points<'_, T>, out: &mut [T]) {
    let zero = T::from_f64(0.0);
    for dim in 0..points.dim() {
        add_scaled(out, points.column(dim), zero);
    }
}

/// The gradients of such a diagonal, which depends on no point and no lengthscale: nothing, but NaN where a point or its
/// cotangent has none other to give, as in the gradients of the Gram matrix.
pub(crate) fn add_own_differences_vjp<T: Scalar>(
    points: &Points<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    gradients: &mut FeatureGradients<T>,
) {
    let finite = |values: &[T]| values.iter().fold(true, |finite, value| finite & num_traits::Float::is_finite(*value));
    if finite(cotangent) && (0..points.dim()).all(|dim| finite(points.column(dim))) {
        return;
    }
    let mut terms = vec![T::from_f64(0.0); cotangent.len()];
    add_own_differences(points, &mut terms);
    terms.iter_mut().zip(cotangent).for_each(|(term, &c)| *term *= c);
    let total: T = terms.iter().copied().sum();
    if !total.is_nan() {
        return;
    }
    theta.iter_mut().for_each(|sum| *sum += total.as_f64());
    if let Some(in_points) = gradients.at_mut(points) {
        (0..points.dim()).for_each(|dim| add(in_points.col_as_slice_mut(dim), &terms));
    }
}
