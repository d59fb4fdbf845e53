//! What the benches share: points, kernels, and pieces of work with everything allocated.

// Every bench compiles all of this and uses a part of it.
#![allow(dead_code)]

pub(crate) mod forms;
pub(crate) mod notebook;
pub(crate) mod sparse;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use mercer::batch::{BatchPoints, Batched, Member};
use mercer::prelude::*;
use mercer::testkit::{Task, Workload};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// n points, uniform in [−2, 2]ᴰ; the same on every run.
pub(crate) fn points<T: Scalar>(n: usize, dim: usize) -> Mat<T> {
    uniform(n, dim, -2.0..2.0, 1)
}

/// n points, uniform between two bounds; the same for equal seeds.
pub(crate) fn uniform<T: Scalar>(n: usize, dim: usize, bounds: std::ops::Range<f64>, seed: u64) -> Mat<T> {
    let mut rng = Pcg64::seed_from_u64(seed);
    Mat::from_fn(n, dim, |_, _| T::from_f64(rng.random_range(bounds.clone())))
}

/// So many numbers, evenly from the first to the last.
pub(crate) fn evenly(first: f64, last: f64, count: usize) -> Vec<f64> {
    (0..count).map(|at| first + (last - first) * at as f64 / (count.max(2) - 1) as f64).collect()
}

/// The isotropic lengthscale of all benches: pairs of points keep the same typical value in any dimension.
pub(crate) fn lengthscale(dim: usize) -> f64 {
    0.8 * (dim as f64).sqrt()
}

/// Lengthscales that differ by dimension, around the same size.
pub(crate) fn lengthscales(dim: usize) -> Vec<f64> {
    evenly(0.6, 1.1, dim).into_iter().map(|factor| factor * (dim as f64).sqrt()).collect()
}

/// Receives kernels with their types.
pub(crate) trait KernelVisitor<T: Scalar> {
    fn kernel<K: Kernel<T> + Clone + 'static>(&mut self, name: &'static str, kernel: K);
}

/// The kernels that libraries are compared by, with their hyperparameters there.
pub(crate) fn visit_kernels<T: Scalar>(dim: usize, visitor: &mut impl KernelVisitor<T>) {
    let (l, ard) = (lengthscale(dim), lengthscales(dim));
    let composite = 0.5 * Rbf::new(l) + Matern32::new(l) * Linear::new(0.7) + Periodic::new(1.2, 1.5) * Rbf::new(l);
    visitor.kernel("rbf", 1.3 * Rbf::new(l));
    visitor.kernel("rbf_ard", 1.3 * Rbf::new(ard.clone()));
    visitor.kernel("matern52", 1.3 * Matern52::new(l));
    visitor.kernel("matern52_ard", 1.3 * Matern52::new(ard));
    visitor.kernel("periodic", 1.3 * Periodic::new(1.2, 1.5));
    visitor.kernel("composite", composite);
}

/// Those of [`visit_kernels`] with the given names, in boxes.
pub(crate) fn kernels<T: Scalar>(dim: usize, names: &[&str]) -> Vec<(&'static str, Box<dyn Kernel<T>>)> {
    struct Boxes<'a, T>(&'a [&'a str], Vec<(&'static str, Box<dyn Kernel<T>>)>);
    impl<T: Scalar> KernelVisitor<T> for Boxes<'_, T> {
        fn kernel<K: Kernel<T> + Clone + 'static>(&mut self, name: &'static str, kernel: K) {
            if self.0.contains(&name) {
                self.1.push((name, Box::new(kernel)));
            }
        }
    }
    let mut boxes = Boxes(names, Vec::new());
    visit_kernels(dim, &mut boxes);
    boxes.1
}

/// The kernels of tables of values.
pub(crate) const OF_VALUES: [&str; 5] = ["rbf", "rbf_ard", "matern52", "periodic", "composite"];
/// The kernels of tables of gradients.
pub(crate) const OF_GRADIENTS: [&str; 5] = ["rbf", "rbf_ard", "matern52", "matern52_ard", "composite"];

