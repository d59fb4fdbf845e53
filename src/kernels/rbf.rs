//! The squared exponential kernel.

use super::Profile;
use super::radial::radial;
use crate::Scalar;
use crate::kernel::FrequencyLaw;
use crate::simd::Lanes;
use crate::sphere::bessel::squared_exponential;

crate::kernel! {
    /// The squared exponential (radial basis function, Gaussian) kernel.
    ///
    /// # Definition
    ///
    /// k(x, y) = exp(−s/2), with s = Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; infinitely differentiable samples; positive semi-definite in any dimension. Its
    /// variance is 1: write `2.5 * Rbf::new(0.7)` for another.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Rbf::new(0.5);
    /// assert!((kernel.eval(&[1.0, 2.0], &[1.5, 2.0])? - (-0.5f64).exp()).abs() < 1e-16);
    ///
    /// let composed = 2.5 * Rbf::new([0.5, 3.0]) + White::new(0.1);
    /// assert_eq!(composed.eval(&[1.0, 2.0], &[1.0, 2.0])?, 2.5);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.9.
    #[doc(alias = "squared exponential", alias = "SE", alias = "SquaredExponential", alias = "ExponentiatedQuadratic", alias = "Gaussian kernel")]
    pub Rbf as "rbf" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(Rbf, RbfProfile, Always);

/// exp(−s/2)
#[derive(Clone, Copy, Debug)]
pub struct RbfProfile;

impl<T: Scalar> Profile<T> for RbfProfile {
    const SLOPE_FROM_VALUE: bool = true;
    const SLOPE_IS_PROPORTIONAL: bool = true;

    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        s.decay(0.5)
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, _: L, value: L) -> L {
        value * -0.5
    }

    fn spectral_density(self, dim: usize, squared_frequency: f64) -> Option<[f64; 2]> {
        let value = (0.5 * dim as f64 * std::f64::consts::TAU.ln() - 0.5 * squared_frequency).exp();
        Some([value, -0.5 * value])
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::Normal)
    }

    fn funk_hecke(self, dim: usize, lengthscale: f64, l_max: usize) -> Option<Vec<[f64; 2]>> {
        Some(squared_exponential(dim, lengthscale, l_max))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let kernel = Rbf::new([0.5, 2.0]);
        let value: f64 = kernel.eval(&[1.0, 1.0], &[2.0, 5.0]).unwrap();
        assert!((value - (-0.5 * (4.0 + 4.0f64)).exp()).abs() < 1e-17);
    }

    #[test]
    fn extreme_lengthscales_have_limits() {
        let x = mat![[0.0], [0.0], [1.0f32]];
        let tiny = Rbf::new(1e-30).gram(x.as_ref()).unwrap();
        assert_eq!((tiny[(0, 1)], tiny[(0, 2)]), (1.0, 0.0));
        let huge = Rbf::new(1e30).gram(x.as_ref()).unwrap();
        assert_eq!((huge[(0, 1)], huge[(0, 2)]), (1.0, 1.0));
    }
}
