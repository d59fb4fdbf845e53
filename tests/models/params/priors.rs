//! Priors.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Svgp};
use mercer::inducing::InducingPoints;
use mercer::optim::{Batch, Lbfgs, Run, Train};
use mercer::params::{Constraint, Parameter, Prior};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::{data, kernel, prior, priors};
use crate::common::gradients::check;

#[test]
fn paths_of_priors_are_those_of_freezing() {
    let mut kernel = kernel();
    let mut frozen = kernel.clone();
    for path in ["sum[0].scaled.rbf.lengthscale[1]", "sum[0].scaled.rbf.lengthscale", "sum[1]", "sum[0]", "sum"] {
        kernel.set_prior(path, prior()).unwrap();
        frozen.freeze(path).unwrap();
        assert_eq!(priors(&kernel), frozen.parameters().iter().map(|entry| !entry.free).collect::<Vec<_>>(), "{path}");
        kernel.clear_prior(path).unwrap();
        frozen.unfreeze(path).unwrap();
        assert_eq!(priors(&kernel), [false; 5], "{path}");
    }
    let error = kernel.set_prior("sum[0].scaled.rbf.lenghtscale", prior()).unwrap_err();
    assert!(error.to_string().contains("did you mean `sum[0].scaled.rbf.lengthscale"), "{error}");
    assert!(matches!(kernel.clear_prior("nothing"), Err(Error::UnknownPath { .. })));
}

#[test]
fn priors_go_with_copies_boxes_and_parents() {
    let mut kernel = kernel();
    kernel.set_prior("sum[0].scaled.rbf.lengthscale[1]", prior()).unwrap();
    let inside = kernel.clone() * Linear::new(1.0);
    assert_eq!(inside.log_prior(), prior().log_density(1.3));
    assert_eq!(inside.parameters()[2].prior, Some(prior()));
    // Another array is as it was.
    assert_ne!(kernel.parameters()[1].prior, kernel.parameters()[2].prior);
}

#[test]
fn a_prior_replaces_the_one_before() {
    let mut kernel = Rbf::new(0.5);
    kernel.set_prior("rbf", prior()).unwrap();
    kernel.set_prior("rbf.lengthscale", Prior::normal(0.5, 1.0).unwrap()).unwrap();
    assert_eq!(kernel.log_prior(), -0.5 * (2.0 * std::f64::consts::PI).ln());
}

#[test]
fn log_prior_is_the_sum_and_its_gradient_is_in_visiting_order() {
    let mut kernel = kernel();
    kernel.set_prior("sum[1].rational_quadratic.alpha", Prior::horseshoe(0.3).unwrap()).unwrap();
    kernel.set_prior("sum[0].scaled", prior()).unwrap();
    kernel.freeze("sum[0].scaled.factor").unwrap();
    let values = kernel.values();
    let gradient = kernel.log_prior_gradient();
    check("log prior", &values, &gradient, 1e-9, |values| kernel.with_params(values).unwrap().log_prior());
    assert_eq!(gradient[3], 0.0);
}

#[test]
fn draws_go_to_free_parameters_with_priors() {
    let mut kernel = kernel();
    kernel.set_prior("sum[0]", Prior::uniform(5.0, 6.0).unwrap()).unwrap();
    kernel.freeze("sum[0].scaled.rbf.lengthscale[0]").unwrap();
    let mut again = kernel.clone();
    kernel.sample_priors(&mut Pcg64::seed_from_u64(3)).unwrap();
    again.sample_priors(&mut Pcg64::seed_from_u64(3)).unwrap();
    let values = kernel.values();
    assert_eq!(again.values(), values);
    assert!((5.0..=6.0).contains(&values[0]) && (5.0..=6.0).contains(&values[2]) && values[0] != values[2]);
    assert_eq!([values[1], values[3], values[4]], [0.7, 0.4, 2.5]);
}

#[test]
fn draws_that_the_constraint_refuses_are_drawn_again() {
    // Half of these are negative, and would be refused.
    let mut kernel = Rbf::new([1.0; 40]);
    kernel.set_prior("rbf", Prior::normal(0.0, 1.0).unwrap()).unwrap();
    kernel.sample_priors(&mut Pcg64::seed_from_u64(0)).unwrap();
    assert!(kernel.values().iter().all(|value| *value > 0.0 && *value != 1.0));

    kernel.set_prior("rbf.lengthscale[7]", Prior::uniform(-2.0, -1.0).unwrap()).unwrap();
    let before = kernel.values();
    let error = kernel.sample_priors(&mut Pcg64::seed_from_u64(0)).unwrap_err();
    assert!(matches!(&error, Error::Parameter { path, .. } if path == "rbf.lengthscale[7]"), "{error}");
    assert_eq!(kernel.values(), before);
}

