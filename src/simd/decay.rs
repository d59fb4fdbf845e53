//! e<sup>−x</sup> for x at least 0, which most kernels end with, as a power of 2.

use super::exp::{ROUND_F32, ROUND_F64};
use super::lanes::Lanes;
use crate::Scalar;

/// What powers of 2 are computed with at a precision.
#[derive(Debug)]
pub struct PowersOfTwo<T: 'static> {
    /// See `exp::ROUND_F64`.
    round: T,
    /// From where on 2<sup>−t</sup> is 0: 1 more than the least exponent of a normal number.
    last: T,
    /// 2<sup>−r</sup> less 1, divided by r, for |r| at most ½: from the highest coefficient down to the first.
    polynomial: &'static [T],
}

/// Largest relative error of the polynomial 4.1e-18 = 2^-57.8; computed as those of [`exp`](super::exp).
pub(crate) const POWERS_F64: PowersOfTwo<f64> = PowersOfTwo {
    round: ROUND_F64,
    last: 1023.0,
    polynomial: &[
        -4.438917574796473e-10,
        7.0732326218468016e-9,
        -1.0178159621580105e-7,
        1.321543883796583e-6,
        -1.5252733635179938e-5,
        0.00015403530449033134,
        -0.0013333558146544822,
        0.009618129107601606,
        -0.05550410866482173,
        0.24022650695910108,
        -std::f64::consts::LN_2,
    ],
};

/// Largest relative error of the polynomial 3.0e-9 = 2^-28.3.
pub(crate) const POWERS_F32: PowersOfTwo<f32> = PowersOfTwo {
    round: ROUND_F32,
    last: 127.0,
    polynomial: &[0.00015326473, -0.0013390806, 0.009618506, -0.0555036, 0.24022648, -std::f32::consts::LN_2],
};

/// 2<sup>−t</sup> for t at least 0, and NaN for NaN. What is below the smallest normal number comes out as some number below
/// it, and as 0 from the second halving on.
///
/// With n the integer nearest t and r = t − n, which is exact, 2<sup>−t</sup> is 2<sup>−n</sup> 2<sup>−r</sup>, and n goes
/// into the exponent as in [`exp`](super::exp). One multiplication or fused step a coefficient and no other: on machines
/// whose additions have units of their own, kernels wait for these.
#[inline(always)]
pub(super) fn negative_power_of_two<T: Scalar, L: Lanes<T>>(t: L) -> L {
    let PowersOfTwo { round, last, polynomial } = T::POWERS_OF_TWO;
    let round = t.all(*round);
    let t = t.at_most(*last);
    let sum = round - t;
    let r = t + (sum - round);
    let mut value = t.all(polynomial[0]);
    // A loop that the compiler cannot unroll: it would finish one register before it begins the next, and each
    // step would wait for the one before.
    for &coefficient in std::hint::black_box(&polynomial[1..]) {
        value = value.mul_add(r, t.all(coefficient));
    }
    // At t = `last` this is exactly 1, whose exponent becomes that of 0.
    value.mul_add(r, t.all(T::from_f64(1.0))).shift_exponent(sum, round)
}

#[cfg(test)]
mod tests {
    use crate::simd::exp::tests::{arguments_f64, reference};
    use crate::simd::{Lanes, One};

    #[test]
    fn decay_is_as_close_as_the_rounding_of_its_argument_lets_it() {
        for x in arguments_f64().into_iter().filter(|&x| x <= 0.0).map(|x| -x) {
            let (n, high, low) = reference(-x);
            let value = One::<f64, true>(x).decay(1.0).0;
            let scaled = value * 2f64.powi(-(n / 2)) * 2f64.powi(-(n - n / 2));
            // Half a unit for the rounding of x log₂ e, half a unit for that of log₂ e.
            let error = (((scaled - high) - low) / f64::EPSILON).abs();
            let normal = value >= f64::MIN_POSITIVE;
            assert!(!normal || error < 1.0 + x, "{x:e}: {error} ulp");
        }
        for bits in (0..87f32.to_bits()).step_by(4001) {
            let x = f32::from_bits(bits);
            let (value, exact) = (One::<f32, true>(x).decay(1.0).0, (-f64::from(x)).exp());
            let error = ((f64::from(value) - exact) / (exact * f64::from(f32::EPSILON))).abs();
            assert!(error < 1.0 + f64::from(x), "{x:e}: {error} ulp");
        }
    }

    #[test]
    fn decay_at_its_ends() {
        let (double, single) =
            (|x, rate| One::<f64, true>(x).decay(rate).0, |x, rate| One::<f32, true>(x).decay(rate).0);
        assert_eq!([double(0.0, 1.0), double(5e-324, 1.0), double(7.0, 0.0)], [1.0; 3]);
        assert_eq!([double(f64::INFINITY, 1.0), double(f64::MAX, 2.0), double(709.1, 1.0)], [0.0; 3]);
        assert_eq!([single(0.0, 1.0), single(f32::INFINITY, 1.0), single(88.1, 1.0)], [1.0, 0.0, 0.0]);
        // Below the normal numbers it is some number below them.
        for step in 0..1000 {
            let x = 708.4 + 0.69 * f64::from(step) / 1000.0;
            assert!((0.0..f64::MIN_POSITIVE).contains(&double(x, 1.0)), "{x}");
        }
        // NaN with any payload, such as those that mark missing values.
        for payload in [0, 1954, 0x0007_FFFF_FFFF_FFFF] {
            assert!(double(f64::from_bits(0x7FF8_0000_0000_0000 | payload), 1.0).is_nan());
            assert!(single(f32::from_bits(0x7FC0_0000 | (payload as u32 & 0x003F_FFFF)), 1.0).is_nan());
        }
    }
}
