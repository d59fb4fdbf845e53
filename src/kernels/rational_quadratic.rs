//! The rational quadratic kernel.

use super::{Profile, Radial};
use crate::Scalar;
use crate::kernel::{FrequencyLaw, Psd};
use crate::params::PerDimension;
use crate::simd::{Lanes, One};

crate::kernel! {
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
    #[doc(alias = "RQ")]
    pub RationalQuadratic as "rational_quadratic" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The mixture parameter α.
        alpha: Scalar = Positive,
    }
}

impl RationalQuadratic {
    /// The kernel as a function of s = r²/ℓ² and α: for those who keep hyperparameters apart.
    pub fn value<T: Scalar>(s: T, alpha: f64) -> T {
        RationalQuadraticProfile::new(alpha).value(One::<T, false>(s)).0
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

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

/// (1 + s/(2α))^(−α)
#[derive(Clone, Copy, Debug)]
pub struct RationalQuadraticProfile<T> {
    alpha: T,
    half_inverse: T,
    /// c, by whose square dk/dα is too small for T where α is large: 2α, or 1 for small α.
    shape_scale: T,
    /// 1/c²
    shape_unit: f64,
    /// c/(2α)
    scaled_half_inverse: T,
}

/// Of (artanh √z)/√z − 1 = z P(z), for z up to 1/81, where what is left out is 3 · 10⁻¹⁶ of the sum that it is in.
const ARTANH: [f64; 7] = [1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0];

impl<T: Scalar> RationalQuadraticProfile<T> {
    // Where α or 1/(2α) would leave the range of T, the kernel has reached its limit long before.
    fn new(alpha: f64) -> Self {
        let smallest = <T as num_traits::Float>::min_positive_value().as_f64();
        let shape_scale = (2.0 * alpha).max(1.0);
        let bounded = alpha.clamp(smallest, 0.5 / smallest);
        Self {
            alpha: T::from_f64(bounded),
            half_inverse: T::from_f64(0.5 / bounded),
            shape_scale: T::from_f64((2.0 * bounded).max(1.0)),
            shape_unit: shape_scale.recip().powi(2),
            scaled_half_inverse: T::from_f64((0.5 / bounded).max(1.0)),
        }
    }

    /// s/(2α), kept from overflow for the smallest α.
    #[inline(always)]
    fn ratio<L: Lanes<T>>(self, s: L) -> L {
        (s * s.all(self.half_inverse)).at_most(<T as num_traits::Float>::max_value())
    }
}

// By the logarithm, so that a large α loses no digits of 1 + s/(2α).
impl<T: Scalar> Profile<T> for RationalQuadraticProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        (self.ratio(s).ln_1p() * s.all(self.alpha)).decay(1.0)
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L {
        value * -0.5 / (self.ratio(s) + 1.0)
    }

    // dk/dα = −k (log (1 + u) − u/(1 + u)), of which little is left for small u. With v = u/(2 + u), the logarithm is
    // 2 artanh v, and the difference is 2v (v/(1 + v) + (artanh v)/v − 1), a sum of positive terms.
    #[inline(always)]
    fn shape_slope<L: Lanes<T>>(self, s: L, value: L) -> Option<L> {
        let u = self.ratio(s);
        let v = u / (u + 2.0);
        let z = v * v;
        let mut series = s.all(T::from_f64(ARTANH[ARTANH.len() - 1]));
        for &coefficient in ARTANH.iter().rev().skip(1) {
            series = series * z + coefficient;
        }
        let scaled = s * s.all(self.scaled_half_inverse) / (u + 2.0);
        // From the left, because the value vanishes where the factors are large.
        let near = value * 2.0 * scaled * scaled * v.mul_add(series, (v + 1.0).recip());
        let scale = s.all(self.shape_scale);
        let far = value * scale * scale * (u.ln_1p() - u / (u + 1.0));
        Some(u.if_less(s.all(T::from_f64(0.25)), -near, -far))
    }

    fn shape_unit(self) -> f64 {
        self.shape_unit
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::GammaNormal { shape: self.alpha.as_f64() })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::kernels::radial::{shape_slope_at, value_at};
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let value: f64 = RationalQuadratic::new(2.0, 0.7).eval(&[0.0, 1.0], &[3.0, 2.0]).unwrap();
        assert!((value - (1.0f64 + 2.5 / 1.4).powf(-0.7)).abs() < 2e-16);
    }

