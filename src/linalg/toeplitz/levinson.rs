//! The recursion over the leading blocks of a Toeplitz matrix.

use crate::Scalar;
use crate::linalg::LEAST_PIVOT;
use crate::simd::sum::{LANES, by_halves};
use crate::simd::{Pass, dispatch};

/// Elements that are worked on side by side, from the start of a cache line: where each store straddled two lines, the
/// recursion took three quarters more time under AVX-512.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([f64; LANES]);

/// The state of the recursion: predictor and solution of a leading block.
///
/// From those for m rows, with what the predictor leaves of the next lag, r = Σⱼ aⱼ cₘ₋ⱼ, and what the solution says of the
/// next element of y, s = Σⱼ xⱼ cₘ₋ⱼ, follow those for m + 1:
///
/// k = −r/e,  a ← (a, 0) + k·(0, reversed a),  e ← e (1 − k²),  x ← (x, 0) + (yₘ − s)/e · reversed a.
///
/// All of it is one pass over memory, as it adds up the next r and s from what it writes.
pub(super) struct Levinson {
    predictor: Vec<Block>,
    /// The predictor from its end. It grows downwards from the last of n elements, so that an element stays in its place,
    /// and nothing has to be turned round.
    reversed: Vec<f64>,
    solution: Vec<Block>,
    /// A zero and the column from its end, cₖ at n − k.
    lags: Vec<f64>,
    dim: usize,
}

/// What the recursion adds up.
pub(super) struct Found {
    /// The last pivot.
    pub(super) error: f64,
    pub(super) log_det: f64,
    pub(super) quadratic: f64,
}

impl Levinson {
    pub(super) fn new(column: &[f64]) -> Self {
        let dim = column.len();
        // Zeros after each are read, and written as zeros, by the last block of a step.
        let blocks = vec![Block([0.0; LANES]); dim.div_ceil(LANES)];
        let mut lags = vec![0.0; dim + LANES];
        lags[1..=dim].iter_mut().rev().zip(column).for_each(|(lag, &value)| *lag = value);
        Self { predictor: blocks.clone(), reversed: vec![0.0; dim + LANES], solution: blocks, lags, dim }
    }

    /// Solves for a right-hand side, or returns the index of the pivot that is not positive.
    pub(super) fn solve(&mut self, rhs: &[f64]) -> Result<Found, usize> {
        dispatch(Recursion { rhs, state: self })
    }

    /// The predictor and the solution.
    pub(super) fn into_parts(self) -> (Vec<f64>, Vec<f64>) {
        let flat = |blocks: Vec<Block>| blocks.iter().flat_map(|block| block.0).take(self.dim).collect();
        (flat(self.predictor), flat(self.solution))
    }
}

struct Recursion<'a> {
    rhs: &'a [f64],
    state: &'a mut Levinson,
}

impl Pass for Recursion<'_> {
    type Output = Result<Found, usize>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Result<Found, usize> {
        let (n, y) = (self.state.dim, self.rhs);
        let Levinson { predictor, reversed, solution, lags, .. } = self.state;
        predictor[0].0[0] = 1.0;
        reversed[n - 1] = 1.0;
        let mut error = lags[n];
        let least = LEAST_PIVOT * f64::EPSILON * error;
        let (mut log_det, mut quadratic) = (0.0, 0.0);
        let (mut r, mut s) = (0.0, 0.0);
        for m in 0..n {
            let k = -r / error;
            // Not 1 − k², of which rounding would leave less where |k| is close to 1.
            error *= (1.0 - k) * (1.0 + k);
            if !(error > 0.0 && error >= least && error.is_finite()) {
                return Err(m);
            }
            let new = y[m] - s;
            let gain = new / error;
            log_det += error.ln();
            quadratic += new * gain;

            let blocks = m / LANES + 1;
            let predictor = predictor[..blocks].iter_mut();
            let solution = solution[..blocks].iter_mut();
            let reversed = &mut reversed[n - 1 - m..].as_chunks_mut::<LANES>().0[..blocks];
            let lags = &lags[n - 1 - m..].as_chunks::<LANES>().0[..blocks];
            let (mut next_r, mut next_s) = ([0.0; LANES], [0.0; LANES]);
            for (((a, x), b), c) in predictor.zip(solution).zip(reversed).zip(lags) {
                let (a, x) = (&mut a.0, &mut x.0);
                for lane in 0..LANES {
                    let (forward, backward) = (a[lane], b[lane]);
                    a[lane] = k.lane_mul_add::<FMA>(backward, forward);
                    b[lane] = k.lane_mul_add::<FMA>(forward, backward);
                    x[lane] = gain.lane_mul_add::<FMA>(b[lane], x[lane]);
                    next_r[lane] = a[lane].lane_mul_add::<FMA>(c[lane], next_r[lane]);
                    next_s[lane] = x[lane].lane_mul_add::<FMA>(c[lane], next_s[lane]);
                }
            }
            (r, s) = (by_halves(next_r), by_halves(next_s));
        }
        Ok(Found { error, log_det, quadratic })
    }
}
