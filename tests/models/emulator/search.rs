//! Fits.
#![allow(clippy::unwrap_used)]

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, Spectra};
use mercer::optim::{Lbfgs, Minimized, Minimizer, Minimum};
use mercer::params::Prior;
use mercer::prelude::*;
use rand::SeedableRng;

use super::{fixture, pca, spectra, stars};
use crate::common::close::assert_vector_close;
use crate::common::stored::{matrix, vector};

/// L-BFGS, cut off after so many evaluations.
struct CutOff(usize);

impl Minimizer for CutOff {
    fn minimize(&self, objective: &mut Minimized<'_>, start: &[f64]) -> mercer::Result<Minimum> {
        let mut left = self.0;
        let mut counted = |x: &[f64]| match left {
            0 => Err(Error::Optimisation { step: self.0, reason: "cut off".into() }),
            _ => {
                left -= 1;
                objective(x)
            }
        };
        Lbfgs::default().minimize(&mut counted, start)
    }
}

/// From the default start, within 100 evaluations, to where a search without end arrives.
#[test]
fn training_from_the_default_start_arrives() {
    let fixture = fixture();
    let pca = pca(&fixture);
    let (theta, raw) = (matrix(&fixture["grid_points"]), matrix(&fixture["raw_fluxes"]));
    let seen = Spectra::new(&theta, &raw, &pca).unwrap();
    let start = Emulator::new(&seen).unwrap();
    let expected: Vec<f64> = vector(&fixture["settings"]["default"]["p"]).iter().map(|log| log.exp()).collect();
    let order = [0, 1, 4, 5, 6, 2, 7, 8, 9, 3, 10, 11, 12];
    assert_vector_close("start", &start.values(), &order.map(|index| expected[index]), 1e-12);
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let start = start.clone().with_evidence(evidence);
        let (mut emulator, mut long) = (start.clone(), start.clone());
        emulator.fit(&seen, &CutOff(100)).ok();
        let endless = Lbfgs { max_steps: 5000, cost_tolerance: 0.0, ..Lbfgs::default() };
        long.fit(&seen, &endless).unwrap();
        let [first, reached, best] =
            [&start, &emulator, &long].map(|emulator| emulator.objective(&seen).unwrap().value);
        assert!(reached > best - 1e-6, "{evidence:?}: {reached} of {best}");
        assert!(best > first + 100.0);
    }
}

#[test]
fn priors_frozen_and_tied_parameters_count_in_training() {
    let (theta, fluxes) = spectra(20, 30, 7);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let mut emulator = Emulator::new(&seen).unwrap().with_evidence(Evidence::Weights);
    emulator.freeze("precision").unwrap();
    emulator.tie(&["kernel[0].scaled.rbf.lengthscale", "kernel[1].scaled.rbf.lengthscale"]).unwrap();
    emulator.set_prior("kernel[0].scaled.factor", Prior::log_normal(3.0, 1e-3).unwrap()).unwrap();
    emulator.fit(&seen, &Lbfgs::default()).unwrap();
    let get = |path: &str| emulator.get(path).unwrap();
    assert_eq!(emulator.precision(), 1.0);
    assert_eq!(get("kernel[0].scaled.rbf.lengthscale[1]"), get("kernel[1].scaled.rbf.lengthscale[1]"));
    assert!((get("kernel[0].scaled.factor").ln() - 3.0).abs() < 0.01);
}

/// Spectra in other units have the same fit, and the same log evidence but for the unit, from one start for all.
#[test]
fn a_fit_does_not_depend_on_the_unit_of_the_flux() {
    let (theta, fluxes) = spectra(14, 20, 16);
    let fitted = |unit: f64| {
        let fluxes = &fluxes * faer::Scale(unit);
        let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
        let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
        let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
        let mut emulator = Emulator::new(&seen).unwrap().with_evidence(Evidence::Weights);
        emulator.fit(&seen, &Lbfgs::default()).unwrap();
        let evidence = emulator.objective(&seen).unwrap().value + 28.0 * unit.ln();
        let at = mat![[0.7, 210.0]];
        let flux = emulator.condition(&seen).unwrap().fluxes(at.as_ref()).unwrap().remove(0);
        (evidence, flux.scaled(1.0 / unit).unwrap())
    };
    let (evidence, flux) = fitted(1.0);
    for unit in [1e-12, 1e-6, 1e6, 1e12] {
        let (other, scaled) = fitted(unit);
        assert!((other - evidence).abs() < 0.01, "{unit:e}: {other} is not {evidence}");
        for (found, expected) in scaled.mean().iter().zip(flux.mean()) {
            assert!((found - expected).abs() < 1e-3 * expected.abs(), "{unit:e}: {found} is not {expected}");
        }
    }
}

