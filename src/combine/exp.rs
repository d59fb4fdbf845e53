//! The exponential of a kernel.

use super::{Transform, Transformed};
use crate::kernel::{Arguments, Construct, Psd};
use crate::{DynKernel, Result, Scalar};

/// The exponential of a kernel: what `k.exp()` makes.
///
/// # Definition
///
/// k(x, y) = exp(inner(x, y))
///
/// # Properties
///
/// Positive semi-definite where the inner kernel is: the series Σₙ innerⁿ/n! has powers of it with
/// positive coefficients. Stationary if the inner kernel is. Overflows to infinity where the inner
/// kernel is beyond 709 (88 in `f32`).
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 0.5 * Rbf::new(1.0).exp();
/// assert!((kernel.eval(&[2.0], &[2.0])? - 0.5 * std::f64::consts::E).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Shawe-Taylor & Cristianini (2004), *Kernel Methods for Pattern Analysis*, proposition 3.24,
/// [doi:10.1017/CBO9780511809682](https://doi.org/10.1017/CBO9780511809682).
pub type Exp<K> = Transformed<Exponential, K>;

/// h(k) = exp(k)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exponential;

impl<K> Exp<K> {
    /// The exponential of a kernel.
    pub fn new(kernel: K) -> Self {
        Self::of(Exponential, kernel)
    }
}

impl Transform for Exponential {
    const NAME: &'static str = "exp";

    #[inline(always)]
    fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T {
        k.lane_exp::<FMA>()
    }

    #[inline(always)]
    fn slope<T: Scalar, const FMA: bool>(&self, _: T, value: T) -> T {
        value
    }

    fn psd(&self, inner: Psd) -> Psd {
        inner
    }
}

impl Construct for Exp<DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["kernel"])?;
        Ok(Self::new(arguments.take("kernel")?))
    }
}
