//! The emulator of spectra: an evidence with its gradient at the size of a small grid, then everything at 1000 spectra
//! of 30 000 pixels, made of Planck continua and Voigt lines. `cargo bench --bench emulator [-- small]`
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// The profile of a line of Doppler width and damping in pixels, of unit depth at its centre: a Lorentzian and a
/// Gaussian of the width of the Voigt profile, mixed after Thompson, Cox & Hastings (1987).
fn voigt(x: f64, sigma: f64, gamma: f64) -> f64 {
    let (g, l) = (2.3548 * sigma, 2.0 * gamma);
    let powers = [1.0, 2.69269, 2.42843, 4.47163, 0.07842, 1.0];
    let width = (0..6).map(|k| powers[k] * g.powi(5 - k as i32) * l.powi(k as i32)).sum::<f64>().powf(0.2);
    let share = l / width;
    let mix = share * (1.36603 - share * (0.47719 - 0.11116 * share));
    let u = 2.0 * x / width;
    mix / (1.0 + u * u) + (1.0 - mix) * (-std::f64::consts::LN_2 * u * u).exp()
}

/// Spectra from 500 to 530 nm at temperatures, gravities and metallicities that are drawn, a line each 60 pixels.
fn spectra(count: usize, pixels: usize, rng: &mut impl Rng) -> (Mat<f64>, Mat<f64>) {
    let ranges = [5000.0..6500.0, 3.5..5.0, -1.0..0.5];
    let theta = Mat::from_fn(count, 3, |_, dim| rng.random_range(ranges[dim].clone()));
    let lines: Vec<(usize, f64, f64)> = (0..pixels / 60 + 1)
        .map(|_| (rng.random_range(0..pixels), rng.random_range(0.1..1.5), rng.random_range(0.5..5.0)))
        .collect();
    let mut fluxes = Mat::zeros(pixels, count);
    for spectrum in 0..count {
        let (t, g, z) = (theta[(spectrum, 0)], theta[(spectrum, 1)], theta[(spectrum, 2)]);
        let mut depth = vec![0.0; pixels];
        for &(centre, strength, energy) in &lines {
            // Excitation by temperature, abundance, pressure broadening.
            let strength = strength * 10f64.powf(0.6 * z) * (-energy * 11604.5 * (1.0 / t - 1.0 / 5772.0)).exp();
            let (sigma, gamma) = (3.0 * (t / 5772.0).sqrt(), 0.8 * 10f64.powf(0.3 * (g - 4.44)));
            let window = centre.saturating_sub(150)..(centre + 150).min(pixels);
            for pixel in window {
                depth[pixel] += strength * voigt(pixel as f64 - centre as f64, sigma, gamma);
            }
        }
        for (pixel, depth) in depth.into_iter().enumerate() {
            let wavelength = 500e-9 + 30e-9 * pixel as f64 / pixels as f64;
            let planck = 1.191043e-16 / wavelength.powi(5) / (0.0143878 / (wavelength * t)).exp_m1();
            fluxes[(pixel, spectrum)] = planck * (-depth).exp();
        }
    }
    (theta, fluxes.transpose().to_owned())
}

/// The median of some runs, in milliseconds.
fn median<R>(runs: usize, mut run: impl FnMut() -> R) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// The most memory that the process has had, in MiB; 0 where the system does not say.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).and_then(|line| line.split_whitespace().nth(1));
    line.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn report(what: &str, milliseconds: f64) {
    println!("{what:<40} {milliseconds:>12.3} ms   peak {:.0} MiB", peak());
}

fn once<R>(what: &str, run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = run();
    report(what, 1e3 * start.elapsed().as_secs_f64());
    result
}

fn case(count: usize, pixels: usize, components: usize, runs: usize) {
    println!("M = {count}, P = {pixels}, m = {components}");
    let (theta, fluxes) = once("spectra", || spectra(count, pixels, &mut Pcg64::seed_from_u64(1)));
    let settings = PcaSettings { components: Components::Count(components), scale: true, normalise: true };
    let pca = once("principal components", || Pca::fit(fluxes.as_ref(), &settings).unwrap());
    println!("explained: {:.7}", pca.explained().iter().sum::<f64>());
    let mut emulator = once("emulator", || Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap());
    let sequential = emulator.clone().with_par(Par::Seq);
    for (name, emulator) in [("all threads", &emulator), ("one thread", &sequential)] {
        let evidence = median(runs, || emulator.log_evidence(Evidence::Fluxes).unwrap());
        report(&format!("evidence, {name}"), evidence);
        let gradient = median(runs, || emulator.log_evidence_gradient(Evidence::Fluxes).unwrap());
        report(&format!("evidence with gradient, {name}"), gradient);
    }
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let mut trained = emulator.clone();
        let minimum =
            once("training", || trained.fit(evidence, &Lbfgs { max_steps: 200, ..Lbfgs::default() }).unwrap());
        println!("{evidence:?}: {} after {} evaluations: {}", -minimum.value, minimum.evaluations, minimum.reason);
        emulator = trained;
    }
    let posterior = once("posterior", || emulator.condition().unwrap());
    let at = spectra(1, pixels, &mut Pcg64::seed_from_u64(2)).0;
    let predicted = median(runs, || posterior.fluxes(at.as_ref()).unwrap());
    report("one spectrum predicted", predicted);
}

fn main() {
    case(100, 2000, 8, 200);
    if !std::env::args().any(|arg| arg == "small") {
        case(1000, 30_000, 7, 3);
    }
}
