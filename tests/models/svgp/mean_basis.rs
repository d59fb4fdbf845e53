//! Bases of the mean beside that of the covariance of a sparse variational process.
#![allow(clippy::unwrap_used)]

use faer::linalg::solvers::Solve;
use mercer::gp::{ExactGp, MeanBasis, Prediction, Sgpr, Svgp, Variational};
use mercer::inducing::{HilbertFeatures, InducingFeatures, SphericalHarmonicFeatures};
use mercer::likelihood::{Bernoulli, Gaussian, Heteroscedastic};
use mercer::linalg::{Cholesky, Jitter};
use mercer::mean::ConstantMean;
use mercer::optim::{NaturalGradient, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use mercer::testkit::points;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::close::assert_close;
use crate::common::data::{full_q, on_sphere, plane, single, singles};
use crate::common::dense::{column, noisy, projected};
use crate::common::gradients::check_model;

const NOISE: f64 = 0.2;
type Form = fn(MatRef<'_, f64>) -> Result<MeanBasis, Error>;
const FORMS: [Form; 2] = [MeanBasis::new, MeanBasis::orthogonal];

fn kernel() -> DynKernel {
    (1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Linear::new(0.5)).dynamic()
}

fn plain(m: usize) -> Svgp {
    let model = Svgp::new(kernel(), points::<f64>(m, 2, 5).as_ref()).unwrap().with_likelihood(Gaussian::new(NOISE));
    model.with_par(Par::Seq).with_variational(full_q(m, 3)).unwrap()
}

fn basis(form: usize, points: &Mat<f64>, weights: &Mat<f64>) -> MeanBasis {
    FORMS[form](points.as_ref()).unwrap().with_weights(weights.as_ref()).unwrap()
}

/// Of seven further inputs, with weights away from 0.
fn decoupled(form: usize, m: usize) -> Svgp {
    plain(m).with_mean_basis(basis(form, &points::<f64>(7, 2, 6), &points::<f64>(7, 1, 7))).unwrap()
}

fn assert_same<F: InducingFeatures, G: InducingFeatures>(one: &Svgp<DynKernel, F>, other: &Svgp<DynKernel, G>) {
    let (x, y) = plane(20);
    let data = Data::new(x.as_ref(), &y);
    let (a, b) = (one.objective(&data).unwrap(), other.objective(&data).unwrap());
    assert_close(a.value, b.value, 1e-12);
    assert_close(a.kl, b.kl, 1e-12);
    let at = points::<f64>(9, 2, 8);
    let (a, b) = (one.posterior().unwrap(), other.posterior().unwrap());
    let (first, second): (Prediction<f64>, _) = (a.predict(at.as_ref()).unwrap(), b.predict(at.as_ref()).unwrap());
    for row in 0..9 {
        assert_close(first.mean[(row, 0)], second.mean[(row, 0)], 1e-12);
        assert_close(first.variance[(row, 0)], second.variance[(row, 0)], 1e-12);
    }
}

#[test]
fn without_weights_it_is_the_plain_process() {
    for form in FORMS {
        assert_same(&plain(5).with_mean_basis(form(points::<f64>(7, 2, 6).as_ref()).unwrap()).unwrap(), &plain(5));
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
    l.solve_upper_in_place(weights.as_mut(), Par::Seq).unwrap();

    let of_mean_zero = Variational::new(&[0.0; 5], full_q(5, 3).factor().unwrap().as_ref()).unwrap();
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
        .solve_lower_in_place(shift.as_mut(), Par::Seq)
        .unwrap();
    let mean: Vec<f64> = (0..5).map(|i| full_q(5, 3).mean()[i] + shift[(i, 0)]).collect();
    let q = Variational::new(&mean, full_q(5, 3).factor().unwrap().as_ref()).unwrap();
    assert_same(&other.with_variational(q).unwrap(), &one);
}

/// KL(N(μ, Σ) ‖ N(0, K)) of the values at Z and Γ together, where all of q differs from the prior.
#[test]
fn the_divergence_is_that_of_the_joint_values() {
    for form in 0..2 {
        let model = decoupled(form, 5);
        let joint = faer::concat![[model.inducing().inputs()], [model.mean_basis().unwrap().inputs()]];
        let given = model.posterior().unwrap();
        let (mean, covariance) = (given.mean(joint.as_ref()).unwrap(), given.covariance(joint.as_ref(), 0).unwrap());
        let prior =
            Cholesky::new(kernel().gram(joint.as_ref()).unwrap().as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
        let log_det = Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap().log_det();
        let mut whitened = mean;
        prior.solve_lower_in_place(whitened.as_mut(), Par::Seq).unwrap();
        let mut ratio = covariance.clone();
        prior.solve_in_place(ratio.as_mut(), Par::Seq).unwrap();
        let trace: f64 = (0..12).map(|i| ratio[(i, i)]).sum();
        let expected = 0.5 * (trace + whitened.squared_norm_l2() - 12.0 + prior.log_det() - log_det);
        let (x, y) = plane(20);
        assert_close(model.objective(&Data::new(x.as_ref(), &y)).unwrap().kl, expected, 1e-11);
    }
}

/// A model at its optimum given its inputs, with the collapsed bound
/// −½ yᵀ(Q_ZΓ + σ²I)⁻¹y − ½ log|Q_Z + σ²I| − (N/2) log 2π − tr(K − Q_Z)/2σ², all dense.
fn at_the_optimum(form: usize, m: usize, gamma: &Mat<f64>, x: &Mat<f64>, y: &[f64]) -> (Svgp, f64) {
    let (z, k, n) = (plain(m).inducing().inputs().to_owned(), kernel(), y.len());
    let joint = faer::concat![[z], [gamma]];
    let explained = |u: &Mat<f64>| projected(&k, u, x, x);
    let root = |q: Mat<f64>| Cholesky::new(noisy(&q, |_| NOISE).as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let (of_mean, of_covariance) = (root(explained(&joint)), root(explained(&z)));
    let mut whitened = column(y);
    of_mean.solve_lower_in_place(whitened.as_mut(), Par::Seq).unwrap();
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
    l.solve_lower_in_place(mean.as_mut(), Par::Seq).unwrap();
    let collapsed = Sgpr::new(k, z.as_ref()).unwrap().with_noise(NOISE).unwrap();
    let root = collapsed.optimal_variational(&Data::new(x.as_ref(), y)).unwrap().factor().unwrap();
    let q = Variational::new(mean.col_as_slice(0), root.as_ref()).unwrap();
    let weights = c.subrows(m, gamma.nrows()).to_owned();
    let model = plain(m).with_variational(q).unwrap().with_mean_basis(basis(form, gamma, &weights)).unwrap();
    (model, bound)
}

#[test]
fn the_optimum_is_the_dense_one_and_more_inputs_never_lower_it() {
    let (x, y) = plane(30);
    let exact = ExactGp::new(kernel()).with_noise(NOISE).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap();
    let (m, all) = (4, points::<f64>(16, 2, 6));
    let coupled = Sgpr::new(kernel(), plain(m).inducing().inputs()).unwrap().with_noise(NOISE).unwrap();
    let mut before = coupled.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    for g in [1, 3, 6, 10, 16] {
        let gamma = all.subrows(0, g).to_owned();
        let bounds = [0, 1].map(|form| {
            let (model, expected) = at_the_optimum(form, m, &gamma, &x, &y);
            let (elbo, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(30)).unwrap();
            assert_close(elbo.value, expected, 1e-11);
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
    let (x, y) = plane(25);
    let data = Data::new(x.as_ref(), &y);
    let evidence = ExactGp::new(kernel()).with_noise(NOISE).unwrap().objective(&data).unwrap();
    let coupled = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(NOISE).unwrap().into_svgp(&data).unwrap();
    let gram = kernel().gram(x.as_ref()).unwrap();
    let weights = noisy(&gram, |_| NOISE).partial_piv_lu().solve(column(&y));
    let q = Variational::new(&[0.0; 25], coupled.variational().factor().unwrap().as_ref()).unwrap();
    let decoupled = coupled.with_variational(q).unwrap().with_mean_basis(basis(0, &x, &weights)).unwrap();
    let bound = decoupled.objective(&data).unwrap().value;
    assert_close(bound, evidence, 1e-10);
}

#[test]
fn no_bound_exceeds_the_evidence() {
    let mut rng = Pcg64::seed_from_u64(9);
    for trial in 0..60 {
        let (n, m, g) = (rng.random_range(1..12), rng.random_range(1..6), rng.random_range(1..9));
        let (x, y) = plane(n);
        let noise = rng.random_range(0.01..1.0);
        let kernel = (rng.random_range(0.1..3.0) * Rbf::new(rng.random_range(0.2..3.0)) + Matern12::new(1.0)).dynamic();
        let exact = ExactGp::new(kernel.clone()).with_noise(noise).unwrap();
        let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let gamma = points::<f64>(g, 2, rng.random());
        // The mean of all Γ that fits best, and one that is not far from it.
        let gram = kernel.gram(x.as_ref()).unwrap();
        let best = noisy(&gram, |_| noise).partial_piv_lu().solve(column(&y));
        for (gamma, weights) in
            [(x.clone(), best), (gamma, points::<f64>(g, 1, rng.random()) * rng.random_range(0.0..0.5))]
        {
            for form in 0..2 {
                let sparse = Svgp::new(kernel.clone(), points::<f64>(m, 2, rng.random()).as_ref()).unwrap();
                let sparse = sparse.with_likelihood(Gaussian::new(noise)).with_variational(full_q(m, 3)).unwrap();
                let mut sparse = sparse.with_mean_basis(basis(form, &gamma, &weights)).unwrap();
                sparse.natural_step(&Data::new(x.as_ref(), &y).part_of(n), &NaturalGradient::default()).unwrap();
                let bound = sparse.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
                assert!(bound <= evidence + 1e-10, "{trial}: {bound} is above {evidence}");
            }
        }
    }
}

/// One latent function; two of one kernel; two of their own; on a sphere.
#[test]
fn gradients_match_finite_differences() {
    let (x, y) = plane(12);
    for form in 0..2 {
        let one = decoupled(form, 3).with_mean(ConstantMean::new(0.4));
        let shared = one.clone().with_likelihood(Heteroscedastic::new());
        let weights = shared.mean_basis().unwrap().clone().with_weights(points::<f64>(7, 2, 10).as_ref()).unwrap();
        let shared = shared.with_mean_basis(weights).unwrap();
        let own = shared.clone().with_kernels(vec![kernel(), (0.7 * Rbf::new(0.9)).dynamic()]).unwrap();
        for model in [one, shared, own] {
            let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(30)).unwrap();
            let value = |model: &Svgp| model.objective(&Data::new(x.as_ref(), &y).part_of(30)).unwrap().value;
            check_model("on a plane", &model, &gradient, 1e-6, value);
        }
        let (x, gamma) = (on_sphere(12, 3, 11), on_sphere(5, 3, 12));
        let features = SphericalHarmonicFeatures::new(3, 2).unwrap();
        let model =
            Svgp::with_features(1.2 * Matern32::new(0.8), features).unwrap().with_variational(full_q(9, 3)).unwrap();
        let mut model = model.with_mean_basis(basis(form, &gamma, &points::<f64>(5, 1, 13))).unwrap();
        // Differences would leave the sphere.
        model.freeze("mean_basis.inputs").unwrap();
        let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(12)).unwrap();
        let value = |model: &Svgp<_, _>| model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        check_model("on a sphere", &model, &gradient, 1e-6, value);
    }
}

#[test]
fn minibatches_estimate_the_bound_without_bias() {
    let (x, y) = plane(40);
    for form in 0..2 {
        let sparse = decoupled(form, 5);
        let whole = sparse.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        let part = |i: usize| {
            sparse.objective(&Data::new(x.subrows(10 * i, 10), &y[10 * i..10 * i + 10]).part_of(40)).unwrap().value
        };
        assert_close((0..4).map(part).sum::<f64>() / 4.0, whole, 1e-12);
    }
}

/// With Gaussian noise one step of rate 1 is the best q for these weights.
#[test]
fn natural_gradients_lead_to_the_best_q() {
    let (x, y) = plane(30);
    let data = Data::new(x.as_ref(), &y);
    for form in 0..2 {
        let mut model = decoupled(form, 5);
        model.natural_step(&data.part_of(30), &NaturalGradient::default()).unwrap();
        let (_, gradient) = model.gradient(&data.part_of(30)).unwrap();
        assert!(gradient[gradient.len() - 20..].iter().all(|slope| slope.abs() < 1e-9), "{gradient:?}");
    }
}

/// Mean and covariance by the formulas, in dense algebra; draws, and draws as functions, are shifted as the mean is.
#[test]
fn predictions_are_those_of_the_definition() {
    let (at, k) = (points::<f64>(6, 2, 8), kernel());
    for form in 0..2 {
        let model = decoupled(form, 5);
        let (z, basis) = (model.inducing().inputs(), model.mean_basis().unwrap());
        let l = Cholesky::new(k.gram(z).unwrap().as_ref(), Jitter::default(), Par::Seq).unwrap();
        let whiten = |points: MatRef<'_, f64>| {
            let mut a = k.cross(z, points).unwrap();
            l.solve_lower_in_place(a.as_mut(), Par::Seq).unwrap();
            a
        };
        let (a, b) = (whiten(at.as_ref()), whiten(basis.inputs()));
        let mut functions = k.cross(at.as_ref(), basis.inputs()).unwrap();
        if form == 1 {
            functions -= a.transpose() * &b;
        }
        let shift = functions * basis.weights();
        let mean = a.transpose() * column(full_q(5, 3).mean()) + &shift;

        let (posterior, without) = (model.posterior().unwrap(), plain(5));
        let without = without.posterior().unwrap();
        let (found, covariance) = (posterior.mean(at.as_ref()).unwrap(), posterior.covariance(at.as_ref(), 0).unwrap());
        let draws = |from: &mercer::gp::Posterior<f64>| {
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
            assert_close(found[(row, 0)], mean[(row, 0)], 1e-12);
            for col in 0..3 {
                let shift = with_mean[(row, 0)] - without_mean[(row, 0)];
                assert_close(a[(row, col)] - c[(row, col)], shift, 1e-12);
                assert_close(b[(row, col)] - d[(row, col)], shift, 1e-12);
            }
        }
        assert_eq!(covariance, without.covariance(at.as_ref(), 0).unwrap());
    }
}

#[test]
fn classes_are_trained_on_minibatches_with_rates_of_their_own() {
    let (x, values) = plane(200);
    let y: Vec<f64> = values.iter().map(|&value| f64::from(u8::from(value > 0.2))).collect();
    let data = Data::new(x.as_ref(), &y);
    let train = Train::new(150).with_batch(40).with_rate(0.03).with_rate_of("kernel", 0.0);
    let fitted = |basis: Option<MeanBasis>| {
        let mut model =
            Svgp::new(kernel(), points::<f64>(4, 2, 5).as_ref()).unwrap().with_likelihood(Bernoulli::logit());
        let mut train = train.clone();
        if let Some(basis) = basis {
            model = model.with_mean_basis(basis).unwrap();
            train = train.with_rate_of("mean_basis.weights", 0.01).with_rate_of("mean_basis.inputs", 0.0);
        }
        model.train(&data, &train, &mut Pcg64::seed_from_u64(15)).unwrap();
        (model.objective(&data).unwrap().value, model)
    };
    let gamma = x.subrows(0, 40);
    let (coupled, _) = fitted(None);
    let (decoupled, model) = fitted(Some(MeanBasis::orthogonal(gamma).unwrap()));
    assert!(decoupled > coupled + 1.0, "{decoupled} {coupled}");
    assert_eq!(model.mean_basis().unwrap().inputs(), gamma);

    // Parameters by path take it elsewhere.
    let fresh = Svgp::new(kernel(), points::<f64>(4, 2, 16).as_ref()).unwrap().with_likelihood(Bernoulli::logit());
    let mut copy = fresh.with_mean_basis(MeanBasis::orthogonal(points::<f64>(40, 2, 17).as_ref()).unwrap()).unwrap();
    for entry in model.parameters() {
        copy.set(&entry.path, entry.value).unwrap();
    }
    assert_eq!(copy.objective(&data).unwrap(), model.objective(&data).unwrap());
}

#[test]
fn single_precision_agrees() {
    let (x, y) = plane(20);
    let (x32, y32) = (single(&x), singles(&y));
    for form in 0..2 {
        let model = decoupled(form, 5);
        let (double, found) = (
            model.objective(&Data::new(x.as_ref(), &y)).unwrap(),
            model.objective(&Data::new(x32.as_ref(), &y32)).unwrap(),
        );
        assert_close(found.value, double.value, 1e-4);
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
    let (x, y) = plane(10);
    let refused = |result: Result<Svgp, Error>| result.unwrap_err();
    let wide = MeanBasis::new(points::<f64>(3, 3, 1).as_ref()).unwrap();
    assert!(matches!(refused(plain(4).with_mean_basis(wide.clone())), Error::Shape { .. }));
    assert!(matches!(wide.with_weights(points::<f64>(2, 1, 1).as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(MeanBasis::new(Mat::zeros(0, 2).as_ref()), Err(Error::Empty { .. })));
    let nan = Mat::from_fn(1, 1, |_, _| f64::NAN);
    assert!(matches!(MeanBasis::new(nan.as_ref()), Err(Error::NonFinite { .. })));
    let one = MeanBasis::new(Mat::zeros(1, 1).as_ref()).unwrap();
    assert!(matches!(one.with_weights(nan.as_ref()), Err(Error::Parameter { path, .. }) if path == "weights[0]"));

    // Off the sphere; statistics; features that leave nothing.
    let harmonics = SphericalHarmonicFeatures::new(2, 3).unwrap();
    let sphere = Svgp::with_features(Rbf::new(1.0), harmonics).unwrap();
    let on = mat![[0.6, 0.8]];
    let data = Data::new(on.as_ref(), [1.0]);
    let off = sphere.clone().with_mean_basis(MeanBasis::new(mat![[0.6, 0.9]].as_ref()).unwrap()).unwrap();
    assert!(off.objective(&data).unwrap_err().to_string().contains("unit sphere"));
    let fits = sphere.with_mean_basis(MeanBasis::new(on.as_ref()).unwrap()).unwrap();
    assert!(fits.objective(&data).is_ok());
    assert!(fits.statistics(&data).unwrap_err().to_string().contains("the basis of the mean"));
    let whole = HilbertFeatures::new(&[(-3.0, 3.0), (-3.0, 3.0)], &[4, 4]).unwrap();
    let whole = Svgp::with_features(Rbf::new(1.0), whole).unwrap();
    let whole = whole.with_mean_basis(MeanBasis::new(x.as_ref()).unwrap()).unwrap();
    assert!(whole.objective(&Data::new(x.as_ref(), &y)).unwrap_err().to_string().contains("the whole function"));
}

#[test]
fn weights_of_another_number_of_functions_are_refused() {
    let of = |cols: usize| basis(1, &points::<f64>(7, 2, 6), &points::<f64>(7, cols, 7));
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
