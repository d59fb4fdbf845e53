//! Training that is stopped and goes on, rates of groups of parameters, and rules of one's own to stop by.
#![allow(clippy::unwrap_used)]

use mercer::data::column;
use mercer::gp::Svgp;
use mercer::likelihood::{Gaussian, StudentT};
use mercer::optim::{Adam, Checkpoint, EarlyStop, History, NaturalGradient, Patience, Schedule, Stopped, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use mercer::save::{Save, from_bytes};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::plane;

/// With a tie, a prior and something frozen.
fn model() -> Svgp {
    let kernel = (1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Rbf::new(0.5)).dynamic();
    let z = Mat::from_fn(5, 2, |i, d| (i as f64 - 2.0) * (0.7 - d as f64));
    let mut model = Svgp::new(kernel, z.as_ref()).unwrap().with_likelihood(Gaussian::new(0.2)).with_par(Par::Seq);
    model.tie(&["kernel.sum[0].scaled.matern32.lengthscale[1]", "kernel.sum[1].scaled.rbf.lengthscale"]).unwrap();
    model.set_prior("kernel.sum[0].scaled.factor", Prior::gamma(2.0, 1.0).unwrap()).unwrap();
    model.freeze("inducing.inputs[1, 0]").unwrap();
    model
}

fn train() -> Train {
    settings().with_rate_of("inducing", 0.01).with_rate_of("kernel.sum[1]", 0.0)
}

/// With one rate for all.
fn settings() -> Train {
    Train::new(17)
        .with_batch(7)
        .with_adam(Adam { rate: 0.05, clip: Some(40.0), ..Adam::default() })
        .with_schedule(Schedule::Cosine { steps: 17, last: 0.1 }.warm_up(3))
        .with_early_stop(EarlyStop { window: 4, patience: 3, tolerance: 0.0 })
        .with_record_every(3)
}

fn bits(model: &Svgp) -> Vec<u64> {
    model.values().iter().map(|value| value.to_bits()).collect()
}

/// Trains from a checkpoint, or from the start, up to so many steps.
fn train_until(
    model: &mut Svgp,
    data: &Data<f64>,
    train: &Train,
    from: Option<&Checkpoint>,
    rng: &mut Pcg64,
    stop: usize,
) -> mercer::Result<(History, Checkpoint)> {
    let mut run = model.run(data, train)?;
    if let Some(checkpoint) = from {
        run = run.resume(checkpoint)?;
    }
    while run.step(rng)?.is_some_and(|progress| progress.step + 1 != stop) {}
    Ok((run.history(), run.checkpoint()))
}

/// Stopped after each number of steps, saved as a file, and gone on with by a model that has just been made.
fn resumes_to_the_same_bits(start: &Svgp, data: &Data<f64>, train: &Train) -> History {
    let (mut whole, mut rng) = (start.clone(), Pcg64::seed_from_u64(5));
    let (expected, end) = train_until(&mut whole, data, train, None, &mut rng, usize::MAX).unwrap();
    assert!(expected.steps > 8);
    for stop in 1..expected.steps {
        let mut generator = Pcg64::seed_from_u64(5);
        let (so_far, checkpoint) = train_until(&mut start.clone(), data, train, None, &mut generator, stop).unwrap();
        assert_eq!((so_far.steps, so_far.stopped, checkpoint.steps()), (stop, Stopped::Caller, stop));
        assert_eq!(so_far.records.last().unwrap().step, stop - 1);
        let saved = (checkpoint, generator).to_bytes().unwrap();

        let (checkpoint, mut generator): (Checkpoint, Pcg64) = from_bytes(&saved).unwrap();
        let mut second = start.clone();
        let (history, reached) =
            train_until(&mut second, data, train, Some(&checkpoint), &mut generator, usize::MAX).unwrap();
        assert_eq!(history, expected, "{stop}");
        assert_eq!(bits(&second), bits(&whole), "{stop}");
        assert_eq!((generator.next_u64(), &reached), (rng.clone().next_u64(), &end));
    }
    expected
}

#[test]
fn minibatches_resume_to_the_same_bits() {
    let (x, y) = plane(30);
    resumes_to_the_same_bits(&model(), &Data::new(x, y), &train());
}

#[test]
fn natural_gradients_resume_to_the_same_bits() {
    let (x, y) = plane(30);
    let rule = NaturalGradient { rate: 0.2, schedule: Schedule::Constant.warm_up(6) };
    resumes_to_the_same_bits(&model(), &Data::new(x, y), &train().with_natural_gradients(rule));
}

/// All rows, no generator; and the early stop is reached at the same step.
#[test]
fn early_stops_are_resumed() {
    let (x, y) = plane(12);
    let early_stop = EarlyStop { window: 3, patience: 2, tolerance: 1.0 };
    let all = train().with_batch(None).with_early_stop(early_stop);
    let history = resumes_to_the_same_bits(&model(), &Data::new(x, y), &all);
    assert_eq!((history.steps, history.stopped), (9, Stopped::Early));
}

/// The units of a mean are those of the process, where the likelihood has no variance of Gaussian noise: they are
/// kept, since a model that goes on is another by then.
#[test]
fn a_model_that_has_moved_goes_on_in_its_first_units() {
    let (x, y) = plane(30);
    let data = Data::new(x, y);
    let start = model().with_mean(mercer::mean::ConstantMean::new(0.0)).with_likelihood(StudentT::new(4.0, 0.3));
    let train = settings().with_early_stop(None);
    let (mut whole, mut rng) = (start.clone(), Pcg64::seed_from_u64(5));
    whole.train(&data, &train, &mut rng).unwrap();

    let (mut parts, mut rng) = (start, Pcg64::seed_from_u64(5));
    let (_, checkpoint) = train_until(&mut parts, &data, &train, None, &mut rng, 9).unwrap();
    train_until(&mut parts, &data, &train, Some(&checkpoint), &mut rng, usize::MAX).unwrap();
    assert_eq!(bits(&parts), bits(&whole));
}

/// Where a step fails, what is restored is the same too.
#[test]
fn failures_after_resuming_leave_the_sound_parameters() {
    let (x, y) = plane(30);
    let data = Data::new(x, y);
    let mut start = model();
    start.set_prior("likelihood", Prior::uniform(0.15, 0.25).unwrap()).unwrap();
    let train = train()
        .with_rate_of("likelihood", 0.05)
        .with_schedule(Schedule::Constant)
        .with_natural_gradients(NaturalGradient::default());
    let (mut whole, mut rng, mut steps) = (start.clone(), Pcg64::seed_from_u64(2), 0);
    let mut run = whole.run(&data, &train).unwrap();
    let expected = loop {
        match run.step(&mut rng) {
            Ok(progress) => steps = progress.unwrap().step + 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(expected, Error::Parameter { .. }) && steps > 1, "{expected}");

    let mut rng = Pcg64::seed_from_u64(2);
    let (_, checkpoint) = train_until(&mut start.clone(), &data, &train, None, &mut rng, steps).unwrap();
    let mut second = start.clone();
    let error = train_until(&mut second, &data, &train, Some(&checkpoint), &mut rng, usize::MAX).unwrap_err();
    assert_eq!((error, bits(&second)), (expected, bits(&whole)));
}

#[test]
fn checkpoints_of_something_else_are_refused() {
    let (x, y) = plane(30);
    let data = Data::new(&x, &y);
    let mut rng = Pcg64::seed_from_u64(0);
    let (_, checkpoint) = train_until(&mut model(), &data, &train(), None, &mut rng, 3).unwrap();
    let told = |model: &mut Svgp, n: usize, train: &Train, checkpoint: &Checkpoint| {
        let before = bits(model);
        let data = Data::new(x.as_ref().subrows(0, n), &y[..n]);
        let error = model.run(&data, train).unwrap().resume(checkpoint).unwrap_err();
        assert_eq!(bits(model), before);
        error.to_string()
    };
    let mut frozen = model();
    frozen.freeze("likelihood").unwrap();
    assert!(told(&mut frozen, 30, &train(), &checkpoint).contains("free parameters in the checkpoint"));
    let mut smaller = Svgp::new(Rbf::new(1.0).dynamic(), mat![[0.0, 1.0]].as_ref()).unwrap();
    assert!(told(&mut smaller, 30, &settings(), &checkpoint).contains("parameters in the checkpoint"));
    assert!(told(&mut model(), 29, &train(), &checkpoint).contains("order of the rows"));
    for batch in [None, Some(8)] {
        assert!(told(&mut model(), 30, &train().with_batch(batch), &checkpoint).starts_with("batch is"));
    }
}

/// A rate of 0 is as good as freezing, also where gradients are clipped; in between, the last rate that
/// names a parameter counts.
#[test]
fn groups_have_their_rates() {
    let (x, y) = plane(30);
    let adam = Adam { rate: 0.05, clip: Some(0.5), ..Adam::default() };
    let train = |rates: &[(&str, f64)]| {
        let train = Train::new(20).with_adam(adam).with_batch(10);
        rates.iter().fold(train, |train, &(path, rate)| train.with_rate_of(path, rate))
    };
    let run = |mut model: Svgp, rates: &[(&str, f64)]| {
        model.train(&Data::new(x.as_ref(), &y), &train(rates), &mut Pcg64::seed_from_u64(3)).map(|_| model.values())
    };
    let mut frozen = model();
    frozen.freeze("inducing").unwrap();
    frozen.freeze("kernel.sum[0].scaled.factor").unwrap();
    let expected = run(frozen, &[]).unwrap();
    let still = [("inducing", 0.0), ("kernel.sum[0].scaled", 0.0), ("kernel.sum[0].scaled.matern32", 0.05)];
    assert_eq!(run(model(), &still).unwrap(), expected);
    assert_ne!(run(model(), &[]).unwrap(), expected);
    assert_eq!(run(model(), &[("kernel", 0.7), ("kernel", 0.05)]).unwrap(), run(model(), &[]).unwrap());

    // The first step of Adam is as long as the rate, on the real line of the constraint; of inducing inputs, in spreads of
    // their column.
    let spread = |col: usize| {
        let mean = x.col(col).sum() / 30.0;
        (x.col(col).iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 30.0).sqrt()
    };
    // At q = p(u) there are gradients of exactly 0.
    let mut model = model();
    model.train(&Data::new(x.as_ref(), &y), &train(&[]), &mut Pcg64::seed_from_u64(4)).unwrap();
    let before = model.unconstrained();
    let once = train(&[("likelihood", 0.3), ("inducing", 0.02)]).with_steps(1).with_adam(Adam { clip: None, ..adam });
    model.train(&Data::new(x.as_ref(), &y), &once, &mut Pcg64::seed_from_u64(3)).unwrap();
    let after = model.unconstrained();
    let places = model.parameters().into_iter().enumerate();
    let free = places.filter(|(i, entry)| entry.free && entry.tie.is_none_or(|first| first == *i));
    for ((_, entry), (before, after)) in free.zip(before.iter().zip(&after)) {
        let rate = match entry.path.split(['.', '[']).next().unwrap() {
            "likelihood" => 0.3,
            "inducing" => 0.02 * spread(usize::from(entry.path.ends_with("1]"))),
            _ => 0.05,
        };
        assert!(((after - before).abs() / rate - 1.0).abs() < 1e-4, "{}: {before} {after}", entry.path);
    }

    let error = run(model, &[("inducing.input", 0.1)]).unwrap_err();
    assert!(error.to_string().contains("did you mean `inducing.inputs"), "{error}");
}

/// Noise grows where there is nothing more to learn: the error on new data falls, then rises.
#[test]
fn loops_see_the_model_and_stop_by_a_metric() {
    let (x, y) = plane(40);
    let (at, truth) = (x.subrows(20, 20), &y[20..]);
    let data = Data::new(x.subrows(0, 20), &y[..20]);
    let mut gp = model().with_likelihood(StudentT::new(4.0, 0.3));
    let (mut patience, mut best, mut seen) = (Patience::new(4, 0.0), None, Vec::new());
    let mut rng = Pcg64::seed_from_u64(0);
    let mut run = gp.run(&data, &Train::new(400).with_rate(0.1)).unwrap();
    while run.step(&mut rng).unwrap().is_some() {
        let posterior = run.model().posterior::<f64>().unwrap();
        let densities = posterior.log_predictive_density(at, column(truth)).unwrap();
        seen.push(-densities.iter().sum::<f64>());
        let next = patience.sees(seen[seen.len() - 1]);
        if patience.improved() {
            best = Some(run.model().clone());
        }
        if next.is_break() {
            break;
        }
    }
    let history = run.history();
    assert_eq!((history.stopped, history.steps), (Stopped::Caller, seen.len()));
    let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(seen.len() - 1 - seen.iter().position(|&value| value == least).unwrap(), 4);
    let of_best = best.unwrap();
    let densities = of_best.posterior::<f64>().unwrap().log_predictive_density(at, column(truth)).unwrap();
    assert_eq!(-densities.iter().sum::<f64>(), least);
}
