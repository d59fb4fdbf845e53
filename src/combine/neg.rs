//! A kernel with the opposite sign.

use super::{Transform, Transformed};
use crate::Scalar;
use crate::kernel::{Node, Psd, Structure};

/// A kernel with the opposite sign: what `-k` makes, and the second term of `a - b`.
///
/// # Definition
///
/// k(x, y) = −inner(x, y)
///
/// # Properties
///
/// Never guaranteed positive semi-definite: models refuse it unless told to allow indefinite kernels.
/// Stationary if the inner kernel is.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0) - Rbf::new(2.0);
/// assert_eq!(kernel.eval(&[1.0], &[1.0])?, 0.0);
/// assert_eq!(kernel.properties().psd, Psd::Unknown);
/// # Ok::<(), mercer::Error>(())
/// ```
pub type Neg<K> = Transformed<Negation, K>;

/// h(k) = −k
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negation;

impl<K> Neg<K> {
    /// The kernel with the opposite sign.
    pub fn new(kernel: K) -> Self {
        Self::of(Negation, kernel)
    }
}

impl Transform for Negation {
    const NAME: &'static str = "neg";

    #[inline(always)]
    fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T {
        -k
    }

    #[inline(always)]
    fn slope<T: Scalar, const FMA: bool>(&self, _: T, _: T) -> T {
        T::from_f64(-1.0)
    }

    fn psd(&self, _: Psd) -> Psd {
        Psd::Unknown
    }

    fn structure<'k>(&self, kernel: &'k Node) -> Structure<'k> {
        Structure::Negated(kernel)
    }
}
