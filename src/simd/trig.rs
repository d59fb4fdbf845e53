//! Sines and cosines for vectorised loops.
//!
//! [`sin_cos_f64`] and [`sin_cos_f32`] are straight-line code, as in [`exp`](super::exp), for angles up to
//! [`LARGEST_F64`] and [`LARGEST_F32`] in size. A larger angle gives NaN: its reduction takes as many digits of π
//! as it has itself, which is not work for a loop. [`sin_each`], [`cos_each`] and [`sin_cos_each`] take angles
//! of every size, and leave those that are larger to the standard library.
//!
//! # Accuracy
//!
//! Error against the exact value, in units in the last place of the exact value:
//!
//! | function | checked on | largest error |
//! |---|---|---|
//! | [`sin_cos_f32`], sine | every eighth `f32` up to [`LARGEST_F32`] | 0.775 ulp |
//! | [`sin_cos_f32`], cosine | every eighth `f32` up to [`LARGEST_F32`] | 0.781 ulp |
//! | [`sin_cos_f64`], sine | 10<sup>7</sup> random points of [-10, 10], as many up to [`LARGEST_F64`], as many of every magnitude | 0.785 ulp |
//! | [`sin_cos_f64`], cosine | the same | 0.780 ulp |
//!
//! # Edges
//!
//! | argument | sine | cosine |
//! |---|---|---|
//! | `0.0`, `-0.0` | the argument, with its sign | exactly 1 |
//! | subnormal | the argument | exactly 1 |
//! | NaN, infinities | NaN | NaN |

// With n the integer nearest 2x/π and r = x - n π/2, the sine and the cosine of x are those of r, exchanged and
// with their signs changed as the last two bits of n say. n is found as in `exp`.
//
// r: π/2 is the sum of three floats, up to 2^-160 (2^-77 in f32). The first step, by the float nearest π/2, is
// exact with a fused multiply-add, as in `exp`. The product of n with the second is known with its error, and is
// taken off with the error of the difference; the rest is small. r is then the sum of two floats, and is right to
// more than 2^-70 (2^-32) of itself for the angle nearest a multiple of π/2.
//
//     sin (r + d) = r + (r^3 S(r^2) + d (1 - r^2/2)),
//     cos (r + d) = 1 - r^2/2 + (r^4 C(r^2) - r d),
//
// where what 1 - r^2/2 is rounded by goes to the bracket. The coefficients of S and C minimise the largest relative
// error of the sine and the cosine for |r| <= π/4, found by the exchange algorithm at 260 bits. After each
// is rounded, the rest are found again.

use super::exp::{ROUND_F32, ROUND_F64};
use crate::Scalar;

/// The largest angle of [`sin_cos_f64`], 2³².
///
/// # Examples
///
/// ```
/// use mercer::simd::trig::{LARGEST_F64, sin_cos_f64};
///
/// assert_eq!(LARGEST_F64, 2f64.powi(32));
/// let (sine, cosine) = sin_cos_f64(LARGEST_F64);
/// assert!((sine - LARGEST_F64.sin()).abs() < 1e-15 && (cosine - LARGEST_F64.cos()).abs() < 1e-15);
/// ```
pub const LARGEST_F64: f64 = 4_294_967_296.0;
/// π/2 in three parts.
const QUARTERS_F64: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591698e-33];
/// Largest relative error 3.9e-18 = 2⁻⁵⁸.
const SINE_F64: [f64; 6] = [
    -0.1666666666666663,
    0.008333333333321842,
    -0.00019841269829362453,
    2.755731354178803e-6,
    -2.5050735382274868e-8,
    1.589552534522249e-10,
];
/// Largest relative error 5.8e-20 = 2⁻⁶⁴.
const COSINE_F64: [f64; 6] = [
    0.041666666666666595,
    -0.0013888888888873307,
    2.4801587288965254e-5,
    -2.755731420309747e-7,
    2.0875703143807795e-9,
    -1.1358617320350653e-11,
];