#[test]
fn views_take_priors_too() {
    let mut value = Parameter::new("value", 1.0, Constraint::Real).unwrap();
    value.view_mut("value").set_prior(0, Some(prior())).unwrap();
    assert!(value.view_mut("value").set_prior(1, None).is_err());
    assert_eq!((value.prior(), value.view("value").prior(0)), (Some(prior()), Some(prior())));

    let mut points = InducingPoints::new(mat![[0.0, 1.0], [2.0, 3.0]].as_ref()).unwrap();
    points.set_prior("inputs[1,0]", prior()).unwrap();
    assert_eq!(priors(&points), [false, true, false, false]);
}

#[test]
fn an_exact_fit_ends_where_evidence_and_prior_balance() {
    let (x, y) = data();
    let mut model = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1).unwrap();
    model.set_prior("kernel.scaled.rbf.lengthscale", Prior::log_normal(1.5, 0.05).unwrap()).unwrap();
    model.set_prior("likelihood", Prior::gamma(3.0, 40.0).unwrap()).unwrap();
    let minimum = model.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap();

    let (evidence, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
    assert!((minimum.value + evidence + model.log_prior()).abs() < 1e-9);
    for ((gradient, prior), value) in gradient.iter().zip(model.log_prior_gradient()).zip(model.values()) {
        assert!((gradient + prior).abs() * value < 1e-4, "{gradient} and {prior} at {value}");
    }
    // The prior has a say: the evidence alone would have it shorter.
    assert!(gradient[1] < -1.0, "{}", gradient[1]);
}

#[test]
fn each_step_of_training_counts_the_prior_once() {
    let (x, y) = data();
    let plain = Svgp::new(1.0 * Rbf::new(1.0), x.as_ref().subrows(0, 5)).unwrap();
    let mut with_prior = plain.clone();
    with_prior.set_prior("kernel.scaled.factor", prior()).unwrap();
    for batch in [None, Some(6)] {
        let first_loss = |model: &Svgp<_>| {
            let train = Train::new(1).with_batch(batch);
            let history =
                model.clone().train(&Data::new(x.as_ref(), &y), &train, &mut Pcg64::seed_from_u64(4)).unwrap();
            history.records[0].loss
        };
        let difference = first_loss(&plain) - first_loss(&with_prior);
        assert!((difference - with_prior.log_prior()).abs() < 1e-10, "{difference}");
    }
    let fitted = |mut model: Svgp<_>| {
        model.freeze("inducing").unwrap();
        model.fit(&Data::new(x.as_ref(), &y), &Lbfgs { max_steps: 0, ..Lbfgs::default() }).unwrap().value
    };
    assert!((fitted(plain) - fitted(with_prior.clone()) - with_prior.log_prior()).abs() < 1e-10);
}

#[test]
fn training_without_data_leads_to_the_mode() {
    let mut kernel = Rbf::new(0.3);
    kernel.set_prior("rbf", Prior::gamma(3.0, 4.0).unwrap()).unwrap();
    let train = Train::new(600).with_batch(2).with_rate(0.05);
    let nothing = |_: &Rbf, _: Batch<'_>| Ok((0.0, vec![0.0]));
    Run::new(&mut kernel, 8, &train, nothing).unwrap().finish(&mut Pcg64::seed_from_u64(0)).unwrap();
    assert!((kernel.lengthscale()[0] - 0.5).abs() < 1e-6, "{}", kernel.lengthscale()[0]);
}

#[test]
fn a_start_outside_the_prior_is_named() {
    let (x, y) = data();
    let mut model = ExactGp::new(1.0 * Rbf::new(1.0));
    model.set_prior("kernel.scaled.rbf", Prior::uniform(2.0, 3.0).unwrap()).unwrap();
    let error = model.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "parameter `kernel.scaled.rbf.lengthscale` was given 1, but must be where its prior uniform(lower=2, upper=3) has a finite log density"
    );
    // From inside, no step leaves the support.
    model.set("kernel.scaled.rbf.lengthscale", 2.9).unwrap();
    model.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap();
    assert!((2.0..=3.0).contains(&model.values()[1]));
}
