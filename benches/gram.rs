//! Gram matrices on one thread, by kernel, number of points, dimension and precision, into memory that is
//! reused; one row with fresh memory. `cargo bench --bench gram`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;

use common::{OF_VALUES, Work, group, kernels, measure_values, points};
use criterion::{BenchmarkId, Criterion};
use mercer::kernel::gram_into;
use mercer::prelude::*;
use mercer::testkit::Task;

fn gram<T: Scalar>(c: &mut Criterion) {
    let mut group = group::<T>(c, "gram");
    for n in [100, 500, 2000] {
        for dim in [1, 4, 16] {
            let x = points::<T>(n, dim);
            let x = x.as_ref();
            for (name, kernel) in &kernels::<T>(dim, &OF_VALUES) {
                let id = BenchmarkId::new(*name, format!("n{n}_D{dim}"));
                measure_values(&mut group, id, n * n, || Work::task(Task::Gram, &**kernel, x, x, Par::Seq));
            }
        }
    }
    // The first touch of fresh pages costs more than the kernel.
    let (n, dim) = (2000, 4);
    let x = points::<T>(n, dim);
    let kernel = 1.3 * Rbf::new(common::lengthscale(dim));
    measure_values(&mut group, BenchmarkId::new("rbf_fresh", format!("n{n}_D{dim}")), n * n, || {
        Work::new(|| {
            let mut out = Mat::zeros(n, n);
            gram_into(&kernel, black_box(x.as_ref()), out.as_mut(), Par::Seq).unwrap();
            black_box(out);
        })
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    gram::<f64>(&mut criterion);
    gram::<f32>(&mut criterion);
    criterion.final_summary();
}
