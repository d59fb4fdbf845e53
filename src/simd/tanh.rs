//! The hyperbolic tangent for vectorised loops.
//!
//! [`tanh_f64`] and [`tanh_f32`] are straight-line code, as in [`exp`](super::exp).
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`tanh_f32`] | every positive `f32`, every eighth negative one | 0.780 ulp |
//! | [`tanh_f64`] | 10<sup>7</sup> random points of [-20, 20], as many of [-1, 1], as many of every magnitude | 0.815 ulp |
//!
//! # Edges
//!
//! An odd function, also in the sign of zero. Infinities, and everything above 19.1 (`f32`: 9.1) in size,
//! give ±1, NaN gives NaN, and a subnormal argument is its own tangent.

// With e = e^(-2|x|) - 1, between -1 and 0,
//
//     tanh |x| = -e / (2 + e).
//
// e comes in two parts, so that the quotient can be corrected for what is rounded off e, off 2 + e and
// off the quotient itself. The inverse of the denominator, which that takes, is (1 + q) / 2 for the
// quotient q.

use super::expm1::{halves_f32, halves_f64};

macro_rules! tanh {
    ($(#[$doc:meta])* $name:ident, $type:ty, $halves:ident, $limit:literal) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(x: $type) -> $type {
            let size = x.abs();
            let (high, low) = $halves(-2.0 * if size > $limit { $limit } else { size });
            // Halves throughout: -e/2 over 1 + e/2.
            let e = high + low;
            let e_low = (high - e) + low;
            let denominator = 1.0 + e;
            let denominator_low = (e - (denominator - 1.0)) + e_low;
            let q = -e / denominator;
            let left = (-q).mul_add(denominator, -e) - q.mul_add(denominator_low, e_low);
            // 1 / (1 + e/2) = 1 + q
            let y = left.mul_add(1.0 + q, q);
            // Halving a subnormal number rounds.
            (if size < <$type>::EPSILON / 4.0 { size } else { y }).copysign(x)
        }
    };
}

tanh!(
    /// The hyperbolic tangent of `x`.
    ///
    /// The largest error measured is 0.815 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f64::tanh` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::tanh::tanh_f64;
    ///
    /// assert!((tanh_f64(0.5) - 0.46211715726000974).abs() <= f64::EPSILON / 4.0);
    /// assert_eq!(tanh_f64(1e-20), 1e-20);
    /// assert_eq!(tanh_f64(-30.0), -1.0);
    /// assert!(tanh_f64(f64::NAN).is_nan());
    /// ```
    tanh_f64, f64, halves_f64, 22.0
);
tanh!(
    /// The hyperbolic tangent of `x`.
    ///
    /// The largest error measured is 0.780 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f32::tanh` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::tanh::tanh_f32;
    ///
    /// assert!((tanh_f32(0.5) - 0.462_117_16).abs() <= f32::EPSILON / 2.0);
    /// assert_eq!(tanh_f32(1e-20), 1e-20);
    /// assert_eq!(tanh_f32(-30.0), -1.0);
    /// assert!(tanh_f32(f32::NAN).is_nan());
    /// ```
    tanh_f32, f32, halves_f32, 12.0
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::{self, Samples, assert_f32, assert_loops, bits_f32};

    fn arguments() -> Vec<f64> {
        let mut samples = Samples::new(20_240_612);
        let mut x = samples.uniform(40_000, -20.0, 20.0);
        x.extend(samples.uniform(40_000, -1.0, 1.0));
        x.extend(samples.magnitudes(40_000, -1074.0, 5.0));
        for n in -60..=60 {
            x.extend(reference::around((f64::from(n) + 0.5) * 0.5 * std::f64::consts::LN_2, 4));
        }
        x
    }

    #[test]
    fn f64_is_within_the_error_stated() {
        for x in arguments() {
            let error = reference::tanh(x).ulps(tanh_f64(x));
            assert!(error < 0.95, "{x:e}: {error} ulp");
        }
    }

    #[test]
    fn f32_is_within_the_error_stated() {
        for bits in (0..1u32 << 31).step_by(4001).chain(bits_f32(1e-5, 10.0, 163)) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                assert_f32(x, tanh_f32(x), f64::from(x).tanh(), 0.85);
            }
        }
    }

    #[test]
    fn edges() {
        for x in [0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-17] {
            assert_eq!(tanh_f64(x).to_bits(), x.to_bits());
        }
        for x in [0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-9] {
            assert_eq!(tanh_f32(x).to_bits(), x.to_bits());
        }
        assert!(tanh_f64(f64::NAN).is_nan() && tanh_f32(f32::NAN).is_nan());
        assert_eq!([f64::INFINITY, f64::MAX, 22.0, 19.5].map(tanh_f64), [1.0; 4]);
        assert_eq!([f64::NEG_INFINITY, f64::MIN, -22.1, -19.5].map(tanh_f64), [-1.0; 4]);
        assert_eq!([f32::INFINITY, f32::MAX, 12.0, 9.5].map(tanh_f32), [1.0; 4]);
        assert_eq!([f32::NEG_INFINITY, f32::MIN, -12.1].map(tanh_f32), [-1.0; 3]);
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        assert_loops!(arguments(), tanh_f64, tanh_f32);
    }
}
