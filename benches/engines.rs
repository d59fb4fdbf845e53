//! Time and memory of the engines of exact models against the number of observations, with the slopes of both in logarithms.
//! `taskset -c 0 cargo bench --bench engines`; with `-- small`, up to fewer; with `-- row KERNEL N`, one row of the Markov engine
//! as a line of JSON, which `benches/engines.py` sets beside the peers.
//!
//! One thread, `f64`, the best of several runs; memory beside the data. Times are irregular but for the grid.
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;

use std::hint::black_box;
use std::time::Instant;

use mercer::gp::{Engine, ExactGp, Memory};
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

#[global_allocator]
static ALLOCATOR: memory::Recording = memory::Recording;

const NEW: usize = 10_000;
const NOISE: f64 = 0.09;

/// The kernels of the table, by letter.
fn kernel(letter: &str) -> Option<DynKernel> {
    let slow = Matern32::new(2.0);
    Some(match letter {
        "a" => slow.dynamic(),
        "b" => DampedOscillator::new(3.0, 1.0).dynamic(),
        "c" => (slow + DampedOscillator::new(3.0, 2.0) + 0.25 * DampedOscillator::new(9.0, 3.0)).dynamic(),
        "d" => (Matern52::new(2.0) + Matern32::new(4.0) * Cosine::new(3.0)).dynamic(),
        _ => return None,
    })
}

/// Fifty observations in a unit of time, at random times.
fn irregular(n: usize) -> Data<f64> {
    let mut rng = Pcg64::seed_from_u64(0);
    let mut times: Vec<f64> = (0..n).map(|_| rng.random_range(0.0..n as f64 / 50.0)).collect();
    times.sort_by(f64::total_cmp);
    let y: Vec<f64> = times.iter().map(|t| (0.3 * t).sin() + 0.3 * (rng.random_range(-1.7..1.7))).collect();
    Data::new(times, y)
}

fn grid(n: usize) -> Data<f64> {
    let times: Vec<f64> = (0..n).map(|row| 0.02 * row as f64).collect();
    let y: Vec<f64> = times.iter().map(|t| (0.3 * t).sin()).collect();
    Data::new(times, y)
}

fn model(kernel: DynKernel, engine: Engine) -> ExactGp {
    ExactGp::new(kernel).with_noise(NOISE).unwrap().with_engine(engine).with_par(Par::Seq)
}

/// Seconds, and bytes in use beyond what was before.
fn measure(mut run: impl FnMut()) -> (f64, f64) {
    let bytes = memory::most_during(&mut run);
    let (begun, mut best) = (Instant::now(), f64::INFINITY);
    for _ in 0..7 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        if begun.elapsed().as_secs_f64() > 8.0 {
            break;
        }
    }
    (best, bytes as f64)
}

/// The log marginal likelihood, that with its gradient, and means and variances at the data and at 10,000 new points.
fn row(gp: &ExactGp, data: &Data<f64>, predictions: bool) -> [(f64, f64); 3] {
    let density = measure(|| {
        black_box(gp.objective(data).unwrap());
    });
    let gradient = measure(|| {
        black_box(gp.evaluate(data, &Memory::default()).unwrap());
    });
    if !predictions {
        return [density, gradient, (f64::NAN, f64::NAN)];
    }
    let n = data.x().nrows();
    let last = data.x()[(n - 1, 0)];
    let mut at: Vec<f64> = (0..NEW).map(|row| last * row as f64 / NEW as f64).collect();
    at.extend((0..n).map(|row| data.x()[(row, 0)]));
    at.sort_by(f64::total_cmp);
    let x = MatRef::from_column_major_slice(&at, at.len(), 1);
    let seen = measure(|| {
        black_box(gp.condition(data).unwrap().predict(x).unwrap());
    });
    [density, gradient, seen]
}

/// The slope of the logarithms by least squares, over the larger half of the sizes.
fn slope(points: &[(f64, f64)]) -> f64 {
    let points = &points[points.len() / 2 - usize::from(points.len() < 4)..];
    let logs: Vec<(f64, f64)> = points.iter().map(|(n, value)| (n.ln(), value.ln())).collect();
    let count = logs.len() as f64;
    let (x, y) = (logs.iter().map(|l| l.0).sum::<f64>() / count, logs.iter().map(|l| l.1).sum::<f64>() / count);
    let across: f64 = logs.iter().map(|l| (l.0 - x) * (l.1 - y)).sum();
    across / logs.iter().map(|l| (l.0 - x).powi(2)).sum::<f64>()
}

fn series(name: &str, kernel: &DynKernel, engine: Engine, sizes: &[usize], data: fn(usize) -> Data<f64>) {
    let mut times: [Vec<(f64, f64)>; 3] = Default::default();
    let mut memory = Vec::new();
    for &n in sizes {
        let found = row(&model(kernel.clone(), engine), &data(n), engine == Engine::markov());
        let text: Vec<String> = found.iter().map(|(seconds, _)| format!("{:>11.2}", seconds * 1e3)).collect();
        println!("{name:<12} {n:>8} {} {:>9.1}", text.join(" "), found[1].1 / 1e6);
        times.iter_mut().zip(&found).for_each(|(times, found)| times.push((n as f64, found.0)));
        memory.push((n as f64, found[1].1));
    }
    if sizes.len() > 1 {
        let slopes: Vec<String> = times.iter().map(|times| format!("{:>11.2}", slope(times))).collect();
        println!("{name:<12}    slope {} {:>9.2}", slopes.join(" "), slope(&memory));
    }
}

fn main() {
    let words: Vec<String> = std::env::args().filter(|word| !word.starts_with("--")).collect();
    if let Some(at) = words.iter().position(|word| word == "row") {
        let (letter, n) = (&words[at + 1], words[at + 2].parse().unwrap());
        let found = row(&model(kernel(letter).unwrap(), Engine::markov()), &irregular(n), true);
        let seconds: Vec<String> = found.iter().map(|found| format!("{:.6}", found.0)).collect();
        let bytes = found.iter().map(|found| found.1).fold(0.0, f64::max);
        println!("{{\"kernel\":\"{letter}\",\"n\":{n},\"seconds\":[{}],\"bytes\":{bytes}}}", seconds.join(","));
        return;
    }
    let small = words.iter().any(|word| word == "small");
    println!("engine              n  density ms gradient ms  predict ms gradient MB");
    let many: &[usize] = if small { &[2_000, 20_000] } else { &[20_000, 200_000, 936_001] };
    for letter in ["a", "b", "c", "d"] {
        series(&format!("Markov {letter}"), &kernel(letter).unwrap(), Engine::markov(), many, irregular);
    }
    let some: &[usize] = if small { &[500, 1_000] } else { &[2_500, 5_000, 10_000, 20_000] };
    series("Toeplitz", &kernel("a").unwrap(), Engine::Toeplitz, some, grid);
    let few: &[usize] = if small { &[250, 500] } else { &[500, 1_000, 2_000] };
    series("Dense", &kernel("a").unwrap(), Engine::Dense, few, irregular);
}
