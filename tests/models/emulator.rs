//! The emulator of spectra against stored values of an independent implementation, brute force and itself.
#![allow(clippy::unwrap_used)]

use faer::Side;
use mercer::data::{Basis, Components, Pca, PcaSettings, Standardizer};
use mercer::emulator::{Emulator, Evidence, FluxDistribution, Outside, Structure};
use mercer::linalg::Jitter;
use mercer::optim::{Lbfgs, Minimizer, Minimum, Objective};
use mercer::params::Prior;
use mercer::prelude::*;
use rand::SeedableRng;
use serde_json::Value;

use crate::common::close::assert_vector_close;
use crate::common::dense::log_normal;
use crate::common::entries::{by_columns, by_rows};
use crate::common::gradients::check;
use crate::common::stored::{matrix, number, read, vector};

fn fixture() -> Value {
    read("starfish.json")
}

fn pca(fixture: &Value) -> Pca {
    let settings = PcaSettings { components: Components::Count(3), scale: true, normalise: true };
    Pca::fit(matrix(&fixture["raw_fluxes"]).as_ref(), &settings).unwrap()
}

/// The emulator of a stored vector of logarithms: precision, variances, lengthscales by rows.
fn emulator(fixture: &Value, basis: impl Into<Basis>, p: &Value) -> Emulator<Scaled<Rbf>> {
    let p: Vec<f64> = vector(p).iter().map(|log| log.exp()).collect();
    let kernel = |i: usize| p[1 + i] * Rbf::new(p[4 + 3 * i..7 + 3 * i].to_vec());
    Emulator::new(matrix(&fixture["grid_points"]).as_ref(), matrix(&fixture["raw_fluxes"]).as_ref(), basis)
        .unwrap()
        .with_kernels((0..3).map(kernel).collect())
        .unwrap()
        .with_precision(p[0])
        .unwrap()
}

/// The same basis with its components mixed.
fn mixed(pca: &Pca, mix: MatRef<'_, f64>) -> Basis {
    let standardizer = pca.basis().standardizer().clone();
    Basis::new(mix * pca.basis().components())
        .unwrap()
        .with_standardizer(standardizer)
        .unwrap()
        .with_normalisation(true)
}

/// The gradient in the logarithms of the stored order, from that in visiting order.
fn in_stored_order(emulator: &Emulator<Scaled<Rbf>>, gradient: &[f64]) -> Vec<f64> {
    let values = emulator.values();
    let logs: Vec<f64> = gradient.iter().zip(&values).map(|(g, x)| g * x).collect();
    let lengthscales = (0..3).flat_map(|i| 2 + 4 * i..5 + 4 * i);
    [0, 1, 5, 9].into_iter().chain(lengthscales).map(|index| logs[index]).collect()
}

#[test]
fn principal_components_are_the_stored_ones() {
    let fixture = fixture();
    let pca = pca(&fixture);
    let raw = matrix(&fixture["raw_fluxes"]);
    let components = matrix(&fixture["components"]);
    let standardizer = pca.basis().standardizer();
    assert_vector_close(
        "factors",
        &pca.basis().factors(raw.as_ref()).unwrap(),
        &vector(&fixture["norm_factors"]),
        1e-14,
    );
    assert_vector_close("mean", standardizer.mean(), &vector(&fixture["flux_mean"]), 1e-14);
    assert_vector_close("scale", standardizer.scale(), &vector(&fixture["flux_std"]), 1e-12);
    assert_vector_close("singular values", pca.singular_values(), &vector(&fixture["singular_values"]), 1e-13);
    assert_vector_close("components", &by_rows(pca.basis().components()), &by_rows(components.as_ref()), 1e-12);
    assert_vector_close("weights", &by_columns(pca.weights()), &vector(&fixture["w_hat"]), 1e-12);

    // The stored residual is of all of the spectra.
    let residuals = pca.basis().residuals(raw.as_ref()).unwrap();
    assert!((residuals.total / number(&fixture["resid2"]) - 1.0).abs() < 1e-10);
    let standardised = pca.basis().clone().components() * pca.basis().components().transpose();
    assert!((standardised - Mat::<f64>::identity(3, 3)).norm_max() < 1e-14);
}

#[test]
fn evidences_and_gradients_are_the_stored_ones() {
    let fixture = fixture();
    let pca = pca(&fixture);
    for name in ["default", "scaled", "distinct"] {
        let stored = &fixture["settings"][name];
        let emulator = emulator(&fixture, &pca, &stored["p"]);
        for structure in [None, Some(Structure::Independent), Some(Structure::Dense)] {
            let emulator = emulator.clone().with_structure(structure);
            let (evidence, gradient) = emulator.log_evidence_gradient(Evidence::Weights).unwrap();
            assert_vector_close(name, &[evidence], &[number(&stored["loglik"])], 1e-10);
            assert_eq!(evidence, emulator.log_evidence(Evidence::Weights).unwrap());
            let expected = vector(&stored["grad_analytic_blocks"]);
            for (found, expected) in in_stored_order(&emulator, &gradient).iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 1e-7 * expected.abs().max(1.0),
                    "{name}: {found} is not {expected}"
                );
            }
            let fluxes = emulator.log_evidence(Evidence::Fluxes).unwrap();
            assert_vector_close(name, &[fluxes], &[number(&stored["flux_loglik"])], 1e-10);
        }
        let chosen = emulator.condition().unwrap().structure();
        assert_eq!(chosen, Structure::Independent);
    }
}

