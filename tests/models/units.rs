//! Fits do not depend on the units of the data: from starts scaled alike they take the same steps.
#![allow(clippy::unwrap_used)]

use mercer::gp::gplvm::principal_latents;
use mercer::gp::{BatchGp, BayesianGplvm, ExactGp, Gplvm, IcmGp, Oilmm, Sgpr, Svgp};
use mercer::kernels::Coregionalization;
use mercer::likelihood::Gaussian;
use mercer::mean::LinearMean;
use mercer::optim::{Adam, Lbfgs, Train};
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// The units of inputs and outputs.
#[derive(Clone, Copy, Debug)]
struct Units {
    x: f64,
    y: f64,
}

const ONE: Units = Units { x: 1.0, y: 1.0 };

fn inputs(units: Units) -> Mat<f64> {
    Mat::from_fn(30, 2, |i, d| units.x * (3.0 + ((i * [7, 11][d]) % 30) as f64 * [0.2, 0.3][d]))
}

fn outputs(units: Units, d: usize) -> Vec<f64> {
    let x = inputs(ONE);
    let wave = |i: usize| (x[(i, 0)] + d as f64).sin() + 0.5 * (0.7 * x[(i, 1)]).cos() + 0.1 * (37.0 * i as f64).sin();
    (0..30).map(|i| units.y * (1.0 + wave(i))).collect()
}

fn grid(units: Units) -> Mat<f64> {
    let columns = [0, 1, 2].map(|d| outputs(units, d));
    Mat::from_fn(30, 3, |i, d| columns[d][i])
}

fn kernel(units: Units) -> Scaled<Rbf> {
    0.8 * units.y.powi(2) * Rbf::new([1.5 * units.x, 2.5 * units.x])
}

fn mean(units: Units) -> LinearMean {
    LinearMean::new([0.0, 0.02 * units.y / units.x]).with_intercept(0.0)
}

/// Every fifth input, moved off it.
fn inducing(units: Units) -> Mat<f64> {
    let x = inputs(units);
    Mat::from_fn(6, 2, |j, d| x[(5 * j, d)] + units.x * 0.05 * (j as f64 - 2.2))
}

/// The unit of a parameter.
fn unit(path: &str, units: Units) -> f64 {
    let has = |part: &str| path.contains(part);
    if has("variational") || has("latents") || has("basis") {
        1.0
    } else if has("lengthscale") || has("inducing") {
        units.x
    } else if has("coregionalization.weights") || has("intercept") {
        units.y
    } else if has("weights") {
        units.y / units.x
    } else {
        // Variances, factors, and diagonals of covariances.
        units.y * units.y
    }
}

/// Units from 1e-12 to 1e12, the ends among them.
fn trials(each: &mut dyn FnMut(Units)) {
    let mut rng = Pcg64::seed_from_u64(mercer::testkit::seed(83));
    let ends = [1e-12, 1e12].into_iter().flat_map(|c| [(c, 1.0), (1.0, c)]);
    for (x, y) in ends.chain([(1e-12, 1e12), (2f64.powi(-40), 2f64.powi(40))]) {
        each(Units { x, y });
    }
    for _ in 0..mercer::testkit::trials(3) {
        let mut size = || 10f64.powf(rng.random_range(-12.0..12.0));
        each(Units { x: size(), y: size() });
    }
}

/// The parameters after a fit, in these units.
fn fitted<M: Parameterized>(mut model: M, units: Units, fit: impl FnOnce(&mut M)) -> Vec<f64> {
    fit(&mut model);
    model.parameters().into_iter().map(|entry| entry.value / unit(&entry.path, units)).collect()
}

/// Rounding differs from unit to unit, and grows from step to step: to 1e-6 after some of them.
fn law(name: &str, fitted: impl Fn(Units) -> Vec<f64>) {
    let expected = fitted(ONE);
    trials(&mut |units| {
        for (i, (found, expected)) in fitted(units).iter().zip(&expected).enumerate() {
            let close = approx::abs_diff_eq!(*found, *expected, epsilon = 1e-6 * expected.abs().max(1.0));
            assert!(close, "{name}: parameter {i} is {found} in {units:?}, {expected} in 1");
        }
    });
}

fn steps() -> Lbfgs {
    Lbfgs { max_steps: 12, ..Lbfgs::default() }
}

