//! Exponentials for vectorised loops.
//!
//! [`exp_f64`] and [`exp_f32`] are straight-line code: no branch, no table, no call. Inlined into a
//! loop that is compiled for AVX-512, or for AVX2 with FMA, they become vector instructions of the
//! full width. They are built on fused multiply-add and are slow, though still right, where that is
//! not an instruction.
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`exp_f32`] | every `f32` whose exponential is finite and normal | 0.892 ulp |
//! | [`exp_f64`] | 10<sup>8</sup> random points of [-708.396, 709.782] | 0.902 ulp |
//! | [`exp_f64`] | 10<sup>8</sup> random points of [-50, 0] | 0.897 ulp |
//! | [`exp_f64`] | 10<sup>8</sup> random points of [-0.35, 0.35] | 0.882 ulp |
//! | [`exp_f64`] | 10<sup>8</sup> random points up to 0.017 above (k - 1/2) ln 2, k integer: the worst | 0.907 ulp |
//!
//! Every operation is rounded as IEEE 754 says, so a value has the same bits at every vector
//! width, alone, and on every machine.
//!
//! # Edges
//!
//! | argument | result |
//! |---|---|
//! | `0.0`, `-0.0` | exactly 1 |
//! | NaN | NaN |
//! | infinity | infinity |
//! | `exp_f64`: above 709.782712893384 | infinity |
//! | `exp_f32`: above 88.72283 | infinity |
//! | `exp_f64`: below -708.3964185322641 | 0 |
//! | `exp_f32`: below -87.33654 | 0 |
//! | negative infinity | 0 |
//!
//! The limits are the last arguments whose exponential is finite, and not below the smallest normal
//! number. Results below that are flushed to zero; a subnormal number is never returned, and
//! neither underflow nor overflow takes longer. Only a subnormal argument does, on processors that
//! compute with subnormal numbers in microcode.

// Both functions work the same way. With n the integer nearest x / ln 2 and r = x - n ln 2,
//
//     e^x = 2^n e^r,    |r| <= (ln 2) / 2.
//
// n: adding 1.5 * 2^52 gives a sum between 2^52 and 2^53, where neighbouring floats are 1 apart, so
// the addition rounds to an integer. Subtracting the constant gives that integer as a float, and
// the low bits of the sum hold it in two's complement. No conversion instruction is needed (AVX2
// has none between f64 and i64).
//
// r: unless n is zero, x and the float nearest ln 2 are both multiples of 2^-54 (2^-25 in f32), and
// so is x less n times that float. It is below 1/2, where every such multiple is a float, so the
// first fused step is exact. The second takes off what the float nearest ln 2 lacks, and rounds
// once.
//
// e^r: 1 + r + c2 r^2 + c3 r^3 + ... The first two coefficients are fixed at 1, which makes e^0
// exact and keeps the error of the sum to little more than its last rounding. The others minimise
// the largest relative error on |r| <= (ln 2) / 2. They solve a linear program: minimise E subject
// to |p(r) / e^r - 1| <= E on 401 Chebyshev points, with the residuals of the previous solution
// computed to 200 bits and scaled. After c2 is rounded to the working precision, the program is
// solved again for the rest; then c3 is rounded, and so on.
//
// 2^n: shifted up to the exponent field, the low bits of the sum are n in that field, and adding
// them to the bits of e^r multiplies by 2^n. Unlike a multiplication by a float 2^n this also works
// for n = 1024, and never meets a subnormal number, which would stall some processors. It is wrong
// only outside the limits, where the selects at the end replace it.

/// 1.5 * 2^52, the middle of the range where neighbouring `f64` are 1 apart.
pub(super) const ROUND_F64: f64 = 6_755_399_441_055_744.0;
/// ln 2 less the `f64` nearest to it.
pub(super) const LN_2_REST_F64: f64 = 2.3190468138462996e-17;
/// Last argument with a finite exponential.
pub(super) const HIGHEST_F64: f64 = 709.782712893384;
/// First argument whose exponential is a normal number.
pub(super) const LOWEST_F64: f64 = -708.3964185322641;
/// c2 to c11; largest relative error of the polynomial 3.68e-18 = 2^-57.9.
const POLYNOMIAL_F64: [f64; 10] = [
    0.5000000000000011,
    0.16666666666666466,
    0.04166666666652881,
    0.008333333333470201,
    0.0013888888943697586,
    0.00019841269546263558,
    2.4801493173874882e-5,
    2.755755846771456e-6,
    2.7630193794096937e-7,
    2.5007219350512494e-8,
];

