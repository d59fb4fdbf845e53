//! A training in progress.

use std::fmt;

use rand::Rng;

use super::checkpoint::{Checkpoint, State};
use super::objective::penalised;
use super::{Batch, History, Progress, Stopped, Train};
use crate::params::{Entry, Parameterized, ParameterizedExt, restore};
use crate::{Error, Result};

/// What a [`Run`] minimises, as a model's own. Of a closure of a model and a [`Batch`], it is the closure's value.
///
/// # Examples
///
/// ```
/// use mercer::optim::{Batch, Loss};
/// use mercer::prelude::*;
///
/// /// The mean over a batch of (log ℓ − row)².
/// struct Misses {
///     rows: usize,
/// }
///
/// impl Loss<Rbf> for Misses {
///     fn evaluate(&mut self, kernel: &Rbf, batch: Batch<'_>) -> Result<(f64, Vec<f64>), Error> {
///         let (l, count) = (kernel.lengthscale()[0], batch.len(self.rows) as f64);
///         let misses = || batch.rows(self.rows).map(|row| l.ln() - row as f64);
///         let value = misses().map(|miss| miss * miss).sum::<f64>() / count;
///         Ok((value, vec![2.0 * misses().sum::<f64>() / (count * l)]))
///     }
/// }
///
/// // A closure is one too.
/// let mut closure = |kernel: &Rbf, batch: Batch<'_>| Misses { rows: 3 }.evaluate(kernel, batch);
/// let (value, gradient) = closure.evaluate(&Rbf::new(1.0), Batch::Rows(&[1, 2]))?;
/// assert_eq!((value, gradient), (2.5, vec![-3.0]));
/// assert_eq!(Misses { rows: 3 }.part(), Loss::<Rbf>::part(&closure)); // all learns by Adam
/// # Ok::<(), Error>(())
/// ```
pub trait Loss<M> {
    /// The loss of a batch, and its gradient in *all* natural parameters, in visiting order, frozen ones included.
    ///
    /// # Errors
    ///
    /// Where the model has no loss.
    fn evaluate(&mut self, model: &M, batch: Batch<'_>) -> Result<(f64, Vec<f64>)>;

    /// The path of a part of the model that does not learn by Adam, all of it free, but by [`move_part`](Self::move_part).
    /// By default none.
    fn part(&self) -> Option<&'static str> {
        None
    }

    /// Moves the part, before each step of Adam and from the same evaluation: by the number of the step and the loss, less the
    /// log prior, with its gradient in all natural parameters. Returns the rate.
    ///
    /// # Errors
    ///
    /// Where the part has nowhere to go.
    fn move_part(&mut self, model: &mut M, step: usize, loss: f64, gradient: &[f64]) -> Result<Option<f64>> {
        let _ = (model, step, loss, gradient);
        Ok(None)
    }
}

impl<M, F: FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>> Loss<M> for F {
    fn evaluate(&mut self, model: &M, batch: Batch<'_>) -> Result<(f64, Vec<f64>)> {
        self(model, batch)
    }
}

/// A training in progress, one step at a time, for loops that look at the model, stop, or save.
///
/// The same generator in the same state gives the same bits, in one run or in several, from the
/// [`checkpoint`](Self::checkpoint) of one to [`resume`](Self::resume) of the next.
///
/// # Examples
///
/// A mean and a standard deviation by maximum likelihood, two rows a step:
///
/// ```
/// use mercer::optim::{Batch, Run, Schedule, Train};
/// use mercer::params::{Constraint, Parameter};
/// use rand::SeedableRng;
///
/// #[derive(Clone)]
/// struct Normal {
///     mean: Parameter,
///     sd: Parameter,
/// }
/// mercer::parameterized!(Normal as "normal", parameters: [mean, sd]);
///
/// let data = [1.0, 2.0, 3.0, 6.0];
/// let mut model = Normal {
///     mean: Parameter::new("mean", 0.0, Constraint::Real)?,
///     sd: Parameter::new("sd", 1.0, Constraint::Positive)?,
/// };
/// let loss = |model: &Normal, batch: Batch<'_>| {
///     let (mean, sd) = (model.mean.value(), model.sd.value());
///     let (mut value, mut gradient) = (0.0, vec![0.0, 0.0]);
///     for row in batch.rows(data.len()) {
///         let z = (data[row] - mean) / sd;
///         let scale = batch.scale(data.len());
///         value += scale * (sd.ln() + 0.5 * z * z);
///         gradient[0] -= scale * z / sd;
///         gradient[1] += scale * (1.0 - z * z) / sd;
///     }
///     Ok((value, gradient))
/// };
///
/// let train = Train::new(3000).with_batch(2).with_rate(0.05).with_schedule(Schedule::Cosine { steps: 3000, last: 0.0 });
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let mut run = Run::new(&mut model, data.len(), &train, loss)?;
/// while let Some(progress) = run.step(&mut rng)? {
///     if progress.step % 1000 == 0 {
///         println!("{}: {} at a mean of {}", progress.step, progress.loss, run.model().mean.value());
///     }
/// }
/// assert_eq!(run.history().steps, 3000);
/// assert!((model.mean.value() - 3.0).abs() < 0.05);
/// assert!((model.sd.value() - 3.5f64.sqrt()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
#[must_use = "a run does nothing until it is stepped or finished"]
pub struct Run<'r, M, L> {
    model: &'r mut M,
    train: Train,
    /// The number of rows.
    n: usize,
    loss: L,
    state: State,
    /// The rates of the free parameters in their units, before the schedule.
    rates: Vec<f64>,
    /// Whether the loss has stopped to fall.
    early: bool,
    /// Whether no step was taken since the loss was last known to be sound.
    judged: bool,
    /// What ended the run, and is said again.
    failed: Option<Error>,
}

