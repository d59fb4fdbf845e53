//! Evidences and their gradients.
#![allow(clippy::unwrap_used)]

use mercer::data::{Basis, Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, Spectra, Structure};
use mercer::prelude::*;
use rand::SeedableRng;

use super::{bumps, spectra};
use crate::common::close::assert_vector_close;
use crate::common::dense::log_normal;
use crate::common::entries::by_rows;
use crate::common::gradients::check;

/// The flux likelihood is the density of all pixels of all spectra together.
#[test]
fn the_flux_evidence_is_a_gaussian_of_all_pixels() {
    let (theta, fluxes) = spectra(5, 12, 1);
    let basis = bumps(12);
    let kernels: Vec<DynKernel> = vec![
        (2.0 * Rbf::new([1.0, 300.0])).dynamic(),
        (0.5 * Matern32::new([2.0, 100.0]) + 0.1).dynamic(),
        (1.5 * RationalQuadratic::new([0.7, 500.0], 1.0)).dynamic(),
    ];
    let (precision, nugget) = (3.0, [0.1, 0.2, 0.05]);
    let seen = Spectra::new(&theta, &fluxes, basis.clone()).unwrap();
    let emulator = Emulator::new(&seen)
        .and_then(|emulator| emulator.with_kernels(kernels.clone())?.with_precision(precision)?.with_nugget(&nugget))
        .unwrap();

    let e = basis.components();
    let grams: Vec<Mat<f64>> = kernels.iter().map(|kernel| kernel.gram(theta.as_ref()).unwrap()).collect();
    let covariance = Mat::from_fn(60, 60, |a, b| {
        let ((j, p), (k, q)) = ((a / 12, a % 12), (b / 12, b % 12));
        let same = |same: bool, value: f64| if same { value } else { 0.0 };
        let of = |i: usize| e[(i, p)] * e[(i, q)] * (grams[i][(j, k)] + same(j == k, nugget[i]));
        (0..3).map(of).sum::<f64>() + same(a == b, 1.0 / precision)
    });
    let standardized = basis.standardizer().transform(fluxes.as_ref()).unwrap();
    let expected = log_normal(&by_rows(standardized.as_ref()), &covariance);
    let found = emulator.objective(&seen).unwrap().value;
    assert!((found - expected).abs() < 1e-11 * expected.abs(), "{found} is not {expected}");
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (theta, fluxes) = spectra(9, 20, 2);
    let bumps = Spectra::new(&theta, &fluxes, bumps(20)).unwrap();
    let mixed = Emulator::new(&bumps).unwrap();
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let principal = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let orthogonal = Emulator::new(&principal).unwrap().with_nugget(&[0.3, 0.01]).unwrap();
    for (emulator, seen) in [(mixed, bumps), (orthogonal, principal)] {
        for evidence in [Evidence::Weights, Evidence::Fluxes] {
            let emulator = emulator.clone().with_evidence(evidence);
            let (_, gradient) = emulator.gradient(&seen).unwrap();
            let values = emulator.values();
            // In units of the parameters, which are of very different sizes.
            let found: Vec<f64> = gradient.iter().zip(&values).map(|(slope, value)| 100.0 * slope * value).collect();
            check(format!("{evidence:?}"), &vec![1.0; values.len()], &found, 1e-7, |ratios| {
                let moved: Vec<f64> = values.iter().zip(ratios).map(|(value, ratio)| value * ratio).collect();
                100.0 * emulator.with_params(&moved).unwrap().objective(&seen).unwrap().value
            });
        }
    }
}

