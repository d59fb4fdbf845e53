//! Natural gradients of the sparse variational process.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use mercer::gp::{ExactGp, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::optim::{Adam, NaturalGradient, Schedule, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use mercer::tape::Tape;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

type Model = Svgp<Scaled<Matern52>>;

const NOISE: f64 = 0.07;

fn data(n: usize) -> (Mat<f64>, Vec<f64>) {
    let mut rng = Pcg64::seed_from_u64(1);
    let x = Mat::from_fn(n, 2, |_, _| rng.random_range(-2.0..2.0));
    let y = (0..n).map(|row| x[(row, 0)].sin() - 0.4 * x[(row, 1)] + 0.3 * rng.random_range(-1.0..1.0)).collect();
    (x, y)
}

fn model(m: usize) -> Model {
    let (z, _) = data(200);
    let kernel = 1.3 * Matern52::new([1.2, 0.8]);
    Svgp::new(kernel, z.subrows(0, m)).unwrap().with_likelihood(Gaussian::new(NOISE)).with_par(Par::Seq)
}

/// A q far from the prior and from the optimum.
fn elsewhere(m: usize) -> Variational {
    let mut rng = Pcg64::seed_from_u64(3);
    let mean: Vec<f64> = (0..m).map(|_| rng.random_range(-2.0..2.0)).collect();
    let factor = Mat::from_fn(m, m, |i, j| if i == j { 0.7 } else { 0.1 * rng.random_range(-1.0..1.0) });
    Variational::new(&mean, factor.as_ref()).unwrap()
}

/// Titsias' collapsed bound, log N(y; 0, Q + σ²I) − tr(K − Q)/2σ², written on the tape.
fn collapsed_bound(model: &Model, x: &Mat<f64>, y: &[f64]) -> f64 {
    let tape = Tape::new(Par::Seq);
    let kernel = tape.fixed_kernel(model.kernel());
    let z = tape.constant(model.inducing().inputs());
    let (x, y) = (tape.constant(x.as_ref()), tape.constant_owned(Mat::from_fn(y.len(), 1, |row, _| y[row])));
    let bound = || -> Result<f64, Error> {
        let (l, _) = tape.cholesky(tape.gram(kernel, z)?, Jitter::default())?;
        let a = tape.solve_lower(l, tape.cross(kernel, z, x)?)?;
        let q = tape.matmul_tn(a, a)?;
        let covariance = tape.add_to_diagonal(q, tape.scalar_constant(NOISE))?;
        let (density, _) = tape.gaussian_log_density(y, covariance, Jitter::Fixed(0.0))?;
        let unexplained = tape.scalar(tape.sum(tape.diag(kernel, x)?)?)? - tape.scalar(tape.trace(q)?)?;
        Ok(tape.scalar(density)? - 0.5 * unexplained / NOISE)
    };
    bound().unwrap()
}

#[test]
fn one_full_step_leads_to_the_collapsed_bound_from_anywhere() {
    let (x, y) = data(80);
    let collapsed = collapsed_bound(&model(15), &x, &y);
    for q in [Variational::prior(15).unwrap(), elsewhere(15)] {
        for q in [q.clone(), q.unwhitened()] {
            let mut model = model(15).with_variational(q).unwrap();
            let before = model.elbo(x.as_ref(), &y).unwrap();
            let step = model.natural_step(x.as_ref(), &y, 80, &NaturalGradient::default()).unwrap();
            assert_eq!((step.elbo, step.rate), (before, 1.0));
            let after = model.elbo(x.as_ref(), &y).unwrap().value;
            assert!(before.value < collapsed - 1.0);
            assert!((after - collapsed).abs() < 1e-8, "{after} is not {collapsed}");
        }
    }
}

