//! Random kernels and points: every engine gives what dense matrices give.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Data, Engine, ExactGp, Memory};
use mercer::likelihood::FixedNoise;
use mercer::mean::LinearMean;
use mercer::prelude::*;
use mercer::testkit::{seed, trials};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

fn leaf(rng: &mut impl Rng, stationary: bool) -> DynKernel {
    let scale = |rng: &mut dyn Rng| (rng.random_range(-1.5f64..2.0)).exp();
    let mut frozen = Matern::new(scale(rng), 3.5 + f64::from(rng.random_range(0u32..2)));
    frozen.freeze("matern.nu").unwrap();
    match rng.random_range(0..if stationary { 8 } else { 13 }) {
        0 => Matern12::new(scale(rng)).dynamic(),
        1 => Matern32::new(scale(rng)).dynamic(),
        2 => Matern52::new(scale(rng)).dynamic(),
        3 => frozen.dynamic(),
        4 => Cosine::new(scale(rng)).dynamic(),
        5 | 6 => {
            DampedOscillator::new(scale(rng), [0.2, 0.5, 0.500_000_1, 3.0, 40.0][rng.random_range(0..5)]).dynamic()
        }
        7 => Constant::new(scale(rng)).dynamic(),
        8 => Linear::new(0.1 * scale(rng)).dynamic(),
        9 => Polynomial::new(2, 0.1, 0.5).dynamic(),
        10 => Brownian::new(0.2 * scale(rng)).dynamic(),
        11 => IntegratedBrownian::new(0.02 * scale(rng)).dynamic(),
        _ => White::new(0.1 * scale(rng)).dynamic(),
    }
}

fn term(rng: &mut impl Rng, stationary: bool) -> DynKernel {
    let kernel = match rng.random_range(0..6) {
        0 => leaf(rng, true) * leaf(rng, stationary),
        1 => (leaf(rng, true) + leaf(rng, true)) * Cosine::new(1.7),
        2 => leaf(rng, stationary).stretch(rng.random_range(0.3..3.0)).dynamic(),
        3 => leaf(rng, true).pow(2).dynamic(),
        _ => leaf(rng, stationary),
    };
    if rng.random_bool(0.5) { (rng.random_range(0.1..3.0) * kernel).dynamic() } else { kernel.dynamic() }
}

fn kernel(rng: &mut impl Rng, stationary: bool) -> DynKernel {
    let terms = rng.random_range(0..3);
    (0..terms).fold(term(rng, stationary), |sum, _| (sum + term(rng, stationary)).dynamic())
}

/// Times with gaps and repeats, in any order, about the origin or far to one side; observations, some of which are missing.
fn series(rng: &mut impl Rng, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut time = [0.0, -3.0, 40.0][rng.random_range(0..3)];
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        time += match rng.random_range(0..8) {
            0 => 0.0,
            1 => rng.random_range(2.0..9.0),
            _ => rng.random_range(0.0..0.4),
        };
        times.push(time);
    }
    if rng.random_bool(0.5) {
        (0..n).for_each(|row| times.swap(row, rng.random_range(0..n)));
    }
    let of = |rng: &mut dyn Rng, time: f64| {
        if rng.random_bool(0.1) { f64::NAN } else { time.sin() + rng.random_range(-0.5..0.5) }
    };
    let mut y: Vec<f64> = times.iter().map(|&time| of(rng, time)).collect();
    y[0] = 0.3;
    (times, y)
}

/// What dense matrices lose themselves: the condition of the covariance of the observations.
fn condition(gp: &ExactGp<DynKernel, FixedNoise>, data: &Data<f64>, noise: &[f64]) -> f64 {
    let gram: Mat<f64> = gp.kernel().gram(data.x()).unwrap();
    let size = (0..gram.nrows()).map(|row| gram[(row, row)]).sum::<f64>();
    1.0 + size / noise.iter().copied().fold(f64::INFINITY, f64::min)
}

fn close(found: f64, expected: f64, unit: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * (expected.abs() + unit)
}

