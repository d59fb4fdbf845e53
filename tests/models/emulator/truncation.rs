//! What components leave of spectra.
#![allow(clippy::unwrap_used)]

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, Saved, Spectra};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use mercer::save::{Save, from_bytes};

use super::{bumps, spectra, stars};
use crate::common::close::assert_vector_close;

/// Of components that were given, and of such that were fitted to the spectra; of as many as there are spectra too.
#[test]
fn the_own_variance_of_a_flux_is_the_truncation() {
    let (theta, fluxes) = spectra(12, 20, 15);
    let settings = PcaSettings { components: Components::Count(2), scale: true, normalise: true };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    for (basis, freedom) in [(bumps(20), 12.0), (pca.basis().clone().with_fitted(3), 9.0)] {
        let seen = Spectra::new(&theta, &fluxes, basis).unwrap();
        let basis = seen.basis();
        let factors = basis.factors(fluxes.as_ref()).unwrap();
        let back = basis.reconstruct(seen.weights()).unwrap();
        let left = |j: usize, p: usize| fluxes[(j, p)] / factors[j] - back[(j, p)];
        let expected: Vec<f64> = (0..20).map(|p| (0..12).map(|j| left(j, p).powi(2)).sum::<f64>() / freedom).collect();
        assert_vector_close("truncation", seen.truncation().unwrap(), &expected, 1e-12);
        assert!(expected.iter().any(|&variance| variance > 1e-9));
        let posterior = Emulator::new(&seen).unwrap().condition(&seen).unwrap();
        let flux = posterior.fluxes(theta.as_ref().subrows(1, 1)).unwrap().remove(0);
        assert_eq!(flux.own_variance(), seen.truncation().unwrap());
    }
    // Two spectra are enough to see what two components that were given leave.
    let (theta, fluxes) = (theta.as_ref().subrows(0, 2), fluxes.as_ref().subrows(0, 2));
    let few = Spectra::new(theta, fluxes, bumps(20)).unwrap();
    assert!(few.truncation().unwrap().iter().any(|&variance| variance > 1e-9));

    let all = PcaSettings { components: Components::Count(1), ..PcaSettings::default() };
    let spectra = Spectra::new(theta, fluxes, &Pca::fit(fluxes, &all).unwrap()).unwrap();
    let full = Saved { emulator: Emulator::new(&spectra).unwrap(), spectra };
    let saved = full.to_bytes().unwrap();
    for Saved { emulator, spectra } in [full, from_bytes(&saved).unwrap()] {
        assert!(matches!(spectra.truncation(), Err(Error::Setting { .. })));
        let posterior = emulator.condition(&spectra).unwrap();
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
    let spectra = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let mut expected = vec![0.0; 20];
    for out in 0..12 {
        let others = Mat::from_fn(11, 20, |row, pixel| fluxes[(row + usize::from(row >= out), pixel)]);
        let pca = Pca::fit(others.as_ref(), &settings).unwrap();
        let left = pca.basis().residuals(fluxes.as_ref().subrows(out, 1)).unwrap();
        expected.iter_mut().zip(&left.per_feature).for_each(|(sum, square)| *sum += square / 12.0);
    }
    assert_vector_close("truncation", spectra.truncation().unwrap(), &expected, 1e-9);
    let emulator = Emulator::new(&spectra).unwrap();
    let flux = emulator.condition(&spectra).unwrap().fluxes(theta.as_ref().subrows(1, 1)).unwrap().remove(0);
    assert_eq!(flux.own_variance(), spectra.truncation().unwrap());
    let saved = Saved { emulator, spectra };
    let read: Saved = from_bytes(&saved.to_bytes().unwrap()).unwrap();
    assert_eq!(read.spectra.basis().truncation(), Some(saved.spectra.truncation().unwrap()));
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
            let seen = Spectra::new(&theta, &kept, &pca).unwrap();
            let mut emulator = Emulator::new(&seen).unwrap().with_evidence(Evidence::Weights);
            emulator.refine(&seen, &Lbfgs::default()).unwrap();
            let fluxes = emulator.condition(&seen).unwrap().fluxes(labels.as_ref()).unwrap();
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
