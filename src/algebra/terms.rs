//! The terms of a sum.

use super::Compose;
use crate::DynKernel;
use crate::kernel::{Node, Structure};

/// The kernels that add up to a kernel: through boxes, factors, maps of the inputs and sums in sums; the kernel itself if it
/// is no sum.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::algebra::terms;
///
/// let kernel = 2.0 * (Rbf::new(1.0) + Linear::new(0.5)).ard([0.5, 3.0]) + White::new(0.1);
/// let texts: Vec<String> = terms(&kernel).iter().map(ToString::to_string).collect();
/// assert_eq!(texts, [
///     "2 * ard(rbf(lengthscale=1), [0.5, 3])",
///     "2 * ard(linear(variance=0.5), [0.5, 3])",
///     "white(variance=0.1)",
/// ]);
/// ```
pub fn terms(kernel: &Node) -> Vec<DynKernel> {
    match kernel.structure() {
        Structure::Sum(parts) => parts.iter().flat_map(terms).collect(),
        Structure::Boxed(kernel) | Structure::Power(1, kernel) => terms(kernel),
        Structure::Scaled(factor, kernel) => terms(kernel).into_iter().map(|term| factor * term).collect(),
        Structure::Negated(kernel) => terms(kernel).into_iter().map(|term| -term).collect(),
        Structure::Warped(warp, kernel) => terms(kernel).into_iter().map(|term| warp.around(term)).collect(),
        _ => vec![DynKernel::of(dyn_clone::clone_box(kernel)).dynamic()],
    }
}
