//! Exact and collapsed regression with a known noise of each observation.
#![allow(clippy::unwrap_used)]

use faer::linalg::solvers::Solve;
use mercer::gp::{Approximation, ExactGp, LeaveOneOut, Posterior, Sgpr};
use mercer::inducing::InducingPoints;
use mercer::likelihood::{FixedNoise, Gaussian, Likelihood};
use mercer::linalg::{Cholesky, Jitter};
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const N: usize = 24;
const APPROXIMATIONS: [Approximation; 3] = [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc];

fn random(seed: u64, rows: usize, cols: usize) -> Mat<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    Mat::from_fn(rows, cols, |_, _| rng.random_range(-2.0..2.0))
}

fn variances() -> Vec<f64> {
    random(3, N, 1).col_as_slice(0).iter().map(|value| (value - 1.0).exp()).collect()
}

fn data() -> (Mat<f64>, Vec<f64>) {
    let (x, noise) = (random(1, N, 2), random(2, N, 1));
    let scale = variances();
    let y = (0..N).map(|row| (2.0 * x[(row, 0)]).sin() - x[(row, 1)] + scale[row].sqrt() * noise[(row, 0)]).collect();
    (x, y)
}

fn kernel() -> DynKernel {
    (1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Linear::new(0.5)).dynamic()
}

fn noise() -> FixedNoise {
    FixedNoise::new(&variances()).unwrap()
}

fn exact() -> ExactGp<DynKernel, FixedNoise> {
    ExactGp::new(kernel()).with_mean(ConstantMean::new(0.3)).with_par(Par::Seq).with_likelihood(noise())
}

