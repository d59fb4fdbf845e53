//! Sparse variational processes of several latent functions.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Svgp, Variational};
use mercer::likelihood::{Expectations, Gaussian, Likelihood, Predicted};
use mercer::mean::{ConstantMean, DynMean};
use mercer::optim::{Lbfgs, NaturalGradient};
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::close::assert_each_close;
use crate::common::data::full_q;
use crate::common::gradients::check_model;

/// Each observation is seen twice: through the first latent function and through the second, with
/// Gaussian noise of one variance.
#[derive(Clone, Debug)]
struct Twice(Gaussian);

impl Parameterized for Twice {
    fn name(&self) -> &str {
        "twice"
    }
    fn visit(&self, visitor: &mut dyn mercer::params::Visitor) {
        self.0.visit(visitor);
    }
    fn visit_mut(&mut self, visitor: &mut dyn mercer::params::VisitorMut) {
        self.0.visit_mut(visitor);
    }
}

impl Likelihood for Twice {
    fn latents(&self) -> usize {
        2
    }
    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>, Error> {
        let (a, b) = f.split_at(y.len());
        let (a, b) = (self.0.log_density(y, a)?, self.0.log_density(y, b)?);
        Ok(a.iter().zip(b).map(|(a, b)| a + b).collect())
    }
    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations, Error> {
        self.0.variational_expectations(&[y, y].concat(), mean, variance).map(|mut both| {
            let second = both.values.split_off(y.len());
            both.values.iter_mut().zip(second).for_each(|(a, b)| *a += b);
            both
        })
    }
    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted, Error> {
        let n = mean.len() / 2;
        self.0.predict(&mean[..n], &variance[..n])
    }
    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>, Error> {
        self.0.log_predictive_density(y, &mean[..y.len()], &variance[..y.len()])
    }
}

/// N(f, exp(g)): the second latent function is the logarithm of the noise variance.
#[derive(Clone, Debug)]
struct LogNoise;

mercer::parameterized!(LogNoise as "log_noise", parameters: []);

impl Likelihood for LogNoise {
    fn latents(&self) -> usize {
        2
    }
    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>, Error> {
        let zero = vec![0.0; f.len()];
        Ok(self.variational_expectations(y, f, &zero)?.values)
    }
    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations, Error> {
        let n = y.len();
        let (mut values, mut d_mean, mut d_variance) = (vec![0.0; n], vec![0.0; 2 * n], vec![0.0; 2 * n]);
        for i in 0..n {
            let (miss, precision) = (y[i] - mean[i], (0.5 * variance[n + i] - mean[n + i]).exp());
            let square = (miss * miss + variance[i]) * precision;
            values[i] = -0.5 * (std::f64::consts::TAU.ln() + mean[n + i] + square);
            (d_mean[i], d_mean[n + i]) = (miss * precision, 0.5 * (square - 1.0));
            (d_variance[i], d_variance[n + i]) = (-0.5 * precision, -0.25 * square);
        }
        Ok(Expectations { values, d_mean, d_variance, d_params: vec![] })
    }
    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted, Error> {
        let n = mean.len() / 2;
        let seen = (0..n).map(|i| variance[i] + (mean[n + i] + 0.5 * variance[n + i]).exp()).collect();
        Ok(Predicted { mean: mean[..n].to_vec(), variance: seen })
    }
    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>, Error> {
        let seen = self.predict(mean, variance)?;
        let terms = y.iter().zip(seen.mean).zip(seen.variance);
        Ok(terms.map(|((y, m), v)| -0.5 * (std::f64::consts::TAU * v).ln() - 0.5 * (y - m).powi(2) / v).collect())
    }
}

fn data(n: usize) -> (Mat<f64>, Vec<f64>) {
    let mut rng = Pcg64::seed_from_u64(1);
    let x = Mat::from_fn(n, 1, |i, _| 4.0 * i as f64 / n as f64);
    let y = (0..n).map(|i| x[(i, 0)].sin() + 0.15 * x[(i, 0)] * rng.random_range(-1.0..1.0)).collect();
    (x, y)
}

