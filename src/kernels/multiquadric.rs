//! The multiquadric kernel.

use super::Profile;
use super::radial::radial;
use crate::Scalar;
use crate::simd::Lanes;

crate::kernel! {
    /// The multiquadric of radial-basis interpolation: for comparison with other libraries, not a
    /// covariance.
    ///
    /// # Definition
    ///
    /// k(x, y) = √(1 + s), with s = Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary, isotropic with one lengthscale; smooth. It grows with the distance, so it is positive
    /// semi-definite nowhere: k(x, y) > k(x, x). Models refuse it unless told to allow indefinite kernels.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Multiquadric::new(2.0);
    /// assert_eq!(kernel.eval(&[0.0, 0.0], &[4.0, 4.0])?, 3.0);
    /// assert_eq!(kernel.properties().psd, Psd::Unknown);
    /// assert_eq!((Constant::new(4.0) - kernel).eval(&[0.0, 0.0], &[4.0, 4.0])?, 1.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Hardy (1971), *Multiquadric equations of topography and other irregular surfaces*,
    /// [doi:10.1029/JB076i008p01905](https://doi.org/10.1029/JB076i008p01905).
    pub Multiquadric as "multiquadric" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(Multiquadric, MultiquadricProfile, Unknown);

/// √(1 + s)
#[derive(Clone, Copy, Debug)]
pub struct MultiquadricProfile;

impl<T: Scalar> Profile<T> for MultiquadricProfile {
    const SLOPE_FROM_VALUE: bool = true;

    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        (s + 1.0).sqrt()
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, _: L, value: L) -> L {
        value.recip() * 0.5
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let value: f64 = Multiquadric::new([0.5, 2.0]).eval(&[1.0, 1.0], &[2.0, 5.0]).unwrap();
        assert_eq!(value, 3.0);
    }
}
