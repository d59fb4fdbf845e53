//! Matérn kernels of single coordinates.

use super::constant::constant;
use super::with_theta;
use crate::Real;
use crate::kernel::variables::Variable;
use crate::kernel::{Expr, Structure};
use crate::params::ParameterizedExt;

/// A Matérn kernel of one coordinate: σ² times that of smoothness ν and lengthscale ℓ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaternAxis {
    pub(crate) column: usize,
    pub(crate) nu: f64,
    pub(crate) variance: Variable,
    pub(crate) lengthscale: Variable,
}

/// The Matérn kernels of single coordinates whose sum, or product, a kernel on points of this dimension is, in its order;
/// `None` for another kernel. A product has its variance in its first kernel.
pub(crate) fn matern_axes(kernel: &dyn Expr, theta: &[Variable], dim: usize, product: bool) -> Option<Vec<MaternAxis>> {
    let scaled = |factor: Variable, mut axes: Vec<MaternAxis>| {
        let count = if product { 1 } else { axes.len() };
        axes.iter_mut().take(count).for_each(|axis| axis.variance = factor * axis.variance);
        axes
    };
    Some(match kernel.structure() {
        Structure::Leaf(views) if dim == 1 => {
            let nu = views.spectral?.matern()?;
            vec![MaternAxis { column: 0, nu, variance: Variable::from_f64(1.0), lengthscale: *theta.first()? }]
        }
        Structure::Same(kernel) | Structure::Boxed(kernel) | Structure::Power(1, kernel) => {
            matern_axes(kernel, theta, dim, product)?
        }
        Structure::Scaled(_, kernel) => scaled(theta[0], matern_axes(kernel, &theta[1..], dim, product)?),
        Structure::Sum(parts) if !product || parts.count() == 1 => {
            let axes = with_theta(parts, theta).map(|(part, own)| matern_axes(part, own, dim, product));
            axes.collect::<Option<Vec<_>>>()?.concat()
        }
        Structure::Product(parts) => {
            let (mut factor, mut axes) = (Variable::from_f64(1.0), Vec::new());
            for (part, own) in with_theta(parts, theta) {
                match constant(part, own) {
                    Some(value) => factor *= value,
                    None => axes.push(matern_axes(part, own, dim, product)?),
                }
            }
            if axes.len() > 1 && !product {
                return None;
            }
            scaled(factor, axes.concat())
        }
        Structure::Warped(warp, kernel) => {
            let (of_warp, of_kernel) = theta.split_at(warp.num_params());
            if !warp.keeps_axes() {
                return None;
            }
            let rows = warp.matrix(of_warp, dim)?;
            let mut axes = matern_axes(kernel, of_kernel, rows.len(), product)?;
            for axis in &mut axes {
                let row = &rows[axis.column];
                axis.column = row.iter().position(|a| a.value != 0.0)?;
                axis.lengthscale = axis.lengthscale / row[axis.column].abs();
            }
            axes
        }
        _ => return None,
    })
}
