//! Ψ₁ of a squared exponential: values at each input and inducing input.

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef};

use super::gaussian_expectations::{Block, BlockGradients, BumpGradients, View, blocks, by_parts};
use crate::linalg::{column, column_mut};
use crate::simd::{Pass, dispatch};

struct Values<'a> {
    block: &'a Block,
    centres: &'a [f64],
    dim: usize,
    out: MatMut<'a, f64>,
}

impl Pass for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for (col, centre) in self.centres.chunks_exact(self.dim).enumerate() {
            self.block.at::<FMA>(centre, column_mut(self.out.rb_mut(), col));
        }
    }
}

pub(super) fn value(view: &View<'_>) -> Mat<f64> {
    let (n, m) = (view.mean.nrows(), view.z.nrows());
    let (bump, centres) = (view.bump(1.0), view.centres());
    let parts = by_parts(n, view.par, |rows| {
        let mut part = Mat::zeros(rows.len(), m);
        for block_rows in blocks(rows.clone()) {
            let block = bump.block(view.mean, view.input_variance, &block_rows);
            let out = part.as_mut().subrows_mut(block_rows.start - rows.start, block_rows.len());
            dispatch(Values { block: &block, centres: &centres, dim: view.z.ncols(), out });
        }
        part
    });
    let mut value = Mat::zeros(n, m);
    for (start, part) in parts {
        value.as_mut().subrows_mut(start, part.nrows()).copy_from(&part);
    }
    value
}

struct Vjp<'a> {
    block: &'a Block,
    centres: &'a [f64],
    dim: usize,
    cotangent: MatRef<'a, f64>,
    gradients: &'a mut BlockGradients,
    in_centres: &'a mut [f64],
}

impl Pass for Vjp<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut share = vec![0.0; self.block.len()];
        let centres = self.centres.chunks_exact(self.dim).zip(self.in_centres.chunks_exact_mut(self.dim));
        for (col, (centre, in_centre)) in centres.enumerate() {
            self.block.at::<FMA>(centre, &mut share);
            for (share, &c) in share.iter_mut().zip(column(self.cotangent, col)) {
                *share *= c;
            }
            self.block.vjp(centre, &share, self.gradients, in_centre);
        }
    }
}

pub(super) fn vjp(view: &View<'_>, cotangent: MatRef<'_, f64>) -> BumpGradients {
    let (n, m, dim) = (view.mean.nrows(), view.z.nrows(), view.z.ncols());
    let (bump, centres) = (view.bump(1.0), view.centres());
    let parts = by_parts(n, view.par, |rows| {
        let mut out = BumpGradients::new(rows.len(), m, dim);
        let mut in_centres = vec![0.0; m * dim];
        for block_rows in blocks(rows.clone()) {
            let block = bump.block(view.mean, view.input_variance, &block_rows);
            let mut gradients = block.gradients();
            let cotangent = cotangent.subrows(block_rows.start, block_rows.len());
            let in_centres = &mut in_centres;
            dispatch(Vjp { block: &block, centres: &centres, dim, cotangent, gradients: &mut gradients, in_centres });
            bump.pull(&block, &gradients, view.input_variance, &block_rows, block_rows.start - rows.start, &mut out);
        }
        out.z = Mat::from_fn(m, dim, |row, q| in_centres[row * dim + q]);
        out
    });
    let mut total = BumpGradients::new(n, m, dim);
    parts.iter().for_each(|(start, part)| total.add_part(*start, part));
    total
}
