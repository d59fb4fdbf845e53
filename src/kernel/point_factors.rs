//! A child's tile times one factor for each point, which are the points of the node itself: forward and
//! backward.

use super::{Kernel, Pairs, Scratch, TileVjp};
use crate::Scalar;
use crate::simd::elementwise::multiply;
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch};

struct Multiply<'a, T> {
    tile: &'a mut [T],
    u: &'a [T],
    v: &'a [T],
}

impl<T: Scalar> Pass for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (column, &v) in self.tile.chunks_exact_mut(self.u.len()).zip(self.v) {
            for (entry, &u) in column.iter_mut().zip(self.u) {
                *entry *= u * v;
            }
        }
    }
}

/// tile ∘= u vᵀ, by columns. The factors are multiplied first: their product is the same for both
/// orders of the two points.
pub(crate) fn multiply_outer<T: Scalar>(tile: &mut [T], u: &[T], v: &[T]) {
    dispatch(Multiply { tile, u, v });
}

struct Factors<'a, T> {
    weighted: &'a [T],
    u: &'a [T],
    v: &'a [T],
    in_u: &'a mut [T],
    in_v: &'a mut [T],
}

impl<T: Scalar> Pass for Factors<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.u.len();
        let columns = self.weighted.chunks_exact(rows).zip(self.v);
        for ((column, &v), in_v) in columns.zip(self.in_v) {
            for (in_u, &weighted) in self.in_u.iter_mut().zip(column) {
                *in_u += weighted * v;
            }
            *in_v += lane_sum([column, self.u], |[weighted, u]| weighted * u);
        }
    }
}

/// For `weighted`, the cotangent of K ∘ u vᵀ times K: adds to the gradients in u and in v.
pub(crate) fn factor_gradients<T: Scalar>(weighted: &[T], u: &[T], v: &[T], in_u: &mut [T], in_v: &mut [T]) {
    dispatch(Factors { weighted, u, v, in_u, in_v });
}

/// Fills `out` with the child's tile times the factors.
pub(crate) fn outer_tile<T: Scalar>(
    child: &dyn Kernel<T>,
    pairs: &Pairs<'_, T>,
    out: &mut [T],
    scratch: &mut Scratch<T>,
) {
    child.tile(&pairs.child(0), out, scratch);
    multiply_outer(out, pairs.x_column(0), pairs.y_column(0));
}

/// The VJP of [`outer_tile`]: in the child, and in the factors. The child's value is evaluated anew:
/// dividing the product by factors of 0 would lose it.
pub(crate) fn outer_vjp<T: Scalar>(
    child: &dyn Kernel<T>,
    pairs: &Pairs<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let (u, v) = (pairs.x_column(0), pairs.y_column(0));
    let wants_factors = scratch.wants_feature_gradient(pairs);
    let mut value = scratch.take(pairs.len());
    if wants_factors {
        child.tile(&pairs.child(0), &mut value, scratch);
    }
    let mut scaled = scratch.take(pairs.len());
    scaled.copy_from_slice(cotangent);
    multiply_outer(&mut scaled, u, v);
    if wants_factors {
        child.tile_vjp(TileVjp::new(&pairs.child(0), &value, &scaled, theta, scratch));
        multiply(&mut value, cotangent);
        scratch.add_point_gradient(pairs, |_, in_u, in_v| factor_gradients(&value, u, v, in_u, in_v));
    } else {
        TileVjp::through(child, &pairs.child(0), &scaled, theta, scratch);
    }
    scratch.give(value);
    scratch.give(scaled);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_loops() {
        let (rows, cols) = (37, 5);
        let value = |i: usize| ((i * 37 % 101) as f64) / 50.0 - 1.0;
        let tile: Vec<f64> = (0..rows * cols).map(value).collect();
        let u: Vec<f64> = (0..rows).map(|i| value(i + 7)).collect();
        let v: Vec<f64> = (0..cols).map(|i| value(i + 11)).collect();

        let mut product = tile.clone();
        multiply_outer(&mut product, &u, &v);
        let (mut in_u, mut in_v) = (vec![0.5; rows], vec![0.25; cols]);
        factor_gradients(&tile, &u, &v, &mut in_u, &mut in_v);

        for col in 0..cols {
            for row in 0..rows {
                assert_eq!(product[row + rows * col], tile[row + rows * col] * (u[row] * v[col]));
            }
            let expected = 0.25 + (0..rows).map(|row| tile[row + rows * col] * u[row]).sum::<f64>();
            assert!((in_v[col] - expected).abs() < 1e-14, "column {col}");
        }
        for row in 0..rows {
            let expected = 0.5 + (0..cols).map(|col| tile[row + rows * col] * v[col]).sum::<f64>();
            assert!((in_u[row] - expected).abs() < 1e-14, "row {row}");
        }
    }
}