/// The largest angle of [`sin_cos_f32`], 2¹⁵.
///
/// # Examples
///
/// ```
/// use mercer::simd::trig::{LARGEST_F32, sin_cos_f32};
///
/// assert_eq!(LARGEST_F32, 2f32.powi(15));
/// let (sine, cosine) = sin_cos_f32(LARGEST_F32);
/// assert!((sine - LARGEST_F32.sin()).abs() < 1e-6 && (cosine - LARGEST_F32.cos()).abs() < 1e-6);
/// ```
pub const LARGEST_F32: f32 = 32_768.0;
/// π/2 in three parts.
const QUARTERS_F32: [f32; 3] = [std::f32::consts::FRAC_PI_2, -4.371139e-8, -1.7151245e-15];
/// Largest relative error 1.6e-10 = 2⁻³².
const SINE_F32: [f32; 4] = [-0.16666667, 0.008333379, -0.00019853053, 2.8322738e-6];
/// Largest relative error 1.2e-10 = 2⁻³³.
const COSINE_F32: [f32; 3] = [0.041666646, -0.0013887307, 2.4431874e-5];

/// S(z) and C(z)
#[inline(always)]
fn polynomials_f64(z: f64) -> (f64, f64) {
    let z2 = z * z;
    let [s0, s1, s2, s3, s4, s5] = SINE_F64;
    let s = s5.mul_add(z, s4).mul_add(z2, s3.mul_add(z, s2)).mul_add(z2, s1.mul_add(z, s0));
    let [c0, c1, c2, c3, c4, c5] = COSINE_F64;
    let c = c5.mul_add(z, c4).mul_add(z2, c3.mul_add(z, c2)).mul_add(z2, c1.mul_add(z, c0));
    (s, c)
}

/// S(z) and C(z)
#[inline(always)]
fn polynomials_f32(z: f32) -> (f32, f32) {
    let [s0, s1, s2, s3] = SINE_F32;
    let [c0, c1, c2] = COSINE_F32;
    (s3.mul_add(z, s2).mul_add(z, s1).mul_add(z, s0), c2.mul_add(z, c1).mul_add(z, c0))
}

macro_rules! sin_cos {
    ($(#[$doc:meta])* $name:ident, $type:ty, $two_over_pi:expr, $round:ident, $quarters:ident, $polynomials:ident,
     $largest:ident, $to_sign:literal) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(x: $type) -> ($type, $type) {
            let sum = x.mul_add($two_over_pi, $round);
            let n = sum - $round;
            let [first, second, third] = $quarters;
            let exact = (-n).mul_add(first, x);
            let product = n * second;
            let product_low = n.mul_add(third, n.mul_add(second, -product));
            // Either may be the larger.
            let difference = exact - product;
            let of_product = difference - exact;
            let low = (exact - (difference - of_product)) - (product + of_product);
            let low = low - product_low;
            let r = difference + low;
            let r_low = (difference - r) + low;

            let z = r * r;
            let (s, c) = $polynomials(z);
            let sin = r + (z * r).mul_add(s, (-0.5 * z).mul_add(r_low, r_low));
            // The sum loses the sign of zero.
            let sin = if x == 0.0 { x } else { sin };
            let half = 0.5 * z;
            let most = 1.0 - half;
            let cos = most + (((1.0 - most) - half) + (z * z).mul_add(c, -r * r_low));

            let turn = sum.to_bits();
            let (sine, cosine) = if turn & 1 == 0 { (sin, cos) } else { (cos, sin) };
            let sine = <$type>::from_bits(sine.to_bits() ^ ((turn & 2) << $to_sign));
            let cosine = <$type>::from_bits(cosine.to_bits() ^ ((turn.wrapping_add(1) & 2) << $to_sign));
            let known = x.abs() <= $largest;
            (if known { sine } else { <$type>::NAN }, if known { cosine } else { <$type>::NAN })
        }
    };
}

sin_cos!(
    /// The sine and the cosine of `x`, for |`x`| up to [`LARGEST_F64`]; NaN beyond.
    ///
    /// The largest errors measured are 0.785 and 0.780 ulp. See the [module](self) for measurements and
    /// edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised, for angles known to be
    /// small; [`sin_cos_each`] takes them all.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::trig::sin_cos_f64;
    ///
    /// assert_eq!(sin_cos_f64(0.0), (0.0, 1.0));
    /// let (sin, cos) = sin_cos_f64(1e9);
    /// assert!((sin - 0.5458434494486996).abs() < 1e-16 && (cos - 0.8378871813639024).abs() < 2e-16);
    /// assert!(sin_cos_f64(1e10).0.is_nan());
    /// ```
    sin_cos_f64, f64, std::f64::consts::FRAC_2_PI, ROUND_F64, QUARTERS_F64, polynomials_f64, LARGEST_F64, 62
);
sin_cos!(
    /// The sine and the cosine of `x`, for |`x`| up to [`LARGEST_F32`]; NaN beyond.
    ///
    /// The largest errors measured are 0.775 and 0.781 ulp. See the [module](self) for measurements and edges.
    ///
    /// Call it in a loop under [`dispatch`](super::dispatch), where it is vectorised, for angles known to be
    /// small; [`sin_cos_each`] takes them all.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::simd::trig::sin_cos_f32;
    ///
    /// assert_eq!(sin_cos_f32(0.0), (0.0, 1.0));
    /// let (sin, cos) = sin_cos_f32(1e4);
    /// assert!((sin + 0.305_614_4).abs() < 1e-7 && (cos + 0.952_155_4).abs() < 1e-7);
    /// assert!(sin_cos_f32(1e5).0.is_nan());
    /// ```
    sin_cos_f32, f32, std::f32::consts::FRAC_2_PI, ROUND_F32, QUARTERS_F32, polynomials_f32, LARGEST_F32, 30
);