#[test]
fn other_components_give_the_stored_values() {
    let fixture = fixture();
    let pca = pca(&fixture);
    for (name, structure) in [("nonorthonormal", Structure::Dense), ("orthogonal_scaled", Structure::Independent)] {
        let stored = &fixture[name];
        let basis = mixed(&pca, matrix(&stored["mix"]).as_ref());
        let emulator = emulator(&fixture, basis, &stored["p"]);
        assert_eq!(emulator.condition().unwrap().structure(), structure);
        assert_vector_close("G", &by_rows(emulator.basis().gram()), &by_rows(matrix(&stored["G"]).as_ref()), 1e-13);
        assert_vector_close("ŵ", &by_columns(emulator.weights()), &vector(&stored["w_hat"]), 1e-8);

        let (evidence, gradient) = emulator.log_evidence_gradient(Evidence::Weights).unwrap();
        assert_vector_close(name, &[evidence], &[number(&stored["loglik"])], 1e-10);
        // The stored gradient is of central differences.
        let expected = vector(&stored["grad_numeric"]);
        assert_vector_close(name, &in_stored_order(&emulator, &gradient), &expected, 1e-7);
        let fluxes = emulator.log_evidence(Evidence::Fluxes).unwrap();
        assert_vector_close(name, &[fluxes], &[number(&stored["flux_loglik"])], 1e-10);

        let joint = emulator.condition().unwrap().joint_weights(matrix(&fixture["new_params"]).as_ref()).unwrap();
        assert_vector_close("means", &joint.mean, &vector(&stored["weights_mean"]), 1e-8);
        let expected = by_rows(matrix(&stored["weights_cov"]).as_ref());
        assert_vector_close("covariance", &by_rows(joint.covariance.as_ref()), &expected, 1e-8);
    }
}

#[test]
fn predictions_are_the_stored_ones() {
    let fixture = fixture();
    let pca = pca(&fixture);
    let theta = matrix(&fixture["new_params"]);
    for name in ["default", "scaled", "distinct"] {
        let stored = &fixture["settings"][name];
        let emulator = emulator(&fixture, &pca, &stored["p"]);
        assert_vector_close("V", &lower_of_covariance(&emulator), &vector(&stored["v_lower"]), 1e-8);

        let posterior = emulator.condition().unwrap();
        let joint = posterior.joint_weights(theta.as_ref()).unwrap();
        assert_vector_close("joint means", &joint.mean, &vector(&stored["weights_mean"]), 1e-8);
        let expected = by_rows(matrix(&stored["weights_cov"]).as_ref());
        assert_vector_close("joint covariance", &by_rows(joint.covariance.as_ref()), &expected, 1e-8);

        let weights = posterior.weights(theta.as_ref()).unwrap();
        let fluxes = posterior.fluxes(theta.as_ref()).unwrap();
        let means = posterior.flux_mean(theta.as_ref()).unwrap();
        for (row, single) in stored["single"].as_array().unwrap().iter().enumerate() {
            let mean: Vec<f64> = weights.mean.row(row).iter().copied().collect();
            assert_vector_close("mean", &mean, &vector(&single["mean"]), 1e-8);
            let expected = by_rows(matrix(&single["cov"]).as_ref());
            assert_vector_close("covariance", &by_rows(weights.covariance[row].as_ref()), &expected, 1e-8);
            assert_vector_close("flux", fluxes[row].mean(), &vector(&single["flux_mean"]), 1e-8);
            assert_eq!(fluxes[row].mean(), means.row(row).iter().copied().collect::<Vec<_>>());

            // The stored covariance is of the weights alone, without what they leave.
            let factor = fluxes[row].factor();
            let own = fluxes[row].own_variance();
            let variance: Vec<f64> = fluxes[row].variance().iter().zip(own).map(|(v, own)| v - own).collect();
            assert_vector_close("flux variance", &variance, &vector(&single["flux_variance"]), 1e-8);
            for (pixel, expected) in single["flux_covariance_rows"].as_object().unwrap() {
                let of_pixel = factor * factor.row(pixel.parse().unwrap()).transpose();
                let found: Vec<f64> = of_pixel.iter().copied().collect();
                assert_vector_close("flux covariance", &found, &vector(expected), 1e-8);
            }
        }
    }
}

/// The lower triangle of V by columns, from its definition.
fn lower_of_covariance(emulator: &Emulator<Scaled<Rbf>>) -> Vec<f64> {
    let spectra = emulator.theta().nrows();
    let mut v = Mat::<f64>::zeros(3 * spectra, 3 * spectra);
    for (i, kernel) in emulator.kernels().iter().enumerate() {
        let gram = kernel.gram(emulator.theta()).unwrap();
        v.as_mut().submatrix_mut(i * spectra, i * spectra, spectra, spectra).copy_from(&gram);
        for j in 0..spectra {
            v[(i * spectra + j, i * spectra + j)] += 1.0 / (emulator.precision() * emulator.basis().gram()[(i, i)]);
        }
    }
    (0..v.ncols()).flat_map(|col| (col..v.nrows()).map(|row| v[(row, col)]).collect::<Vec<_>>()).collect()
}

/// Spectra of one line of changing depth, width and place, at irregular parameters.
fn spectra(count: usize, pixels: usize, seed: u64) -> (Mat<f64>, Mat<f64>) {
    use rand::RngExt;
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
    let theta = Mat::from_fn(count, 2, |_, dim| rng.random_range(0.0..1.0) * [2.0, 500.0][dim]);
    let flux = |row: usize, pixel: usize| {
        let (depth, width) = (0.3 + 0.2 * theta[(row, 0)], 2.0 + theta[(row, 1)] / 250.0);
        let x = (pixel as f64 - 0.5 * pixels as f64 - theta[(row, 0)]) / width;
        10.0 * (1.0 - depth * (-0.5 * x * x).exp())
    };
    let fluxes = Mat::from_fn(count, pixels, flux);
    (theta, fluxes)
}

