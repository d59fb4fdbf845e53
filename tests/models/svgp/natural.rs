//! Natural gradients of the sparse variational process.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Svgp, Variational};
use mercer::likelihood::{Bernoulli, Gaussian, Heteroscedastic, NegativeBinomial, Poisson, StudentT};
use mercer::linalg::Jitter;
use mercer::optim::{Adam, Lbfgs, NaturalGradient, Schedule, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use mercer::testkit::{seed, trials};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::plane;
use crate::common::dense::{log_normal, noisy, projected};

type Random = Svgp<Scaled<Rbf>>;
type Kind = (&'static str, fn(Random) -> Random, fn(f64) -> f64);
type Model = Svgp<Scaled<Matern52>>;

const NOISE: f64 = 0.07;

fn model(m: usize) -> Model {
    let (z, _) = plane(200);
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

/// Titsias' collapsed bound, log N(y; 0, Q + σ²I) − tr(K − Q)/2σ².
fn collapsed_bound(model: &Model, x: &Mat<f64>, y: &[f64]) -> f64 {
    let q = projected(model.kernel(), &model.inducing().inputs().to_owned(), x, x);
    let unexplained = model.kernel().diag(x.as_ref()).unwrap().iter().sum::<f64>() - q.diagonal().column_vector().sum();
    log_normal(y, &noisy(&q, |_| NOISE)) - 0.5 * unexplained / NOISE
}

#[test]
fn one_full_step_leads_to_the_collapsed_bound_from_anywhere() {
    let (x, y) = plane(80);
    let data = Data::new(x.as_ref(), &y);
    let collapsed = collapsed_bound(&model(15), &x, &y);
    for q in [Variational::prior(15).unwrap(), elsewhere(15)] {
        for q in [q.clone(), q.unwhitened()] {
            let mut model = model(15).with_variational(q).unwrap();
            let before = model.objective(&data).unwrap();
            let step = model.natural_step(&data.part_of(80), &NaturalGradient::default()).unwrap();
            assert_eq!((step.elbo, step.rate), (before, 1.0));
            let after = model.objective(&data).unwrap().value;
            assert!(before.value < collapsed - 1.0);
            assert!((after - collapsed).abs() < 1e-8, "{after} is not {collapsed}");
        }
    }
}

/// With all inputs inducing ones the best bound is the evidence, for q in either coordinates.
#[test]
fn at_all_inputs_one_step_gives_the_exact_process() {
    let (x, y) = plane(30);
    let data = Data::new(x.as_ref(), &y);
    let exact = ExactGp::new(model(2).kernel().clone()).with_noise(NOISE).unwrap();
    let evidence = exact.objective(&data).unwrap();
    let exact = exact.condition(&data).unwrap();
    let (at, _) = plane(50);
    let expected = exact.predict(at.as_ref()).unwrap();
    for q in [elsewhere(30), elsewhere(30).unwhitened()] {
        let sparse = Svgp::new(model(2).kernel().clone(), x.as_ref()).unwrap();
        let mut sparse = sparse.with_likelihood(Gaussian::new(NOISE)).with_variational(q).unwrap();
        sparse.natural_step(&data.part_of(30), &NaturalGradient::default()).unwrap();
        let bound = sparse.objective(&data).unwrap().value;
        assert!((bound - evidence).abs() < 1e-9, "{bound} is not {evidence}");
        let found = sparse.posterior().unwrap().predict(at.as_ref()).unwrap();
        for row in 0..50 {
            assert!((found.mean[(row, 0)] - expected.mean[(row, 0)]).abs() < 1e-9);
            assert!((found.variance[(row, 0)] - expected.variance[(row, 0)]).abs() < 1e-9);
        }
    }
}

/// The natural gradient does not depend on the coordinates: whitened and unwhitened q stay one.
#[test]
fn damped_steps_agree_in_both_coordinates() {
    let (x, y) = plane(80);
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
        let a = whitened.natural_step(&Data::new(x, y).part_of(80), &rule).unwrap();
        let b = unwhitened.natural_step(&Data::new(x, y).part_of(80), &rule).unwrap();
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
    let (x, y) = plane(90);
    let forms = [elsewhere(6), Variational::diagonal(&[0.3; 6], &[0.5; 6]).unwrap(), elsewhere(6).unwhitened()];
    for q in forms {
        let model = model(6).with_variational(q).unwrap();
        let whole = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        let parts = (0..9)
            .map(|i| model.objective(&Data::new(x.subrows(10 * i, 10), &y[10 * i..][..10]).part_of(90)).unwrap().value);
        let mean = parts.sum::<f64>() / 9.0;
        assert!((mean - whole).abs() < 1e-12 * whole.abs(), "{mean} is not {whole}");
    }
}

/// With the hyperparameters and Z frozen, natural steps on minibatches hover about the optimum; then Adam
/// moves the rest while q follows.
#[test]
fn training_interleaves_with_adam() {
    let (x, y) = plane(200);
    let train = Train::new(60).with_batch(50);
    let rule = NaturalGradient { rate: 0.1, schedule: Schedule::Constant.warm_up(5) };

    let mut fixed = model(15);
    for part in ["kernel", "likelihood", "inducing"] {
        fixed.freeze(part).unwrap();
    }
    let collapsed = collapsed_bound(&fixed, &x, &y);
    fixed
        .train(
            &Data::new(x.as_ref(), &y),
            &train.clone().with_natural_gradients(rule.clone()),
            &mut Pcg64::seed_from_u64(1),
        )
        .unwrap();
    let reached = fixed.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    assert!(reached < collapsed && reached > collapsed - 10.0, "{reached} {collapsed}");

    let run = |seed| {
        let mut free = model(15);
        let history = free
            .train(
                &Data::new(x.as_ref(), &y),
                &train.clone().with_natural_gradients(rule.clone()),
                &mut Pcg64::seed_from_u64(seed),
            )
            .unwrap();
        (free, history)
    };
    let (free, history) = run(1);
    assert_eq!(history.steps, 60);
    assert!(free.objective(&Data::new(x.as_ref(), &y)).unwrap().value > reached + 5.0);
    assert!(free.parameters().iter().all(|entry| entry.free));
    let (again, _) = run(1);
    assert_eq!(free.values(), again.values());
    assert_ne!(free.values(), run(2).0.values());
}

/// q moves by the gradient at the parameters before Adam's step, and a prior counts for it too.
#[test]
fn a_step_of_training_is_a_natural_step_and_one_of_adam() {
    let (x, y) = plane(60);
    let data = Data::new(x.as_ref(), &y);
    let adam = Adam { rate: 0.05, ..Adam::default() };
    let mut trained = model(5);
    trained.set_prior("kernel.scaled.factor", Prior::gamma(2.0, 1.0).unwrap()).unwrap();
    let mut by_adam = trained.clone();
    let mut by_steps = trained.clone();
    let train = Train::new(1).with_adam(adam);
    let mut rng = Pcg64::seed_from_u64(0);
    trained.train(&data, &train.clone().with_natural_gradients(NaturalGradient::default().clone()), &mut rng).unwrap();
    by_adam.freeze("variational").unwrap();
    by_adam.train(&data, &train, &mut rng).unwrap();
    by_steps.natural_step(&data.part_of(60), &NaturalGradient::default()).unwrap();
    let q = trained.num_params() - 5 - 15;
    assert_eq!(trained.values()[..q], by_adam.values()[..q]);
    let close = trained.values()[q..].iter().zip(&by_steps.values()[q..]).all(|(a, b)| (a - b).abs() < 1e-10);
    assert!(close);
}

#[test]
fn what_cannot_move_is_refused_and_failures_leave_sound_parameters() {
    let (x, y) = plane(30);
    let rule = NaturalGradient::default();
    let mut rng = Pcg64::seed_from_u64(0);
    for q in [Variational::diagonal_prior(4).unwrap(), Variational::low_rank_prior(4, 1).unwrap()] {
        let mut model = model(4).with_variational(q).unwrap();
        assert!(matches!(
            model.natural_step(&Data::new(x.as_ref(), &y).part_of(30), &rule),
            Err(Error::Setting { .. })
        ));
        let error = model
            .train(&Data::new(x.as_ref(), &y), &Train::default().with_natural_gradients(rule.clone()), &mut rng)
            .unwrap_err();
        assert!(error.to_string().contains("Variational::new"), "{error}");
    }
    let mut frozen = model(4);
    frozen.freeze("variational.mean[2]").unwrap();
    let error = frozen.natural_step(&Data::new(x.as_ref(), &y).part_of(30), &rule).unwrap_err();
    assert!(error.to_string().contains("unfreeze"), "{error}");
    let bad = NaturalGradient { rate: 2.0, ..NaturalGradient::default() };
    assert!(matches!(model(4).natural_step(&Data::new(x.as_ref(), &y).part_of(30), &bad), Err(Error::Setting { .. })));

    // Adam leaves the support of a prior: the parameters and the q before that step stay.
    let mut model = model(4);
    let path = "kernel.scaled.factor";
    model.set_prior(path, Prior::uniform(1.25, 1.35).unwrap()).unwrap();
    let train = |steps| Train::new(steps).with_rate(0.01);
    let data = Data::new(x.as_ref(), &y);
    let mut failed = model.clone();
    let train = train(100).with_natural_gradients(rule);
    let (mut run, mut steps) = (failed.run(&data, &train).unwrap(), 0);
    let outcome = loop {
        match run.step(&mut rng) {
            Ok(progress) => steps = progress.unwrap().step + 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(outcome, Error::Parameter { .. }), "{outcome:?}");
    model.train(&data, &train.with_steps(steps - 1), &mut rng).unwrap();
    let (failed, sound) = (failed, model);
    let close = failed.values().iter().zip(sound.values()).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + b.abs()));
    assert!(close);
    let model = failed;
    assert!(model.parameters().iter().all(|entry| entry.free));
}

/// Likelihoods, log-concave or not, with an observation for a value of the function.
fn likelihoods() -> Vec<Kind> {
    let count: fn(f64) -> f64 = |f| f.exp().min(20.0).round();
    let sign: fn(f64) -> f64 = |f| f64::from(u8::from(f > 0.0));
    vec![
        ("Gaussian", |gp| gp.with_likelihood(Gaussian::new(0.01)), |f| f),
        ("logit", |gp| gp.with_likelihood(Bernoulli::logit()), sign),
        ("probit", |gp| gp.with_likelihood(Bernoulli::probit()), sign),
        ("Poisson", |gp| gp.with_likelihood(Poisson::new()), count),
        ("negative binomial", |gp| gp.with_likelihood(NegativeBinomial::new(2.0)), count),
        ("Student-t", |gp| gp.with_likelihood(StudentT::new(0.05, 2.5)), |f| if f > 0.8 { 30.0 } else { f }),
        ("heteroscedastic", |gp| gp.with_likelihood(Heteroscedastic::new()), |f| f),
    ]
}

/// A random model of one dimension with data, for a kind of likelihood: one whose bound is finite, as it is not where
/// the mean of an exponential of the function overflows.
fn random_model(rng: &mut Pcg64, kind: &Kind) -> (Random, Mat<f64>, Vec<f64>) {
    loop {
        let (model, x, y) = any_model(rng, kind);
        if model.objective(&Data::new(x.as_ref(), &y)).is_ok_and(|elbo| elbo.value.is_finite()) {
            return (model, x, y);
        }
    }
}

fn any_model(rng: &mut Pcg64, (_, seen, see): &Kind) -> (Random, Mat<f64>, Vec<f64>) {
    let (n, m) = (rng.random_range(3..20), rng.random_range(1..8));
    let x = Mat::from_fn(n, 1, |_, _| rng.random_range(-3.0..3.0));
    let y = (0..n).map(|row| see(2.0 * (2.0 * x[(row, 0)]).sin() + rng.random_range(-0.5..0.5))).collect();
    let kernel = 10f64.powf(rng.random_range(-1.0..3.0)) * Rbf::new(rng.random_range(0.3..2.0));
    let z = Mat::from_fn(m, 1, |i, _| -3.0 + 6.0 * (i as f64 + 0.5) / m as f64);
    let factor = Mat::from_fn(m, m, |i, j| if i == j { 0.7 } else { 0.1 * rng.random_range(-1.0..1.0) });
    let mean: Vec<f64> = (0..m).map(|_| 0.3 * rng.random_range(-1.0..1.0)).collect();
    let q = Variational::new(&mean, factor.as_ref()).unwrap();
    let q = if rng.random_bool(0.5) { q } else { q.unwhitened() };
    let gp = Svgp::new(kernel, z.as_ref()).unwrap().with_par(Par::Seq);
    let gp = seen(gp);
    let latents = gp.likelihood().latents();
    (gp.with_variationals(vec![q; latents]).unwrap(), x, y)
}

/// Whatever the model, the likelihood and the rate, a step from all data does not lower the bound, says what it reached,
/// and if there is none that raises it, leaves q.
#[test]
fn every_step_from_all_data_raises_the_bound() {
    let mut rng = Pcg64::seed_from_u64(seed(21));
    let kinds = likelihoods();
    for trial in 0..trials(42) {
        let kind = &kinds[trial % kinds.len()];
        let (mut model, x, y) = random_model(&mut rng, kind);
        let rule = NaturalGradient { rate: [1.0, 0.9, 0.5][trial % 3], ..NaturalGradient::default() };
        for number in 0..8 {
            let (q, before) = (model.variationals().to_vec(), model.objective(&Data::new(x.as_ref(), &y)).unwrap());
            let step = model.natural_step(&Data::new(x.as_ref(), &y).part_of(y.len()), &rule).unwrap();
            let (reached, after) = (step.reached.unwrap(), model.objective(&Data::new(x.as_ref(), &y)).unwrap());
            let what = format!("{}, {trial}, step {number}: {before:?}, {after:?}, rate {}", kind.0, step.rate);
            assert!(after.value >= before.value && (step.elbo, reached) == (before, after), "{what}");
            assert!(step.rate <= rule.rate && (step.rate > 0.0 || model.variationals() == q), "{what}");
        }
    }
}

/// With nothing else free the loss of training on all data never rises, also where the batch is all rows.
#[test]
fn training_on_all_data_does_not_lower_the_bound() {
    let mut rng = Pcg64::seed_from_u64(seed(22));
    let kinds = likelihoods();
    for trial in 0..trials(14) {
        let kind = &kinds[trial % kinds.len()];
        let (mut model, x, y) = random_model(&mut rng, kind);
        for part in ["kernel", "likelihood", "inducing"] {
            // Not every likelihood has parameters.
            assert!(matches!(model.freeze(part), Ok(_) | Err(Error::UnknownPath { .. })));
        }
        let batch = (trial % 2 == 1).then_some(y.len());
        let train = Train::new(10).with_batch(batch);
        let rule = NaturalGradient::default();
        let history = model
            .train(&Data::new(x.as_ref(), &y), &train.clone().with_natural_gradients(rule.clone()), &mut rng)
            .unwrap();
        assert!(history.records.iter().all(|record| record.natural.is_some()));
        // The order of the rows of a batch moves the loss by rounding.
        let rounding = if batch.is_some() { 1e-12 } else { 0.0 };
        for pair in history.records.windows(2) {
            let allowed = pair[0].loss + rounding * pair[0].loss.abs();
            assert!(pair[1].loss <= allowed, "{}, {trial}: {pair:?}", kind.0);
        }
    }
}

/// Four points of two classes and a wide prior, for which steps of rate 1 overshoot, by a dense fixed point with
/// trapezoids of 0.3 in the latent value for the expectations. Rules of twenty nodes are good to 1e-3 here.
#[test]
fn the_best_q_is_found_at_every_rate() {
    let (x, y) = (mat![[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 1.0, 1.0]);
    let data = Data::new(x.as_ref(), y);
    for (variance, best) in [(100.0, -2.718530), (1000.0, -3.136571)] {
        let mut reached = Vec::new();
        for rate in [1.0, 0.9, 0.5] {
            let mut gp = Svgp::new(variance * Rbf::new(1.0), x.as_ref()).unwrap().with_likelihood(Bernoulli::logit());
            gp.freeze("kernel").unwrap();
            gp.freeze("inducing").unwrap();
            let rule = NaturalGradient { rate, ..NaturalGradient::default() };
            let fit = gp.fit_profiled(&data, &Lbfgs::default(), &rule).unwrap();
            assert_eq!(-fit.value, gp.objective(&data).unwrap().value);
            assert!((-fit.value - best).abs() < 2e-3, "{variance}, {rate}: {}", -fit.value);
            reached.push(fit.value);
        }
        assert!(reached.iter().all(|value| (value - reached[0]).abs() < 1e-8), "{reached:?}");
    }
}

/// What is reported is what there is, no worse than at the start; of a likelihood that is log-concave, for which q has
/// one best, at the best q for the kernel.
#[test]
fn a_fit_reports_the_model_that_it_leaves() {
    let mut rng = Pcg64::seed_from_u64(seed(23));
    let kinds = likelihoods();
    for trial in 0..trials(14) {
        let kind = &kinds[trial % kinds.len()];
        let (mut model, x, y) = random_model(&mut rng, kind);
        model.freeze("inducing").unwrap();
        if trial % 3 == 0 {
            model.set_prior("kernel.scaled.factor", Prior::gamma(2.0, 1.0).unwrap()).unwrap();
        }
        let rule = NaturalGradient { rate: [1.0, 0.9, 0.5][trial % 3], ..NaturalGradient::default() };
        let start = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value + model.log_prior();
        let minimizer = Lbfgs { max_steps: 5, ..Lbfgs::default() };
        let fit = model.fit_profiled(&Data::new(x.as_ref(), &y), &minimizer, &rule).unwrap();
        let there = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value + model.log_prior();
        assert!((there + fit.value).abs() <= 1e-12 * there.abs(), "{}: {} is not {there}", kind.0, -fit.value);
        assert!(there >= start, "{}: {there} {start}", kind.0);
        if ["Student-t", "heteroscedastic"].contains(&kind.0) {
            continue;
        }
        let better =
            model.natural_step(&Data::new(x.as_ref(), &y).part_of(y.len()), &rule).unwrap().reached.unwrap().value;
        let gain = better - (there - model.log_prior());
        assert!(gain <= 1e-8 * (1.0 + there.abs()), "{}, {trial}: {gain:e}", kind.0);
    }
}
