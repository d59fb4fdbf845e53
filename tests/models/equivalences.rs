//! Equivalences between models, and what models refuse.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::mean::{ConstantMean, LinearMean};
use mercer::optim::Lbfgs;
use mercer::prelude::*;

use crate::common::data::{observed_apart, single, singles};
use crate::common::gradients::check_model;
use crate::common::kernels::Wiener;

fn kernel() -> DynKernel {
    (1.5 * Matern32::new([1.2, 2.0]) + 0.3 * Linear::new(0.5)).dynamic()
}

#[test]
fn at_all_inputs_and_the_optimal_q_the_sparse_process_is_exact() {
    let (x, y) = observed_apart(40);
    let data = Data::new(x.as_ref(), &y);
    let noise = 0.04;
    let exact = ExactGp::new(kernel()).with_noise(noise).unwrap().with_mean(ConstantMean::new(0.7));
    let collapsed = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(noise).unwrap();
    let sparse = collapsed.with_mean(ConstantMean::new(0.7)).into_svgp(&data).unwrap();

    let evidence = exact.objective(&data).unwrap();
    let elbo = sparse.objective(&data).unwrap();
    assert!((elbo.value - evidence).abs() < 1e-6, "{} is not {evidence}", elbo.value);

    let at = Mat::from_fn(15, 2, |row, col| 0.77 * row as f64 - 0.3 * col as f64);
    let exact = exact.condition(&data).unwrap();
    let sparse = sparse.posterior().unwrap();
    let (by_exact, by_sparse) = (exact.predict(at.as_ref()).unwrap(), sparse.predict(at.as_ref()).unwrap());
    for row in 0..15 {
        assert!((by_exact.mean[(row, 0)] - by_sparse.mean[(row, 0)]).abs() < 1e-6);
        assert!((by_exact.variance[(row, 0)] - by_sparse.variance[(row, 0)]).abs() < 1e-6);
    }
    let (_, full) = (exact.mean(at.as_ref()).unwrap(), exact.covariance(at.as_ref(), 0).unwrap());
    let (_, sparse_full) = (sparse.mean(at.as_ref()).unwrap(), sparse.covariance(at.as_ref(), 0).unwrap());
    assert!((&full - &sparse_full).norm_max() < 1e-6);
    for row in 0..15 {
        assert!((full[(row, row)] - by_exact.variance[(row, 0)]).abs() < 1e-12);
    }
}

/// The bound's gradient in q vanishes at the optimum, and the bound is below the evidence elsewhere.
#[test]
fn the_optimal_q_is_a_stationary_point_below_the_evidence() {
    let (x, y) = observed_apart(40);
    let data = Data::new(x.as_ref(), &y);
    let z = x.subrows(0, 11);
    let noise = 0.1;
    let sparse = Sgpr::new(kernel(), z).unwrap().with_noise(noise).unwrap().into_svgp(&data).unwrap();
    let (elbo, gradient) = sparse.gradient(&data.part_of(y.len())).unwrap();
    let q = &gradient[gradient.len() - 11 - 66..];
    assert!(q.iter().all(|entry| entry.abs() < 1e-9 * elbo.value.abs()), "{q:?}");
    let evidence = ExactGp::new(kernel()).with_noise(noise).unwrap().objective(&data).unwrap();
    assert!(elbo.value < evidence);
}

/// The mean of minibatch bounds over a partition of the data is the bound from all data.
#[test]
fn minibatches_estimate_the_bound_without_bias() {
    let (x, y) = observed_apart(40);
    let sparse = Svgp::new(kernel(), x.subrows(0, 7)).unwrap().with_mean(LinearMean::new([0.1, -0.2]));
    let whole = sparse.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    let parts = (0..4).map(|part| {
        sparse.objective(&Data::new(x.subrows(10 * part, 10), &y[10 * part..10 * part + 10]).part_of(40)).unwrap().value
    });
    let mean = parts.sum::<f64>() / 4.0;
    assert!((mean - whole).abs() < 1e-10 * whole.abs());
}

