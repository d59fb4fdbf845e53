//! Σᵢ pᵢ qᵢ₊ₖ for all lags.

use crate::Scalar;
use crate::simd::{Pass, dispatch};

/// Lags side by side, whose sums stay in registers.
const TILE: usize = 32;

/// Terms that are added up before they are added to others: these elements stay in the L1 cache, and sums of many terms
/// lose fewer digits in parts.
const BLOCK: usize = 512;

/// Σᵢ pᵢ qᵢ₊ₖ for each k from 0 to n − 1, over i from 0 to n − 1 − k, of two slices of n elements.
pub(super) fn correlations(p: &[f64], q: &[f64]) -> Vec<f64> {
    let n = p.len();
    // A tile of lags may read beyond the end.
    let mut padded = vec![0.0; n + TILE];
    padded[..n].copy_from_slice(q);
    let mut sums = vec![0.0; n.next_multiple_of(TILE)];
    dispatch(Correlations { p, q: &padded, sums: &mut sums });
    sums.truncate(n);
    sums
}

struct Correlations<'a> {
    p: &'a [f64],
    q: &'a [f64],
    sums: &'a mut [f64],
}

impl Pass for Correlations<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { p, q, sums } = self;
        for first in (0..p.len()).step_by(BLOCK) {
            let (q, left) = (&q[first..], p.len() - first);
            let tiles = sums.as_chunks_mut::<TILE>().0.iter_mut();
            for (lag, sums) in (0..left).step_by(TILE).zip(tiles) {
                let p = &p[first..first + BLOCK.min(left - lag)];
                let mut partial = [0.0; TILE];
                for (&p, q) in p.iter().zip(q[lag..].windows(TILE)) {
                    for lane in 0..TILE {
                        partial[lane] = p.lane_mul_add::<FMA>(q[lane], partial[lane]);
                    }
                }
                for lane in 0..TILE {
                    sums[lane] += partial[lane];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::testkit::{seed, trials};

    #[test]
    fn sums_are_those_of_two_loops() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(seed(51));
        let random = (0..trials(6)).map(|_| rng.random_range(1..3 * BLOCK)).collect::<Vec<_>>();
        let edges = [1, 2, TILE - 1, TILE, TILE + 1, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + TILE, 2 * BLOCK + 1];
        for n in edges.into_iter().chain(random) {
            let [p, q] = [(); 2].map(|()| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>());
            let found = correlations(&p, &q);
            assert_eq!(found.len(), n);
            for (k, found) in found.into_iter().enumerate() {
                let terms = || p.iter().zip(&q[k..]).map(|(p, q)| p * q);
                let (expected, size): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
                // The loop here rounds once for each term.
                let bound = 2.0 * (n - k) as f64 * f64::EPSILON * size;
                assert!((found - expected).abs() <= bound, "lag {k} of {n}: {found}, not {expected}");
            }
        }
    }
}
