//! Gradients through Gram matrices and cross-covariances on one thread: in the hyperparameters alone,
//! and in the points too. `cargo bench --bench vjp`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;

use common::points;
use criterion::{BenchmarkId, Criterion, Throughput};
use mercer::kernel::{Wanted, cross_vjp, gram_vjp};
use mercer::prelude::*;

fn kernels<T: Scalar>(dim: usize) -> Vec<(&'static str, Box<dyn Kernel<T>>)> {
    let l = 0.8 * (dim as f64).sqrt();
    let composite = 0.5 * Rbf::new(l) + Matern32::new(l) * Linear::new(0.7) + Periodic::new(1.2, 1.5) * Rbf::new(l);
    vec![
        ("rbf", Box::new(Rbf::new(l))),
        ("rbf_ard", Box::new(Rbf::new(vec![l; dim]))),
        ("matern52", Box::new(Matern52::new(l))),
        ("composite", Box::new(composite)),
    ]
}

fn gram<T: Scalar>(c: &mut Criterion) {
    let n = 1000;
    let cotangent = points::<T>(n, n);
    let mut group = c.benchmark_group(format!("gram_vjp/{}", std::any::type_name::<T>()));
    group.throughput(Throughput::Elements((n * n) as u64));
    for dim in [1, 4, 16] {
        let x = points::<T>(n, dim);
        for (name, kernel) in kernels::<T>(dim) {
            for (what, wanted) in [("parameters", Wanted::PARAMETERS), ("all", Wanted::ALL)] {
                group.bench_function(BenchmarkId::new(name, format!("{what}_D{dim}")), |b| {
                    let (x, w) = (x.as_ref(), cotangent.as_ref());
                    b.iter(|| gram_vjp(&*kernel, black_box(x), w, wanted, Par::Seq).unwrap());
                });
            }
        }
    }
    group.finish();
}

fn cross<T: Scalar>(c: &mut Criterion) {
    let (n, m, dim) = (1000, 100, 4);
    let (x, z, cotangent) = (points::<T>(n, dim), points::<T>(m, dim), points::<T>(n, m));
    let mut group = c.benchmark_group(format!("cross_vjp/{}", std::any::type_name::<T>()));
    group.throughput(Throughput::Elements((n * m) as u64));
    for (name, kernel) in kernels::<T>(dim) {
        group.bench_function(BenchmarkId::new(name, "all_D4"), |b| {
            let (x, z, w) = (x.as_ref(), z.as_ref(), cotangent.as_ref());
            b.iter(|| cross_vjp(&*kernel, black_box(x), z, w, Wanted::ALL, Par::Seq).unwrap());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    gram::<f64>(&mut criterion);
    gram::<f32>(&mut criterion);
    cross::<f64>(&mut criterion);
    criterion.final_summary();
}