/// 1.5 * 2^23, the middle of the range where neighbouring `f32` are 1 apart.
pub(super) const ROUND_F32: f32 = 12_582_912.0;
/// ln 2 less the `f32` nearest to it.
pub(super) const LN_2_REST_F32: f32 = -1.9046542e-9;
/// Last argument with a finite exponential.
pub(super) const HIGHEST_F32: f32 = 88.72283;
/// First argument whose exponential is a normal number.
const LOWEST_F32: f32 = -87.33654;
/// c2 to c6; largest relative error of the polynomial 3.14e-9 = 2^-28.2.
const POLYNOMIAL_F32: [f32; 5] = [0.49999994, 0.16666523, 0.041668292, 0.008368532, 0.0013818302];

/// The exponential of `x`.
///
/// The largest error measured is 0.907 ulp. Arguments below -708.3964185322641, whose exponential
/// is less than [`f64::MIN_POSITIVE`], give 0; arguments above 709.782712893384 give infinity; NaN
/// gives NaN. See the [module](self) for measurements.
///
/// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised. Outside it uses
/// the fused multiply-add of the C library, and `f64::exp` is faster.
///
/// # Examples
///
/// ```
/// use mercer::simd::exp::exp_f64;
///
/// assert_eq!(exp_f64(0.0), 1.0);
/// assert!((exp_f64(1.0) - std::f64::consts::E).abs() <= f64::EPSILON * 2.0);
/// assert!((exp_f64(-40.0) / 4.248354255291589e-18 - 1.0).abs() <= f64::EPSILON);
/// assert_eq!(exp_f64(-708.4), 0.0);
/// assert_eq!(exp_f64(710.0), f64::INFINITY);
/// assert!(exp_f64(f64::NAN).is_nan());
/// ```
#[inline(always)]
pub fn exp_f64(x: f64) -> f64 {
    let sum = x.mul_add(std::f64::consts::LOG2_E, ROUND_F64);
    let n = sum - ROUND_F64;
    let r = (-n).mul_add(std::f64::consts::LN_2, x);
    let r = (-n).mul_add(LN_2_REST_F64, r);

    // In pairs rather than by Horner's rule throughout: one more multiplication, but a chain of
    // dependent operations short enough for the processor to overlap several vectors.
    let [c2, c3, c4, c5, c6, c7, c8, c9, c10, c11] = POLYNOMIAL_F64;
    let r2 = r * r;
    let q = c11.mul_add(r, c10);
    let q = q.mul_add(r2, c9.mul_add(r, c8));
    let q = q.mul_add(r2, c7.mul_add(r, c6));
    let q = q.mul_add(r2, c5.mul_add(r, c4));
    let q = q.mul_add(r2, c3.mul_add(r, c2));
    // The last two by Horner's rule, which rounds better than (1 + r) + r^2 q.
    let e = q.mul_add(r, 1.0).mul_add(r, 1.0);

    let bits = e.to_bits().wrapping_add(sum.to_bits() << 52);
    let y = f64::from_bits(if x < LOWEST_F64 { 0 } else { bits });
    // The product is infinite above the limit, and NaN for NaN.
    if x <= HIGHEST_F64 { y } else { x * f64::INFINITY }
}

