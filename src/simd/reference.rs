//! Elementary functions to some 100 bits, for the tests of those to 53.
//!
//! Numbers are the sum of two `f64`; functions are their Taylor series after a reduction that is exact, and the
//! inverse functions one step of Newton's rule from the standard library's value.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Sum of two numbers as the rounded sum and its error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// The sum of two `f64`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Double {
    fn new(high: f64, low: f64) -> Self {
        let (high, low) = two_sum(high, low);
        Self { high, low }
    }

    fn scaled(self, power: i32) -> Self {
        // Two exact steps, since the power alone may be out of range.
        let (first, second) = (2f64.powi(power / 2), 2f64.powi(power - power / 2));
        Self { high: self.high * first * second, low: self.low * first * second }
    }

    /// Error of `found` in units in the last place of this exact value. Below the normal numbers, in those of
    /// subnormal ones.
    pub(super) fn ulps(self, found: f64) -> f64 {
        let exponent = (self.high.abs().to_bits() >> 52) as i32 - 1023;
        // A power of two less something has smaller units.
        let power = self.high.to_bits() & 0x000F_FFFF_FFFF_FFFF == 0;
        let below = i32::from(power && self.low * self.high.signum() < 0.0);
        let ulp = 2f64.powi((exponent - 52 - below).max(-1074) / 2);
        let rest = 2f64.powi((exponent - 52 - below).max(-1074) - (exponent - 52 - below).max(-1074) / 2);
        (((found - self.high) - self.low) / ulp / rest).abs()
    }
}

impl From<f64> for Double {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Add for Double {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (high, low) = two_sum(self.high, other.high);
        let (more, least) = two_sum(self.low, other.low);
        let sum = Self::new(high, low + more);
        Self::new(sum.high, sum.low + least)
    }
}

impl Neg for Double {
    type Output = Self;

    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Sub for Double {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Double {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let low = f64::mul_add(self.high, other.high, -high);
        Self::new(high, low + (self.high * other.low + self.low * other.high))
    }
}

impl Div for Double {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let quotient = Self::from(self.high / other.high);
        let left = self - quotient * other;
        Self::new(quotient.high, left.high / other.high)
    }
}

const LN_2: [f64; 3] = [std::f64::consts::LN_2, 2.3190468138462996e-17, 5.707708438416212e-34];
const HALF_PI: [f64; 4] =
    [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591698e-33, 5.562271104316826e-50];

/// x − n Σ parts, where the first step is exact.
fn reduced(x: Double, n: f64, parts: &[f64]) -> Double {
    let first = Double::new((-n).mul_add(parts[0], x.high), x.low);
    parts[1..].iter().fold(first, |rest, &part| rest - Double::from(n) * Double::from(part))
}

/// e^r − 1 for |r| up to 0.4.
fn exp_m1_small(r: Double) -> Double {
    // r (1 + r/2 (1 + r/3 (...)))
    let one = Double::from(1.0);
    let sum = (2..=28).rev().fold(one, |sum, k| one + sum * r / Double::from(f64::from(k)));
    sum * r
}

/// n and e^r − 1, for e^x = 2ⁿ e^r.
fn exp_parts(x: Double) -> (i32, Double) {
    let n = (x.high * std::f64::consts::LOG2_E).round();
    (n as i32, exp_m1_small(reduced(x, n, &LN_2)))
}

fn exp(x: Double) -> Double {
    let (n, rest) = exp_parts(x);
    (Double::from(1.0) + rest).scaled(n)
}

fn exp_m1_of(x: Double) -> Double {
    let (n, rest) = exp_parts(x);
    if n == 0 {
        return rest;
    }
    if n > 1000 {
        // The 1 is beyond the last place.
        return (Double::from(1.0) + rest).scaled(n);
    }
    let power = 2f64.powi(n);
    Double::from(power) * rest + (Double::from(power) - Double::from(1.0))
}

pub(super) fn exp_m1(x: f64) -> Double {
    exp_m1_of(Double::from(x))
}

