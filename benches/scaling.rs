//! Time and memory of models against the number of observations, with the slopes of both in logarithms.
//! `taskset -c 0 cargo bench --bench scaling`; with `-- small`, up to fewer.
//!
//! One thread, `f64`, the best of several runs; memory beside the data and what the model holds. The exact process takes n³
//! and n², the collapsed bound n with M inducing inputs, as predictions do; a step of the variational one takes the same for any n.
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;

use std::hint::black_box;
use std::time::Instant;

use mercer::gp::{ExactGp, Memory, Sgpr, Svgp};
use mercer::prelude::*;
use mercer::testkit::points;

#[global_allocator]
static ALLOCATOR: memory::Recording = memory::Recording;

const DIM: usize = 4;
const INDUCING: usize = 100;
const BATCH: usize = 1000;
const RUNS: usize = 5;

fn kernel() -> Scaled<Rbf> {
    1.3 * Rbf::new([1.0, 1.5, 2.0, 2.5])
}

fn data(n: usize) -> Data<f64> {
    let x = points::<f64>(n, DIM, 1);
    let y: Vec<f64> = (0..n).map(|row| (0..DIM).map(|dim| x[(row, dim)]).sum::<f64>().sin()).collect();
    Data::new(x, y)
}

/// Seconds, and bytes in use beyond what was before.
fn measure(mut run: impl FnMut()) -> (f64, f64) {
    run();
    let bytes = memory::most_during(&mut run);
    let once = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (std::iter::repeat_with(once).take(RUNS).fold(f64::INFINITY, f64::min), bytes as f64)
}

fn exact(n: usize) -> (f64, f64) {
    let (model, data) = (ExactGp::new(kernel()).with_noise(0.05).unwrap().with_par(Par::Seq), data(n));
    measure(|| {
        black_box(model.gradient(&data).unwrap());
    })
}

fn collapsed(n: usize) -> (f64, f64) {
    let (model, data) = (Sgpr::new(kernel(), points::<f64>(INDUCING, DIM, 2).as_ref()).unwrap(), data(n));
    let model = model.with_noise(0.05).unwrap().with_par(Par::Seq);
    measure(|| {
        black_box(model.gradient(&data).unwrap());
    })
}

fn variational(n: usize) -> (f64, f64) {
    let model = Svgp::new(kernel(), points::<f64>(INDUCING, DIM, 2).as_ref()).unwrap().with_par(Par::Seq);
    let (batch, memory) = (data(BATCH).part_of(n), Memory::default().without_rounding());
    measure(|| {
        black_box(model.evaluate(&batch, &memory).unwrap());
    })
}

fn prediction(n: usize) -> (f64, f64) {
    let model = Svgp::new(kernel(), points::<f64>(INDUCING, DIM, 2).as_ref()).unwrap().with_par(Par::Seq);
    let (posterior, at) = (model.posterior::<f64>().unwrap(), points::<f64>(n, DIM, 3));
    measure(|| {
        black_box(posterior.predict(at.as_ref()).unwrap());
    })
}

/// The slope of a line through logarithms, by least squares.
fn slope(sizes: &[usize], values: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<(f64, f64)> = sizes.iter().zip(values).map(|(&n, value)| ((n as f64).ln(), value.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|at| at.0), mean(|at| at.1));
    let rise: f64 = logs.iter().map(|at| (at.0 - x) * (at.1 - y)).sum();
    rise / logs.iter().map(|at| (at.0 - x).powi(2)).sum::<f64>()
}

fn main() {
    let small = std::env::args().any(|argument| argument == "small");
    let sizes = |first: usize, count: usize| -> Vec<usize> {
        (0..if small { 2 } else { count }).map(|power| first << power).collect()
    };
    type Run = fn(usize) -> (f64, f64);
    let cases: [(&str, Run, Vec<usize>); 4] = [
        ("evidence of an exact process, with gradient", exact, sizes(250, 4)),
        ("collapsed bound, M = 100, with gradient", collapsed, sizes(2000, 5)),
        ("variational step, M = 100, batch 1000", variational, sizes(10_000, 5)),
        ("predictions, M = 100", prediction, sizes(1000, 6)),
    ];
    for (name, run, sizes) in cases {
        println!("{name}");
        let found: Vec<(f64, f64)> = sizes.iter().map(|&n| run(n)).collect();
        for (n, (seconds, bytes)) in sizes.iter().zip(&found) {
            println!("  n = {n:>7}  {:>10.3} ms  {:>8.2} MiB", 1e3 * seconds, bytes / 1_048_576.0);
        }
        let [time, memory] = [slope(&sizes, found.iter().map(|at| at.0)), slope(&sizes, found.iter().map(|at| at.1))];
        println!("  slopes: time {time:.2}, memory {memory:.2}");
    }
}