/// A basis that is not orthogonal, of bumps, in units of scales that differ.
fn bumps(pixels: usize) -> Basis {
    let bump = |i: usize, pixel: usize| {
        let x = (pixel as f64 - [0.3, 0.5, 0.6][i] * pixels as f64) / 2.0;
        (-0.5 * x * x).exp()
    };
    let scale = (0..pixels).map(|pixel| 1.0 + 0.1 * pixel as f64).collect();
    let standardizer = mercer::data::Standardizer::new(vec![9.0; pixels], scale).unwrap();
    Basis::new(Mat::from_fn(3, pixels, bump)).unwrap().with_standardizer(standardizer).unwrap()
}

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
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), basis.clone())
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
    let found = emulator.log_evidence(Evidence::Fluxes).unwrap();
    assert!((found - expected).abs() < 1e-11 * expected.abs(), "{found} is not {expected}");
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (theta, fluxes) = spectra(9, 20, 2);
    let mixed = Emulator::new(theta.as_ref(), fluxes.as_ref(), bumps(20)).unwrap();
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let orthogonal = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap().with_nugget(&[0.3, 0.01]).unwrap();
    for emulator in [mixed, orthogonal] {
        for evidence in [Evidence::Weights, Evidence::Fluxes] {
            let (_, gradient) = emulator.log_evidence_gradient(evidence).unwrap();
            let values = emulator.values();
            // In units of the parameters, which are of very different sizes.
            let found: Vec<f64> = gradient.iter().zip(&values).map(|(slope, value)| 100.0 * slope * value).collect();
            check(format!("{evidence:?}"), &vec![1.0; values.len()], &found, 1e-7, |ratios| {
                let moved: Vec<f64> = values.iter().zip(ratios).map(|(value, ratio)| value * ratio).collect();
                100.0 * emulator.with_params(&moved).unwrap().log_evidence(evidence).unwrap()
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
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca)
        .and_then(|emulator| emulator.with_kernels((0..4).map(kernel).collect())?.with_nugget(&[1e-3, 0.2, 0.1, 0.4]))
        .and_then(|emulator| emulator.with_precision(40.0))
        .unwrap();
    let by = |structure| emulator.clone().with_structure(structure);
    let (independent, dense) = (by(Structure::Independent), by(Structure::Dense));
    let (a, b) = (independent.condition().unwrap(), dense.condition().unwrap());
    assert_eq!((a.structure(), b.structure()), (Structure::Independent, Structure::Dense));

    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let (a, b) =
            (independent.log_evidence_gradient(evidence).unwrap(), dense.log_evidence_gradient(evidence).unwrap());
        assert_vector_close("evidence", &[a.0], &[b.0], 1e-12);
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
    let refused = Emulator::new(theta.as_ref(), fluxes.as_ref(), bumps(40)).unwrap();
    let refused = refused.with_structure(Structure::Independent).log_evidence(Evidence::Weights);
    assert!(matches!(refused, Err(Error::Setting { .. })), "{refused:?}");
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (theta, fluxes) = spectra(40, 30, 5);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
    let sequential = emulator.clone().with_par(Par::Seq);
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let (a, b) = (emulator.log_evidence_gradient(evidence), sequential.log_evidence_gradient(evidence));
        assert_eq!(a.unwrap(), b.unwrap());
    }
    let at = spectra(7, 1, 6).0;
    let fluxes = |emulator: &Emulator| emulator.condition().unwrap().fluxes(at.as_ref()).unwrap();
    assert_eq!(fluxes(&emulator), fluxes(&sequential));
}

/// L-BFGS, cut off after so many evaluations.
struct CutOff(usize);

impl Minimizer for CutOff {
    fn minimize(&self, objective: &mut Objective<'_>, start: &[f64]) -> mercer::Result<Minimum> {
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
    let start = Emulator::new(theta.as_ref(), raw.as_ref(), &pca).unwrap();
    let expected: Vec<f64> = vector(&fixture["settings"]["default"]["p"]).iter().map(|log| log.exp()).collect();
    let order = [0, 1, 4, 5, 6, 2, 7, 8, 9, 3, 10, 11, 12];
    assert_vector_close("start", &start.values(), &order.map(|index| expected[index]), 1e-12);
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let (mut emulator, mut long) = (start.clone(), start.clone());
        emulator.fit(evidence, &CutOff(100)).ok();
        let endless = Lbfgs { max_steps: 5000, cost_tolerance: 0.0, ..Lbfgs::default() };
        long.fit(evidence, &endless).unwrap();
        let (reached, best) = (emulator.log_evidence(evidence).unwrap(), long.log_evidence(evidence).unwrap());
        assert!(reached > best - 1e-6, "{evidence:?}: {reached} of {best}");
        assert!(best > start.log_evidence(evidence).unwrap() + 100.0);
    }
}

#[test]
fn priors_frozen_and_tied_parameters_count_in_training() {
    let (theta, fluxes) = spectra(20, 30, 7);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let mut emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
    emulator.freeze("precision").unwrap();
    emulator.tie(&["kernel[0].scaled.rbf.lengthscale", "kernel[1].scaled.rbf.lengthscale"]).unwrap();
    emulator.set_prior("kernel[0].scaled.factor", Prior::log_normal(3.0, 1e-3).unwrap()).unwrap();
    emulator.fit(Evidence::Weights, &Lbfgs::default()).unwrap();
    let get = |path: &str| emulator.get(path).unwrap();
    assert_eq!(emulator.precision(), 1.0);
    assert_eq!(get("kernel[0].scaled.rbf.lengthscale[1]"), get("kernel[1].scaled.rbf.lengthscale[1]"));
    assert!((get("kernel[0].scaled.factor").ln() - 3.0).abs() < 0.01);
}

/// A nugget is a variance of each spectrum's weights: of new ones as of those seen.
#[test]
fn a_nugget_is_in_new_weights() {
    let (theta, fluxes) = spectra(15, 30, 8);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap().with_precision(1e3).unwrap();
    // The same covariance of what was seen, as G is 1.
    let split = emulator.clone().with_precision(2e3).and_then(|emulator| emulator.with_nugget(&[5e-4, 5e-4])).unwrap();
    let (a, b) = (emulator.log_evidence(Evidence::Weights).unwrap(), split.log_evidence(Evidence::Weights).unwrap());
    assert!((a - b).abs() < 1e-10 * a.abs());
    let at = spectra(4, 1, 9).0;
    let weights = |emulator: &Emulator| emulator.condition().unwrap().weights(at.as_ref()).unwrap();
    let (a, b) = (weights(&emulator), weights(&split));
    for new in 0..4 {
        let added = &b.covariance[new] - &a.covariance[new];
        assert!((added - Mat::<f64>::identity(2, 2) * faer::Scale(5e-4)).norm_max() < 1e-9);
    }
    assert!((a.mean - b.mean).norm_max() < 1e-9);
}

#[test]
fn the_precision_of_residuals_is_their_maximum() {
    let (theta, fluxes) = spectra(15, 30, 10);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
    let closed = emulator.residual_precision().unwrap();
    // The part of the evidence that is of the residuals alone.
    let of_residuals = |precision: f64| {
        let emulator = emulator.clone().with_precision(precision).unwrap();
        emulator.log_evidence(Evidence::Fluxes).unwrap() - emulator.log_evidence(Evidence::Weights).unwrap()
    };
    let (left, at, right) = (of_residuals(0.99 * closed), of_residuals(closed), of_residuals(1.01 * closed));
    assert!(left < at && right < at && ((left - right) / (at - left)).abs() < 0.05, "{left} {at} {right}");

    let all =
        Pca::fit(fluxes.as_ref().subrows(0, 3), &PcaSettings { components: Components::Explained(1.0), ..settings });
    let exact = Basis::new(Mat::<f64>::identity(30, 30)).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), exact).unwrap();
    assert!(matches!(emulator.residual_precision(), Err(Error::Setting { .. })));
    assert_eq!(all.unwrap().basis().len(), 2);
}

