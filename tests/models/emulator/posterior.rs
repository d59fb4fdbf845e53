//! Weights of new parameters.
#![allow(clippy::unwrap_used)]

use mercer::data::{Basis, Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, FluxDistribution, Outside, Spectra, Structure};
use mercer::linalg::{Cholesky, Jitter};
use mercer::prelude::*;
use rand::SeedableRng;

use super::{bumps, spectra};
use crate::common::dense::log_normal;

/// A nugget is a variance of each spectrum's weights: of new ones as of those seen.
#[test]
fn a_nugget_is_in_new_weights() {
    let (theta, fluxes) = spectra(15, 30, 8);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let emulator = Emulator::new(&seen).unwrap().with_evidence(Evidence::Weights).with_precision(1e3).unwrap();
    // The same covariance of what was seen, as G is 1.
    let split = emulator.clone().with_precision(2e3).and_then(|emulator| emulator.with_nugget(&[5e-4, 5e-4])).unwrap();
    let [a, b] = [&emulator, &split].map(|emulator| emulator.objective(&seen).unwrap().value);
    assert!((a - b).abs() < 1e-10 * a.abs());
    let at = spectra(4, 1, 9).0;
    let weights = |emulator: &Emulator| emulator.condition(&seen).unwrap().weights(at.as_ref()).unwrap();
    let (a, b) = (weights(&emulator), weights(&split));
    for new in 0..4 {
        let added = &b.covariance[new] - &a.covariance[new];
        assert!((added - Mat::<f64>::identity(2, 2) * faer::Scale(5e-4)).norm_max() < 1e-9);
    }
    assert!((a.mean - b.mean).norm_max() < 1e-9);
}