impl<M, L> fmt::Debug for Run<'_, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("train", &self.train).field("steps", &self.state.steps).finish_non_exhaustive()
    }
}

impl<'r, M, F> Run<'r, M, F>
where
    M: Parameterized,
    F: FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
{
    /// A training of a model by a loss of your own, on data of `n` rows, before its first step.
    ///
    /// `loss` returns its value on a batch and its gradient in *all* natural parameters, in visiting
    /// order, frozen ones included. Each step subtracts the log prior of the parameters from it once, at
    /// full weight: with priors, the loss has to be in the units of a negative log likelihood of all
    /// `n` rows, as one is that scales its sum over a batch by [`Batch::scale`].
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for settings outside their ranges: a batch of no rows or of more than `n`, for one, and
    /// natural gradients, since a loss says nothing of q; [`Error::UnknownPath`] for a rate of parameters that there
    /// are not.
    pub fn new(model: &'r mut M, n: usize, train: &Train, loss: F) -> Result<Self> {
        if train.natural.is_some() {
            let expected = "must be left out: a loss says nothing of q, as a variational model does";
            return Err(Error::setting("natural gradients", "a rule", expected));
        }
        Self::in_units(model, (n, &[]), train, loss)
    }
}

impl<'r, M: Parameterized, L: Loss<M>> Run<'r, M, L> {
    /// A training on n rows. Parameters that may be any finite number are counted in these units, in visiting order of all
    /// scalars, or in 1.
    pub(crate) fn in_units(model: &'r mut M, (n, units): (usize, &[f64]), train: &Train, loss: L) -> Result<Self> {
        train.check(n)?;
        let start = |model: &mut M| {
            let state = State::start(train, model, n, units)?;
            let rates = rates_in_units(train, model, &state)?;
            Ok((state, rates))
        };
        let (state, rates) = without(model, loss.part(), start)?;
        Ok(Self { model, train: train.clone(), n, loss, state, rates, early: false, judged: true, failed: None })
    }

    /// Goes on from a checkpoint of an earlier run.
    ///
    /// The model becomes what it was at the checkpoint; it has to have the same parameters, the same of them
    /// free. With the generator in the state that it had then, and the same settings, the parameters and the
    /// history have the same bits as those of a run that was not left, wherever it was. The steps count
    /// from the very first; all settings but the batch may be others than before.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::Setting`] for a checkpoint of another number of parameters, rows, or rows a step.
    pub fn resume(mut self, checkpoint: &Checkpoint) -> Result<Self> {
        let mut state = checkpoint.state.clone();
        self.rates = without(self.model, self.loss.part(), |model| {
            state.load(&self.train, model, self.n)?;
            rates_in_units(&self.train, model, &state)
        })?;
        // What this run has met so far is not of the checkpoint.
        Ok(Self { state, early: false, judged: true, failed: None, ..self })
    }

