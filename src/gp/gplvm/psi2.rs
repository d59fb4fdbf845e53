//! Ψ₂ of a squared exponential: sums over the inputs of products at two inducing inputs.

use faer::{Mat, MatRef};

use super::gaussian_expectations::{Block, BlockGradients, BumpGradients, View, blocks, by_parts};
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch};

/// Pairs j ≥ k of inducing inputs, with what does not depend on the inputs.
struct Pairs {
    dim: usize,
    /// (j, k)
    indices: Vec<(usize, usize)>,
    /// exp(−¼ Σ_q w_q (zⱼ_q − zₖ_q)²)
    factors: Vec<f64>,
    /// ½(zⱼ + zₖ), one after the other
    midpoints: Vec<f64>,
}

impl Pairs {
    fn new(view: &View<'_>) -> Self {
        let (m, dim) = (view.z.nrows(), view.z.ncols());
        let indices: Vec<_> = (0..m).flat_map(|k| (k..m).map(move |j| (j, k))).collect();
        let (mut factors, mut midpoints) = (Vec::new(), Vec::new());
        for &(j, k) in &indices {
            let apart: f64 = (0..dim).map(|q| view.precision[q] * (view.z[(j, q)] - view.z[(k, q)]).powi(2)).sum();
            factors.push((-0.25 * apart).exp());
            midpoints.extend((0..dim).map(|q| 0.5 * view.z[(j, q)] + 0.5 * view.z[(k, q)]));
        }
        Self { dim, indices, factors, midpoints }
    }
}

struct Sums<'a> {
    block: &'a Block,
    pairs: &'a Pairs,
    sums: &'a mut [f64],
}

impl Pass for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut values = vec![0.0; self.block.len()];
        for (sum, midpoint) in self.sums.iter_mut().zip(self.pairs.midpoints.chunks_exact(self.pairs.dim)) {
            self.block.at::<FMA>(midpoint, &mut values);
            *sum += lane_sum([&values[..]], |[value]| value);
        }
    }
}

pub(super) fn value(view: &View<'_>) -> Mat<f64> {
    let (pairs, bump) = (Pairs::new(view), view.bump(2.0));
    let parts = by_parts(view.mean.nrows(), view.par, |rows| {
        let mut sums = vec![0.0; pairs.indices.len()];
        for rows in blocks(rows) {
            let block = bump.block(view.mean, view.input_variance, &rows);
            dispatch(Sums { block: &block, pairs: &pairs, sums: &mut sums });
        }
        sums
    });
    let mut value = Mat::zeros(view.z.nrows(), view.z.nrows());
    for (index, &(j, k)) in pairs.indices.iter().enumerate() {
        let sum: f64 = parts.iter().map(|(_, part)| part[index]).sum();
        value[(j, k)] = pairs.factors[index] * sum;
        value[(k, j)] = value[(j, k)];
    }
    value
}

struct Vjp<'a> {
    block: &'a Block,
    pairs: &'a Pairs,
    /// The cotangent of a pair in both orders, times its factor.
    weights: &'a [f64],
    gradients: &'a mut BlockGradients,
    in_midpoints: &'a mut [f64],
    /// Of each pair, its weighted terms added up.
    totals: &'a mut [f64],
}

impl Pass for Vjp<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (mut share, dim) = (vec![0.0; self.block.len()], self.pairs.dim);
        let midpoints = self.pairs.midpoints.chunks_exact(dim).zip(self.in_midpoints.chunks_exact_mut(dim));
        for ((midpoint, in_midpoint), (&weight, total)) in midpoints.zip(self.weights.iter().zip(self.totals)) {
            self.block.at::<FMA>(midpoint, &mut share);
            for share in &mut share {
                *share *= weight;
            }
            *total += lane_sum([&share[..]], |[share]| share);
            self.block.vjp(midpoint, &share, self.gradients, in_midpoint);
        }
    }
}

pub(super) fn vjp(view: &View<'_>, cotangent: MatRef<'_, f64>) -> BumpGradients {
    let (n, m, dim) = (view.mean.nrows(), view.z.nrows(), view.z.ncols());
    let (pairs, bump) = (Pairs::new(view), view.bump(2.0));
    let both =
        |&(j, k): &(usize, usize)| if j == k { cotangent[(j, j)] } else { cotangent[(j, k)] + cotangent[(k, j)] };
    let weights: Vec<f64> = pairs.indices.iter().map(both).zip(&pairs.factors).map(|(c, factor)| c * factor).collect();
    let parts = by_parts(n, view.par, |rows| {
        let mut out = BumpGradients::new(rows.len(), m, dim);
        let (mut in_midpoints, mut totals) = (vec![0.0; pairs.midpoints.len()], vec![0.0; weights.len()]);
        for block_rows in blocks(rows.clone()) {
            let block = bump.block(view.mean, view.input_variance, &block_rows);
            let mut gradients = block.gradients();
            dispatch(Vjp {
                block: &block,
                pairs: &pairs,
                weights: &weights,
                gradients: &mut gradients,
                in_midpoints: &mut in_midpoints,
                totals: &mut totals,
            });
            bump.pull(&block, &gradients, view.input_variance, &block_rows, block_rows.start - rows.start, &mut out);
        }
        pull_pairs(view, &pairs, &in_midpoints, &totals, &mut out);
        out
    });
    let mut total = BumpGradients::new(n, m, dim);
    parts.iter().for_each(|(start, part)| total.add_part(*start, part));
    total
}

/// From the midpoints, and from the factors by the total of each pair, to z and w.
fn pull_pairs(view: &View<'_>, pairs: &Pairs, in_midpoints: &[f64], totals: &[f64], out: &mut BumpGradients) {
    let midpoints = in_midpoints.chunks_exact(pairs.dim);
    for ((&(j, k), in_midpoint), total) in pairs.indices.iter().zip(midpoints).zip(totals) {
        for (q, in_middle) in in_midpoint.iter().enumerate() {
            let apart = view.z[(j, q)] - view.z[(k, q)];
            let pulled = 0.5 * view.precision[q] * apart * total;
            out.z[(j, q)] += 0.5 * in_middle - pulled;
            out.z[(k, q)] += 0.5 * in_middle + pulled;
            out.precision[q] -= 0.25 * apart * apart * total;
        }
    }
}
