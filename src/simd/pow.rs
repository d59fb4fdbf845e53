//! Powers of numbers that are not negative, for vectorised loops.
//!
//! [`pow_f64`] and [`pow_f32`] are straight-line code, as in [`exp`](super::exp).
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`pow_f32`] | 10<sup>8</sup> random pairs with results of every magnitude | 0.501 ulp |
//! | [`pow_f64`] | 10<sup>7</sup> random pairs with results of every magnitude, as many with bases of [0.5, 2], as many with exponents of [-3, 3] | 1.357 ulp |
//!
//! # Edges
//!
//! | x | y | result |
//! |---|---|---|
//! | anything, also NaN | 0 | 1 |
//! | 1 | anything, also NaN | 1 |
//! | 0 | positive | 0 |
//! | 0 | negative | infinity |
//! | infinity | positive | infinity |
//! | infinity | negative | 0 |
//! | less than 1; greater than 1 | infinity | 0; infinity |
//! | less than 1; greater than 1 | negative infinity | infinity; 0 |
//! | negative | anything else | NaN: not the powers by integers that `powf` has |
//! | NaN elsewhere | | NaN |
//!
//! A result below the smallest normal number is flushed to zero, as by [`exp`](super::exp). A
//! subnormal base is as good as any.

// x^y = e^(y log x), where the product is up to 745: the logarithm needs 10 bits more than a float has, and
// comes as the sum of two. With k, m, f and s = f / (2 + f) as in `log`,
//
//     log x = k log 2 + 2 s + s (2/3 s^2 + s^4 P(s^2)).
//
// s is the sum of two floats, by the remainder of the division; so are the square of s, and with it the
// term with 2/3. The rest is less than 2^-12 of the logarithm, and float enough. Sums are kept with their errors.
// y times the larger part has its error from a fused multiply-add, and the exponential takes the small part in
// with r, as `expm1` does.
//
// In f32, f64 has digits enough for the plain formulas.
//
// The coefficients minimise the largest relative error of the logarithm, found by the exchange algorithm at
// 260 bits. After each is rounded, the rest are found again.

use super::exp::{HIGHEST_F64, LN_2_REST_F64, LOWEST_F64, ROUND_F64};
use super::expm1::polynomial_f64;
use super::log::{LN_2_HIGH_F64, LN_2_LOW_F64, split_f64};

/// 2/3 less the float nearest to it.
const TWO_THIRDS_REST: f64 = 3.700743415417188e-17;
/// Largest relative error 8.3e-23 = 2⁻⁷³.
const LOGARITHM_F64: [f64; 8] = [
    0.3999999999999998,
    0.2857142857144387,
    0.22222222217778634,
    0.18181818845724598,
    0.15384558292072684,
    0.1333627031030156,
    0.11675652779143046,
    0.11982896898591654,
];

/// Largest relative error 3.2e-14 = 2⁻⁴⁵.
const LOGARITHM_F32: [f64; 5] =
    [0.6666666667584619, 0.3999999560470888, 0.28572111141289613, 0.22176099424912493, 0.19585503947767896];
/// Of (e^r − 1 − r)/r²; largest relative error of the exponential 1.3e-12 = 2⁻³⁹.
const EXPONENTIAL_F32: [f64; 7] = [
    0.5000000000428674,
    0.16666666785296133,
    0.041666664405235525,
    0.008333281561254421,
    0.0013889195455679799,
    0.00019909134325024182,
    2.471087159956937e-5,
];

/// P(z)
#[inline(always)]
fn logarithm_f64(z: f64) -> f64 {
    let [p0, p1, p2, p3, p4, p5, p6, p7] = LOGARITHM_F64;
    let z2 = z * z;
    let p = p7.mul_add(z, p6).mul_add(z2, p5.mul_add(z, p4));
    p.mul_add(z2, p3.mul_add(z, p2)).mul_add(z2, p1.mul_add(z, p0))
}

/// The logarithm of a positive finite number as the sum of two.
#[inline(always)]
fn log_in_two_parts(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    let (_, k, m) = split_f64(if subnormal { x * 18_014_398_509_481_984.0 } else { x });
    let k = if subnormal { k - 54.0 } else { k };

    let f = m - 1.0;
    let d = 2.0 + f;
    let d_low = f - (d - 2.0);
    let s = f / d;
    // The inverse of d is (1 - s) / 2.
    let s_low = ((-s).mul_add(d, f) - s * d_low) * (0.5 - 0.5 * s);

    let z = s * s;
    let z_low = s.mul_add(s, -z) + 2.0 * s * s_low;
    let third = z * (2.0 / 3.0);
    let third_low = z.mul_add(2.0 / 3.0, -third) + z.mul_add(TWO_THIRDS_REST, z_low * (2.0 / 3.0));
    let rest = z * z * logarithm_f64(z);
    let g = third + rest;
    let g_low = ((third - g) + rest) + third_low;
    let q = s * g;
    let q_low = s.mul_add(g, -q) + s.mul_add(g_low, s_low * g);

    let whole = k * LN_2_HIGH_F64;
    let sum = whole + 2.0 * s;
    let lost = (whole - sum) + 2.0 * s;
    let high = sum + q;
    let lost = lost + ((sum - high) + q);
    let low = lost + (2.0 * s_low + q_low + k * LN_2_LOW_F64);
    let sum = high + low;
    (sum, (high - sum) + low)
}