#[test]
fn independent_problems_are_the_dense_one() {
    let (theta, fluxes) = spectra(30, 40, 3);
    let settings = PcaSettings { components: Components::Count(4), scale: false, normalise: true };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let kernel = |i: usize| (0.7 * Matern52::new([1.0 + i as f64, 300.0])).dynamic();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let emulator = Emulator::new(&seen)
        .and_then(|emulator| emulator.with_kernels((0..4).map(kernel).collect())?.with_nugget(&[1e-3, 0.2, 0.1, 0.4]))
        .and_then(|emulator| emulator.with_precision(40.0))
        .unwrap();
    let by = |structure| emulator.clone().with_structure(structure);
    let (independent, dense) = (by(Structure::Independent), by(Structure::Dense));
    let (a, b) = (independent.condition(&seen).unwrap(), dense.condition(&seen).unwrap());
    assert_eq!((a.structure(), b.structure()), (Structure::Independent, Structure::Dense));

    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let [a, b] =
            [&independent, &dense].map(|emulator| emulator.clone().with_evidence(evidence).gradient(&seen).unwrap());
        assert_vector_close("evidence", &[a.0.value], &[b.0.value], 1e-12);
        for (a, b) in a.1.iter().zip(&b.1) {
            assert!((a - b).abs() < 1e-10 * b.abs().max(1.0), "{a} is not {b}");
        }
    }
    let at = spectra(70, 1, 4).0;
    let (x, y) = (a.joint_weights(at.as_ref()).unwrap(), b.joint_weights(at.as_ref()).unwrap());
    assert_vector_close("joint means", &x.mean, &y.mean, 1e-12);
    assert!((x.covariance.clone() - &y.covariance).norm_max() < 1e-12);
    let (x, y, joint) = (a.weights(at.as_ref()).unwrap(), b.weights(at.as_ref()).unwrap(), x);
    for new in 0..70 {
        assert!((&x.covariance[new] - &y.covariance[new]).norm_max() < 1e-12);
        for i in 0..4 {
            assert!((x.covariance[new][(i, i)] - joint.covariance[(i * 70 + new, i * 70 + new)]).abs() < 1e-13);
            assert!((x.mean[(new, i)] - joint.mean[i * 70 + new]).abs() < 1e-12);
        }
    }
    let seen = Spectra::new(&theta, &fluxes, bumps(40)).unwrap();
    let refused = Emulator::new(&seen).unwrap().with_structure(Structure::Independent).objective(&seen);
    assert!(matches!(refused, Err(Error::Setting { .. })), "{refused:?}");
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (theta, fluxes) = spectra(40, 30, 5);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let emulator = Emulator::new(&seen).unwrap();
    let sequential = emulator.clone().with_par(Par::Seq);
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let [a, b] = [&emulator, &sequential].map(|emulator| emulator.clone().with_evidence(evidence).gradient(&seen));
        assert_eq!(a.unwrap(), b.unwrap());
    }
    let at = spectra(7, 1, 6).0;
    let fluxes = |emulator: &Emulator| emulator.condition(&seen).unwrap().fluxes(at.as_ref()).unwrap();
    assert_eq!(fluxes(&emulator), fluxes(&sequential));
}

#[test]
fn the_precision_of_residuals_is_their_maximum() {
    let (theta, fluxes) = spectra(15, 30, 10);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let emulator = Emulator::new(&seen).unwrap();
    let closed = seen.residual_precision().unwrap();
    // The part of the evidence that is of the residuals alone.
    let of_residuals = |precision: f64| {
        let emulator = emulator.clone().with_precision(precision).unwrap();
        let [of_fluxes, of_weights] = [Evidence::Fluxes, Evidence::Weights]
            .map(|evidence| emulator.clone().with_evidence(evidence).objective(&seen).unwrap().value);
        of_fluxes - of_weights
    };
    let (left, at, right) = (of_residuals(0.99 * closed), of_residuals(closed), of_residuals(1.01 * closed));
    assert!(left < at && right < at && ((left - right) / (at - left)).abs() < 0.05, "{left} {at} {right}");

    let all =
        Pca::fit(fluxes.as_ref().subrows(0, 3), &PcaSettings { components: Components::Explained(1.0), ..settings });
    let exact = Basis::new(Mat::<f64>::identity(30, 30)).unwrap();
    let seen = Spectra::new(&theta, &fluxes, exact).unwrap();
    assert!(matches!(seen.residual_precision(), Err(Error::Setting { .. })));
    assert_eq!(all.unwrap().basis().len(), 2);
}

/// One spectrum in many pixels, and spectra at once: pools of one thread and of three give the same bits.
#[test]
fn bits_do_not_depend_on_the_pool() {
    let (rows, pixels) = (5, 40_000);
    let theta = Mat::from_fn(rows, 1, |j, _| j as f64);
    let value = |j: usize, p: usize| ((0.001 + 0.0003 * j as f64) * p as f64).sin() + 0.1 * ((p * p + j) as f64).cos();
    let fluxes = Mat::from_fn(rows, pixels, value);
    let run = || {
        let settings = PcaSettings { components: Components::Count(3), ..PcaSettings::default() };
        let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
        let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
        let weights = pca.transform(fluxes.as_ref().subrows(2, 1)).unwrap();
        let back = pca.inverse(weights.as_ref()).unwrap();
        let posterior = Emulator::new(&seen).unwrap().condition(&seen).unwrap();
        let at = mat![[1.5]];
        let flux = posterior.fluxes(at.as_ref()).unwrap().remove(0).with_noise(&vec![0.01; pixels]).unwrap();
        let spectrum: Vec<f64> = fluxes.row(1).iter().copied().collect();
        let draw = flux.sample(1, &mut rand_pcg::Pcg64::seed_from_u64(1));
        let means = posterior.flux_mean(at.as_ref()).unwrap();
        (pca.basis().components().to_owned(), weights, back, flux.log_density(&spectrum).unwrap(), draw, means, flux)
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let (one, three) = (pool(1).install(run), pool(3).install(run));
    assert_eq!(one.0, three.0, "components");
    assert_eq!((one.1, one.2), (three.1, three.2), "weights and their spectra");
    assert_eq!((one.3, one.4, one.5), (three.3, three.4, three.5), "densities, draws and means");
    assert_eq!(one.6, three.6, "fluxes");
}
