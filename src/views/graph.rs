//! Weights on the eigenvectors of a graph's Laplacian.

use super::constant::scaled_part;
use super::{constants, pull_back, with_theta};
use crate::Real;
use crate::graph::Laplacian;
use crate::kernel::variables::Variable;
use crate::kernel::{Expr, Structure};
use crate::params::ParameterizedExt;

/// The variances of the coefficients of the eigenvectors of a graph's Laplacian, by ascending eigenvalue, under a kernel
/// on its nodes that is diagonal in them: K = Σ_k w_k φ_k φ_kᵀ; `None` for another kernel, or of another graph. White noise
/// has the weights 0.
///
/// # Examples
///
/// ```
/// use mercer::kernels::Laplacian;
/// use mercer::prelude::*;
/// use mercer::views::graph_weights;
///
/// // Two nodes and one edge: L has the eigenvalues 0 and 2, exp(−κ²L/2) the eigenvalues 1 and exp(−κ²).
/// let graph = Laplacian::from_edges(2, &[(0, 1, 1.0)])?;
/// let kernel = 3.0 * GraphHeat::new(graph.clone(), 0.5).on([0]);
/// let weights = graph_weights(&kernel, &graph).unwrap();
/// assert!((weights[1] / weights[0] - (-0.25f64).exp()).abs() < 1e-15);
/// assert!((weights[0] + weights[1] - 2.0 * 3.0).abs() < 1e-14); // the trace of K
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn graph_weights(kernel: &dyn Expr, laplacian: &Laplacian) -> Option<Vec<f64>> {
    Some(weights(kernel, &constants(kernel), laplacian)?.into_iter().map(|weight| weight.value).collect())
}

/// Adds to `theta` the gradient of Σ_k c_k w_k in the kernel's parameters, in their order, for as many cotangents as
/// nodes; nothing where the weights are not known.
///
/// # Examples
///
/// ```
/// use mercer::kernels::Laplacian;
/// use mercer::prelude::*;
/// use mercer::views::{graph_weights, graph_weights_vjp};
///
/// let graph = Laplacian::from_edges(2, &[(0, 1, 1.0)])?;
/// let (kernel, mut theta) = (3.0 * GraphHeat::new(graph.clone(), 0.5), [0.0; 2]);
/// graph_weights_vjp(&kernel, &graph, &[1.0, 0.0], &mut theta);
/// assert!((theta[0] - graph_weights(&kernel, &graph).unwrap()[0] / 3.0).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn graph_weights_vjp(kernel: &dyn Expr, laplacian: &Laplacian, cotangent: &[f64], theta: &mut [f64]) {
    pull_back(kernel, cotangent, theta, |theta| weights(kernel, theta, laplacian));
}

fn weights(kernel: &dyn Expr, theta: &[Variable], laplacian: &Laplacian) -> Option<Vec<Variable>> {
    let zeros = || vec![Variable::from_f64(0.0); laplacian.nodes()];
    let times = |factor: Variable, mut all: Vec<Variable>| {
        all.iter_mut().for_each(|weight| *weight = factor * *weight);
        all
    };
    Some(match kernel.structure() {
        Structure::Leaf(views) if views.white => zeros(),
        Structure::Leaf(views) => views.on_graph?.weights(theta, laplacian)?,
        Structure::Same(kernel) | Structure::Boxed(kernel) | Structure::Power(1, kernel) => {
            weights(kernel, theta, laplacian)?
        }
        Structure::Scaled(_, kernel) => times(theta[0], weights(kernel, &theta[1..], laplacian)?),
        Structure::Negated(kernel) => times(Variable::from_f64(-1.0), weights(kernel, theta, laplacian)?),
        Structure::Sum(parts) => with_theta(parts, theta).try_fold(zeros(), |mut sum, (part, own)| {
            let other = weights(part, own, laplacian)?;
            sum.iter_mut().zip(other).for_each(|(sum, weight)| *sum += weight);
            Some(sum)
        })?,
        Structure::Product(parts) => {
            let (factor, (part, own)) = scaled_part(parts, theta)?;
            times(factor, weights(part, own, laplacian)?)
        }
        // The column of the node, by its name.
        Structure::Warped(warp, kernel)
            if warp.num_params() == 0 && warp.source(0) == Some(0) && warp.source(1).is_none() =>
        {
            weights(kernel, theta, laplacian)?
        }
        _ => return None,
    })
}
