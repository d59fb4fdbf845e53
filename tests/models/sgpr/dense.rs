//! Evidences and posteriors by dense formulas.
#![allow(clippy::unwrap_used)]

use faer::Side;
use mercer::gp::{Approximation, ExactGp, LeaveOneOut, Sgpr};
use mercer::linalg::Jitter;
use mercer::mean::{ConstantMean, LinearMean};
use mercer::prelude::*;

use super::{ALL, between, kernel};
use crate::common::data::{observed_apart, single, singles};
use crate::common::dense::{column, log_normal, projected};
use crate::common::gradients::check_model;

/// The N × N covariance that an approximation gives the data, and its trace term.
fn dense_covariance(
    approximation: Approximation,
    kernel: &DynKernel,
    z: &Mat<f64>,
    x: &Mat<f64>,
    noise: f64,
) -> (Mat<f64>, f64) {
    let (full, low) = (kernel.gram(x.as_ref()).unwrap(), projected(kernel, z, x, x));
    let n = x.nrows();
    let left = |i: usize| full[(i, i)] - low[(i, i)];
    let trace = if approximation == Approximation::Vfe { (0..n).map(left).sum::<f64>() / (2.0 * noise) } else { 0.0 };
    let covariance = Mat::from_fn(n, n, |i, j| match (i == j, approximation) {
        (true, Approximation::Fitc) => full[(i, i)] + noise,
        (true, _) => low[(i, i)] + noise,
        (false, _) => low[(i, j)],
    });
    (covariance, trace)
}

#[test]
fn evidences_are_those_of_the_dense_formulas() {
    let (x, y) = observed_apart(30);
    let residual: Vec<f64> = y.iter().map(|y| y - 0.7).collect();
    let z = between(8);
    for approximation in ALL {
        let (covariance, trace) = dense_covariance(approximation, &kernel(), &z, &x, 0.2);
        let expected = log_normal(&residual, &covariance);
        let sgpr = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.2).unwrap();
        let sgpr = sgpr.with_mean(ConstantMean::new(0.7)).with_approximation(approximation);
        let found = sgpr.objective(&Data::new(x.as_ref(), &y)).unwrap();
        assert!(
            (found.log_density - expected).abs() < 1e-11 * expected.abs(),
            "{approximation:?}: {found:?} {expected}"
        );
        assert!((found.trace - trace).abs() < 1e-11 * trace.max(1.0), "{approximation:?}: {found:?} {trace}");
        assert_eq!(found.value, found.log_density - found.trace);
        assert_eq!((found.jitter, found.precision_jitter), (0.0, 0.0));
    }
}

/// Mean q(x)ᵀ C⁻¹ r and covariance k − q(x)ᵀ C⁻¹ q(x′), with q(x) = Q(X, x) and C the data's covariance.
#[test]
fn posteriors_are_those_of_the_dense_formulas() {
    use faer::linalg::solvers::Solve;
    let (x, y) = observed_apart(30);
    let (z, at) = (between(8), between(5) * 0.8);
    for approximation in ALL {
        let (covariance, _) = dense_covariance(approximation, &kernel(), &z, &x, 0.2);
        let llt = covariance.llt(Side::Lower).unwrap();
        let cross = projected(&kernel(), &z, &x, &at);
        let mean = cross.transpose() * llt.solve(column(&y));
        let expected = kernel().gram(at.as_ref()).unwrap() - cross.transpose() * llt.solve(&cross);
        let sgpr = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.2).unwrap().with_approximation(approximation);
        let posterior = sgpr.condition(&Data::new(x.as_ref(), &y)).unwrap();
        let (found, found_covariance) =
            (posterior.mean(at.as_ref()).unwrap(), posterior.covariance(at.as_ref(), 0).unwrap());
        assert!((found - mean).norm_max() < 1e-11, "{approximation:?}");
        assert!((found_covariance - expected).norm_max() < 1e-11, "{approximation:?}");
    }
}

