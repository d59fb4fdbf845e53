//! Integer powers for vectorised loops.

use crate::Scalar;

/// xⁿ by repeated squaring.
#[inline(always)]
pub(crate) fn power<T: Scalar>(x: T, mut degree: u32) -> T {
    let (mut power, mut square) = (T::from_f64(1.0), x);
    while degree > 0 {
        if degree & 1 == 1 {
            power *= square;
        }
        square *= square;
        degree >>= 1;
    }
    power
}