pub(super) fn tanh(x: f64) -> Double {
    if x.abs() < 1e-30 {
        return Double::from(x);
    }
    let e = exp_m1_of(Double::from(-2.0 * x.abs()));
    let tangent = -e / (e + Double::from(2.0));
    if x < 0.0 { -tangent } else { tangent }
}

/// log(1 + f) for f from −0.3 to 0.42.
fn ln_1p_small(f: Double) -> Double {
    if f.high.abs() < 1e-40 {
        return f;
    }
    // (1 + f) e^−y − 1 is so small for y near the logarithm that two terms of the series are enough.
    let near = f.high.ln_1p();
    let e = exp_m1_small(-Double::from(near));
    let left = f + e + f * e;
    Double::from(near) + (left - left * left * Double::from(0.5))
}

/// The logarithm of u.
fn ln_of(u: Double) -> Double {
    let (u, shift) = if u.high < 1e-290 { (u.scaled(200), -200) } else { (u, 0) };
    let mut k = ((u.high.to_bits() >> 52) as i32) - 1023;
    if u.scaled(-k).high > std::f64::consts::SQRT_2 {
        k += 1;
    }
    let rest = ln_1p_small(u.scaled(-k) - Double::from(1.0));
    let k = Double::from(f64::from(k + shift));
    LN_2.iter().fold(rest, |sum, &part| sum + k * Double::from(part))
}

pub(super) fn ln(x: f64) -> Double {
    ln_of(Double::from(x))
}

pub(super) fn ln_1p(x: f64) -> Double {
    if (-0.29..0.41).contains(&x) { ln_1p_small(Double::from(x)) } else { ln_of(Double::new(1.0, x)) }
}

pub(super) fn pow(x: f64, y: f64) -> Double {
    exp(Double::from(y) * ln(x))
}

/// The sine and the cosine of r, for |r| up to 0.8.
fn sin_cos_small(r: Double) -> (Double, Double) {
    let (one, square) = (Double::from(1.0), -(r * r));
    let series = |first: u32| {
        let terms = (0..15).rev();
        terms.fold(one, |sum, k| {
            let factor = f64::from((2 * k + first) * (2 * k + first + 1));
            one + sum * square / Double::from(factor)
        })
    };
    (r * series(2), series(1))
}

