//! Models of several outputs against the dense Gaussian, against each other, and against finite differences.

#![allow(clippy::unwrap_used, clippy::panic)]

use faer::linalg::solvers::Solve;
use mercer::combine::{icm, lcm};
use mercer::gp::{ExactGp, IcmGp, IcmPosterior, JointPrediction, Oilmm, Stacked, Svgp};
use mercer::likelihood::{Bernoulli, FixedNoise, Gaussian, Likelihood, LinearMixing};
use mercer::mean::{ConstantMean, DynMean};
use mercer::optim::{Adam, Lbfgs, NaturalGradient, Train};
use mercer::prelude::*;
use rand::SeedableRng;

use crate::common::close::assert_close;
use crate::common::data::{single, uniform};
use crate::common::dense::log_normal;
use crate::common::entries::by_columns;
use crate::common::gradients::check_model;

fn inputs() -> Mat<f64> {
    let spread = uniform(7, 2, 1);
    Mat::from_fn(7, 2, |row, col| 0.7 * row as f64 + 0.4 * spread[(row, col)])
}

/// Σ_l w_pl w_ql k_l(x, x′) at all pairs of (point, output), outputs one after the other.
fn mixed_covariance(weights: &Mat<f64>, grams: &[Mat<f64>]) -> Mat<f64> {
    let (n, m) = grams[0].shape();
    Mat::from_fn(n * weights.nrows(), m * weights.nrows(), |i, j| {
        let at = |l: usize| weights[(i / n, l)] * weights[(j / m, l)] * grams[l][(i % n, j % m)];
        (0..grams.len()).map(at).sum()
    })
}

/// Four outputs of two processes.
fn orthogonal() -> Mat<f64> {
    mat![[2.0, 1.0], [-2.0, 2.0], [1.0, 2.0], [0.0, 1.0]]
}

fn kernels() -> Vec<DynKernel> {
    vec![Rbf::new(1.3).dynamic(), Matern32::new([0.8, 1.5]).dynamic()]
}

fn oilmm() -> Oilmm {
    let means = [0.3, -0.2, 0.1, 0.0].map(|level| DynMean::new(ConstantMean::new(level)));
    Oilmm::new(kernels(), orthogonal().as_ref()).unwrap().with_noise(0.2).unwrap().with_means(means.to_vec()).unwrap()
}

#[test]
fn an_orthogonal_mixture_is_the_dense_gaussian() {
    let (x, y, at) = (inputs(), uniform(7, 4, 2), uniform(3, 2, 3));
    let (h, gp) = (orthogonal(), oilmm());
    let grams: Vec<Mat<f64>> = kernels().iter().map(|kernel| kernel.gram(x.as_ref()).unwrap()).collect();
    let mut covariance = mixed_covariance(&h, &grams);
    (0..28).for_each(|i| covariance[(i, i)] += 0.2);
    let means = [0.3, -0.2, 0.1, 0.0];
    let residual: Vec<f64> = by_columns(y.as_ref()).iter().enumerate().map(|(i, y)| y - means[i / 7]).collect();
    assert_close(gp.log_evidence(x.as_ref(), y.as_ref()).unwrap(), log_normal(&residual, &covariance), 1e-12);

    let crosses: Vec<Mat<f64>> = kernels().iter().map(|k| k.cross(at.as_ref(), x.as_ref()).unwrap()).collect();
    let priors: Vec<Mat<f64>> = kernels().iter().map(|k| k.gram(at.as_ref()).unwrap()).collect();
    let (cross, prior) = (mixed_covariance(&h, &crosses), mixed_covariance(&h, &priors));
    let factor = covariance.llt(faer::Side::Lower).unwrap();
    let mean = &cross * factor.solve(Mat::from_fn(28, 1, |row, _| residual[row]));
    let left = &prior - &cross * factor.solve(cross.transpose());
    let posterior = gp.condition(x.as_ref(), y.as_ref()).unwrap();
    let predicted = posterior.predict(at.as_ref()).unwrap();
    let observed = posterior.predict_observations(at.as_ref()).unwrap();
    for row in 0..3 {
        let found = predicted.covariance(row).unwrap();
        for p in 0..4 {
            assert_close(predicted.mean[(row, p)], mean[(3 * p + row, 0)] + means[p], 1e-12);
            assert_close(observed.of(p).unwrap().variance[row], left[(3 * p + row, 3 * p + row)] + 0.2, 1e-12);
            (0..4).for_each(|q| assert_close(found[(p, q)], left[(3 * p + row, 3 * q + row)], 1e-12));
        }
    }
}

