//! What is said of a bound that overflows.
#![allow(clippy::unwrap_used)]

use mercer::gp::Svgp;
use mercer::likelihood::{Gamma, Heteroscedastic, Likelihood, Poisson};
use mercer::optim::{Adam, Lbfgs, NaturalGradient, Train};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// Years as inputs of a linear kernel, and the same inputs scaled.
fn assert_overflow_is_named(name: &str, likelihood: impl Likelihood + Clone + 'static) {
    let years = Mat::from_fn(40, 1, |i, _| 1980.0 + i as f64);
    let scaled = Mat::from_fn(40, 1, |i, _| (i as f64 - 20.0) / 20.0);
    let y: Vec<f64> = (0..40).map(|i| 20.0 + f64::from(i)).collect();
    let model = |z: Mat<f64>| Svgp::new(Linear::new(1.0), z.as_ref()).unwrap().with_likelihood(likelihood.clone());
    let mut gp = model(mat![[1985.0], [2015.0]]);
    let before = gp.clone();
    let rule = NaturalGradient::default();
    let train = Train::new(2).with_batch(10).with_adam(Adam::default());
    let errors = [
        gp.fit(&Data::new(years.as_ref(), &y), &Lbfgs::default()).unwrap_err(),
        gp.natural_step(&Data::new(years.as_ref(), &y).part_of(40), &rule).unwrap_err(),
        gp.fit_profiled(&Data::new(years.as_ref(), &y), &Lbfgs::default(), &rule).unwrap_err(),
        gp.train(&Data::new(years.as_ref(), &y), &train, &mut Pcg64::seed_from_u64(1)).unwrap_err(),
        gp.gradient(&Data::new(years.as_ref(), &y).part_of(40)).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(matches!(&error, Error::Overflow { likelihood, .. } if likelihood == name), "{error:?}");
        assert!(["link", name, "y[", "variance", "scale the inputs"].iter().all(|part| text.contains(part)), "{text}");
    }
    // The bound is what it is, and nothing has moved.
    assert_eq!(gp.objective(&Data::new(years.as_ref(), &y)).unwrap().value, f64::NEG_INFINITY);
    assert_eq!(gp.values(), before.values());

    let mut gp = model(mat![[-0.8], [0.8]]);
    let start = gp.objective(&Data::new(scaled.as_ref(), &y)).unwrap().value;
    gp.fit(&Data::new(scaled.as_ref(), &y), &Lbfgs::default()).unwrap();
    assert!(gp.objective(&Data::new(scaled.as_ref(), &y)).unwrap().value > start);
}

/// The error of a bound that is not finite names the link, the place and what to do; and what it says helps.
#[test]
fn links_that_overflow_are_named() {
    assert_overflow_is_named("poisson", Poisson::new());
    assert_overflow_is_named("gamma", Gamma::new(2.0));
    assert_overflow_is_named("heteroscedastic", Heteroscedastic::new());
    // In single precision, beyond the largest f32.
    let x = Mat::from_fn(4, 1, |i, _| 8.0 + i as f32);
    let gp = Svgp::new(Linear::new(2.0), mat![[8.0], [10.0]].as_ref()).unwrap().with_likelihood(Poisson::new());
    let error = gp.gradient(&Data::new(x.as_ref(), [1.0f32; 4]).part_of(4)).unwrap_err();
    assert!(matches!(error, Error::Overflow { row: 3, .. }), "{error:?}");
}