#[test]
fn gradients_match_finite_differences() {
    let (x, y) = observed_apart(30);
    let exact =
        ExactGp::new(kernel()).with_noise(0.2).unwrap().with_mean(LinearMean::new([0.1, -0.2]).with_intercept(0.5));
    let (_, gradient) = exact.gradient(&Data::new(x.as_ref(), &y)).unwrap();
    check_model("exact", &exact, &gradient, 1e-6, |model| model.objective(&Data::new(x.as_ref(), &y)).unwrap());

    let sparse = Svgp::new(kernel() * Periodic::new([0.9, 1.1], [3.0, 4.0]), x.subrows(0, 5))
        .unwrap()
        .with_likelihood(Gaussian::new(0.3))
        .with_mean(ConstantMean::new(0.4))
        .with_variational(
            Variational::new(
                &[0.3, -0.2, 0.5, 0.1, 0.0],
                Mat::from_fn(5, 5, |row, col| if row == col { 0.8 } else { 0.1 * (row as f64 - col as f64) }).as_ref(),
            )
            .unwrap(),
        )
        .unwrap();
    let (_, gradient) = sparse.gradient(&Data::new(x.as_ref(), &y).part_of(45)).unwrap();
    check_model("sparse", &sparse, &gradient, 1e-6, |model| {
        model.objective(&Data::new(x.as_ref(), &y).part_of(45)).unwrap().value
    });
}

#[test]
fn frozen_parameters_stay_and_paths_are_named() {
    let (x, y) = observed_apart(30);
    let mut exact = ExactGp::new(kernel()).with_noise(0.2).unwrap();
    exact.freeze("kernel.sum[0].scaled.matern32.lengthscale[1]").unwrap();
    exact.freeze("likelihood").unwrap();
    let before = exact.values();
    exact.fit(&Data::new(x.as_ref(), &y), &Lbfgs { max_steps: 20, ..Lbfgs::default() }).unwrap();
    assert_eq!(exact.get("kernel.sum[0].scaled.matern32.lengthscale[1]").unwrap(), 2.0);
    assert_eq!(exact.get("likelihood.gaussian.variance").unwrap(), 0.2);
    assert_ne!(exact.values(), before);
    let error = exact.set("kernel.sum[0].scaled.matern32.lengthscales[0]", 1.0).unwrap_err();
    assert!(error.to_string().contains("did you mean `kernel.sum[0].scaled.matern32.lengthscale[0]`"), "{error}");
}

#[test]
fn single_precision_agrees() {
    let (x, y) = observed_apart(40);
    let (x32, y32) = (single(&x), singles(&y));
    let exact = ExactGp::new(kernel()).with_noise(0.2).unwrap();
    let (double, single) = (
        exact.objective(&Data::new(x.as_ref(), &y)).unwrap(),
        exact.objective(&Data::new(x32.as_ref(), &y32)).unwrap(),
    );
    assert!((double - single).abs() < 1e-3 * double.abs(), "{double} {single}");
    let sparse = Svgp::new(kernel(), x.subrows(0, 9)).unwrap();
    let (double, single) = (
        sparse.objective(&Data::new(x.as_ref(), &y)).unwrap(),
        sparse.objective(&Data::new(x32.as_ref(), &y32)).unwrap(),
    );
    assert!((double.value - single.value).abs() < 1e-4 * double.value.abs());
}

