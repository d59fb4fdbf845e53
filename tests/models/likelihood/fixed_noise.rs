//! Exact and collapsed regression with a known noise of each observation.
#![allow(clippy::unwrap_used)]

use faer::linalg::solvers::Solve;
use mercer::gp::{Approximation, ExactGp, LeaveOneOut, Posterior, Sgpr};
use mercer::inducing::InducingPoints;
use mercer::likelihood::{FixedNoise, Gaussian, Likelihood};
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use mercer::testkit::points;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::close::assert_close;
use crate::common::dense::{column, log_normal, noisy, projected};
use crate::common::gradients::check_model;

const N: usize = 24;
const MEAN: f64 = 0.3;
const APPROXIMATIONS: [Approximation; 3] = [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc];

fn variances() -> Vec<f64> {
    points::<f64>(N, 1, 3).col_as_slice(0).iter().map(|value| (value - 1.0).exp()).collect()
}

fn data() -> (Mat<f64>, Vec<f64>) {
    let (x, noise) = (points::<f64>(N, 2, 1), points::<f64>(N, 1, 2));
    let scale = variances();
    let y = (0..N).map(|row| (2.0 * x[(row, 0)]).sin() - x[(row, 1)] + scale[row].sqrt() * noise[(row, 0)]).collect();
    (x, y)
}

fn kernel() -> DynKernel {
    (1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Linear::new(0.5)).dynamic()
}

fn inducing() -> Mat<f64> {
    points(7, 2, 4)
}

fn noise() -> FixedNoise {
    FixedNoise::new(&variances()).unwrap()
}

fn residual(y: &[f64]) -> Vec<f64> {
    y.iter().map(|y| y - MEAN).collect()
}

fn with_noise(covariance: &Mat<f64>) -> Mat<f64> {
    let variances = variances();
    noisy(covariance, |row| variances[row])
}

fn exact() -> ExactGp<DynKernel, FixedNoise> {
    ExactGp::new(kernel()).with_mean(ConstantMean::new(MEAN)).with_par(Par::Seq).with_likelihood(noise())
}

fn sparse() -> Sgpr<DynKernel, InducingPoints, FixedNoise> {
    let model = Sgpr::new(kernel(), inducing().as_ref()).unwrap().with_mean(ConstantMean::new(MEAN));
    model.with_par(Par::Seq).with_likelihood(noise())
}

#[test]
fn the_exact_process_is_the_dense_one() {
    let (x, y) = data();
    let (gp, k, at) = (exact(), kernel(), points::<f64>(6, 2, 5));
    let covariance = with_noise(&k.gram(x.as_ref()).unwrap());
    assert_close(gp.objective(&Data::new(x.as_ref(), &y)).unwrap(), log_normal(&residual(&y), &covariance), 1e-13);

    let cross = k.cross(x.as_ref(), at.as_ref()).unwrap();
    let solved = covariance.partial_piv_lu().solve(&cross);
    let mean = solved.transpose() * column(&residual(&y));
    let expected = k.gram(at.as_ref()).unwrap() - cross.transpose() * &solved;
    let posterior = gp.condition(&Data::new(x.as_ref(), &y)).unwrap();
    let (found, of_found) = (posterior.mean(at.as_ref()).unwrap(), posterior.covariance(at.as_ref(), 0).unwrap());
    assert!((of_found - expected).norm_max() < 1e-13);
    (0..6).for_each(|row| assert_close(found[(row, 0)], mean[(row, 0)] + MEAN, 1e-13));
}

