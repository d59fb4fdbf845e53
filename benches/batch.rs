//! 250 Gram matrices of 100 points on one thread: hyperparameters shared or distinct, points for each member or
//! one set for all; their gradients; and the same with a loop over kernels. `cargo bench --bench batch`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;

use common::{Work, evenly, group, measure, sets, uniform, with_threads};
use criterion::{BenchmarkId, Criterion};
use mercer::batch::{BatchMatrix, Batched};
use mercer::kernel::{GradientRequest, gram_into};
use mercer::prelude::*;

const MEMBERS: usize = 250;
const N: usize = 100;

fn batch<T: Scalar, K: Kernel<T> + Compose + Clone>(c: &mut Criterion, name: &str, kernel: K, path: &str) {
    let mut group = group::<T>(c, "batch");
    for dim in [1, 4] {
        let points: Vec<Mat<T>> = (0..MEMBERS as u64).map(|member| uniform(N, dim, 0.0..10.0, member)).collect();
        let shared = kernel.clone().batched(MEMBERS).unwrap();
        let distinct = shared.clone().per_batch(path, &evenly(0.3, 1.5, MEMBERS)).unwrap();
        let id = |what| BenchmarkId::new(what, format!("{name}_D{dim}"));
        let each = || sets(&points);
        measure(&mut group, id("shared"), || Work::batch(shared.clone(), each()));
        measure(&mut group, id("distinct"), || Work::batch(distinct.clone(), each()));
        measure(&mut group, id("distinct_of_one_set"), || Work::batch(distinct.clone(), points[0].as_ref()));
        measure(&mut group, id("distinct_gradient"), || gradient(distinct.clone(), &points));
        measure(&mut group, id("loop"), || by_hand(&distinct, &points));
    }
    group.finish();
}

fn gradient<'a, T: Scalar, K: Kernel<T> + Clone + 'a>(kernel: Batched<K>, points: &'a [Mat<T>]) -> Work<'a> {
    let mut weights = BatchMatrix::zeros(&[MEMBERS], N, N);
    for member in 0..MEMBERS {
        weights.get_mut(&[member]).unwrap().copy_from(uniform::<T>(N, N, -1.0..1.0, member as u64));
    }
    Work::new(move || {
        black_box(kernel.gram_vjp(sets(points), &weights, GradientRequest::PARAMETERS).unwrap());
    })
}

/// What the batch is to be compared with: its members, one after the other, into one buffer.
fn by_hand<'a, T: Scalar, K: Kernel<T> + Clone>(kernel: &'a Batched<K>, points: &'a [Mat<T>]) -> Work<'a> {
    let mut out = BatchMatrix::zeros(&[MEMBERS], N, N);
    Work::new(move || {
        for (member, (kernel, x)) in kernel.members().iter().zip(points).enumerate() {
            gram_into(kernel, black_box(x.as_ref()), out.get_mut(&[member]).unwrap(), Par::Seq).unwrap();
        }
    })
}

fn main() {
    with_threads(1, || {
        let mut criterion = Criterion::default().configure_from_args();
        let composite = || Rbf::new(0.9) + Periodic::new(1.1, 2.3) * Linear::new(0.7);
        batch::<f64, _>(&mut criterion, "rbf", Rbf::new(0.3), "rbf.lengthscale");
        batch::<f32, _>(&mut criterion, "rbf", Rbf::new(0.3), "rbf.lengthscale");
        batch::<f64, _>(&mut criterion, "composite", composite(), "sum[0].rbf.lengthscale");
        batch::<f32, _>(&mut criterion, "composite", composite(), "sum[0].rbf.lengthscale");
        criterion.final_summary();
    });
}
