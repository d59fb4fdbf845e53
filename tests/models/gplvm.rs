//! Latent-variable models: stored values of an independent library, closed forms, finite differences, and equivalences with
//! models of known inputs.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::gp::gplvm::{
    BackConstraint, ClosedForm, GaussianInputs, KernelExpectations, Nodes, PsiStatistics, principal_latents,
};
use mercer::gp::{BayesianGplvm, ExactGp, Gplvm, Sgpr};
use mercer::linalg::Jitter;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use mercer::tape::{Tape, Var};
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use serde_json::Value;

use crate::common::gradients::check_model;
use crate::common::stored::{matrix, read, vector};

/// The stored case, with our model of it.
struct Stored {
    values: Value,
    y: Mat<f64>,
    mean: Mat<f64>,
    variance: Mat<f64>,
    z: Mat<f64>,
    kernel: DynKernel,
}

impl Stored {
    fn load() -> Self {
        let values = read("gplvm.json");
        let of = |name: &str| matrix(&values[name]);
        let (y, mean, variance, z) = (of("Y"), of("X_mean"), of("X_var"), of("Z"));
        let lengthscales = vector(&values["lengthscales"]);
        let kernel = (values["variance"].as_f64().unwrap() * Rbf::new(lengthscales)).dynamic();
        Self { y, mean, variance, z, kernel, values }
    }

    fn number(&self, name: &str) -> f64 {
        self.values[name].as_f64().unwrap()
    }

    fn with_kernel(&self, kernel: DynKernel) -> BayesianGplvm {
        BayesianGplvm::new(kernel, self.mean.as_ref(), self.variance.as_ref(), self.z.as_ref())
            .unwrap()
            .with_noise(self.number("noise_variance"))
            .unwrap()
            .with_inducing_noise(0.0)
            .unwrap()
            .with_jitter(Jitter::Fixed(self.number("jitter")))
    }

    fn model(&self) -> BayesianGplvm {
        self.with_kernel(self.kernel.clone())
    }
}

/// ψ₀, Ψ₁ and Ψ₂.
fn psi(
    way: &dyn KernelExpectations,
    kernel: &DynKernel,
    mean: &Mat<f64>,
    variance: &Mat<f64>,
    z: &Mat<f64>,
) -> (f64, Mat<f64>, Mat<f64>) {
    let tape = Tape::new(Par::Seq);
    let inputs = GaussianInputs { mean: tape.constant(mean.as_ref()), variance: tape.constant(variance.as_ref()) };
    let PsiStatistics { psi0, psi1, psi2 } =
        way.record(&tape, tape.fixed_kernel(kernel), inputs, tape.constant(z.as_ref())).unwrap();
    let value = |var: Var| tape.value(var).unwrap().as_mat().to_owned();
    (tape.scalar(psi0).unwrap(), value(psi1), value(psi2))
}

#[test]
fn stored_values_are_ours() {
    let stored = Stored::load();
    let (psi0, psi1, psi2) = psi(&ClosedForm, &stored.kernel, &stored.mean, &stored.variance, &stored.z);
    assert!((psi0 - stored.number("psi0")).abs() < 1e-13);
    assert!((psi1 - matrix(&stored.values["psi1"])).norm_max() < 1e-14);
    assert!((psi2 - matrix(&stored.values["psi2_sum"])).norm_max() < 1e-13);

    let model = stored.model();
    let elbo = model.elbo(stored.y.as_ref()).unwrap();
    assert!((elbo.value - stored.number("elbo")).abs() < 1e-9, "{elbo:?}");
    assert!((elbo.divergence - stored.number("KL")).abs() < 1e-12);
    assert_eq!(elbo.jitter, stored.number("jitter"));

    let posterior = model.condition(stored.y.as_ref()).unwrap();
    let found = posterior.predict(matrix(&stored.values["Xnew"]).as_ref()).unwrap();
    assert!((found.mean - matrix(&stored.values["pred_mean"])).norm_max() < 1e-9);
    assert!((found.variance - matrix(&stored.values["pred_var"])).norm_max() < 1e-9);
    let seen = posterior.predict_observations(matrix(&stored.values["Xnew"]).as_ref()).unwrap();
    let noise = seen.variance[(1, 2)] - matrix(&stored.values["pred_var"])[(1, 2)];
    assert!((noise - stored.number("noise_variance")).abs() < 1e-9);
}

