//! The emulator of spectra: one evidence with its gradient, training from the default start, and a large case.
//! `cargo bench --bench emulator`; with `-- small`, the large case is small.
//!
//! Spectra are synthetic, from Planck continua and Voigt lines, normalised and standardised. Beside times, it prints the
//! peak memory of the process and the largest allocation, which is of no P × P and no mM × mM matrix.
#![allow(clippy::unwrap_used)]

#[path = "common/memory.rs"]
mod memory;
#[path = "common/spectra.rs"]
mod spectra;

use std::time::{Duration, Instant};

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, Spectra};
use mercer::optim::{Lbfgs, fit};
use mercer::prelude::*;

#[global_allocator]
static ALLOCATOR: memory::Recording = memory::Recording;

const MEBI: f64 = 1_048_576.0;

/// M = product of the grid, m components, P pixels.
struct Case {
    grid: [usize; 3],
    components: usize,
    pixels: usize,
    evaluations: usize,
}

fn main() {
    assert!((spectra::voigt(0.0, 1.0) - 0.427_583_576_155_807).abs() < 1e-4, "erfcx(1)");
    let small = std::env::args().any(|argument| argument == "small");
    run("medium", &Case { grid: [5, 4, 5], components: 8, pixels: 2000, evaluations: 100 });
    let large = Case { grid: [10, 10, 10], components: 7, pixels: 30_000, evaluations: 60 };
    let reduced = Case { grid: [4, 4, 4], components: 7, pixels: 3000, evaluations: 10 };
    run("large", if small { &reduced } else { &large });
}

fn run(name: &str, case: &Case) {
    let theta = spectra::grid(case.grid);
    let (m, p) = (case.components, case.pixels);
    let n = theta.nrows();
    println!("{name}: M = {n} spectra at d = 3 parameters, P = {p} pixels, m = {m} components");
    let data = spectra::spectra(theta.as_ref(), p);
    let in_data = (8 * n * p) as f64;
    println!("  data                      {:>10.1} MiB", in_data / MEBI);
    memory::take_largest();

    let start = Instant::now();
    let settings = PcaSettings { components: Components::Count(m), scale: true, normalise: true };
    let pca = Pca::fit(data.as_ref(), &settings).unwrap();
    let explained: f64 = pca.explained().iter().sum();
    let spectra = Spectra::new(&theta, &data, &pca).unwrap();
    let emulator = Emulator::new(&spectra).unwrap().with_evidence(Evidence::Weights);
    println!("  components, weights       {:>10.3} s, {:.3} % explained", seconds(start.elapsed()), 100.0 * explained);

    let value = least(20, || emulator.objective(&spectra).unwrap());
    println!("  evidence                  {:>10.3} ms", 1e3 * seconds(value));
    let gradient = least(20, || emulator.gradient(&spectra).unwrap());
    println!("  evidence with gradient    {:>10.3} ms", 1e3 * seconds(gradient));
    let emulator = train(emulator, &spectra, case.evaluations);

    let start = Instant::now();
    let posterior = emulator.condition(&spectra).unwrap();
    let at = Mat::from_fn(20, 3, |row, dim| theta[(row, dim)] * 1.001);
    let fluxes = posterior.fluxes(at.as_ref()).unwrap();
    println!("  posterior, 20 spectra     {:>10.3} s, {:?}", seconds(start.elapsed()), posterior.structure());
    assert!(fluxes.iter().all(|flux| flux.variance().iter().all(|variance| variance.is_finite())));
    report_memory(n, m, p, in_data);
}

/// The best emulator within so many evaluations from where it is.
fn train(mut emulator: Emulator, spectra: &Spectra, evaluations: usize) -> Emulator {
    let start = Instant::now();
    let before = emulator.objective(spectra).unwrap().value;
    let mut count = 0;
    let search = Lbfgs { max_steps: evaluations, ..Lbfgs::default() };
    let stopped = mercer::Error::Optimisation { step: evaluations, reason: "all evaluations done".to_owned() };
    let outcome = fit(&mut emulator, &search, |model| {
        count += 1;
        if count > evaluations {
            return Err(stopped.clone());
        }
        let (evidence, gradient) = model.gradient(spectra)?;
        Ok((-evidence.value, gradient.into_iter().map(|entry| -entry).collect()))
    });
    let after = emulator.objective(spectra).unwrap().value;
    let evaluated = count.min(evaluations);
    let how = if outcome.is_ok_and(|minimum| minimum.converged) { ", converged" } else { "" };
    println!("  training                  {:>10.3} s, {evaluated} evaluations{how}", seconds(start.elapsed()));
    println!("  evidence of the weights   {before:>10.2} at the start, {after:.2} at the end");
    emulator
}

fn report_memory(n: usize, m: usize, p: usize, in_data: f64) {
    let largest = memory::take_largest() as f64;
    let (of_pixels, of_weights) = (8.0 * (p as f64).powi(2), 8.0 * ((m * n) as f64).powi(2));
    println!("  largest allocation        {:>10.1} MiB", largest / MEBI);
    println!("    (P x P would be {:.1} MiB, mM x mM {:.1} MiB)", of_pixels / MEBI, of_weights / MEBI);
    if let Some(peak) = memory::peak() {
        let (peak, beside) = (peak as f64, peak as f64 - in_data);
        println!("  peak memory so far        {:>10.1} MiB, {:.1} MiB beside the data", peak / MEBI, beside / MEBI);
    }
}

/// The least time of several.
fn least<R>(times: usize, mut run: impl FnMut() -> R) -> Duration {
    let once = || {
        let start = Instant::now();
        std::hint::black_box(run());
        start.elapsed()
    };
    std::iter::repeat_with(once).take(times).min().unwrap()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
