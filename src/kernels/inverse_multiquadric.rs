//! The inverse multiquadric kernel.

use super::Profile;
use super::radial::radial;
use crate::Scalar;
use crate::simd::Lanes;

crate::kernel! {
    /// The inverse multiquadric kernel: smooth, with correlations that fall only as one over the distance.
    ///
    /// # Definition
    ///
    /// k(x, y) = 1/√(1 + s), with s = Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary, isotropic with one lengthscale; infinitely differentiable samples; positive
    /// semi-definite in any dimension, as a mixture of squared exponentials. It is the rational quadratic
    /// kernel of α = 1/2 and lengthscale ℓ, without the logarithm and the exponential.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = InverseMultiquadric::new(2.0);
    /// assert_eq!(kernel.eval(&[0.0, 0.0], &[4.0, 4.0])?, 1.0 / 3.0);
    /// assert_eq!((kernel * 6.0).eval(&[0.0, 0.0], &[4.0, 4.0])?, 2.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Hardy (1971), *Multiquadric equations of topography and other irregular surfaces*,
    /// [doi:10.1029/JB076i008p01905](https://doi.org/10.1029/JB076i008p01905).
    pub InverseMultiquadric as "inverse_multiquadric" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(InverseMultiquadric, InverseMultiquadricProfile, Always);

/// 1/√(1 + s)
#[derive(Clone, Copy, Debug)]
pub struct InverseMultiquadricProfile;

impl<T: Scalar> Profile<T> for InverseMultiquadricProfile {
    const SLOPE_FROM_VALUE: bool = true;

    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        (s + 1.0).sqrt().recip()
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, _: L, value: L) -> L {
        value * -0.5 * value * value
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_rational_quadratic_of_alpha_one_half() {
        let (x, y) = ([0.3, 1.0], [1.1, -0.4]);
        let value: f64 = InverseMultiquadric::new([1.3, 0.4]).eval(&x, &y).unwrap();
        let quadratic: f64 = RationalQuadratic::new([1.3, 0.4], 0.5).eval(&x, &y).unwrap();
        assert!((value - quadratic).abs() < 2e-16);
    }
}