#[test]
fn extrapolation_is_flagged_or_refused() {
    let (theta, fluxes) = spectra(25, 30, 11);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
    let at = mat![[1.0, 250.0], [1.0, 900.0], [theta[(3, 0)], theta[(3, 1)]]];
    let flags = [false, true, false];
    let posterior = emulator.condition().unwrap();
    assert_eq!(posterior.weights(at.as_ref()).unwrap().outside, flags);
    assert_eq!(posterior.joint_weights(at.as_ref()).unwrap().outside, flags);
    let fluxes: Vec<bool> = posterior.fluxes(at.as_ref()).unwrap().iter().map(FluxDistribution::is_outside).collect();
    assert_eq!(fluxes, flags);

    let strict = emulator.clone().with_outside(Outside::Refuse);
    let posterior = strict.condition().unwrap();
    let refused = [
        posterior.weights(at.as_ref()).map(|_| ()),
        posterior.joint_weights(at.as_ref()).map(|_| ()),
        posterior.flux_mean(at.as_ref()).map(|_| ()),
        posterior.fluxes(at.as_ref()).map(|_| ()),
    ];
    for refused in refused {
        assert_eq!(refused, Err(Error::Outside { what: "theta".into(), row: 1 }));
    }
    assert!(posterior.fluxes(at.as_ref().subrows(0, 1)).is_ok());
}

/// Solves and densities by the factor are those of the matrix; draws have its moments.
#[test]
fn flux_distributions_are_gaussians_of_low_rank() {
    let pixels = 25;
    let factor = Mat::from_fn(pixels, 3, |p, i| ((1 + i) as f64 * p as f64 * 0.3).sin() * 10f64.powi(i as i32 - 1));
    let own: Vec<f64> = (0..pixels).map(|p| 0.01 + 0.001 * p as f64).collect();
    let mean: Vec<f64> = (0..pixels).map(|p| 1.0 + 0.1 * p as f64).collect();
    let flux = FluxDistribution::new(mean.clone(), factor.clone(), own.clone()).unwrap();
    let covariance = flux.covariance();
    let expected =
        Mat::from_fn(pixels, pixels, |p, q| if p == q { own[p] } else { 0.0 }) + &factor * factor.transpose();
    assert!((&covariance - &expected).norm_max() < 1e-13);
    for (p, variance) in flux.variance().into_iter().enumerate() {
        assert!((variance / expected[(p, p)] - 1.0).abs() < 1e-14);
    }

    let b = Mat::from_fn(pixels, 2, |p, col| ((p + 5 * col) as f64).cos());
    let solved = flux.solve(b.as_ref()).unwrap();
    assert!((&covariance * &solved - &b).norm_max() < 1e-10);
    let spectrum: Vec<f64> = (0..pixels).map(|p| mean[p] + 0.3 * (p as f64).cos()).collect();
    let llt = covariance.llt(Side::Lower).unwrap();
    let log_det: f64 = (0..pixels).map(|p| 2.0 * llt.L()[(p, p)].ln()).sum();
    let residual = Mat::from_fn(pixels, 1, |p, _| spectrum[p] - mean[p]);
    let square = (residual.transpose() * faer::linalg::solvers::Solve::solve(&llt, &residual))[(0, 0)];
    let expected = -0.5 * (square + log_det + pixels as f64 * std::f64::consts::TAU.ln());
    assert!((flux.log_density(&spectrum).unwrap() / expected - 1.0).abs() < 1e-11);

    let draws = flux.sample(20_000, &mut rand_pcg::Pcg64::seed_from_u64(3));
    assert_eq!(draws, flux.sample(20_000, &mut rand_pcg::Pcg64::seed_from_u64(3)));
    let centred = Mat::from_fn(pixels, 20_000, |p, draw| draws[(p, draw)] - mean[p]);
    let found = &centred * centred.transpose() * faer::Scale(1.0 / 20_000.0);
    for p in 0..pixels {
        let deviation = covariance[(p, p)].sqrt();
        assert!((centred.row(p).iter().sum::<f64>() / 20_000.0).abs() < 5.0 * deviation / 141.0);
        for q in 0..pixels {
            // Five standard errors.
            let error = (covariance[(p, p)] * covariance[(q, q)] + covariance[(p, q)].powi(2)).sqrt() / 141.0;
            assert!((found[(p, q)] - covariance[(p, q)]).abs() < 5.0 * error);
        }
    }

    let certain = FluxDistribution::new(mean, factor, vec![0.0; pixels]).unwrap();
    assert!(matches!(certain.log_density(&spectrum), Err(Error::Parameter { .. })));
    let noisy = certain.with_noise(&own).unwrap();
    assert_eq!(noisy, flux);
}

