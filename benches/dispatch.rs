//! What a trait object costs: the same expression with its type known, boxed as a whole, boxed at
//! every node, and written by hand as a scalar loop; by pairs, as a cross-vector and as a Gram
//! matrix. `cargo bench --bench dispatch`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;

use common::points;
use criterion::Criterion;
use mercer::kernel::gram_into;
use mercer::prelude::*;

const N: usize = 1000;

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

fn leaf_by_hand(x: &[f64], y: &[f64]) -> f64 {
    (-0.5 * squared_distance(x, y)).exp()
}

/// ½ RBF + Matérn-3/2 · linear, unit lengthscales and variance.
fn tree_by_hand(x: &[f64], y: &[f64]) -> f64 {
    let squared = squared_distance(x, y);
    let root = (3.0 * squared).sqrt();
    let inner: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
    0.5 * (-0.5 * squared).exp() + (1.0 + root) * (-root).exp() * inner
}

fn rows(x: &Mat<f64>) -> Vec<Vec<f64>> {
    (0..x.nrows()).map(|row| x.row(row).iter().copied().collect()).collect()
}

/// One kernel in one form. Generic, so that a kernel of known type is inlined where that is possible.
fn kernel<K: Kernel<f64>>(c: &mut Criterion, expression: &str, form: &str, kernel: &K) {
    for dim in [1, 4] {
        let x = points::<f64>(N, dim);
        let points = rows(&x);
        let id = |what| format!("{expression}/{what}/{form}_D{dim}");
        c.bench_function(&id("pairwise"), |b| {
            b.iter(|| black_box(&points).windows(2).map(|xy| kernel.pairwise(&xy[0], &xy[1])).sum::<f64>());
        });
        let mut vector = vec![0.0; N];
        c.bench_function(&id("cross_vector"), |b| {
            b.iter(|| kernel.cross_vector_into(&points[0], black_box(x.as_ref()), &mut vector).unwrap());
        });
        let mut gram = Mat::zeros(N, N);
        c.bench_function(&id("gram"), |b| {
            b.iter(|| gram_into(kernel, black_box(x.as_ref()), gram.as_mut(), Par::Seq).unwrap());
        });
    }
}

fn by_hand(c: &mut Criterion, expression: &str, k: impl Fn(&[f64], &[f64]) -> f64) {
    for dim in [1, 4] {
        let points = rows(&points(N, dim));
        let id = |what| format!("{expression}/{what}/by_hand_D{dim}");
        c.bench_function(&id("pairwise"), |b| {
            b.iter(|| black_box(&points).windows(2).map(|xy| k(&xy[0], &xy[1])).sum::<f64>());
        });
        let mut vector = vec![0.0; N];
        c.bench_function(&id("cross_vector"), |b| {
            b.iter(|| vector.iter_mut().zip(black_box(&points)).for_each(|(out, x)| *out = k(x, &points[0])));
        });
        let mut gram = vec![0.0; N * N];
        c.bench_function(&id("gram"), |b| {
            b.iter(|| {
                for (j, y) in black_box(&points).iter().enumerate() {
                    for (i, x) in points.iter().enumerate().skip(j) {
                        let value = k(x, y);
                        gram[i + j * N] = value;
                        gram[j + i * N] = value;
                    }
                }
            });
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let c = &mut criterion;
    let boxed = || (Rbf::new(1.0).dynamic(), Matern32::new(1.0).dynamic(), Linear::new(1.0).dynamic());
    kernel(c, "leaf", "static", &Rbf::new(1.0));
    kernel(c, "leaf", "boxed", &boxed().0);
    by_hand(c, "leaf", leaf_by_hand);
    let tree = 0.5 * Rbf::new(1.0) + Matern32::new(1.0) * Linear::new(1.0);
    kernel(c, "tree", "static", &tree);
    kernel(c, "tree", "boxed", &tree.clone().dynamic());
    let (rbf, matern, linear) = boxed();
    kernel(c, "tree", "boxed_nodes", &((0.5 * rbf).dynamic() + (matern * linear).dynamic()));
    by_hand(c, "tree", tree_by_hand);
    criterion.final_summary();
}