#[test]
fn at_all_inputs_every_model_is_the_exact_one() {
    let (x, y) = observed_apart(40);
    let noise = 0.04;
    let mean = || ConstantMean::new(0.7);
    let strict = Jitter::Fixed(0.0);
    let exact = ExactGp::new(kernel()).with_noise(noise).unwrap().with_mean(mean()).with_jitter(strict);
    let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
    let close = |what: &str, found: f64| {
        println!("{what}: off by {:e}", found - evidence);
        assert!((found - evidence).abs() < 1e-10 * evidence.abs(), "{what}: {found} is not {evidence}");
    };
    let collapsed = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(noise).unwrap();
    let collapsed = collapsed.with_mean(mean()).with_jitter(strict);
    for approximation in ALL {
        let model = collapsed.clone().with_approximation(approximation);
        close(&format!("{approximation:?}"), model.objective(&Data::new(x.as_ref(), &y)).unwrap().value);
        // As are its gradients in what the two share.
        let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        let (_, expected) = exact.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        for (found, expected) in gradient.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{approximation:?}: {found} {expected}");
        }
    }
    close("the upper bound", collapsed.upper_bound(&Data::new(x.as_ref(), &y)).unwrap());
    let svgp = collapsed.clone().into_svgp(&Data::new(x.as_ref(), &y)).unwrap();
    close("Svgp", svgp.objective(&Data::new(x.as_ref(), &y)).unwrap().value);
    assert!(collapsed.gap(&Data::new(x.as_ref(), &y), svgp.variational()).unwrap() < 1e-20);

    let at = between(15);
    let expected = exact.condition(&Data::new(x.as_ref(), &y)).unwrap().predict(at.as_ref()).unwrap();
    for approximation in ALL {
        let model = collapsed.clone().with_approximation(approximation);
        let found = model.condition(&Data::new(x.as_ref(), &y)).unwrap().predict(at.as_ref()).unwrap();
        for row in 0..15 {
            assert!((found.mean[(row, 0)] - expected.mean[(row, 0)]).abs() < 1e-11);
            assert!((found.variance[(row, 0)] - expected.variance[(row, 0)]).abs() < 1e-11);
        }
        let (found, expected) = (
            model.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap(),
            exact.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap(),
        );
        for row in 0..40 {
            assert!((found.mean[row] - expected.mean[row]).abs() < 1e-10);
            assert!((found.variance[row] - expected.variance[row]).abs() < 1e-10);
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    let (x, y) = observed_apart(25);
    let data = Data::new(x.as_ref(), &y);
    let z = between(5);
    for approximation in ALL {
        let model = Sgpr::new(kernel() * Periodic::new([0.9, 1.1], [3.0, 4.0]), z.as_ref())
            .unwrap()
            .with_noise(0.3)
            .unwrap()
            .with_mean(LinearMean::new([0.1, -0.2]).with_intercept(0.5))
            .with_approximation(approximation);
        let (evidence, gradient) = model.gradient(&data).unwrap();
        assert_eq!(evidence, model.objective(&data).unwrap());
        let value = |model: &Sgpr<_>| model.objective(&data).unwrap().value;
        check_model(format!("{approximation:?}"), &model, &gradient, 1e-7, value);
    }
}

fn assert_left_out(found: &LeaveOneOut<f64>, row: usize, mean: f64, variance: f64, log_density: f64) {
    for (found, expected) in
        [(found.mean[row], mean), (found.variance[row], variance), (found.log_density[row], log_density)]
    {
        assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "row {row}: {found} is not {expected}");
    }
}

#[test]
fn leaving_one_out_is_conditioning_on_the_others() {
    let (x, y) = observed_apart(20);
    let exact = ExactGp::new(kernel()).with_noise(0.2).unwrap().with_mean(ConstantMean::new(0.7));
    let sparse = Sgpr::new(kernel(), between(6).as_ref()).unwrap().with_noise(0.2).unwrap();
    let sparse = sparse.with_mean(ConstantMean::new(0.7));
    let by_exact = exact.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap();
    assert_eq!(by_exact.log_pseudo_likelihood(), by_exact.log_density.iter().sum::<f64>());
    let by_sparse = ALL.map(|approximation| {
        let model = sparse.clone().with_approximation(approximation);
        let found = model.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap();
        (model, found)
    });
    for row in 0..20 {
        let others: Vec<usize> = (0..20).filter(|&other| other != row).collect();
        let (x_others, y_others) =
            (mercer::data::rows(x.as_ref(), &others).unwrap(), others.iter().map(|&o| y[o]).collect::<Vec<_>>());
        let check = |posterior: mercer::gp::Posterior<f64>, found: &LeaveOneOut<f64>| {
            let at = x.subrows(row, 1);
            let seen = posterior.predict_observations(at).unwrap();
            let density = posterior.log_predictive_density(at, column(&y[row..=row]).as_ref()).unwrap();
            assert_left_out(found, row, seen.mean[(0, 0)], seen.variance[(0, 0)], density[0]);
        };
        check(exact.condition(&Data::new(x_others.as_ref(), &y_others)).unwrap(), &by_exact);
        for (model, found) in &by_sparse {
            check(model.condition(&Data::new(x_others.as_ref(), &y_others)).unwrap(), found);
        }
    }
}

#[test]
fn single_precision_agrees() {
    let (x, y) = observed_apart(40);
    let (x32, y32) = (single(&x), singles(&y));
    for approximation in ALL {
        let model = Sgpr::new(kernel(), between(9).as_ref()).unwrap().with_noise(0.2).unwrap();
        let model = model.with_approximation(approximation);
        let double = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        let single = model.objective(&Data::new(x32.as_ref(), &y32)).unwrap().value;
        assert!((double - single).abs() < 1e-4 * double.abs(), "{double} {single}");
        let double = model.condition(&Data::new(x.as_ref(), &y)).unwrap().predict(x.as_ref()).unwrap();
        let single = model.condition(&Data::new(x32.as_ref(), &y32)).unwrap().predict(x32.as_ref()).unwrap();
        for row in 0..40 {
            assert!((double.mean[(row, 0)] - f64::from(single.mean[(row, 0)])).abs() < 1e-3);
            assert!((double.variance[(row, 0)] - f64::from(single.variance[(row, 0)])).abs() < 1e-3);
        }
    }
}
