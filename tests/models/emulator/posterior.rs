//! Weights of new parameters.
#![allow(clippy::unwrap_used)]

use mercer::data::{Basis, Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, FluxDistribution, Outside};
use mercer::prelude::*;

use super::spectra;

/// A nugget is a variance of each spectrum's weights: of new ones as of those seen.
#[test]
fn a_nugget_is_in_new_weights() {
    let (theta, fluxes) = spectra(15, 30, 8);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let emulator = Emulator::new(theta.as_ref(), fluxes.as_ref(), &pca).unwrap().with_precision(1e3).unwrap();
    // The same covariance of what was seen, as G is 1.
    let split = emulator.clone().with_precision(2e3).and_then(|emulator| emulator.with_nugget(&[5e-4, 5e-4])).unwrap();
    let (a, b) = (
        emulator.log_marginal_likelihood(Evidence::Weights).unwrap(),
        split.log_marginal_likelihood(Evidence::Weights).unwrap(),
    );
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
