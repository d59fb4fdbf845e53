//! What a kernel is besides a function of two points: its spectrum, its coefficients on spheres and graphs, its terms.
//!
//! A leaf states the closed forms that it has ([`Views`](crate::kernel::Views)), in formulas that carry derivatives. The
//! functions here ask an expression for one of them: they follow its [`Structure`](crate::kernel::Structure) through sums,
//! products, factors, maps of the inputs, masks and boxes, wherever there is a rule, and give value and gradient. A
//! combinator has no part in it, and a new view needs none.

mod constant;
mod graph;
mod markov;
mod matern;
mod rotations;
mod spectral_density;
mod spectral_measure;
mod sphere;
mod zonal_spectrum;

pub use graph::{graph_weights, graph_weights_vjp};
pub(crate) use markov::{MarkovForm, NotMarkov, markov, markov_vjp};
pub(crate) use matern::{MaternAxis, matern_axes, matern_axes_vjp};
pub(crate) use rotations::check_zonal_text;
pub(crate) use spectral_density::white_variance_vjp;
pub use spectral_density::{spectral_density, spectral_density_vjp, white_variance};
pub use spectral_measure::{SpectralMeasure, spectral_measure};
pub use sphere::{funk_hecke, funk_hecke_vjp};
pub use zonal_spectrum::{ZonalCoefficients, ZonalSpectrum};

use crate::kernel::variables::{CHUNK, Chunk, Variable, add_partials, hyperparameters};
use crate::kernel::{Children, Expr, Node};
use crate::params::ParameterizedExt;
use crate::{Dual, Real};

/// The parameters of a kernel, as numbers without derivatives.
fn constants(kernel: &dyn Expr) -> Vec<Variable> {
    let mut theta = vec![Variable::from_f64(0.0); kernel.num_params()];
    hyperparameters(kernel, &mut theta, |_, value| Dual::constant(value));
    theta
}

/// Adds to `out` the gradient of Σ_j c_j v_j in all parameters, for the numbers v that a view gives.
fn pull_back(
    kernel: &dyn Expr,
    cotangent: &[f64],
    out: &mut [f64],
    view: impl Fn(&[Variable]) -> Option<Vec<Variable>>,
) {
    let mut theta = constants(kernel);
    for chunk in Chunk::all(theta.len()) {
        hyperparameters(kernel, &mut theta, |index, value| chunk.number(index, value));
        let mut sums = [0.0; CHUNK];
        for (value, &c) in view(&theta).unwrap_or_default().iter().zip(cotangent) {
            add_partials(&mut sums, c, value);
        }
        for (index, out) in out.iter_mut().enumerate() {
            *out += chunk.lane(index).map_or(0.0, |lane| sums[lane]);
        }
    }
}

/// The parts of a node, with their parameters.
fn with_theta<'k, 't>(
    parts: &'k dyn Children,
    theta: &'t [Variable],
) -> impl Iterator<Item = (&'k Node, &'t [Variable])> {
    let mut start = 0;
    parts.iter().map(move |part| {
        let own = start..start + part.num_params();
        start = own.end;
        (part, &theta[own])
    })
}

/// The variances of an additive kernel, and the kernel of each coordinate with its parameters: one stands for all.
fn of_coordinates<'k, 't>(
    bases: &'k dyn Children,
    theta: &'t [Variable],
    dim: usize,
) -> (&'t [Variable], impl Iterator<Item = (&'k Node, &'t [Variable])>) {
    let orders = theta.len() - bases.iter().map(|base| base.num_params()).sum::<usize>();
    let (variances, rest) = theta.split_at(orders);
    let all: Vec<_> = with_theta(bases, rest).collect();
    (variances, (0..dim).filter_map(move |column| all.get(column).or(all.last()).copied()))
}
