//! Matérn kernels of single coordinates.

use super::constant::constant;
use super::{constants, pull_back, with_theta};
use crate::Real;
use crate::kernel::{Expr, Structure, Variable};
use crate::params::ParameterizedExt;

/// A Matérn kernel of one coordinate: σ² times that of smoothness ν and lengthscale ℓ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaternAxis {
    pub(crate) column: usize,
    pub(crate) nu: f64,
    pub(crate) variance: f64,
    pub(crate) lengthscale: f64,
    /// Whether it is a sum of several of the same shape, which one parameter by itself would change.
    pub(crate) several: bool,
}

/// The Matérn kernels of single coordinates whose sum, or product, a kernel on points of this dimension is, by their
/// columns; `None` for another kernel. A product has its variance in the first.
pub(crate) fn matern_axes(kernel: &dyn Expr, dim: usize, product: bool) -> Option<Vec<MaternAxis>> {
    let value = |axis: Axis| MaternAxis {
        column: axis.column,
        nu: axis.nu,
        variance: axis.variance.value,
        lengthscale: axis.lengthscale.value,
        several: axis.several,
    };
    Some(sorted(kernel, &constants(kernel), dim, product)?.into_iter().map(value).collect())
}

/// Adds to `theta` the gradient of Σ c σ² + c' ℓ over the kernels of [`matern_axes`], for a pair of cotangents each.
pub(crate) fn matern_axes_vjp(
    kernel: &dyn Expr,
    dim: usize,
    product: bool,
    cotangents: &[[f64; 2]],
    theta: &mut [f64],
) {
    pull_back(kernel, cotangents.as_flattened(), theta, |theta| {
        Some(
            sorted(kernel, theta, dim, product)?
                .into_iter()
                .flat_map(|axis| [axis.variance, axis.lengthscale])
                .collect(),
        )
    });
}

struct Axis {
    column: usize,
    nu: f64,
    variance: Variable,
    lengthscale: Variable,
    several: bool,
}

fn sorted(kernel: &dyn Expr, theta: &[Variable], dim: usize, product: bool) -> Option<Vec<Axis>> {
    let mut axes = axes(kernel, theta, dim, product)?;
    axes.sort_by_key(|axis| axis.column);
    if !product {
        axes.dedup_by(|next, axis| {
            let same = |axis: &Axis| (axis.column, axis.nu, axis.lengthscale.value);
            let joined = same(next) == same(axis);
            if joined {
                axis.variance += next.variance;
                axis.several = true;
            }
            joined
        });
    }
    if product {
        let one = Variable::from_f64(1.0);
        let total = axes.iter().fold(one, |total, axis| total * axis.variance);
        axes.iter_mut().enumerate().for_each(|(place, axis)| axis.variance = if place == 0 { total } else { one });
    }
    Some(axes)
}

fn axes(kernel: &dyn Expr, theta: &[Variable], dim: usize, product: bool) -> Option<Vec<Axis>> {
    let scaled = |factor: Variable, mut axes: Vec<Axis>| {
        let count = if product { 1 } else { axes.len() };
        axes.iter_mut().take(count).for_each(|axis| axis.variance *= factor);
        axes
    };
    Some(match kernel.structure() {
        // Noise has no part in covariances with functions.
        Structure::Leaf(views) if views.white && !product => Vec::new(),
        Structure::Leaf(views) if dim == 1 => {
            let nu = views.spectral?.matern()?;
            vec![Axis {
                column: 0,
                nu,
                variance: Variable::from_f64(1.0),
                lengthscale: *theta.first()?,
                several: false,
            }]
        }
        Structure::Same(kernel) | Structure::Boxed(kernel) | Structure::Power(1, kernel) => {
            axes(kernel, theta, dim, product)?
        }
        Structure::Scaled(_, kernel) => scaled(theta[0], axes(kernel, &theta[1..], dim, product)?),
        Structure::Sum(parts) if !product || parts.count() == 1 => {
            let mut all = Vec::new();
            for (part, own) in with_theta(parts, theta) {
                all.extend(axes(part, own, dim, product)?);
            }
            all
        }
        Structure::Product(parts) => {
            let (mut factor, mut all, mut factors) = (Variable::from_f64(1.0), Vec::new(), 0);
            for (part, own) in with_theta(parts, theta) {
                match constant(part, own) {
                    Some(value) => factor *= value,
                    None => {
                        all.extend(axes(part, own, dim, product)?);
                        factors += 1;
                    }
                }
            }
            if factors > 1 && !product {
                return None;
            }
            scaled(factor, all)
        }
        Structure::Warped(warp, kernel) if warp.keeps_axes() => {
            let (of_warp, of_kernel) = theta.split_at(warp.num_params());
            let rows = warp.matrix(of_warp, dim)?;
            let mut all = axes(kernel, of_kernel, rows.len(), product)?;
            for axis in &mut all {
                let row = &rows[axis.column];
                axis.column = row.iter().position(|a| a.value != 0.0)?;
                axis.lengthscale /= row[axis.column].abs();
            }
            all
        }
        _ => return None,
    })
}