#[test]
fn extrapolation_is_flagged_or_refused() {
    let (theta, fluxes) = spectra(25, 30, 11);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let emulator = Emulator::new(&seen).unwrap();
    let at = mat![[1.0, 250.0], [1.0, 900.0], [theta[(3, 0)], theta[(3, 1)]]];
    let flags = [false, true, false];
    let posterior = emulator.condition(&seen).unwrap();
    assert_eq!(posterior.weights(at.as_ref()).unwrap().outside, flags);
    assert_eq!(posterior.joint_weights(at.as_ref()).unwrap().outside, flags);
    let fluxes: Vec<bool> = posterior.fluxes(at.as_ref()).unwrap().iter().map(FluxDistribution::is_outside).collect();
    assert_eq!(fluxes, flags);

    let strict = emulator.clone().with_outside(Outside::Refuse);
    let posterior = strict.condition(&seen).unwrap();
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

/// A process seen at 30 points with no noise to speak of: at these, variances are rounding errors of either sign, some
/// of them 0 as they are; far from them there is nothing to clamp.
#[test]
fn clamped_variances_are_counted() {
    let theta = Mat::from_fn(30, 1, |j, _| j as f64 / 29.0);
    let fluxes = Mat::from_fn(30, 2, |j, pixel| 1.0 + (theta[(j, 0)] * (1 + pixel) as f64).sin());
    let seen = Spectra::new(&theta, &fluxes, Basis::new(mat![[1.0, 0.0]]).unwrap()).unwrap();
    let emulator =
        Emulator::new(&seen).unwrap().with_kernels(vec![100.0 * Rbf::new(0.05)]).unwrap().with_precision(1e18).unwrap();
    let posterior = emulator.condition(&seen).unwrap();
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

/// Functions are the weights, and observations those of a spectrum by least squares, whose errors are correlated.
#[test]
fn weights_are_functions_of_the_parameters() {
    let (theta, fluxes) = spectra(12, 20, 18);
    let seen = Spectra::new(&theta, &fluxes, bumps(20)).unwrap();
    let emulator = Emulator::new(&seen).unwrap().with_precision(3.0).unwrap().with_nugget(&[0.1, 0.2, 0.3]).unwrap();
    let posterior = emulator.condition(&seen).unwrap();
    let at = spectra(4, 1, 19).0;
    let at = at.as_ref();
    let (weights, joint) = (posterior.weights(at).unwrap(), posterior.joint_weights(at).unwrap());
    let (functions, observed) = (posterior.predict(at).unwrap(), posterior.predict_observations(at).unwrap());
    assert_eq!((posterior.functions(), posterior.outputs()), (3, 3));
    assert_eq!((&functions.mean, &observed.mean), (&weights.mean, &weights.mean));
    let gram = Cholesky::new(seen.basis().gram(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let noise = gram.inverse(Par::Seq) * faer::Scale(1.0 / 3.0);
    let y = &weights.mean + Mat::from_fn(4, 3, |row, col| 0.1 * ((3 * row + col) as f64).sin());
    let mut holed = y.clone();
    holed[(2, 1)] = f64::NAN;
    let densities = posterior.log_predictive_density(at, y.as_ref()).unwrap();
    let of_holed = posterior.log_predictive_density(at, holed.as_ref()).unwrap();
    for row in 0..4 {
        let covariance = &weights.covariance[row] + &noise;
        for i in 0..3 {
            assert_eq!(functions.variance[(row, i)], weights.covariance[row][(i, i)]);
            assert!((observed.variance[(row, i)] - covariance[(i, i)]).abs() < 1e-12);
        }
        let miss: Vec<f64> = (0..3).map(|i| y[(row, i)] - weights.mean[(row, i)]).collect();
        assert!((densities[row] - log_normal(&miss, &covariance)).abs() < 1e-9);
        let seen: &[usize] = if row == 2 { &[0, 2] } else { &[0, 1, 2] };
        let of_seen = Mat::from_fn(seen.len(), seen.len(), |i, j| covariance[(seen[i], seen[j])]);
        let miss: Vec<f64> = seen.iter().map(|&i| miss[i]).collect();
        assert!((of_holed[row] - log_normal(&miss, &of_seen)).abs() < 1e-9);
    }
    for i in 0..3 {
        let block = joint.covariance.as_ref().submatrix(4 * i, 4 * i, 4, 4);
        assert_eq!(Predict::covariance(&posterior, at, i).unwrap(), block);
    }
    assert!(matches!(Predict::covariance(&posterior, at, 3), Err(Error::Setting { .. })));
}

/// Points that were seen with no noise to speak of are drawn as they are, of orthogonal components and of others.
#[test]
fn draws_of_what_was_seen_are_what_was_seen() {
    let theta = Mat::from_fn(9, 1, |j, _| 0.5 * j as f64);
    let fluxes = Mat::from_fn(9, 2, |j, pixel| ((1 + pixel) as f64 * theta[(j, 0)]).sin());
    for basis in [mat![[1.0, 0.0], [0.0, 1.0]], mat![[1.0, 1.0], [0.0, 1.0]]] {
        let seen = Spectra::new(&theta, &fluxes, Basis::new(basis).unwrap()).unwrap();
        let emulator = Emulator::new(&seen).unwrap().with_kernels(vec![Rbf::new(0.5), Rbf::new(0.7)]).unwrap();
        let posterior = emulator.with_precision(1e12).unwrap().condition(&seen).unwrap();
        let at = mat![[0.5], [0.5], [0.6]];
        let draws = posterior.sample(at.as_ref(), 6, &mut rand_pcg::Pcg64::seed_from_u64(7)).unwrap().values;
        assert_eq!(draws.shape(), (6, 6));
        for draw in draws.col_iter() {
            for component in 0..2 {
                let weight = seen.weights()[(1, component)];
                let [first, second, other] = [0, 1, 2].map(|point| draw[3 * component + point] - weight);
                assert!(first.abs() < 1e-4 && second.abs() < 1e-4 && other.abs() > 1e-4, "{first} {second} {other}");
            }
        }
    }
}

#[test]
fn a_posterior_outlives_the_emulator() {
    let (theta, fluxes) = spectra(12, 20, 20);
    let seen = Spectra::new(&theta, &fluxes, bumps(20)).unwrap();
    for structure in [Structure::SharedCorrelation, Structure::Dense, Structure::Iterative { probes: 4, seed: 0 }] {
        let posterior = {
            let seen = seen.clone();
            Emulator::new(&seen).unwrap().with_structure(structure).condition(&seen).unwrap()
        };
        let (copy, at) = (posterior.clone(), theta.clone());
        let found = std::thread::spawn(move || copy.fluxes(at.as_ref()).unwrap()).join().unwrap();
        assert_eq!(found, posterior.fluxes(theta.as_ref()).unwrap());
    }
}
