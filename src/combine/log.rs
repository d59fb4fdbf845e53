//! The logarithm of a kernel.

use super::{Transform, Transformed};
use crate::kernel::{Arguments, Construct, Psd};
use crate::{DynKernel, Result, Scalar};

/// The logarithm of a kernel: what `k.log()` makes. Not a covariance in general.
///
/// # Definition
///
/// k(x, y) = log(inner(x, y))
///
/// # Properties
///
/// Never guaranteed positive semi-definite: models refuse it. Stationary if the inner kernel is. The inner kernel must be positive: the
/// value is −∞ where it is 0, and NaN below.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0).log();
/// let value: f64 = kernel.eval(&[0.0], &[2.0])?;
/// assert!((value + 2.0).abs() < 1e-15);
/// assert_eq!(kernel.properties().psd, Psd::Unknown);
/// # Ok::<(), mercer::Error>(())
/// ```
pub type Log<K> = Transformed<Logarithm, K>;

/// h(k) = log(k)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logarithm;

impl<K> Log<K> {
    /// The logarithm of a kernel.
    pub fn new(kernel: K) -> Self {
        Self::of(Logarithm, kernel)
    }
}

impl Transform for Logarithm {
    const NAME: &'static str = "log";

    #[inline(always)]
    fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T {
        k.lane_ln::<FMA>()
    }

    #[inline(always)]
    fn slope<T: Scalar, const FMA: bool>(&self, k: T, _: T) -> T {
        T::from_f64(1.0) / k
    }

    fn psd(&self, _: Psd) -> Psd {
        Psd::Unknown
    }
}

impl Construct for Log<DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["kernel"])?;
        Ok(Self::new(arguments.take("kernel")?))
    }
}
