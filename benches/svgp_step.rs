//! One training step of a sparse variational process on one thread: the bound on a batch, its
//! gradient in all parameters, inducing inputs too, and an update by Adam, with the matrices of one
//! step reused by the next. `cargo bench --bench svgp_step`
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;

use common::points;
use criterion::{BenchmarkId, Criterion};
use mercer::gp::Svgp;
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::optim::Adam;
use mercer::prelude::*;
use mercer::tape::Pool;

/// Observations, batch, inducing inputs, dimension.
const SIZES: [(usize, usize, usize, usize); 4] =
    [(500, 500, 20, 1), (1000, 1000, 81, 3), (100_000, 256, 128, 8), (100_000, 1024, 512, 8)];

fn step<T: Scalar>(c: &mut Criterion, jitter: f64) {
    let mut group = c.benchmark_group(format!("svgp_step/{}", std::any::type_name::<T>()));
    group.sample_size(20);
    for (total, batch, inducing, dim) in SIZES {
        let x = points::<T>(batch, dim);
        let target = |row: usize| T::from_f64((0..dim).map(|d| x[(row, d)].as_f64()).sum::<f64>().sin());
        let y: Vec<T> = (0..batch).map(target).collect();
        let z = Mat::from_fn(inducing, dim, |row, d| x[(row, d)].as_f64());
        let mut model = Svgp::new(1.0 * Rbf::new(vec![1.0; dim]), z.as_ref())
            .unwrap()
            .with_likelihood(Gaussian::new(0.1))
            .with_jitter(Jitter::Fixed(jitter))
            .with_par(Par::Seq);
        let mut parameters = model.unconstrained();
        let mut adam = Adam::default().start(parameters.len()).unwrap();
        let pool = RefCell::new(Pool::new());
        let id = BenchmarkId::from_parameter(format!("N{total}_b{batch}_M{inducing}_D{dim}"));
        group.bench_function(id, |b| {
            b.iter(|| {
                let (elbo, mut gradient) = model.elbo_gradient_with(x.as_ref(), &y, total, &pool).unwrap();
                gradient.iter_mut().for_each(|entry| *entry = -*entry);
                let gradient = model.unconstrained_gradient(&gradient).unwrap();
                adam.step(&mut parameters, &gradient).unwrap();
                model.set_unconstrained(&parameters).unwrap();
                elbo.value
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    step::<f64>(&mut criterion, 1e-6);
    step::<f32>(&mut criterion, 1e-4);
    criterion.final_summary();
}
