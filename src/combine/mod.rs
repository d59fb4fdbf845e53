//! Kernels made of kernels.

mod exp;
mod log;
mod metric;
mod neg;
mod parts;
mod power;
mod product;
mod scaled;
mod sum;
mod transformed;

pub use exp::{Exp, Exponential};
pub use log::{Log, Logarithm};
pub use metric::{Metric, MetricRadial, Norm};
pub use neg::Neg;
pub use parts::{KernelParts, Parts};
pub use power::{Power, ToPower};
pub use product::Product;
pub use scaled::Scaled;
pub use sum::Sum;
pub use transformed::{Transform, Transformed};

use crate::Scalar;
use crate::kernel::{Kernel, Pairs, Scratch};

/// The part of a combinator's VJP that belongs to a child: evaluates the child if its own VJP reads
/// its value, and hands the cotangent down.
pub(crate) fn child_vjp<T: Scalar>(
    child: &dyn Kernel<T>,
    pairs: &Pairs<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let mut value = scratch.take(pairs.len());
    if child.vjp_reads_value() {
        child.tile(pairs, &mut value, scratch);
    }
    child.tile_vjp(pairs, &value, cotangent, theta, scratch);
    scratch.give(value);
}
