//! Models of several outputs against the dense Gaussian, against each other, and against finite differences.
#![allow(clippy::unwrap_used, clippy::panic)]

mod icm;
mod linear_mixing;
mod oilmm;
mod stacked;

use mercer::gp::Oilmm;
use mercer::mean::{ConstantMean, DynMean};
use mercer::prelude::*;

use crate::common::data::uniform;

fn inputs() -> Mat<f64> {
    let spread = uniform(7, 2, 1);
    Mat::from_fn(7, 2, |row, col| 0.7 * row as f64 + 0.4 * spread[(row, col)])
}

/// Σ_l w_pl w_ql k_l(x, x′) at all pairs of (point, output), outputs one after the other.
fn mixed_covariance(weights: &Mat<f64>, grams: &[Mat<f64>]) -> Mat<f64> {
    let (n, m) = grams[0].shape();
    Mat::from_fn(n * weights.nrows(), m * weights.nrows(), |i, j| {
        let at = |l: usize| weights[(i / n, l)] * weights[(j / m, l)] * grams[l][(i % n, j % m)];
        (0..grams.len()).map(at).sum()
    })
}

/// Four outputs of two processes.
fn orthogonal() -> Mat<f64> {
    mat![[2.0, 1.0], [-2.0, 2.0], [1.0, 2.0], [0.0, 1.0]]
}

fn kernels() -> Vec<DynKernel> {
    vec![Rbf::new(1.3).dynamic(), Matern32::new([0.8, 1.5]).dynamic()]
}

fn oilmm() -> Oilmm {
    let means = [0.3, -0.2, 0.1, 0.0].map(|level| DynMean::new(ConstantMean::new(level)));
    Oilmm::new(kernels(), orthogonal().as_ref()).unwrap().with_noise(0.2).unwrap().with_means(means.to_vec()).unwrap()
}

fn with_gaps() -> Mat<f64> {
    let mut y = uniform(7, 3, 4);
    [(0, 1), (3, 1), (3, 2), (6, 0)].iter().for_each(|&place| y[place] = f64::NAN);
    y
}