    /// Takes the next step, and says what is known of it; `None` where none is left or the loss has stopped to fall.
    ///
    /// # Errors
    ///
    /// [`Error::Optimisation`] names the step at which a loss or a gradient was not finite, after the last step too;
    /// errors of the loss pass through, and [`Error::Parameter`] names a parameter at whose value its prior has no
    /// finite log density. The model then has the last parameters at which the loss was sound, and each
    /// further call returns the same error.
    pub fn step(&mut self, rng: &mut (impl Rng + ?Sized)) -> Result<Option<Progress>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let part = self.loss.part();
        part.map_or(Ok(()), |part| self.model.freeze(part))?;
        let outcome = self.next(rng);
        part.map_or(Ok(()), |part| self.model.unfreeze(part))?;
        self.failed = outcome.as_ref().err().cloned();
        outcome
    }

    /// Takes all steps that are left.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn finish(mut self, rng: &mut (impl Rng + ?Sized)) -> Result<History> {
        while self.step(rng)?.is_some() {}
        Ok(self.history())
    }

    /// The model as it is after the last step.
    pub fn model(&self) -> &M {
        self.model
    }

    /// The course of the training so far, with that before the checkpoint that it was resumed from.
    pub fn history(&self) -> History {
        let State { records, last, steps, .. } = &self.state;
        let mut records = records.clone();
        records.extend(last.filter(|last| records.last() != Some(last)));
        let stopped = match self.early {
            true => Stopped::Early,
            false if *steps >= self.train.steps => Stopped::Finished,
            false => Stopped::Caller,
        };
        History { records, steps: *steps, stopped }
    }

    /// Where the training stands, for [`resume`](Self::resume). After an error it leads to the error again: go on
    /// from an earlier one.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { state: State { values: self.model.values(), ..self.state.clone() } }
    }
    fn next(&mut self, rng: &mut (impl Rng + ?Sized)) -> Result<Option<Progress>> {
        if !self.early && self.state.steps < self.train.steps {
            self.judged = false;
            return self.advance(rng).map(Some);
        }
        // Where the loop is left before, the next step is the judge: a run that goes on is to meet what it would have met.
        if !std::mem::replace(&mut self.judged, true) {
            self.judge()?;
        }
        Ok(None)
    }

    /// One step. If it fails, the model goes back to where the loss was last sound.
    fn advance(&mut self, rng: &mut (impl Rng + ?Sized)) -> Result<Progress> {
        let Self { model, train, loss: of, state, rates, .. } = self;
        let State { steps, point, units, sound, adam, deck, .. } = state;
        let (step, factor) = (*steps, train.schedule.factor(*steps));
        let mut take = || {
            let batch = deck.as_mut().map_or(Batch::All, |deck| Batch::Rows(deck.deal(rng)));
            let Evaluation { loss, mut gradient, natural } = evaluate(&**model, point, batch, of, step)?;
            gradient.iter_mut().zip(&*units).for_each(|(entry, unit)| *entry *= unit);
            *sound = model.values();
            adam.step_each(rates, factor, point, &gradient)?;
            let moved = of.move_part(model, step, loss, &natural)?;
            model.set_unconstrained(point)?;
            Ok((loss, moved))
        };
        let taken = take();
        if taken.is_err() {
            restore(&mut **model, sound);
        }
        let (loss, natural) = taken?;
        let progress = Progress { step, steps: train.steps, loss, rate: train.adam.rate * factor, natural };
        state.steps += 1;
        state.last = Some(progress);
        if step.is_multiple_of(train.record_every) {
            state.records.push(progress);
        }
        self.early = train.early_stop.is_some_and(|rule| state.plateau.sees(loss, rule));
        Ok(progress)
    }

    /// Refuses a last step after which the loss of its batch is not sound, as the next step would.
    fn judge(&mut self) -> Result<()> {
        let Self { model, loss, state, .. } = self;
        let batch = state.deck.as_ref().map_or(Batch::All, |deck| Batch::Rows(deck.last()));
        let judged = evaluate(&**model, &state.point, batch, loss, state.steps.saturating_sub(1));
        if judged.is_err() {
            restore(&mut **model, &state.sound);
        }
        judged.map(drop)
    }
}

/// Does something while a part is frozen.
fn without<M: Parameterized, R>(model: &mut M, part: Option<&str>, act: impl FnOnce(&mut M) -> Result<R>) -> Result<R> {
    let Some(part) = part else { return act(model) };
    model.freeze(part)?;
    let outcome = act(model);
    model.unfreeze(part)?;
    outcome
}

fn rates_in_units<M: Parameterized>(train: &Train, model: &M, state: &State) -> Result<Vec<f64>> {
    let mut rates = train.rates_of(model)?;
    rates.iter_mut().zip(&state.units).for_each(|(rate, unit)| *rate *= unit);
    Ok(rates)
}

