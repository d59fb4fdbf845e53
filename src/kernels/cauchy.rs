//! The Cauchy kernel.

use super::Profile;
use super::radial::radial;
use crate::Scalar;
use crate::simd::Lanes;

crate::kernel! {
    /// The Cauchy kernel: correlations with a long tail.
    ///
    /// # Definition
    ///
    /// k(x, y) = 1/(1 + s), with s = Σ_d (x_d − y_d)²/ℓ_d²
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
    /// semi-definite in any dimension. It is the rational quadratic kernel of α = 1 and lengthscale ℓ/√2,
    /// without the logarithm and the exponential.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Cauchy::new(2.0);
    /// assert_eq!(kernel.eval(&[0.0], &[6.0])?, 0.1);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[0.0], &[2.0])?, 2.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Gneiting & Schlather (2004), *Stochastic models that separate fractal dimension and the Hurst
    /// effect*: the Cauchy class with α = β = 2,
    /// [doi:10.1137/S0036144501394387](https://doi.org/10.1137/S0036144501394387).
    pub Cauchy as "cauchy" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(Cauchy, CauchyProfile, Always);

/// 1/(1 + s)
#[derive(Clone, Copy, Debug)]
pub struct CauchyProfile;

impl<T: Scalar> Profile<T> for CauchyProfile {
    const SLOPE_FROM_VALUE: bool = true;

    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        (s + 1.0).recip()
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, _: L, value: L) -> L {
        -value * value
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let value: f64 = Cauchy::new([0.5, 2.0]).eval(&[1.0, 1.0], &[2.0, 5.0]).unwrap();
        assert!((value - 1.0 / 9.0).abs() < 1e-17);
    }

    #[test]
    fn a_rational_quadratic_of_alpha_1() {
        let (x, y) = ([0.3, 1.0], [1.1, -0.4]);
        let cauchy: f64 = Cauchy::new(1.3).eval(&x, &y).unwrap();
        let quadratic: f64 = RationalQuadratic::new(1.3 / 2.0f64.sqrt(), 1.0).eval(&x, &y).unwrap();
        assert!((cauchy - quadratic).abs() < 2e-16);
    }
}