fn sparse() -> Sgpr<DynKernel, InducingPoints, FixedNoise> {
    let model = Sgpr::new(kernel(), random(4, 7, 2).as_ref()).unwrap().with_mean(ConstantMean::new(0.3));
    model.with_par(Par::Seq).with_likelihood(noise())
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

fn residual(y: &[f64]) -> Mat<f64> {
    Mat::from_fn(N, 1, |row, _| y[row] - 0.3)
}

fn with_noise(covariance: &Mat<f64>) -> Mat<f64> {
    let variances = variances();
    Mat::from_fn(N, N, |i, j| covariance[(i, j)] + if i == j { variances[i] } else { 0.0 })
}

fn log_normal(residual: &Mat<f64>, covariance: &Mat<f64>) -> f64 {
    let factor = Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let quadratic = (residual.transpose() * covariance.partial_piv_lu().solve(residual))[(0, 0)];
    -0.5 * (quadratic + factor.log_det() + N as f64 * std::f64::consts::TAU.ln())
}

/// Q between points, by the inducing inputs.
fn projected(one: &Mat<f64>, other: &Mat<f64>) -> Mat<f64> {
    let (z, k) = (random(4, 7, 2), kernel());
    let right = k.gram(z.as_ref()).unwrap().partial_piv_lu().solve(k.cross(z.as_ref(), other.as_ref()).unwrap());
    k.cross(one.as_ref(), z.as_ref()).unwrap() * right
}

#[test]
fn the_exact_process_is_the_dense_one() {
    let (x, y) = data();
    let (gp, k, at) = (exact(), kernel(), random(5, 6, 2));
    let covariance = with_noise(&k.gram(x.as_ref()).unwrap());
    close("evidence", gp.log_evidence(x.as_ref(), &y).unwrap(), log_normal(&residual(&y), &covariance), 1e-13);

    let cross = k.cross(x.as_ref(), at.as_ref()).unwrap();
    let solved = covariance.partial_piv_lu().solve(&cross);
    let mean = solved.transpose() * residual(&y);
    let expected = k.gram(at.as_ref()).unwrap() - cross.transpose() * &solved;
    let posterior = gp.condition(x.as_ref(), &y).unwrap();
    let (found, of_found) = posterior.predict_covariance(at.as_ref()).unwrap();
    assert!((of_found - expected).norm_max() < 1e-13);
    (0..6).for_each(|row| close("mean", found[row], mean[(row, 0)] + 0.3, 1e-13));
}

#[test]
fn equal_variances_are_gaussian_noise() {
    let (x, y) = data();
    let equal = FixedNoise::new(&[0.2; N]).unwrap();
    let (one, other) = (exact().with_likelihood(equal.clone()), exact().with_likelihood(Gaussian::new(0.2)));
    let (by_fixed, by_gaussian) =
        (one.log_evidence_gradient(x.as_ref(), &y).unwrap(), other.log_evidence_gradient(x.as_ref(), &y).unwrap());
    assert_eq!(by_fixed.0, by_gaussian.0);
    assert_eq!(by_fixed.1, by_gaussian.1[..by_gaussian.1.len() - 1]);
    assert_eq!(one.leave_one_out(x.as_ref(), &y).unwrap(), other.leave_one_out(x.as_ref(), &y).unwrap());
    for approximation in APPROXIMATIONS {
        let model = sparse().with_approximation(approximation);
        let (one, other) = (model.clone().with_likelihood(equal.clone()), model.with_likelihood(Gaussian::new(0.2)));
        let found = one.log_evidence(x.as_ref(), &y).unwrap();
        assert_eq!(found, other.log_evidence(x.as_ref(), &y).unwrap());
        let (a, b) = (one.upper_bound(x.as_ref(), &y).unwrap(), other.upper_bound(x.as_ref(), &y).unwrap());
        assert_eq!(a, b);
    }
}

fn assert_gradient<M: Parameterized + Clone>(model: &M, gradient: &[f64], value: impl Fn(&M) -> f64) {
    let values = model.values();
    assert_eq!(values.len(), gradient.len());
    for (index, entry) in model.parameters().iter().enumerate() {
        let step = 1e-5 * values[index].abs().max(0.1);
        let at = |shift: f64| {
            let mut moved = values.clone();
            moved[index] += shift;
            value(&model.with_params(&moved).unwrap())
        };
        close(&entry.path, gradient[index], (at(step) - at(-step)) / (2.0 * step), 1e-7);
    }
}

#[test]
fn gradients_match_finite_differences_and_fits_climb() {
    let (x, y) = data();
    let (_, gradient) = exact().log_evidence_gradient(x.as_ref(), &y).unwrap();
    assert_gradient(&exact(), &gradient, |model| model.log_evidence(x.as_ref(), &y).unwrap());
    let mut fitted = exact();
    assert!(fitted.parameters().iter().all(|entry| !entry.path.starts_with("likelihood")));
    fitted.fit(x.as_ref(), &y, &Lbfgs::default()).unwrap();
    let (after, slopes) = fitted.log_evidence_gradient(x.as_ref(), &y).unwrap();
    assert!(after > exact().log_evidence(x.as_ref(), &y).unwrap() + 0.1);
    // In log θ, as a variance of which nothing is left has a slope.
    assert!(fitted.values().iter().zip(slopes).all(|(value, slope)| (value * slope).abs() < 1e-2));
    for approximation in APPROXIMATIONS {
        let model = sparse().with_approximation(approximation);
        let (_, gradient) = model.log_evidence_gradient(x.as_ref(), &y).unwrap();
        assert_gradient(&model, &gradient, |model| model.log_evidence(x.as_ref(), &y).unwrap().value);
    }
}

#[test]
fn collapsed_evidences_are_the_dense_ones() {
    let (x, y) = data();
    let (q, full) = (projected(&x, &x), kernel().gram(x.as_ref()).unwrap());
    let left: Vec<f64> = (0..N).map(|i| full[(i, i)] - q[(i, i)]).collect();
    let trace: f64 = left.iter().zip(variances()).map(|(left, variance)| 0.5 * left / variance).sum();
    let fitc = Mat::from_fn(N, N, |i, j| q[(i, j)] + if i == j { left[i] } else { 0.0 });
    let dtc = log_normal(&residual(&y), &with_noise(&q));
    for (approximation, expected) in [
        (Approximation::Vfe, dtc - trace),
        (Approximation::Fitc, log_normal(&residual(&y), &with_noise(&fitc))),
        (Approximation::Dtc, dtc),
    ] {
        let found = sparse().with_approximation(approximation).log_evidence(x.as_ref(), &y).unwrap();
        close("evidence", found.value, expected, 1e-11);
    }
    let evidence = exact().log_evidence(x.as_ref(), &y).unwrap();
    let (lower, upper) =
        (sparse().log_evidence(x.as_ref(), &y).unwrap(), sparse().upper_bound(x.as_ref(), &y).unwrap());
    assert!(lower.value < evidence && evidence < upper, "{} {evidence} {upper}", lower.value);
    let svgp = sparse().into_svgp(x.as_ref(), &y).unwrap();
    close("the bound of the best q", svgp.elbo(x.as_ref(), &y).unwrap().value, lower.value, 1e-12);
    let (by_sgpr, by_svgp) = (sparse().condition(x.as_ref(), &y).unwrap().predict(x.as_ref()).unwrap(), svgp);
    let by_svgp = by_svgp.posterior::<f64>().unwrap().predict(x.as_ref()).unwrap();
    (0..N).for_each(|row| close("mean", by_sgpr.mean[row], by_svgp.mean[row], 1e-12));
}

fn assert_left_out(found: &LeaveOneOut<f64>, condition: impl Fn(&Mat<f64>, &[f64], &[usize]) -> (f64, f64)) {
    let (x, y) = data();
    for row in [0, 7, N - 1] {
        let others: Vec<usize> = (0..N).filter(|&other| other != row).collect();
        let of_others: Vec<f64> = others.iter().map(|&other| y[other]).collect();
        let kept = Mat::from_fn(N - 1, 2, |i, d| x[(others[i], d)]);
        let (mean, variance) = condition(&kept, &of_others, &others);
        close("mean", found.mean[row], mean, 1e-11);
        close("variance", found.variance[row], variance + variances()[row], 1e-11);
        let expected =
            Gaussian::new(variances()[row]).log_predictive_density(&[y[row]], &[mean], &[variance]).unwrap()[0];
        close("log density", found.log_density[row], expected, 1e-11);
    }
}

#[test]
fn leaving_one_out_is_conditioning_on_the_others() {
    let (x, y) = data();
    let at = |posterior: Posterior<'_, f64>, others: &[usize]| {
        let row = (0..N).find(|row| !others.contains(row)).unwrap();
        let found = posterior.predict(x.subrows(row, 1)).unwrap();
        (found.mean[0], found.variance[0])
    };
    let kept =
        |others: &[usize]| FixedNoise::new(&others.iter().map(|&row| variances()[row]).collect::<Vec<_>>()).unwrap();
    assert_left_out(&exact().leave_one_out(x.as_ref(), &y).unwrap(), |x, y, others| {
        at(exact().with_likelihood(kept(others)).condition(x.as_ref(), y).unwrap(), others)
    });
    for approximation in APPROXIMATIONS {
        let model = sparse().with_approximation(approximation);
        assert_left_out(&model.leave_one_out(x.as_ref(), &y).unwrap(), |x, y, others| {
            at(model.clone().with_likelihood(kept(others)).condition(x.as_ref(), y).unwrap(), others)
        });
    }
}

/// Each draw as a function has the noise of each observation: through the first, about the second.
#[test]
fn draws_as_functions_know_each_noise() {
    let x = mat![[0.0], [5.0]];
    let gp = ExactGp::new(Rbf::new(1.0)).with_likelihood(FixedNoise::new(&[1e-10, 4.0]).unwrap());
    let posterior = gp.condition(x.as_ref(), &[1.5, 2.0]).unwrap();
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
        others.log_evidence(x.as_ref(), &y).map(drop),
        others.log_evidence_gradient(x.as_ref(), &y).map(drop),
        others.condition(x.as_ref(), &y).map(drop),
        others.leave_one_out(x.as_ref(), &y).map(drop),
        sparse().with_likelihood(FixedNoise::new(&[0.1; 3]).unwrap()).log_evidence(x.as_ref(), &y).map(drop),
    ] {
        assert!(
            matches!(&result, Err(Error::Shape { expected, .. }) if expected.starts_with("3 value(s)")),
            "{result:?}"
        );
    }
    let error = exact().condition(x.as_ref(), &y).unwrap().predict_observations(x.as_ref()).unwrap_err();
    assert!(error.to_string().contains("`for_new`"), "{error}");
}
