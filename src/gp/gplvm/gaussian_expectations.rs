//! Expectations of squared exponentials about centres, for blocks of uncertain inputs.

use std::ops::Range;

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use crate::Scalar;
use crate::simd::sum::lane_sum;

/// Inputs in a block: its arrays stay in the L1 cache while all centres pass.
const BLOCK: usize = 64;

/// Parts that threads work on. Their number depends on that of the inputs alone, and so do the bits.
const PARTS: usize = 16;

/// The τ-th power of a squared exponential, in expectation: with k(x, y) = σ² exp(−½ Σ_q w_q (x_q − y_q)²),
///
/// E k(x, y)^τ = c exp(−Σ_q v_q (μ_q − y_q)²), v_q = ½ τ w_q / (1 + τ w_q S_q), c = σ^(2τ) Π_q (1 + τ w_q S_q)^(−½)
///
/// Ψ₁ has τ = 1 and y = zⱼ; a product k(x, zⱼ) k(x, zₖ) is exp(−¼ Σ_q w_q (zⱼ_q − zₖ_q)²) times the square about
/// the midpoint of the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bump<'a> {
    pub(super) power: f64,
    /// σ²
    pub(super) variance: f64,
    /// w
    pub(super) precision: &'a [f64],
}

/// Uncertain inputs, fixed ones and a squared exponential, as the loops see them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) mean: MatRef<'a, f64>,
    pub(super) input_variance: MatRef<'a, f64>,
    pub(super) z: MatRef<'a, f64>,
    pub(super) variance: f64,
    pub(super) precision: &'a [f64],
    pub(super) par: Par,
}

impl View<'_> {
    pub(super) fn bump(&self, power: f64) -> Bump<'_> {
        Bump { power, variance: self.variance, precision: self.precision }
    }

    /// The centres, one after the other.
    pub(super) fn centres(&self) -> Vec<f64> {
        (0..self.z.nrows()).flat_map(|row| (0..self.z.ncols()).map(move |q| (row, q))).map(|at| self.z[at]).collect()
    }
}

/// The bumps of a block of inputs, by dimensions.
pub(super) struct Block {
    len: usize,
    mean: Vec<f64>,
    /// v
    steepness: Vec<f64>,
    /// c
    height: Vec<f64>,
}

/// Gradients of a block in μ, v and log c.
pub(super) struct BlockGradients {
    mean: Vec<f64>,
    steepness: Vec<f64>,
    log_height: Vec<f64>,
}

/// Gradients in what bumps are made of.
#[derive(Clone, Debug)]
pub(super) struct BumpGradients {
    /// N × Q, or the rows of a part.
    pub(super) mean: Mat<f64>,
    /// N × Q, or the rows of a part.
    pub(super) input_variance: Mat<f64>,
    /// M × Q
    pub(super) z: Mat<f64>,
    pub(super) variance: f64,
    pub(super) precision: Vec<f64>,
}

impl Bump<'_> {
    /// 1 + τ w_q S
    fn widening(&self, q: usize, s: f64) -> f64 {
        1.0 + self.power * self.precision[q] * s
    }

    pub(super) fn block(&self, mean: MatRef<'_, f64>, variance: MatRef<'_, f64>, rows: &Range<usize>) -> Block {
        let len = rows.len();
        let (mut by_mean, mut steepness) = (Vec::new(), Vec::new());
        let mut height = vec![self.variance.powf(self.power); len];
        for q in 0..mean.ncols() {
            for (height, row) in height.iter_mut().zip(rows.clone()) {
                let widening = self.widening(q, variance[(row, q)]);
                by_mean.push(mean[(row, q)]);
                steepness.push(0.5 * self.power * self.precision[q] / widening);
                *height /= widening.sqrt();
            }
        }
        Block { len, mean: by_mean, steepness, height }
    }

    /// From the gradients of a block to those of rows `at..` of a part:
    /// dv/dS = −2v², dv/dw = ½τ (1 + τwS)⁻², d log c/dS = −v, d log c/dw = −½ τS (1 + τwS)⁻¹, d log c/dσ² = τ/σ².
    pub(super) fn pull(
        &self,
        block: &Block,
        found: &BlockGradients,
        variance: MatRef<'_, f64>,
        rows: &Range<usize>,
        at: usize,
        out: &mut BumpGradients,
    ) {
        for q in 0..variance.ncols() {
            for b in 0..block.len {
                let (s, v) = (variance[(rows.start + b, q)], block.steepness[q * block.len + b]);
                let (in_v, in_c) = (found.steepness[q * block.len + b], found.log_height[b]);
                let widening = self.widening(q, s);
                out.mean[(at + b, q)] += found.mean[q * block.len + b];
                out.input_variance[(at + b, q)] -= v * (2.0 * v * in_v + in_c);
                out.precision[q] += 0.5 * self.power * (in_v / widening - s * in_c) / widening;
            }
        }
        out.variance += self.power / self.variance * found.log_height.iter().sum::<f64>();
    }
}