/// A piece of work with everything allocated.
pub(crate) struct Work<'a> {
    /// Calls in one run: more than one where one alone is too short for a clock.
    pub(crate) calls: usize,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(run: impl FnMut() + 'a) -> Self {
        Self { calls: 1, run: Box::new(run) }
    }

    pub(crate) fn with_calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// A task of the test kit.
    pub(crate) fn task<T: Scalar>(
        task: Task,
        kernel: &'a dyn Kernel<T>,
        x: MatRef<'a, T>,
        z: MatRef<'a, T>,
        par: Par,
    ) -> Self {
        let mut work = Workload::new(task, kernel, x, z).unwrap().with_par(par);
        let calls = if task == Task::Pairwise { work.values() } else { 1 };
        Self::new(move || work.run().unwrap()).with_calls(calls)
    }

    /// k(xᵢ, xᵢ₊₁) for neighbours, with the type of the kernel known, so that the call can be inlined.
    pub(crate) fn pairs<T: Scalar>(points: &'a [Vec<T>], k: impl Fn(&[T], &[T]) -> T + 'a) -> Self {
        let run = move || {
            black_box(black_box(points).windows(2).map(|xy| k(&xy[0], &xy[1])).sum::<T>());
        };
        Self::new(run).with_calls(points.len() - 1)
    }

    /// The Gram matrices of a batch.
    pub(crate) fn batch<T: Scalar, M: Member<T> + 'a>(kernel: Batched<M>, x: impl Into<BatchPoints<'a, T>>) -> Self {
        let x = x.into();
        let mut out = kernel.gram(x.clone()).unwrap();
        Self::new(move || kernel.gram_into(black_box(x.clone()), &mut out).unwrap())
    }

    pub(crate) fn run(&mut self) {
        (self.run)();
    }
}

/// The rows of a matrix, each in memory of its own, as points come to `pairwise`.
pub(crate) fn rows<T: Scalar>(x: &Mat<T>) -> Vec<Vec<T>> {
    (0..x.nrows()).map(|row| x.row(row).iter().copied().collect()).collect()
}

/// As the members of a batch take their points.
pub(crate) fn sets<T: Scalar>(sets: &[Mat<T>]) -> Vec<MatRef<'_, T>> {
    sets.iter().map(Mat::as_ref).collect()
}

/// A group of one precision, named after it.
pub(crate) fn group<'c, T>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    c.benchmark_group(format!("{name}/{}", std::any::type_name::<T>()))
}

/// One benchmark; nothing is built that the command line does not ask for.
pub(crate) fn measure<'a>(group: &mut BenchmarkGroup<'_, WallTime>, id: BenchmarkId, build: impl Fn() -> Work<'a>) {
    let mut work = None;
    group.bench_function(id, |b| {
        let work = work.get_or_insert_with(&build);
        iterate(b, || work.run());
    });
}

/// Times a piece of work: by the clock on the wall or, where the environment variable `MERCER_BENCH_CLOCK` is `cpu`, by the
/// time that the processor spent in this process, which other processes on the machine do not add to.
pub(crate) fn iterate(bencher: &mut Bencher<'_>, mut run: impl FnMut()) {
    if std::env::var_os("MERCER_BENCH_CLOCK").is_none_or(|clock| clock != "cpu") {
        bencher.iter(run);
        return;
    }
    bencher.iter_custom(|iterations| {
        let start = processor_time();
        (0..iterations).for_each(|_| run());
        processor_time() - start
    });
}

#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(unix))]
fn processor_time() -> Duration {
    panic!("MERCER_BENCH_CLOCK=cpu needs a clock of the processor's time, which this system is not known to have")
}

/// As [`measure`], for work of so many values of the kernel, or calls.
pub(crate) fn measure_values<'a>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    values: usize,
    build: impl Fn() -> Work<'a>,
) {
    group.throughput(Throughput::Elements(values as u64));
    measure(group, id, build);
}

/// Runs with so many threads for what divides its work by itself. On one, everything stays on the same thread.
pub(crate) fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}