pub(super) fn sin_cos(x: f64) -> (Double, Double) {
    if x.abs() < 1e-30 {
        return (Double::from(x), Double::from(1.0));
    }
    let n = (x * std::f64::consts::FRAC_2_PI).round();
    let (sin, cos) = sin_cos_small(reduced(Double::from(x), n, &HALF_PI));
    match (n as i64).rem_euclid(4) {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

pub(super) fn atan2(y: f64, x: f64) -> Double {
    // The angle left after turning back by what the standard library finds is its own tangent.
    let near = y.atan2(x);
    if near.abs() < 1e-250 {
        return Double::from(y) / Double::from(x);
    }
    let larger = x.abs().max(y.abs());
    let scale = -(((larger.to_bits() >> 52) as i32) - 1023);
    let (x, y) = (Double::from(x).scaled(scale), Double::from(y).scaled(scale));
    let (sin, cos) = sin_cos(near);
    Double::from(near) + (y * cos - x * sin) / (x * cos + y * sin)
}

/// Seeded random numbers, by SplitMix64.
pub(super) struct Samples(u64);

impl Samples {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
    }

    pub(super) fn uniform(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        (0..count).map(|_| low + self.unit() * (high - low)).collect()
    }

    /// Of both signs, with the logarithm to base 2 of their size uniform.
    pub(super) fn magnitudes(&mut self, count: usize, low: f64, high: f64) -> Vec<f64> {
        let mut one = || {
            let size = 2f64.powf(low + self.unit() * (high - low));
            if self.unit() < 0.5 { -size } else { size }
        };
        (0..count).map(|_| one()).collect()
    }
}

/// The number `steps` floats further from 0 than `x`; 0 stays.
pub(super) fn step(x: f64, steps: i64) -> f64 {
    if x == 0.0 { x } else { f64::from_bits((x.to_bits() as i64 + steps) as u64) }
}

/// `x` and as many floats on both sides.
pub(super) fn around(x: f64, steps: i64) -> Vec<f64> {
    (-steps..=steps).map(|k| step(x, k)).collect()
}

/// The bits of every `stride`-th positive `f32` between two.
pub(super) fn bits_f32(low: f32, high: f32, stride: usize) -> impl Iterator<Item = u32> {
    (low.to_bits()..=high.to_bits()).step_by(stride)
}

/// Checks `found` against a value that is exact to far more digits than `f32` has.
pub(super) fn assert_f32(x: f32, found: f32, exact: f64, most: f64) {
    let error = ulps_f32(found, exact);
    assert!(error < most, "{x:e}: {found:e}, {error} ulp");
}

/// Error of `found` in units in the last place of the exact value; 0 where both are the same infinity, or NaN.
pub(super) fn ulps_f32(found: f32, exact: f64) -> f64 {
    if exact.is_nan() || found.is_nan() {
        return if exact.is_nan() && found.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if exact.abs() > f64::from(f32::MAX) {
        let rounded = exact as f32;
        return if found == rounded { 0.0 } else { f64::INFINITY };
    }
    // The exponent of the exact value, lowered by the 23 fraction bits of f32.
    let exponent = ((exact.abs().to_bits() >> 52) as i32 - 1023).max(-126);
    (f64::from(found) - exact).abs() / 2f64.powi(exponent - 23)
}

/// Checks that loops under dispatch give the bits of single calls, in both precisions.
macro_rules! assert_loops {
    ($arguments:expr, $f64:expr, $f32:expr) => {{
        struct Loops<'a, F, G>(&'a mut [f64], &'a mut [f32], F, G);

        impl<F: Fn(f64) -> f64, G: Fn(f32) -> f32> crate::simd::Pass for Loops<'_, F, G> {
            type Output = ();

            #[inline(always)]
            fn run<const FMA: bool>(self) {
                self.0.iter_mut().for_each(|value| *value = self.2(*value));
                self.1.iter_mut().for_each(|value| *value = self.3(*value));
            }
        }

        let mut x: Vec<f64> = $arguments;
        x.extend([0.0, -0.0, 1.0, -1.0, 1e4, -1e4, 1e300, -1e300, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        let x32: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let (mut y, mut y32) = (x.clone(), x32.clone());
        crate::simd::dispatch(Loops(&mut y, &mut y32, $f64, $f32));
        for (&x, y) in x.iter().zip(&y) {
            let alone: f64 = std::hint::black_box($f64)(std::hint::black_box(x));
            assert!(y.to_bits() == alone.to_bits() || y.is_nan() && alone.is_nan(), "{x:e}");
        }
        for (&x, y) in x32.iter().zip(&y32) {
            let alone: f32 = std::hint::black_box($f32)(std::hint::black_box(x));
            assert!(y.to_bits() == alone.to_bits() || y.is_nan() && alone.is_nan(), "{x:e}");
        }
    }};
}

pub(super) use assert_loops;

mod tests {
    use super::*;

    #[test]
    fn agrees_with_known_values() {
        // Each is the nearest f64 and what it lacks.
        let table = [
            (exp_m1(1.0), 1.7182818284590453, -7.747991575210629e-17),
            (ln(10.0), std::f64::consts::LN_10, -2.1707562233822494e-16),
            (ln_1p(1e-5), 9.999950000333332e-6, -2.3868637284493416e-22),
            (tanh(0.5), 0.46211715726000974, 2.1916603238260928e-17),
            (pow(2.0, 0.5), std::f64::consts::SQRT_2, -9.667293313452913e-17),
            (sin_cos(1.0).0, 0.8414709848078965, 1.776845092935536e-18),
            (sin_cos(1.0).1, 0.5403023058681398, -4.760954612604417e-17),
            (atan2(1.0, 2.0), 0.4636476090008061, 2.2698777452961687e-17),
        ];
        for (found, high, low) in table {
            assert_eq!(found.high, high);
            assert!((found.low - low).abs() < 1e-30 * high.abs(), "{found:?}");
        }
    }
}
