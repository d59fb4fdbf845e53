//! Every leaf of the registry, and a kernel that is not part of the library, on every task that it can do: to
//! compare implementations of kernels. `cargo bench --bench kernel_zoo`, or `… -- gram/f64` for one task.
//!
//! For a kernel of your own, copy [`of_my_own`]: a call of `zoo` is all it takes.
#![allow(clippy::unwrap_used)]

mod common;
/// The example of a kernel of one's own.
#[allow(dead_code)]
#[path = "../examples/custom_kernel.rs"]
mod custom_kernel;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use custom_kernel::ArcSine;
use mercer::algebra::registry;
use mercer::prelude::*;
use mercer::testkit::{Workload, few_dims, points_for};

const N: usize = 400;
const M: usize = 100;

/// A kernel on all its tasks.
fn zoo<T: Scalar>(c: &mut Criterion, name: &str, kernel: &dyn Kernel<T>) {
    let dim = few_dims(kernel);
    let (x, z) = (points_for::<T>(kernel, N, dim, 1), points_for::<T>(kernel, M, dim, 2));
    for mut work in Workload::all(kernel, x.as_ref(), z.as_ref()).unwrap() {
        let mut group = common::group::<T>(c, work.name());
        group.throughput(Throughput::Elements(work.values() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| common::iterate(b, || work.run().unwrap()));
        group.finish();
    }
}

fn of_my_own<T: Scalar>(c: &mut Criterion) {
    let kernel = ArcSine::new(2.0);
    zoo::<T>(c, "user-defined ArcSine", &kernel);
    // The same function up to a factor, built in.
    zoo::<T>(c, "NeuralNetwork of the same weights", &NeuralNetwork::new(2.0, 2.0));
}

fn main() {
    // There are hundreds of rows: each gets a short time.
    let mut criterion = Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .configure_from_args();
    for (name, kernel) in registry::all().iter().filter(|(_, kernel)| kernel.children().is_empty()) {
        zoo::<f64>(&mut criterion, name, kernel);
        zoo::<f32>(&mut criterion, name, kernel);
    }
    of_my_own::<f64>(&mut criterion);
    of_my_own::<f32>(&mut criterion);
    criterion.final_summary();
}