/// With all inputs inducing ones the best bound is the evidence, for q in either coordinates.
#[test]
fn at_all_inputs_one_step_gives_the_exact_process() {
    let (x, y) = data(30);
    let exact = ExactGp::new(model(2).kernel().clone()).with_noise(NOISE).unwrap();
    let evidence = exact.log_evidence(x.as_ref(), &y).unwrap();
    let exact = exact.condition(x.as_ref(), &y).unwrap();
    let (at, _) = data(50);
    let expected = exact.predict(at.as_ref()).unwrap();
    for q in [elsewhere(30), elsewhere(30).unwhitened()] {
        let sparse = Svgp::new(model(2).kernel().clone(), x.as_ref()).unwrap();
        let mut sparse = sparse.with_likelihood(Gaussian::new(NOISE)).with_variational(q).unwrap();
        sparse.natural_step(x.as_ref(), &y, 30, &NaturalGradient::default()).unwrap();
        let bound = sparse.elbo(x.as_ref(), &y).unwrap().value;
        assert!((bound - evidence).abs() < 1e-9, "{bound} is not {evidence}");
        let found = sparse.posterior().unwrap().predict(at.as_ref()).unwrap();
        for row in 0..50 {
            assert!((found.mean[row] - expected.mean[row]).abs() < 1e-9);
            assert!((found.variance[row] - expected.variance[row]).abs() < 1e-9);
        }
    }
}

