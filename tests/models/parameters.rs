//! What parameters carry beside their values: priors and ties.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use mercer::gp::{ExactGp, Svgp};
use mercer::inducing::InducingPoints;
use mercer::mean::LinearMean;
use mercer::optim::{Adam, Batch, Lbfgs, Train};
use mercer::params::{Constraint, Parameter, Prior};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::gradients::check;

fn prior() -> Prior {
    Prior::gamma(2.0, 3.0).unwrap()
}

fn kernel() -> DynKernel {
    (2.0 * Rbf::new([0.7, 1.3]) + RationalQuadratic::new(0.4, 2.5)).dynamic()
}

fn priors(root: &impl Parameterized) -> Vec<bool> {
    root.parameters().iter().map(|entry| entry.prior.is_some()).collect()
}

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

fn data() -> (Mat<f64>, Vec<f64>) {
    let x = Mat::from_fn(30, 1, |row, _| 0.2 * row as f64);
    let y = (0..30).map(|row| (0.2 * row as f64).sin() + 0.1 * f64::from(row * 31 % 17 - 8)).collect();
    (x, y)
}

#[test]
fn an_exact_fit_ends_where_evidence_and_prior_balance() {
    let (x, y) = data();
    let mut model = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1).unwrap();
    model.set_prior("kernel.scaled.rbf.lengthscale", Prior::log_normal(1.5, 0.05).unwrap()).unwrap();
    model.set_prior("likelihood", Prior::gamma(3.0, 40.0).unwrap()).unwrap();
    let minimum = model.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap();

    let (evidence, gradient) = model.log_evidence_gradient(x.as_ref(), &y).unwrap();
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
            let train = Train { steps: 1, batch, ..Train::default() };
            let history = model.clone().train(x.as_ref(), &y, &train, &mut Pcg64::seed_from_u64(4)).unwrap();
            history.records[0].loss
        };
        let difference = first_loss(&plain) - first_loss(&with_prior);
        assert!((difference - with_prior.log_prior()).abs() < 1e-10, "{difference}");
    }
    let fitted = |mut model: Svgp<_>| {
        model.freeze("inducing").unwrap();
        model.fit(x.as_ref(), &y, &Lbfgs { max_steps: 0, ..Lbfgs::default() }).unwrap().value
    };
    assert!((fitted(plain) - fitted(with_prior.clone()) - with_prior.log_prior()).abs() < 1e-10);
}

#[test]
fn training_without_data_leads_to_the_mode() {
    let mut kernel = Rbf::new(0.3);
    kernel.set_prior("rbf", Prior::gamma(3.0, 4.0).unwrap()).unwrap();
    let train = Train { steps: 600, batch: Some(2), adam: Adam { rate: 0.05, ..Adam::default() }, ..Train::default() };
    let nothing = |_: &Rbf, _: Batch<'_>| Ok((0.0, vec![0.0]));
    train.run(&mut kernel, 8, nothing, &mut Pcg64::seed_from_u64(0), |_, _| ControlFlow::Continue(())).unwrap();
    assert!((kernel.lengthscale()[0] - 0.5).abs() < 1e-6, "{}", kernel.lengthscale()[0]);
}

#[test]
fn a_start_outside_the_prior_is_named() {
    let (x, y) = data();
    let mut model = ExactGp::new(1.0 * Rbf::new(1.0));
    model.set_prior("kernel.scaled.rbf", Prior::uniform(2.0, 3.0).unwrap()).unwrap();
    let error = model.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "parameter `kernel.scaled.rbf.lengthscale` was given 1, but must be where its prior uniform(lower=2, upper=3) has a finite log density"
    );
    // From inside, no step leaves the support.
    model.set("kernel.scaled.rbf.lengthscale", 2.9).unwrap();
    model.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap();
    assert!((2.0..=3.0).contains(&model.values()[1]));
}

const LENGTH: &str = "sum[0].scaled.rbf.lengthscale[0]";
const OTHER: &str = "sum[0].scaled.rbf.lengthscale[1]";
const ALPHA: &str = "sum[1].rational_quadratic.alpha";

