//! What is refused, and what errors say.

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Saved, Spectra};
use mercer::gp::{ExactGp, Posterior, Svgp};
use mercer::likelihood::Gaussian;
use mercer::mean::FunctionMean;
use mercer::params::Constraint;
use mercer::prelude::*;
use mercer::save::{Save, from_bytes, load};
use mercer::warp::from_fn;

use crate::Folder;

fn exact() -> ExactGp {
    ExactGp::new((2.0 * Rbf::new(0.7)).dynamic()).with_noise(0.01).unwrap()
}

fn data() -> Data<f64> {
    Data::new(mat![[0.0], [1.0], [2.5]], [0.3, 0.5, -0.7])
}

fn told<V>(result: mercer::Result<V>) -> String {
    result.map(drop).unwrap_err().to_string()
}

#[test]
fn what_is_not_registered_is_refused_by_name() {
    let mean = FunctionMean::new("wave", |theta, x| theta[0] * x[0].sin(), |_, _, _, _| {});
    let mean = mean.with_parameter("height", 1.0, Constraint::Real).unwrap();
    let error = told(exact().with_mean(mean).to_bytes());
    assert!(error.starts_with("the mean function is `wave`") && error.contains("mercer::mean::register"), "{error}");

    let halved = Rbf::new(1.0).warp(from_fn("halve", 1, |x, out| out[0] = x[0] * 0.5));
    let error = told(ExactGp::new(halved.dynamic()).to_bytes());
    assert!(error.contains("halve") && error.contains("mercer::algebra::register"), "{error}");
}

#[test]
fn a_file_says_what_it_holds() {
    let bytes = exact().to_bytes().unwrap();
    let error = told(from_bytes::<Svgp>(&bytes));
    assert!(error.contains("holds `exact_gp`, not `svgp`"), "{error}");
    let single: Posterior<f32> = exact().condition(&Data::new(mat![[0.0f32]], [0.3f32])).unwrap();
    let error = told(from_bytes::<Posterior<f64>>(&single.to_bytes().unwrap()));
    assert!(error.contains("numbers of the type f32, not f64"), "{error}");
    let noise: ExactGp<DynKernel, mercer::likelihood::FixedNoise> =
        ExactGp::new(Rbf::new(1.0).dynamic()).with_likelihood(mercer::likelihood::FixedNoise::new(&[0.1]).unwrap());
    let error = told(from_bytes::<ExactGp>(&noise.to_bytes().unwrap()));
    assert!(error.contains("at `likelihood`, it holds `fixed_noise`, not `gaussian`"), "{error}");
}

#[test]
fn errors_of_files_name_the_file_and_say_what_to_do() {
    let folder = Folder::new("refusals");
    let path = folder.0.join("model.mercer");
    exact().save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let with = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = told(load::<ExactGp>(&path));
        assert!(error.starts_with(&format!("the saved model `{}` ", path.display())), "{error}");
        error
    };
    assert!(with(b"").contains("was cut short"));
    assert!(with(b"a letter").contains("is not one of mercer"));
    assert!(with(text.replacen("\"mercer\": 1,", "\"mercer\": 2,", 1).as_bytes()).contains("is of format 2"));
    assert!(with(text.replacen("0.01", "0.02", 1).as_bytes()).contains("was changed since it was saved"));
    assert!(with(&text.as_bytes()[..100]).contains("was cut short"));
    std::fs::remove_file(&path).unwrap();
    assert!(told(load::<ExactGp>(&path)).contains("cannot be read"));
    assert!(told(exact().save(folder.0.join("none").join("model"))).contains("cannot be written"));
}

#[test]
fn heads_are_for_people() {
    let mut gp = exact();
    gp.freeze("likelihood").unwrap();
    gp.set_prior("kernel.scaled.factor", mercer::params::Prior::gamma(2.0, 1.0).unwrap()).unwrap();
    let text = String::from_utf8(gp.to_bytes().unwrap()).unwrap();
    for line in [
        "    \"kernel\": \"2 * rbf(lengthscale=0.7)\",\n",
        "    \"mean\": {\"type\": \"zero\"},\n",
        "    \"likelihood\": {\"type\": \"gaussian\", \"variance\": 0.01},\n",
        "      \"kernel.scaled.rbf.lengthscale\": {\"value\": 0.7, \"constraint\": \"positive\"},\n",
        "    \"frozen\": [\"likelihood.gaussian.variance\"],\n",
        "    \"priors\": {\"kernel.scaled.factor\": \"gamma(shape=2, rate=1)\"}\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    assert_eq!(from_bytes::<ExactGp>(text.as_bytes()).unwrap().parameters(), gp.parameters());
}

/// A generic model loads as one of a boxed kernel, with the same bits.
#[test]
fn kernels_of_any_type_are_saved() {
    let generic = ExactGp::new(2.0 * Rbf::new(0.7) + Linear::new(0.1)).with_noise(0.3).unwrap();
    let read: ExactGp = from_bytes(&generic.to_bytes().unwrap()).unwrap();
    assert_eq!(read.gradient(&data()).unwrap(), generic.gradient(&data()).unwrap());
}

/// What does not belong together is not saved.
#[test]
fn an_emulator_is_saved_with_spectra_of_its_components() {
    let theta = Mat::from_fn(6, 1, |j, _| j as f64);
    let fluxes = Mat::from_fn(6, 9, |j, pixel| 1.0 + (0.1 * (j * pixel) as f64).sin());
    let of = |count| {
        let settings = PcaSettings { components: Components::Count(count), ..PcaSettings::default() };
        Spectra::new(&theta, &fluxes, &Pca::fit(fluxes.as_ref(), &settings).unwrap()).unwrap()
    };
    let error = told(Saved { emulator: Emulator::new(&of(1)).unwrap(), spectra: of(2) }.to_bytes());
    assert!(error.contains("the number of kernels is 1, but must be 2"), "{error}");
}

/// What another version may add is not passed over.
#[test]
fn unknown_entries_are_refused() {
    struct Newer;
    impl Save for Newer {
        const NAME: &'static str = "gaussian";
        fn write(&self, to: &mut mercer::save::Writer) -> mercer::Result<()> {
            to.put("variance", &0.1)?;
            to.put("standardisation", &true)
        }
    }
    let error = told(from_bytes::<Gaussian>(&Newer.to_bytes().unwrap()));
    assert!(error.contains("has `standardisation`, which this version of mercer does not know"), "{error}");
}
