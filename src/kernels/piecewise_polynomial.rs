//! Piecewise polynomials with compact support.

use super::{Profile, Radial};
use crate::kernel::Psd;
use crate::params::PerDimension;
use crate::simd::{Lanes, power};
use crate::{Error, Result, Scalar};

crate::kernel! {
    /// Wendland's piecewise polynomials: covariances that are exactly 0 beyond one lengthscale.
    ///
    /// # Definition
    ///
    /// With r² = Σ_d (x_d − y_d)²/ℓ_d² and j = ⌊D/2⌋ + q + 1, k(x, y) = max(0, 1 − r)^(j+q) times
    ///
    /// | q | |
    /// |---|---|
    /// | 0 | 1 |
    /// | 1 | (j + 1) r + 1 |
    /// | 2 | ((j² + 4j + 3) r² + (3j + 6) r + 3)/3 |
    /// | 3 | ((j³ + 9j² + 23j + 15) r³ + (6j² + 36j + 45) r² + (15j + 45) r + 15)/15 |
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// `q` (0 to 3) and `dimension` (D, 1 to 100) are settings, not hyperparameters.
    ///
    /// # Properties
    ///
    /// Stationary, isotropic with one lengthscale; q times differentiable samples; positive semi-definite
    /// on inputs of at most D dimensions. For q = 0, which has a kink at coincident points, the gradient
    /// in the inputs is given as 0 there.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = PiecewisePolynomial::new(2.0, 1, 3);
    /// // D = 3 and q = 1: j = 3, and k = (1 - r)⁴ (4r + 1).
    /// assert_eq!(kernel.eval(&[0.0, 0.0, 0.0], &[0.0, 1.0, 0.0])?, 3.0 / 16.0);
    /// assert_eq!(kernel.eval(&[0.0, 0.0, 0.0], &[0.0, 2.5, 0.0])?, 0.0);
    /// assert_eq!((2.0 * kernel.clone() + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// assert_eq!(kernel.properties().psd, Psd::UpTo(3));
    /// assert_eq!(kernel.to_string(), "piecewise_polynomial(lengthscale=2, q=1, dimension=3)");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.21; Wendland (1995),
    /// [doi:10.1007/BF02123482](https://doi.org/10.1007/BF02123482).
    pub PiecewisePolynomial as "piecewise_polynomial" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The smoothness q.
        setting q: u32,
        /// The largest dimension in which the kernel is positive semi-definite.
        setting dimension: u32,
    }
    check = check_settings;
}

fn check_settings(q: u32, dimension: u32) -> Result<()> {
    if q > 3 {
        return Err(Error::setting("`q` of a piecewise polynomial", q, "must be 0, 1, 2 or 3"));
    }
    if !(1..=100).contains(&dimension) {
        return Err(Error::setting("the dimension of a piecewise polynomial", dimension, "must be between 1 and 100"));
    }
    Ok(())
}

impl Radial for PiecewisePolynomial {
    type Profile<T: Scalar> = PiecewisePolynomialProfile<T>;

    fn lengthscale(&self) -> &PerDimension {
        &self.lengthscale
    }

    fn profile<T: Scalar>(&self) -> PiecewisePolynomialProfile<T> {
        PiecewisePolynomialProfile::new(self.q, self.dimension)
    }

    fn psd(&self) -> Psd {
        Psd::UpTo(self.dimension as usize)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        self.settings()
    }

    fn written_last(&self) -> &'static [&'static str] {
        &["q", "dimension"]
    }
}

/// max(0, 1 − r)^e times a polynomial in r, r = √s.
#[derive(Clone, Copy, Debug)]
pub struct PiecewisePolynomialProfile<T> {
    exponent: u32,
    coefficients: [T; 4],
    /// The slope is max(0, 1 − r)^(e − 1) times this polynomial; for q = 0, over r.
    slope_coefficients: [T; 3],
    has_kink: bool,
}

