//! Matérn kernels of single coordinates.

use super::constant::constant;
use super::{constants, of_coordinates, pull_back, with_theta};
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
    if product {
        let one = Variable::from_f64(1.0);
        let total = axes.iter().fold(one, |total, axis| total * axis.variance);
        axes.iter_mut().enumerate().for_each(|(place, axis)| axis.variance = if place == 0 { total } else { one });
    } else {
        axes = added(axes);
    }
    Some(axes)
}

/// A sum, with those of the same shape as one.
fn added(axes: Vec<Axis>) -> Vec<Axis> {
    let mut sum: Vec<Axis> = Vec::with_capacity(axes.len());
    for next in axes {
        let shape = |axis: &Axis| (axis.column, axis.nu, axis.lengthscale.value);
        match sum.iter_mut().find(|axis| shape(axis) == shape(&next)) {
            Some(axis) => {
                axis.variance += next.variance;
                axis.several = true;
            }
            None => sum.push(next),
        }
    }
    sum
}

/// A product, with those of one coordinate as one: of exponential kernels, whose rates 1/ℓ add up.
fn multiplied(axes: Vec<Axis>) -> Option<Vec<Axis>> {
    let mut product: Vec<Axis> = Vec::with_capacity(axes.len());
    for next in axes {
        match product.iter_mut().find(|axis| axis.column == next.column) {
            Some(axis) if axis.nu == 0.5 && next.nu == 0.5 => {
                axis.variance *= next.variance;
                axis.lengthscale = axis.lengthscale * next.lengthscale / (axis.lengthscale + next.lengthscale);
                axis.several |= next.several;
            }
            Some(_) => return None,
            None => product.push(next),
        }
    }
    Some(product)
}

/// The exponential kernels of single coordinates whose product is k(‖x − y‖₁, 0), for an exponential kernel k.
pub(super) fn of_manhattan_distance(
    kernel: &dyn Expr,
    theta: &[Variable],
    dim: usize,
) -> Option<impl Iterator<Item = (Variable, Variable)>> {
    let [axis] = <[Axis; 1]>::try_from(sorted(kernel, theta, 1, true)?).ok()?;
    let one = Variable::from_f64(1.0);
    let of_coordinate = move |column| (if column == 0 { axis.variance } else { one }, axis.lengthscale);
    (axis.nu == 0.5 && !axis.several).then(|| (0..dim).map(of_coordinate))
}

fn axes(kernel: &dyn Expr, theta: &[Variable], dim: usize, product: bool) -> Option<Vec<Axis>> {
    let scaled = |factor: Variable, mut axes: Vec<Axis>| {
        let count = if product { 1 } else { axes.len() };
        axes.iter_mut().take(count).for_each(|axis| axis.variance *= factor);
        axes
    };
    Some(match kernel.structure() {
        // Noise has no part in covariances with functions.
        Structure::Leaf(views) if views.white => Vec::new(),
        Structure::Leaf(views) if dim == 1 => {
            let nu = views.spectral?.matern()?;
            let (variance, lengthscale) = (Variable::from_f64(1.0), *theta.first()?);
            vec![Axis { column: 0, nu, variance, lengthscale, several: false }]
        }
        Structure::Same(kernel) | Structure::Boxed(kernel) | Structure::Power(1, kernel) => {
            axes(kernel, theta, dim, product)?
        }
        Structure::Power(exponent @ 2.., kernel) => {
            let mut all = axes(kernel, theta, dim, product)?;
            if all.iter().any(|axis| axis.nu != 0.5) || !(product || all.len() == 1) {
                return None;
            }
            for axis in &mut all {
                axis.variance = axis.variance.powi(i32::try_from(exponent).ok()?);
                axis.lengthscale /= Variable::from_f64(f64::from(exponent));
            }
            all
        }
        Structure::Scaled(_, kernel) => scaled(theta[0], axes(kernel, &theta[1..], dim, product)?),
        Structure::Sum(parts) => {
            let mut terms = Vec::new();
            for (part, own) in with_theta(parts, theta) {
                terms.push(axes(part, own, dim, product)?);
            }
            terms.retain(|term| !term.is_empty());
            let single = terms.len() == 1;
            let all = terms.into_iter().flatten().collect();
            if !product || single {
                all
            } else {
                let sum = added(all);
                if sum.len() > 1 {
                    return None;
                }
                sum
            }
        }
        Structure::Product(parts) => {
            let (mut constants, mut all, mut factors) = (Variable::from_f64(1.0), Vec::new(), 0);
            for (part, own) in with_theta(parts, theta) {
                match constant(part, own) {
                    Some(value) => constants *= value,
                    None => {
                        let factor = axes(part, own, dim, product)?;
                        // Whatever is multiplied by noise is noise.
                        if factor.is_empty() {
                            return Some(Vec::new());
                        }
                        all.extend(factor);
                        factors += 1;
                    }
                }
            }
            if factors > 1 {
                let count = all.len();
                all = multiplied(all)?;
                if !product && (count != factors || all.len() != 1) {
                    return None;
                }
            }
            scaled(constants, all)
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
        Structure::Distance(Some(_), kernel) if dim == 1 => axes(kernel, theta, 1, product)?,
        Structure::Distance(Some(1.0), kernel) if product => of_manhattan_distance(kernel, theta, dim)?
            .enumerate()
            .map(|(column, (variance, lengthscale))| Axis { column, nu: 0.5, variance, lengthscale, several: false })
            .collect(),
        Structure::Additive(bases) if dim == 1 || !product => {
            let (variances, parts) = of_coordinates(bases, theta, dim);
            let [variance] = variances else { return None };
            let mut all = Vec::new();
            for (column, (base, own)) in parts.enumerate() {
                let of_base = axes(base, own, 1, product)?;
                all.extend(of_base.into_iter().map(|axis| Axis { column, ..axis }));
            }
            scaled(*variance, all)
        }
        _ => return None,
    })
}