/// How many angles are looked at together: all are done in lanes, or none.
const BLOCK: usize = 256;

/// Whether all are within the limit of the lanes, which no NaN is.
#[inline(always)]
fn all_small<T: Scalar>(angles: &[T]) -> bool {
    let mut large = 0u32;
    for &angle in angles {
        let small = num_traits::Float::abs(angle) <= T::LARGEST_LANE_ANGLE;
        large |= u32::from(!small);
    }
    large == 0
}

/// Replaces angles of any size by their sines.
///
/// To be called in the body of a [`Pass`](super::Pass). A block of angles of which one is larger than
/// [`LARGEST_F64`] or [`LARGEST_F32`] is left to the standard library.
///
/// # Examples
///
/// ```
/// use mercer::simd::trig::sin_each;
///
/// let mut values = [0.5, 1e300];
/// sin_each::<f64, false>(&mut values);
/// assert_eq!(values, [0.5f64.sin(), 1e300f64.sin()]);
/// ```
#[inline(always)]
pub fn sin_each<T: Scalar, const FMA: bool>(angles: &mut [T]) {
    for block in angles.chunks_mut(BLOCK) {
        if all_small(block) {
            for angle in block {
                *angle = angle.lane_sin::<FMA>();
            }
        } else {
            for angle in block {
                *angle = num_traits::Float::sin(*angle);
            }
        }
    }
}

/// Replaces angles of any size by their cosines.
///
/// To be called in the body of a [`Pass`](super::Pass). A block of angles of which one is larger than
/// [`LARGEST_F64`] or [`LARGEST_F32`] is left to the standard library.
///
/// # Examples
///
/// ```
/// use mercer::simd::trig::cos_each;
///
/// let mut values = [0.5, 1e300];
/// cos_each::<f64, false>(&mut values);
/// assert_eq!(values, [0.5f64.cos(), 1e300f64.cos()]);
/// ```
#[inline(always)]
pub fn cos_each<T: Scalar, const FMA: bool>(angles: &mut [T]) {
    for block in angles.chunks_mut(BLOCK) {
        if all_small(block) {
            for angle in block {
                *angle = angle.lane_cos::<FMA>();
            }
        } else {
            for angle in block {
                *angle = num_traits::Float::cos(*angle);
            }
        }
    }
}

