//! Natural logarithms, of x and of 1 + x, for vectorised loops.
//!
//! [`ln_f64`], [`ln_f32`], [`ln_1p_f64`] and [`ln_1p_f32`] are straight-line code, as in
//! [`exp`](super::exp).
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`ln_f32`] | every eighth `f32` | 0.804 ulp |
//! | [`ln_f64`] | 10<sup>7</sup> random points of [0.5, 2], as many of every magnitude | 0.835 ulp |
//! | [`ln_1p_f32`] | every eighth `f32` | 0.804 ulp |
//! | [`ln_1p_f64`] | 10<sup>7</sup> random points of [-0.9, 3], as many of every magnitude from 10<sup>-323</sup> to 10<sup>308</sup> and above -1 | 0.827 ulp |
//!
//! # Edges
//!
//! | argument | `ln` | `ln_1p` |
//! |---|---|---|
//! | `0.0`, `-0.0` | negative infinity | the argument, with its sign |
//! | 1 | exactly 0 | |
//! | -1 | NaN | negative infinity |
//! | below | NaN | NaN |
//! | infinity | infinity | infinity |
//! | NaN | NaN | NaN |
//! | subnormal | the logarithm, as accurate as any | the argument |

// x = 2^k m with m between √½ and √2. With f = m - 1, which is exact, and s = f / (2 + f),
//
//     log m = 2 atanh s = 2 s + s (2/3 s^2 + 2/5 s^4 + ...),    |s| <= 0.172.
//
// 2 s is not exact, but f is, and 2 s = f - f^2/2 + s f^2/2, so that
//
//     log x = k log 2 + f - (f^2/2 - s (f^2/2 + R)),    R = s^2 P(s^2).
//
// log 2 is split: the leading part has so few bits that its product with k is exact. That product and f
// are added with the error of the sum, which goes to the rest; what is rounded but for the last
// sum is then at most a quarter of the result.
//
// For log (1 + x), u = 1 + x is rounded, by c say: log (u + c) = log u + c/u. Where k = 0, f = x exactly, and
// there is nothing to correct. Elsewhere c/u is less than the last place of the result, and the
// inverse of m = (1 + s) / (1 - s) to 1 % will do: 1 - 2 s + 2 s^2.
//
// The coefficients of P minimise the largest relative error of the logarithm, found by the exchange algorithm at
// 260 bits. After each is rounded, the rest are found again.

/// The bits of √½, and of 1.
const ROOT_HALF_F64: u64 = 0x3FE6_A09E_667F_3BCD;
const ONE_F64: u64 = 0x3FF0_0000_0000_0000;
/// 42 bits of log 2, and the rest.
pub(super) const LN_2_HIGH_F64: f64 = 0.6931471805598903;
pub(super) const LN_2_LOW_F64: f64 = 5.497923018708371e-14;
/// Largest relative error 1.3e-18 = 2⁻⁵⁹.
const POLYNOMIAL_F64: [f64; 7] = [
    0.6666666666666735,
    0.39999999999409325,
    0.2857142874369748,
    0.2222219842743054,
    0.1818357245522009,
    0.15313829116803593,
    0.1479829345982658,
];

/// The bits of √½, and of 1.
const ROOT_HALF_F32: u32 = 0x3F35_04F3;
const ONE_F32: u32 = 0x3F80_0000;
/// 16 bits of log 2, and the rest.
const LN_2_HIGH_F32: f32 = 0.693_145_75;
const LN_2_LOW_F32: f32 = 1.4286068e-6;
/// Largest relative error 8.2e-10 = 2⁻³⁰.
const POLYNOMIAL_F32: [f32; 3] = [0.66666776, 0.39977568, 0.2987146];

/// k and m, for positive normal x: the exponent k as an integer raised by 1023, and as a float.
#[inline(always)]
pub(super) fn split_f64(x: f64) -> (u64, f64, f64) {
    let shifted = x.to_bits().wrapping_add(ONE_F64 - ROOT_HALF_F64);
    let raised = shifted >> 52;
    let m = f64::from_bits((shifted & 0x000F_FFFF_FFFF_FFFF).wrapping_add(ROOT_HALF_F64));
    // 2^52 + 1023 and 2^52 are floats; AVX2 has no conversion of 64-bit integers.
    let k = f64::from_bits(raised | 0x4330_0000_0000_0000) - 4_503_599_627_371_519.0;
    (raised, k, m)
}

/// k and m, for positive normal x: the exponent k as an integer raised by 127, and as a float.
#[inline(always)]
fn split_f32(x: f32) -> (u32, f32, f32) {
    let shifted = x.to_bits().wrapping_add(ONE_F32 - ROOT_HALF_F32);
    let raised = shifted >> 23;
    let m = f32::from_bits((shifted & 0x007F_FFFF).wrapping_add(ROOT_HALF_F32));
    let k = f32::from_bits(raised | 0x4B00_0000) - 8_388_735.0;
    (raised, k, m)
}