#[test]
fn fits_of_one_output() {
    law("exact", |units| {
        let model = ExactGp::new(kernel(units)).with_mean(mean(units)).with_noise(0.1 * units.y.powi(2)).unwrap();
        fitted(model, units, |m| drop(m.fit(&Data::new(inputs(units).as_ref(), outputs(units, 0)), &steps()).unwrap()))
    });
    law("sparse", |units| {
        let model = Sgpr::new(kernel(units), inducing(units).as_ref()).unwrap().with_mean(mean(units));
        let model = model.with_noise(0.1 * units.y.powi(2)).unwrap();
        fitted(model, units, |m| drop(m.fit(&Data::new(inputs(units).as_ref(), outputs(units, 0)), &steps()).unwrap()))
    });
    let variational = |units: Units| {
        let model = Svgp::new(kernel(units), inducing(units).as_ref()).unwrap().with_mean(mean(units));
        model.with_likelihood(Gaussian::new(0.1 * units.y.powi(2)))
    };
    law("variational", |units| {
        let fit =
            |m: &mut Svgp<_>| drop(m.fit(&Data::new(inputs(units).as_ref(), outputs(units, 0)), &steps()).unwrap());
        fitted(variational(units), units, fit)
    });
    law("trained", |units| {
        let adam = Adam { rate: 0.02, ..Adam::default() };
        let train = Train::new(30).with_batch(10).with_adam(adam);
        let mut rng = Pcg64::seed_from_u64(5);
        let x = inputs(units);
        fitted(variational(units), units, |m| {
            drop(m.train(&Data::new(x.as_ref(), outputs(units, 0)), &train, &mut rng).unwrap())
        })
    });
}

#[test]
fn fits_of_several_outputs() {
    law("batch", |units| {
        let batch = kernel(units).batched(3).unwrap();
        let model = BatchGp::new(batch).with_mean(mean(units)).with_noise(0.1 * units.y.powi(2)).unwrap();
        fitted(model, units, |m| {
            drop(m.fit(&Data::new(inputs(units).as_ref(), grid(units).as_ref()), &steps()).unwrap())
        })
    });
    law("coregionalised", |units| {
        let weights = mat![[1.0], [0.5], [-0.3]] * faer::Scale(units.y);
        let outputs = Coregionalization::new(weights, [0.1; 3].map(|v| v * units.y.powi(2)));
        let model = IcmGp::new(Rbf::new([1.5 * units.x, 2.5 * units.x]), outputs).with_mean(mean(units));
        let model = model.with_noise(&[0.1 * units.y.powi(2); 3]).unwrap();
        fitted(model, units, |m| {
            drop(m.fit(&Data::new(inputs(units).as_ref(), grid(units).as_ref()), &steps()).unwrap())
        })
    });
    law("mixed", |units| {
        let kernels = vec![Rbf::new([1.5 * units.x, 2.5 * units.x])];
        let model = Oilmm::principal(kernels, grid(units).as_ref(), 2).unwrap().with_mean(mean(units));
        fitted(model, units, |m| {
            drop(m.fit(&Data::new(inputs(units).as_ref(), grid(units).as_ref()), &steps()).unwrap())
        })
    });
}

#[test]
fn fits_of_latents() {
    let kernel = |units: Units| 0.8 * units.y.powi(2) * Rbf::new(1.5);
    let of_outputs = |units: Units| Units { x: 1.0, ..units };
    let start = |units: Units| principal_latents(grid(units).as_ref(), 1).unwrap();
    law("most probable latents", |units| {
        let units = of_outputs(units);
        let model = Gplvm::new(kernel(units), start(ONE).as_ref()).unwrap().with_noise(0.1 * units.y.powi(2)).unwrap();
        fitted(model, units, |m| drop(m.fit(&grid(units).as_ref().to_owned(), &steps()).unwrap()))
    });
    law("latents", |units| {
        let units = of_outputs(units);
        let (x, z) = (start(ONE), mat![[-1.0], [-0.3], [0.4], [1.1]]);
        let model = BayesianGplvm::new(kernel(units), x.as_ref(), Mat::full(30, 1, 0.1).as_ref(), z.as_ref()).unwrap();
        let model = model.with_noise(0.1 * units.y.powi(2)).unwrap();
        fitted(model, units, |m| drop(m.fit(&grid(units).as_ref().to_owned(), &steps()).unwrap()))
    });
}

/// Inputs of size 1e6 and a lengthscale of 1: no gradient reaches the lengthscale, and the search says so.
#[test]
fn a_lengthscale_far_below_the_data_is_named() {
    let units = Units { x: 1e6, y: 1.0 };
    let mut model = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1).unwrap();
    let minimum = model.fit(&Data::new(inputs(units).as_ref(), outputs(units, 0)), &Lbfgs::default()).unwrap();
    assert!(!minimum.converged && minimum.reason.contains("`kernel.scaled.rbf.lengthscale`"), "{}", minimum.reason);
}