/// Replaces angles of any size by their sines, and writes their cosines to `cosines`, as many as there are
/// of both.
///
/// To be called in the body of a [`Pass`](super::Pass). A block of angles of which one is larger than
/// [`LARGEST_F64`] or [`LARGEST_F32`] is left to the standard library.
///
/// # Examples
///
/// ```
/// use mercer::simd::trig::sin_cos_each;
///
/// let (mut values, mut cosines) = ([0.5, 1e300], [0.0; 2]);
/// sin_cos_each::<f64, false>(&mut values, &mut cosines);
/// assert_eq!(values, [0.5f64.sin(), 1e300f64.sin()]);
/// assert_eq!(cosines, [0.5f64.cos(), 1e300f64.cos()]);
/// ```
#[inline(always)]
pub fn sin_cos_each<T: Scalar, const FMA: bool>(angles: &mut [T], cosines: &mut [T]) {
    for (block, cosines) in angles.chunks_mut(BLOCK).zip(cosines.chunks_mut(BLOCK)) {
        let small = all_small(block);
        let both = block.iter_mut().zip(cosines);
        if small {
            for (angle, cosine) in both {
                (*angle, *cosine) = angle.lane_sin_cos::<FMA>();
            }
        } else {
            for (angle, cosine) in both {
                (*angle, *cosine) = num_traits::Float::sin_cos(*angle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::{self, Samples, assert_f32, assert_loops, bits_f32};
    use crate::simd::{Pass, dispatch};

    fn arguments() -> Vec<f64> {
        let mut samples = Samples::new(20_240_615);
        let mut x = samples.uniform(40_000, -10.0, 10.0);
        x.extend(samples.uniform(40_000, -LARGEST_F64, LARGEST_F64));
        x.extend(samples.magnitudes(40_000, -1074.0, 31.9));
        for n in -3000..=3000 {
            x.extend(reference::around(f64::from(n) * std::f64::consts::FRAC_PI_4, 1));
        }
        // Multiples of π/2 at every magnitude: what is left of the angle is smallest there.
        for n in samples.uniform(20_000, 0.0, 2.7e9) {
            x.push(n.round() * std::f64::consts::FRAC_PI_2);
        }
        x.extend([LARGEST_F64, -LARGEST_F64]);
        x.retain(|x| x.abs() <= LARGEST_F64);
        x
    }

    #[test]
    fn f64_is_within_the_error_stated() {
        for x in arguments() {
            let (sin, cos) = sin_cos_f64(x);
            let (exact_sin, exact_cos) = reference::sin_cos(x);
            let (error, error_cos) = (exact_sin.ulps(sin), exact_cos.ulps(cos));
            assert!(error < 0.85 && error_cos < 0.85, "{x:e}: {error} and {error_cos} ulp");
        }
    }

    #[test]
    fn f32_is_within_the_error_stated() {
        for bits in bits_f32(0.0, LARGEST_F32, 3001).chain(bits_f32(0.1, LARGEST_F32, 163)) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (sin, cos) = sin_cos_f32(x);
                assert_f32(x, sin, f64::from(x).sin(), 0.82);
                assert_f32(x, cos, f64::from(x).cos(), 0.82);
            }
        }
    }

    #[test]
    fn edges() {
        for x in [0.0, -0.0, 5e-324, -5e-324, 1e-300] {
            let (sin, cos) = sin_cos_f64(x);
            assert!(sin.to_bits() == x.to_bits() && cos == 1.0);
        }
        for x in [0.0, -0.0, 1e-45, -1e-45, 1e-30] {
            let (sin, cos) = sin_cos_f32(x);
            assert!(sin.to_bits() == x.to_bits() && cos == 1.0);
        }
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, LARGEST_F64.next_up(), f64::MIN] {
            let (sin, cos) = sin_cos_f64(x);
            assert!(sin.is_nan() && cos.is_nan());
        }
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, LARGEST_F32.next_up(), f32::MIN] {
            let (sin, cos) = sin_cos_f32(x);
            assert!(sin.is_nan() && cos.is_nan());
        }
    }

    struct Each<'a, T>([&'a mut [T]; 4]);

    impl<T: Scalar> Pass for Each<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<const FMA: bool>(self) {
            let [sin, cos, both, both_cos] = self.0;
            sin_each::<T, FMA>(sin);
            cos_each::<T, FMA>(cos);
            sin_cos_each::<T, FMA>(both, both_cos);
        }
    }

    fn angles_of_every_size<T: Scalar>() {
        let mut samples = Samples::new(20_240_616);
        let mut x: Vec<T> = samples.magnitudes(700, -20.0, 12.0).into_iter().map(T::from_f64).collect();
        x[300..].iter_mut().step_by(97).for_each(|x| *x *= T::from_f64(1e30));
        let nan = <T as num_traits::Float>::nan();
        x.extend([nan, <T as num_traits::Float>::infinity()]);
        let mut made = [x.clone(), x.clone(), x.clone(), vec![T::from_f64(0.0); x.len()]];
        dispatch(Each(made.each_mut().map(Vec::as_mut_slice)));
        for (row, &x) in x.iter().enumerate() {
            let expected = [num_traits::Float::sin(x), num_traits::Float::cos(x)];
            for (column, made) in made.iter().enumerate() {
                let (found, expected) = (made[row], expected[column % 2]);
                let close = num_traits::Float::abs(found - expected) <= <T as num_traits::Float>::epsilon();
                assert!(close || found.is_nan() && expected.is_nan(), "{x}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn slices_take_angles_of_every_size() {
        angles_of_every_size::<f64>();
        angles_of_every_size::<f32>();
    }

    #[test]
    fn loops_give_the_same_bits_as_single_calls() {
        assert_loops!(arguments(), |x| sin_cos_f64(x).0, |x| sin_cos_f32(x).0);
        assert_loops!(arguments(), |x| sin_cos_f64(x).1, |x| sin_cos_f32(x).1);
    }
}