/// 2, 0.7, 1.3, 0.4, 2.5; the second and the last tied.
fn tied() -> DynKernel {
    let mut kernel = kernel();
    kernel.tie(&[LENGTH, ALPHA]).unwrap();
    kernel
}

#[test]
fn tied_parameters_change_together() {
    let mut kernel = tied();
    assert_eq!(kernel.values(), [2.0, 0.7, 1.3, 0.4, 0.7]);
    kernel.set(ALPHA, 3.0).unwrap();
    assert_eq!(kernel.values(), [2.0, 3.0, 1.3, 0.4, 3.0]);
    kernel.freeze(ALPHA).unwrap();
    assert_eq!(
        kernel.parameters().iter().map(|entry| entry.free).collect::<Vec<_>>(),
        [true, false, true, true, false]
    );
    assert_eq!(kernel.unconstrained().len(), 3);
    kernel.unfreeze(LENGTH).unwrap();
    assert_eq!(kernel.unconstrained().len(), 4);
    assert_eq!(kernel.num_params(), 5);
    let ties: Vec<_> = kernel.parameters().iter().map(|entry| entry.tie).collect();
    assert_eq!(ties, [None, Some(1), None, None, Some(1)]);
}

#[test]
fn the_packed_vector_has_one_entry_for_a_tie() {
    let mut kernel = tied();
    let logs: Vec<f64> = [2.0, 0.7, 1.3, 0.4].map(f64::ln).into();
    assert_eq!(kernel.unconstrained(), logs);
    kernel.set_unconstrained(&[0.1, 0.2, 0.3, 0.4]).unwrap();
    assert_eq!(kernel.values(), [0.1f64, 0.2, 0.3, 0.4, 0.2].map(f64::exp));
    assert!(kernel.set_unconstrained(&[0.0; 5]).is_err());
    let error = kernel.set_unconstrained(&[0.1, f64::NAN, 0.3, 0.4]).unwrap_err();
    assert!(matches!(&error, Error::Parameter { path, .. } if path == LENGTH), "{error}");

    // d/du of Σ cᵢ exp(uᵢ)
    let gradient = kernel.unconstrained_gradient(&[1.0, 10.0, 100.0, 1000.0, 5.0]).unwrap();
    let expected = [(0.1, 1.0), (0.2, 15.0), (0.3, 100.0), (0.4, 1000.0)].map(|(u, c)| f64::exp(u) * c);
    for (found, expected) in gradient.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-15);
    }
}

/// A value is checked against its own constraint, also after parameters of other constraints.
#[test]
fn all_values_must_obey_their_constraints() {
    let mut q = mercer::gp::Variational::diagonal(&[0.5, 0.6], &[1.0, 2.0]).unwrap();
    q.set_values(&[-0.5, -0.6, 1.5, 2.5]).unwrap();
    assert_eq!(q.values(), [-0.5, -0.6, 1.5, 2.5]);
    let error = q.set_values(&[-0.5, -0.6, 1.5, -2.5]).unwrap_err();
    assert!(matches!(&error, Error::Parameter { path, value: -2.5, .. } if path == "deviation[1]"), "{error}");
}