    /// α, s (a number of both precisions), dk/dα, from 500 digits.
    const IN_ALPHA: [[f64; 3]; 30] = [
        [0.02678, 0.16253706812858582, -0.6192080836584875],
        [0.1659, 0.365702748298645, -0.193312779548911],
        [5.68, 0.000243568021687679, -2.2982039885782173e-10],
        [0.0012, 8.731072425842285, -7.129231234108162],
        [0.03599, 0.0024129741359502077, -0.0005370523034469049],
        [941.6, 0.059505168348550797, -4.845593900507019e-10],
        [104.4, 0.06463740766048431, -4.637287074120607e-08],
        [6.83, 0.0007738145650364459, -1.6037681217920302e-09],
        [6.444, 13.227181434631348, -0.0021086854754113105],
        [1.377, 2.362576961517334, -0.06719654355272867],
        [121700000000000.0, 0.00023866321134846658, -4.806710781147878e-37],
        [4448000000000000.0, 0.3072469234466553, -5.114906742717222e-34],
        [26470000.0, 0.00015239451022353023, -4.1429308389293684e-24],
        [3.797e+17, 0.06154880300164223, -3.184951977030034e-39],
        [868600000000000.0, 15.31071662902832, -1.8389991446691604e-32],
        [715000000000000.0, 27.19456672668457, -2.249246656541714e-34],
        [1286000000.0, 5.313268184661865, -1.4975799729185186e-19],
        [10070000000.0, 33.11018753051758, -8.729482290825764e-26],
        [6.601e+17, 0.0003758204693440348, -4.0510704916209935e-44],
        [28020.0, 0.001906439196318388, -5.78103595440449e-16],
        [2.391e+19, 0.03744165226817131, -3.0083649515303038e-43],
        [19040000000000.0, 0.005971102975308895, -1.2257125651745822e-32],
        [135000000000.0, 0.0189064908772707, -2.428615948379518e-27],
        [207200000.0, 0.2830982804298401, -2.0254940082915478e-19],
        [2.662e+78, 21.61675262451172, -1.6674646099943594e-160],
        [1.578e+88, 30.253738403320312, -1.2380502927464008e-181],
        [4.366e+105, 70.28115844726562, -1.7744375746085567e-224],
        [1.341e+87, 0.0009168278193101287, -5.84021635174016e-182],
        [1.158e+106, 49.12860107421875, -4.83082733304176e-221],
        [2.948e+110, 0.22789472341537476, -6.665563710660271e-224],
    ];

    #[test]
    fn the_slope_in_alpha_keeps_its_digits_near_the_limit() {
        for [alpha, s, expected] in IN_ALPHA {
            let (double, single) =
                (RationalQuadraticProfile::<f64>::new(alpha), RationalQuadraticProfile::<f32>::new(alpha));
            let value = value_at(double, s);
            let found = shape_slope_at(double, s, value).unwrap() * double.shape_unit();
            // The exponent of k, up to 45, is rounded thrice.
            assert_relative_eq!(found, expected, epsilon = 0.0, max_relative = 1e-14);
            let s = s as f32;
            let value = value_at(single, s);
            let found = f64::from(shape_slope_at(single, s, value).unwrap()) * single.shape_unit();
            assert_relative_eq!(found, expected, epsilon = 0.0, max_relative = 1e-5);
        }
    }

    #[test]
    fn the_slope_in_alpha_is_finite_at_the_ends() {
        for alpha in [1e-300, 1e-30, 0.5, 1e30, 1e300] {
            for s in [0.0, f32::MIN_POSITIVE, 1.0, f32::MAX / 16.0] {
                let (single, double) = (RationalQuadraticProfile::new(alpha), RationalQuadraticProfile::new(alpha));
                let slope = shape_slope_at(single, s, value_at(single, s)).unwrap();
                assert!(slope.is_finite(), "{alpha} {s} {slope}");
                let s = f64::from(s);
                let slope = shape_slope_at(double, s, value_at(double, s)).unwrap();
                assert!(slope.is_finite(), "{alpha} {s} {slope}");
            }
        }
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
