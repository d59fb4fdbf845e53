//! Ties.
#![allow(clippy::unwrap_used)]

use mercer::gp::ExactGp;
use mercer::optim::{Batch, Lbfgs, Run, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::{data, kernel, prior, priors};

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
        one.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap().value,
        each.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap().value,
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
    let run = Run::new(&mut kernel, 1, &Train::default(), breaks).unwrap();
    let error = run.finish(&mut Pcg64::seed_from_u64(0)).unwrap_err();
    assert!(error.to_string().contains("`sum[1].rational_quadratic.lengthscale` is NaN"), "{error}");
}
