//! Bounds, their gradients and predictions.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::gp::gplvm::{BackConstraint, ClosedForm, KernelExpectations, Nodes};
use mercer::gp::{BayesianGplvm, ExactGp, Gplvm, Sgpr};
use mercer::linalg::Jitter;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use super::{Stored, psi};
use crate::common::gradients::check_model;
use crate::common::stored::matrix;

#[test]
fn stored_values_are_ours() {
    let stored = Stored::load();
    let (psi0, psi1, psi2) = psi(&ClosedForm, &stored.kernel, &stored.mean, &stored.variance, &stored.z);
    assert!((psi0 - stored.number("psi0")).abs() < 1e-13);
    assert!((psi1 - matrix(&stored.values["psi1"])).norm_max() < 1e-14);
    assert!((psi2 - matrix(&stored.values["psi2_sum"])).norm_max() < 1e-13);

    let model = stored.model();
    let elbo = model.objective(&stored.y).unwrap();
    assert!((elbo.value - stored.number("elbo")).abs() < 1e-9, "{elbo:?}");
    assert!((elbo.divergence - stored.number("KL")).abs() < 1e-12);
    assert_eq!(elbo.jitter, stored.number("jitter"));

    let posterior = model.condition(&stored.y).unwrap();
    let found = posterior.predict(matrix(&stored.values["Xnew"]).as_ref()).unwrap();
    assert!((found.mean - matrix(&stored.values["pred_mean"])).norm_max() < 1e-9);
    assert!((found.variance - matrix(&stored.values["pred_var"])).norm_max() < 1e-9);
    let seen = posterior.predict_observations(matrix(&stored.values["Xnew"]).as_ref()).unwrap();
    let noise = seen.variance[(1, 2)] - matrix(&stored.values["pred_var"])[(1, 2)];
    assert!((noise - stored.number("noise_variance")).abs() < 1e-9);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let stored = Stored::load();
    let y = stored.y.as_ref();
    let known = (Mat::from_fn(8, 2, |i, q| 0.1 * i as f64 - 0.3 * q as f64), Mat::full(8, 2, 0.3));
    let general = stored.model().with_prior(known.0.as_ref(), known.1.as_ref()).unwrap();
    let nodes = |kernel: DynKernel| stored.with_kernel(kernel).with_expectations(Nodes::gauss_hermite(5, 2).unwrap());
    let map = BackConstraint::through(0.8 * Matern32::new(2.0), y, stored.mean.as_ref()).unwrap();
    let mapped = general.clone().with_back_constraint(map).unwrap();
    assert!((mapped.latents(y).unwrap().mean - &stored.mean).norm_max() < 1e-13);
    assert!(
        (mapped.objective(&y.to_owned()).unwrap().value - general.objective(&y.to_owned()).unwrap().value).abs() < 1e-9
    );
    for (name, model) in [
        ("closed form", general.clone().with_inducing_noise(0.1).unwrap()),
        ("quadrature", nodes((0.7 * Matern52::new([0.9, 1.4]) + Linear::new(0.3)).dynamic())),
        ("back-constraint", mapped),
    ] {
        let (elbo, gradient) = model.gradient(&y.to_owned()).unwrap();
        assert_eq!(elbo, model.objective(&y.to_owned()).unwrap());
        check_model(name, &model, &gradient, 2e-7, |m| m.objective(&y.to_owned()).unwrap().value);
    }

    let kernel = || (0.7 * RationalQuadratic::new(0.9, 1.5)).dynamic();
    let exact = Gplvm::new(kernel(), stored.mean.as_ref()).unwrap().with_noise(0.2).unwrap();
    let sparse = exact.clone().with_inducing_inputs(stored.z.as_ref()).unwrap();
    let map = BackConstraint::through(Rbf::new(2.0), y, stored.mean.as_ref()).unwrap();
    let mapped = sparse.clone().with_prior(known.0.as_ref(), known.1.as_ref()).unwrap();
    let mapped = mapped.with_back_constraint(map).unwrap();
    for (name, model) in [("exact", exact), ("sparse", sparse), ("mapped", mapped)] {
        let (joint, gradient) = model.gradient(&y.to_owned()).unwrap();
        assert_eq!(joint, model.objective(&y.to_owned()).unwrap());
        check_model(name, &model, &gradient, 2e-7, |m| m.objective(&y.to_owned()).unwrap().value);
    }
}

