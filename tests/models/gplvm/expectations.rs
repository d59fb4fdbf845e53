//! Expectations of kernels under uncertain inputs.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::gp::gplvm::{ClosedForm, KernelExpectations, Nodes, principal_latents};
use mercer::gp::{BayesianGplvm, Gplvm};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use super::{Stored, psi};
use crate::common::gradients::check_model;

/// However a squared exponential is written, it is recognised, and its parameters get their own gradients.
#[test]
fn every_spelling_has_the_closed_form() {
    let stored = Stored::load();
    let elbo = stored.model().objective(&stored.y).unwrap().value;
    let spelt: [DynKernel; 4] = [
        (1.7 * Rbf::new(1.0).ard([0.7, 1.3])).dynamic(),
        (1.7 * Rbf::new(0.7).on([0]) * Rbf::new(1.3).on([1])).dynamic(),
        (3.4 * (0.5 * Rbf::new([0.35, 0.65]).stretch(2.0))).dynamic(),
        "1.7 * rbf([0.7, 1.3])".parse().unwrap(),
    ];
    for kernel in spelt {
        let model = stored.with_kernel(kernel.clone()).with_expectations(ClosedForm);
        let (found, gradient) = model.gradient(&stored.y).unwrap();
        assert!((found.value - elbo).abs() < 1e-10, "{kernel}: {found:?}");
        check_model(&kernel, &model, &gradient, 2e-7, |m| m.objective(&stored.y).unwrap().value);
    }
    for other in [(Rbf::new(1.0) + 0.1).dynamic(), (Rbf::new(1.0) + Rbf::new(2.0)).dynamic()] {
        let error = stored.with_kernel(other).with_expectations(ClosedForm).objective(&stored.y).unwrap_err();
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
    let (_, gradient) = model.gradient(&y.to_owned()).unwrap();
    check_model("a linear map", &model, &gradient, 2e-7, |m| m.objective(&y.to_owned()).unwrap().value);
    let error = model.with_expectations(ClosedForm).gradient(&y.to_owned()).unwrap_err();
    assert!(error.to_string().contains("Nodes"), "{error}");

    // In one dimension there is nothing but the axis.
    let [x, s, z] = [x, s, z].map(|matrix| matrix.subcols(0, 1));
    let model = BayesianGplvm::new(Rbf::new(1.0).linear_map(mat![[0.8], [1.3]]), x, s, z).unwrap();
    let model = model.with_expectations(ClosedForm);
    let (_, gradient) = model.gradient(&y.to_owned()).unwrap();
    check_model("a linear map of a line", &model, &gradient, 2e-7, |m| m.objective(&y.to_owned()).unwrap().value);
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
        model.fit(&y, &Lbfgs { max_steps: 60, ..Lbfgs::default() }).unwrap();
        [8, 30, 120].map(|order| {
            let nodes = Nodes::gauss_hermite(order, 1).unwrap();
            model.clone().with_expectations(nodes).objective(&y).unwrap().value
        })
    };
    // Where the kernel has a kink, so have its expectations under a wide q(X).
    let [usual, higher, highest] = fitted((1.0 * Matern12::new(1.0)).dynamic());
    assert!(usual > highest + 0.5 && (higher - highest).abs() < 0.3, "{usual} {higher} {highest}");
    let [usual, higher, highest] = fitted((1.0 * Matern52::new(1.0)).dynamic());
    assert!((usual - highest).abs() < 1e-3 && (higher - highest).abs() < 1e-5, "{usual} {higher} {highest}");
}

/// Expectations are asked for at uncertain inputs alone: a kernel that has none is no obstacle elsewhere.
#[test]
fn many_dimensions_take_draws() {
    let (x, y) = (Mat::from_fn(5, 7, |i, q| ((i * 7 + q) as f64).sin()), mat![[0.1], [0.5], [-0.3], [0.2], [0.9]]);
    let model = Gplvm::new(Matern32::new(2.0), x.as_ref()).unwrap();
    let spread = Mat::full(5, 7, 0.01);
    let posterior = model.condition(&y).unwrap();
    let known = posterior.predict(x.as_ref()).unwrap();
    let error = posterior.predict_uncertain(x.as_ref(), spread.as_ref()).unwrap_err();
    assert!(error.to_string().contains("with_expectations"), "{error}");
    assert!(BayesianGplvm::new(Matern32::new(2.0), x.as_ref(), spread.as_ref(), x.as_ref()).is_err());

    let model = model.with_expectations(Nodes::monte_carlo(200, 7, &mut Pcg64::seed_from_u64(2)).unwrap());
    let found = model.condition(&y).unwrap().predict_uncertain(x.as_ref(), spread.as_ref()).unwrap();
    // The input moves by 0.1 in each dimension, a twentieth of the lengthscale.
    assert!((found.mean - known.mean).norm_max() < 0.02);
}