/// A process seen at 30 points with no noise to speak of: at these, variances are rounding errors of either sign, some
/// of them 0 as they are; far from them there is nothing to clamp.
#[test]
fn clamped_variances_are_counted() {
    let theta = Mat::from_fn(30, 1, |j, _| j as f64 / 29.0);
    let spectra = Mat::from_fn(30, 2, |j, pixel| 1.0 + (theta[(j, 0)] * (1 + pixel) as f64).sin());
    let emulator = Emulator::new(theta.as_ref(), spectra.as_ref(), Basis::new(mat![[1.0, 0.0]]).unwrap()).unwrap();
    let emulator = emulator.with_kernels(vec![100.0 * Rbf::new(0.05)]).unwrap().with_precision(1e18).unwrap();
    let posterior = emulator.condition().unwrap();
    assert_eq!(posterior.jitter(), 0.0);
    let joint = posterior.joint_weights(theta.as_ref()).unwrap();
    let zeros = (0..30).filter(|&row| joint.covariance[(row, row)] == 0.0).count();
    assert!(joint.clamped > 0 && joint.clamped <= zeros, "{zeros} {}", joint.clamped);
    let each = posterior.weights(theta.as_ref()).unwrap();
    assert!(each.clamped > 0);
    let far = mat![[5.0], [6.0]];
    assert_eq!(
        (posterior.joint_weights(far.as_ref()).unwrap().clamped, posterior.weights(far.as_ref()).unwrap().clamped),
        (0, 0)
    );
}

#[test]
fn fluxes_without_finite_numbers_are_refused() {
    let flux = FluxDistribution::new(vec![1.0, 2.0], mat![[1.0], [2.0]], vec![0.5, 0.0]).unwrap();
    let certain = flux.solve(mat![[1.0], [1.0]].as_ref());
    assert!(matches!(certain, Err(Error::Parameter { .. })), "{certain:?}");
    let noisy = flux.with_noise(&[0.5, 0.5]).unwrap();
    let holed = noisy.solve(mat![[1.0, 1.0], [1.0, f64::NAN]].as_ref());
    assert!(matches!(holed, Err(Error::NonFinite { row: 1, col: 1, .. })), "{holed:?}");
    assert!(noisy.log_density(&[1.0, f64::INFINITY]).is_err());
    let far = noisy.log_density(&[1e300, -1e300]);
    assert!(matches!(far, Err(Error::NonFinite { .. })), "{far:?}");
    assert!(noisy.clone().scaled(1e308).is_err() && noisy.clone().scaled(1e200).is_err());
    let full = noisy.clone().with_noise(&[f64::MAX, 1.0]).unwrap().with_noise(&[f64::MAX, 1.0]);
    assert!(matches!(full, Err(Error::Parameter { .. })), "{full:?}");
    // A variance that is none stays none, however large the multiple.
    let exact = FluxDistribution::new(vec![1.0], mat![[1.0]], vec![0.0]).unwrap().scaled(1e200).unwrap();
    assert_eq!(exact.own_variance(), [0.0]);
}

/// Finite spectra, in units so small that the standardised ones are not.
#[test]
fn spectra_that_overflow_are_refused() {
    let theta = mat![[0.0], [1.0]];
    let basis = |scale: f64| {
        let standardizer = Standardizer::new(vec![0.0; 2], vec![scale; 2]).unwrap();
        Basis::new(mat![[1.0, 0.0]]).unwrap().with_standardizer(standardizer).unwrap()
    };
    let spectra = mat![[1.0, 2.0], [2.0, 3.0]];
    for scale in [1e-310, 1e-200] {
        let refused = Emulator::new(theta.as_ref(), spectra.as_ref(), basis(scale)).map(|_| ());
        assert!(matches!(refused, Err(Error::NonFinite { .. } | Error::Setting { .. })), "{scale:e}: {refused:?}");
    }
    assert!(Emulator::new(theta.as_ref(), spectra.as_ref(), basis(1e-100)).is_ok());
}