/// However a squared exponential is written, it is recognised, and its parameters get their own gradients.
#[test]
fn every_spelling_has_the_closed_form() {
    let stored = Stored::load();
    let elbo = stored.model().elbo(stored.y.as_ref()).unwrap().value;
    let spelt: [DynKernel; 4] = [
        (1.7 * Rbf::new(1.0).ard([0.7, 1.3])).dynamic(),
        (1.7 * Rbf::new(0.7).on([0]) * Rbf::new(1.3).on([1])).dynamic(),
        (3.4 * (0.5 * Rbf::new([0.35, 0.65]).stretch(2.0))).dynamic(),
        "1.7 * rbf([0.7, 1.3])".parse().unwrap(),
    ];
    for kernel in spelt {
        let model = stored.with_kernel(kernel.clone()).with_expectations(ClosedForm);
        let (found, gradient) = model.elbo_gradient(stored.y.as_ref()).unwrap();
        assert!((found.value - elbo).abs() < 1e-10, "{kernel}: {found:?}");
        check_model(&kernel, &model, &gradient, 2e-7, |m| m.elbo(stored.y.as_ref()).unwrap().value);
    }
    for other in [(Rbf::new(1.0) + 0.1).dynamic(), (Rbf::new(1.0) + Rbf::new(2.0)).dynamic()] {
        let error = stored.with_kernel(other).with_expectations(ClosedForm).elbo(stored.y.as_ref()).unwrap_err();
        assert!(error.to_string().contains("Nodes"), "{error}");
    }
}

/// A linear map has gradients across the axes also while it is along them.
#[test]
fn a_kernel_that_can_leave_the_axes_takes_nodes() {
    let stored = Stored::load();
    let (x, s, z, y) = (stored.mean.as_ref(), stored.variance.as_ref(), stored.z.as_ref(), stored.y.as_ref());
    let kernel = Rbf::new(1.0).linear_map(Mat::identity(2, 2));
    let model = BayesianGplvm::new(kernel, x, s, z).unwrap().with_noise(0.3).unwrap();
    let (_, gradient) = model.elbo_gradient(y).unwrap();
    check_model("a linear map", &model, &gradient, 2e-7, |m| m.elbo(y).unwrap().value);
    let error = model.with_expectations(ClosedForm).elbo_gradient(y).unwrap_err();
    assert!(error.to_string().contains("Nodes"), "{error}");

    // In one dimension there is nothing but the axis.
    let [x, s, z] = [x, s, z].map(|matrix| matrix.subcols(0, 1));
    let model = BayesianGplvm::new(Rbf::new(1.0).linear_map(mat![[0.8], [1.3]]), x, s, z).unwrap();
    let model = model.with_expectations(ClosedForm);
    let (_, gradient) = model.elbo_gradient(y).unwrap();
    check_model("a linear map of a line", &model, &gradient, 2e-7, |m| m.elbo(y).unwrap().value);
}

#[test]
fn quadrature_is_the_closed_form() {
    let stored = Stored::load();
    let of = |way: &dyn KernelExpectations| psi(way, &stored.kernel, &stored.mean, &stored.variance, &stored.z);
    let (exact, found) = (of(&ClosedForm), of(&Nodes::gauss_hermite(40, 2).unwrap()));
    assert!((exact.0 - found.0).abs() < 1e-12);
    assert!((&exact.1 - found.1).norm_max() < 1e-12);
    assert!((&exact.2 - found.2).norm_max() < 1e-11);

    // Draws have errors of 1/√R; standard deviations are below k = 1.7 and 1.7² · 8 inputs.
    let draws = Nodes::monte_carlo(20_000, 2, &mut Pcg64::seed_from_u64(3)).unwrap();
    let found = of(&draws);
    assert_eq!(draws.len(), 40_000);
    assert!((&exact.1 - found.1).norm_max() < 4.0 * 1.7 / 200.0);
    assert!((&exact.2 - found.2).norm_max() < 4.0 * 1.7 * 1.7 * 8f64.sqrt() / 200.0);
}

