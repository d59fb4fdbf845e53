//! What an emulator is made of, and what is refused.
#![allow(clippy::unwrap_used)]

use mercer::data::{Basis, Components, Pca, PcaSettings, Standardizer};
use mercer::emulator::{Emulator, Spectra};
use mercer::optim::Lbfgs;
use mercer::params::Prior;
use mercer::prelude::*;

use super::spectra;

/// Finite spectra, in units so small that the standardised ones are not.
#[test]
fn spectra_that_overflow_are_refused() {
    let theta = mat![[0.0], [1.0]];
    let basis = |scale: f64| {
        let standardizer = Standardizer::new(vec![0.0; 2], vec![scale; 2]).unwrap();
        Basis::new(mat![[1.0, 0.0]]).unwrap().with_standardizer(standardizer).unwrap()
    };
    let fluxes = mat![[1.0, 2.0], [2.0, 3.0]];
    for scale in [1e-310, 1e-200] {
        let refused = Spectra::new(&theta, &fluxes, basis(scale)).map(|_| ());
        assert!(matches!(refused, Err(Error::NonFinite { .. } | Error::Setting { .. })), "{scale:e}: {refused:?}");
    }
    assert!(Spectra::new(&theta, &fluxes, basis(1e-100)).is_ok());
}

#[test]
fn setting_a_value_keeps_what_is_said_about_the_parameter() {
    let (theta, fluxes) = spectra(12, 20, 12);
    let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let mut emulator = Emulator::new(&seen).unwrap().with_nugget(&[0.1, 0.2]).unwrap();
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

#[test]
fn bad_input_is_refused() {
    let (theta, fluxes) = spectra(6, 8, 14);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let new = |theta: MatRef<'_, f64>, fluxes: MatRef<'_, f64>| Spectra::new(theta, fluxes, &pca);
    assert!(matches!(new(theta.as_ref().subrows(0, 5), fluxes.as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(new(theta.as_ref(), fluxes.as_ref().subcols(0, 7)), Err(Error::Shape { .. })));
    assert!(matches!(new(theta.as_ref().subcols(0, 0), fluxes.as_ref()), Err(Error::Empty { .. })));
    let mut holed = theta.clone();
    holed[(2, 1)] = f64::NAN;
    assert!(matches!(new(holed.as_ref(), fluxes.as_ref()), Err(Error::NonFinite { row: 2, col: 1, .. })));

    let seen = new(theta.as_ref(), fluxes.as_ref()).unwrap();
    let emulator = Emulator::new(&seen).unwrap();
    let kernels = |kernel: DynKernel| emulator.clone().with_kernels(vec![kernel; seen.basis().len()]);
    assert!(matches!(emulator.clone().with_kernels(vec![Rbf::new(1.0); 9]), Err(Error::Setting { .. })));
    assert!(matches!(emulator.clone().with_nugget(&[0.1; 9]), Err(Error::Setting { .. })));
    assert!(matches!(emulator.clone().with_precision(0.0), Err(Error::Parameter { .. })));
    let reads_too_much = kernels(Rbf::new([1.0, 1.0, 1.0]).dynamic()).unwrap().objective(&seen);
    assert!(matches!(reads_too_much, Err(Error::Dimension { .. })), "{reads_too_much:?}");
    let indefinite = kernels((Rbf::new(1.0) - 2.0 * Rbf::new(2.0)).dynamic()).unwrap();
    assert!(matches!(indefinite.objective(&seen), Err(Error::Indefinite { .. })));
    assert!(emulator.clone().set("kernel[0].scaled.rbf.lenghtscale[0]", 1.0).is_err());

    let posterior = emulator.condition(&seen).unwrap();
    assert!(matches!(posterior.weights(mat![[1.0]].as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(posterior.fluxes(mat![[1.0, f64::INFINITY]].as_ref()), Err(Error::NonFinite { .. })));
}

/// A model of so many components learns from others of as many, and from no others.
#[test]
fn spectra_of_another_number_of_components_are_refused() {
    let (theta, fluxes) = spectra(8, 12, 17);
    let of = |count| {
        let settings = PcaSettings { components: Components::Count(count), ..PcaSettings::default() };
        Spectra::new(&theta, &fluxes, &Pca::fit(fluxes.as_ref(), &settings).unwrap()).unwrap()
    };
    let (two, three) = (of(2), of(3));
    let mut emulator = Emulator::new(&two).unwrap();
    let same = Spectra::new(theta.as_ref().subrows(0, 5), fluxes.as_ref().subrows(0, 5), two.basis().clone()).unwrap();
    assert!(emulator.condition(&same).is_ok());
    let refused = [
        emulator.objective(&three).map(|_| ()),
        emulator.gradient(&three).map(|_| ()),
        emulator.condition(&three).map(|_| ()),
        emulator.fit(&three, &Lbfgs::default()).map(|_| ()),
        emulator.refine(&three, &Lbfgs::default()).map(|_| ()),
    ];
    for refused in refused {
        let error = refused.unwrap_err().to_string();
        assert_eq!(error, "the number of kernels is 2, but must be 3, one for each component of the spectra");
    }
}
