//! The linear kernel with an offset.

use super::{DotProduct, DotProfile, Slopes};
use crate::kernel::Psd;
use crate::params::{Constraint, Parameter};
use crate::{Result, Scalar, construct, dot_product_kernel, kernel_ops, parameterized};

/// The affine kernel: Bayesian linear regression with intercept.
///
/// # Definition
///
/// k(x, y) = σ² xᵀy + c
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `variance` | σ² | that of the outputs squared, over that of the inputs squared | positive |
/// | `offset` | c | that of the outputs squared | positive if it starts positive, else any finite number |
///
/// # Properties
///
/// Not stationary; positive semi-definite in any dimension if c ≥ 0, of rank D + 1. The same as
/// `Linear::new(variance) + offset`, in one node.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Affine::new(0.5, 2.0);
/// assert_eq!(kernel.eval(&[1.0, 2.0], &[3.0, 4.0])?, 7.5);
/// assert_eq!((2.0 * kernel).eval(&[1.0, 2.0], &[3.0, 4.0])?, 15.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.2.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    variance: Parameter,
    offset: Parameter,
}

parameterized!(Affine as "affine", parameters: [variance, offset]);
kernel_ops!(Affine);
construct!(Affine: try_new(variance: f64, offset: f64));
dot_product_kernel!(Affine);

/// An offset is positive if it starts positive.
pub(super) fn offset(value: f64) -> Result<Parameter> {
    let constraint = if value > 0.0 { Constraint::Positive } else { Constraint::Real };
    Parameter::new("offset", value, constraint)
}

impl Affine {
    /// The kernel with a variance and an offset.
    ///
    /// # Panics
    ///
    /// If the variance is not positive and finite, or the offset not finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(variance: f64, offset: f64) -> Self {
        crate::error::literal(Self::try_new(variance, offset))
    }

    /// The kernel with a variance and an offset.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the variance is not positive and finite, or
    /// the offset not finite.
    pub fn try_new(variance: f64, offset: f64) -> Result<Self> {
        Ok(Self {
            variance: Parameter::new("variance", variance, Constraint::Positive)?,
            offset: self::offset(offset)?,
        })
    }

    /// The variance σ² of the slopes.
    pub fn variance(&self) -> f64 {
        self.variance.value()
    }

    /// The offset c.
    pub fn offset(&self) -> f64 {
        self.offset.value()
    }
}

impl DotProduct for Affine {
    type Profile<T: Scalar> = AffineProfile<T>;

    fn profile<T: Scalar>(&self) -> AffineProfile<T> {
        AffineProfile { variance: T::from_f64(self.variance()), offset: T::from_f64(self.offset()) }
    }

    fn psd(&self) -> Psd {
        if self.offset() >= 0.0 { Psd::Always } else { Psd::Never }
    }
}

/// The affine kernel as a function of xᵀy.
#[derive(Clone, Copy, Debug)]
pub struct AffineProfile<T> {
    variance: T,
    offset: T,
}

impl<T: Scalar> DotProfile<T> for AffineProfile<T> {
    #[inline(always)]
    fn value<const FMA: bool>(self, pair: T, _: T, _: T) -> T {
        self.variance.lane_mul_add::<FMA>(pair, self.offset)
    }

    #[inline(always)]
    fn slopes<const FMA: bool>(self, pair: T, _: T, _: T, _: T) -> Slopes<T> {
        let zero = T::from_f64(0.0);
        Slopes { pair: self.variance, x: zero, y: zero, theta: [pair, T::from_f64(1.0), zero] }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn is_the_sum_of_its_parts() {
        let x = mat![[1.0, 2.0], [-1.0, 0.5], [3.0, 0.0]];
        let gram: Mat<f64> = Affine::new(0.7, -0.25).gram(x.as_ref()).unwrap();
        let sum: Mat<f64> = (Linear::new(0.7) + -0.25).gram(x.as_ref()).unwrap();
        assert!((&gram - &sum).norm_max() < 1e-15);
        assert_eq!(Affine::new(0.7, -0.25).psd(), Psd::Never);
    }
}
