//! Integer powers for vectorised loops.

use crate::Scalar;

/// How many bits a degree may have.
const BITS: u32 = 10;

/// xⁿ by repeated squaring, for n below 1024.
// As many steps whatever the degree: a loop inside a loop over a tile would keep that from being vectorised.
#[inline(always)]
pub(crate) fn power<T: Scalar>(x: T, degree: u32) -> T {
    let (mut power, mut square) = (T::from_f64(1.0), x);
    for bit in 0..BITS {
        power *= if degree >> bit & 1 == 1 { square } else { T::from_f64(1.0) };
        square *= square;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::power;

    #[test]
    fn powers_of_every_degree() {
        assert_eq!([0, 1, 2, 5, 10].map(|degree| power(3.0, degree)), [1.0, 3.0, 9.0, 243.0, 59049.0]);
        assert_eq!((power(2.0, 1000), power(0.5, 1023)), (2f64.powi(1000), 2f64.powi(-1022) / 2.0));
        assert_eq!([power(1e200, 2), power(0.0, 0), power(-1.0, 1001)], [f64::INFINITY, 1.0, -1.0]);
    }
}