/// The logarithm that leads to the right power for bases that have none: infinite for 0 and infinity, NaN for
/// negative numbers and NaN.
#[inline(always)]
fn with_edges(x: f64, log: f64) -> f64 {
    let log = if x > 0.0 { log } else { f64::NAN };
    let log = if x == 0.0 { f64::NEG_INFINITY } else { log };
    if x == f64::INFINITY { x } else { log }
}

/// `x` to the power `y`, for `x` that is not negative.
///
/// The largest error measured is 1.357 ulp. See the [module](self) for measurements and edges.
///
/// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
/// `f64::powf` is faster.
///
/// # Examples
///
/// ```
/// use mercer::simd::pow::pow_f64;
///
/// assert_eq!(pow_f64(2.0, 10.0), 1024.0);
/// assert!((pow_f64(2.0, 0.5) - std::f64::consts::SQRT_2).abs() <= f64::EPSILON);
/// assert_eq!(pow_f64(0.0, 0.3), 0.0);
/// assert_eq!(pow_f64(0.0, -0.3), f64::INFINITY);
/// assert!(pow_f64(-2.0, 2.0).is_nan());
/// ```
#[inline(always)]
pub fn pow_f64(x: f64, y: f64) -> f64 {
    let (log, log_low) = log_in_two_parts(x);
    let log = with_edges(x, log);
    let product = y * log;
    let product_low = y.mul_add(log_low, y.mul_add(log, -product));

    let sum = product.mul_add(std::f64::consts::LOG2_E, ROUND_F64);
    let n = sum - ROUND_F64;
    let exact = (-n).mul_add(std::f64::consts::LN_2, product);
    let rest = (-n).mul_add(LN_2_REST_F64, product_low);
    let r = exact + rest;
    let r_low = (exact - r) + rest;
    let e = 1.0 + (r + (polynomial_f64(r) + r_low));

    let bits = e.to_bits().wrapping_add(sum.to_bits() << 52);
    let power = f64::from_bits(if product < LOWEST_F64 { 0 } else { bits });
    // At the limit, the small part of the product may have carried it over.
    let power = if power < f64::MIN_POSITIVE { 0.0 } else { power };
    // The product is infinite above the limit, and NaN for NaN.
    let power = if product <= HIGHEST_F64 { power } else { product * f64::INFINITY };
    if y == 0.0 || x == 1.0 { 1.0 } else { power }
}

