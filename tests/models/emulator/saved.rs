//! Emulators in files.
#![allow(clippy::unwrap_used)]

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Evidence, Outside, Structure};
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
        assert_eq!(
            read.log_marginal_likelihood_gradient(evidence).unwrap(),
            emulator.log_marginal_likelihood_gradient(evidence).unwrap()
        );
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
