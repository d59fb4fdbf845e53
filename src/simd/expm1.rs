//! e^x − 1 for vectorised loops, without the cancellation near 0.
//!
//! [`exp_m1_f64`] and [`exp_m1_f32`] are straight-line code, as in [`exp`](super::exp).
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`exp_m1_f32`] | every positive `f32`, every eighth negative one | 0.993 ulp |
//! | [`exp_m1_f64`] | 10<sup>7</sup> random points of [-40, 709.782], as many of [-1.4, 1.4], as many of every magnitude | 1.050 ulp |
//!
//! # Edges
//!
//! | argument | result |
//! |---|---|
//! | `0.0`, `-0.0` | the argument, with its sign |
//! | below 2<sup>-54</sup> (`f32`: 2<sup>-25</sup>) in size, also subnormal | the argument |
//! | NaN | NaN |
//! | infinity; `exp_m1_f64`: above 709.782712893384; `exp_m1_f32`: above 88.72283 | infinity |
//! | below -40 (`f32`: -20), negative infinity | -1 |

// With n the integer nearest x / ln 2 and r = x - n ln 2 as in `exp`, and s = 2^n,
//
//     e^x - 1 = (s - 1) + s r + s (e^r - 1 - r).
//
// The first two terms are added with the error of the sum, which goes to the third: what is rounded but
// for the last sum is then at most a fifth of the result. s is halved, and the result doubled, so that
// s is finite for n = 1024.
//
// r comes in two parts: after the exact step, the rest of ln 2 is taken off, and what that step
// rounds away is kept.
//
// e^r - 1 - r = r^2 q(r). The coefficients are those of the polynomial that minimises the largest error of
// q on |r| <= (ln 2) / 2, found by the exchange algorithm at 260 bits, then rounded.

use super::exp::{HIGHEST_F32, HIGHEST_F64, LN_2_REST_F32, LN_2_REST_F64, ROUND_F32, ROUND_F64};

/// Largest relative error of the result 8.5e-19 = 2⁻⁶⁰.
const POLYNOMIAL_F64: [f64; 11] = [
    0.5,
    0.1666666666666667,
    0.041666666666666685,
    0.008333333333326073,
    0.0013888888888873403,
    0.00019841269875033979,
    2.4801587349951863e-5,
    2.7557255130076253e-6,
    2.7557250149348933e-7,
    2.510532923988836e-8,
    2.0922601416602464e-9,
];

/// Largest relative error of the result 1.7e-9 = 2⁻²⁹.
const POLYNOMIAL_F32: [f32; 6] = [0.5, 0.16666667, 0.041666463, 0.008333284, 0.0013933746, 0.00019908503];

/// r²q(r)
#[inline(always)]
pub(super) fn polynomial_f64(r: f64) -> f64 {
    let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10] = POLYNOMIAL_F64;
    // In pairs, as in `exp`.
    let r2 = r * r;
    let q = c10.mul_add(r2, c9.mul_add(r, c8));
    let q = q.mul_add(r2, c7.mul_add(r, c6));
    let q = q.mul_add(r2, c5.mul_add(r, c4));
    let q = q.mul_add(r2, c3.mul_add(r, c2));
    q.mul_add(r2, c1.mul_add(r, c0)) * r2
}

/// r²q(r)
#[inline(always)]
fn polynomial_f32(r: f32) -> f32 {
    let [c0, c1, c2, c3, c4, c5] = POLYNOMIAL_F32;
    let q = c5.mul_add(r, c4).mul_add(r, c3).mul_add(r, c2).mul_add(r, c1).mul_add(r, c0);
    q * (r * r)
}