#[test]
fn equal_variances_are_gaussian_noise() {
    let (x, y) = data();
    let equal = FixedNoise::new(&[0.2; N]).unwrap();
    let (one, other) = (exact().with_likelihood(equal.clone()), exact().with_likelihood(Gaussian::new(0.2)));
    let (by_fixed, by_gaussian) =
        (one.gradient(&Data::new(x.as_ref(), &y)).unwrap(), other.gradient(&Data::new(x.as_ref(), &y)).unwrap());
    assert_eq!(by_fixed.0, by_gaussian.0);
    assert_eq!(by_fixed.1, by_gaussian.1[..by_gaussian.1.len() - 1]);
    assert_eq!(
        one.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap(),
        other.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap()
    );
    for approximation in APPROXIMATIONS {
        let model = sparse().with_approximation(approximation);
        let (one, other) = (model.clone().with_likelihood(equal.clone()), model.with_likelihood(Gaussian::new(0.2)));
        let found = one.objective(&Data::new(x.as_ref(), &y)).unwrap();
        assert_eq!(found, other.objective(&Data::new(x.as_ref(), &y)).unwrap());
        let (a, b) = (
            one.upper_bound(&Data::new(x.as_ref(), &y)).unwrap(),
            other.upper_bound(&Data::new(x.as_ref(), &y)).unwrap(),
        );
        assert_eq!(a, b);
    }
}

#[test]
fn gradients_match_finite_differences_and_fits_climb() {
    let (x, y) = data();
    let (_, gradient) = exact().gradient(&Data::new(x.as_ref(), &y)).unwrap();
    check_model("exact", &exact(), &gradient, 1e-7, |model| model.objective(&Data::new(x.as_ref(), &y)).unwrap());
    let mut fitted = exact();
    assert!(fitted.parameters().iter().all(|entry| !entry.path.starts_with("likelihood")));
    fitted.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap();
    let (after, slopes) = fitted.gradient(&Data::new(x.as_ref(), &y)).unwrap();
    assert!(after > exact().objective(&Data::new(x.as_ref(), &y)).unwrap() + 0.1);
    // In log θ, as a variance of which nothing is left has a slope.
    assert!(fitted.values().iter().zip(slopes).all(|(value, slope)| (value * slope).abs() < 1e-2));
    for approximation in APPROXIMATIONS {
        let model = sparse().with_approximation(approximation);
        let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        let value = |model: &Sgpr<_, _, _>| model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        check_model(format!("{approximation:?}"), &model, &gradient, 1e-7, value);
    }
}

#[test]
fn collapsed_evidences_are_the_dense_ones() {
    let (x, y) = data();
    let (q, full) = (projected(&kernel(), &inducing(), &x, &x), kernel().gram(x.as_ref()).unwrap());
    let left: Vec<f64> = (0..N).map(|i| full[(i, i)] - q[(i, i)]).collect();
    let trace: f64 = left.iter().zip(variances()).map(|(left, variance)| 0.5 * left / variance).sum();
    let fitc = Mat::from_fn(N, N, |i, j| q[(i, j)] + if i == j { left[i] } else { 0.0 });
    let dtc = log_normal(&residual(&y), &with_noise(&q));
    for (approximation, expected) in [
        (Approximation::Vfe, dtc - trace),
        (Approximation::Fitc, log_normal(&residual(&y), &with_noise(&fitc))),
        (Approximation::Dtc, dtc),
    ] {
        let found = sparse().with_approximation(approximation).objective(&Data::new(x.as_ref(), &y)).unwrap();
        assert_close(found.value, expected, 1e-11);
    }
    let evidence = exact().objective(&Data::new(x.as_ref(), &y)).unwrap();
    let (lower, upper) = (
        sparse().objective(&Data::new(x.as_ref(), &y)).unwrap(),
        sparse().upper_bound(&Data::new(x.as_ref(), &y)).unwrap(),
    );
    assert!(lower.value < evidence && evidence < upper, "{} {evidence} {upper}", lower.value);
    let svgp = sparse().into_svgp(&Data::new(x.as_ref(), &y)).unwrap();
    assert_close(svgp.objective(&Data::new(x.as_ref(), &y)).unwrap().value, lower.value, 1e-12);
    let (by_sgpr, by_svgp) =
        (sparse().condition(&Data::new(x.as_ref(), &y)).unwrap().predict(x.as_ref()).unwrap(), svgp);
    let by_svgp = by_svgp.posterior::<f64>().unwrap().predict(x.as_ref()).unwrap();
    (0..N).for_each(|row| assert_close(by_sgpr.mean[(row, 0)], by_svgp.mean[(row, 0)], 1e-12));
}

