//! Bases of the mean beside that of the covariance of a sparse variational process.
#![allow(clippy::unwrap_used)]

use faer::linalg::solvers::Solve;
use mercer::gp::{ExactGp, MeanBasis, Prediction, Sgpr, Svgp, Variational};
use mercer::inducing::{HilbertFeatures, InducingFeatures, SphericalHarmonicFeatures};
use mercer::likelihood::{Bernoulli, Gaussian, Heteroscedastic};
use mercer::linalg::{Cholesky, Jitter};
use mercer::mean::ConstantMean;
use mercer::optim::{Adam, NaturalGradient, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const NOISE: f64 = 0.2;
type Form = fn(MatRef<'_, f64>) -> Result<MeanBasis, Error>;
const FORMS: [Form; 2] = [MeanBasis::new, MeanBasis::orthogonal];

fn random(seed: u64, rows: usize, cols: usize) -> Mat<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    Mat::from_fn(rows, cols, |_, _| rng.random_range(-2.0..2.0))
}

fn data(n: usize) -> (Mat<f64>, Vec<f64>) {
    let (x, noise) = (random(1, n, 2), random(2, n, 1));
    let y = (0..n).map(|row| (2.0 * x[(row, 0)]).sin() - 0.4 * x[(row, 1)] + 0.2 * noise[(row, 0)]).collect();
    (x, y)
}

fn kernel() -> DynKernel {
    (1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Linear::new(0.5)).dynamic()
}

fn q(m: usize) -> Variational {
    let (mean, factor) = (random(3, m, 1), random(4, m, m));
    let factor = Mat::from_fn(m, m, |i, j| if i == j { 0.3 + factor[(i, j)].abs() } else { 0.2 * factor[(i, j)] });
    Variational::new(mean.col_as_slice(0), factor.as_ref()).unwrap()
}

fn plain(m: usize) -> Svgp {
    let model = Svgp::new(kernel(), random(5, m, 2).as_ref()).unwrap().with_likelihood(Gaussian::new(NOISE));
    model.with_par(Par::Seq).with_variational(q(m)).unwrap()
}

fn basis(form: usize, points: &Mat<f64>, weights: &Mat<f64>) -> MeanBasis {
    FORMS[form](points.as_ref()).unwrap().with_weights(weights.as_ref()).unwrap()
}

/// Of seven further inputs, with weights away from 0.
fn decoupled(form: usize, m: usize) -> Svgp {
    plain(m).with_mean_basis(basis(form, &random(6, 7, 2), &random(7, 7, 1))).unwrap()
}

fn column(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), 1, |row, _| values[row])
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let miss = (found - expected).abs();
    assert!(miss <= tolerance * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

fn assert_same<F: InducingFeatures, G: InducingFeatures>(one: &Svgp<DynKernel, F>, other: &Svgp<DynKernel, G>) {
    let (x, y) = data(20);
    let (a, b) = (one.elbo(x.as_ref(), &y).unwrap(), other.elbo(x.as_ref(), &y).unwrap());
    close("bound", a.value, b.value, 1e-12);
    close("KL", a.kl, b.kl, 1e-12);
    let at = random(8, 9, 2);
    let (a, b) = (one.posterior().unwrap(), other.posterior().unwrap());
    let (first, second): (Prediction<f64>, _) = (a.predict(at.as_ref()).unwrap(), b.predict(at.as_ref()).unwrap());
    for row in 0..9 {
        close("mean", first.mean[row], second.mean[row], 1e-12);
        close("variance", first.variance[row], second.variance[row], 1e-12);
    }
}

#[test]
fn without_weights_it_is_the_plain_process() {
    for form in FORMS {
        assert_same(&plain(5).with_mean_basis(form(random(6, 7, 2).as_ref()).unwrap()).unwrap(), &plain(5));
    }
}

/// At Γ = Z the mean of q can be said by either, and the orthogonal form has nothing to add.
#[test]
fn at_the_inducing_inputs_it_is_the_plain_process() {
    let model = plain(5);
    let z = model.inducing().inputs().to_owned();
    let gram = kernel().gram(z.as_ref()).unwrap();
    let l = Cholesky::new(gram.as_ref(), Jitter::default(), Par::Seq).unwrap();
    let mut weights = column(model.variational().mean());
    l.half_solve_transpose_in_place(weights.as_mut(), Par::Seq).unwrap();

    let of_mean_zero = Variational::new(&[0.0; 5], q(5).factor().unwrap().as_ref()).unwrap();
    let moved = model.clone().with_variational(of_mean_zero).unwrap();
    assert_same(&moved.with_mean_basis(basis(0, &z, &weights)).unwrap(), &model);
    assert_same(&model.clone().with_mean_basis(basis(1, &z, &weights)).unwrap(), &model);
}

/// m of the one is m + Ba of the other.
#[test]
fn both_forms_reach_the_same_processes() {
    let (one, other) = (decoupled(0, 5), decoupled(1, 5));
    let (z, gamma) = (one.inducing().inputs(), one.mean_basis().unwrap().inputs());
    let gram = kernel().gram(z).unwrap();
    let mut shift = kernel().cross(z, gamma).unwrap() * one.mean_basis().unwrap().weights();
    Cholesky::new(gram.as_ref(), Jitter::default(), Par::Seq)
        .unwrap()
        .half_solve_in_place(shift.as_mut(), Par::Seq)
        .unwrap();
    let mean: Vec<f64> = (0..5).map(|i| q(5).mean()[i] + shift[(i, 0)]).collect();
    let q = Variational::new(&mean, q(5).factor().unwrap().as_ref()).unwrap();
    assert_same(&other.with_variational(q).unwrap(), &one);
}

/// KL(N(μ, Σ) ‖ N(0, K)) of the values at Z and Γ together, where all of q differs from the prior.
#[test]
fn the_divergence_is_that_of_the_joint_values() {
    for form in 0..2 {
        let model = decoupled(form, 5);
        let joint = faer::concat![[model.inducing().inputs()], [model.mean_basis().unwrap().inputs()]];
        let (mean, covariance) = model.posterior().unwrap().predict_covariance(joint.as_ref()).unwrap();
        let prior =
            Cholesky::new(kernel().gram(joint.as_ref()).unwrap().as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
        let log_det = Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap().log_det();
        let mut whitened = column(&mean);
        prior.half_solve_in_place(whitened.as_mut(), Par::Seq).unwrap();
        let mut ratio = covariance.clone();
        prior.solve_in_place(ratio.as_mut(), Par::Seq).unwrap();
        let trace: f64 = (0..12).map(|i| ratio[(i, i)]).sum();
        let expected = 0.5 * (trace + whitened.squared_norm_l2() - 12.0 + prior.log_det() - log_det);
        let (x, y) = data(20);
        close("KL", model.elbo(x.as_ref(), &y).unwrap().kl, expected, 1e-11);
    }
}

/// A model at its optimum given its inputs, with the collapsed bound
/// −½ yᵀ(Q_ZΓ + σ²I)⁻¹y − ½ log|Q_Z + σ²I| − (N/2) log 2π − tr(K − Q_Z)/2σ², all dense.
fn at_the_optimum(form: usize, m: usize, gamma: &Mat<f64>, x: &Mat<f64>, y: &[f64]) -> (Svgp, f64) {
    let (z, k, n) = (plain(m).inducing().inputs().to_owned(), kernel(), y.len());
    let joint = faer::concat![[z], [gamma]];
    let explained = |u: &Mat<f64>| {
        let cross = k.cross(u.as_ref(), x.as_ref()).unwrap();
        let solved = k.gram(u.as_ref()).unwrap().partial_piv_lu().solve(&cross);
        cross.transpose() * solved
    };
    let noisy = |q: &Mat<f64>| Mat::from_fn(n, n, |i, j| q[(i, j)] + if i == j { NOISE } else { 0.0 });
    let of_mean = Cholesky::new(noisy(&explained(&joint)).as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let of_covariance = Cholesky::new(noisy(&explained(&z)).as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let mut whitened = column(y);
    of_mean.half_solve_in_place(whitened.as_mut(), Par::Seq).unwrap();
    let trace: f64 = k.diag(x.as_ref()).unwrap().iter().sum::<f64>() - explained(&z).diagonal().column_vector().sum();
    let constant = n as f64 * std::f64::consts::TAU.ln();
    let bound = -0.5 * (whitened.squared_norm_l2() + of_covariance.log_det() + constant + trace / NOISE);

    // mean(x) = K(x, Z ∪ Γ) c
    let cross = k.cross(joint.as_ref(), x.as_ref()).unwrap();
    let normal = k.gram(joint.as_ref()).unwrap() * faer::Scale(NOISE) + &cross * cross.transpose();
    let c = normal.partial_piv_lu().solve(&cross * column(y));
    let seen = if form == 0 { c.subrows(0, m).to_owned() } else { c.clone() };
    let points = if form == 0 { z.clone() } else { joint.clone() };
    let mut mean = k.cross(z.as_ref(), points.as_ref()).unwrap() * seen;
    let l = Cholesky::new(k.gram(z.as_ref()).unwrap().as_ref(), Jitter::default(), Par::Seq).unwrap();
    l.half_solve_in_place(mean.as_mut(), Par::Seq).unwrap();
    let collapsed = Sgpr::new(k, z.as_ref()).unwrap().with_noise(NOISE).unwrap();
    let root = collapsed.optimal_variational(x.as_ref(), y).unwrap().factor().unwrap();
    let q = Variational::new(mean.col_as_slice(0), root.as_ref()).unwrap();
    let weights = c.subrows(m, gamma.nrows()).to_owned();
    let model = plain(m).with_variational(q).unwrap().with_mean_basis(basis(form, gamma, &weights)).unwrap();
    (model, bound)
}

#[test]
fn the_optimum_is_the_dense_one_and_more_inputs_never_lower_it() {
    let (x, y) = data(30);
    let exact = ExactGp::new(kernel()).with_noise(NOISE).unwrap().log_evidence(x.as_ref(), &y).unwrap();
    let (m, all) = (4, random(6, 16, 2));
    let coupled = Sgpr::new(kernel(), plain(m).inducing().inputs()).unwrap().with_noise(NOISE).unwrap();
    let mut before = coupled.log_evidence(x.as_ref(), &y).unwrap().value;
    for g in [1, 3, 6, 10, 16] {
        let gamma = all.subrows(0, g).to_owned();
        let bounds = [0, 1].map(|form| {
            let (model, expected) = at_the_optimum(form, m, &gamma, &x, &y);
            let (elbo, gradient) = model.elbo_gradient(x.as_ref(), &y, 30).unwrap();
            close("the optimum", elbo.value, expected, 1e-11);
            let entries = model.parameters();
            for (entry, slope) in entries.iter().zip(&gradient) {
                let of_q = entry.path.starts_with("variational") || entry.path.starts_with("mean_basis.weights");
                assert!(!of_q || slope.abs() < 1e-8, "{}: {slope}", entry.path);
            }
            elbo.value
        });
        assert!(bounds[1] >= before && bounds[1] < exact, "{g}: {} {before} {exact}", bounds[1]);
        before = bounds[1];
    }
}

/// Only the mean is that of all data: the covariance is still of Z. With Z = X both are, and the bound is the evidence.
#[test]
fn at_all_inputs_the_optimum_is_the_evidence() {
    let (x, y) = data(25);
    let evidence = ExactGp::new(kernel()).with_noise(NOISE).unwrap().log_evidence(x.as_ref(), &y).unwrap();
    let coupled =
        Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(NOISE).unwrap().into_svgp(x.as_ref(), &y).unwrap();
    let gram = kernel().gram(x.as_ref()).unwrap();
    let noisy = Mat::from_fn(25, 25, |i, j| gram[(i, j)] + if i == j { NOISE } else { 0.0 });
    let weights = noisy.partial_piv_lu().solve(column(&y));
    let q = Variational::new(&[0.0; 25], coupled.variational().factor().unwrap().as_ref()).unwrap();
    let decoupled = coupled.with_variational(q).unwrap().with_mean_basis(basis(0, &x, &weights)).unwrap();
    let bound = decoupled.elbo(x.as_ref(), &y).unwrap().value;
    close("the bound", bound, evidence, 1e-10);
}

#[test]
fn no_bound_exceeds_the_evidence() {
    let mut rng = Pcg64::seed_from_u64(9);
    for trial in 0..60 {
        let (n, m, g) = (rng.random_range(1..12), rng.random_range(1..6), rng.random_range(1..9));
        let (x, y) = data(n);
        let noise = rng.random_range(0.01..1.0);
        let kernel = (rng.random_range(0.1..3.0) * Rbf::new(rng.random_range(0.2..3.0)) + Matern12::new(1.0)).dynamic();
        let exact = ExactGp::new(kernel.clone()).with_noise(noise).unwrap();
        let evidence = exact.log_evidence(x.as_ref(), &y).unwrap();
        let gamma = random(rng.random(), g, 2);
        // The mean of all Γ that fits best, and one that is not far from it.
        let gram = kernel.gram(x.as_ref()).unwrap();
        let noisy = Mat::from_fn(n, n, |i, j| gram[(i, j)] + if i == j { noise } else { 0.0 });
        let best = noisy.partial_piv_lu().solve(column(&y));
        for (gamma, weights) in [(x.clone(), best), (gamma, random(rng.random(), g, 1) * rng.random_range(0.0..0.5))] {
            for form in 0..2 {
                let sparse = Svgp::new(kernel.clone(), random(rng.random(), m, 2).as_ref()).unwrap();
                let sparse = sparse.with_likelihood(Gaussian::new(noise)).with_variational(q(m)).unwrap();
                let mut sparse = sparse.with_mean_basis(basis(form, &gamma, &weights)).unwrap();
                sparse.natural_step(x.as_ref(), &y, n, &NaturalGradient::default()).unwrap();
                let bound = sparse.elbo(x.as_ref(), &y).unwrap().value;
                assert!(bound <= evidence + 1e-10, "{trial}: {bound} is above {evidence}");
            }
        }
    }
}

fn assert_gradient<M: Parameterized + Clone>(model: &M, gradient: &[f64], except: &str, value: impl Fn(&M) -> f64) {
    let values = model.values();
    assert_eq!(values.len(), gradient.len());
    for (index, entry) in model.parameters().iter().enumerate() {
        if entry.path.starts_with(except) {
            continue;
        }
        let step = 1e-5 * values[index].abs().max(0.1);
        let at = |shift: f64| {
            let mut moved = values.clone();
            moved[index] += shift;
            value(&model.with_params(&moved).unwrap())
        };
        let difference = (at(step) - at(-step)) / (2.0 * step);
        let miss = (gradient[index] - difference).abs();
        assert!(miss < 1e-6 * difference.abs().max(1.0), "{}: {} is not {difference}", entry.path, gradient[index]);
    }
}

/// One latent function; two of one kernel; two of their own; on a sphere.
#[test]
fn gradients_match_finite_differences() {
    let (x, y) = data(12);
    for form in 0..2 {
        let one = decoupled(form, 3).with_mean(ConstantMean::new(0.4));
        let shared = one.clone().with_likelihood(Heteroscedastic::new());
        let weights = shared.mean_basis().unwrap().clone().with_weights(random(10, 7, 2).as_ref()).unwrap();
        let shared = shared.with_mean_basis(weights).unwrap();
        let own = shared.clone().with_kernels(vec![kernel(), (0.7 * Rbf::new(0.9)).dynamic()]).unwrap();
        for model in [one, shared, own] {
            let (_, gradient) = model.elbo_gradient(x.as_ref(), &y, 30).unwrap();
            assert_gradient(&model, &gradient, "none", |model| model.elbo_of_batch(x.as_ref(), &y, 30).unwrap().value);
        }
        let sphere = |points: Mat<f64>| {
            let norm = |row| points.row(row).norm_l2();
            Mat::from_fn(points.nrows(), 3, |row, col| points[(row, col)] / norm(row))
        };
        let (x, gamma) = (sphere(random(11, 12, 3)), sphere(random(12, 5, 3)));
        let features = SphericalHarmonicFeatures::new(3, 2).unwrap();
        let model = Svgp::with_features(1.2 * Matern32::new(0.8), features).unwrap().with_variational(q(9)).unwrap();
        let model = model.with_mean_basis(basis(form, &gamma, &random(13, 5, 1))).unwrap();
        let (_, gradient) = model.elbo_gradient(x.as_ref(), &y, 12).unwrap();
        let value = |model: &Svgp<_, _>| model.elbo(x.as_ref(), &y).unwrap().value;
        assert_gradient(&model, &gradient, "mean_basis.inputs", value);
    }
}

#[test]
fn minibatches_estimate_the_bound_without_bias() {
    let (x, y) = data(40);
    for form in 0..2 {
        let sparse = decoupled(form, 5);
        let whole = sparse.elbo(x.as_ref(), &y).unwrap().value;
        let part = |i: usize| sparse.elbo_of_batch(x.subrows(10 * i, 10), &y[10 * i..10 * i + 10], 40).unwrap().value;
        close("the mean of the parts", (0..4).map(part).sum::<f64>() / 4.0, whole, 1e-12);
    }
}

/// With Gaussian noise one step of rate 1 is the best q for these weights.
#[test]
fn natural_gradients_lead_to_the_best_q() {
    let (x, y) = data(30);
    for form in 0..2 {
        let mut model = decoupled(form, 5);
        model.natural_step(x.as_ref(), &y, 30, &NaturalGradient::default()).unwrap();
        let (_, gradient) = model.elbo_gradient(x.as_ref(), &y, 30).unwrap();
        assert!(gradient[gradient.len() - 20..].iter().all(|slope| slope.abs() < 1e-9), "{gradient:?}");
    }
}

/// Mean and covariance by the formulas, in dense algebra; draws, and draws as functions, are shifted as the mean is.
#[test]
fn predictions_are_those_of_the_definition() {
    let (at, k) = (random(8, 6, 2), kernel());
    for form in 0..2 {
        let model = decoupled(form, 5);
        let (z, basis) = (model.inducing().inputs(), model.mean_basis().unwrap());
        let l = Cholesky::new(k.gram(z).unwrap().as_ref(), Jitter::default(), Par::Seq).unwrap();
        let whiten = |points: MatRef<'_, f64>| {
            let mut a = k.cross(z, points).unwrap();
            l.half_solve_in_place(a.as_mut(), Par::Seq).unwrap();
            a
        };
        let (a, b) = (whiten(at.as_ref()), whiten(basis.inputs()));
        let mut functions = k.cross(at.as_ref(), basis.inputs()).unwrap();
        if form == 1 {
            functions -= a.transpose() * &b;
        }
        let shift = functions * basis.weights();
        let mean = a.transpose() * column(q(5).mean()) + &shift;

        let (posterior, without) = (model.posterior().unwrap(), plain(5));
        let without = without.posterior().unwrap();
        let (found, covariance) = posterior.predict_covariance(at.as_ref()).unwrap();
        let draws = |from: &mercer::gp::Posterior<'_, f64>| {
            let rng = &mut Pcg64::seed_from_u64(14);
            let samples = from.sample(at.as_ref(), 3, rng).unwrap().values;
            (samples, from.pathwise(3, 40, rng).unwrap().values(at.as_ref()).unwrap())
        };
        // The linear part of the kernel has no spectrum.
        let smooth = |model: Svgp| model.with_kernels(vec![(1.3 * Matern32::new([1.2, 0.8])).dynamic()]).unwrap();
        let (smooth_with, smooth_without) = (smooth(model.clone()), smooth(plain(5)));
        let (one, other) = (smooth_with.posterior().unwrap(), smooth_without.posterior().unwrap());
        let (with_mean, without_mean) = (one.mean(at.as_ref()).unwrap(), other.mean(at.as_ref()).unwrap());
        let ((a, b), (c, d)) = (draws(&one), draws(&other));
        for row in 0..6 {
            close("mean", found[row], mean[(row, 0)], 1e-12);
            for col in 0..3 {
                let shift = with_mean[row] - without_mean[row];
                close("a draw", a[(row, col)] - c[(row, col)], shift, 1e-12);
                close("a function", b[(row, col)] - d[(row, col)], shift, 1e-12);
            }
        }
        assert_eq!(covariance, without.covariance(at.as_ref(), 0).unwrap());
    }
}

#[test]
fn classes_are_trained_on_minibatches_with_rates_of_their_own() {
    let (x, values) = data(200);
    let y: Vec<f64> = values.iter().map(|&value| f64::from(u8::from(value > 0.2))).collect();
    let train = Train {
        steps: 150,
        batch: Some(40),
        adam: Adam { rate: 0.03, ..Adam::default() },
        rates: vec![("kernel".into(), 0.0)],
        ..Train::default()
    };
    let of_basis = [("mean_basis.weights".to_owned(), 0.01), ("mean_basis.inputs".to_owned(), 0.0)];
    let fitted = |basis: Option<MeanBasis>| {
        let mut model = Svgp::new(kernel(), random(5, 4, 2).as_ref()).unwrap().with_likelihood(Bernoulli::logit());
        let mut train = train.clone();
        if let Some(basis) = basis {
            model = model.with_mean_basis(basis).unwrap();
            train.rates.extend(of_basis.clone());
        }
        model.train(x.as_ref(), &y, &train, &mut Pcg64::seed_from_u64(15)).unwrap();
        (model.elbo(x.as_ref(), &y).unwrap().value, model)
    };
    let gamma = x.subrows(0, 40);
    let (coupled, _) = fitted(None);
    let (decoupled, model) = fitted(Some(MeanBasis::orthogonal(gamma).unwrap()));
    assert!(decoupled > coupled + 1.0, "{decoupled} {coupled}");
    assert_eq!(model.mean_basis().unwrap().inputs(), gamma);

    // Parameters by path take it elsewhere.
    let fresh = Svgp::new(kernel(), random(16, 4, 2).as_ref()).unwrap().with_likelihood(Bernoulli::logit());
    let mut copy = fresh.with_mean_basis(MeanBasis::orthogonal(random(17, 40, 2).as_ref()).unwrap()).unwrap();
    for entry in model.parameters() {
        copy.set(&entry.path, entry.value).unwrap();
    }
    assert_eq!(copy.elbo(x.as_ref(), &y).unwrap(), model.elbo(x.as_ref(), &y).unwrap());
}

#[test]
fn single_precision_agrees() {
    let (x, y) = data(20);
    let single = Mat::from_fn(20, 2, |row, col| x[(row, col)] as f32);
    let y_single: Vec<f32> = y.iter().map(|&value| value as f32).collect();
    for form in 0..2 {
        let model = decoupled(form, 5);
        let (double, found) = (model.elbo(x.as_ref(), &y).unwrap(), model.elbo(single.as_ref(), &y_single).unwrap());
        close("the bound", found.value, double.value, 1e-4);
    }
}

#[test]
fn further_latent_functions_start_with_the_last_weights() {
    let model = decoupled(1, 3).with_likelihood(Heteroscedastic::new());
    let weights = model.mean_basis().unwrap().weights().to_owned();
    assert_eq!((weights.nrows(), weights.ncols()), (7, 2));
    assert_eq!(weights.col(0), weights.col(1));
    assert_eq!(model.get("mean_basis.weights[3, 1]").unwrap(), weights[(3, 1)]);
    assert_eq!(decoupled(1, 3).get("mean_basis.weights[3]").unwrap(), weights[(3, 0)]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (x, y) = data(10);
    let refused = |result: Result<Svgp, Error>| result.unwrap_err();
    let wide = MeanBasis::new(random(1, 3, 3).as_ref()).unwrap();
    assert!(matches!(refused(plain(4).with_mean_basis(wide.clone())), Error::Shape { .. }));
    assert!(matches!(wide.with_weights(random(1, 2, 1).as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(MeanBasis::new(Mat::zeros(0, 2).as_ref()), Err(Error::Empty { .. })));
    let nan = Mat::from_fn(1, 1, |_, _| f64::NAN);
    assert!(matches!(MeanBasis::new(nan.as_ref()), Err(Error::NonFinite { .. })));
    let one = MeanBasis::new(Mat::zeros(1, 1).as_ref()).unwrap();
    assert!(matches!(one.with_weights(nan.as_ref()), Err(Error::Parameter { path, .. }) if path == "weights[0]"));

    // Off the sphere; statistics; features that leave nothing.
    let harmonics = SphericalHarmonicFeatures::new(2, 3).unwrap();
    let sphere = Svgp::with_features(Rbf::new(1.0), harmonics).unwrap();
    let on = mat![[0.6, 0.8]];
    let off = sphere.clone().with_mean_basis(MeanBasis::new(mat![[0.6, 0.9]].as_ref()).unwrap()).unwrap();
    assert!(off.elbo(on.as_ref(), &[1.0]).unwrap_err().to_string().contains("unit sphere"));
    let fits = sphere.with_mean_basis(MeanBasis::new(on.as_ref()).unwrap()).unwrap();
    assert!(fits.elbo(on.as_ref(), &[1.0]).is_ok());
    assert!(fits.statistics(on.as_ref(), &[1.0]).unwrap_err().to_string().contains("the basis of the mean"));
    let whole = HilbertFeatures::new(&[(-3.0, 3.0), (-3.0, 3.0)], &[4, 4]).unwrap();
    let whole = Svgp::with_features(Rbf::new(1.0), whole).unwrap();
    let whole = whole.with_mean_basis(MeanBasis::new(x.as_ref()).unwrap()).unwrap();
    assert!(whole.elbo(x.as_ref(), &y).unwrap_err().to_string().contains("the whole function"));
}

#[test]
fn weights_of_another_number_of_functions_are_refused() {
    let of = |cols: usize| basis(1, &random(6, 7, 2), &random(7, 7, cols));
    let two = plain(3).with_likelihood(Heteroscedastic::new());
    for (model, cols) in [(plain(3), 2), (two.clone(), 3)] {
        let error = model.with_mean_basis(of(cols)).unwrap_err();
        assert!(matches!(&error, Error::Setting { found, .. } if *found == cols.to_string()), "{error}");
    }
    for (cols, first) in [(1, of(1)), (2, of(2))] {
        let kept = two.clone().with_mean_basis(first.clone()).unwrap();
        let weights = kept.mean_basis().unwrap().weights();
        assert_eq!((weights.ncols(), weights.col(1)), (2, first.weights().col(cols - 1)));
    }
}

#[test]
fn what_is_said_of_weights_stays_with_another_likelihood() {
    let mut model = decoupled(1, 3);
    model.freeze("mean_basis.weights[2]").unwrap();
    let prior = Prior::normal(0.0, 2.0).unwrap();
    model.set_prior("mean_basis.weights[4]", prior).unwrap();
    let said = |model: &Svgp, column: &str| {
        let (frozen, with_prior) = (format!("mean_basis.weights[2{column}]"), format!("mean_basis.weights[4{column}]"));
        let entries = model.parameters();
        let weights: Vec<_> = entries.iter().filter(|entry| entry.path.starts_with("mean_basis.weights")).collect();
        let of = |path: &str| weights.iter().find(|entry| entry.path == path).unwrap();
        assert!(!of(&frozen).free && of(&frozen).prior.is_none());
        assert!(of(&with_prior).free && of(&with_prior).prior == Some(prior));
        let (held, priors) = (weights.iter().filter(|e| !e.free), weights.iter().filter(|e| e.prior.is_some()));
        (held.count(), priors.count())
    };
    let two = model.clone().with_likelihood(Heteroscedastic::new());
    assert_eq!((said(&two, ", 0"), said(&two, ", 1")), ((2, 2), (2, 2)));
    assert_eq!(said(&two.with_likelihood(Gaussian::new(0.1)), ""), (1, 1));
}