#[test]
fn setting_a_value_keeps_what_is_said_about_the_parameter() {
    let (theta, fluxes) = spectra(12, 20, 12);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let mut emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap().with_nugget(&[0.1, 0.2]).unwrap();
    emulator.freeze("precision").unwrap();
    emulator.set_prior("nugget[0]", Prior::gamma(2.0, 1.0).unwrap()).unwrap();
    emulator.freeze("nugget[1]").unwrap();
    let before = emulator.parameters();
    let emulator = emulator.with_precision(7.0).unwrap().with_nugget(&[0.3, 0.4]).unwrap();
    assert_eq!(emulator.values()[..3], [7.0, 0.3, 0.4]);
    for (after, before) in emulator.parameters().iter().zip(&before).take(3) {
        assert_eq!((&after.path, after.free, after.prior), (&before.path, before.free, before.prior));
    }
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
        let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
        let weights = pca.transform(fluxes.as_ref().subrows(2, 1)).unwrap();
        let back = pca.inverse(weights.as_ref()).unwrap();
        let posterior = emulator.condition().unwrap();
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

/// Of components that were given, and of such that were fitted to the spectra; of as many as there are spectra too.
#[test]
fn the_own_variance_of_a_flux_is_the_truncation() {
    let (theta, fluxes) = spectra(12, 20, 15);
    let settings = PcaSettings { components: Components::Count(2), scale: true, normalise: true };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    for (basis, freedom) in [(bumps(20), 12.0), (pca.basis().clone().with_fitted(3), 9.0)] {
        let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), basis).unwrap();
        let basis = emulator.basis();
        let factors = basis.factors(fluxes.as_ref()).unwrap();
        let back = basis.reconstruct(emulator.weights()).unwrap();
        let left = |j: usize, p: usize| fluxes[(j, p)] / factors[j] - back[(j, p)];
        let expected: Vec<f64> = (0..20).map(|p| (0..12).map(|j| left(j, p).powi(2)).sum::<f64>() / freedom).collect();
        assert_vector_close("truncation", emulator.truncation().unwrap(), &expected, 1e-12);
        assert!(expected.iter().any(|&variance| variance > 1e-9));
        let flux = emulator.condition().unwrap().fluxes(theta.as_ref().subrows(1, 1)).unwrap().remove(0);
        assert_eq!(flux.own_variance(), emulator.truncation().unwrap());
    }
    // Two spectra are enough to see what two components that were given leave.
    let (theta, fluxes) = (theta.as_ref().subrows(0, 2), fluxes.as_ref().subrows(0, 2));
    let few = Emulator::new(theta, fluxes, bumps(20)).unwrap();
    assert!(few.truncation().unwrap().iter().any(|&variance| variance > 1e-9));

    let all = PcaSettings { components: Components::Count(1), ..PcaSettings::default() };
    let full = Emulator::new(theta, fluxes, &Pca::fit(fluxes, &all).unwrap()).unwrap();
    let saved = serde_json::to_string(&full).unwrap();
    for emulator in [full, serde_json::from_str(&saved).unwrap()] {
        assert!(matches!(emulator.truncation(), Err(Error::Setting { .. })));
        let posterior = emulator.condition().unwrap();
        assert!(posterior.weights(theta).is_ok() && posterior.flux_mean(theta).is_ok());
        assert!(matches!(posterior.fluxes(theta), Err(Error::Setting { .. })));
    }
}

/// What principal components leave is seen on spectra that they are not made from.
#[test]
fn the_truncation_of_principal_components_is_of_spectra_left_out() {
    let (theta, fluxes) = spectra(12, 20, 15);
    let settings = PcaSettings { components: Components::Count(2), scale: false, normalise: true };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
    let mut expected = vec![0.0; 20];
    for out in 0..12 {
        let others = Mat::from_fn(11, 20, |row, pixel| fluxes[(row + usize::from(row >= out), pixel)]);
        let pca = Pca::fit(others.as_ref(), &settings).unwrap();
        let left = pca.basis().residuals(fluxes.as_ref().subrows(out, 1)).unwrap();
        expected.iter_mut().zip(&left.per_feature).for_each(|(sum, square)| *sum += square / 12.0);
    }
    assert_vector_close("truncation", emulator.truncation().unwrap(), &expected, 1e-9);
    let flux = emulator.condition().unwrap().fluxes(theta.as_ref().subrows(1, 1)).unwrap().remove(0);
    assert_eq!(flux.own_variance(), emulator.truncation().unwrap());
    let read: Emulator = serde_json::from_str(&serde_json::to_string(&emulator).unwrap()).unwrap();
    assert_eq!(read.basis().truncation(), Some(emulator.truncation().unwrap()));
}

/// Stars, three parameters and the flux of 418 pixels each: those of this remainder by three, and the others.
fn stars(remainder: usize) -> [(Mat<f64>, Mat<f64>); 2] {
    let text = include_str!("../../examples/data/stellar_li_balder.csv");
    let numbers = |line: &str| line.split(',').map(|number| number.parse().unwrap()).collect();
    let stars: Vec<Vec<f64>> = text.lines().skip(1).map(numbers).collect();
    [true, false].map(|held_out| {
        let chosen: Vec<&Vec<f64>> =
            (0..stars.len()).filter(|star| (star % 3 == remainder) == held_out).map(|star| &stars[star]).collect();
        let part = |first: usize, count: usize| Mat::from_fn(chosen.len(), count, |row, col| chosen[row][first + col]);
        (part(0, 3), part(3, stars[0].len() - 3))
    })
}