/// As q(X) becomes a point, psi statistics become matrices of the kernel, and bounds and predictions those of regression.
#[test]
fn certain_inputs_are_regression() {
    let stored = Stored::load();
    let certain = Mat::full(8, 2, 1e-13);
    let (x, z, y) = (&stored.mean, &stored.z, stored.y.as_ref());
    let cross = stored.kernel.cross(x.as_ref(), z.as_ref()).unwrap();
    for way in [&ClosedForm as &dyn KernelExpectations, &Nodes::gauss_hermite(4, 2).unwrap()] {
        let (psi0, psi1, psi2) = psi(way, &stored.kernel, x, &certain, z);
        assert!((psi0 - stored.kernel.diag(x.as_ref()).unwrap().iter().sum::<f64>()).abs() < 1e-13);
        assert!((psi1 - &cross).norm_max() < 1e-12);
        assert!((psi2 - cross.transpose() * &cross).norm_max() < 1e-11);
    }

    let model = BayesianGplvm::new(stored.kernel.clone(), x.as_ref(), certain.as_ref(), z.as_ref()).unwrap();
    let model = model.with_noise(0.1).unwrap();
    let sparse = Sgpr::new(stored.kernel.clone(), z.as_ref()).unwrap().with_noise(0.1).unwrap();
    // Noise of the inducing variables, as a jitter: in units of the variance of the kernel.
    let sparse = sparse.with_jitter(Jitter::Fixed(1.7e-6));
    let column = |d: usize| stored.y.col(d).iter().copied().collect::<Vec<f64>>();
    let expected: f64 = (0..4).map(|d| sparse.objective(&Data::new(x.as_ref(), column(d))).unwrap().value).sum();
    assert!((model.objective(&y.to_owned()).unwrap().expected_evidence - expected).abs() < 1e-9);

    let at = Mat::from_fn(3, 2, |i, q| 0.4 * i as f64 - 0.5 * q as f64);
    let posterior = model.condition(&y.to_owned()).unwrap();
    let found = posterior.predict(at.as_ref()).unwrap();
    let near = posterior.predict_uncertain(at.as_ref(), Mat::full(3, 2, 1e-13).as_ref()).unwrap();
    for d in 0..4 {
        let (data, point) = (column(d), sparse.condition(&Data::new(x.as_ref(), column(d))).unwrap());
        assert_eq!(data.len(), 8);
        let expected = point.predict(at.as_ref()).unwrap();
        for i in 0..3 {
            for found in [&found, &near] {
                assert!((found.mean[(i, d)] - expected.mean[(i, 0)]).abs() < 1e-9);
                assert!((found.variance[(i, d)] - expected.variance[(i, 0)]).abs() < 1e-9);
            }
        }
    }

    // With known latents, the most probable ones are regression too.
    let map = Gplvm::new(stored.kernel.clone(), x.as_ref()).unwrap().with_noise(0.1).unwrap();
    let exact = ExactGp::new(stored.kernel.clone()).with_noise(0.1).unwrap();
    let expected: f64 = (0..4).map(|d| exact.objective(&Data::new(x.as_ref(), column(d))).unwrap()).sum();
    assert!((map.objective(&y.to_owned()).unwrap().log_marginal_likelihood - expected).abs() < 1e-10);
    let found = map.condition(&y.to_owned()).unwrap().predict(at.as_ref()).unwrap();
    let expected = exact.condition(&Data::new(x.as_ref(), column(2))).unwrap().predict(at.as_ref()).unwrap();
    for i in 0..3 {
        assert!((found.mean[(i, 2)] - expected.mean[(i, 0)]).abs() < 1e-11);
        assert!((found.variance[(i, 2)] - expected.variance[(i, 0)]).abs() < 1e-11);
    }
}

#[test]
fn inducing_inputs_at_the_latents_are_exact() {
    let stored = Stored::load();
    let (x, y) = (stored.mean.as_ref(), stored.y.as_ref());
    let exact = Gplvm::new(stored.kernel.clone(), x).unwrap().with_noise(0.1).unwrap();
    let sparse = exact.clone().with_inducing_inputs(x).unwrap();
    let (a, b) = (exact.objective(&y.to_owned()).unwrap(), sparse.objective(&y.to_owned()).unwrap());
    assert!((a.value - b.value).abs() < 1e-9 && a.log_prior == b.log_prior, "{a:?} {b:?}");
    let at = stored.z.as_ref();
    let (a, b) = (exact.condition(&y.to_owned()).unwrap(), sparse.condition(&y.to_owned()).unwrap());
    let (s, t) = (a.predict(at).unwrap(), b.predict(at).unwrap());
    assert!((s.mean - t.mean).norm_max() < 1e-9 && (s.variance - t.variance).norm_max() < 1e-9);
    let spread = Mat::full(3, 2, 0.2);
    let (s, t) = (a.predict_uncertain(at, spread.as_ref()).unwrap(), b.predict_uncertain(at, spread.as_ref()).unwrap());
    assert!((s.mean - t.mean).norm_max() < 1e-9 && (s.variance - t.variance).norm_max() < 1e-9);
}

/// One point, with the inducing input at it: log N(y; 0, 1 + σ²), at a noise that is far below the rounding errors of ‖Y‖².
#[test]
fn a_close_fit_keeps_its_digits() {
    let (x, noise) = (mat![[0.3]], 1e-12);
    let y = Mat::from_fn(1, 7, |_, d| 10.0 * (d as f64 + 1.0).sqrt());
    let sparse = Gplvm::new(Rbf::new(1.0), x.as_ref()).unwrap().with_inducing_inputs(x.as_ref()).unwrap();
    let found = sparse.with_noise(noise).unwrap().objective(&y).unwrap();
    let normal = |y: f64| -0.5 * (y * y / (1.0 + noise) + (std::f64::consts::TAU * (1.0 + noise)).ln());
    let expected: f64 = (0..7).map(|d| normal(y[(0, d)])).sum();
    assert!((found.log_marginal_likelihood - expected).abs() < 1e-10, "{found:?} {expected}");
}