#[test]
fn draws_of_an_orthogonal_mixture_have_its_moments() {
    let (x, y, at, gp) = (inputs(), uniform(7, 4, 2), uniform(2, 2, 3), oilmm());
    let posterior = gp.condition(x.as_ref(), y.as_ref()).unwrap();
    let predicted = posterior.predict(at.as_ref()).unwrap();
    let draws = 40_000;
    let values = posterior.sample(at.as_ref(), draws, &mut rand_pcg::Pcg64::seed_from_u64(7)).unwrap().values;
    let means: Vec<f64> = (0..8).map(|row| values.row(row).iter().sum::<f64>() / draws as f64).collect();
    let expected = predicted.covariance(1).unwrap();
    for (p, q) in (0..4).flat_map(|p| (0..4).map(move |q| (p, q))) {
        let (a, b) = (2 * p + 1, 2 * q + 1);
        let terms = values.row(a).iter().zip(values.row(b).iter());
        let found = terms.map(|(u, v)| (u - means[a]) * (v - means[b])).sum::<f64>() / draws as f64;
        // Five standard errors.
        let spread = (expected[(p, p)] * expected[(q, q)] + expected[(p, q)].powi(2)).sqrt();
        assert!((found - expected[(p, q)]).abs() < 5.0 * spread / (draws as f64).sqrt());
        let error = 5.0 * (expected[(p, p)] / draws as f64).sqrt();
        assert!((means[a] - predicted.mean[(1, p)]).abs() < error);
    }
}

#[test]
fn gradients_of_an_orthogonal_mixture() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let evidence = |gp: &Oilmm| gp.log_evidence(x.as_ref(), y.as_ref()).unwrap();
    let (value, gradient) = oilmm().log_evidence_gradient(x.as_ref(), y.as_ref()).unwrap();
    assert_eq!(value, evidence(&oilmm()));
    check_model("two processes", &oilmm(), &gradient, 1e-7, evidence);
    // As many processes as outputs, of one kernel; away from the orthonormal start.
    let mut square = Oilmm::new(vec![kernels().remove(0)], Mat::<f64>::identity(4, 4).as_ref()).unwrap();
    square.set("mixing.basis[2, 1]", 0.7).unwrap();
    square.set("mixing.basis[0, 3]", -0.4).unwrap();
    let (_, gradient) = square.log_evidence_gradient(x.as_ref(), y.as_ref()).unwrap();
    check_model("four processes", &square, &gradient, 1e-7, evidence);
}

/// The processes' noise is σ²/Sᵢ, which the outputs' likelihood does not know.
#[test]
fn observations_are_of_outputs_and_not_of_processes() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let single = Oilmm::new(vec![kernels().remove(0)], orthogonal().subcols(0, 1)).unwrap();
    for (gp, processes) in [(oilmm(), 2), (single, 1)] {
        let posterior = gp.condition(x.as_ref(), y.as_ref()).unwrap();
        let latents = posterior.latents();
        assert_eq!(latents.predict(x.as_ref()).unwrap().variance.len(), 7 * processes);
        let error = latents.predict_observations(x.as_ref()).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        let error = latents.log_predictive_density(x.as_ref(), &[0.0; 7]).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }
}

/// Columns of W at an angle of 1e-6, or of 1/1024 in single precision: one pass of Gram–Schmidt by a Cholesky
/// decomposition would leave U orthogonal to no more than the precision times the square of the inverse.
#[test]
fn nearly_parallel_columns_make_an_orthonormal_basis() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let start = Mat::<f64>::identity(4, 2);
    let at_an_angle = |angle: f64| {
        let mut gp = Oilmm::new(kernels(), start.as_ref()).unwrap().with_noise(0.2).unwrap();
        for (row, (first, other)) in [(1.0, 0.5), (0.5, -1.0), (-0.75, 0.25), (0.25, 1.0)].into_iter().enumerate() {
            gp.set(&format!("mixing.basis[{row}, 0]"), first).unwrap();
            gp.set(&format!("mixing.basis[{row}, 1]"), first + angle * other).unwrap();
        }
        gp
    };
    let gp = at_an_angle(1e-6);
    let h = gp.mixing().unwrap();
    assert!((h.transpose() * &h - Mat::<f64>::identity(2, 2)).norm_max() < 1e-14);
    let grams: Vec<Mat<f64>> = kernels().iter().map(|kernel| kernel.gram(x.as_ref()).unwrap()).collect();
    let mut covariance = mixed_covariance(&h, &grams);
    (0..28).for_each(|i| covariance[(i, i)] += 0.2);
    // The two make the same U, but for ε/1e-6.
    assert_close(
        gp.log_evidence(x.as_ref(), y.as_ref()).unwrap(),
        log_normal(&by_columns(y.as_ref()), &covariance),
        1e-9,
    );

    let gp = at_an_angle(1.0 / 1024.0);
    let (x32, y32) = (single(&x), single(&y));
    let expected = gp.log_evidence(x.as_ref(), y.as_ref()).unwrap();
    assert_close(gp.log_evidence(x32.as_ref(), y32.as_ref()).unwrap(), expected, 1e-5);
}

