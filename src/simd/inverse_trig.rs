//! The angle of a point of the plane, for vectorised loops.
//!
//! [`atan2_f64`] and [`atan2_f32`] are straight-line code, as in [`exp`](super::exp). The other inverse functions
//! follow: atan t = atan2(t, 1), asin t = atan2(t, √((1 − t) (1 + t))), acos t = atan2(√((1 − t) (1 + t)), t).
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`atan2_f32`] | 10<sup>8</sup> random pairs: of [-1, 1], and with ratios of every magnitude | 0.703 ulp |
//! | [`atan2_f64`] | 10<sup>7</sup> random pairs of [-1, 1], as many with ratios of every magnitude | 0.635 ulp |
//!
//! In `f32` it is 0.659 ulp for results above 10<sup>-36</sup>; below, remainders are subnormal. Subnormal results are as
//! exact as subnormal numbers are.
//!
//! # Edges
//!
//! Those of `f64::atan2`: the result has the sign of y, also for zeros; it is ±π for negative x, also for
//! `-0.0`, and y = 0; infinities lie in the directions of the axes, or halfway between them. NaN gives NaN.

// With a <= b the sizes of both coordinates and t = a/b, or where t > tan π/8,
//
//     t = (a - b) / (a + b),    atan (a/b) = π/4 + atan t,
//
// |t| is at most tan π/8, and atan t = t + t^3 A(t^2). The angle is that, with one sign or the other,
// added to one of the multiples of π/4.
//
// What the sum, the difference and the quotient are rounded by is found exactly, and goes to the small
// terms, as does what the sum with the multiple of π/4 is rounded by.
//
// The coefficients of A minimise the largest relative error of the angle, found by the exchange algorithm at 260
// bits. After each is rounded, the rest are found again.

/// Largest relative error 2.1e-18 = 2⁻⁵⁹.
const POLYNOMIAL_F64: [f64; 11] = [
    -0.3333333333333319,
    0.19999999999952184,
    -0.14285714280054104,
    0.11111110776300562,
    -0.09090897550985134,
    0.07692056522818902,
    -0.0666306191011529,
    0.058475812641937866,
    -0.050379085408761286,
    0.03802880724953329,
    -0.017867636367541864,
];
/// Largest relative error 7e-10 = 2⁻³⁰.
const POLYNOMIAL_F32: [f32; 5] = [-0.33333316, 0.19998527, -0.14244345, 0.10598728, -0.06088736];

/// A(z)
#[inline(always)]
fn polynomial_f64(z: f64) -> f64 {
    let [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10] = POLYNOMIAL_F64;
    let z2 = z * z;
    let p = p10.mul_add(z2, p9.mul_add(z, p8)).mul_add(z2, p7.mul_add(z, p6));
    p.mul_add(z2, p5.mul_add(z, p4)).mul_add(z2, p3.mul_add(z, p2)).mul_add(z2, p1.mul_add(z, p0))
}

/// A(z)
#[inline(always)]
fn polynomial_f32(z: f32) -> f32 {
    let [p0, p1, p2, p3, p4] = POLYNOMIAL_F32;
    p4.mul_add(z, p3).mul_add(z, p2).mul_add(z, p1).mul_add(z, p0)
}

