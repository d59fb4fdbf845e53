//! Every row of the benchmark notebook of Kernax, on one thread. `cargo bench --bench notebook`
//!
//! A row of pairs is many calls, which its throughput counts.
#![allow(clippy::unwrap_used)]

mod common;

use common::notebook::Data;
use common::{measure_values, with_threads};
use criterion::{BenchmarkId, Criterion};
use mercer::prelude::*;

fn main() {
    with_threads(1, || {
        let data = Data::new();
        let mut criterion = Criterion::default().configure_from_args();
        let mut group = criterion.benchmark_group("notebook");
        for row in data.rows(Par::Seq) {
            measure_values(&mut group, BenchmarkId::from_parameter(&row.name), row.calls, &row.build);
        }
        group.finish();
        criterion.final_summary();
    });
}
