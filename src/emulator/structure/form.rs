//! What the expressions of kernels say of their covariance.

use std::sync::Arc;

use crate::kernel::text;
use crate::kernel::variables::hyperparameters;
use crate::params::ParameterizedExt;
use crate::{Error, Expr, Kernel, Result};

/// What a kernel is of another: so many times the expression that both are multiples of.
pub(super) fn variances(kernels: &[Arc<dyn Kernel<f64>>]) -> Result<Vec<f64>> {
    let parts: Vec<(f64, &dyn Expr)> = kernels.iter().map(|kernel| split(&**kernel)).collect();
    let texts: Vec<String> = parts.iter().map(|(_, inner)| text(*inner).to_string()).collect();
    match texts.iter().find(|text| **text != texts[0]) {
        None => Ok(parts.into_iter().map(|(variance, _)| variance).collect()),
        Some(other) => Err(refused("shared correlation", &format!("`{}` and `{other}` differ: tie them", texts[0]))),
    }
}

/// Whether kernels that are multiples of one remain so whatever the values of the free parameters: what they have in
/// common is tied, or frozen. `places` are those of each kernel's parameters among the free ones.
pub(super) fn are_tied(kernels: &[Arc<dyn Kernel<f64>>], places: &[&[Option<usize>]]) -> bool {
    let common = |(kernel, places): (&Arc<dyn Kernel<f64>>, &&[Option<usize>])| {
        let (_, inner) = split(&**kernel);
        places[places.len() - inner.num_params()..].to_vec()
    };
    let mut common = kernels.iter().zip(places).map(common);
    let first = common.next();
    common.all(|places| Some(places) == first)
}

/// The factor before an expression, and the expression.
fn split(kernel: &dyn Expr) -> (f64, &dyn Expr) {
    let mut node = kernel;
    let mut factor = 1.0;
    while node.name() == "scaled" {
        let Some(child) = node.children().into_iter().next() else { break };
        let mut parameters = vec![0.0; node.num_params()];
        hyperparameters(node, &mut parameters, |_, value| value);
        factor *= parameters.first().copied().unwrap_or(1.0);
        node = child;
    }
    (factor, node)
}

/// Refuses a kernel that is not, by its expression, a product of functions of one dimension each, among the dimensions
/// that vary.
pub(super) fn check_product(kernel: &dyn Expr, varying: &[bool]) -> Result<()> {
    let axes = varying.iter().filter(|varies| **varies).count();
    let white = if axes > 1 { white(kernel) } else { None };
    match white.or_else(|| culprit(kernel, Some(varying))) {
        None => Ok(()),
        Some(node) => {
            let reason = format!("`{}` is not known to be a product of functions of one parameter each", text(node));
            Err(refused("grid", &reason))
        }
    }
}

/// A white kernel reads no dimension, and yet tells points apart by all of them.
fn white(node: &dyn Expr) -> Option<&dyn Expr> {
    if node.name() == "white" { Some(node) } else { node.children().into_iter().find_map(|child| white(child)) }
}

/// The subexpression that is not known to be a product. The dimensions that vary are `None` where the points are
/// others than those of the kernel.
fn culprit<'a>(node: &'a dyn Expr, varying: Option<&[bool]>) -> Option<&'a dyn Expr> {
    let reads_one = |varying: &[bool]| {
        let Ok(inputs) = node.inputs(varying.len()) else { return false };
        varying.iter().enumerate().filter(|(dim, varies)| inputs.read(*dim) && **varies).count() <= 1
    };
    if varying.is_some_and(reads_one) {
        return None;
    }
    let among = |varying| node.children().into_iter().find_map(|child| culprit(child, varying));
    match node.name() {
        "rbf" | "periodic" | "constant" => None,
        "scaled" | "product" | "power" | "normalized" | "stretch" | "ard" => among(varying),
        // Other columns, each of one dimension all the same.
        "on" => among(None),
        _ => Some(node),
    }
}

/// A structure that does not hold.
pub(super) fn refused(structure: &str, reason: &str) -> Error {
    Error::setting("the structure", structure, &format!("does not hold: {reason}"))
}