/// P(z)
#[inline(always)]
fn polynomial_f64(z: f64) -> f64 {
    let [p0, p1, p2, p3, p4, p5, p6] = POLYNOMIAL_F64;
    let z2 = z * z;
    let p = p6.mul_add(z2, p5.mul_add(z, p4));
    p.mul_add(z2, p3.mul_add(z, p2)).mul_add(z2, p1.mul_add(z, p0))
}

/// P(z)
#[inline(always)]
fn polynomial_f32(z: f32) -> f32 {
    let [p0, p1, p2] = POLYNOMIAL_F32;
    p2.mul_add(z, p1).mul_add(z, p0)
}

macro_rules! sum {
    ($name:ident, $type:ty, $polynomial:ident, $ln_2_high:ident, $ln_2_low:ident) => {
        /// k log 2 + log (1 + f) + c/(1 + f), for a correction c far smaller than the sum.
        #[inline(always)]
        fn $name(k: $type, f: $type, c: $type) -> $type {
            let s = f / (2.0 + f);
            let z = s * s;
            let half_square = 0.5 * f * f;
            let inverse = (2.0 * s).mul_add(s - 1.0, 1.0);
            let rest = k.mul_add($ln_2_low, c * inverse);
            let rest = half_square - s.mul_add(z.mul_add($polynomial(z), half_square), rest);
            let whole = k * $ln_2_high;
            let sum = whole + f;
            let lost = (whole - sum) + f;
            sum + (lost - rest)
        }
    };
}

sum!(sum_f64, f64, polynomial_f64, LN_2_HIGH_F64, LN_2_LOW_F64);
sum!(sum_f32, f32, polynomial_f32, LN_2_HIGH_F32, LN_2_LOW_F32);

macro_rules! ln {
    ($(#[$doc:meta])* $name:ident, $type:ty, $split:ident, $sum:ident, $scale:expr, $exponent:literal) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(x: $type) -> $type {
            // Subnormal numbers have their exponent elsewhere.
            let subnormal = x < <$type>::MIN_POSITIVE;
            let (_, k, m) = $split(if subnormal { x * $scale } else { x });
            let y = $sum(if subnormal { k - $exponent } else { k }, m - 1.0, 0.0);
            let y = if x > 0.0 { y } else { <$type>::NAN };
            let y = if x == 0.0 { <$type>::NEG_INFINITY } else { y };
            if x == <$type>::INFINITY { x } else { y }
        }
    };
}

ln!(
    /// The natural logarithm of `x`.
    ///
    /// The largest error measured is 0.835 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f64::ln` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::log::ln_f64;
    ///
    /// assert_eq!(ln_f64(1.0), 0.0);
    /// assert_eq!(ln_f64(2.0), std::f64::consts::LN_2);
    /// assert_eq!(ln_f64(0.0), f64::NEG_INFINITY);
    /// assert!(ln_f64(-1.0).is_nan());
    /// ```
    ln_f64, f64, split_f64, sum_f64, 18_014_398_509_481_984.0, 54.0
);
ln!(
    /// The natural logarithm of `x`.
    ///
    /// The largest error measured is 0.804 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f32::ln` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::log::ln_f32;
    ///
    /// assert_eq!(ln_f32(1.0), 0.0);
    /// assert_eq!(ln_f32(2.0), std::f32::consts::LN_2);
    /// assert_eq!(ln_f32(0.0), f32::NEG_INFINITY);
    /// assert!(ln_f32(-1.0).is_nan());
    /// ```
    ln_f32, f32, split_f32, sum_f32, 33_554_432.0, 25.0
);

macro_rules! ln_1p {
    ($(#[$doc:meta])* $name:ident, $type:ty, $split:ident, $sum:ident, $bias:literal, $fraction_bits:literal) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(x: $type) -> $type {
            let u = 1.0 + x;
            let (raised, k, m) = $split(u);
            // What the sum lost, exactly, whichever term is larger; then for m as u/2^k. Where that
            // power is out of range, so is the correction.
            let of_x = u - 1.0;
            let lost = (1.0 - (u - of_x)) + (x - of_x);
            let inverse = if raised < 2 * $bias { (2 * $bias - raised) << $fraction_bits } else { 0 };
            let scaled = lost * <$type>::from_bits(inverse);
            let same = raised == $bias;
            let y = $sum(k, if same { x } else { m - 1.0 }, if same { 0.0 } else { scaled });
            let y = if x > -1.0 { y } else { <$type>::NAN };
            let y = if x == -1.0 { <$type>::NEG_INFINITY } else { y };
            // The sum loses the sign of zero.
            if x == 0.0 || x == <$type>::INFINITY { x } else { y }
        }
    };
}

