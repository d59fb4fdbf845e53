//! One training step of a sparse variational process on one thread, and its predictions.
//! `cargo bench --bench svgp_step`
#![allow(clippy::unwrap_used)]

mod common;

use common::sparse::Form;
use common::{group, measure, sparse, with_threads};
use criterion::{BenchmarkId, Criterion};
use mercer::prelude::*;

fn steps<T: Scalar>(criterion: &mut Criterion) {
    let mut group = group::<T>(criterion, "svgp_step");
    group.sample_size(20);
    for size in sparse::SIZES {
        let (total, batch, inducing, dim) = size;
        let id = BenchmarkId::from_parameter(format!("N{total}_b{batch}_M{inducing}_D{dim}"));
        measure(&mut group, id, || sparse::step::<T>(size, Form::Gaussian, Par::Seq));
    }
    measure(&mut group, BenchmarkId::from_parameter("predict_10000_M512_D8"), || {
        sparse::prediction::<T>(512, 8, Par::Seq)
    });
    group.finish();
}

fn main() {
    with_threads(1, || {
        let mut criterion = Criterion::default().configure_from_args();
        steps::<f64>(&mut criterion);
        steps::<f32>(&mut criterion);
        criterion.final_summary();
    });
}