fn inputs() -> Mat<f64> {
    Mat::from_fn(5, 1, |i, _| 0.9 * i as f64)
}

/// A q of each function.
fn two() -> Vec<Variational> {
    [1, 2].map(|seed| full_q(5, seed)).to_vec()
}

fn single(kernel: Scaled<Rbf>, mean: f64, q: Variational) -> Svgp<Scaled<Rbf>> {
    let model = Svgp::new(kernel, inputs().as_ref()).unwrap().with_likelihood(Gaussian::new(0.3));
    model.with_mean(ConstantMean::new(mean)).with_variational(q).unwrap()
}

#[test]
fn independent_functions_are_so_many_models() {
    let (x, y) = data(20);
    let kernels = [1.5 * Rbf::new(0.8), 0.7 * Rbf::new(1.9)];
    let singles = [single(kernels[0].clone(), 0.2, full_q(5, 1)), single(kernels[1].clone(), -0.4, full_q(5, 2))];
    let mut both = Svgp::new(kernels[0].clone(), inputs().as_ref())
        .unwrap()
        .with_likelihood(Twice(Gaussian::new(0.3)))
        .with_kernels(kernels.to_vec())
        .unwrap()
        .with_means(vec![DynMean::new(ConstantMean::new(0.2)), DynMean::new(ConstantMean::new(-0.4))])
        .unwrap()
        .with_variationals(two())
        .unwrap();

    let parts = singles.each_ref().map(|model| model.objective(&Data::new(x.as_ref(), &y)).unwrap());
    let elbo = both.objective(&Data::new(x.as_ref(), &y)).unwrap();
    assert!((elbo.value - parts[0].value - parts[1].value).abs() < 1e-12 * elbo.value.abs());
    assert!((elbo.kl - parts[0].kl - parts[1].kl).abs() < 1e-12);

    let at = Mat::from_fn(7, 1, |i, _| 0.8 * i as f64 - 0.5);
    let predicted = both.posterior().unwrap().predict(at.as_ref()).unwrap();
    let parts = singles.each_ref().map(|model| model.posterior().unwrap().predict(at.as_ref()).unwrap());
    for (latent, part) in parts.iter().enumerate() {
        assert_each_close("f", predicted.mean.col_as_slice(latent), part.mean.col_as_slice(0), 2e-14);
        assert_each_close("f", predicted.variance.col_as_slice(latent), part.variance.col_as_slice(0), 2e-14);
    }
    let posterior = both.posterior().unwrap();
    assert_eq!(posterior.latents(), 2);
    for (latent, part) in singles.iter().enumerate() {
        let expected = part.posterior().unwrap().covariance(at.as_ref(), 0).unwrap();
        assert!((posterior.covariance(at.as_ref(), latent).unwrap() - expected).norm_max() < 1e-13);
    }
    assert!(matches!(posterior.covariance(at.as_ref(), 2), Err(Error::Setting { .. })));
    assert_eq!(posterior.predict_observations(at.as_ref()).unwrap().mean.shape(), (7, 1));

    let paths: Vec<String> = both.parameters().into_iter().map(|entry| entry.path).collect();
    for path in ["kernel[1].scaled.rbf.lengthscale", "mean[0].constant.value", "variational[1].factor[4, 3]"] {
        assert!(paths.iter().any(|found| found == path), "{path} is not in {paths:?}");
    }

    let rule = NaturalGradient { rate: 0.5, ..NaturalGradient::default() };
    both.natural_step(&Data::new(x.as_ref(), &y).part_of(20), &rule).unwrap();
    for (mut single, q) in singles.into_iter().zip(both.variationals()) {
        single.natural_step(&Data::new(x.as_ref(), &y).part_of(20), &rule).unwrap();
        assert_each_close("f", q.mean(), single.variational().mean(), 2e-14);
    }
}