#[test]
fn principal_components_start_an_orthogonal_mixture() {
    let (x, h) = (inputs(), orthogonal());
    let y = Mat::from_fn(7, 4, |row, p| {
        (0..2).map(|l| h[(p, l)] * (x[(row, l)] + l as f64).sin()).sum::<f64>() + 0.1 * uniform(7, 4, 6)[(row, p)]
    });
    let start = Oilmm::principal(kernels(), y.as_ref(), 2).unwrap();
    let found = start.mixing().unwrap();
    // The columns of H are in its span, to the noise.
    let along = &found * (found.transpose() * &found).partial_piv_lu().solve(found.transpose() * &h);
    assert!((along - &h).norm_max() < 0.3, "{found:?}");
    let arbitrary = Oilmm::new(kernels(), Mat::<f64>::identity(4, 2).as_ref()).unwrap().with_noise(0.5).unwrap();
    let evidence = |gp: &Oilmm| gp.log_evidence(x.as_ref(), y.as_ref()).unwrap();
    assert!(evidence(&start) > evidence(&arbitrary) + 10.0);
    for processes in [0, 4] {
        assert!(matches!(Oilmm::principal(kernels(), y.as_ref(), processes), Err(Error::Setting { .. })));
    }
    // Values of one process leave no variance.
    for (outputs, seed) in (2..6).flat_map(|outputs| (0..20).map(move |seed| (outputs, seed))) {
        let slopes = uniform(outputs, 1, seed);
        let line = Mat::from_fn(7, outputs, |row, p| slopes[(p, 0)] * x[(row, 0)]);
        let of_one = Oilmm::principal(vec![kernels().remove(0)], line.as_ref(), 1);
        assert!(matches!(of_one, Err(Error::Setting { .. })), "{outputs} {seed}");
    }
}

#[test]
fn a_missing_value_of_a_grid_is_named() {
    let (x, mut y) = (inputs(), uniform(7, 4, 2));
    y[(5, 2)] = f64::NAN;
    let error = oilmm().log_evidence(x.as_ref(), y.as_ref()).unwrap_err();
    assert!(error.to_string().starts_with("y[5, 2] is missing"), "{error}");
}

/// At Z = X the bound is the evidence where the posterior of the latent functions is independent: one step of natural
/// gradients reaches it.
#[test]
fn a_sparse_mixture_at_all_inputs_is_the_orthogonal_mixture() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let exact = Oilmm::new(kernels(), orthogonal().as_ref()).unwrap().with_noise(0.2).unwrap();
    let mixing = LinearMixing::gaussian(orthogonal().as_ref(), &[0.2; 4]).unwrap();
    let mut sparse = Svgp::new(kernels().remove(0), x.as_ref()).unwrap().with_likelihood(mixing);
    sparse = sparse.with_kernels(kernels()).unwrap();
    sparse.natural_step(x.as_ref(), &by_columns(y.as_ref()), 7, &NaturalGradient::default()).unwrap();
    let evidence = exact.log_evidence(x.as_ref(), y.as_ref()).unwrap();
    assert_close(sparse.elbo(x.as_ref(), &by_columns(y.as_ref())).unwrap().value, evidence, 1e-11);

    let at = uniform(3, 2, 3);
    let found = sparse.posterior::<f64>().unwrap().predict_joint(at.as_ref()).unwrap();
    let expected = exact.condition(x.as_ref(), y.as_ref()).unwrap().predict(at.as_ref()).unwrap();
    assert!((&found.mean - &expected.mean).norm_max() < 1e-10);
    for row in 0..3 {
        assert!((found.covariance(row).unwrap() - expected.covariance(row).unwrap()).norm_max() < 1e-10);
    }
}