/// A sum with a linear kernel, for which two nodes are exact, by its moments in closed form.
#[test]
fn quadrature_of_two_nodes_is_exact_for_linear_kernels() {
    let stored = Stored::load();
    let (mean, variance, z) = (&stored.mean, &stored.variance, &stored.z);
    let found = psi(&Nodes::gauss_hermite(2, 2).unwrap(), &(1.3 * Linear::new(0.5)).dynamic(), mean, variance, z);
    let (factor, n) = (1.3 * 0.5, mean.nrows());
    let second = Mat::from_fn(2, 2, |a, b| {
        (0..n).map(|i| mean[(i, a)] * mean[(i, b)] + if a == b { variance[(i, a)] } else { 0.0 }).sum::<f64>()
    });
    assert!((found.0 - factor * (second[(0, 0)] + second[(1, 1)])).abs() < 1e-12);
    assert!((found.1 - mean * z.transpose() * faer::Scale(factor)).norm_max() < 1e-13);
    assert!((found.2 - z * second * z.transpose() * faer::Scale(factor * factor)).norm_max() < 1e-12);
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
    assert!((mapped.elbo(y).unwrap().value - general.elbo(y).unwrap().value).abs() < 1e-9);
    for (name, model) in [
        ("closed form", general.clone().with_inducing_noise(0.1).unwrap()),
        ("quadrature", nodes((0.7 * Matern52::new([0.9, 1.4]) + Linear::new(0.3)).dynamic())),
        ("back-constraint", mapped),
    ] {
        let (elbo, gradient) = model.elbo_gradient(y).unwrap();
        assert_eq!(elbo, model.elbo(y).unwrap());
        check_model(name, &model, &gradient, 2e-7, |m| m.elbo(y).unwrap().value);
    }

    let kernel = || (0.7 * RationalQuadratic::new(0.9, 1.5)).dynamic();
    let exact = Gplvm::new(kernel(), stored.mean.as_ref()).unwrap().with_noise(0.2).unwrap();
    let sparse = exact.clone().with_inducing_inputs(stored.z.as_ref()).unwrap();
    let map = BackConstraint::through(Rbf::new(2.0), y, stored.mean.as_ref()).unwrap();
    let mapped = sparse.clone().with_prior(known.0.as_ref(), known.1.as_ref()).unwrap();
    let mapped = mapped.with_back_constraint(map).unwrap();
    for (name, model) in [("exact", exact), ("sparse", sparse), ("mapped", mapped)] {
        let (joint, gradient) = model.log_joint_gradient(y).unwrap();
        assert_eq!(joint, model.log_joint(y).unwrap());
        check_model(name, &model, &gradient, 2e-7, |m| m.log_joint(y).unwrap().value);
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
    let expected: f64 = (0..4).map(|d| sparse.log_evidence(x.as_ref(), &column(d)).unwrap().value).sum();
    assert!((model.elbo(y).unwrap().expected_evidence - expected).abs() < 1e-9);

    let at = Mat::from_fn(3, 2, |i, q| 0.4 * i as f64 - 0.5 * q as f64);
    let posterior = model.condition(y).unwrap();
    let found = posterior.predict(at.as_ref()).unwrap();
    let near = posterior.predict_uncertain(at.as_ref(), Mat::full(3, 2, 1e-13).as_ref()).unwrap();
    for d in 0..4 {
        let (data, point) = (column(d), sparse.condition(x.as_ref(), &column(d)).unwrap());
        assert_eq!(data.len(), 8);
        let expected = point.predict(at.as_ref()).unwrap();
        for i in 0..3 {
            for found in [&found, &near] {
                assert!((found.mean[(i, d)] - expected.mean[i]).abs() < 1e-9);
                assert!((found.variance[(i, d)] - expected.variance[i]).abs() < 1e-9);
            }
        }
    }

    // With known latents, the most probable ones are regression too.
    let map = Gplvm::new(stored.kernel.clone(), x.as_ref()).unwrap().with_noise(0.1).unwrap();
    let exact = ExactGp::new(stored.kernel.clone()).with_noise(0.1).unwrap();
    let expected: f64 = (0..4).map(|d| exact.log_evidence(x.as_ref(), &column(d)).unwrap()).sum();
    assert!((map.log_joint(y).unwrap().log_evidence - expected).abs() < 1e-10);
    let found = map.condition(y).unwrap().predict(at.as_ref()).unwrap();
    let expected = exact.condition(x.as_ref(), &column(2)).unwrap().predict(at.as_ref()).unwrap();
    for i in 0..3 {
        assert!((found.mean[(i, 2)] - expected.mean[i]).abs() < 1e-11);
        assert!((found.variance[(i, 2)] - expected.variance[i]).abs() < 1e-11);
    }
}

#[test]
fn inducing_inputs_at_the_latents_are_exact() {
    let stored = Stored::load();
    let (x, y) = (stored.mean.as_ref(), stored.y.as_ref());
    let exact = Gplvm::new(stored.kernel.clone(), x).unwrap().with_noise(0.1).unwrap();
    let sparse = exact.clone().with_inducing_inputs(x).unwrap();
    let (a, b) = (exact.log_joint(y).unwrap(), sparse.log_joint(y).unwrap());
    assert!((a.value - b.value).abs() < 1e-9 && a.log_prior == b.log_prior, "{a:?} {b:?}");
    let at = stored.z.as_ref();
    let (a, b) = (exact.condition(y).unwrap(), sparse.condition(y).unwrap());
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
    let found = sparse.with_noise(noise).unwrap().log_joint(y.as_ref()).unwrap();
    let normal = |y: f64| -0.5 * (y * y / (1.0 + noise) + (std::f64::consts::TAU * (1.0 + noise)).ln());
    let expected: f64 = (0..7).map(|d| normal(y[(0, d)])).sum();
    assert!((found.log_evidence - expected).abs() < 1e-10, "{found:?} {expected}");
}

/// Of a rank below the number of inducing inputs, I + AAᵀ/σ² is singular to rounding without noise.
#[test]
fn the_jitter_of_the_precision_is_told() {
    let (x, z, y) = (mat![[0.3]], Mat::from_fn(8, 1, |j, _| 0.7 * j as f64), mat![[0.4, -0.2]]);
    let exact = Gplvm::new(Rbf::new(1.0), x.as_ref()).unwrap().with_noise(1e-30).unwrap();
    let sparse = exact.clone().with_inducing_inputs(z.as_ref()).unwrap();
    assert_eq!(exact.log_joint(y.as_ref()).unwrap().precision_jitter, 0.0);
    assert!(sparse.log_joint(y.as_ref()).unwrap().precision_jitter > 0.0);
    assert_eq!(sparse.with_noise(0.1).unwrap().log_joint(y.as_ref()).unwrap().precision_jitter, 0.0);
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
            let log = (0..3).map(|d| exact.log_evidence(x.as_ref(), &[y[(0, d)], y[(1, d)]]).unwrap()).sum::<f64>();
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
    let start = model.elbo(y.as_ref()).unwrap().value;
    model.fit(y.as_ref(), &Lbfgs::default()).unwrap();
    let best = model.elbo(y.as_ref()).unwrap().value;
    assert!(start < best && best < evidence.ln(), "{start} {best} {}", evidence.ln());
}

/// Moments of predictions at uncertain inputs against draws of the input.
#[test]
fn uncertain_predictions_have_the_moments_of_draws() {
    let stored = Stored::load();
    let posterior_of = stored.model();
    let posterior = posterior_of.condition(stored.y.as_ref()).unwrap();
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

/// With quadrature the bound is one to the error of the rule, which a fit makes use of, and another order shows.
#[test]
fn a_higher_order_shows_the_error_of_the_quadrature() {
    let mut rng = Pcg64::seed_from_u64(4);
    let noise = Mat::from_fn(25, 3, |_, _| 0.3 * rng.sample::<f64, _>(StandardNormal));
    let y = Mat::from_fn(25, 3, |i, d| (0.1 * i as f64 + d as f64).sin()) + noise;
    let (x, s) = (principal_latents(y.as_ref(), 1).unwrap(), Mat::full(25, 1, 0.1));
    let z = Mat::from_fn(8, 1, |j, _| x[(3 * j, 0)]);
    let fitted = |kernel: DynKernel| {
        let mut model =
            BayesianGplvm::new(kernel, x.as_ref(), s.as_ref(), z.as_ref()).unwrap().with_noise(0.1).unwrap();
        model.fit(y.as_ref(), &Lbfgs { max_steps: 60, ..Lbfgs::default() }).unwrap();
        [8, 30, 120].map(|order| {
            let nodes = Nodes::gauss_hermite(order, 1).unwrap();
            model.clone().with_expectations(nodes).elbo(y.as_ref()).unwrap().value
        })
    };
    // Where the kernel has a kink, so have its expectations under a wide q(X).
    let [usual, higher, highest] = fitted((1.0 * Matern12::new(1.0)).dynamic());
    assert!(usual > highest + 0.5 && (higher - highest).abs() < 0.3, "{usual} {higher} {highest}");
    let [usual, higher, highest] = fitted((1.0 * Matern52::new(1.0)).dynamic());
    assert!((usual - highest).abs() < 1e-3 && (higher - highest).abs() < 1e-5, "{usual} {higher} {highest}");
}

#[test]
fn equal_outputs_have_equal_latents() {
    let y = mat![[0.0, 1.0], [1.0, 0.0], [3.0, 1.0], [1.0, 0.0]];
    let through = |last: f64| {
        let x = mat![[-1.0], [0.2], [1.0], [last]];
        BackConstraint::through(Rbf::new(1.0), y.as_ref(), x.as_ref()).map(|map| (map, x))
    };
    let (map, x) = through(0.2).unwrap();
    assert!((map.map(y.as_ref(), y.as_ref()).unwrap() - x).norm_max() < 1e-13);
    assert!(map.jitter() > 0.0 && map.jitter() < 1e-13, "{}", map.jitter());
    let error = through(0.3).unwrap_err().to_string();
    assert!(error.contains("rows 1 and 3"), "{error}");

    // Rows that are nearly equal are no obstacle to latents that are too.
    let y = Mat::from_fn(60, 3, |i, d| (0.05 * i as f64 + d as f64).sin());
    let x = principal_latents(y.as_ref(), 2).unwrap();
    let map = BackConstraint::through(Rbf::new(2.0), y.as_ref(), x.as_ref()).unwrap();
    assert!(map.jitter() > 0.0);
    assert!((map.map(y.as_ref(), y.as_ref()).unwrap() - &x).norm_max() < f64::EPSILON.sqrt() * x.norm_max());
}

#[test]
fn new_rows_find_their_place() {
    let curve = |t: f64| [t.sin(), t.cos(), (0.5 * t).sin()];
    let y = Mat::from_fn(25, 3, |i, d| curve(0.1 * i as f64)[d] + 0.01 * ((7 * i + 3 * d) as f64).cos());
    let x = principal_latents(y.as_ref(), 1).unwrap();
    let z = Mat::from_fn(8, 1, |j, _| x[(3 * j, 0)]);
    let mut model =
        BayesianGplvm::new(1.0 * Rbf::new(1.0), x.as_ref(), Mat::full(25, 1, 0.1).as_ref(), z.as_ref()).unwrap();
    model = model.with_noise(0.01).unwrap();
    model.fit(y.as_ref(), &Lbfgs { max_steps: 60, ..Lbfgs::default() }).unwrap();
    let posterior = model.condition(y.as_ref()).unwrap();
    let new = Mat::from_fn(2, 3, |i, d| curve(0.75 + 0.8 * i as f64)[d]);
    let found = posterior.infer(new.as_ref(), &Lbfgs::default()).unwrap();
    let latents = model.latents(y.as_ref()).unwrap().mean;
    for (i, (before, after)) in [(7, 8), (15, 16)].into_iter().enumerate() {
        let (a, b, at) = (latents[(before, 0)], latents[(after, 0)], found.latents.mean[(i, 0)]);
        assert!((at - a) * (b - at) > 0.0, "{at} is not between {a} and {b}");
    }
    let again = posterior.predict_uncertain(found.latents.mean.as_ref(), found.latents.variance.as_ref()).unwrap();
    assert!((again.mean - &new).norm_max() < 0.05);
    let odd = posterior.infer(mat![[2.0, 2.0, -2.0]].as_ref(), &Lbfgs::default()).unwrap();
    assert!(odd.bound[0] < found.bound[0] - 10.0);
}

/// Expectations are asked for at uncertain inputs alone: a kernel that has none is no obstacle elsewhere.
#[test]
fn many_dimensions_take_draws() {
    let (x, y) = (Mat::from_fn(5, 7, |i, q| ((i * 7 + q) as f64).sin()), mat![[0.1], [0.5], [-0.3], [0.2], [0.9]]);
    let model = Gplvm::new(Matern32::new(2.0), x.as_ref()).unwrap();
    let spread = Mat::full(5, 7, 0.01);
    let posterior = model.condition(y.as_ref()).unwrap();
    let known = posterior.predict(x.as_ref()).unwrap();
    let error = posterior.predict_uncertain(x.as_ref(), spread.as_ref()).unwrap_err();
    assert!(error.to_string().contains("with_expectations"), "{error}");
    assert!(BayesianGplvm::new(Matern32::new(2.0), x.as_ref(), spread.as_ref(), x.as_ref()).is_err());

    let model = model.with_expectations(Nodes::monte_carlo(200, 7, &mut Pcg64::seed_from_u64(2)).unwrap());
    let found = model.condition(y.as_ref()).unwrap().predict_uncertain(x.as_ref(), spread.as_ref()).unwrap();
    // The input moves by 0.1 in each dimension, a twentieth of the lengthscale.
    assert!((found.mean - known.mean).norm_max() < 0.02);
}

#[test]
fn bits_do_not_depend_on_threads() {
    let mut rng = Pcg64::seed_from_u64(9);
    let mut draw = |rows, cols| Mat::from_fn(rows, cols, |_, _| rng.sample::<f64, _>(StandardNormal));
    let (y, x, z) = (draw(300, 3), draw(300, 2), draw(7, 2));
    let s = Mat::from_fn(300, 2, |i, q| 0.05 + 0.001 * (i + q) as f64);
    let model = BayesianGplvm::new(1.5 * Rbf::new([0.7, 1.2]), x.as_ref(), s.as_ref(), z.as_ref()).unwrap();
    let of = |par: Par| model.clone().with_par(par).elbo_gradient(y.as_ref()).unwrap();
    let ((a, in_a), (b, in_b)) = (of(Par::Seq), of(Par::rayon(0)));
    assert_eq!(a, b);
    assert!(in_a.iter().zip(&in_b).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn bad_input_is_refused_by_name() {
    let stored = Stored::load();
    let (x, s, z, y) = (stored.mean.as_ref(), stored.variance.as_ref(), stored.z.as_ref(), stored.y.as_ref());
    let new = |x, s, z| BayesianGplvm::new(Rbf::new(1.0), x, s, z);
    assert!(matches!(new(x, s.subrows(0, 7), z), Err(Error::Shape { .. })));
    assert!(matches!(new(x, s, z.subcols(0, 1)), Err(Error::Shape { what, .. }) if what == "the inducing inputs"));
    let with = |value: f64| Mat::from_fn(8, 2, |i, q| if (i, q) == (2, 1) { value } else { stored.variance[(i, q)] });
    let (zero, bad) = (with(0.0), with(f64::NAN));
    let error = new(x, zero.as_ref(), z).unwrap_err().to_string();
    assert!(error.contains("variance[2, 1]"), "{error}");
    assert!(matches!(new(bad.as_ref(), s, z), Err(Error::NonFinite { row: 2, col: 1, .. })));
    assert!(matches!(BayesianGplvm::new(Rbf::new([1.0; 3]), x, s, z), Err(Error::Dimension { .. })));

    let model = stored.model();
    for error in [
        model.elbo(y.subrows(0, 7)).unwrap_err(),
        model.elbo_gradient(y.subrows(0, 7)).unwrap_err(),
        model.condition(y.subrows(0, 7)).unwrap_err(),
        model.latents(y.subrows(0, 7)).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Shape { what, .. } if what == "y"));
    }
    assert!(matches!(model.clone().with_inducing_noise(-1e-6), Err(Error::Setting { .. })));
    assert!(matches!(model.clone().with_prior(x.subrows(0, 7), s), Err(Error::Shape { .. })));
    assert!(matches!(model.clone().with_prior(s, x), Err(Error::Parameter { .. })));
    // Its reciprocal is not a finite number.
    let tiny = with(1e-310);
    let error = model.clone().with_prior(x, tiny.as_ref()).unwrap_err().to_string();
    assert!(error.contains("prior variance[2, 1]"), "{error}");
    let indefinite = stored.with_kernel((Rbf::new(1.0) - Matern12::new(3.0)).dynamic());
    assert!(matches!(indefinite.elbo(y), Err(Error::Indefinite { .. })));
    let wrong = Nodes::gauss_hermite(3, 1).unwrap();
    assert!(matches!(model.clone().with_expectations(wrong).elbo(y), Err(Error::Setting { .. })));
    assert!(matches!(Nodes::gauss_hermite(10, 6), Err(Error::Setting { .. })));
    assert!(matches!(Nodes::gauss_hermite(3, 0), Err(Error::Setting { .. })));
    assert!(matches!(Nodes::monte_carlo(0, 2, &mut Pcg64::seed_from_u64(1)), Err(Error::Setting { .. })));

    let posterior = model.condition(y).unwrap();
    assert!(matches!(posterior.predict(z.subcols(0, 1)), Err(Error::Shape { .. })));
    assert!(matches!(posterior.predict_uncertain(z, z), Err(Error::Parameter { .. })));
    assert!(matches!(posterior.predict_uncertain(z, s), Err(Error::Shape { .. })));
    assert!(matches!(posterior.infer(y.subcols(0, 3), &Lbfgs::default()), Err(Error::Shape { .. })));
    let map = BackConstraint::through(Rbf::new(1.0), y, x).unwrap();
    assert!(matches!(map.map(y.subrows(0, 4), y), Err(Error::Shape { .. })));
    assert!(matches!(map.map(y, y.subcols(0, 1)), Err(Error::Shape { .. })));
    let bad = Mat::from_fn(8, 4, |i, d| if (i, d) == (5, 1) { f64::NAN } else { y[(i, d)] });
    for error in [map.map(bad.as_ref(), y).unwrap_err(), map.map(y, bad.as_ref()).unwrap_err()] {
        assert!(matches!(error, Error::NonFinite { row: 5, col: 1, .. }), "{error}");
    }
    assert!(matches!(BackConstraint::through(Rbf::new(1.0), y, z), Err(Error::Shape { .. })));
    let narrow = BackConstraint::through(Rbf::new(1.0), y, x.subcols(0, 1)).unwrap();
    assert!(matches!(model.with_back_constraint(narrow), Err(Error::Shape { .. })));
    assert!(matches!(principal_latents(y, 5), Err(Error::Setting { .. })));
}