/// The natural gradient does not depend on the coordinates: whitened and unwhitened q stay one.
#[test]
fn damped_steps_agree_in_both_coordinates() {
    let (x, y) = data(80);
    let rule = NaturalGradient { rate: 0.3, ..NaturalGradient::default() };
    let mut whitened = model(8).with_variational(elsewhere(8)).unwrap();
    let gram = whitened.kernel().gram(whitened.inducing().inputs()).unwrap();
    let l = mercer::linalg::Cholesky::new(gram.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap().into_factor();
    let mean = &l * MatRef::from_column_major_slice(whitened.variational().mean(), 8, 1);
    let factor = &l * whitened.variational().factor().unwrap();
    let q = Variational::new(mean.col_as_slice(0), factor.as_ref()).unwrap().unwhitened();
    let mut unwhitened = model(8).with_variational(q).unwrap();
    for batch in 0..4 {
        let (x, y) = (x.subrows(20 * batch, 20), &y[20 * batch..20 * batch + 20]);
        let a = whitened.natural_step(x, y, 80, &rule).unwrap();
        let b = unwhitened.natural_step(x, y, 80, &rule).unwrap();
        assert!((a.elbo.value - b.elbo.value).abs() < 1e-9 * a.elbo.value.abs());
        let expected = &l * MatRef::from_column_major_slice(whitened.variational().mean(), 8, 1);
        let found = MatRef::from_column_major_slice(unwhitened.variational().mean(), 8, 1);
        assert!((found - expected).norm_max() < 1e-9);
        let expected = &l * whitened.variational().covariance() * l.transpose();
        assert!((unwhitened.variational().covariance() - expected).norm_max() < 1e-9);
    }
}

/// The mean of the bound over all batches of a partition is the bound on all data, for every form of q.
#[test]
fn minibatches_are_unbiased() {
    let (x, y) = data(90);
    let forms = [elsewhere(6), Variational::diagonal(&[0.3; 6], &[0.5; 6]).unwrap(), elsewhere(6).unwhitened()];
    for q in forms {
        let model = model(6).with_variational(q).unwrap();
        let whole = model.elbo(x.as_ref(), &y).unwrap().value;
        let parts = (0..9).map(|i| model.elbo_of_batch(x.subrows(10 * i, 10), &y[10 * i..][..10], 90).unwrap().value);
        let mean = parts.sum::<f64>() / 9.0;
        assert!((mean - whole).abs() < 1e-12 * whole.abs(), "{mean} is not {whole}");
    }
}

/// With the hyperparameters and Z frozen, natural steps on minibatches hover about the optimum; then Adam
/// moves the rest while q follows.
#[test]
fn training_interleaves_with_adam() {
    let (x, y) = data(200);
    let train = Train { steps: 60, batch: Some(50), ..Train::default() };
    let rule = NaturalGradient { rate: 0.1, schedule: Schedule::Constant.warm_up(5) };

    let mut fixed = model(15);
    for part in ["kernel", "likelihood", "inducing"] {
        fixed.freeze(part).unwrap();
    }
    let collapsed = collapsed_bound(&fixed, &x, &y);
    fixed.train_natural(x.as_ref(), &y, &train, &rule, &mut Pcg64::seed_from_u64(1)).unwrap();
    let reached = fixed.elbo(x.as_ref(), &y).unwrap().value;
    assert!(reached < collapsed && reached > collapsed - 10.0, "{reached} {collapsed}");

    let run = |seed| {
        let mut free = model(15);
        let history = free.train_natural(x.as_ref(), &y, &train, &rule, &mut Pcg64::seed_from_u64(seed)).unwrap();
        (free, history)
    };
    let (free, history) = run(1);
    assert_eq!(history.steps, 60);
    assert!(free.elbo(x.as_ref(), &y).unwrap().value > reached + 5.0);
    assert!(free.parameters().iter().all(|entry| entry.free));
    let (again, _) = run(1);
    assert_eq!(free.values(), again.values());
    assert_ne!(free.values(), run(2).0.values());
}

/// q moves by the gradient at the parameters before Adam's step, and a prior counts for it too.
#[test]
fn a_step_of_training_is_a_natural_step_and_one_of_adam() {
    let (x, y) = data(60);
    let adam = Adam { rate: 0.05, ..Adam::default() };
    let mut trained = model(5);
    trained.set_prior("kernel.scaled.factor", Prior::gamma(2.0, 1.0).unwrap()).unwrap();
    let mut by_adam = trained.clone();
    let mut by_steps = trained.clone();
    let train = Train { steps: 1, adam, ..Train::default() };
    let mut rng = Pcg64::seed_from_u64(0);
    trained.train_natural(x.as_ref(), &y, &train, &NaturalGradient::default(), &mut rng).unwrap();
    by_adam.freeze("variational").unwrap();
    by_adam.train(x.as_ref(), &y, &train, &mut rng).unwrap();
    by_steps.natural_step(x.as_ref(), &y, 60, &NaturalGradient::default()).unwrap();
    let q = trained.num_params() - 5 - 15;
    assert_eq!(trained.values()[..q], by_adam.values()[..q]);
    let close = trained.values()[q..].iter().zip(&by_steps.values()[q..]).all(|(a, b)| (a - b).abs() < 1e-10);
    assert!(close);
}

#[test]
fn what_cannot_move_is_refused_and_failures_leave_sound_parameters() {
    let (x, y) = data(30);
    let rule = NaturalGradient::default();
    let mut rng = Pcg64::seed_from_u64(0);
    for q in [Variational::diagonal_prior(4).unwrap(), Variational::low_rank_prior(4, 1).unwrap()] {
        let mut model = model(4).with_variational(q).unwrap();
        assert!(matches!(model.natural_step(x.as_ref(), &y, 30, &rule), Err(Error::Setting { .. })));
        let error = model.train_natural(x.as_ref(), &y, &Train::default(), &rule, &mut rng).unwrap_err();
        assert!(error.to_string().contains("Variational::new"), "{error}");
    }
    let mut frozen = model(4);
    frozen.freeze("variational.mean[2]").unwrap();
    let error = frozen.natural_step(x.as_ref(), &y, 30, &rule).unwrap_err();
    assert!(error.to_string().contains("unfreeze"), "{error}");
    let bad = NaturalGradient { rate: 2.0, ..NaturalGradient::default() };
    assert!(matches!(model(4).natural_step(x.as_ref(), &y, 30, &bad), Err(Error::Setting { .. })));

    // Adam leaves the support of a prior: the parameters and the q before that step stay.
    let mut model = model(4);
    let path = "kernel.scaled.factor";
    model.set_prior(path, Prior::uniform(1.25, 1.35).unwrap()).unwrap();
    let train = |steps| Train { steps, adam: Adam { rate: 0.01, ..Adam::default() }, ..Train::default() };
    let mut steps = 0;
    let mut failed = model.clone();
    let outcome = failed.train_natural_with(x.as_ref(), &y, &train(100), &rule, &mut rng, |progress, _| {
        steps = progress.step + 1;
        ControlFlow::Continue(())
    });
    assert!(matches!(outcome, Err(Error::Parameter { .. })), "{outcome:?}");
    model.train_natural(x.as_ref(), &y, &train(steps - 1), &rule, &mut rng).unwrap();
    let (failed, sound) = (failed, model);
    let close = failed.values().iter().zip(sound.values()).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + b.abs()));
    assert!(close);
    let model = failed;
    assert!(model.parameters().iter().all(|entry| entry.free));
}
