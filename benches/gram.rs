//! Gram matrices, cross-covariances, diagonals and products K(X, Z) V on one thread, by kernel,
//! number of points, dimension and precision. `cargo bench --bench gram`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;

use common::points;
use criterion::{BenchmarkId, Criterion, Throughput};
use mercer::kernel::{cross_into, diag_into, gram_into, matmul_into};
use mercer::prelude::*;

fn kernels<T: Scalar>(dim: usize) -> Vec<(&'static str, Box<dyn Kernel<T>>)> {
    let l = 0.8 * (dim as f64).sqrt();
    let composite = 0.5 * Rbf::new(l) + Matern32::new(l) * Linear::new(0.7) + Periodic::new(1.2, 1.5) * Rbf::new(l);
    vec![
        ("rbf", Box::new(Rbf::new(l))),
        ("rbf_ard", Box::new(Rbf::new(vec![l; dim]))),
        ("matern52", Box::new(Matern52::new(l))),
        ("periodic", Box::new(Periodic::new(1.2, 1.5))),
        ("composite", Box::new(composite)),
    ]
}

fn gram<T: Scalar>(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("gram/{}", std::any::type_name::<T>()));
    for n in [100, 500, 2000] {
        group.throughput(Throughput::Elements((n * n) as u64));
        for dim in [1, 4, 16] {
            let x = points::<T>(n, dim);
            let mut out = Mat::zeros(n, n);
            for (name, kernel) in kernels::<T>(dim) {
                group.bench_function(BenchmarkId::new(name, format!("n{n}_D{dim}")), |b| {
                    b.iter(|| gram_into(&*kernel, black_box(x.as_ref()), out.as_mut(), Par::Seq).unwrap());
                });
            }
        }
    }
    group.finish();
}

fn cross_diag_matmul<T: Scalar>(c: &mut Criterion) {
    let (n, m, columns, dim) = (2000, 200, 4, 4);
    let (x, z, v) = (points::<T>(n, dim), points::<T>(m, dim), points::<T>(m, columns));
    let (mut cross, mut diag, mut product) = (Mat::zeros(n, m), vec![T::from_f64(0.0); n], Mat::zeros(n, columns));
    let mut group = c.benchmark_group(format!("drivers/{}", std::any::type_name::<T>()));
    for (name, kernel) in kernels::<T>(dim) {
        group.bench_function(BenchmarkId::new("cross", name), |b| {
            b.iter(|| cross_into(&*kernel, black_box(x.as_ref()), z.as_ref(), cross.as_mut(), Par::Seq).unwrap());
        });
        group.bench_function(BenchmarkId::new("diag", name), |b| {
            b.iter(|| diag_into(&*kernel, black_box(x.as_ref()), &mut diag).unwrap());
        });
        group.bench_function(BenchmarkId::new("matmul", name), |b| {
            let (x, z, v) = (x.as_ref(), z.as_ref(), v.as_ref());
            b.iter(|| matmul_into(&*kernel, black_box(x), z, v, product.as_mut(), Par::Seq).unwrap());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    gram::<f64>(&mut criterion);
    gram::<f32>(&mut criterion);
    cross_diag_matmul::<f64>(&mut criterion);
    cross_diag_matmul::<f32>(&mut criterion);
    criterion.final_summary();
}