fn assert_left_out(found: &LeaveOneOut<f64>, condition: impl Fn(&Mat<f64>, &[f64], &[usize]) -> (f64, f64)) {
    let (x, y) = data();
    for row in [0, 7, N - 1] {
        let others: Vec<usize> = (0..N).filter(|&other| other != row).collect();
        let of_others: Vec<f64> = others.iter().map(|&other| y[other]).collect();
        let kept = Mat::from_fn(N - 1, 2, |i, d| x[(others[i], d)]);
        let (mean, variance) = condition(&kept, &of_others, &others);
        assert_close(found.mean[row], mean, 1e-11);
        assert_close(found.variance[row], variance + variances()[row], 1e-11);
        let expected =
            Gaussian::new(variances()[row]).log_predictive_density(&[y[row]], &[mean], &[variance]).unwrap()[0];
        assert_close(found.log_density[row], expected, 1e-11);
    }
}

#[test]
fn leaving_one_out_is_conditioning_on_the_others() {
    let (x, y) = data();
    let at = |posterior: Posterior<f64>, others: &[usize]| {
        let row = (0..N).find(|row| !others.contains(row)).unwrap();
        let found = posterior.predict(x.subrows(row, 1)).unwrap();
        (found.mean[(0, 0)], found.variance[(0, 0)])
    };
    let kept =
        |others: &[usize]| FixedNoise::new(&others.iter().map(|&row| variances()[row]).collect::<Vec<_>>()).unwrap();
    assert_left_out(&exact().leave_one_out(&Data::new(x.as_ref(), &y)).unwrap(), |x, y, others| {
        at(exact().with_likelihood(kept(others)).condition(&Data::new(x.as_ref(), y)).unwrap(), others)
    });
    for approximation in APPROXIMATIONS {
        let model = sparse().with_approximation(approximation);
        assert_left_out(&model.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap(), |x, y, others| {
            at(model.clone().with_likelihood(kept(others)).condition(&Data::new(x.as_ref(), y)).unwrap(), others)
        });
    }
}

/// Each draw as a function has the noise of each observation: through the first, about the second.
#[test]
fn draws_as_functions_know_each_noise() {
    let x = mat![[0.0], [5.0]];
    let gp = ExactGp::new(Rbf::new(1.0)).with_likelihood(FixedNoise::new(&[1e-10, 4.0]).unwrap());
    let posterior = gp.condition(&Data::new(x.as_ref(), [1.5, 2.0])).unwrap();
    let draws = 4000;
    let values = posterior.pathwise(draws, 100, &mut Pcg64::seed_from_u64(1)).unwrap().values(x.as_ref()).unwrap();
    assert!(values.row(0).iter().all(|value| (value - 1.5).abs() < 1e-4));
    let mean = values.row(1).iter().sum::<f64>() / draws as f64;
    let variance = values.row(1).iter().map(|value| (value - mean).powi(2)).sum::<f64>() / draws as f64;
    // 2/(1 + 4) and 1 − 1/(1 + 4), within four standard errors.
    assert!((mean - 0.4).abs() < 4.0 * (0.8 / draws as f64).sqrt(), "{mean}");
    assert!((variance - 0.8).abs() < 4.0 * 0.8 * (2.0 / draws as f64).sqrt(), "{variance}");
}

#[test]
fn noise_of_other_observations_is_refused() {
    let (x, y) = data();
    let others = exact().with_likelihood(FixedNoise::new(&[0.1; 3]).unwrap());
    for result in [
        others.objective(&Data::new(x.as_ref(), &y)).map(drop),
        others.gradient(&Data::new(x.as_ref(), &y)).map(drop),
        others.condition(&Data::new(x.as_ref(), &y)).map(drop),
        others.leave_one_out(&Data::new(x.as_ref(), &y)).map(drop),
        sparse().with_likelihood(FixedNoise::new(&[0.1; 3]).unwrap()).objective(&Data::new(x.as_ref(), &y)).map(drop),
    ] {
        assert!(
            matches!(&result, Err(Error::Shape { expected, .. }) if expected.starts_with("3 value(s)")),
            "{result:?}"
        );
    }
    let error = exact().condition(&Data::new(x.as_ref(), &y)).unwrap().predict_observations(x.as_ref()).unwrap_err();
    assert!(error.to_string().contains("`for_new`"), "{error}");
}
