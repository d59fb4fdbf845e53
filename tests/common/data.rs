//! Points and observations.
#![allow(clippy::unwrap_used)]

use mercer::gp::Variational;
use mercer::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

/// Numbers between −1 and 1.
pub(crate) fn uniform(rows: usize, cols: usize, seed: u64) -> Mat<f64> {
    uniform_from(&mut Pcg64::seed_from_u64(seed), rows, cols)
}

/// The next numbers between −1 and 1 of a generator.
pub(crate) fn uniform_from(rng: &mut impl Rng, rows: usize, cols: usize) -> Mat<f64> {
    Mat::from_fn(rows, cols, |_, _| rng.random_range(-1.0..1.0))
}

/// Points that are spread over a line, none of them at its ends.
pub(crate) fn line(n: usize, from: f64, to: f64) -> Mat<f64> {
    Mat::from_fn(n, 1, |row, _| from + (to - from) * (row as f64 + 0.5) / n as f64)
}

/// Points on the unit sphere.
pub(crate) fn on_sphere(n: usize, dim: usize, seed: u64) -> Mat<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let x = Mat::from_fn(n, dim, |_, _| rng.sample::<f64, _>(StandardNormal));
    Mat::from_fn(n, dim, |row, col| x[(row, col)] / x.row(row).norm_l2())
}

/// Two inputs, each between −2 and 2, and a smooth function of them that is seen with noise.
pub(crate) fn plane(n: usize) -> (Mat<f64>, Vec<f64>) {
    let mut rng = Pcg64::seed_from_u64(1);
    let x = uniform_from(&mut rng, n, 2) * 2.0;
    let y = (0..n).map(|row| x[(row, 0)].sin() - 0.4 * x[(row, 1)] + 0.3 * rng.random_range(-1.0..1.0)).collect();
    (x, y)
}

/// Inputs between −1 and 1, and a wave over the first that is seen with noise.
pub(crate) fn wave(n: usize, dim: usize, seed: u64) -> (Mat<f64>, Vec<f64>) {
    let mut rng = Pcg64::seed_from_u64(seed);
    let x = uniform_from(&mut rng, n, dim);
    let y = (0..n).map(|row| (3.0 * x[(row, 0)]).sin() + 0.3 * rng.random_range(-1.0..1.0)).collect();
    (x, y)
}

/// Two inputs of points that keep a distance from each other.
pub(crate) fn apart(n: usize) -> Mat<f64> {
    Mat::from_fn(n, 2, |row, col| ((row * (7 + 4 * col)) % n) as f64 * 0.3 + 0.01 * row as f64)
}

/// What is seen at two inputs of one of several outputs: a smooth function and a rough one.
pub(crate) fn observed(x: &Mat<f64>, output: usize) -> Vec<f64> {
    let smooth = |row: usize| (x[(row, 0)] + output as f64).sin() + 0.5 * x[(row, 1)];
    (0..x.nrows()).map(|row| smooth(row) + 0.1 * ((row * 31 % 17) as f64 - 8.0)).collect()
}

/// Points that keep a distance, and what is seen at them.
pub(crate) fn observed_apart(n: usize) -> (Mat<f64>, Vec<f64>) {
    let x = apart(n);
    let y = observed(&x, 0);
    (x, y)
}

/// The same rounded to single precision.
pub(crate) fn single(x: &Mat<f64>) -> Mat<f32> {
    Mat::from_fn(x.nrows(), x.ncols(), |row, col| x[(row, col)] as f32)
}

pub(crate) fn singles(y: &[f64]) -> Vec<f32> {
    y.iter().map(|&y| y as f32).collect()
}

/// A q of any covariance, away from the prior.
pub(crate) fn full_q(m: usize, seed: u64) -> Variational {
    let [q, ..] = forms_of_q(m, seed);
    q
}

/// A q of each form, away from the prior: of any covariance, of a diagonal one, and of one with a part of rank two.
pub(crate) fn forms_of_q(m: usize, seed: u64) -> [Variational; 3] {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mean: Vec<f64> = (0..m).map(|_| rng.random_range(-1.0..1.0)).collect();
    let deviation: Vec<f64> = (0..m).map(|_| rng.random_range(0.3..1.2)).collect();
    let factor = uniform_from(&mut rng, m, m);
    let factor = Mat::from_fn(m, m, |i, j| if i == j { deviation[i] } else { 0.3 * factor[(i, j)] });
    [
        Variational::new(&mean, factor.as_ref()).unwrap(),
        Variational::diagonal(&mean, &deviation).unwrap(),
        Variational::low_rank(&mean, &deviation, uniform_from(&mut rng, m, 2).as_ref()).unwrap(),
    ]
}