#[test]
fn a_shared_kernel_gives_what_equal_kernels_give() {
    let (x, y) = data(20);
    let kernel = 1.5 * Rbf::new(0.8);
    let shared = Svgp::new(kernel.clone(), inputs().as_ref())
        .unwrap()
        .with_variational(full_q(5, 1))
        .unwrap()
        .with_likelihood(LogNoise)
        .with_variationals(two())
        .unwrap();
    let each = shared.clone().with_kernels(vec![kernel.clone(), kernel]).unwrap();
    let (a, b) =
        (shared.objective(&Data::new(x.as_ref(), &y)).unwrap(), each.objective(&Data::new(x.as_ref(), &y)).unwrap());
    assert!((a.value - b.value).abs() < 1e-12 * a.value.abs());
    let (a, b) = (shared.posterior().unwrap(), each.posterior().unwrap());
    let (a, b) = (a.predict(x.as_ref()).unwrap(), b.predict(x.as_ref()).unwrap());
    assert!((a.mean - b.mean).norm_max() < 2e-14 && (a.variance - b.variance).norm_max() < 2e-14);
}

#[test]
fn gradients_match_finite_differences() {
    let (x, y) = data(15);
    let kernels = vec![1.5 * Rbf::new(0.8), 0.7 * Rbf::new(1.9)];
    let shared = Svgp::new(kernels[0].clone(), inputs().as_ref())
        .unwrap()
        .with_likelihood(LogNoise)
        .with_mean(ConstantMean::new(0.3))
        .with_variationals(two())
        .unwrap();
    for model in [shared.clone(), shared.with_kernels(kernels).unwrap()] {
        let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(40)).unwrap();
        let value = |model: &Svgp<_>| model.objective(&Data::new(x.as_ref(), &y).part_of(40)).unwrap().value;
        check_model("two functions", &model, &gradient, 1e-6, value);
    }
}

/// Noise that grows with x is found: the second function learns it.
#[test]
fn noise_that_depends_on_the_input_is_learned() {
    let (x, y) = data(150);
    let mut model = Svgp::new(1.0 * Rbf::new(1.0), inputs().as_ref())
        .unwrap()
        .with_likelihood(LogNoise)
        .with_means(vec![DynMean::new(ConstantMean::new(0.0)), DynMean::new(ConstantMean::new(-2.0))])
        .unwrap();
    let before = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    model.fit(&Data::new(x.as_ref(), &y), &Lbfgs { max_steps: 100, ..Lbfgs::default() }).unwrap();
    assert!(model.objective(&Data::new(x.as_ref(), &y)).unwrap().value > before + 20.0);
    let posterior = model.posterior().unwrap();
    let log_noise = posterior.mean(mat![[0.5], [3.8]].as_ref()).unwrap();
    // The deviations are 0.15 x / √3.
    assert!(log_noise[(1, 1)] - log_noise[(0, 1)] > 1.0, "{log_noise:?}");
    assert!((log_noise[(1, 1)] - (0.15f64 * 3.8).powi(2).ln() + 3f64.ln()).abs() < 0.7, "{log_noise:?}");
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let (x, y) = data(10);
    let kernel = 1.5 * Rbf::new(0.8);
    let model = Svgp::new(kernel.clone(), inputs().as_ref()).unwrap().with_likelihood(LogNoise);
    assert_eq!(model.variationals().len(), 2);
    assert_eq!(model.clone().with_likelihood(Gaussian::new(0.1)).variationals().len(), 1);
    let three = model.clone().with_kernels(vec![kernel.clone(), kernel.clone(), kernel]).unwrap();
    let error = three.objective(&Data::new(x.as_ref(), &y)).unwrap_err();
    assert!(matches!(&error, Error::Setting { name, .. } if name == "the number of kernels"), "{error}");
    assert!(matches!(model.clone().with_kernels(vec![]), Err(Error::Setting { .. })));
    assert!(matches!(model.clone().with_means(vec![]), Err(Error::Setting { .. })));
    assert!(matches!(model.clone().with_variationals(vec![full_q(5, 1)]), Err(Error::Setting { .. })));
}