/// A third of the stars held out, each third in turn: of what components leave of their pixels, 95 % is within the
/// truncation's intervals, to what correlated pixels of outlying stars move it (0.95 to 0.975; by degrees of freedom it is
/// 0.89 to 0.93).
#[test]
fn the_truncation_holds_for_spectra_held_out() {
    for (count, scale) in [(3, false), (5, false), (8, false), (16, false), (3, true), (8, true), (16, true)] {
        let (mut within, mut pixels) = (0, 0);
        for remainder in 0..3 {
            let [(_, held_out), (_, kept)] = stars(remainder);
            let settings = PcaSettings { components: Components::Count(count), scale, normalise: false };
            let pca = Pca::fit(kept.as_ref(), &settings).unwrap();
            let back = pca.inverse(pca.transform(held_out.as_ref()).unwrap().as_ref()).unwrap();
            let truncation = pca.basis().truncation().unwrap();
            for (pixel, variance) in truncation.iter().enumerate() {
                let left = (0..held_out.nrows()).map(|star| held_out[(star, pixel)] - back[(star, pixel)]);
                within += left.filter(|left| left.abs() <= 1.96 * variance.sqrt()).count();
                pixels += held_out.nrows();
            }
        }
        let fraction = within as f64 / pixels as f64;
        assert!((0.945..0.98).contains(&fraction), "{count} components, scaled: {scale}: {fraction}");
    }
}

/// The same of whole predictions, which know weights by three labels, of few components: 0.945 and 0.954 on the average of
/// the thirds; by degrees of freedom, 0.922 and 0.939.
#[test]
fn intervals_hold_for_stars_held_out() {
    for count in [4, 3] {
        let (mut within, mut pixels) = (0, 0);
        for remainder in 0..3 {
            let [(labels, held_out), (theta, kept)] = stars(remainder);
            let settings = PcaSettings { components: Components::Count(count), ..PcaSettings::default() };
            let pca = Pca::fit(kept.as_ref(), &settings).unwrap();
            let mut emulator = Emulator::new(theta.as_ref(), kept.as_ref(), &pca).unwrap();
            emulator.refine(Evidence::Weights, &Lbfgs::default()).unwrap();
            let fluxes = emulator.condition().unwrap().fluxes(labels.as_ref()).unwrap();
            for (star, flux) in fluxes.iter().enumerate() {
                let deviations = flux.variance().into_iter().map(f64::sqrt).zip(flux.mean()).enumerate();
                let holds = |(pixel, (deviation, mean)): &(usize, (f64, &f64))| {
                    (held_out[(star, *pixel)] - *mean).abs() <= 1.96 * deviation
                };
                within += deviations.filter(holds).count();
                pixels += flux.mean().len();
            }
        }
        let fraction = within as f64 / pixels as f64;
        assert!((0.94..0.96).contains(&fraction), "{count} components: {fraction}");
    }
}

/// Spectra in other units have the same fit, and the same log evidence but for the unit, from one start for all.
#[test]
fn a_fit_does_not_depend_on_the_unit_of_the_flux() {
    let (theta, fluxes) = spectra(14, 20, 16);
    let fitted = |unit: f64| {
        let fluxes = &fluxes * faer::Scale(unit);
        let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
        let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
        let mut emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
        emulator.fit(Evidence::Weights, &Lbfgs::default()).unwrap();
        let evidence = emulator.log_evidence(Evidence::Weights).unwrap() + 28.0 * unit.ln();
        let at = mat![[0.7, 210.0]];
        let flux = emulator.condition().unwrap().fluxes(at.as_ref()).unwrap().remove(0);
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
fn random_start(emulator: &Emulator, rng: &mut rand_pcg::Pcg64) -> Emulator {
    use rand::RngExt;
    let range = |column: faer::ColRef<'_, f64>| {
        let (low, high) = column.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        high - low
    };
    let ranges: Vec<f64> = emulator.theta().col_iter().map(range).collect();
    let mut factor = |low: f64, high: f64| 10f64.powf(rng.random_range(low..high));
    let precision = emulator.residual_precision().unwrap() * factor(-2.0, 1.0);
    let kernel = |weights: faer::ColRef<'_, f64>| {
        let variance = weights.squared_norm_l2() / weights.nrows() as f64 * factor(-1.0, 2.0);
        let lengthscales: Vec<f64> = ranges.iter().map(|range| range * factor(-1.5, 0.5)).collect();
        (variance * Rbf::new(lengthscales)).dynamic()
    };
    let kernels = emulator.weights().col_iter().map(kernel).collect();
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
        let start = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap();
        let mut fitted = start.clone();
        let minimum = fitted.fit(evidence, &Lbfgs::default()).unwrap();
        let found = fitted.log_evidence(evidence).unwrap();
        assert!((found + minimum.value).abs() < 1e-9 * found.abs());
        for trial in 0..10 {
            let mut other = random_start(&start, &mut rng);
            if other.refine(evidence, &Lbfgs::default()).is_err() {
                continue;
            }
            let other = other.log_evidence(evidence).unwrap();
            assert!(found > other - 0.05, "case {case}: {found} is below start {trial}, {other}");
        }
        if case == 1 {
            let mut again = start.clone().with_par(Par::Seq);
            again.fit(evidence, &Lbfgs::default()).unwrap();
            assert_eq!(again.values(), fitted.values());
        }
    }
}

