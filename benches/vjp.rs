//! Gradients through Gram matrices and cross-covariances on one thread: in the hyperparameters alone, and in
//! the points too. `cargo bench --bench vjp`
#![allow(clippy::unwrap_used)]

mod common;

use common::{OF_GRADIENTS, Work, group, kernels, measure_values, points};
use criterion::{BenchmarkId, Criterion};
use mercer::prelude::*;
use mercer::testkit::Task;

fn vjp<T: Scalar>(c: &mut Criterion) {
    let (n, m) = (1000, 100);
    let mut group = group::<T>(c, "vjp");
    for dim in [1, 4, 16] {
        let (x, z) = (points::<T>(n, dim), points::<T>(m, dim));
        let (x, z) = (x.as_ref(), z.as_ref());
        for (name, kernel) in &kernels::<T>(dim, &OF_GRADIENTS) {
            for (task, values) in
                [(Task::GramGradient, n * n), (Task::GramGradientInputs, n * n), (Task::CrossGradient, n * m)]
            {
                let id = BenchmarkId::new(task.name(), format!("{name}_D{dim}"));
                measure_values(&mut group, id, values, || Work::task(task, &**kernel, x, z, Par::Seq));
            }
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    vjp::<f64>(&mut criterion);
    vjp::<f32>(&mut criterion);
    criterion.final_summary();
}