#[test]
fn markov_processes_are_what_dense_matrices_say() {
    let mut rng = Pcg64::seed_from_u64(seed(22));
    for trial in 0..trials(150) {
        let stationary = trial % 2 == 0;
        let kernel = kernel(&mut rng, stationary);
        let n = rng.random_range(1..if trial % 10 == 0 { 150 } else { 40 });
        let (times, y) = series(&mut rng, n);
        let noise: Vec<f64> = (0..n).map(|_| 10f64.powf(rng.random_range(-4.0..0.0))).collect();
        let data = Data::new(&times, &y);
        let dense = ExactGp::new(kernel.clone())
            .with_mean(LinearMean::new([0.1]))
            .with_likelihood(FixedNoise::new(&noise).unwrap())
            .with_engine(Engine::Dense);
        let markov = dense.clone().with_engine(Engine::markov());
        if markov.explain(&data).is_err() {
            // Noise times what changes with time.
            continue;
        }
        // Digits are lost by the condition of the covariance; and where derivatives are sums over all observations of terms that
        // cancel, some hundred units of rounding.
        let lost = 3e-14 * condition(&dense, &data, &noise);
        let of = |gp: &ExactGp<DynKernel, FixedNoise>| gp.evaluate(&data, &Memory::default()).unwrap();
        let ((value, gradient), (expected, gradients)) = (of(&markov), of(&dense));
        assert!(close(value, expected, 1.0, 1e-9f64.max(lost)), "trial {trial}, {kernel}: {value} {expected}");
        let largest = gradients.iter().fold(1.0f64, |most, of| most.max(of.abs()));
        for (index, (found, of)) in gradient.iter().zip(&gradients).enumerate() {
            let frozen = gp_frozen(&dense, index);
            assert!(
                frozen || close(*found, *of, largest, 1e-7f64.max(lost)),
                "trial {trial}, {kernel}: derivative {index} {found} {of}"
            );
        }

        let (mut new, _) = series(&mut rng, 7);
        new.extend([times[0], times[n - 1] - 1e-3, times[n / 2]]);
        let at = MatRef::from_column_major_slice(&new, new.len(), 1);
        let (found, known) = (markov.condition(&data).unwrap(), dense.condition(&data).unwrap());
        let (a, b) = (found.predict(at).unwrap(), known.predict(at).unwrap());
        let prior = markov.prior::<f64>().predict(at).unwrap().variance;
        let tolerance = 1e-8f64.max(lost);
        for row in 0..new.len() {
            let (mean, variance) = (a.mean[(row, 0)], a.variance[(row, 0)]);
            assert!(
                close(mean, b.mean[(row, 0)], 1.0, tolerance),
                "trial {trial}, {kernel}: mean {mean} {}",
                b.mean[(row, 0)]
            );
            let unit = prior[(row, 0)];
            assert!(
                close(variance, b.variance[(row, 0)], unit, tolerance),
                "trial {trial}, {kernel}: variance {variance} {}",
                b.variance[(row, 0)]
            );
        }
        let (a, b) = (found.covariance(at, 0).unwrap(), known.covariance(at, 0).unwrap());
        let unit = prior.norm_max();
        assert!(
            (&a - &b).norm_max() <= tolerance * unit,
            "trial {trial}, {kernel}: covariance {}",
            (&a - &b).norm_max()
        );

        let (a, b) = (markov.leave_one_out(&data).unwrap(), dense.leave_one_out(&data).unwrap());
        for row in 0..a.mean.len() {
            assert!(
                close(a.mean[row], b.mean[row], 1.0, tolerance)
                    && close(a.variance[row], b.variance[row], 1.0, tolerance)
            );
        }
        assert_eq!(a.mean.len(), b.mean.len());
    }
}

fn gp_frozen(gp: &ExactGp<DynKernel, FixedNoise>, index: usize) -> bool {
    gp.parameters().get(index).is_some_and(|entry| !entry.free)
}

/// Periodic kernels by harmonics: within the tolerance, which is the error of a correlation.
#[test]
fn periodic_kernels_to_a_tolerance() {
    let mut rng = Pcg64::seed_from_u64(seed(23));
    let (times, y) = series(&mut rng, 60);
    let data = Data::new(times, y);
    for (tolerance, lengthscales) in [(1e-3, [0.4, 1.0]), (1e-6, [0.7, 3.0]), (1e-12, [1.5, 4.0])] {
        for lengthscale in lengthscales {
            let kernel = 1.5 * Periodic::new(lengthscale, 2.3) * Matern32::new(20.0) + Matern12::new(1.0);
            let dense = ExactGp::new(kernel).with_noise(0.1).unwrap();
            let markov = dense.clone().with_engine(Engine::Markov { tolerance: Some(tolerance) });
            let of = |gp: &ExactGp<_>| gp.evaluate(&data, &Memory::default()).unwrap();
            let ((value, gradient), (expected, gradients)) = (of(&markov), of(&dense));
            // 60 observations with a noise of 0.1.
            let most = 1e-9 + 60.0 * 60.0 * tolerance / 0.1;
            assert!((value - expected).abs() < most, "{tolerance}, {lengthscale}: {value} {expected}");
            for (a, b) in gradient.iter().zip(&gradients) {
                assert!((a - b).abs() < 1e-7 + 60.0 * most * (1.0 + b.abs()), "{tolerance}, {lengthscale}: {a} {b}");
            }
            let error = dense.clone().with_engine(Engine::markov()).objective(&data).unwrap_err().to_string();
            assert!(error.contains("only to a tolerance"), "{error}");
        }
    }
}

/// Every kernel of the registry that an engine takes, in one dimension: the same by all engines that apply.
#[test]
fn kernels_of_the_registry() {
    let times: Vec<f64> = (0..23).map(|row| 0.25 * f64::from(row) - 1.0).collect();
    let data = Data::new(&times, times.iter().map(|t| t.sin()).collect::<Vec<_>>());
    let mut taken = Vec::new();
    for (name, kernel) in mercer::algebra::registry::all() {
        if kernel.inputs(1).is_err() || !kernel.properties().psd.holds_in(1) {
            continue;
        }
        let text = kernel.to_string();
        let dense = ExactGp::new(kernel).with_noise(0.1).unwrap().with_engine(Engine::Dense);
        // Kernels of indices take none of these points.
        let Ok(expected) = dense.objective(&data) else { continue };
        for engine in [Engine::markov(), Engine::Toeplitz] {
            let gp = dense.clone().with_engine(engine);
            if let Ok(value) = gp.objective(&data) {
                assert!(close(value, expected, 1.0, 1e-10), "{name} by {engine:?}: {value} {expected}");
                taken.push((text.clone(), engine));
            }
        }
    }
    let of = |engine| taken.iter().filter(|(_, taken)| *taken == engine).count();
    assert!(taken.iter().any(|(text, engine)| text.starts_with("gamma_exponential(") && *engine == Engine::Toeplitz));
    for name in
        ["matern32", "cosine", "damped_oscillator", "brownian", "integrated_brownian", "linear", "polynomial", "white"]
    {
        let is = |text: &str| text.split_once('(').is_some_and(|(found, _)| found == name);
        assert!(taken.iter().any(|(text, engine)| is(text) && *engine == Engine::markov()), "{name}");
    }
    assert!(of(Engine::Toeplitz) > 15, "{}", of(Engine::Toeplitz));
}
