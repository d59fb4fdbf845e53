//! Which points are equal in a coordinate.

use crate::Scalar;
use crate::simd::{Pass, dispatch};

/// 1 where two coordinates are equal, `otherwise` where they differ, NaN where one is NaN.
#[inline(always)]
pub(super) fn factor<T: Scalar>(x: T, y: T, otherwise: T) -> T {
    let differ = if x.is_nan() | y.is_nan() { T::nan() } else { otherwise };
    if x == y { T::from_f64(1.0) } else { differ }
}

/// Multiplies a tile by [`factor`] in one coordinate.
pub(super) fn multiply<T: Scalar>(tile: &mut [T], x: &[T], y: &[T], otherwise: T) {
    dispatch(Multiply { tile, x, y, otherwise });
}

struct Multiply<'a, T> {
    tile: &'a mut [T],
    x: &'a [T],
    y: &'a [T],
    otherwise: T,
}

impl<T: Scalar> Pass for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (column, &y) in self.tile.chunks_exact_mut(self.x.len()).zip(self.y) {
            for (out, &x) in column.iter_mut().zip(self.x) {
                *out *= factor(x, y, self.otherwise);
            }
        }
    }
}
