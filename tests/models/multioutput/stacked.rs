//! Outputs by rows (x, p).
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::algebra::{icm, lcm};
use mercer::gp::{ExactGp, Stacked, Svgp};
use mercer::likelihood::Gaussian;
use mercer::optim::NaturalGradient;
use mercer::prelude::*;

use super::{inputs, with_gaps};
use crate::common::close::assert_close;
use crate::common::dense::log_normal;
use crate::common::entries::by_columns;
use crate::common::gradients::check_model;

/// Stacked rows through kernels of indices, dense and sparse, with noise of its own for each output.
#[test]
fn stacked_outputs_are_the_dense_gaussian() {
    let (x, y) = (inputs(), with_gaps());
    let smooth = Coregionalization::new(mat![[1.0], [-0.5], [2.0]], [0.1, 0.2, 0.3]);
    let rough = Coregionalization::new(mat![[0.5], [0.5], [0.1]], [0.2, 0.1, 0.4]);
    let terms = [(Rbf::new(1.3).dynamic(), smooth.clone()), (Matern12::new(0.6).dynamic(), rough.clone())];
    let noises = [0.05, 0.25, 0.15];
    let kernel = lcm(terms, 2).unwrap() + BlockDiagonal::new(noises.map(White::new));
    let stacked = Stacked::with_missing(x.as_ref(), y.as_ref()).unwrap();

    let (first, second): (Mat<f64>, Mat<f64>) =
        (Rbf::new(1.3).gram(x.as_ref()).unwrap(), Matern12::new(0.6).gram(x.as_ref()).unwrap());
    let seen: Vec<usize> = (0..21).filter(|&i| !by_columns(y.as_ref())[i].is_nan()).collect();
    let entry = |b: &Coregionalization, p: usize, q: usize| b.eval(&[p as f64], &[q as f64]).unwrap();
    let covariance = Mat::from_fn(17, 17, |i, j| {
        let ((n, p), (m, q)) = ((seen[i] % 7, seen[i] / 7), (seen[j] % 7, seen[j] / 7));
        let noise = if i == j { 0.1 + noises[p] } else { 0.0 };
        entry(&smooth, p, q) * first[(n, m)] + entry(&rough, p, q) * second[(n, m)] + noise
    });
    let residual: Vec<f64> = seen.iter().map(|&i| by_columns(y.as_ref())[i]).collect();
    let exact = ExactGp::new(kernel).with_noise(0.1).unwrap();
    let evidence = exact.objective(&Data::new(stacked.x(), stacked.y())).unwrap();
    assert_close(evidence, log_normal(&residual, &covariance), 1e-12);
    let (_, gradient) = exact.gradient(&Data::new(stacked.x(), stacked.y())).unwrap();
    let value = |gp: &ExactGp<_>| gp.objective(&Data::new(stacked.x(), stacked.y())).unwrap();
    check_model("stacked outputs", &exact, &gradient, 1e-7, value);

    let kernel = icm(Rbf::new(1.3), 2, smooth);
    let exact = ExactGp::new(kernel.clone()).with_noise(0.1).unwrap();
    let mut sparse = Svgp::new(kernel, stacked.x()).unwrap().with_likelihood(Gaussian::new(0.1));
    sparse.natural_step(&Data::new(stacked.x(), stacked.y()).part_of(17), &NaturalGradient::default()).unwrap();
    let bound = sparse.objective(&Data::new(stacked.x(), stacked.y())).unwrap().value;
    assert_close(bound, exact.objective(&Data::new(stacked.x(), stacked.y())).unwrap(), 1e-10);
}
