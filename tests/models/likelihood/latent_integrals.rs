//! Integrals over the latent function: stored values of high precision, and laws.
#![allow(clippy::unwrap_used, clippy::panic)]

use approx::relative_eq;
use mercer::likelihood::{
    Bernoulli, Beta, Gamma, Heteroscedastic, Laplace, Likelihood, NegativeBinomial, Ordinal, Poisson, StudentT,
};
use mercer::prelude::*;
use mercer::testkit::{directional_difference, seed, trials};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::stored::{number, read, vector};

fn likelihood(name: &str, params: &[f64]) -> Box<dyn Likelihood> {
    match name {
        "bernoulli_logit" => Box::new(Bernoulli::logit()),
        "bernoulli_probit" => Box::new(Bernoulli::probit()),
        "student_t" => Box::new(StudentT::new(params[0], params[1])),
        "laplace" => Box::new(Laplace::new(params[0])),
        "gamma" => Box::new(Gamma::new(params[0])),
        "beta" => Box::new(Beta::new(params[0])),
        "poisson" => Box::new(Poisson::new().with_exposure(params[0]).unwrap()),
        "negative_binomial" => Box::new(NegativeBinomial::new(params[0])),
        "ordinal" => Box::new(Ordinal::new(params)),
        "heteroscedastic" => Box::new(Heteroscedastic::new()),
        other => panic!("{other}"),
    }
}

/// A number that agrees to a tolerance relative to it or to this scale.
fn agrees(found: f64, right: f64, scale: f64, tolerance: f64) -> bool {
    relative_eq!(found, right, epsilon = tolerance * scale, max_relative = tolerance)
}

