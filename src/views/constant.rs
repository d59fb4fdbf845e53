//! Kernels that are the same for all points.

use super::with_theta;
use crate::Real;
use crate::kernel::variables::Variable;
use crate::kernel::{Children, Expr, Node, Structure};

/// The value of a kernel that is the same for all points; `None` for another.
pub(super) fn constant(kernel: &dyn Expr, theta: &[Variable]) -> Option<Variable> {
    match kernel.structure() {
        Structure::Leaf(views) => {
            if views.constant {
                theta.first().copied()
            } else {
                None
            }
        }
        Structure::Sum(parts) => with_theta(parts, theta)
            .try_fold(Variable::from_f64(0.0), |sum, (part, own)| Some(sum + constant(part, own)?)),
        Structure::Product(parts) => with_theta(parts, theta)
            .try_fold(Variable::from_f64(1.0), |product, (part, own)| Some(product * constant(part, own)?)),
        Structure::Scaled(_, kernel) => Some(theta[0] * constant(kernel, &theta[1..])?),
        Structure::Negated(kernel) => Some(-constant(kernel, theta)?),
        Structure::Power(exponent, kernel) => Some(constant(kernel, theta)?.powi(i32::try_from(exponent).ok()?)),
        Structure::Boxed(kernel) => constant(kernel, theta),
        _ => None,
    }
}

/// A part of a node, with its parameters.
pub(super) type Part<'k, 't> = (&'k Node, &'t [Variable]);

/// The product of the parts that are constant, and the part that is not, where there is one.
pub(super) fn scaled_part<'k, 't>(parts: &'k dyn Children, theta: &'t [Variable]) -> Option<(Variable, Part<'k, 't>)> {
    let (mut factor, mut other) = (Variable::from_f64(1.0), None);
    for (part, own) in with_theta(parts, theta) {
        match constant(part, own) {
            Some(value) => factor *= value,
            None if other.is_none() => other = Some((part, own)),
            None => return None,
        }
    }
    Some((factor, other?))
}