macro_rules! parts {
    ($(#[$doc:meta])* $name:ident, $type:ty, $round:ident, $rest:ident, $polynomial:ident, $ln_2:expr, $log2_e:expr,
     $fraction_bits:literal, $bias:literal) => {
        $(#[$doc])*
        #[inline(always)]
        pub(super) fn $name(x: $type) -> ($type, $type) {
            let sum = x.mul_add($log2_e, $round);
            let n = sum - $round;
            let exact = (-n).mul_add($ln_2, x);
            let r = (-n).mul_add($rest, exact);
            let r_low = (-n).mul_add($rest, exact - r);

            let s = <$type>::from_bits(sum.to_bits().wrapping_add($bias - 1) << $fraction_bits);
            let whole = s - 0.5;
            let high = s.mul_add(r, whole);
            // What s - 1/2 is rounded by, whichever is larger; then what the sum is.
            let of_half = whole - s;
            let lost = (s - (whole - of_half)) - (0.5 + of_half);
            let low = s.mul_add(r, whole - high) + lost;
            (high, s.mul_add($polynomial(r) + r_low, low))
        }
    };
}

parts!(
    /// Half of e^x − 1 as the sum of two numbers, the second at most a fifth of the first, for x
    /// between −44 and 709.782712893384.
    halves_f64, f64, ROUND_F64, LN_2_REST_F64, polynomial_f64, std::f64::consts::LN_2, std::f64::consts::LOG2_E,
    52, 1023
);
parts!(
    /// Half of e^x − 1 as the sum of two numbers, the second at most a fifth of the first, for x
    /// between −25 and 88.72283.
    halves_f32, f32, ROUND_F32, LN_2_REST_F32, polynomial_f32, std::f32::consts::LN_2, std::f32::consts::LOG2_E,
    23, 127
);

/// e^x − 1.
///
/// The largest error measured is 1.050 ulp. See the [module](self) for measurements and edges.
///
/// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
/// `f64::exp_m1` is faster.
///
/// # Examples
///
/// ```
/// use mercer::simd::expm1::exp_m1_f64;
///
/// assert_eq!(exp_m1_f64(1e-20), 1e-20);
/// assert!((exp_m1_f64(1e-5) / 1.0000050000166668e-5 - 1.0).abs() <= f64::EPSILON);
/// assert_eq!(exp_m1_f64(-1000.0), -1.0);
/// assert_eq!(exp_m1_f64(710.0), f64::INFINITY);
/// assert!(exp_m1_f64(f64::NAN).is_nan());
/// ```
#[inline(always)]
pub fn exp_m1_f64(x: f64) -> f64 {
    let (high, low) = halves_f64(if x < -40.0 { -40.0 } else { x });
    let y = 2.0 * (high + low);
    let y = if x.abs() < f64::EPSILON / 4.0 { x } else { y };
    // The product is infinite above the limit, and NaN for NaN.
    if x <= HIGHEST_F64 { y } else { x * f64::INFINITY }
}

/// e^x − 1.
///
/// The largest error measured is 0.993 ulp. See the [module](self) for measurements and edges.
///
/// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
/// `f32::exp_m1` is faster.
///
/// # Examples
///
/// ```
/// use mercer::simd::expm1::exp_m1_f32;
///
/// assert_eq!(exp_m1_f32(1e-20), 1e-20);
/// assert!((exp_m1_f32(1e-2) / 1.005_016_7e-2 - 1.0).abs() <= 2.0 * f32::EPSILON);
/// assert_eq!(exp_m1_f32(-1000.0), -1.0);
/// assert_eq!(exp_m1_f32(89.0), f32::INFINITY);
/// assert!(exp_m1_f32(f32::NAN).is_nan());
/// ```
#[inline(always)]
pub fn exp_m1_f32(x: f32) -> f32 {
    let (high, low) = halves_f32(if x < -20.0 { -20.0 } else { x });
    let y = 2.0 * (high + low);
    let y = if x.abs() < f32::EPSILON / 4.0 { x } else { y };
    // The product is infinite above the limit, and NaN for NaN.
    if x <= HIGHEST_F32 { y } else { x * f32::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::{self, Samples, assert_f32, assert_loops, bits_f32};

    fn arguments() -> Vec<f64> {
        let mut samples = Samples::new(20_240_611);
        let mut x = samples.uniform(40_000, -41.0, HIGHEST_F64);
        x.extend(samples.uniform(40_000, -1.4, 1.4));
        x.extend(samples.magnitudes(40_000, -1074.0, 5.0));
        for n in -60..=1023 {
            let border = (f64::from(n) + 0.5) * std::f64::consts::LN_2;
            x.extend(reference::around(border, 4));
            x.extend(reference::around(f64::from(n) * std::f64::consts::LN_2, 4));
        }
        x.extend(reference::around(HIGHEST_F64, 40));
        x.retain(|x| *x <= HIGHEST_F64);
        x
    }

    #[test]
    fn f64_is_within_the_error_stated() {
        for x in arguments() {
            let error = reference::exp_m1(x).ulps(exp_m1_f64(x));
            assert!(error < 1.15, "{x:e}: {error} ulp");
        }
    }

    #[test]
    fn f32_is_within_the_error_stated() {
        let middle = bits_f32(1e-9, 105.0, 163);
        for bits in (0..1u32 << 31).step_by(4001).chain(middle).chain(bits_f32(0.3, 0.4, 7)) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                assert_f32(x, exp_m1_f32(x), f64::from(x).exp_m1(), 1.05);
            }
        }
    }

    #[test]
    fn edges() {
        for x in [0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-17] {
            assert_eq!(exp_m1_f64(x).to_bits(), x.to_bits());
        }
        for x in [0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-9] {
            assert_eq!(exp_m1_f32(x).to_bits(), x.to_bits());
        }
        assert!(exp_m1_f64(f64::NAN).is_nan() && exp_m1_f32(f32::NAN).is_nan());
        assert_eq!([f64::INFINITY, f64::MAX, HIGHEST_F64.next_up()].map(exp_m1_f64), [f64::INFINITY; 3]);
        assert_eq!([f32::INFINITY, f32::MAX, HIGHEST_F32.next_up()].map(exp_m1_f32), [f32::INFINITY; 3]);
        assert!(exp_m1_f64(HIGHEST_F64) > 1.797e308 && exp_m1_f64(HIGHEST_F64).is_finite());
        assert!(exp_m1_f32(HIGHEST_F32).is_finite());
        assert_eq!([f64::NEG_INFINITY, f64::MIN, -40.0, -38.0].map(exp_m1_f64), [-1.0; 4]);
        assert_eq!([f32::NEG_INFINITY, f32::MIN, -20.0].map(exp_m1_f32), [-1.0; 3]);
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        assert_loops!(arguments(), exp_m1_f64, exp_m1_f32);
    }
}