#[test]
fn all_values_must_agree_with_the_ties() {
    let mut kernel = tied();
    kernel.set_values(&[1.0, 2.0, 3.0, 4.0, 2.0]).unwrap();
    let error = kernel.set_values(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{LENGTH}` and `{ALPHA}` are tied, but were given 2 and 5; give them one value, or untie them")
    );
    assert_eq!(kernel.values(), [1.0, 2.0, 3.0, 4.0, 2.0]);
}

/// Each value meets the constraint of its own parameter, past arrays and parameters of other constraints.
#[test]
fn all_values_are_checked_one_by_one() {
    let mean = LinearMean::new([0.1, -0.2]).with_intercept(-0.5);
    let mut gp = ExactGp::new(Rbf::new([1.0, 2.0]) + Periodic::new(1.0, 3.0)).with_mean(mean);
    let values = gp.values();
    gp.set_values(&values).unwrap();
    let positive = |path: &str| !path.starts_with("mean.");
    for (index, entry) in gp.parameters().into_iter().enumerate() {
        let mut moved = values.clone();
        moved[index] = -1.0;
        match gp.set_values(&moved) {
            Ok(()) => assert!(!positive(&entry.path), "{}", entry.path),
            Err(Error::Parameter { path, value, .. }) => assert_eq!((path, value), (entry.path, -1.0)),
            Err(other) => unreachable!("{other}"),
        }
    }
}

#[test]
fn arrays_and_nodes_are_tied_one_by_one() {
    let mut kernel = (Rbf::new([0.1, 0.2]) + Matern32::new([0.3, 0.4]) + Matern12::new([0.5; 3])).dynamic();
    kernel.tie(&["sum[1].matern32", "sum[0].rbf"]).unwrap();
    assert_eq!(kernel.values()[..4], [0.3, 0.4, 0.3, 0.4]);
    assert_eq!(kernel.unconstrained().len(), 5);
    kernel.set("sum[0].rbf.lengthscale[1]", 9.0).unwrap();
    assert_eq!(kernel.values()[..4], [0.3, 9.0, 0.3, 9.0]);

    let before = kernel.clone().parameters();
    let error = kernel.tie(&["sum[0].rbf.lengthscale", "sum[2].matern12.lengthscale"]).unwrap_err();
    assert!(error.to_string().contains("shape") && matches!(error, Error::Tie { .. }), "{error}");
    assert!(matches!(kernel.tie(&["sum[0].rbf", "nothing"]), Err(Error::UnknownPath { .. })));
    assert!(matches!(kernel.tie(&["sum[0].rbf"]), Err(Error::Setting { .. })));
    assert_eq!(kernel.parameters(), before);
}

#[test]
fn constraints_must_agree() {
    let mut model = ExactGp::new(1.0 * Rbf::new(1.0)).with_mean(mercer::mean::ConstantMean::new(0.0));
    let error = model.tie(&["kernel.scaled.factor", "mean"]).unwrap_err();
    assert!(matches!(error, Error::Tie { .. }), "{error}");
    let error = model.tie(&["kernel.scaled.factor", "mean.constant.value"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`kernel.scaled.factor` and `mean.constant.value` cannot be tied: one is Positive, the other Real"
    );
    model.tie(&["kernel.scaled.factor", "likelihood.gaussian.variance"]).unwrap();
    assert_eq!(model.unconstrained().len(), 3);
}

#[test]
fn ties_join_and_come_apart() {
    let mut kernel = tied();
    let factor = "sum[0].scaled.factor";
    kernel.tie(&[OTHER, factor]).unwrap();
    assert_eq!(kernel.unconstrained().len(), 3);
    kernel.tie(&[ALPHA, OTHER]).unwrap();
    assert_eq!(kernel.values(), [0.7, 0.7, 0.7, 0.4, 0.7]);
    assert_eq!(kernel.unconstrained().len(), 2);

    kernel.untie(LENGTH).unwrap();
    kernel.set(LENGTH, 5.0).unwrap();
    kernel.set(factor, 6.0).unwrap();
    assert_eq!(kernel.values(), [6.0, 5.0, 6.0, 0.4, 6.0]);
    kernel.untie("sum[0]").unwrap();
    assert!(kernel.parameters().iter().all(|entry| entry.tie.is_none()));
    assert_eq!(kernel.unconstrained().len(), 5);
    // Nothing of the ties is left.
    let mut fresh = self::kernel();
    fresh.set_values(&kernel.values()).unwrap();
    assert_eq!(fresh.parameters(), kernel.parameters());
}

#[test]
fn copies_that_meet_are_tied_across() {
    let kernel = tied();
    let mut other = kernel.clone();
    other.set(ALPHA, 9.0).unwrap();
    let mut both = kernel.clone() * other;
    assert_eq!(both.unconstrained().len(), 2 * 5 - 3);
    assert_eq!(both.values()[6], 9.0);
    both.set_unconstrained(&both.unconstrained()).unwrap();
    assert_eq!(both.values()[6], both.values()[1]);
    both.untie("product[1]").unwrap();
    both.set("product[0].sum[0].scaled.rbf.lengthscale[0]", 4.0).unwrap();
    assert_eq!(both.values()[4], 4.0);
    assert_eq!([both.values()[6], both.values()[9]], [0.7; 2].map(|value: f64| value.ln().exp()));
    // What is tied apart does not meet.
    assert_eq!((tied() * tied()).unconstrained().len(), 8);
}

#[test]
fn a_tie_has_one_prior_that_counts_once() {
    let mut kernel = kernel();
    kernel.set_prior(ALPHA, Prior::normal(0.0, 1.0).unwrap()).unwrap();
    kernel.set_prior(LENGTH, prior()).unwrap();
    kernel.tie(&[LENGTH, ALPHA]).unwrap();
    assert_eq!(kernel.log_prior(), prior().log_density(0.7));
    assert_eq!(kernel.log_prior_gradient(), [0.0, prior().gradient(0.7), 0.0, 0.0, 0.0]);
    kernel.set_prior(ALPHA, Prior::uniform(3.0, 4.0).unwrap()).unwrap();
    kernel.sample_priors(&mut Pcg64::seed_from_u64(0)).unwrap();
    let values = kernel.values();
    assert!(values[1] == values[4] && (3.0..=4.0).contains(&values[1]));
    kernel.clear_prior(LENGTH).unwrap();
    assert_eq!(priors(&kernel), [false; 5]);
}

#[test]
fn tied_lengthscales_are_fitted_as_one() {
    let (x, y) = data();
    let x = Mat::from_fn(x.nrows(), 2, |row, col| x[(row * (1 + 6 * col) % 30, 0)]);
    let mut one = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1).unwrap();
    let mut each = ExactGp::new(1.0 * Rbf::new([1.0, 1.0])).with_noise(0.1).unwrap();
    each.tie(&["kernel.scaled.rbf.lengthscale[0]", "kernel.scaled.rbf.lengthscale[1]"]).unwrap();
    let (a, b) = (
        one.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap().value,
        each.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap().value,
    );
    assert!((a - b).abs() < 1e-8, "{a} {b}");
    let (one, each) = (one.values(), each.values());
    assert_eq!(each[1], each[2]);
    assert!((one[1] / each[1] - 1.0).abs() < 1e-4, "{one:?} {each:?}");
}

#[test]
fn a_gradient_that_is_not_finite_is_named_past_a_tie() {
    let mut kernel = tied();
    kernel.tie(&[LENGTH, OTHER]).unwrap();
    let breaks = |_: &DynKernel, _: Batch<'_>| Ok((0.0, vec![0.0, 0.0, 0.0, f64::NAN, 0.0]));
    let go_on = |_: &_, _: &_| ControlFlow::Continue(());
    let error = Train::default().run(&mut kernel, 1, breaks, &mut Pcg64::seed_from_u64(0), go_on).unwrap_err();
    assert!(error.to_string().contains("`sum[1].rational_quadratic.lengthscale` is NaN"), "{error}");
}

/// γ = 2 is the largest exponent, and no place to stay: from there a fit gets where it gets from below.
#[test]
fn a_fit_leaves_the_bound_of_an_exponent() {
    let mut state = 12345u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let mut y = vec![normal()];
    for i in 1..200 {
        y.push(0.6 * y[i - 1] + 0.8 * normal());
    }
    let x = Mat::from_fn(200, 1, |i, _| i as f64);
    for start in [1.9, 2.0] {
        let mut gp = ExactGp::new(1.0 * GammaExponential::new(2.0, start)).with_noise(1e-4).unwrap();
        gp.freeze("likelihood").unwrap();
        gp.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap();
        approx::assert_abs_diff_eq!(gp.log_evidence(x.as_ref(), &y).unwrap(), -241.473, epsilon = 1e-3);
        approx::assert_abs_diff_eq!(gp.get("kernel.scaled.gamma_exponential.gamma").unwrap(), 0.997, epsilon = 1e-3);
    }
}