/// `x` to the power `y`, for `x` that is not negative.
///
/// The largest error measured is 0.501 ulp. See the [module](self) for measurements and edges.
///
/// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
/// `f32::powf` is faster.
///
/// # Examples
///
/// ```
/// use mercer::simd::pow::pow_f32;
///
/// assert_eq!(pow_f32(2.0, 10.0), 1024.0);
/// assert!((pow_f32(2.0, 0.5) - std::f32::consts::SQRT_2).abs() <= f32::EPSILON);
/// assert_eq!(pow_f32(0.0, 0.3), 0.0);
/// assert_eq!(pow_f32(0.0, -0.3), f32::INFINITY);
/// assert!(pow_f32(-2.0, 2.0).is_nan());
/// ```
#[inline(always)]
pub fn pow_f32(x: f32, y: f32) -> f32 {
    let (x, y) = (f64::from(x), f64::from(y));
    let (_, k, m) = split_f64(x);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let [p0, p1, p2, p3, p4] = LOGARITHM_F32;
    let p = p4.mul_add(z, p3).mul_add(z, p2).mul_add(z, p1).mul_add(z, p0);
    let log = k.mul_add(std::f64::consts::LN_2, (s * z).mul_add(p, 2.0 * s));
    let product = y * with_edges(x, log);

    // Far enough for every f32, and not too far for f64. NaN stays.
    let bounded = if product < -200.0 { -200.0 } else { product };
    let bounded = if bounded > 200.0 { 200.0 } else { bounded };
    let sum = bounded.mul_add(std::f64::consts::LOG2_E, ROUND_F64);
    let n = sum - ROUND_F64;
    let r = (-n).mul_add(std::f64::consts::LN_2, bounded);
    let [c0, c1, c2, c3, c4, c5, c6] = EXPONENTIAL_F32;
    let q = c6.mul_add(r, c5).mul_add(r, c4).mul_add(r, c3).mul_add(r, c2).mul_add(r, c1).mul_add(r, c0);
    let e = q.mul_add(r, 1.0).mul_add(r, 1.0);
    let power = f64::from_bits(e.to_bits().wrapping_add(sum.to_bits() << 52)) as f32;

    let power = if power < f32::MIN_POSITIVE { 0.0 } else { power };
    let power = if product.is_nan() { f32::NAN } else { power };
    if y == 0.0 || x == 1.0 { 1.0 } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::{self, Samples, assert_f32, assert_loops};

    /// Pairs with results from 2⁻¹⁰²² to 2¹⁰²⁴, of which the third part is near 1.
    fn arguments() -> Vec<(f64, f64)> {
        let mut samples = Samples::new(20_240_617);
        let bases = samples.magnitudes(60_000, -1074.0, 1023.9).into_iter().map(f64::abs);
        let bases = bases.chain(samples.uniform(60_000, 0.5, 2.0)).chain(samples.uniform(60_000, 0.999, 1.001));
        let bases: Vec<f64> = bases.filter(|x| *x > 0.0).collect();
        let products = samples.uniform(bases.len(), -708.3, 709.7);
        let small = samples.uniform(bases.len(), -3.0, 3.0);
        let pair = |(index, (&x, (&product, &small))): (usize, (&f64, (&f64, &f64)))| {
            (x, if index % 3 == 0 { small } else { product / x.ln() })
        };
        let mut pairs: Vec<(f64, f64)> = bases.iter().zip(products.iter().zip(&small)).enumerate().map(pair).collect();
        pairs.retain(|(x, y)| y.is_finite() && (-708.39..709.78).contains(&(y * x.ln())));
        pairs
    }

    #[test]
    fn f64_is_within_the_error_stated() {
        for (x, y) in arguments() {
            let error = reference::pow(x, y).ulps(pow_f64(x, y));
            assert!(error < 1.45, "{x:e}^{y:e}: {error} ulp");
        }
    }

    #[test]
    fn f32_is_within_the_error_stated() {
        for (x, y) in arguments() {
            let x = x.clamp(1e-44, 3e38) as f32;
            for y in [y as f32, (0.12 * y) as f32] {
                let exact = f64::from(x).powf(f64::from(y));
                if exact > 1.1754945e-38 {
                    assert_f32(x, pow_f32(x, y), exact, 0.51);
                }
            }
        }
    }

    #[test]
    fn powers_that_are_exact() {
        for k in -30i32..=30 {
            for n in -30i32..=30 {
                assert_eq!(pow_f64(2f64.powi(k), f64::from(n)), 2f64.powi(k * n));
            }
            assert_eq!(pow_f64(f64::from(k * k), 0.5), f64::from(k.abs()));
            assert_eq!(pow_f64(f64::from(k.abs()), 3.0), f64::from(k.abs().pow(3)));
            assert_eq!(pow_f32(k.abs() as f32, 3.0), k.abs().pow(3) as f32);
        }
    }

    #[test]
    fn edges() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let table = [
            ([nan, 0.0], 1.0),
            ([-2.0, 0.0], 1.0),
            ([0.0, -0.0], 1.0),
            ([inf, 0.0], 1.0),
            ([1.0, nan], 1.0),
            ([1.0, inf], 1.0),
            ([1.0, -inf], 1.0),
            ([0.0, 0.3], 0.0),
            ([-0.0, 0.3], 0.0),
            ([0.0, -0.3], inf),
            ([0.0, inf], 0.0),
            ([0.0, -inf], inf),
            ([inf, 0.3], inf),
            ([inf, -0.3], 0.0),
            ([0.5, inf], 0.0),
            ([2.0, inf], inf),
            ([0.5, -inf], inf),
            ([2.0, -inf], 0.0),
            ([1e300, 2.0], inf),
            ([1e300, -2.0], 0.0),
            ([1e-300, 2.0], 0.0),
            ([1e-300, -2.0], inf),
            ([5e-324, 1.0], 0.0),
            ([2.0, 1e300], inf),
            ([2.0, -1e300], 0.0),
        ];
        for ([x, y], expected) in table {
            assert_eq!(pow_f64(x, y), expected, "{x}^{y}");
            assert_eq!(pow_f32(x as f32, y as f32), expected as f32, "{x}^{y}");
        }
        for [x, y] in [[-1.0, 2.0], [-inf, 0.5], [nan, 0.5], [2.0, nan], [nan, nan], [0.0, nan], [inf, nan]] {
            assert!(pow_f64(x, y).is_nan() && pow_f32(x as f32, y as f32).is_nan(), "{x}^{y}");
        }
        // Subnormal bases.
        assert_eq!(pow_f64(5e-324, -0.5), 2f64.powi(537));
        assert_eq!(pow_f32(1e-45, -0.5), (2f64.powi(149).sqrt()) as f32);
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        let x: Vec<f64> = arguments().into_iter().map(|(x, _)| x).collect();
        for y in [0.3, -1.7, 55.5] {
            assert_loops!(x.clone(), |x| pow_f64(x, y), |x| pow_f32(x, y as f32));
        }
    }
}
