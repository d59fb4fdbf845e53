//! Sparse variational processes with likelihoods other than Gaussian noise: stored values of an independent
//! implementation, and what models make of likelihoods.
#![allow(clippy::unwrap_used)]

use mercer::data::column;
use mercer::gp::{Svgp, Variational};
use mercer::inducing::start::subset;
use mercer::likelihood::{
    Bernoulli, Expectations, FixedNoise, Gaussian, Heteroscedastic, Likelihood, NegativeBinomial, Ordinal, Poisson,
    Predicted, Softmax, StudentT,
};
use mercer::linalg::Jitter;
use mercer::optim::{NaturalGradient, Train};
use mercer::params::Constraint;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::stored::{matrix, number, read, vector};

use crate::common::data::line;

/// The expectations of a likelihood with a closed form, by the quadrature that the stored values are from.
#[derive(Clone, Debug)]
struct PoissonByQuadrature;

mercer::parameterized!(PoissonByQuadrature as "poisson", parameters: []);

impl Likelihood for PoissonByQuadrature {
    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>, Error> {
        Poisson::new().log_density(y, f)
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations, Error> {
        let rule = mercer::likelihood::GaussHermite::new(20)?;
        let over = |row: usize, g: &dyn Fn(f64) -> f64| rule.expectation(mean[row], variance[row], g);
        let rows = 0..y.len();
        Ok(Expectations {
            values: rows.clone().map(|i| over(i, &|f| self.log_density(&[y[i]], &[f]).unwrap()[0])).collect(),
            d_mean: rows.clone().map(|i| over(i, &|f| y[i] - f.exp())).collect(),
            d_variance: rows.map(|i| over(i, &|f| (y[i] - f.exp()) * (f - mean[i]) / (2.0 * variance[i]))).collect(),
            d_params: vec![],
        })
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted, Error> {
        Poisson::new().predict(mean, variance)
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>, Error> {
        Poisson::new().log_predictive_density(y, mean, variance)
    }
}

fn assert_stored(name: &str, likelihood: impl Likelihood + 'static, transform: fn(f64) -> f64) {
    let fixture = read("pyrox.json");
    let notebook = &fixture["notebook1"];
    let params = &notebook["at_random_point"]["params"];
    let stored = &notebook["nonconjugate_gauss_hermite_20"][name];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let y: Vec<f64> = y.into_iter().map(transform).collect();

    let kernel = number(&params["log_variance"]).exp() * Rbf::new(number(&params["log_lengthscale"]).exp());
    let q = Variational::new(&vector(&params["mean"]), matrix(&params["scale_tril"]).as_ref()).unwrap();
    let likelihood_params = likelihood.num_params();
    let model = Svgp::new(kernel, matrix(&params["Z"]).as_ref())
        .unwrap()
        .with_likelihood(likelihood)
        .with_variational(q)
        .unwrap()
        .with_jitter(Jitter::Fixed(number(&notebook["jitter"])));

    let (elbo, natural) = model.gradient(&Data::new(x.as_ref(), &y).part_of(y.len())).unwrap();
    let expected = number(&stored["neg_elbo"]);
    assert!((-elbo.value - expected).abs() <= 1e-10 * expected.abs(), "{name}: {} is not {expected}", -elbo.value);

    let gradient: Vec<f64> = model.unconstrained_gradient(&natural).unwrap().iter().map(|entry| -entry).collect();
    let m = model.inducing().len();
    let mean_start = 2 + likelihood_params + m;
    let in_mean = vector(&stored["grad_mean"]);
    let scale = in_mean.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    assert_eq!(in_mean.len(), m);
    for (index, expected) in in_mean.iter().enumerate() {
        let found = gradient[mean_start + index];
        assert!((found - expected).abs() <= 1e-7 * scale, "{name}: mean[{index}]: {found} is not {expected}");
    }
    for (index, key) in ["grad_log_variance", "grad_log_lengthscale"].into_iter().enumerate() {
        let expected = number(&stored[key]);
        assert!(
            (gradient[index] - expected).abs() <= 1e-7 * expected.abs(),
            "{name}: {key}: {} is not {expected}",
            gradient[index]
        );
    }
}

#[test]
fn stored_values_match() {
    // Those without a closed form by the rule that the stored values are from.
    let (logit, student) = (Bernoulli::logit().with_quadrature(20), StudentT::new(0.3, 4.0).with_quadrature(20));
    assert_stored("bernoulli_logit", logit.unwrap(), |y| if y > 0.0 { 1.0 } else { 0.0 });
    assert_stored("poisson_log", PoissonByQuadrature, |y| (4.0 * y).abs().floor());
    assert_stored("poisson_log", Poisson::new(), |y| (4.0 * y).abs().floor());
    assert_stored("student_t_df4_scale0.3", student.unwrap(), |y| y);
}

fn train(steps: usize) -> Train {
    Train::new(steps).with_batch(40).with_rate(0.05)
}

/// The bound rises, and predictions end up better than the frequency of the classes.
#[test]
fn a_classifier_learns() {
    let mut rng = Pcg64::seed_from_u64(3);
    let x = line(120, 0.0, 6.0);
    let y: Vec<f64> = (0..120).map(|row| if (2.0 * x[(row, 0)]).sin() > 0.2 { 1.0 } else { 0.0 }).collect();
    for likelihood in [Bernoulli::logit(), Bernoulli::probit()] {
        let z = subset(x.as_ref(), 15, &mut rng).unwrap();
        // Of a fixed jitter: points that come close to each other may stop Adam otherwise, for all of the steps.
        let gp = Svgp::new(1.0 * Rbf::new(0.7), z.as_ref()).unwrap().with_likelihood(likelihood);
        let mut gp = gp.with_jitter(Jitter::Fixed(1e-6));
        let before = gp.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        gp.train(&Data::new(x.as_ref(), &y), &train(200), &mut rng).unwrap();
        let after = gp.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        assert!(after > 0.6 * before, "{before} {after}");
        let posterior = gp.posterior().unwrap();
        let seen = posterior.predict_observations(x.as_ref()).unwrap();
        let right = seen.mean.col(0).iter().zip(&y).filter(|(p, y)| (**p > 0.5) == (**y > 0.5)).count();
        assert!(right >= 114, "{right} of 120");
        let density = posterior.log_predictive_density(x.as_ref(), column(&y)).unwrap();
        assert!(density.iter().sum::<f64>() > 120.0 * -0.3);
    }
}

/// Parameters of likelihoods are found by path, kept within their constraints, and trained with the rest.
#[test]
fn parameters_are_trained() {
    let mut rng = Pcg64::seed_from_u64(3);
    let x = line(120, 0.0, 6.0);
    let y: Vec<f64> = (0..120).map(|row| (1.0 + x[(row, 0)].sin()).floor() + f64::from(row % 3 == 0)).collect();
    let data = Data::new(x.as_ref(), &y);
    let z = subset(x.as_ref(), 10, &mut rng).unwrap();
    let gp = Svgp::new(1.0 * Rbf::new(1.0), z.as_ref()).unwrap();
    let cases = [
        (gp.clone().with_likelihood(Ordinal::new(&[0.0, 1.0, 1.5])), "likelihood.ordinal.gaps[1]"),
        (gp.clone().with_likelihood(NegativeBinomial::new(0.5)), "likelihood.negative_binomial.dispersion"),
        (gp.with_likelihood(StudentT::new(1.0, 4.0)), "likelihood.student_t.degrees_of_freedom"),
    ];
    for (mut gp, path) in cases {
        let (start, before) = (gp.get(path).unwrap(), gp.objective(&data).unwrap().value);
        gp.train(&data, &train(100), &mut rng).unwrap();
        assert!(gp.objective(&data).unwrap().value > before, "{path}");
        let end = gp.get(path).unwrap();
        assert!(end != start && Constraint::Positive.admits(end), "{path}: {start} {end}");
    }
}

/// Of three classes on a line: a column of probabilities for each, which are those of a posterior in a box too.
#[test]
fn classes_are_columns_of_a_prediction() {
    let x = line(60, 0.0, 6.0);
    let y: Vec<f64> = (0..60).map(|row| (x[(row, 0)] / 2.0).floor().min(2.0)).collect();
    let data = Data::new(&x, &y);
    let mut gp = Svgp::new(4.0 * Rbf::new(1.0), line(9, 0.0, 6.0).as_ref()).unwrap().with_likelihood(Softmax::new(3));
    for _ in 0..20 {
        gp.natural_step(&data, &NaturalGradient { rate: 0.5, ..NaturalGradient::default() }).unwrap();
    }
    let posterior: Box<dyn Predict<f64>> = Box::new(gp.condition(&data).unwrap());
    assert_eq!((posterior.functions(), posterior.outputs()), (3, 1));
    let seen = posterior.predict_observations(x.as_ref()).unwrap();
    assert_eq!((seen.mean.shape(), seen.variance.shape()), ((60, 3), (60, 3)));
    let right = |row: usize| (0..3).all(|class| seen.mean[(row, class)] <= seen.mean[(row, y[row] as usize)]);
    assert!((0..60).all(|row| (seen.mean.row(row).sum() - 1.0).abs() < 1e-8));
    assert!((0..60).filter(|&row| right(row)).count() >= 57);
    let density = posterior.log_predictive_density(x.as_ref(), column(&y)).unwrap();
    assert!(density.len() == 60 && density.iter().sum::<f64>() > -30.0, "{density:?}");
}

/// A minibatch is seen with the noise of its own rows: over a partition, the mean of its bounds is the bound.
#[test]
fn minibatches_keep_what_belongs_to_their_rows() {
    let mut rng = Pcg64::seed_from_u64(3);
    let x = line(60, 0.0, 6.0);
    let y: Vec<f64> = (0..60).map(|row| x[(row, 0)].sin()).collect();
    let noise: Vec<f64> = (0..60).map(|row| if row % 2 == 0 { 0.01 } else { 4.0 }).collect();
    let likelihood = FixedNoise::new(&noise).unwrap();
    let gp = Svgp::new(1.0 * Rbf::new(1.0), x.subrows(0, 9)).unwrap();
    let whole = gp.clone().with_likelihood(likelihood.clone()).objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    let parts = (0..3).map(|part| {
        let rows: Vec<usize> = (0..20).map(|i| 3 * i + part).collect();
        let batch_x = Mat::from_fn(20, 1, |row, _| x[(rows[row], 0)]);
        let batch_y: Vec<f64> = rows.iter().map(|&row| y[row]).collect();
        let noise: Vec<f64> = rows.iter().map(|&row| noise[row]).collect();
        let batch = gp.clone().with_likelihood(FixedNoise::new(&noise).unwrap());
        let by_rows = likelihood.rows(&rows).unwrap().unwrap();
        let latent = vec![0.1; 20];
        assert_eq!(
            by_rows.variational_expectations(&batch_y, &latent, &latent).unwrap(),
            batch.likelihood().variational_expectations(&batch_y, &latent, &latent).unwrap()
        );
        batch.objective(&Data::new(batch_x.as_ref(), &batch_y).part_of(60)).unwrap().value
    });
    assert!((parts.sum::<f64>() / 3.0 - whole).abs() < 1e-10 * whole.abs());

    // Noisy rows do not spoil the fit where quiet ones are: wrong noise in a batch would.
    let wrong: Vec<f64> = y.iter().enumerate().map(|(row, y)| if row % 2 == 0 { *y } else { y + 3.0 }).collect();
    let mut gp = Svgp::new(1.0 * Rbf::new(1.0), subset(x.as_ref(), 12, &mut rng).unwrap().as_ref())
        .unwrap()
        .with_likelihood(likelihood);
    gp.freeze("kernel").unwrap();
    gp.train(&Data::new(x.as_ref(), &wrong), &train(400).with_batch(20), &mut rng).unwrap();
    let mean = gp.posterior().unwrap().mean(x.as_ref()).unwrap();
    let miss = (0..60).map(|row| (mean[(row, 0)] - y[row]).abs()).fold(0.0, f64::max);
    assert!(miss < 0.35, "{miss}");
    assert!(matches!(gp.objective(&Data::new(x.subrows(0, 5), &wrong[..5])), Err(Error::Shape { .. })));
    let posterior = gp.posterior().unwrap();
    assert!(matches!(posterior.predict_observations(x.as_ref()), Err(Error::Setting { .. })));
}

#[test]
fn what_models_refuse() {
    let x = line(10, 0.0, 6.0);
    let gp = Svgp::new(1.0 * Rbf::new(1.0), x.as_ref()).unwrap();
    let y = vec![0.0; 10];
    for (likelihood, latents) in
        [(Box::new(Heteroscedastic::new()) as Box<dyn Likelihood>, "2"), (Box::new(Softmax::new(3)), "3")]
    {
        let posterior = gp.posterior::<f64>().unwrap();
        let error = posterior.with_likelihood(likelihood).unwrap_err();
        assert!(matches!(&error, Error::Setting { found, .. } if found == latents), "{error}");
    }
    assert_eq!(gp.clone().with_likelihood(Softmax::new(3)).posterior::<f64>().unwrap().latents(), 3);

    let mut wrong = y.clone();
    wrong[7] = 2.5;
    let mut counts = gp.clone().with_likelihood(Poisson::new());
    let error = counts.objective(&Data::new(x.as_ref(), &wrong)).unwrap_err();
    // Training names the row of the data, whatever batch it is in.
    let small = train(1).with_batch(2);
    assert_eq!(counts.train(&Data::new(x.as_ref(), &wrong), &small, &mut Pcg64::seed_from_u64(1)).unwrap_err(), error);
    let mut noisy = gp.clone().with_likelihood(FixedNoise::new(&[0.1; 11]).unwrap());
    let result = noisy.train(&Data::new(x.as_ref(), &y), &small, &mut Pcg64::seed_from_u64(1));
    assert!(matches!(result, Err(Error::Shape { .. })));
    assert_eq!(error.to_string(), "y[7] is 2.5, but a Poisson likelihood takes counts: whole numbers, at least 0");
    assert!(gp.with_likelihood(Gaussian::new(0.1)).objective(&Data::new(x.as_ref(), &wrong)).is_ok());
}

/// Derivatives of another length than there are means, variances or parameters.
#[derive(Clone, Debug)]
struct Short(usize);

mercer::parameterized!(Short as "short", parameters: []);

impl Likelihood for Short {
    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>, Error> {
        Gaussian::new(1.0).log_density(y, f)
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations, Error> {
        let mut expectations = Gaussian::new(1.0).variational_expectations(y, mean, variance)?;
        expectations.d_params.clear();
        let Expectations { d_mean, d_variance, d_params, .. } = &mut expectations;
        match self.0 {
            0 => d_mean.truncate(1),
            1 => d_variance.push(0.0),
            _ => d_params.push(0.0),
        }
        Ok(expectations)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted, Error> {
        Gaussian::new(1.0).predict(mean, variance)
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>, Error> {
        Gaussian::new(1.0).log_predictive_density(y, mean, variance)
    }
}

#[test]
fn derivatives_of_another_length_are_refused_by_name() {
    let data = Data::new(line(4, 0.0, 3.0), [0.3, 1.0, -0.4, 0.2]);
    for (which, says) in ["in the means", "in the variances", "in the parameters"].into_iter().enumerate() {
        let model = Svgp::new(Rbf::new(1.0), data.x()).unwrap().with_likelihood(Short(which));
        let error = model.objective(&data).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
