//! Cross-covariances, cross-vectors, diagonals and products K(X, Z) v on one thread, by kernel, dimension and
//! precision, into memory that is reused. `cargo bench --bench cross`
#![allow(clippy::unwrap_used)]

mod common;

use common::{OF_VALUES, Work, group, kernels, measure, points};
use criterion::{BenchmarkId, Criterion};
use mercer::prelude::*;
use mercer::testkit::Task;

fn cross<T: Scalar>(c: &mut Criterion) {
    let (n, m) = (2000, 200);
    let mut group = group::<T>(c, "cross");
    for dim in [1, 4, 16] {
        let (x, z) = (points::<T>(n, dim), points::<T>(m, dim));
        let (x, z) = (x.as_ref(), z.as_ref());
        for (name, kernel) in &kernels::<T>(dim, &OF_VALUES) {
            for task in [Task::Cross, Task::CrossVector, Task::Diag, Task::Matmul] {
                let id = BenchmarkId::new(task.name(), format!("{name}_D{dim}"));
                // The vector against the longer set.
                let (x, z) = if task == Task::CrossVector { (z, x) } else { (x, z) };
                measure(&mut group, id, || Work::task(task, &**kernel, x, z, Par::Seq));
            }
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    cross::<f64>(&mut criterion);
    cross::<f32>(&mut criterion);
    criterion.final_summary();
}
