//! Remainders for vectorised loops.

use crate::Scalar;

/// Replaces every x by `x % divisor`: the same bits, without the division by repeated subtraction.
///
/// To be called in the body of a [`Pass`](super::Pass).
// The quotient, rounded and truncated, is the exact one truncated or one more, as long as quotients are below
// the numbers that are all integers. The remainder by either is exact, with one rounding: it is a
// multiple of the last place of the smaller of both numbers, and smaller than the divisor.
#[inline(always)]
pub(crate) fn remainder_each<T: Scalar, const FMA: bool>(values: &mut [T], divisor: T) {
    let largest = T::from_f64(0.25) / <T as num_traits::Float>::epsilon();
    let mut unknown = u32::from(!FMA || !num_traits::Float::is_normal(divisor));
    for &x in &*values {
        let small = num_traits::Float::abs(x / divisor) <= largest;
        unknown |= u32::from(!small);
    }
    if unknown != 0 {
        for x in values {
            *x %= divisor;
        }
        return;
    }
    let divisor = num_traits::Float::abs(divisor);
    for x in values {
        let size = num_traits::Float::abs(*x);
        let quotient = num_traits::Float::trunc(size / divisor);
        let left = (-quotient).lane_mul_add::<FMA>(divisor, size);
        let left = if left < T::from_f64(0.0) { left + divisor } else { left };
        *x = num_traits::Float::copysign(left, *x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::reference::Samples;
    use crate::simd::{Pass, dispatch};

    struct Remainders<'a, T>(&'a mut [T], T);

    impl<T: Scalar> Pass for Remainders<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<const FMA: bool>(self) {
            remainder_each::<T, FMA>(self.0, self.1);
        }
    }

    fn check<T: Scalar>(x: &[f64]) {
        let x: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
        for divisor in [1.0, 0.1, 24.0, 7.3e-5, 3e10, -0.7, 1e-300, 5e-324, 0.0, f64::INFINITY, f64::NAN] {
            let divisor = T::from_f64(divisor);
            let mut found = x.clone();
            dispatch(Remainders(&mut found, divisor));
            for (&x, &found) in x.iter().zip(&found) {
                let expected = x % divisor;
                let same = found == expected
                    && num_traits::Float::is_sign_negative(found) == num_traits::Float::is_sign_negative(expected);
                assert!(same || found.is_nan() && expected.is_nan(), "{x} % {divisor}: {found}");
            }
        }
    }

    #[test]
    fn the_same_bits_as_the_operator() {
        let mut samples = Samples::new(20_240_619);
        let mut x = samples.uniform(3000, -100.0, 100.0);
        x.extend(samples.magnitudes(3000, -40.0, 40.0));
        x.extend((-3000..3000).map(|k| f64::from(k) * 0.1));
        x.extend((-3000..3000).map(|k| f64::from(k) * 7.3e-5));
        x.extend([0.0, -0.0, 5e-324]);
        check::<f64>(&x);
        check::<f32>(&x);
        x.extend([1e300, f64::INFINITY, f64::NAN]);
        check::<f64>(&x);
        check::<f32>(&x);
    }
}