/// The exponential of `x`.
///
/// The error is at most 0.892 ulp. Arguments below -87.33654, whose exponential is less than
/// [`f32::MIN_POSITIVE`], give 0; arguments above 88.72283 give infinity; NaN gives NaN.
/// See the [module](self) for measurements.
///
/// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised. Outside it uses
/// the fused multiply-add of the C library, and `f32::exp` is faster.
///
/// # Examples
///
/// ```
/// use mercer::simd::exp::exp_f32;
///
/// assert_eq!(exp_f32(0.0), 1.0);
/// assert!((exp_f32(1.0) - std::f32::consts::E).abs() <= f32::EPSILON * 2.0);
/// assert!((exp_f32(-40.0) / 4.248_354_3e-18 - 1.0).abs() <= f32::EPSILON);
/// assert_eq!(exp_f32(-87.4), 0.0);
/// assert_eq!(exp_f32(89.0), f32::INFINITY);
/// assert!(exp_f32(f32::NAN).is_nan());
/// ```
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    let sum = x.mul_add(std::f32::consts::LOG2_E, ROUND_F32);
    let n = sum - ROUND_F32;
    let r = (-n).mul_add(std::f32::consts::LN_2, x);
    let r = (-n).mul_add(LN_2_REST_F32, r);

    // Short enough for Horner's rule, which needs the fewest operations.
    let [c2, c3, c4, c5, c6] = POLYNOMIAL_F32;
    let q = c6.mul_add(r, c5).mul_add(r, c4);
    let q = q.mul_add(r, c3).mul_add(r, c2);
    let e = q.mul_add(r, 1.0).mul_add(r, 1.0);

    let bits = e.to_bits().wrapping_add(sum.to_bits() << 23);
    let y = f32::from_bits(if x < LOWEST_F32 { 0 } else { bits });
    // The product is infinite above the limit, and NaN for NaN.
    if x <= HIGHEST_F32 { y } else { x * f32::INFINITY }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::simd::{Pass, dispatch};

    /// Sum of two numbers as the rounded sum and its error.
    fn two_sum(a: f64, b: f64) -> (f64, f64) {
        let sum = a + b;
        let part = sum - a;
        (sum, (a - (sum - part)) + (b - part))
    }

    /// e^x as (n, high, low), meaning 2^n (high + low) with |high| about 1 and some 100 good bits:
    /// the Taylor series in pairs of `f64`. `x` must be finite with a normal exponential.
    pub(in crate::simd) fn reference(x: f64) -> (i32, f64, f64) {
        // ln 2 = LN_2 + LN_2_REST_F64 + LN_2_LAST.
        const LN_2_LAST: f64 = 5.707708438416212e-34;
        let n = (x * std::f64::consts::LOG2_E).round();
        let product = n * LN_2_REST_F64;
        let product_low = n.mul_add(LN_2_REST_F64, -product) + n * LN_2_LAST;
        let (high, low) = two_sum((-n).mul_add(std::f64::consts::LN_2, x), -product);
        let (r, r_low) = two_sum(high, low - product_low);

        // 1 + r (1 + r/2 (1 + r/3 (...)))
        let (mut high, mut low) = (1.0, 0.0);
        for k in (1..=26).rev() {
            let k = f64::from(k);
            let product = high * r;
            let product_low = f64::mul_add(high, r, -product) + (high * r_low + low * r);
            let quotient = product / k;
            let quotient_low = ((-quotient).mul_add(k, product) + product_low) / k;
            let (sum, rest) = two_sum(1.0, quotient);
            (high, low) = two_sum(sum, rest + quotient_low);
        }
        (n as i32, high, low)
    }

    /// Error of `exp_f64(x)` in ulps of the exact value.
    fn error_f64(x: f64) -> f64 {
        let (n, high, low) = reference(x);
        // Two exact steps, since 2^-n alone may be out of range.
        let scaled = exp_f64(x) * 2f64.powi(-(n / 2)) * 2f64.powi(-(n - n / 2));
        let ulp = if high < 1.0 { f64::EPSILON / 2.0 } else { f64::EPSILON };
        (((scaled - high) - low) / ulp).abs()
    }

    /// Uniform on [0, 1), from a seeded SplitMix64.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
    }

    /// The number `steps` floats above `x`, which is not zero.
    fn step(x: f64, steps: i64) -> f64 {
        f64::from_bits((x.to_bits() as i64 + steps * x.signum() as i64) as u64)
    }

    /// Arguments with finite normal exponentials: the whole range, the range that kernels use,
    /// every size of small number, the borders between two values of n, and both limits.
    pub(in crate::simd) fn arguments_f64() -> Vec<f64> {
        let mut state = 20_240_607;
        let mut arguments = Vec::new();
        for _ in 0..60_000 {
            let u = uniform(&mut state);
            arguments.push(LOWEST_F64 + u * (HIGHEST_F64 - LOWEST_F64));
            arguments.push(-50.0 * uniform(&mut state));
            arguments.push(0.7 * uniform(&mut state) - 0.35);
            let small = (0.5 + u) * 2f64.powf(-1070.0 * uniform(&mut state).powi(4));
            arguments.push(if u < 0.5 { small } else { -small });
        }
        for n in -1022..=1023 {
            let border = (f64::from(n) + 0.5) * std::f64::consts::LN_2;
            let middle = f64::from(n) * std::f64::consts::LN_2;
            for k in -4..=4 {
                arguments.push(step(border, k));
                arguments.push(if n == 0 { 0.0 } else { step(middle, k) });
            }
        }
        for k in 0..2000 {
            arguments.push(step(HIGHEST_F64, -k));
            arguments.push(step(LOWEST_F64, k));
        }
        arguments.retain(|x| (LOWEST_F64..=HIGHEST_F64).contains(x));
        arguments
    }

    #[test]
    fn f64_is_within_one_ulp() {
        for x in arguments_f64() {
            let error = error_f64(x);
            assert!(error < 0.95, "{x:e}: {error} ulp");
        }
    }

    #[test]
    fn reference_agrees_with_known_values() {
        // e - 2.718281828459045 (the f64 nearest e) = 1.4456468917292502e-16.
        let (n, high, low) = reference(1.0);
        assert_eq!(n, 1);
        assert_eq!(2.0 * high, std::f64::consts::E);
        assert!((2.0 * low - 1.4456468917292502e-16).abs() < 1e-31);
    }

    #[test]
    fn f64_edges() {
        assert_eq!(exp_f64(0.0), 1.0);
        assert_eq!(exp_f64(-0.0), 1.0);
        assert_eq!(exp_f64(5e-324), 1.0);
        assert_eq!(exp_f64(-1e-17), 1.0);
        assert!(exp_f64(f64::NAN).is_nan());
        assert!(exp_f64(-f64::NAN).is_nan());
        // Every bit of the payload set, so that adding to it would carry into the sign.
        assert!(exp_f64(f64::from_bits(0x7FFF_FFFF_FFFF_FFFF)).is_nan());
        assert_eq!(exp_f64(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp_f64(f64::MAX), f64::INFINITY);
        assert_eq!(exp_f64(HIGHEST_F64.next_up()), f64::INFINITY);
        assert!(exp_f64(HIGHEST_F64) > 1.797e308);
        assert!(exp_f64(HIGHEST_F64).is_finite());
        assert!(exp_f64(LOWEST_F64) >= f64::MIN_POSITIVE);
        // Positive zero, not negative.
        for x in [LOWEST_F64.next_down(), -745.2, -1e5, f64::MIN] {
            assert_eq!(exp_f64(x).to_bits(), 0);
        }
        assert_eq!(exp_f64(f64::NEG_INFINITY).to_bits(), 0);
    }

    #[test]
    fn f64_flushes_exactly_the_subnormal_results() {
        // The exact exponentials on both sides of the limits, relative to 2^-1022 and 2^1024.
        let (n, high, low) = reference(LOWEST_F64);
        assert!(n == -1022 && (high - 1.0) + low >= 0.0);
        let (n, high, low) = reference(LOWEST_F64.next_down());
        assert!(n == -1022 && (high - 1.0) + low < 0.0);
        let (n, high, low) = reference(HIGHEST_F64);
        assert!(n == 1024 && (high - 1.0) + low < -f64::EPSILON / 4.0);
        let (n, high, low) = reference(HIGHEST_F64.next_up());
        assert!(n == 1024 && (high - 1.0) + low > 0.0);
    }

    /// Checks `exp_f32` at the positive and the negative float with these low 31 bits.
    fn check_f32(bits: u32) {
        for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
            let y = exp_f32(x);
            let exact = f64::from(x).exp();
            if x.is_nan() {
                assert!(y.is_nan());
            } else if exact < f64::from(f32::MIN_POSITIVE) {
                assert_eq!(y.to_bits(), 0, "{x:e}");
            } else if exact > f64::from(f32::MAX) {
                assert_eq!(y, f32::INFINITY, "{x:e}");
            } else {
                // The exponent of the exact value, lowered by the 23 fraction bits of f32.
                let ulp = f64::from_bits((exact.to_bits() & 0x7FF0_0000_0000_0000) - (23u64 << 52));
                let error = ((f64::from(y) - exact) / ulp).abs();
                assert!(error < 0.9, "{x:e}: {error} ulp");
            }
        }
    }

    #[test]
    fn f32_is_within_one_ulp() {
        // Where the result is neither 1 nor out of range, densely; then everything.
        let (small, large) = (2f32.powi(-26).to_bits(), 105f32.to_bits());
        (small..large).step_by(163).for_each(check_f32);
        (0..1u32 << 31).step_by(4001).for_each(check_f32);
        // All floats near the limits, and near the borders between two values of n.
        for n in 0..=128 {
            for middle in [n as f32, n as f32 + 0.5] {
                let bits = (middle * std::f32::consts::LN_2).to_bits();
                (bits.saturating_sub(50)..bits + 50).for_each(check_f32);
            }
        }
        // The worst argument of all.
        check_f32(5.848642f32.to_bits());
    }

    #[test]
    fn f32_edges() {
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(-0.0), 1.0);
        assert_eq!(exp_f32(1e-45), 1.0);
        assert!(exp_f32(f32::NAN).is_nan());
        assert!(exp_f32(f32::from_bits(0x7FFF_FFFF)).is_nan());
        assert_eq!(exp_f32(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp_f32(HIGHEST_F32.next_up()), f32::INFINITY);
        assert!(exp_f32(HIGHEST_F32).is_finite());
        assert!(exp_f32(LOWEST_F32) >= f32::MIN_POSITIVE);
        assert_eq!(exp_f32(LOWEST_F32.next_down()).to_bits(), 0);
        assert_eq!(exp_f32(f32::MIN).to_bits(), 0);
        assert_eq!(exp_f32(f32::NEG_INFINITY).to_bits(), 0);
    }

    struct Loops<'a>(&'a mut [f64], &'a mut [f32]);

    impl Pass for Loops<'_> {
        type Output = ();

        #[inline(always)]
        fn run<const FMA: bool>(self) {
            for value in self.0 {
                *value = exp_f64(*value);
            }
            for value in self.1 {
                *value = exp_f32(*value);
            }
        }
    }

    #[inline(never)]
    fn alone_f64(x: f64) -> f64 {
        exp_f64(x)
    }

    #[inline(never)]
    fn alone_f32(x: f32) -> f32 {
        exp_f32(x)
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        let mut x = arguments_f64();
        x.extend([-1e4, -709.0, -0.0, 710.0, 1e4, 1e300, -1e300]);
        x.extend([f64::INFINITY, f64::NEG_INFINITY]);
        let x32: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let (mut y, mut y32) = (x.clone(), x32.clone());
        dispatch(Loops(&mut y, &mut y32));
        for (x, y) in x.iter().zip(&y) {
            assert_eq!(y.to_bits(), alone_f64(*x).to_bits(), "{x:e}");
        }
        for (x, y) in x32.iter().zip(&y32) {
            assert_eq!(y.to_bits(), alone_f32(*x).to_bits(), "{x:e}");
        }
        let mut nans = [f64::NAN; 9];
        let mut nans32 = [f32::NAN; 17];
        dispatch(Loops(&mut nans, &mut nans32));
        assert!(nans.iter().all(|y| y.is_nan()) && nans32.iter().all(|y| y.is_nan()));
    }
}
