//! Which model is fitted to which set, and how.

use std::error::Error;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mercer::gp::{Budget, ExactGp, Problem, Sgpr, Svgp, recommend};
use mercer::inducing::start::kmeans_plus_plus;
use mercer::likelihood::{Bernoulli, Gaussian, Heteroscedastic, Softmax};
use mercer::mean::{ConstantMean, DynMean};
use mercer::optim::{Lbfgs, NaturalGradient, Schedule, Train};
use mercer::prelude::*;
use rand_pcg::Pcg64;

use crate::set::{Scores, Set};

type Answer<V> = Result<V, Box<dyn Error>>;

/// A line of the table.
pub(crate) struct Row {
    pub(crate) model: &'static str,
    pub(crate) inducing: Option<usize>,
    pub(crate) settings: String,
    pub(crate) seconds: f64,
    pub(crate) scores: Scores,
}

/// How long models are trained.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Few steps and inducing inputs.
    pub(crate) quick: bool,
    /// In place of the epochs, or steps of L-BFGS, that each model has.
    pub(crate) epochs: Option<usize>,
}

impl Effort {
    fn of(self, usual: usize) -> usize {
        let epochs = self.epochs.unwrap_or(usual);
        if self.quick { epochs.min(5) } else { epochs }
    }
}

/// The variance of the noise that regressions start with, the targets' being 1.
const NOISE: f64 = 0.1;
/// Lloyd's iterations of the start of inducing inputs.
const LLOYD: usize = 20;

/// All kernels are Matérn 5⁄2, with a lengthscale for each input and a variance.
fn kernel(dim: usize) -> DynKernel {
    // With this, typical points are one scaled distance apart in any dimension.
    (1.0 * Matern52::new(vec![(dim as f64).sqrt(); dim])).dynamic()
}

/// What is small enough for the exact model, by it and by the collapsed one.
pub(crate) fn regression(set: &Set, m: usize, effort: Effort, rng: &mut Pcg64) -> Answer<Vec<Row>> {
    let problem = Problem { points: set.y.len(), inducing: m, gaussian: true, exact: None };
    eprintln!("recommended: {}", recommend(&problem, &Budget::default())?);
    let steps = effort.of(500);
    Ok(vec![exact(set, steps)?, collapsed(set, if effort.quick { m / 10 } else { m }, steps, rng)?])
}

pub(crate) fn large_regression(set: &Set, effort: Effort, rng: &mut Pcg64) -> Answer<Vec<Row>> {
    let plan = Plan { inducing: 300, epochs: 20, batch: Some(1024), rate: 0.03, natural: 0.1 }.with(effort);
    let model = Svgp::new(kernel(set.x.ncols()), plan.start(set, rng)?.as_ref())?.with_likelihood(Gaussian::new(NOISE));
    Ok(vec![variational("SVGP, Gaussian", model, set, plan, rng)?])
}

pub(crate) fn two_classes(set: &Set, effort: Effort, rng: &mut Pcg64) -> Answer<Vec<Row>> {
    let plan = Plan { inducing: 100, epochs: 200, batch: None, rate: 0.03, natural: 0.3 }.with(effort);
    let model = Svgp::new(kernel(set.x.ncols()), plan.start(set, rng)?.as_ref())?.with_likelihood(Bernoulli::probit());
    Ok(vec![variational("SVGP, Bernoulli", model, set, plan, rng)?])
}

pub(crate) fn ten_classes(set: &Set, effort: Effort, rng: &mut Pcg64) -> Answer<Vec<Row>> {
    let plan = Plan { inducing: 200, epochs: 40, batch: Some(256), rate: 0.03, natural: 0.1 }.with(effort);
    let model = Svgp::new(kernel(set.x.ncols()), plan.start(set, rng)?.as_ref())?.with_likelihood(Softmax::new(10));
    Ok(vec![variational("SVGP, softmax of 10", model, set, plan, rng)?])
}

