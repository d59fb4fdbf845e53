//! One value at a time, between neighbours of 1000 points: with the type of the kernel known, in a box, and in
//! the form that checks its arguments. `cargo bench --bench pairwise`
#![allow(clippy::unwrap_used)]

mod common;

use common::{KernelVisitor, Work, group, measure_values, points, rows, visit_kernels};
use criterion::{BenchmarkId, Criterion};
use mercer::prelude::*;

const N: usize = 1000;

struct Pairs<'c> {
    criterion: &'c mut Criterion,
    dim: usize,
}

impl<T: Scalar> KernelVisitor<T> for Pairs<'_> {
    fn kernel<K: Kernel<T> + Clone + 'static>(&mut self, name: &'static str, kernel: K) {
        let points = rows(&points::<T>(N, self.dim));
        let boxed: Box<dyn Kernel<T>> = Box::new(kernel.clone());
        let mut group = group::<T>(self.criterion, "pairwise");
        let id = |form| BenchmarkId::new(form, format!("{name}_D{}", self.dim));
        measure_values(&mut group, id("static"), N - 1, || Work::pairs(&points, |x, y| kernel.pairwise(x, y)));
        measure_values(&mut group, id("boxed"), N - 1, || Work::pairs(&points, |x, y| boxed.pairwise(x, y)));
        measure_values(&mut group, id("checked"), N - 1, || Work::pairs(&points, |x, y| kernel.eval(x, y).unwrap()));
        group.finish();
    }
}

fn all<T: Scalar>(criterion: &mut Criterion) {
    for dim in [1, 4, 16] {
        visit_kernels::<T>(dim, &mut Pairs { criterion, dim });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    all::<f64>(&mut criterion);
    all::<f32>(&mut criterion);
    criterion.final_summary();
}
