//! The γ-exponential kernel.

use super::{Profile, Radial};
use crate::Scalar;
use crate::kernel::Psd;
use crate::params::PerDimension;
use crate::simd::{Lanes, One};

crate::kernel! {
    /// The γ-exponential kernel, also called powered exponential: from the exponential kernel (γ = 1) to
    /// the squared exponential (γ = 2).
    ///
    /// # Definition
    ///
    /// k(x, y) = exp(−r^γ), with r² = Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    /// | `gamma` | γ | none | above 0, at most 2 |
    ///
    /// # Properties
    ///
    /// Stationary, isotropic with one lengthscale; positive semi-definite in any dimension. Samples are
    /// continuous and, for γ < 2, differentiable nowhere; γ = 2 is the squared exponential with lengthscale
    /// ℓ/√2. At coincident points the gradients in the inputs and in γ are given as 0: the limit for γ > 1,
    /// and the middle of the kink for γ ≤ 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = GammaExponential::new(2.0, 1.5);
    /// assert!((kernel.eval(&[0.0], &[8.0])? - (-8.0f64).exp()).abs() < 1e-17);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// assert!(GammaExponential::try_new(1.0, 2.1).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.18.
    pub GammaExponential as "gamma_exponential" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The exponent γ.
        gamma: Scalar = UpTo { upper: 2.0 },
    }
}

impl GammaExponential {
    /// The kernel as a function of s = r² and γ: for those who keep hyperparameters apart.
    pub fn value<T: Scalar>(s: T, gamma: f64) -> T {
        GammaExponentialProfile::new(gamma).value(One::<T, false>(s)).0
    }
}

impl Radial for GammaExponential {
    type Profile<T: Scalar> = GammaExponentialProfile<T>;

    fn lengthscale(&self) -> &PerDimension {
        &self.lengthscale
    }

    fn profile<T: Scalar>(&self) -> GammaExponentialProfile<T> {
        GammaExponentialProfile::new(self.gamma())
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

/// exp(−s^(γ/2))
#[derive(Clone, Copy, Debug)]
pub struct GammaExponentialProfile<T> {
    half_gamma: T,
    /// dk/ds at s = 0.
    slope_at_0: T,
}

impl<T: Scalar> GammaExponentialProfile<T> {
    fn new(gamma: f64) -> Self {
        let slope_at_0 = if gamma == 2.0 { -1.0 } else { 0.0 };
        Self { half_gamma: T::from_f64(0.5 * gamma), slope_at_0: T::from_f64(slope_at_0) }
    }
}

impl<T: Scalar> GammaExponentialProfile<T> {
    /// s^(γ/2) by the logarithm, which derivatives share: it has the digits that they need.
    #[inline(always)]
    fn power<L: Lanes<T>>(self, s: L) -> L {
        (s.ln() * s.all(self.half_gamma)).exp()
    }
}

impl<T: Scalar> Profile<T> for GammaExponentialProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        s.pow(self.half_gamma).decay(1.0)
    }

    // −γ/2 s^(γ/2 − 1) k has no limit at 0 for γ < 2; what it is multiplied by there, s or x − y, is 0.
    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L {
        let slope = s.all(self.half_gamma) * (self.power(s) / s) * value;
        let slope = -slope.at_most(<T as num_traits::Float>::max_value());
        s.if_equal(s.all(T::from_f64(0.0)), s.all(self.slope_at_0), slope)
    }

    // −½ ln s · s^(γ/2) k, which goes to 0 with s.
    #[inline(always)]
    fn shape_slope<L: Lanes<T>>(self, s: L, value: L) -> Option<L> {
        let zero = s.all(T::from_f64(0.0));
        let slope = s.ln() * -0.5 * (self.power(s) * value);
        Some(s.if_equal(zero, zero, slope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::radial::{shape_slope_at, slope_at, value_at};
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let value: f64 = GammaExponential::new([0.5, 2.0], 1.3).eval(&[1.0, 1.0], &[2.0, 5.0]).unwrap();
        assert!((value - (-(8.0f64.sqrt()).powf(1.3)).exp()).abs() < 1e-17);
    }

    #[test]
    fn ends_are_the_exponential_and_the_squared_exponential() {
        let (x, y) = ([0.3], [1.0]);
        let at = |kernel: DynKernel| -> f64 { kernel.eval(&x, &y).unwrap() };
        let exponential = at(GammaExponential::new(0.8, 1.0).dynamic());
        assert!((exponential - at(Matern12::new(0.8).dynamic())).abs() < 2e-16);
        let squared = at(GammaExponential::new(0.8, 2.0).dynamic());
        assert!((squared - at(Rbf::new(0.8 / 2.0f64.sqrt()).dynamic())).abs() < 2e-16);
    }

    #[test]
    fn slopes_at_coincident_points_are_finite() {
        for gamma in [1e-3, 0.5, 1.0, 1.9, 2.0] {
            let profile = GammaExponentialProfile::<f64>::new(gamma);
            let expected = if gamma == 2.0 { -1.0 } else { 0.0 };
            assert_eq!(slope_at(profile, 0.0, 1.0), expected);
            assert_eq!(shape_slope_at(profile, 0.0, 1.0), Some(0.0));
            for s in [f64::MIN_POSITIVE, 1e-300, 1e-9, 1.0, 1e300] {
                let value = value_at(profile, s);
                assert!(slope_at(profile, s, value).is_finite(), "{gamma} {s}");
                assert!(shape_slope_at(profile, s, value).is_some_and(f64::is_finite), "{gamma} {s}");
            }
        }
    }
}