/// Rules are within 1e-11 or so beside numbers of order 1, and values were stored to 13 digits; log densities far out are
/// differences of numbers some thousand times as large.
#[test]
fn stored_values_match() {
    const TOLERANCE: f64 = 1e-9;
    let stored = read("latent_integrals.json");
    let mut wrong = Vec::new();
    for case in stored["cases"].as_array().unwrap() {
        let (name, params) = (case[0].as_str().unwrap(), vector(&case[1]));
        let (y, mean, variance) = (number(&case[2]), number(&case[3]), number(&case[4]));
        let two = name == "heteroscedastic";
        let (means, variances) =
            if two { (vec![params[0], mean], vec![params[1], variance]) } else { (vec![mean], vec![variance]) };
        let likelihood = likelihood(name, &params);
        let expected = likelihood.variational_expectations(&[y], &means, &variances).unwrap();
        let right = vector(&case[5]);
        let size = 1.0 + right[0].abs();
        let mut check = |what: &str, found: f64, right: f64, scale: f64| {
            if !agrees(found, right, scale, TOLERANCE) {
                wrong.push(format!("{name} {params:?}, y {y}, N({mean}, {variance}): {what} {found}, right {right}"));
            }
        };
        check("expectation", expected.values[0], right[0], size);
        for latent in 0..means.len() {
            // What a change of the mean by a deviation, or of the variance by itself, does to the value.
            let unit = variances[latent].max(1.0);
            check("d_mean", expected.d_mean[latent], right[1 + 2 * latent], size / unit.sqrt());
            check("d_variance", expected.d_variance[latent], right[2 + 2 * latent], size / unit);
        }
        let density = likelihood.log_predictive_density(&[y], &means, &variances).unwrap()[0];
        check("log density", density, number(&case[8]), 1.0 + number(&case[8]).abs());
        match likelihood.predict(&means, &variances) {
            Ok(predicted) => {
                check("mean", predicted.mean[0], number(&case[6]), 0.0);
                check("variance", predicted.variance[0], number(&case[7]), 0.0);
            }
            Err(_) => assert!(case[6].is_null()),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A likelihood without closed forms, an observation of it, and a mean and a variance up to where f is wide.
fn draw(rng: &mut Pcg64) -> (Box<dyn Likelihood>, [f64; 3]) {
    let mut uniform = |from: f64, to: f64| from + (to - from) * rng.random::<f64>();
    let power = 10f64.powf(uniform(-2.0, 2.0));
    let (likelihood, y): (Box<dyn Likelihood>, f64) = match uniform(0.0, 6.0) as usize {
        0 => (Box::new(Bernoulli::logit()), uniform(0.0, 2.0).floor()),
        1 => (Box::new(Bernoulli::probit()), uniform(0.0, 2.0).floor()),
        2 => (Box::new(StudentT::new(power, uniform(1.0, 30.0))), uniform(-5.0, 5.0)),
        3 => (Box::new(Beta::new(power)), uniform(0.01, 0.99)),
        4 => (Box::new(NegativeBinomial::new(power)), uniform(0.0, 100.0).floor()),
        _ => (Box::new(Ordinal::new(&[-1.0, 0.3, 2.0 + power])), uniform(0.0, 4.0).floor()),
    };
    (likelihood, [y, uniform(-10.0, 10.0), 10f64.powf(uniform(-1.0, 4.0))])
}

/// ∂/∂v is ½ ∂²/∂μ² for every expectation: derivatives belong together, whichever rules take them.
#[test]
fn derivatives_obey_the_heat_equation() {
    let mut rng = Pcg64::seed_from_u64(seed(11));
    for _ in 0..trials(400) {
        let (likelihood, [y, mean, variance]) = draw(&mut rng);
        let at = |mean: f64| likelihood.variational_expectations(&[y], &[mean], &[variance]).unwrap();
        let right = 0.5 * directional_difference(0.01 * variance.sqrt(), |step| at(mean + step).d_mean[0]);
        let found = at(mean);
        // Rules are off by 1e-10, divided by the step.
        let scale = (1.0 + found.values[0].abs()) / variance;
        assert!(
            agrees(found.d_variance[0], right, scale, 1e-7),
            "{likelihood:?}, y {y}, N({mean}, {variance}): {} is not {right}",
            found.d_variance[0]
        );
    }
}

/// Derivatives in the parameters are those of the values.
#[test]
fn derivatives_in_parameters() {
    let mut rng = Pcg64::seed_from_u64(seed(12));
    for _ in 0..trials(200) {
        let (likelihood, [y, mean, variance]) = draw(&mut rng);
        let found = likelihood.variational_expectations(&[y], &[mean], &[variance]).unwrap();
        let params = likelihood.values();
        for (i, &param) in params.iter().enumerate() {
            let right = directional_difference(0.003 * param.abs(), |step| {
                let mut moved = likelihood.clone();
                let mut values = params.clone();
                values[i] += step;
                moved.set_values(&values).unwrap();
                moved.variational_expectations(&[y], &[mean], &[variance]).unwrap().values[0]
            });
            let scale = (1.0 + found.values[0].abs()) / param.abs();
            assert!(
                agrees(found.d_params[i], right, scale, 1e-6),
                "{likelihood:?}, y {y}, N({mean}, {variance}): {} is not {right}",
                found.d_params[i]
            );
        }
    }
}

/// Values at settings where a rule for small variances is far off.
#[test]
fn wide_latents_and_outliers() {
    let density = |likelihood: &dyn Likelihood, y: f64, mean: &[f64], variance: &[f64]| {
        likelihood.log_predictive_density(&[y], mean, variance).unwrap()[0]
    };
    let student = StudentT::new(0.0708341718646541, 35.004016059774195);
    let found = density(&student, -5.775123061786051, &[-0.0868962995295311], &[0.24076210883905555]);
    assert!(agrees(found, -65.888478, 1.0, 1e-8), "{found}");
    for (y, right) in [(0.3, -65.053661), (0.01, -173.105380)] {
        let found = density(&Beta::new(200.0), y, &[3.0], &[0.09]);
        assert!(agrees(found, right, 1.0, 1e-8), "{found}");
    }
    for (y, variance, right) in [(30.0, 0.01, -112.679997), (100.0, 0.04, -116.089321)] {
        let found = density(&Heteroscedastic::new(), y, &[0.0, 0.0], &[0.01, variance]);
        assert!(agrees(found, right, 1.0, 1e-8), "{found}");
    }
    for (mean, variance, right) in [(2.0, 100.0, 0.5780), (7.906, 1e3, 0.5985), (30.0, 1e4, 0.6179)] {
        let found = Bernoulli::logit().predict(&[mean], &[variance]).unwrap().mean[0];
        assert!((found - right).abs() < 1e-4, "{found}");
    }
    let expectations: [(Box<dyn Likelihood>, [f64; 4]); 4] = [
        (
            Box::new(Beta::new(157.93901143538298)),
            [0.02783690475262615, 2.34446848594428, 61.67459737879747, -323.9558],
        ),
        (
            Box::new(NegativeBinomial::new(0.0013864042156896846)),
            [5.0, 2.6270428319677643, 276.91450976465643, -3540.595],
        ),
        (Box::new(Bernoulli::probit()), [0.0, -3.0689842425324088, 433.10934953138496, -86.5313]),
        (
            Box::new(StudentT::new(0.25836495418129085, 35.5238513498734)),
            [4.018355600688421, 1.811878340823993, 27.80946493804766, -35.5156],
        ),
    ];
    for (likelihood, [y, mean, variance, right]) in expectations {
        let found = likelihood.variational_expectations(&[y], &[mean], &[variance]).unwrap().values[0];
        assert!(agrees(found, right, 1.0, 1e-6), "{likelihood:?}: {found}");
    }
    // Without variance it is the density; and certain of what is not there, it is 0.
    assert_eq!(
        density(&Heteroscedastic::new(), 1.0, &[0.0, 0.0], &[0.0, 0.0]),
        -0.5 - 0.5 * std::f64::consts::TAU.ln()
    );
    assert_eq!(density(&Poisson::new(), 0.0, &[800.0], &[0.0]), f64::NEG_INFINITY);
}

/// Infinite where the true value is, and no NaN.
#[test]
fn moments_overflow_to_infinity() {
    let count: [Box<dyn Likelihood>; 2] = [Box::new(Poisson::new()), Box::new(NegativeBinomial::new(1e-300))];
    for likelihood in count {
        let found = likelihood.predict(&[400.0; 2], &[0.0, 1e-300]).unwrap();
        assert!(found.mean.iter().chain(&found.variance).all(|value| relative_eq!(
            *value,
            400f64.exp(),
            max_relative = 1e-12
        )));
        let found = likelihood.predict(&[400.0, 800.0, -800.0, 0.0], &[1.0, 0.0, 3000.0, 1e5]).unwrap();
        assert_eq!(found.variance, [f64::INFINITY; 4]);
        // exp(−800 + 1500/2)
        let found = likelihood.predict(&[-800.0], &[1500.0]).unwrap();
        assert!(
            relative_eq!(found.mean[0], (-50f64).exp(), max_relative = 1e-12) && found.variance[0] == f64::INFINITY
        );
    }
    let found = Gamma::new(2.0).predict(&[350.0, 700.0, -800.0], &[0.0, 0.0, 800.0]).unwrap();
    assert!(relative_eq!(found.variance[0], 0.5 * 700f64.exp(), max_relative = 1e-12));
    assert_eq!(found.variance[1], f64::INFINITY);
    assert!(relative_eq!(found.variance[2], 1.5, max_relative = 1e-12), "{:?}", found.variance);
    let found = Heteroscedastic::new().predict(&[0.0, 400.0], &[1.0, 1.0]).unwrap();
    assert_eq!(found.variance, [f64::INFINITY]);
    // An exposure brings the rate back.
    let found = Poisson::new().with_exposure(1e-10).unwrap().predict(&[720.0], &[0.0]).unwrap();
    assert!(relative_eq!(found.mean[0].ln(), 720.0 - 1e10f64.ln(), max_relative = 1e-14));
}
