//! Integer powers for vectorised loops.

use super::lanes::Lanes;
use crate::Scalar;

/// How many bits a degree may have.
const BITS: u32 = 10;

/// xⁿ by repeated squaring, for n below 1024.
// Of single numbers as many steps whatever the degree: a loop inside a loop over a tile would keep that from being
// vectorised.
#[inline(always)]
pub(crate) fn power<T: Scalar, L: Lanes<T>>(x: L, degree: u32) -> L {
    let one = x.all(T::from_f64(1.0));
    let (mut power, mut square) = (one, x);
    for bit in 0..BITS {
        if L::LEN > 1 && degree >> bit == 0 {
            break;
        }
        power = power * if degree >> bit & 1 == 1 { square } else { one };
        square = square * square;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::power;
    use crate::simd::One;

    fn of(x: f64, degree: u32) -> f64 {
        power(One::<f64, false>(x), degree).0
    }

    #[test]
    fn powers_of_every_degree() {
        assert_eq!([0, 1, 2, 5, 10].map(|degree| of(3.0, degree)), [1.0, 3.0, 9.0, 243.0, 59049.0]);
        assert_eq!((of(2.0, 1000), of(0.5, 1023)), (2f64.powi(1000), 2f64.powi(-1022) / 2.0));
        assert_eq!([of(1e200, 2), of(0.0, 0), of(-1.0, 1001)], [f64::INFINITY, 1.0, -1.0]);
    }
}