/// A kernel for each component of a random start: lengthscales over two decades about a third of the ranges, variances over
/// three about those of the weights; and a precision over three about that of the residuals.
fn random_start(emulator: &Emulator, seen: &Spectra, rng: &mut rand_pcg::Pcg64) -> Emulator {
    use rand::RngExt;
    let range = |column: faer::ColRef<'_, f64>| {
        let (low, high) = column.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        high - low
    };
    let ranges: Vec<f64> = seen.theta().col_iter().map(range).collect();
    let mut factor = |low: f64, high: f64| 10f64.powf(rng.random_range(low..high));
    let precision = seen.residual_precision().unwrap() * factor(-2.0, 1.0);
    let kernel = |weights: faer::ColRef<'_, f64>| {
        let variance = weights.squared_norm_l2() / weights.nrows() as f64 * factor(-1.0, 2.0);
        let lengthscales: Vec<f64> = ranges.iter().map(|range| range * factor(-1.5, 0.5)).collect();
        (variance * Rbf::new(lengthscales)).dynamic()
    };
    let kernels = seen.weights().col_iter().map(kernel).collect();
    emulator.clone().with_kernels(kernels).unwrap().with_precision(precision).unwrap()
}

/// On stars, and on grids of parameters with lines of changing depth, width and place.
#[test]
fn a_fit_is_as_good_as_the_best_of_ten_random_starts() {
    let [third, _] = stars(0);
    let grid = |side: usize, noise: f64| {
        let theta =
            Mat::from_fn(side * side, 2, |row, dim| [0.2 * (row / side) as f64, 100.0 * (row % side) as f64][dim]);
        let flux = |row: usize, pixel: usize| {
            let (depth, place) = (0.2 + 0.3 * (2.0 * theta[(row, 0)]).sin(), 20.0 + theta[(row, 1)] / 100.0);
            let ripple = noise * ((7 * row * row + 13 * pixel * (row + 1)) as f64).sin();
            1.0 - depth * (-0.05 * (pixel as f64 - place).powi(2)).exp() + ripple
        };
        (theta.clone(), Mat::from_fn(side * side, 40, flux))
    };
    let cases =
        [(third, 4, Evidence::Fluxes), (grid(6, 1e-2), 4, Evidence::Weights), (grid(7, 1e-4), 3, Evidence::Fluxes)];
    let mut rng = rand_pcg::Pcg64::seed_from_u64(mercer::testkit::seed(3));
    for (case, ((theta, fluxes), count, evidence)) in cases.into_iter().enumerate() {
        let settings = PcaSettings { components: Components::Count(count), ..PcaSettings::default() };
        let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
        let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
        let start = Emulator::new(&seen).unwrap().with_evidence(evidence);
        let mut fitted = start.clone();
        let minimum = fitted.fit(&seen, &Lbfgs::default()).unwrap();
        let found = fitted.objective(&seen).unwrap().value;
        assert!((found + minimum.value).abs() < 1e-9 * found.abs());
        for trial in 0..10 {
            let mut other = random_start(&start, &seen, &mut rng);
            if other.refine(&seen, &Lbfgs::default()).is_err() {
                continue;
            }
            let other = other.objective(&seen).unwrap().value;
            assert!(found > other - 0.05, "case {case}: {found} is below start {trial}, {other}");
        }
        if case == 1 {
            let mut again = start.clone().with_par(Par::Seq);
            again.fit(&seen, &Lbfgs::default()).unwrap();
            assert_eq!(again.values(), fitted.values());
        }
    }
}
