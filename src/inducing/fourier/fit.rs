//! Which Matérn kernels an expression is made of.

use faer::{Mat, MatRef};

use super::super::box_basis::Combination;
use super::matern::{ORDERS, Order};
use crate::kernel::{Expr, text};
use crate::linalg::cast_column;
use crate::params::ParameterizedExt;
use crate::tape::{KernelVar, Tape, Var};
use crate::views::{MaternAxis, matern_axes, matern_axes_vjp};
use crate::{Error, Result, Scalar};

/// A Matérn kernel of each coordinate.
#[derive(Clone, Debug)]
pub(super) struct Fit<'t, T: Scalar> {
    pub(super) orders: Vec<Order>,
    /// On the tape, a column for each coordinate: σ² and λ. In a product, σ² is that of the first
    /// coordinate, and 1 for the others.
    pub(super) parameters: Var<'t, T>,
}

/// The kernels whose sum or product k is, one a coordinate.
pub(super) fn axes(kernel: &dyn Expr, combination: Combination, dim: usize) -> Result<Vec<(Order, MaternAxis)>> {
    let found = matern_axes(kernel, dim, combination == Combination::Product).and_then(|axes| {
        let fits = |(column, axis): (usize, &MaternAxis)| axis.column == column && axis.variance > 0.0;
        let complete = axes.len() == dim && axes.iter().enumerate().all(fits);
        let order = |axis: MaternAxis| Some((ORDERS.into_iter().find(|order| order.smoothness() == axis.nu)?, axis));
        if complete { axes.into_iter().map(order).collect() } else { None }
    });
    found.ok_or_else(|| refused(kernel, combination))
}

/// The kernels, with gradients in the hyperparameters.
pub(super) fn record<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    kernel: KernelVar<'t, 'a, T>,
    combination: Combination,
    dim: usize,
) -> Result<Fit<'t, T>> {
    let (theta, kernel) = (kernel.theta(), kernel.kernel());
    let axes = axes(kernel, combination, dim)?;
    if tape.needs_gradient(theta)? {
        check_gradient(kernel, &axes)?;
    }
    let orders: Vec<Order> = axes.iter().map(|(order, _)| *order).collect();
    // λ = √(2ν)/ℓ
    let decay = |axis: &MaternAxis| -> f64 { (2.0 * axis.nu).sqrt() / axis.lengthscale };
    let value = Mat::from_fn(2, dim, |row, col| {
        let axis = &axes[col].1;
        T::from_f64(if row == 0 { axis.variance } else { decay(axis) })
    });
    let backward = move |c: MatRef<'_, T>| {
        let cotangent = |(col, (_, axis)): (usize, &(Order, MaternAxis))| {
            [c[(0, col)].as_f64(), -c[(1, col)].as_f64() * decay(axis) / axis.lengthscale]
        };
        let cotangents: Vec<[f64; 2]> = axes.iter().enumerate().map(cotangent).collect();
        let mut theta = vec![0.0; kernel.num_params()];
        matern_axes_vjp(kernel, dim, combination == Combination::Product, &cotangents, &mut theta);
        vec![Some(cast_column(&theta))]
    };
    Ok(Fit { orders, parameters: tape.custom(&[theta], value, Box::new(backward)) })
}

/// Refuses an expression that a free hyperparameter makes another one: a smoothness, or one of several lengthscales that
/// happen to be the same.
fn check_gradient(kernel: &dyn Expr, axes: &[(Order, MaternAxis)]) -> Result<()> {
    let several = axes.iter().any(|(_, axis)| axis.several);
    let strays = |name: &str| name == "nu" || (several && name == "lengthscale");
    let parameters = kernel.parameters();
    let stray = parameters.iter().find(|entry| entry.free && entry.path.rsplit('.').next().is_some_and(strays));
    match stray {
        None => Ok(()),
        Some(entry) => {
            let expected = "leads away from the Matérn kernels that Fourier features are for: freeze it";
            Err(Error::setting("the hyperparameter", &entry.path, expected))
        }
    }
}

/// The error for an expression that Fourier features have no covariances for.
pub(super) fn refused(kernel: &dyn Expr, combination: Combination) -> Error {
    let expected = match combination {
        Combination::Sum => {
            "must be a sum of Matérn kernels of smoothness 1/2, 3/2 or 5/2, times numbers, one of each coordinate"
        }
        Combination::Product => {
            "must be a product of Matérn kernels of smoothness 1/2, 3/2 or 5/2, one of each coordinate, times a number"
        }
    };
    Error::setting("the kernel of Fourier features", text(kernel), expected)
}