fn with_gaps() -> Mat<f64> {
    let mut y = uniform(7, 3, 4);
    [(0, 1), (3, 1), (3, 2), (6, 0)].iter().for_each(|&place| y[place] = f64::NAN);
    y
}

/// One latent function with values missing: bound and predictions are those of the dense Gaussian of what was observed.
#[test]
fn missing_values_contribute_nothing() {
    let (x, y, weights, noises) = (inputs(), with_gaps(), mat![[1.0], [-0.5], [2.0]], [0.1, 0.3, 0.2]);
    let mixing = LinearMixing::gaussian(weights.as_ref(), &noises).unwrap();
    let kernel = Rbf::new(1.3);
    let mut sparse = Svgp::new(kernel.clone(), x.as_ref()).unwrap().with_likelihood(mixing);
    sparse.natural_step(x.as_ref(), &by_columns(y.as_ref()), 7, &NaturalGradient::default()).unwrap();

    let covariance = mixed_covariance(&weights, &[kernel.gram(x.as_ref()).unwrap()]);
    let seen: Vec<usize> = (0..21).filter(|&i| !by_columns(y.as_ref())[i].is_nan()).collect();
    let observed =
        Mat::from_fn(17, 17, |i, j| covariance[(seen[i], seen[j])] + if i == j { noises[seen[i] / 7] } else { 0.0 });
    let residual: Vec<f64> = seen.iter().map(|&i| by_columns(y.as_ref())[i]).collect();
    assert_close(
        sparse.elbo(x.as_ref(), &by_columns(y.as_ref())).unwrap().value,
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

fn numbers_and_classes() -> Vec<f64> {
    let mut y = with_gaps();
    y.col_as_slice_mut(1).iter_mut().filter(|y| !y.is_nan()).for_each(|y| *y = f64::from(u8::from(*y > 0.0)));
    by_columns(y.as_ref())
}

#[test]
fn gradients_of_a_sparse_mixture() {
    let (x, y) = (inputs(), numbers_and_classes());
    let mut sparse = several_likelihoods();
    sparse.natural_step(x.as_ref(), &y, 7, &NaturalGradient { rate: 0.3, ..NaturalGradient::default() }).unwrap();
    let (_, gradient) = sparse.elbo_gradient(x.as_ref(), &y, 7).unwrap();
    check_model("a sparse mixture", &sparse, &gradient, 1e-6, |sparse| sparse.elbo(x.as_ref(), &y).unwrap().value);
}

/// The bounds of batches that are the data together are, on average, the bound.
#[test]
fn batches_are_unbiased() {
    let (x, y, sparse) = (inputs(), numbers_and_classes(), several_likelihoods());
    let of_rows = |rows: &[usize]| {
        let batch_x = Mat::from_fn(rows.len(), 2, |row, col| x[(rows[row], col)]);
        let batch_y: Vec<f64> = (0..3).flat_map(|p| rows.iter().map(move |row| 7 * p + row)).map(|i| y[i]).collect();
        sparse.elbo_of_batch(batch_x.as_ref(), &batch_y, 7).unwrap().expected_log_likelihood * rows.len() as f64 / 7.0
    };
    let whole = sparse.elbo(x.as_ref(), &y).unwrap().expected_log_likelihood;
    assert_close(of_rows(&[4, 0, 2]) + of_rows(&[1, 6]) + of_rows(&[5, 3]), whole, 1e-13);
    let mut trained = sparse.clone();
    let train = Train { steps: 40, batch: Some(3), adam: Adam { rate: 0.05, ..Adam::default() }, ..Train::default() };
    trained.train(x.as_ref(), &y, &train, &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap();
    assert!(trained.elbo(x.as_ref(), &y).unwrap().value > sparse.elbo(x.as_ref(), &y).unwrap().value + 1.0);
}

#[test]
fn several_outputs_are_checked() {
    let (x, sparse) = (inputs(), several_likelihoods());
    let mut y = numbers_and_classes();
    assert!(matches!(sparse.elbo(x.as_ref(), &y[..7]), Err(Error::Shape { .. })));
    assert!(matches!(
        sparse.posterior::<f64>().unwrap().log_predictive_density(x.as_ref(), &y[..7]),
        Err(Error::Shape { .. })
    ));
    let predicted = sparse.posterior::<f64>().unwrap().log_predictive_density(x.as_ref(), &y).unwrap();
    assert_eq!((predicted.len(), predicted[7]), (21, 0.0));
    y[8] = 0.5;
    let train = Train { steps: 1, batch: Some(3), ..Train::default() };
    let error = sparse.clone().train(x.as_ref(), &y, &train, &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap_err();
    assert!(matches!(error, Error::Observation { row: 8, .. }), "{error}");
    y[8] = f64::INFINITY;
    assert!(matches!(sparse.elbo(x.as_ref(), &y), Err(Error::NonFinite { row: 8, .. })));
}

/// An output without any observation, of all data or of a batch; and a single output with some.
#[test]
fn an_output_that_was_never_observed_is_named() {
    let (x, mut sparse) = (inputs(), several_likelihoods());
    let mut y = numbers_and_classes();
    y[7..14].fill(f64::NAN);
    let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    let train = Train { steps: 1, batch: Some(3), ..Train::default() };
    let lbfgs = Lbfgs { max_steps: 1, ..Lbfgs::default() };
    let errors = [
        sparse.elbo(x.as_ref(), &y).unwrap_err(),
        sparse.elbo_gradient(x.as_ref(), &y, 7).unwrap_err(),
        sparse.natural_step(x.as_ref(), &y, 7, &NaturalGradient::default()).unwrap_err(),
        sparse.fit(x.as_ref(), &y, &lbfgs).unwrap_err(),
        sparse.train(x.as_ref(), &y, &train, &mut rng).unwrap_err(),
        sparse.train_natural(x.as_ref(), &y, &train, &NaturalGradient::default(), &mut rng).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::Empty { what } if what.contains("output 1")), "{error}");
    }
    assert!(sparse.elbo_of_batch(x.as_ref(), &y, 100).is_ok());

    let one = LinearMixing::gaussian(mat![[2.0]].as_ref(), &[0.3]).unwrap();
    let gp = Svgp::new(Rbf::new(1.0), x.as_ref()).unwrap().with_likelihood(one);
    let y = [0.1, f64::NAN, 0.4, 0.2, f64::NAN, -0.3, 0.0];
    let seen: Vec<usize> = (0..7).filter(|&row| !y[row].is_nan()).collect();
    let (x_seen, y_seen) = (Mat::from_fn(5, 2, |row, col| x[(seen[row], col)]), seen.iter().map(|&row| y[row]));
    let (with, without) = (gp.elbo(x.as_ref(), &y), gp.elbo(x_seen.as_ref(), &y_seen.collect::<Vec<_>>()));
    assert_close(with.unwrap().value, without.unwrap().value, 1e-12);
    assert!(matches!(gp.elbo(x.as_ref(), &[f64::NAN; 7]), Err(Error::Empty { .. })));
}

#[test]
fn predictions_of_shapes_that_do_not_fit_are_refused() {
    let good = JointPrediction {
        mean: Mat::<f64>::zeros(3, 2),
        mixing: Mat::zeros(2, 1),
        latent_variance: Mat::zeros(3, 1),
        noise: vec![1.0; 2],
        clamped: 0,
    };
    assert!(good.of(1).is_ok() && good.covariance(2).is_ok() && good.log_density(good.mean.as_ref()).is_ok());
    for last in [2, usize::MAX] {
        assert!(matches!(good.of(last), Err(Error::Rows { .. })));
        assert!(matches!(good.covariance(last.max(3)), Err(Error::Rows { .. })));
    }
    let bad = [
        JointPrediction { noise: vec![1.0; 3], ..good.clone() },
        JointPrediction { mixing: Mat::zeros(1, 1), ..good.clone() },
        JointPrediction { mixing: Mat::zeros(2, 2), ..good.clone() },
        JointPrediction { latent_variance: Mat::zeros(2, 1), ..good.clone() },
        JointPrediction { mean: Mat::zeros(3, 1), ..good },
    ];
    for predicted in bad {
        assert!(matches!(predicted.of(1), Err(Error::Shape { .. })));
        assert!(matches!(predicted.covariance(2), Err(Error::Shape { .. })));
        assert!(matches!(predicted.log_density(predicted.mean.as_ref()), Err(Error::Shape { .. })));
    }
    let [grid, _] = on_a_grid();
    let (x, y) = (inputs(), uniform(7, grid.outputs(), 2));
    let posterior = grid.condition(x.as_ref(), y.as_ref()).unwrap();
    assert!(matches!(posterior.covariance(x.as_ref(), (0, usize::MAX)), Err(Error::Rows { .. })));
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

/// Stacked rows through kernels of indices, dense and sparse, with noise of its own for each output.
#[test]
fn stacked_outputs_are_the_dense_gaussian() {
    let (x, y) = (inputs(), with_gaps());
    let smooth = Coregionalization::new(mat![[1.0], [-0.5], [2.0]], [0.1, 0.2, 0.3]);
    let rough = Coregionalization::new(mat![[0.5], [0.5], [0.1]], [0.2, 0.1, 0.4]);
    let terms = [(Rbf::new(1.3).dynamic(), smooth.clone()), (Matern12::new(0.6).dynamic(), rough.clone())];
    let noises = [0.05, 0.25, 0.15];
    let kernel = lcm(terms, 2).unwrap() + BlockDiagonal::new(noises.map(White::new));
    let stacked = Stacked::with_missing(x.as_ref(), y.as_ref()).unwrap();

    let (first, second): (Mat<f64>, Mat<f64>) =
        (Rbf::new(1.3).gram(x.as_ref()).unwrap(), Matern12::new(0.6).gram(x.as_ref()).unwrap());
    let seen: Vec<usize> = (0..21).filter(|&i| !by_columns(y.as_ref())[i].is_nan()).collect();
    let entry = |b: &Coregionalization, p: usize, q: usize| b.eval(&[p as f64], &[q as f64]).unwrap();
    let covariance = Mat::from_fn(17, 17, |i, j| {
        let ((n, p), (m, q)) = ((seen[i] % 7, seen[i] / 7), (seen[j] % 7, seen[j] / 7));
        let noise = if i == j { 0.1 + noises[p] } else { 0.0 };
        entry(&smooth, p, q) * first[(n, m)] + entry(&rough, p, q) * second[(n, m)] + noise
    });
    let residual: Vec<f64> = seen.iter().map(|&i| by_columns(y.as_ref())[i]).collect();
    let exact = ExactGp::new(kernel).with_noise(0.1).unwrap();
    let evidence = exact.log_evidence(stacked.x(), stacked.y()).unwrap();
    assert_close(evidence, log_normal(&residual, &covariance), 1e-12);
    let (_, gradient) = exact.log_evidence_gradient(stacked.x(), stacked.y()).unwrap();
    let value = |gp: &ExactGp<_>| gp.log_evidence(stacked.x(), stacked.y()).unwrap();
    check_model("stacked outputs", &exact, &gradient, 1e-7, value);

    let kernel = icm(Rbf::new(1.3), 2, smooth);
    let exact = ExactGp::new(kernel.clone()).with_noise(0.1).unwrap();
    let mut sparse = Svgp::new(kernel, stacked.x()).unwrap().with_likelihood(Gaussian::new(0.1));
    sparse.natural_step(stacked.x(), stacked.y(), 17, &NaturalGradient::default()).unwrap();
    let bound = sparse.elbo(stacked.x(), stacked.y()).unwrap().value;
    assert_close(bound, exact.log_evidence(stacked.x(), stacked.y()).unwrap(), 1e-10);
}

fn outputs() -> Coregionalization {
    Coregionalization::new(mat![[1.0, 0.2], [-0.5, 0.4], [2.0, -0.3]], [0.1, 0.2, 0.3])
}

/// Independent noise, and correlated noise.
fn on_a_grid() -> [IcmGp<Matern52>; 2] {
    let means = [0.3, -0.2, 0.1].map(|level| DynMean::new(ConstantMean::new(level))).to_vec();
    let gp = IcmGp::new(Matern52::new(1.4), outputs()).with_means(means).unwrap();
    let correlated = Coregionalization::new(mat![[0.3], [0.2], [-0.1]], [0.1, 0.2, 0.05]);
    [gp.clone().with_noise(&[0.1, 0.3, 0.2]).unwrap(), gp.with_correlated_noise(correlated).unwrap()]
}

/// Σ of either.
fn noise_covariances() -> [Mat<f64>; 2] {
    let v = [0.3, 0.2, -0.1];
    let diagonal = |values: [f64; 3]| Mat::from_fn(3, 3, |i, j| if i == j { values[i] } else { 0.0 });
    [diagonal([0.1, 0.3, 0.2]), diagonal([0.1, 0.2, 0.05]) + Mat::from_fn(3, 3, |i, j| v[i] * v[j])]
}

#[test]
fn a_grid_is_the_dense_gaussian() {
    let (x, y, at, kernel) = (inputs(), uniform(7, 3, 2), uniform(4, 2, 3), Matern52::new(1.4));
    let b: Mat<f64> = outputs().gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap();
    let product = |gram: Mat<f64>| {
        let (n, m) = gram.shape();
        Mat::from_fn(3 * n, 3 * m, |i, j| b[(i / n, j / m)] * gram[(i % n, j % m)])
    };
    let cross = product(kernel.cross(at.as_ref(), x.as_ref()).unwrap());
    let (signal, prior) = (product(kernel.gram(x.as_ref()).unwrap()), product(kernel.gram(at.as_ref()).unwrap()));
    let means = [0.3, -0.2, 0.1];
    let residual: Vec<f64> = by_columns(y.as_ref()).iter().enumerate().map(|(i, y)| y - means[i / 7]).collect();
    for (gp, sigma) in on_a_grid().iter().zip(noise_covariances()) {
        let covariance =
            Mat::from_fn(21, 21, |i, j| signal[(i, j)] + if i % 7 == j % 7 { sigma[(i / 7, j / 7)] } else { 0.0 });
        assert_close(gp.log_evidence(x.as_ref(), y.as_ref()).unwrap(), log_normal(&residual, &covariance), 1e-12);

        let factor = covariance.llt(faer::Side::Lower).unwrap();
        let mean = &cross * factor.solve(Mat::from_fn(21, 1, |row, _| residual[row]));
        let left = &prior - &cross * factor.solve(cross.transpose());
        let posterior: IcmPosterior<'_, f64> = gp.condition(x.as_ref(), y.as_ref()).unwrap();
        let predicted = posterior.predict(at.as_ref()).unwrap();
        let observed = posterior.predict_observations(at.as_ref()).unwrap();
        for (p, q) in (0..3).flat_map(|p| (0..3).map(move |q| (p, q))) {
            let joint = posterior.covariance(at.as_ref(), (p, q)).unwrap();
            for row in 0..4 {
                assert_close(predicted.mean[(row, p)], mean[(4 * p + row, 0)] + means[p], 1e-12);
                assert_close(predicted.covariance(row).unwrap()[(p, q)], left[(4 * p + row, 4 * q + row)], 1e-12);
                let with_noise = left[(4 * p + row, 4 * q + row)] + sigma[(p, q)];
                assert_close(observed.covariance(row).unwrap()[(p, q)], with_noise, 1e-12);
                (0..4).for_each(|col| assert_close(joint[(row, col)], left[(4 * p + row, 4 * q + col)], 1e-12));
            }
        }
        let next = Mat::from_fn(4, 3, |row, p| predicted.mean[(row, p)] + 0.1 * (row + p) as f64);
        let miss: Vec<f64> = (0..3).map(|p| 0.1 * (2 + p) as f64).collect();
        let expected = log_normal(&miss, &Mat::from_fn(3, 3, |p, q| left[(4 * p + 2, 4 * q + 2)] + sigma[(p, q)]));
        assert_close(observed.log_density(next.as_ref()).unwrap()[2], expected, 1e-11);
    }
}

#[test]
fn gradients_on_a_grid() {
    let (x, y) = (inputs(), uniform(7, 3, 2));
    for gp in on_a_grid() {
        let (value, gradient) = gp.log_evidence_gradient(x.as_ref(), y.as_ref()).unwrap();
        let evidence = |gp: &IcmGp<Matern52>| gp.log_evidence(x.as_ref(), y.as_ref()).unwrap();
        assert_eq!(value, evidence(&gp));
        check_model("a grid", &gp, &gradient, 1e-7, evidence);
    }
}

/// The same model by rows (x, p), dense.
#[test]
fn a_grid_is_its_stacked_rows() {
    let (x, y, at) = (inputs(), uniform(7, 3, 2), uniform(4, 2, 3));
    let grid = IcmGp::new(Matern52::new(1.4), outputs()).with_noise(&[0.1, 0.3, 0.2]).unwrap();
    let own = BlockDiagonal::new([0.05, 0.25, 0.15].map(White::new));
    let rows = ExactGp::new(icm(Matern52::new(1.4), 2, outputs()) + own).with_noise(0.05).unwrap();
    let stacked = Stacked::with_missing(x.as_ref(), y.as_ref()).unwrap();
    let evidence = rows.log_evidence(stacked.x(), stacked.y()).unwrap();
    assert_close(grid.log_evidence(x.as_ref(), y.as_ref()).unwrap(), evidence, 1e-12);
    let posterior = rows.condition(stacked.x(), stacked.y()).unwrap();
    let functions = posterior.predict(stacked.points(at.as_ref()).as_ref()).unwrap();
    let of_grid = grid.condition(x.as_ref(), y.as_ref()).unwrap().predict(at.as_ref()).unwrap();
    for (p, (by_rows, own)) in stacked.unstack(&functions).unwrap().iter().zip([0.05, 0.25, 0.15]).enumerate() {
        let without = of_grid.of(p).unwrap().variance;
        (0..4).for_each(|row| assert_close(by_rows.variance[row], without[row] + own, 1e-12));
    }
    let by_rows = posterior.predict_observations(stacked.points(at.as_ref()).as_ref()).unwrap();
    let by_grid = grid.condition(x.as_ref(), y.as_ref()).unwrap().predict_observations(at.as_ref()).unwrap();
    for (p, by_rows) in stacked.unstack(&by_rows).unwrap().iter().enumerate() {
        let by_grid = by_grid.of(p).unwrap();
        (0..4).for_each(|row| assert_close(by_grid.mean[row], by_rows.mean[row], 1e-12));
        (0..4).for_each(|row| assert_close(by_grid.variance[row], by_rows.variance[row], 1e-12));
    }
}

#[test]
fn one_output_is_a_process() {
    let (x, y) = (inputs(), uniform(7, 1, 2));
    let grid = IcmGp::new(Rbf::new(1.3), Coregionalization::new(mat![[0.0]], [1.7])).with_noise(&[0.2]).unwrap();
    let exact = ExactGp::new(1.7 * Rbf::new(1.3)).with_noise(0.2).unwrap();
    let evidence = exact.log_evidence(x.as_ref(), &by_columns(y.as_ref())).unwrap();
    assert_close(grid.log_evidence(x.as_ref(), y.as_ref()).unwrap(), evidence, 1e-13);
    assert_close(grid.log_evidence(single(&x).as_ref(), single(&y).as_ref()).unwrap(), evidence, 1e-5);
}

/// A dense covariance of these 20,000 values would take 3.2 GB.
#[test]
fn many_outputs_take_no_dense_covariance() {
    let x = Mat::from_fn(100, 1, |row, _| 0.1 * row as f64);
    let y = Mat::from_fn(100, 200, |row, p| (0.1 * row as f64 + 0.01 * p as f64).sin());
    let weights = Mat::from_fn(200, 2, |p, r| [f64::cos, f64::sin][r](0.01 * p as f64));
    let gp = IcmGp::new(Rbf::new(1.0), Coregionalization::new(weights, vec![0.01; 200]));
    let gp = gp.with_noise(&[0.01; 200]).unwrap();
    let (_, gradient) = gp.log_evidence_gradient(x.as_ref(), y.as_ref()).unwrap();
    assert!(gradient.iter().all(|entry| entry.is_finite()));
    let predicted = gp.condition(x.as_ref(), y.as_ref()).unwrap().predict(mat![[3.33]].as_ref()).unwrap();
    (0..200).for_each(|p| assert_close(predicted.mean[(0, p)], (3.33 + 0.01 * p as f64).sin(), 0.01));
}

#[test]
fn what_does_not_fit_a_grid_is_refused() {
    let (x, mut y, [gp, _]) = (inputs(), uniform(7, 3, 2), on_a_grid());
    assert!(matches!(gp.log_evidence(x.as_ref(), y.as_ref().subcols(0, 2)), Err(Error::Shape { .. })));
    assert!(matches!(gp.log_evidence(x.as_ref().subrows(0, 6), y.as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(gp.clone().with_noise(&[0.1]), Err(Error::Shape { .. })));
    assert!(matches!(gp.clone().with_means(vec![DynMean::new(ConstantMean::new(0.0))]), Err(Error::Setting { .. })));
    let minus = IcmGp::new(-Rbf::new(1.0), outputs());
    assert!(matches!(minus.log_evidence(x.as_ref(), y.as_ref()), Err(Error::Indefinite { .. })));
    assert!(minus.allow_indefinite().log_evidence(x.as_ref(), y.as_ref()).is_err());
    y[(1, 2)] = f64::NAN;
    let error = gp.log_evidence(x.as_ref(), y.as_ref()).unwrap_err();
    assert!(error.to_string().starts_with("y[1, 2] is missing"), "{error}");
}