/// Noise of one variance, and noise whose deviation is a function, both with as many inducing inputs.
pub(crate) fn changing_noise(set: &Set, effort: Effort, rng: &mut Pcg64) -> Answer<Vec<Row>> {
    let plan = Plan { inducing: 20, epochs: 1000, batch: None, rate: 0.02, natural: 0.1 }.with(effort);
    let homoscedastic = collapsed(set, plan.inducing, effort.of(500), rng)?;
    let dim = set.x.ncols();
    let model = Svgp::new(kernel(dim), plan.start(set, rng)?.as_ref())?
        .with_likelihood(Heteroscedastic::new())
        .with_kernels(vec![kernel(dim), kernel(dim)])?
        .with_means(vec![DynMean::new(ConstantMean::new(0.0)), DynMean::new(ConstantMean::new(0.5 * NOISE.ln()))])?;
    Ok(vec![homoscedastic, variational("SVGP, heteroscedastic", model, set, plan, rng)?])
}

fn exact(set: &Set, steps: usize) -> Answer<Row> {
    let mut model = ExactGp::new(kernel(set.x.ncols())).with_noise(NOISE)?;
    let start = Instant::now();
    let spinner = spinner("exact model");
    model.fit(&Data::new(set.x.as_ref(), &set.y), &Lbfgs { max_steps: steps, ..Lbfgs::default() })?;
    spinner.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let scores = set.score(&model.condition(&Data::new(set.x.as_ref(), &set.y))?)?;
    let settings = format!("L-BFGS, {steps} steps at most");
    Ok(Row { model: "exact", inducing: None, settings, seconds, scores })
}

fn collapsed(set: &Set, m: usize, steps: usize, rng: &mut Pcg64) -> Answer<Row> {
    let start = Instant::now();
    let spinner = spinner("collapsed model");
    let z = kmeans_plus_plus(set.x.as_ref(), m, LLOYD, rng)?;
    let mut model = Sgpr::new(kernel(set.x.ncols()), z.as_ref())?.with_noise(NOISE)?;
    let found = model.fit(&Data::new(set.x.as_ref(), &set.y), &Lbfgs { max_steps: steps, ..Lbfgs::default() })?;
    spinner.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("SGPR: bound {:.3}, {} evaluations", -found.value, found.evaluations);
    let scores = set.score(&model.condition(&Data::new(set.x.as_ref(), &set.y))?)?;
    let settings = format!("L-BFGS, {steps} steps at most");
    Ok(Row { model: "SGPR", inducing: Some(m), settings, seconds, scores })
}

/// How a variational model is trained: q by natural gradients, all else by Adam.
#[derive(Clone, Copy)]
struct Plan {
    inducing: usize,
    epochs: usize,
    batch: Option<usize>,
    rate: f64,
    natural: f64,
}

impl Plan {
    fn with(self, effort: Effort) -> Self {
        let plan = Self { epochs: effort.of(self.epochs), ..self };
        if !effort.quick {
            return plan;
        }
        Self { inducing: plan.inducing.min(30), batch: plan.batch.map(|batch| batch.min(100)), ..plan }
    }

    fn start(&self, set: &Set, rng: &mut Pcg64) -> mercer::Result<Mat<f64>> {
        kmeans_plus_plus(set.x.as_ref(), self.inducing, LLOYD, rng)
    }
}

fn variational(name: &'static str, mut model: Svgp, set: &Set, plan: Plan, rng: &mut Pcg64) -> Answer<Row> {
    let Plan { inducing, epochs, batch, rate, natural } = plan;
    let (x, n) = (set.x.as_ref(), set.y.len());
    let steps = epochs * batch.map_or(1, |batch| n / batch);
    let schedule = Schedule::Cosine { steps, last: 0.01 };
    let rule = NaturalGradient { rate: natural, schedule: Schedule::Constant.warm_up(10) };
    let train =
        Train::new(steps).with_batch(batch).with_rate(rate).with_schedule(schedule).with_natural_gradients(rule);
    let data = Data::new(x, &set.y);

    let start = Instant::now();
    let bar = ProgressBar::new(steps as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left, {msg}")?);
    let mut run = model.run(&data, &train)?;
    while let Some(progress) = run.step(rng)? {
        bar.set_message(format!("bound {:.1}", -progress.loss));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{name}: bound {:.3}", model.objective(&data)?.value);
    let scores = set.score(&model.posterior()?)?;
    let batch = batch.map_or("all rows".to_owned(), |batch| format!("batches of {batch}"));
    let settings = format!("{epochs} epochs, {batch}, Adam {rate}, natural gradient {natural}");
    Ok(Row { model: name, inducing: Some(inducing), settings, seconds, scores })
}

fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