#[test]
fn bad_input_is_refused_by_name() {
    let (x, y) = observed_apart(10);
    let exact = ExactGp::new(kernel());
    let sparse = Svgp::new(kernel(), x.as_ref()).unwrap();
    let both = |x: &Mat<f64>, y: &[f64]| {
        let by_exact = exact.objective(&Data::new(x.as_ref(), y)).unwrap_err();
        assert_eq!(by_exact.to_string(), sparse.objective(&Data::new(x.as_ref(), y)).unwrap_err().to_string());
        assert_eq!(by_exact.to_string(), exact.condition(&Data::new(x.as_ref(), y)).unwrap_err().to_string());
        by_exact
    };
    let mut bad = x.clone();
    bad[(3, 1)] = f64::NAN;
    assert!(matches!(both(&bad, &y), Error::NonFinite { what, row: 3, col: 1, .. } if what == "x"));
    let mut bad = y.clone();
    bad[4] = f64::INFINITY;
    assert!(matches!(both(&x, &bad), Error::NonFinite { what, row: 4, .. } if what == "y"));
    assert!(matches!(both(&x, &y[..9]), Error::Shape { .. }));
    assert!(matches!(both(&Mat::zeros(0, 2), &[]), Error::Empty { .. }));
    assert!(matches!(exact.objective(&Data::new(x.subcols(0, 1), &y)), Err(Error::Dimension { .. })));
    assert!(matches!(sparse.objective(&Data::new(x.subcols(0, 1), &y)), Err(Error::Shape { .. })));
    assert!(matches!(Rbf::try_new(-1.0), Err(Error::Parameter { .. })));
    assert!(matches!(Svgp::new(kernel(), Mat::<f64>::zeros(0, 2).as_ref()), Err(Error::Empty { .. })));

    let posterior = exact.condition(&Data::new(x.as_ref(), &y)).unwrap();
    assert!(matches!(posterior.predict(x.subcols(0, 1)), Err(Error::Shape { .. })));
}

#[test]
fn indefinite_kernels_are_refused_by_subexpression() {
    let (x, y) = observed_apart(10);
    let data = Data::new(x.as_ref(), &y);
    let indefinite = (Rbf::new(1.0) + 2.0 * (Linear::new(0.5) - Matern12::new(3.0))).dynamic();
    let error = ExactGp::new(indefinite.clone()).objective(&data).unwrap_err();
    assert!(matches!(&error, Error::Indefinite { kernel, dim: 2 } if kernel == "-matern12(lengthscale=3)"), "{error}");
    assert!(matches!(
        Svgp::new(indefinite.clone(), x.as_ref()).unwrap().objective(&data),
        Err(Error::Indefinite { .. })
    ));
    // With enough noise the matrix is positive definite all the same.
    assert!(ExactGp::new(indefinite).with_noise(100.0).unwrap().allow_indefinite().objective(&data).is_ok());
}

/// More inducing inputs than data, and equal ones, are legal: the jitter policy handles the singular
/// matrix, and says what it used.
#[test]
fn duplicate_and_many_inducing_inputs_work() {
    let (x, y) = observed_apart(10);
    let z = Mat::from_fn(25, 2, |row, col| x[(row % 10, col)]);
    let sparse = Svgp::new(kernel(), z.as_ref()).unwrap();
    let (elbo, gradient) = sparse.gradient(&Data::new(x.as_ref(), &y).part_of(10)).unwrap();
    assert!(elbo.jitter > 0.0 && elbo.value.is_finite());
    assert!(gradient.iter().all(|entry| entry.is_finite()));
    let strict = sparse.with_jitter(Jitter::Fixed(0.0));
    assert!(matches!(strict.objective(&Data::new(x.as_ref(), &y)), Err(Error::NotPositiveDefinite { .. })));
}

#[test]
fn a_kernel_without_gradients_is_evaluated_but_not_fitted() {
    let x = mat![[0.5], [1.0], [2.5]];
    let data = Data::new(x.as_ref(), [0.1, 0.3, 0.2]);
    let gp = ExactGp::new(2.0 * Wiener + Rbf::new(1.0));
    assert!(gp.objective(&data).unwrap().is_finite());
    let error = gp.gradient(&data).unwrap_err();
    assert_eq!(error, Error::NotDifferentiable { path: "sum[0].scaled.wiener".to_owned() });
}
