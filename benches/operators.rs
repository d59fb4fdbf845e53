//! Solves with structured operators against the dense matrices that they stand for, with the factorisation and
//! without, on one thread; then how many times faster. `cargo bench --bench operators`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;
use std::time::Instant;

use common::{Work, group, measure, uniform, with_threads};
use criterion::{BenchmarkId, Criterion};
use mercer::linalg::{Dense, Diagonal, Jitter, Kronecker, NoisyKronecker, Operator};
use mercer::prelude::*;

/// 28 × 28, and the inducing features of a sphere by degrees below 28.
const SIDE: usize = 28;
const M: usize = SIDE * SIDE;

/// A correlation of points along a line.
fn correlation<T: Scalar>(n: usize, lengthscale: f64) -> Mat<T> {
    Mat::from_fn(n, n, |i, j| T::from_f64((-((i as f64) - (j as f64)).abs() / lengthscale).exp()))
}

fn product<T: Scalar>(a: &Mat<T>, b: &Mat<T>) -> Mat<T> {
    let n = b.nrows();
    Mat::from_fn(a.nrows() * n, a.ncols() * n, |i, j| a[(i / n, j / n)] * b[(i % n, j % n)])
}

fn dense<T: Scalar>(a: &Mat<T>) -> Dense<T> {
    Dense::new(a.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap()
}

fn solving<'a, T: Scalar>(a: impl Fn() -> Box<dyn Operator<T>> + 'a, made: bool) -> Work<'a> {
    let b = uniform::<T>(M, 1, -1.0..1.0, 1);
    let held = (!made).then(&a);
    Work::new(move || match &held {
        Some(a) => drop(black_box(a.solve(black_box(b.as_ref()), Par::Seq).unwrap())),
        None => drop(black_box(a().solve(black_box(b.as_ref()), Par::Seq).unwrap())),
    })
}

type Case<'a, T> = (&'static str, Box<dyn Fn() -> Box<dyn Operator<T>> + 'a>);

fn cases<'a, T: Scalar>(axes: &'a [Mat<T>; 2], full: &'a Mat<T>, entries: &'a [T]) -> [Case<'a, T>; 4] {
    let one = |value: f64| Mat::full(1, 1, T::from_f64(value));
    [
        ("dense", Box::new(|| Box::new(dense(full)))),
        ("diagonal", Box::new(|| Box::new(Diagonal::new(entries.to_vec()).unwrap()))),
        ("kronecker", Box::new(|| Box::new(Kronecker::new(axes.iter().map(dense).collect()).unwrap()))),
        (
            "noisy_kronecker",
            Box::new(move || {
                let axes = [axes[0].as_ref(), axes[1].as_ref()];
                Box::new(NoisyKronecker::new(one(1.0).as_ref(), one(0.1).as_ref(), &axes, Par::Seq).unwrap())
            }),
        ),
    ]
}

/// The least of some times of one run, in seconds.
fn least(work: &mut Work<'_>, runs: usize) -> f64 {
    let once = |work: &mut Work<'_>| {
        let start = Instant::now();
        work.run();
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(|_| once(work)).fold(f64::INFINITY, f64::min)
}

fn operators<T: Scalar>(criterion: &mut Criterion) {
    let axes = [correlation::<T>(SIDE, 5.0), correlation::<T>(SIDE, 3.0)];
    let full = product(&axes[0], &axes[1]);
    let entries: Vec<T> = (0..M).map(|i| T::from_f64(1.0 + i as f64)).collect();
    let cases = cases(&axes, &full, &entries);
    let mut group = group::<T>(criterion, "operators");
    group.sample_size(20);
    for (name, build) in &cases {
        measure(&mut group, BenchmarkId::new(*name, "make_and_solve"), || solving(build, true));
        measure(&mut group, BenchmarkId::new(*name, "solve"), || solving(build, false));
    }
    group.finish();

    let times = cases.each_ref().map(|(_, build)| [true, false].map(|made| least(&mut solving(build, made), 30)));
    for ((name, _), [made, solved]) in cases.iter().zip(times).skip(1) {
        println!(
            "{name}, {M} rows, {}: made and solved in {:.2} us, {:.0} times faster than dense ({:.2} us); solved in \
             {:.2} us, {:.0} times faster than by the dense factor",
            std::any::type_name::<T>(),
            1e6 * made,
            times[0][0] / made,
            1e6 * times[0][0],
            1e6 * solved,
            times[0][1] / solved,
        );
    }
}

fn main() {
    with_threads(1, || {
        let mut criterion = Criterion::default().configure_from_args();
        operators::<f64>(&mut criterion);
        operators::<f32>(&mut criterion);
        criterion.final_summary();
    });
}
