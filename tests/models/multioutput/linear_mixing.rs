//! Sparse mixtures of processes, some values of which are missing.
#![allow(clippy::unwrap_used, clippy::panic)]

use faer::linalg::solvers::Solve;
use mercer::data::column;
use mercer::gp::{Oilmm, Svgp};
use mercer::likelihood::{Bernoulli, FixedNoise, Gaussian, Likelihood, LinearMixing};
use mercer::optim::{Lbfgs, NaturalGradient, Train};
use mercer::prelude::*;
use rand::SeedableRng;

use super::{inputs, kernels, mixed_covariance, orthogonal, with_gaps};
use crate::common::close::assert_close;
use crate::common::data::uniform;
use crate::common::dense::log_normal;
use crate::common::entries::by_columns;
use crate::common::gradients::check_model;

/// At Z = X the bound is the evidence where the posterior of the latent functions is independent: one step of natural
/// gradients reaches it.
#[test]
fn a_sparse_mixture_at_all_inputs_is_the_orthogonal_mixture() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let data = Data::new(x.as_ref(), y.as_ref());
    let exact = Oilmm::new(kernels(), orthogonal().as_ref()).unwrap().with_noise(0.2).unwrap();
    let mixing = LinearMixing::gaussian(orthogonal().as_ref(), &[0.2; 4]).unwrap();
    let mut sparse = Svgp::new(kernels().remove(0), x.as_ref()).unwrap().with_likelihood(mixing);
    sparse = sparse.with_kernels(kernels()).unwrap();
    sparse.natural_step(&data.part_of(7), &NaturalGradient::default()).unwrap();
    let evidence = exact.objective(&data).unwrap();
    assert_close(sparse.objective(&data).unwrap().value, evidence, 1e-11);

    let at = uniform(3, 2, 3);
    let found = sparse.posterior::<f64>().unwrap().predict_joint(at.as_ref()).unwrap();
    let expected = exact.condition(&data).unwrap().predict_joint(at.as_ref()).unwrap();
    assert!((&found.mean - &expected.mean).norm_max() < 1e-10);
    for row in 0..3 {
        assert!((found.covariance(row).unwrap() - expected.covariance(row).unwrap()).norm_max() < 1e-10);
    }
}

/// One latent function with values missing: bound and predictions are those of the dense Gaussian of what was observed.
#[test]
fn missing_values_contribute_nothing() {
    let (x, y, weights, noises) = (inputs(), with_gaps(), mat![[1.0], [-0.5], [2.0]], [0.1, 0.3, 0.2]);
    let mixing = LinearMixing::gaussian(weights.as_ref(), &noises).unwrap();
    let kernel = Rbf::new(1.3);
    let mut sparse = Svgp::new(kernel.clone(), x.as_ref()).unwrap().with_likelihood(mixing);
    sparse.natural_step(&Data::new(x.as_ref(), y.as_ref()).part_of(7), &NaturalGradient::default()).unwrap();

    let covariance = mixed_covariance(&weights, &[kernel.gram(x.as_ref()).unwrap()]);
    let seen: Vec<usize> = (0..21).filter(|&i| !by_columns(y.as_ref())[i].is_nan()).collect();
    let observed =
        Mat::from_fn(17, 17, |i, j| covariance[(seen[i], seen[j])] + if i == j { noises[seen[i] / 7] } else { 0.0 });
    let residual: Vec<f64> = seen.iter().map(|&i| by_columns(y.as_ref())[i]).collect();
    assert_close(
        sparse.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap().value,
        log_normal(&residual, &observed),
        1e-11,
    );

    let (cross, factor) =
        (Mat::from_fn(21, 17, |i, j| covariance[(i, seen[j])]), observed.llt(faer::Side::Lower).unwrap());
    let mean = &cross * factor.solve(Mat::from_fn(17, 1, |row, _| residual[row]));
    let found = sparse.posterior::<f64>().unwrap().predict_joint(x.as_ref()).unwrap().mean;
    (0..21).for_each(|i| assert_close(found[(i % 7, i / 7)], mean[(i, 0)], 1e-10));
}

fn several_likelihoods() -> Svgp {
    let weights = mat![[1.0, 0.3], [-0.5, 0.8], [2.0, -1.0]];
    let outputs: Vec<Box<dyn Likelihood>> =
        vec![Box::new(Gaussian::new(0.1)), Box::new(Bernoulli::logit()), Box::new(Gaussian::new(0.3))];
    let mixing = LinearMixing::new(weights.as_ref(), outputs).unwrap().with_offset(&[0.1, 0.2, 0.3]).unwrap();
    let sparse = Svgp::new(kernels().remove(0), uniform(4, 2, 5).as_ref()).unwrap().with_likelihood(mixing);
    sparse.with_kernels(kernels()).unwrap()
}

fn numbers_and_classes() -> Mat<f64> {
    let mut y = with_gaps();
    y.col_as_slice_mut(1).iter_mut().filter(|y| !y.is_nan()).for_each(|y| *y = f64::from(u8::from(*y > 0.0)));
    y
}

#[test]
fn gradients_of_a_sparse_mixture() {
    let (x, y) = (inputs(), numbers_and_classes());
    let data = Data::new(x.as_ref(), &y);
    let mut sparse = several_likelihoods();
    sparse.natural_step(&data.part_of(7), &NaturalGradient { rate: 0.3, ..NaturalGradient::default() }).unwrap();
    let (_, gradient) = sparse.gradient(&data.part_of(7)).unwrap();
    check_model("a sparse mixture", &sparse, &gradient, 1e-6, |sparse| sparse.objective(&data).unwrap().value);
}