ln_1p!(
    /// log(1 + `x`).
    ///
    /// The largest error measured is 0.827 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f64::ln_1p` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::log::ln_1p_f64;
    ///
    /// assert_eq!(ln_1p_f64(1e-20), 1e-20);
    /// assert_eq!(ln_1p_f64(1.0), std::f64::consts::LN_2);
    /// assert_eq!(ln_1p_f64(-1.0), f64::NEG_INFINITY);
    /// assert!(ln_1p_f64(-1.1).is_nan());
    /// ```
    ln_1p_f64, f64, split_f64, sum_f64, 1023, 52
);
ln_1p!(
    /// log(1 + `x`).
    ///
    /// The largest error measured is 0.804 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f32::ln_1p` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::log::ln_1p_f32;
    ///
    /// assert_eq!(ln_1p_f32(1e-20), 1e-20);
    /// assert_eq!(ln_1p_f32(1.0), std::f32::consts::LN_2);
    /// assert_eq!(ln_1p_f32(-1.0), f32::NEG_INFINITY);
    /// assert!(ln_1p_f32(-1.1).is_nan());
    /// ```
    ln_1p_f32, f32, split_f32, sum_f32, 127, 23
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::{self, Samples, assert_f32, assert_loops, bits_f32};

    fn arguments() -> Vec<f64> {
        let mut samples = Samples::new(20_240_613);
        let mut x = samples.uniform(50_000, 0.5, 2.0);
        x.extend(samples.magnitudes(50_000, -1074.0, 1023.9).into_iter().map(f64::abs));
        for k in -1074..=1023 {
            let power = 2f64.powi(k);
            let border = power * std::f64::consts::FRAC_1_SQRT_2;
            x.extend(reference::around(power, 3).into_iter().chain(reference::around(border, 3)));
        }
        x.extend((0..2000).map(|k| f64::from_bits(ROOT_HALF_F64 - 1000 + k)));
        x.retain(|x| *x > 0.0 && *x < f64::INFINITY);
        x
    }

    /// Above −1: those of the logarithm less 1, and every magnitude.
    fn arguments_1p() -> Vec<f64> {
        let mut samples = Samples::new(20_240_614);
        let mut x: Vec<f64> = arguments().into_iter().map(|x| x - 1.0).collect();
        x.extend(samples.magnitudes(50_000, -1074.0, 2.0));
        x.extend(samples.magnitudes(20_000, -60.0, 70.0));
        x.extend(samples.uniform(50_000, -0.9, 3.0));
        x.retain(|x| *x > -1.0);
        x
    }

    #[test]
    fn ln_f64_is_within_the_error_stated() {
        for x in arguments() {
            let error = reference::ln(x).ulps(ln_f64(x));
            assert!(error < 0.9, "{x:e}: {error} ulp");
        }
    }

    #[test]
    fn ln_1p_f64_is_within_the_error_stated() {
        for x in arguments_1p() {
            let error = reference::ln_1p(x).ulps(ln_1p_f64(x));
            assert!(error < 0.9, "{x:e}: {error} ulp");
        }
    }

    #[test]
    fn f32_is_within_the_error_stated() {
        for bits in (0..1u32 << 31).step_by(4001).chain(bits_f32(0.5, 2.0, 63)) {
            let x = f32::from_bits(bits);
            assert_f32(x, ln_f32(x), f64::from(x).ln(), 0.85);
            for x in [x, -x, x - 1.0] {
                assert_f32(x, ln_1p_f32(x), f64::from(x).ln_1p(), 0.85);
            }
        }
    }

    #[test]
    fn edges() {
        assert_eq!(
            [0.0, -0.0, 1.0, f64::INFINITY].map(ln_f64),
            [f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0, f64::INFINITY]
        );
        assert_eq!(
            [0.0, -0.0, 1.0, f32::INFINITY].map(ln_f32),
            [f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0, f32::INFINITY]
        );
        assert!([-5e-324, -1.0, f64::NEG_INFINITY, f64::NAN].iter().all(|&x| ln_f64(x).is_nan()));
        assert!([-1e-45, -1.0, f32::NEG_INFINITY, f32::NAN].iter().all(|&x| ln_f32(x).is_nan()));
        for x in [0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-17, f64::INFINITY] {
            assert_eq!(ln_1p_f64(x).to_bits(), x.to_bits());
        }
        for x in [0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-9, f32::INFINITY] {
            assert_eq!(ln_1p_f32(x).to_bits(), x.to_bits());
        }
        assert_eq!(ln_1p_f64(-1.0), f64::NEG_INFINITY);
        assert_eq!(ln_1p_f32(-1.0), f32::NEG_INFINITY);
        assert!([(-1f64).next_down(), f64::NEG_INFINITY, f64::NAN].iter().all(|&x| ln_1p_f64(x).is_nan()));
        assert!([(-1f32).next_down(), f32::NEG_INFINITY, f32::NAN].iter().all(|&x| ln_1p_f32(x).is_nan()));
        assert!((ln_1p_f64(f64::MAX) - 709.782712893384).abs() < 1e-12);
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        assert_loops!(arguments(), ln_f64, ln_f32);
        assert_loops!(arguments_1p(), ln_1p_f64, ln_1p_f32);
    }
}