/// Of a rank below the number of inducing inputs, I + AAᵀ/σ² is singular to rounding without noise.
#[test]
fn the_jitter_of_the_precision_is_told() {
    let (x, z, y) = (mat![[0.3]], Mat::from_fn(8, 1, |j, _| 0.7 * j as f64), mat![[0.4, -0.2]]);
    let exact = Gplvm::new(Rbf::new(1.0), x.as_ref()).unwrap().with_noise(1e-30).unwrap();
    let sparse = exact.clone().with_inducing_inputs(z.as_ref()).unwrap();
    assert_eq!(exact.objective(&y).unwrap().precision_jitter, 0.0);
    assert!(sparse.objective(&y).unwrap().precision_jitter > 0.0);
    assert_eq!(sparse.with_noise(0.1).unwrap().objective(&y).unwrap().precision_jitter, 0.0);
}

/// log p(Y) for two rows in one latent dimension, by quadrature over both.
#[test]
fn the_bound_stays_below_the_evidence() {
    let y = mat![[0.4, -1.1, 0.7], [0.9, 0.3, -0.2]];
    let kernel = || (1.2 * Rbf::new(0.9)).dynamic();
    let nodes = Nodes::gauss_hermite(60, 2).unwrap();
    assert_eq!(nodes.len(), 3600);
    let rule = mercer::likelihood::GaussHermite::new(60).unwrap();
    let exact = ExactGp::new(kernel()).with_noise(0.3).unwrap();
    let mut evidence = 0.0;
    for (a, v) in rule.nodes().iter().zip(rule.weights()) {
        for (b, w) in rule.nodes().iter().zip(rule.weights()) {
            let x = mat![[*a], [*b]];
            let log =
                (0..3).map(|d| exact.objective(&Data::new(x.as_ref(), [y[(0, d)], y[(1, d)]])).unwrap()).sum::<f64>();
            evidence += v * w * log.exp();
        }
    }
    let mut model = BayesianGplvm::new(
        kernel(),
        mat![[0.5], [-0.5]].as_ref(),
        Mat::full(2, 1, 0.5).as_ref(),
        mat![[0.4], [-0.4]].as_ref(),
    )
    .unwrap()
    .with_noise(0.3)
    .unwrap();
    model.freeze("kernel").unwrap();
    model.freeze("likelihood").unwrap();
    let start = model.objective(&y).unwrap().value;
    model.fit(&y, &Lbfgs::default()).unwrap();
    let best = model.objective(&y).unwrap().value;
    assert!(start < best && best < evidence.ln(), "{start} {best} {}", evidence.ln());
}

/// Moments of predictions at uncertain inputs against draws of the input.
#[test]
fn uncertain_predictions_have_the_moments_of_draws() {
    let stored = Stored::load();
    let posterior_of = stored.model();
    let posterior = posterior_of.condition(&stored.y).unwrap();
    let (mean, variance) = (mat![[0.3, -0.2]], mat![[0.4, 0.1]]);
    let found = posterior.predict_uncertain(mean.as_ref(), variance.as_ref()).unwrap();
    let mut rng = Pcg64::seed_from_u64(5);
    let draws = 20_000;
    let x =
        Mat::from_fn(draws, 2, |_, q| mean[(0, q)] + variance[(0, q)].sqrt() * rng.sample::<f64, _>(StandardNormal));
    let at = posterior.predict(x.as_ref()).unwrap();
    for d in 0..4 {
        let of = |f: &dyn Fn(usize) -> f64| (0..draws).map(f).sum::<f64>() / draws as f64;
        let first = of(&|i| at.mean[(i, d)]);
        let second = of(&|i| at.mean[(i, d)].powi(2) + at.variance[(i, d)]);
        assert!((first - found.mean[(0, d)]).abs() < 0.02, "{first} {}", found.mean[(0, d)]);
        assert!((second - first * first - found.variance[(0, d)]).abs() < 0.03);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let mut rng = Pcg64::seed_from_u64(9);
    let mut draw = |rows, cols| Mat::from_fn(rows, cols, |_, _| rng.sample::<f64, _>(StandardNormal));
    let (y, x, z) = (draw(300, 3), draw(300, 2), draw(7, 2));
    let s = Mat::from_fn(300, 2, |i, q| 0.05 + 0.001 * (i + q) as f64);
    let model = BayesianGplvm::new(1.5 * Rbf::new([0.7, 1.2]), x.as_ref(), s.as_ref(), z.as_ref()).unwrap();
    let of = |par: Par| model.clone().with_par(par).gradient(&y).unwrap();
    let ((a, in_a), (b, in_b)) = (of(Par::Seq), of(Par::rayon(0)));
    assert_eq!(a, b);
    assert!(in_a.iter().zip(&in_b).all(|(a, b)| a.to_bits() == b.to_bits()));
}