/// The bounds of batches that are the data together are, on average, the bound.
#[test]
fn batches_are_unbiased() {
    let (x, y, sparse) = (inputs(), numbers_and_classes(), several_likelihoods());
    let of_rows = |rows: &[usize]| {
        let batch_x = Mat::from_fn(rows.len(), 2, |row, col| x[(rows[row], col)]);
        let batch_y = Mat::from_fn(rows.len(), 3, |row, p| y[(rows[row], p)]);
        sparse.objective(&Data::new(batch_x.as_ref(), batch_y).part_of(7)).unwrap().expected_log_likelihood
            * rows.len() as f64
            / 7.0
    };
    let whole = sparse.objective(&Data::new(x.as_ref(), &y)).unwrap().expected_log_likelihood;
    assert_close(of_rows(&[4, 0, 2]) + of_rows(&[1, 6]) + of_rows(&[5, 3]), whole, 1e-13);
    let mut trained = sparse.clone();
    let train = Train::new(40).with_batch(3).with_rate(0.05);
    trained.train(&Data::new(x.as_ref(), &y), &train, &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap();
    assert!(
        trained.objective(&Data::new(x.as_ref(), &y)).unwrap().value
            > sparse.objective(&Data::new(x.as_ref(), &y)).unwrap().value + 1.0
    );
}

#[test]
fn several_outputs_are_checked() {
    let (x, sparse) = (inputs(), several_likelihoods());
    let mut y = numbers_and_classes();
    assert!(matches!(sparse.objective(&Data::new(x.as_ref(), y.col_as_slice(0))), Err(Error::Shape { .. })));
    assert!(matches!(
        sparse.posterior::<f64>().unwrap().log_predictive_density(x.as_ref(), column(y.col_as_slice(0))),
        Err(Error::Shape { .. })
    ));
    let predicted = sparse.posterior::<f64>().unwrap().log_predictive_density(x.as_ref(), y.as_ref()).unwrap();
    assert_eq!(predicted.len(), 7);
    y[(1, 1)] = 0.5;
    let train = Train::new(1).with_batch(3);
    let error =
        sparse.clone().train(&Data::new(x.as_ref(), &y), &train, &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap_err();
    assert!(matches!(error, Error::Observation { row: 8, .. }), "{error}");
    y[(1, 1)] = f64::INFINITY;
    assert!(matches!(sparse.objective(&Data::new(x.as_ref(), &y)), Err(Error::NonFinite { row: 1, col: 1, .. })));
}

/// An output without any observation, of all data or of a batch; and a single output with some.
#[test]
fn an_output_that_was_never_observed_is_named() {
    let (x, mut sparse) = (inputs(), several_likelihoods());
    let mut y = numbers_and_classes();
    y.col_as_slice_mut(1).fill(f64::NAN);
    let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    let train = Train::new(1).with_batch(3);
    let lbfgs = Lbfgs { max_steps: 1, ..Lbfgs::default() };
    let errors = [
        sparse.objective(&Data::new(x.as_ref(), &y)).unwrap_err(),
        sparse.gradient(&Data::new(x.as_ref(), &y).part_of(7)).unwrap_err(),
        sparse.natural_step(&Data::new(x.as_ref(), &y).part_of(7), &NaturalGradient::default()).unwrap_err(),
        sparse.fit(&Data::new(x.as_ref(), &y), &lbfgs).unwrap_err(),
        sparse.train(&Data::new(x.as_ref(), &y), &train, &mut rng).unwrap_err(),
        sparse
            .train(
                &Data::new(x.as_ref(), &y),
                &train.clone().with_natural_gradients(NaturalGradient::default()),
                &mut rng,
            )
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::Empty { what } if what.contains("output 1")), "{error}");
    }
    assert!(sparse.objective(&Data::new(x.as_ref(), &y).part_of(100)).is_ok());

    let one = LinearMixing::gaussian(mat![[2.0]].as_ref(), &[0.3]).unwrap();
    let gp = Svgp::new(Rbf::new(1.0), x.as_ref()).unwrap().with_likelihood(one);
    let y = [0.1, f64::NAN, 0.4, 0.2, f64::NAN, -0.3, 0.0];
    let seen: Vec<usize> = (0..7).filter(|&row| !y[row].is_nan()).collect();
    let (x_seen, y_seen) = (Mat::from_fn(5, 2, |row, col| x[(seen[row], col)]), seen.iter().map(|&row| y[row]));
    let (with, without) = (
        gp.objective(&Data::new(x.as_ref(), y)),
        gp.objective(&Data::new(x_seen.as_ref(), y_seen.collect::<Vec<_>>())),
    );
    assert_close(with.unwrap().value, without.unwrap().value, 1e-12);
    assert!(matches!(gp.objective(&Data::new(x.as_ref(), [f64::NAN; 7])), Err(Error::Empty { .. })));
}

/// Noise of three rows is not that of two, also where one of them was not observed.
#[test]
fn noise_of_other_rows_is_refused() {
    let outputs: Vec<Box<dyn Likelihood>> = vec![Box::new(FixedNoise::new(&[0.1, 0.2, 0.3]).unwrap())];
    let mixing = LinearMixing::new(mat![[1.0]].as_ref(), outputs).unwrap();
    assert!(mixing.log_density(&[1.0, f64::NAN, 2.0], &[0.0; 3]).is_ok());
    let error = mixing.log_density(&[1.0, f64::NAN], &[0.0; 2]).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
    assert!(mixing.log_density(&[1.0, f64::NAN, 2.0, f64::NAN], &[0.0; 4]).is_err());
}
