//! The stored values of an independent implementation.
#![allow(clippy::unwrap_used)]

use mercer::data::{Basis, Pca};
use mercer::emulator::{Emulator, Evidence, Spectra, Structure};
use mercer::prelude::*;
use serde_json::Value;

use super::{fixture, pca};
use crate::common::close::assert_vector_close;
use crate::common::entries::{by_columns, by_rows};
use crate::common::stored::{matrix, number, vector};

fn stored_spectra(fixture: &Value, basis: impl Into<Basis>) -> Spectra {
    Spectra::new(matrix(&fixture["grid_points"]), matrix(&fixture["raw_fluxes"]), basis).unwrap()
}

/// The emulator of a stored vector of logarithms: precision, variances, lengthscales by rows.
fn emulator(spectra: &Spectra, p: &Value) -> Emulator<Scaled<Rbf>> {
    let p: Vec<f64> = vector(p).iter().map(|log| log.exp()).collect();
    let kernel = |i: usize| p[1 + i] * Rbf::new(p[4 + 3 * i..7 + 3 * i].to_vec());
    Emulator::new(spectra)
        .unwrap()
        .with_evidence(Evidence::Weights)
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
    let spectra = stored_spectra(&fixture, &pca);
    for name in ["default", "scaled", "distinct"] {
        let stored = &fixture["settings"][name];
        let emulator = emulator(&spectra, &stored["p"]);
        for structure in [None, Some(Structure::Independent), Some(Structure::Dense)] {
            let emulator = emulator.clone().with_structure(structure);
            let (evidence, gradient) = emulator.gradient(&spectra).unwrap();
            assert_vector_close(name, &[evidence.value], &[number(&stored["loglik"])], 1e-10);
            assert_eq!(evidence, emulator.objective(&spectra).unwrap());
            let expected = vector(&stored["grad_analytic_blocks"]);
            for (found, expected) in in_stored_order(&emulator, &gradient).iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 1e-7 * expected.abs().max(1.0),
                    "{name}: {found} is not {expected}"
                );
            }
            let fluxes = emulator.with_evidence(Evidence::Fluxes).objective(&spectra).unwrap();
            assert_vector_close(name, &[fluxes.value], &[number(&stored["flux_loglik"])], 1e-10);
        }
        let chosen = emulator.condition(&spectra).unwrap().structure();
        assert_eq!(chosen, Structure::Independent);
    }
}

#[test]
fn other_components_give_the_stored_values() {
    let fixture = fixture();
    let pca = pca(&fixture);
    for (name, structure) in [("nonorthonormal", Structure::Dense), ("orthogonal_scaled", Structure::Independent)] {
        let stored = &fixture[name];
        let spectra = stored_spectra(&fixture, mixed(&pca, matrix(&stored["mix"]).as_ref()));
        let emulator = emulator(&spectra, &stored["p"]);
        assert_eq!(emulator.condition(&spectra).unwrap().structure(), structure);
        assert_vector_close("G", &by_rows(spectra.basis().gram()), &by_rows(matrix(&stored["G"]).as_ref()), 1e-13);
        assert_vector_close("ŵ", &by_columns(spectra.weights()), &vector(&stored["w_hat"]), 1e-8);

        let (evidence, gradient) = emulator.gradient(&spectra).unwrap();
        assert_vector_close(name, &[evidence.value], &[number(&stored["loglik"])], 1e-10);
        // The stored gradient is of central differences.
        let expected = vector(&stored["grad_numeric"]);
        assert_vector_close(name, &in_stored_order(&emulator, &gradient), &expected, 1e-7);
        let fluxes = emulator.clone().with_evidence(Evidence::Fluxes).objective(&spectra).unwrap();
        assert_vector_close(name, &[fluxes.value], &[number(&stored["flux_loglik"])], 1e-10);

        let joint =
            emulator.condition(&spectra).unwrap().joint_weights(matrix(&fixture["new_params"]).as_ref()).unwrap();
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
    let spectra = stored_spectra(&fixture, &pca);
    for name in ["default", "scaled", "distinct"] {
        let stored = &fixture["settings"][name];
        let emulator = emulator(&spectra, &stored["p"]);
        assert_vector_close("V", &lower_of_covariance(&emulator, &spectra), &vector(&stored["v_lower"]), 1e-8);

        let posterior = emulator.condition(&spectra).unwrap();
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
fn lower_of_covariance(emulator: &Emulator<Scaled<Rbf>>, seen: &Spectra) -> Vec<f64> {
    let spectra = seen.theta().nrows();
    let mut v = Mat::<f64>::zeros(3 * spectra, 3 * spectra);
    for (i, kernel) in emulator.kernels().iter().enumerate() {
        let gram = kernel.gram(seen.theta()).unwrap();
        v.as_mut().submatrix_mut(i * spectra, i * spectra, spectra, spectra).copy_from(&gram);
        for j in 0..spectra {
            v[(i * spectra + j, i * spectra + j)] += 1.0 / (emulator.precision() * seen.basis().gram()[(i, i)]);
        }
    }
    (0..v.ncols()).flat_map(|col| (col..v.nrows()).map(|row| v[(row, col)]).collect::<Vec<_>>()).collect()
}
