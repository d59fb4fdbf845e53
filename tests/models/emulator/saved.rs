//! Emulators in files.
#![allow(clippy::unwrap_used)]

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, Outside, Saved, Spectra, Structure};
use mercer::linalg::Jitter;
use mercer::params::Prior;
use mercer::prelude::*;
use serde_json::Value;

use super::spectra;

#[test]
fn a_saved_emulator_comes_back_whole() {
    let (theta, fluxes) = spectra(12, 20, 12);
    let settings = PcaSettings { components: Components::Count(2), scale: true, normalise: true };
    let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
    let seen = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let mut emulator = Emulator::new(&seen).unwrap().with_nugget(&[0.1, 1.0 / 3.0]).unwrap();
    let kernels =
        vec![(2.0 * Rbf::new([0.1, 30.0])).dynamic(), (Matern32::new(3.0) + 0.7 * Linear::new(0.1)).dynamic()];
    emulator = emulator.with_kernels(kernels).unwrap().with_outside(Outside::Refuse).with_structure(Structure::Dense);
    emulator.tie(&["kernel[0].scaled.factor", "kernel[1].sum[1].scaled.factor"]).unwrap();
    emulator.freeze("nugget[1]").unwrap();
    emulator.set_prior("precision", Prior::gamma(2.0, 1.0 / 3.0).unwrap()).unwrap();

    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let kept = Saved { emulator: emulator.clone().with_evidence(evidence), spectra: seen.clone() };
        let saved = serde_json::to_string(&kept).unwrap();
        let read: Saved = serde_json::from_str(&saved).unwrap();
        assert_eq!(read.emulator.parameters(), emulator.parameters());
        let of_read = &read.spectra;
        assert_eq!(
            (of_read.theta(), of_read.weights(), of_read.truncation(), of_read.basis().fitted()),
            (seen.theta(), seen.weights(), seen.truncation(), 3)
        );
        assert_eq!(read.emulator.gradient(of_read).unwrap(), kept.emulator.gradient(&seen).unwrap());
        let (a, b) = (read.emulator.condition(of_read).unwrap(), emulator.condition(&seen).unwrap());
        assert_eq!(a.structure(), Structure::Dense);
        let at = theta.as_ref().subrows(3, 2);
        assert_eq!(a.fluxes(at).unwrap(), b.fluxes(at).unwrap());
        assert!(matches!(a.fluxes(mat![[1.0, 9e9]].as_ref()), Err(Error::Outside { .. })));
        assert_eq!(serde_json::to_string(&read).unwrap(), saved);
    }
}

#[test]
fn a_corrupt_file_says_so() {
    let (theta, fluxes) = spectra(5, 8, 13);
    let pca = Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap();
    let spectra = Spectra::new(&theta, &fluxes, &pca).unwrap();
    let saved = serde_json::to_value(Saved { emulator: Emulator::new(&spectra).unwrap(), spectra }).unwrap();
    let read = |value: &Value| serde_json::from_value::<Saved>(value.clone()).map(|_| ()).map_err(|e| e.to_string());
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
    let changes: [(&str, Value); 9] = [
        ("normalised", true.into()),
        ("allow_indefinite", true.into()),
        ("evidence", "Weights".into()),
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
    assert!(serde_json::from_str::<Saved>(&text[..text.len() / 2]).is_err());
}

/// What does not belong together is not saved.
#[test]
fn an_emulator_is_saved_with_spectra_of_its_components() {
    let (theta, fluxes) = spectra(6, 8, 13);
    let of = |count| {
        let settings = PcaSettings { components: Components::Count(count), ..PcaSettings::default() };
        Spectra::new(&theta, &fluxes, &Pca::fit(fluxes.as_ref(), &settings).unwrap()).unwrap()
    };
    let error = serde_json::to_string(&Saved { emulator: Emulator::new(&of(1)).unwrap(), spectra: of(2) }).unwrap_err();
    assert!(error.to_string().contains("the number of kernels is 1, but must be 2"), "{error}");
}