impl Block {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// out = c exp(−Σ_q v_q (μ_q − y_q)²)
    #[inline(always)]
    pub(super) fn at<const FMA: bool>(&self, centre: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (q, &y) in centre.iter().enumerate() {
            let (mean, steepness) = (self.of(&self.mean, q), self.of(&self.steepness, q));
            for ((out, &mean), &v) in out.iter_mut().zip(mean).zip(steepness) {
                let difference = mean - y;
                *out += v * difference * difference;
            }
        }
        for (out, &height) in out.iter_mut().zip(&self.height) {
            *out = height * (-*out).lane_exp::<FMA>();
        }
    }

    /// Adds what Σ_b of these shares of the bumps about a centre contribute, to the gradients of the block and to that in the centre.
    #[inline(always)]
    pub(super) fn vjp(&self, centre: &[f64], share: &[f64], out: &mut BlockGradients, in_centre: &mut [f64]) {
        for (sum, &share) in out.log_height.iter_mut().zip(share) {
            *sum += share;
        }
        for (q, (&y, in_y)) in centre.iter().zip(in_centre).enumerate() {
            let (mean, steepness) = (self.of(&self.mean, q), self.of(&self.steepness, q));
            let range = q * self.len..(q + 1) * self.len;
            for ((sum, &mean), (&v, &share)) in
                out.mean[range.clone()].iter_mut().zip(mean).zip(steepness.iter().zip(share))
            {
                *sum -= 2.0 * v * (mean - y) * share;
            }
            for ((sum, &mean), &share) in out.steepness[range].iter_mut().zip(mean).zip(share) {
                *sum -= (mean - y) * (mean - y) * share;
            }
            *in_y += 2.0 * lane_sum([mean, steepness, share], |[mean, v, share]| v * (mean - y) * share);
        }
    }

    pub(super) fn gradients(&self) -> BlockGradients {
        let zeros = || vec![0.0; self.mean.len()];
        BlockGradients { mean: zeros(), steepness: zeros(), log_height: vec![0.0; self.len] }
    }

    #[inline(always)]
    fn of<'v>(&self, values: &'v [f64], q: usize) -> &'v [f64] {
        &values[q * self.len..(q + 1) * self.len]
    }
}

impl BumpGradients {
    pub(super) fn new(n: usize, m: usize, q: usize) -> Self {
        Self {
            mean: Mat::zeros(n, q),
            input_variance: Mat::zeros(n, q),
            z: Mat::zeros(m, q),
            variance: 0.0,
            precision: vec![0.0; q],
        }
    }

    /// Adds those of a part, whose inputs start at a row.
    pub(super) fn add_part(&mut self, start: usize, part: &Self) {
        let rows = part.mean.nrows();
        self.mean.as_mut().subrows_mut(start, rows).copy_from(&part.mean);
        self.input_variance.as_mut().subrows_mut(start, rows).copy_from(&part.input_variance);
        self.z += &part.z;
        self.variance += part.variance;
        self.precision.iter_mut().zip(&part.precision).for_each(|(sum, amount)| *sum += amount);
    }
}

/// What `work` makes of each part of n rows, in order.
pub(super) fn by_parts<R: Send>(n: usize, par: Par, work: impl Fn(Range<usize>) -> R + Sync) -> Vec<(usize, R)> {
    let blocks = n.div_ceil(BLOCK);
    let parts = blocks.min(PARTS);
    let part = |index: usize| {
        let start = blocks * index / parts * BLOCK;
        (start, work(start..n.min(blocks * (index + 1) / parts * BLOCK)))
    };
    match par {
        Par::Seq => (0..parts).map(part).collect(),
        _ => (0..parts).into_par_iter().map(part).collect(),
    }
}

/// The blocks of a part.
pub(super) fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(BLOCK).map(move |start| start..end.min(start + BLOCK))
}
