//! Kernels that the library does not have.

use mercer::prelude::*;

/// min(x, y) of positive numbers, without vector-Jacobian products.
#[derive(Clone, Debug)]
pub(crate) struct Wiener;

mercer::parameterized!(Wiener as "wiener", parameters: []);
mercer::kernel_ops!(Wiener);

impl Expr for Wiener {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::UpTo(1))
    }
}

impl<T: Scalar> Kernel<T> for Wiener {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        if x[0] < y[0] { x[0] } else { y[0] }
    }
}