#[test]
fn a_saved_emulator_comes_back_whole() {
    let (theta, fluxes) = spectra(12, 20, 12);
    let settings = PcaSettings { components: Components::Count(2), scale: true, normalise: true };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let mut emulator =
        Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap().with_nugget(&[0.1, 1.0 / 3.0]).unwrap();
    let kernels =
        vec![(2.0 * Rbf::new([0.1, 30.0])).dynamic(), (Matern32::new(3.0) + 0.7 * Linear::new(0.1)).dynamic()];
    emulator = emulator.with_kernels(kernels).unwrap().with_outside(Outside::Refuse).with_structure(Structure::Dense);
    emulator.tie(&["kernel[0].scaled.factor", "kernel[1].sum[1].scaled.factor"]).unwrap();
    emulator.freeze("nugget[1]").unwrap();
    emulator.set_prior("precision", Prior::gamma(2.0, 1.0 / 3.0).unwrap()).unwrap();

    let saved = serde_json::to_string(&emulator).unwrap();
    let read: Emulator = serde_json::from_str(&saved).unwrap();
    assert_eq!(read.parameters(), emulator.parameters());
    assert_eq!(
        (read.theta(), read.weights(), read.truncation(), read.basis().fitted()),
        (emulator.theta(), emulator.weights(), emulator.truncation(), 3)
    );
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        assert_eq!(read.log_evidence_gradient(evidence).unwrap(), emulator.log_evidence_gradient(evidence).unwrap());
    }
    let (a, b) = (read.condition().unwrap(), emulator.condition().unwrap());
    assert_eq!(a.structure(), Structure::Dense);
    let at = theta.as_ref().subrows(3, 2);
    assert_eq!(a.fluxes(at).unwrap(), b.fluxes(at).unwrap());
    assert!(matches!(a.fluxes(mat![[1.0, 9e9]].as_ref()), Err(Error::Outside { .. })));
    assert_eq!(serde_json::to_string(&read).unwrap(), saved);
}

#[test]
fn a_corrupt_file_says_so() {
    let (theta, fluxes) = spectra(5, 8, 13);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let saved = serde_json::to_value(Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap()).unwrap();
    let read = |value: &Value| serde_json::from_value::<Emulator>(value.clone()).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(read(&saved), Ok(()));
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut value = saved.clone();
        spoil(&mut value);
        read(&value).unwrap_err()
    };
    let errors = [
        spoilt(&|value| value["weights"]["values"][1] = 0.123.into()),
        spoilt(&|value| value["residual"] = (-1.0).into()),
        spoilt(&|value| value["kernels"][0] = "rbf(lengthscale=1)".into()),
        spoilt(&|value| value["theta"]["rows"] = 4.into()),
        spoilt(&|value| value["components"]["rows"] = 3.into()),
        spoilt(&|value| value["frozen"] = vec!["kernel[0].scaled.factr"].into()),
    ];
    for error in errors {
        assert!(error.contains("the saved emulator is corrupt"), "{error}");
    }
    // Each of these would be another emulator, and none is impossible.
    let adaptive = serde_json::to_value(Jitter::Fixed(0.1)).unwrap();
    let changes: [(&str, Value); 8] = [
        ("normalised", true.into()),
        ("allow_indefinite", true.into()),
        ("structure", "Dense".into()),
        ("outside", "Refuse".into()),
        ("jitter", adaptive),
        ("frozen", vec!["precision"].into()),
        ("priors", serde_json::json!({ "precision": "gamma(shape=2, rate=1)" })),
        ("ties", serde_json::json!([["kernel[0].scaled.rbf.lengthscale[0]", "kernel[0].scaled.rbf.lengthscale[1]"]])),
    ];
    for (name, change) in changes {
        let error = spoilt(&|value| value[name] = change.clone());
        assert!(error.contains("checksum"), "{name}: {error}");
    }
    assert!(spoilt(&|value| value["extra"] = 1.into()).contains("unknown field"));
    let text = saved.to_string();
    assert!(serde_json::from_str::<Emulator>(&text[..text.len() / 2]).is_err());
}

#[test]
fn bad_input_is_refused() {
    let (theta, fluxes) = spectra(6, 8, 14);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let new = |theta: MatRef<'_, f64>, fluxes: MatRef<'_, f64>| Emulator::new(theta, fluxes, &pca);
    assert!(matches!(new(theta.as_ref().subrows(0, 5), fluxes.as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(new(theta.as_ref(), fluxes.as_ref().subcols(0, 7)), Err(Error::Shape { .. })));
    assert!(matches!(new(theta.as_ref().subcols(0, 0), fluxes.as_ref()), Err(Error::Empty { .. })));
    let mut holed = theta.clone();
    holed[(2, 1)] = f64::NAN;
    assert!(matches!(new(holed.as_ref(), fluxes.as_ref()), Err(Error::NonFinite { row: 2, col: 1, .. })));

    let emulator = new(theta.as_ref(), fluxes.as_ref()).unwrap();
    let kernels = |kernel: DynKernel| emulator.clone().with_kernels(vec![kernel; emulator.basis().len()]);
    assert!(matches!(emulator.clone().with_kernels(vec![Rbf::new(1.0); 9]), Err(Error::Setting { .. })));
    assert!(matches!(emulator.clone().with_nugget(&[0.1; 9]), Err(Error::Setting { .. })));
    assert!(matches!(emulator.clone().with_precision(0.0), Err(Error::Parameter { .. })));
    let reads_too_much = kernels(Rbf::new([1.0, 1.0, 1.0]).dynamic()).unwrap().log_evidence(Evidence::Weights);
    assert!(matches!(reads_too_much, Err(Error::Dimension { .. })), "{reads_too_much:?}");
    let indefinite = kernels((Rbf::new(1.0) - 2.0 * Rbf::new(2.0)).dynamic()).unwrap();
    assert!(matches!(indefinite.log_evidence(Evidence::Weights), Err(Error::Indefinite { .. })));
    assert!(emulator.clone().set("kernel[0].scaled.rbf.lenghtscale[0]", 1.0).is_err());

    let posterior = emulator.condition().unwrap();
    assert!(matches!(posterior.weights(mat![[1.0]].as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(posterior.fluxes(mat![[1.0, f64::INFINITY]].as_ref()), Err(Error::NonFinite { .. })));
}