macro_rules! atan2 {
    ($(#[$doc:meta])* $name:ident, $type:ty, $polynomial:ident, $eighth:expr, $eighth_low:literal, $large:expr,
     $small:expr, $power:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(y: $type, x: $type) -> $type {
            let (a, b) = (y.abs(), x.abs());
            let steep = a > b;
            let (a, b) = if steep { (b, a) } else { (a, b) };
            // Away from overflow of the sum, and from subnormal numbers.
            let scale = if b > $large { 1.0 / $power } else { 1.0 };
            let scale = if b < $small { $power } else { scale };
            let (a, b) = (a * scale, b * scale);

            // Both infinite: halfway, as where both are the same.
            let past = a > 0.41421356 * b || a == <$type>::INFINITY;
            let difference = if a == b { 0.0 } else { a - b };
            let difference_low = a - (difference + b);
            let sum = a + b;
            let sum_low = a - (sum - b);
            let (over, over_low) = if past { (difference, difference_low) } else { (a, 0.0) };
            let (under, under_low) = if past { (sum, sum_low) } else { (b, 0.0) };
            let under = if under == 0.0 { 1.0 } else { under };
            let t = over / under;
            let left = (-t).mul_add(under, over) + (over_low - t * under_low);
            // Infinities have no remainder.
            let t_low = if under < <$type>::INFINITY { left / under } else { 0.0 };
            let z = t * t;
            let rest = (t * z).mul_add($polynomial(z), (-z).mul_add(t_low, t_low));

            // π/4 times an integer, plus or minus the small angle.
            let (eighths, sign) = if past { (1.0, 1.0) } else { (0.0, 1.0) };
            let (eighths, sign) = if steep { (2.0 - eighths, -sign) } else { (eighths, sign) };
            let back = x.is_sign_negative();
            let (eighths, sign): ($type, $type) = if back { (4.0 - eighths, -sign) } else { (eighths, sign) };
            let whole = eighths * $eighth;
            let whole_low = eighths.mul_add($eighth_low, eighths.mul_add($eighth, -whole));
            let (t, rest) = (sign * t, sign * rest);
            let angle = whole + t;
            let lost = (whole - angle) + t;
            (angle + (lost + (whole_low + rest))).copysign(y)
        }
    };
}

atan2!(
    /// The angle of the point (`x`, `y`), from −π to π.
    ///
    /// The largest error measured is 0.635 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f64::atan2` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::f64::consts::{FRAC_PI_4, PI};
    ///
    /// use mercer::simd::inverse_trig::atan2_f64;
    ///
    /// assert_eq!(atan2_f64(1.0, 1.0), FRAC_PI_4);
    /// assert_eq!(atan2_f64(-2.0, -2.0), -3.0 * FRAC_PI_4);
    /// assert_eq!([atan2_f64(0.0, 3.0), atan2_f64(0.0, -3.0)], [0.0, PI]);
    /// assert!(atan2_f64(f64::NAN, 1.0).is_nan());
    /// ```
    atan2_f64, f64, polynomial_f64, std::f64::consts::FRAC_PI_4, 3.061616997868383e-17, 1e300, 1e-270,
    1_267_650_600_228_229_401_496_703_205_376.0
);
atan2!(
    /// The angle of the point (`x`, `y`), from −π to π.
    ///
    /// The largest error measured is 0.703 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised; outside,
    /// `f32::atan2` is faster.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::f32::consts::{FRAC_PI_4, PI};
    ///
    /// use mercer::simd::inverse_trig::atan2_f32;
    ///
    /// assert_eq!(atan2_f32(1.0, 1.0), FRAC_PI_4);
    /// assert_eq!(atan2_f32(-2.0, -2.0), -3.0 * FRAC_PI_4);
    /// assert_eq!([atan2_f32(0.0, 3.0), atan2_f32(0.0, -3.0)], [0.0, PI]);
    /// assert!(atan2_f32(f32::NAN, 1.0).is_nan());
    /// ```
    atan2_f32, f32, polynomial_f32, std::f32::consts::FRAC_PI_4, -2.1855694e-8, 1e30, 1e-24, 1_099_511_627_776.0
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::{self, Samples, assert_f32, assert_loops};

    fn arguments() -> Vec<(f64, f64)> {
        let mut samples = Samples::new(20_240_618);
        let mut pairs = Vec::new();
        let (y, x) = (samples.uniform(60_000, -1.0, 1.0), samples.uniform(60_000, -1.0, 1.0));
        pairs.extend(y.into_iter().zip(x));
        let (y, x) = (samples.magnitudes(40_000, -300.0, 300.0), samples.magnitudes(40_000, -300.0, 300.0));
        pairs.extend(y.into_iter().zip(x));
        let (y, x) = (samples.magnitudes(40_000, -20.0, 20.0), samples.magnitudes(40_000, -3.0, 3.0));
        pairs.extend(y.into_iter().zip(x));
        // Near the borders between the octants, and between their halves.
        let eighth = std::f64::consts::FRAC_PI_8;
        for x in samples.uniform(2000, -1.0, 1.0) {
            for k in 0..8 {
                let tan = (f64::from(k) * eighth).tan();
                pairs.extend([-1, 0, 1].map(|steps| (reference::step(tan * x, steps), x)));
            }
        }
        pairs
    }

    #[test]
    fn f64_is_within_the_error_stated() {
        for (y, x) in arguments() {
            let error = reference::atan2(y, x).ulps(atan2_f64(y, x));
            assert!(error < 0.7, "atan2({y:e}, {x:e}): {error} ulp");
        }
    }

    #[test]
    fn f32_is_within_the_error_stated() {
        for (y, x) in arguments() {
            let (y, x) = (y as f32, x as f32);
            let exact = f64::from(y).atan2(f64::from(x));
            if exact.abs() > 1.1754945e-38 {
                assert_f32(y, atan2_f32(y, x), exact, 0.75);
            }
        }
    }

    #[test]
    fn edges_are_those_of_the_standard_library() {
        let inf = f64::INFINITY;
        let values = [0.0, 1.0, inf, f64::MAX, 5e-324, 1e-308, 1e308, 1.5e308, 1e300, 3.0];
        let values: Vec<f64> = values.into_iter().flat_map(|value| [value, -value]).collect();
        for &y in &values {
            for &x in &values {
                let (found, expected) = (atan2_f64(y, x), y.atan2(x));
                assert!((found - expected).abs() <= 5e-16 * expected.abs() + 5e-324, "atan2({y:e}, {x:e}): {found:e}");
                assert_eq!(found.is_sign_negative(), expected.is_sign_negative(), "atan2({y:e}, {x:e})");
                let (y, x) = (y as f32, x as f32);
                let (found, expected) = (atan2_f32(y, x), y.atan2(x));
                assert!((found - expected).abs() <= 3e-7 * expected.abs() + 1e-45, "atan2({y:e}, {x:e}): {found:e}");
                assert_eq!(found.is_sign_negative(), expected.is_sign_negative(), "atan2({y:e}, {x:e})");
            }
            for [y, x] in [[y, f64::NAN], [f64::NAN, y]] {
                assert!(atan2_f64(y, x).is_nan() && atan2_f32(y as f32, x as f32).is_nan());
            }
        }
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        let y: Vec<f64> = arguments().into_iter().map(|(y, _)| y).collect();
        for x in [0.3, -1.7] {
            assert_loops!(y.clone(), |y| atan2_f64(y, x), |y| atan2_f32(y, x as f32));
        }
    }
}