/// A loss less the log prior, with its gradients in the free unconstrained and in all natural parameters.
struct Evaluation {
    loss: f64,
    gradient: Vec<f64>,
    natural: Vec<f64>,
}

/// The loss and its gradient in the free unconstrained parameters, both finite.
fn evaluate<M: Parameterized, L: Loss<M>>(
    model: &M,
    point: &[f64],
    batch: Batch<'_>,
    loss: &mut L,
    step: usize,
) -> Result<Evaluation> {
    let (value, mut natural) = loss.evaluate(model, batch)?;
    if !value.is_finite() {
        return Err(Error::Optimisation { step, reason: format!("the loss is {value}") });
    }
    let (loss, gradient) = penalised(model, point, value, &mut natural)?;
    if gradient.iter().all(|g| g.is_finite()) {
        return Ok(Evaluation { loss, gradient, natural });
    }
    // The free parameter is what the reader can look up.
    let is_packed = |(position, entry): &(usize, Entry)| entry.free && entry.tie.is_none_or(|first| first == *position);
    let packed = model.parameters().into_iter().enumerate().filter(is_packed);
    let named = packed.zip(&gradient).find(|(_, g)| !g.is_finite());
    let reason = named.map(|((_, entry), g)| format!("the gradient in `{}` is {g}", entry.path)).unwrap_or_default();
    Err(Error::Optimisation { step, reason })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::optim::{EarlyStop, Schedule};
    use crate::prelude::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    fn finish(
        train: &Train,
        kernel: &mut Rbf,
        loss: impl FnMut(&Rbf, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        seed: u64,
    ) -> Result<History> {
        Run::new(kernel, 5, train, loss)?.finish(&mut Pcg64::seed_from_u64(seed))
    }

    /// Σ over the batch, scaled, of (log ℓ − row)²: least at log ℓ = the mean row.
    fn loss(kernel: &Rbf, batch: Batch<'_>) -> Result<(f64, Vec<f64>)> {
        let l = kernel.lengthscale()[0];
        let misses: Vec<f64> = batch.rows(5).map(|row| l.ln() - row as f64).collect();
        let scale = batch.scale(5);
        let value = scale * misses.iter().map(|miss| miss * miss).sum::<f64>();
        Ok((value, vec![scale * 2.0 * misses.iter().sum::<f64>() / l]))
    }

    /// A step that leaves a loss which is no number is none to end with, wherever it is.
    #[test]
    fn the_last_step_is_judged() {
        for (steps, batch) in [(1, None), (3, Some(2)), (7, None)] {
            let train = train().with_steps(steps).with_batch(batch);
            let mut kernel = Rbf::new(1.0);
            let mut evaluations = 0;
            let falls = |kernel: &Rbf, _: Batch<'_>| {
                evaluations += 1;
                let value = if evaluations > steps { f64::NEG_INFINITY } else { kernel.lengthscale()[0] };
                Ok((value, vec![1.0]))
            };
            let error = finish(&train, &mut kernel, falls, 1).unwrap_err();
            assert!(matches!(error, Error::Optimisation { step, .. } if step + 1 == steps), "{error}");
            // Where the loss was last sound.
            let mut sound = Rbf::new(1.0);
            let short = train.with_steps(steps - 1).with_batch(batch);
            let slopes = |kernel: &Rbf, _: Batch<'_>| Ok((kernel.lengthscale()[0], vec![1.0]));
            finish(&short, &mut sound, slopes, 1).unwrap();
            assert_eq!(kernel.values(), sound.values());
        }
    }

    fn train() -> Train {
        Train::new(400).with_rate(0.1)
    }

    #[test]
    fn all_rows_lead_to_the_minimum() {
        let mut kernel = Rbf::new(1.0);
        let history = finish(&train(), &mut kernel, loss, 0).unwrap();
        assert_eq!((history.steps, history.stopped, history.records.len()), (400, Stopped::Finished, 400));
        assert!((kernel.lengthscale()[0].ln() - 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let run = |seed| {
            let mut kernel = Rbf::new(1.0);
            let train = train().with_batch(2);
            let history = finish(&train, &mut kernel, loss, seed).unwrap();
            (kernel.lengthscale()[0].to_bits(), history)
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3).0, run(4).0);
    }

    #[test]
    fn a_loss_that_is_not_finite_leaves_the_last_sound_parameters() {
        for bad in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (1.0, f64::NAN)] {
            let mut seen = Vec::new();
            let mut kernel = Rbf::new(1.0);
            let breaks = |kernel: &Rbf, batch: Batch<'_>| {
                seen.push(kernel.lengthscale()[0]);
                if seen.len() == 8 { Ok((bad.0, vec![bad.1])) } else { loss(kernel, batch) }
            };
            let error = finish(&train(), &mut kernel, breaks, 0).unwrap_err();
            assert!(matches!(error, Error::Optimisation { step: 7, .. }), "{error}");
            assert!((kernel.lengthscale()[0] / seen[6] - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn errors_of_the_loss_pass_through() {
        let mut kernel = Rbf::new(1.0);
        let breaks = |_: &Rbf, _: Batch<'_>| Err(Error::Empty { what: "x".into() });
        let error = finish(&train(), &mut kernel, breaks, 0).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }));
        assert_eq!(kernel.lengthscale(), [1.0]);
    }

    #[test]
    fn loops_see_each_step_and_may_be_left() {
        let mut kernel = Rbf::new(1.0);
        let train = train().with_record_every(4).with_schedule(Schedule::Constant.warm_up(10));
        let (mut rates, mut rng) = (Vec::new(), Pcg64::seed_from_u64(0));
        let mut run = Run::new(&mut kernel, 5, &train, loss).unwrap();
        while let Some(progress) = run.step(&mut rng).unwrap() {
            rates.push(progress.rate);
            if progress.step == 9 {
                break;
            }
        }
        let history = run.history();
        assert_eq!((history.steps, history.stopped), (10, Stopped::Caller));
        assert_eq!(history.records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 4, 8, 9]);
        for (step, rate) in rates.iter().enumerate() {
            assert!((rate - 0.01 * (step + 1) as f64).abs() < 1e-15);
        }
    }

    #[test]
    fn what_ended_a_run_does_not_end_the_one_from_its_checkpoint() {
        let mut kernel = Rbf::new(1.0);
        let (train, mut rng) = (train().with_early_stop(EarlyStop::default()), Pcg64::seed_from_u64(0));
        let mut run = Run::new(&mut kernel, 5, &train, loss).unwrap();
        run.step(&mut rng).unwrap();
        let checkpoint = run.checkpoint();
        while run.step(&mut rng).unwrap().is_some() {}
        let whole = run.history();
        assert_eq!(whole.stopped, Stopped::Early);
        assert_eq!(run.resume(&checkpoint).unwrap().finish(&mut rng).unwrap(), whole);
    }

    #[test]
    fn a_run_that_failed_says_so_again() {
        let mut kernel = Rbf::new(1.0);
        let breaks = |_: &Rbf, _: Batch<'_>| Err(Error::Empty { what: "x".into() });
        let (train, mut rng) = (train(), Pcg64::seed_from_u64(0));
        let mut run = Run::new(&mut kernel, 5, &train, breaks).unwrap();
        let first = run.step(&mut rng).unwrap_err();
        assert_eq!(run.step(&mut rng).unwrap_err(), first);
    }

    #[test]
    fn plateaus_stop_early() {
        let early_stop = Some(EarlyStop { window: 10, patience: 5, tolerance: 1e-6 });
        let mut kernel = Rbf::new(1.0);
        let train = train().with_steps(5000).with_early_stop(early_stop);
        let history = finish(&train, &mut kernel, loss, 0).unwrap();
        assert_eq!(history.stopped, Stopped::Early);
        assert!(history.steps.is_multiple_of(10) && history.steps < 1000);
        assert!((kernel.lengthscale()[0].ln() - 2.0).abs() < 1e-2);
    }

    #[test]
    fn settings_are_checked() {
        for train in [
            train().with_batch(0),
            train().with_batch(6),
            train().with_record_every(0),
            train().with_schedule(Schedule::Constant.warm_up(0)),
            train().with_rate_of("rbf", -1.0),
            train().with_rate_of("rbf", f64::NAN),
            train().with_rate(-1.0),
            train().with_early_stop(EarlyStop { window: 0, ..EarlyStop::default() }),
        ] {
            let result = finish(&train, &mut Rbf::new(1.0), loss, 0);
            assert!(matches!(result, Err(Error::Setting { .. })), "{train:?}");
        }
    }

    #[test]
    fn no_steps_change_nothing() {
        let mut kernel = Rbf::new(0.7);
        let train = train().with_steps(0);
        let history = finish(&train, &mut kernel, loss, 0).unwrap();
        assert_eq!((history.records.len(), kernel.lengthscale()[0]), (0, 0.7));
    }
}
