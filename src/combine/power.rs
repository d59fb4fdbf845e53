//! An integer power of a kernel.

use super::{Transform, Transformed};
use crate::kernel::{Node, Psd, Structure};
use crate::simd::{One, power};
use crate::{DynKernel, Error, Result, Scalar};

/// An integer power of a kernel: what `k.pow(3)` makes, and `k ^ 3` in text.
///
/// # Definition
///
/// k(x, y) = inner(x, y)ⁿ, n = 0, 1, 2, …
///
/// # Properties
///
/// Positive semi-definite where the inner kernel is, as a product of n copies of it (Schur's
/// theorem); stationary if the inner kernel is. The degree is part of the expression, not a
/// hyperparameter.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = (Linear::new(0.5) + 1.0).pow(3);
/// assert_eq!(kernel.eval(&[2.0], &[3.0])?, 64.0);
/// assert_eq!(kernel.to_string(), "(linear(variance=0.5) + constant(value=1)) ^ 3");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.4.
pub type Power<K> = Transformed<ToPower, K>;

/// h(k) = kⁿ
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToPower {
    degree: u32,
}

impl ToPower {
    /// The degree n.
    pub fn degree(self) -> u32 {
        self.degree
    }
}

impl<K> Power<K> {
    /// The kernel to a power.
    ///
    /// # Panics
    ///
    /// If the degree is beyond 1000; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(kernel: K, degree: u32) -> Self {
        crate::error::literal(Self::try_new(kernel, degree))
    }

    /// The kernel to a power.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the degree is beyond 1000, where rounding has taken all digits.
    pub fn try_new(kernel: K, degree: u32) -> Result<Self> {
        if degree > 1000 {
            return Err(Error::setting("the degree of a power", degree, "must be at most 1000"));
        }
        Ok(Self::of(ToPower { degree }, kernel))
    }
}

impl Transform for ToPower {
    const NAME: &'static str = "power";

    #[inline(always)]
    fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T {
        // Also to the power 0: NaN has to give NaN.
        if self.degree == 0 && k.is_nan() { k } else { power(One::<T, FMA>(k), self.degree).0 }
    }

    #[inline(always)]
    fn slope<T: Scalar, const FMA: bool>(&self, k: T, _: T) -> T {
        T::from_f64(f64::from(self.degree)) * power(One::<T, FMA>(k), self.degree.saturating_sub(1)).0
    }

    fn psd(&self, inner: Psd) -> Psd {
        if self.degree == 0 { Psd::Always } else { inner }
    }

    fn structure<'k>(&self, kernel: &'k Node) -> Structure<'k> {
        Structure::Power(self.degree, kernel)
    }
}

crate::construct!(Power<DynKernel>: try_new(kernel: DynKernel, degree: u32));

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn agrees_with_a_product() {
        let (x, k) = (mat![[0.1], [0.7], [-2.0]], Linear::new(0.3) + 0.2);
        let cube: Mat<f64> = k.clone().pow(3).gram(x.as_ref()).unwrap();
        let product: Mat<f64> = (k.clone() * k.clone() * k.clone()).gram(x.as_ref()).unwrap();
        assert!((&cube - &product).norm_max() < 1e-15);
        let zeroth: Mat<f64> = k.pow(0).gram(x.as_ref()).unwrap();
        assert_eq!(zeroth, Mat::full(3, 3, 1.0));
    }
}
