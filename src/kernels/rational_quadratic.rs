//! The rational quadratic kernel.

use super::{Profile, Radial};
use crate::kernel::FrequencyLaw;
use crate::params::{Constraint, OneOrEach, Parameter, PerDimension};
use crate::{Result, Scalar, construct, kernel_ops, parameterized};

/// The rational quadratic kernel: a scale mixture of squared exponentials.
///
/// # Definition
///
/// k(x, y) = (1 + s/(2α))^(−α), with s = Σ_d (x_d − y_d)²/ℓ_d²
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
/// | `alpha` | α | none | positive; α → ∞ is the squared exponential |
///
/// # Properties
///
/// Stationary; infinitely differentiable samples; positive semi-definite in any dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = RationalQuadratic::new(2.0, 1.5);
/// assert!((kernel.eval(&[0.0], &[3.0])? - (1.0f64 + 2.25 / 3.0).powf(-1.5)).abs() < 1e-15);
/// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.19.
#[derive(Clone, Debug, PartialEq)]
pub struct RationalQuadratic {
    lengthscale: PerDimension,
    alpha: Parameter,
}

parameterized!(RationalQuadratic as "rational_quadratic", parameters: [lengthscale, alpha]);
kernel_ops!(RationalQuadratic);
construct!(RationalQuadratic: try_new(lengthscale: OneOrEach, alpha: f64));

impl RationalQuadratic {
    /// The kernel with one lengthscale, or one for each dimension, and a mixture parameter.
    ///
    /// # Panics
    ///
    /// If a hyperparameter is not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(lengthscale: impl Into<OneOrEach>, alpha: f64) -> Self {
        crate::error::literal(Self::try_new(lengthscale, alpha))
    }

    /// The kernel with one lengthscale, or one for each dimension, and a mixture parameter.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a hyperparameter is not positive and finite.
    pub fn try_new(lengthscale: impl Into<OneOrEach>, alpha: f64) -> Result<Self> {
        Ok(Self {
            lengthscale: PerDimension::new("lengthscale", lengthscale, Constraint::Positive)?,
            alpha: Parameter::new("alpha", alpha, Constraint::Positive)?,
        })
    }

    /// The lengthscale: one, or one for each dimension.
    pub fn lengthscale(&self) -> &[f64] {
        self.lengthscale.values()
    }

    /// The mixture parameter α.
    pub fn alpha(&self) -> f64 {
        self.alpha.value()
    }

    /// The kernel as a function of s = r²/ℓ² and α: for those who keep hyperparameters apart.
    pub fn value<T: Scalar>(s: T, alpha: f64) -> T {
        RationalQuadraticProfile::new(alpha).value::<false>(s)
    }
}

impl Radial for RationalQuadratic {
    type Profile<T: Scalar> = RationalQuadraticProfile<T>;

    fn lengthscale(&self) -> &PerDimension {
        &self.lengthscale
    }

    fn profile<T: Scalar>(&self) -> RationalQuadraticProfile<T> {
        RationalQuadraticProfile::new(self.alpha())
    }
}

/// (1 + s/(2α))^(−α)
#[derive(Clone, Copy, Debug)]
pub struct RationalQuadraticProfile<T> {
    alpha: T,
    half_inverse: T,
}

impl<T: Scalar> RationalQuadraticProfile<T> {
    // Where α or 1/(2α) would leave the range of T, the kernel has reached its limit long before.
    fn new(alpha: f64) -> Self {
        let smallest = <T as num_traits::Float>::min_positive_value().as_f64();
        let alpha = alpha.clamp(smallest, 0.5 / smallest);
        Self { alpha: T::from_f64(alpha), half_inverse: T::from_f64(0.5 / alpha) }
    }

    /// s/(2α), kept from overflow for the smallest α.
    #[inline(always)]
    fn ratio(self, s: T) -> T {
        let (ratio, largest) = (s * self.half_inverse, <T as num_traits::Float>::max_value());
        if ratio > largest { largest } else { ratio }
    }
}

// By the logarithm, so that a large α loses no digits of 1 + s/(2α).
impl<T: Scalar> Profile<T> for RationalQuadraticProfile<T> {
    #[inline(always)]
    fn value<const FMA: bool>(self, s: T) -> T {
        (-self.alpha * self.ratio(s).lane_ln_1p::<FMA>()).lane_exp::<FMA>()
    }

    #[inline(always)]
    fn slope<const FMA: bool>(self, s: T, value: T) -> T {
        T::from_f64(-0.5) * value / (T::from_f64(1.0) + self.ratio(s))
    }

    #[inline(always)]
    fn shape_slope<const FMA: bool>(self, s: T, value: T) -> Option<T> {
        let u = self.ratio(s);
        Some(value * (u / (T::from_f64(1.0) + u) - u.lane_ln_1p::<FMA>()))
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::GammaNormal { shape: self.alpha.as_f64() })
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let value: f64 = RationalQuadratic::new(2.0, 0.7).eval(&[0.0, 1.0], &[3.0, 2.0]).unwrap();
        assert!((value - (1.0f64 + 2.5 / 1.4).powf(-0.7)).abs() < 2e-16);
    }

    #[test]
    fn large_alpha_is_the_squared_exponential() {
        let (x, y) = ([0.0], [1.0]);
        let limit: f64 = Rbf::new(1.0).eval(&x, &y).unwrap();
        let value: f64 = RationalQuadratic::new(1.0, 1e12).eval(&x, &y).unwrap();
        // The next term of the expansion is s²/(8α) = 1.25e-13.
        assert!((value - limit).abs() < 2e-13);
    }
}