impl<T: Scalar> PiecewisePolynomialProfile<T> {
    // With P the polynomial and e = j + q, dk/dr = (1 − r)^(e−1) (−e P + (1 − r) P'). For q > 0 the
    // bracket is −r times a positive polynomial, written out here; dk/ds = dk/dr/(2r).
    fn new(q: u32, dimension: u32) -> Self {
        let j = f64::from(dimension / 2 + q + 1);
        let (coefficients, slope) = match q {
            0 => ([1.0, 0.0, 0.0, 0.0], [-0.5 * j, 0.0, 0.0]),
            1 => ([1.0, j + 1.0, 0.0, 0.0], [-0.5 * (j + 1.0) * (j + 2.0), 0.0, 0.0]),
            2 => {
                let factor = -(j + 3.0) * (j + 4.0) / 6.0;
                ([1.0, j + 2.0, (j + 1.0) * (j + 3.0) / 3.0, 0.0], [factor, factor * (j + 1.0), 0.0])
            }
            _ => {
                let cubic = (j + 1.0) * (j + 3.0) * (j + 5.0) / 15.0;
                let square = (6.0 * j * j + 36.0 * j + 45.0) / 15.0;
                let factor = -(j + 5.0) * (j + 6.0) / 30.0;
                let slope = [3.0 * factor, 3.0 * (j + 2.0) * factor, (j + 1.0) * (j + 3.0) * factor];
                ([1.0, j + 3.0, square, cubic], slope)
            }
        };
        Self {
            exponent: dimension / 2 + 2 * q + 1,
            coefficients: coefficients.map(T::from_f64),
            slope_coefficients: slope.map(T::from_f64),
            has_kink: q == 0,
        }
    }

    /// r, at most 1.
    #[inline(always)]
    fn root<L: Lanes<T>>(s: L) -> L {
        s.sqrt().at_most(T::from_f64(1.0))
    }
}

/// A polynomial, from the constant on.
#[inline(always)]
fn polynomial<T: Scalar, L: Lanes<T>, const N: usize>(r: L, coefficients: [T; N]) -> L {
    let mut value = r.all(coefficients[N - 1]);
    for index in (0..N - 1).rev() {
        value = value.mul_add(r, r.all(coefficients[index]));
    }
    value
}

impl<T: Scalar> Profile<T> for PiecewisePolynomialProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        let r = Self::root(s);
        power(-r + 1.0, self.exponent) * polynomial(r, self.coefficients)
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, _: L) -> L {
        let (zero, one) = (s.all(T::from_f64(0.0)), s.all(T::from_f64(1.0)));
        let r = Self::root(s);
        let slope = power(one - r, self.exponent - 1) * polynomial(r, self.slope_coefficients);
        // The kink at 0 counts as flat; outside the support, where the power of 0 may be 1, so it is.
        let slope = if self.has_kink { s.if_equal(zero, zero, slope / r) } else { slope };
        s.if_less(one, slope, r.if_equal(one, zero, slope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::radial::{slope_at, value_at};
    use crate::prelude::*;

    #[test]
    fn closed_forms() {
        let r = 0.3f64;
        for dimension in [1, 2, 3, 5] {
            let j = f64::from(dimension / 2 + 1);
            for q in 0..4 {
                let j = j + f64::from(q);
                let polynomial = match q {
                    0 => 1.0,
                    1 => (j + 1.0) * r + 1.0,
                    2 => ((j * j + 4.0 * j + 3.0) * r * r + (3.0 * j + 6.0) * r + 3.0) / 3.0,
                    _ => {
                        let cubic = (j.powi(3) + 9.0 * j * j + 23.0 * j + 15.0) * r.powi(3);
                        let square = (6.0 * j * j + 36.0 * j + 45.0) * r * r;
                        (cubic + square + (15.0 * j + 45.0) * r + 15.0) / 15.0
                    }
                };
                let expected = (1.0 - r).powf(j + f64::from(q)) * polynomial;
                let kernel = PiecewisePolynomial::new(2.0, q, dimension);
                let value: f64 = kernel.eval(&[0.0], &[0.6]).unwrap();
                assert!((value - expected).abs() < 4e-16, "q = {q}, D = {dimension}");
            }
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        for (q, dimension, s) in [(0, 1, 0.3), (1, 2, 0.3), (2, 3, 0.3), (3, 5, 0.3), (0, 1, 1.3), (3, 4, 1e300)] {
            let profile = PiecewisePolynomialProfile::<f64>::new(q, dimension);
            let expected = crate::testkit::directional_difference(1e-4, |by| value_at(profile, s + by));
            assert!((slope_at(profile, s, 0.0) - expected).abs() < 1e-10, "q = {q}, D = {dimension}, s = {s}");
        }
    }

    #[test]
    fn refuses_settings_out_of_range() {
        assert!(PiecewisePolynomial::try_new(1.0, 4, 1).is_err());
        assert!(PiecewisePolynomial::try_new(1.0, 1, 0).is_err());
    }
}
