//! Training by stochastic gradients.

use std::ops::ControlFlow;

use rand::Rng;

use super::checkpoint::{Checkpoint, State};
use super::objective::penalised;
use super::{Adam, Batch, EarlyStop, History, NaturalGradient, Progress, Schedule, Stopped};
use crate::params::{Entry, Parameterized, ParameterizedExt, places, positions, restore, units_at};
use crate::{Error, Result};

/// Training with [`Adam`] on the free parameters, on the real line of their constraints.
///
/// With `batch: Some(b)`, each epoch shuffles the rows and deals batches of exactly `b` of them
/// without replacement; when fewer than `b` are left, the next epoch begins. Every batch is thus a
/// uniform sample of `b` rows, and a sum over it times [`Batch::scale`] = N / b an unbiased estimate
/// of the sum over all rows. With `None`, every step sees all rows and no random number is drawn.
///
/// # Examples
///
/// A mean and a standard deviation by maximum likelihood, two rows a step:
///
/// ```
/// use mercer::optim::{Adam, Schedule, Train};
/// use mercer::params::{Constraint, Parameter};
/// use rand::SeedableRng;
/// use std::ops::ControlFlow;
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
/// let train = Train {
///     steps: 3000,
///     batch: Some(2),
///     adam: Adam { rate: 0.05, ..Adam::default() },
///     schedule: Schedule::Cosine { steps: 3000, last: 0.0 },
///     ..Train::default()
/// };
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let loss = |model: &Normal, batch: mercer::optim::Batch<'_>| {
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
/// let history = train.run(&mut model, data.len(), loss, &mut rng, |_, _| ControlFlow::Continue(()))?;
/// assert_eq!(history.steps, 3000);
/// assert!((model.mean.value() - 3.0).abs() < 0.05);
/// assert!((model.sd.value() - 3.5f64.sqrt()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// The largest number of steps. By default 1000.
    pub steps: usize,
    /// Rows a step; all if `None`, the default.
    pub batch: Option<usize>,
    /// The optimiser; its rate is that of a factor 1 of the schedule. By default a rate of 0.01.
    pub adam: Adam,
    /// Learning rates in place of the optimiser's, for parameters, elements of them or all below a node, by path:
    /// of several that name one, the last counts. The schedule's factor is on them too. At 0, Adam leaves it
    /// where it is, as if it were frozen: its gradient does not count in the norm that is clipped. Of tied
    /// parameters one is enough. By default none.
    pub rates: Vec<(String, f64)>,
    /// How the q of a variational model moves, beside the optimiser, which then moves all else: both steps are from one
    /// evaluation at the parameters before. `None`, the default, to leave q to the optimiser too.
    ///
    /// Where each step sees all data, that of q raises the objective, and with priors its sum with their log density,
    /// at the parameters before the optimiser's step: its rate is halved until it does, or the step is not taken.
    /// [`Progress::natural`] has the rate.
    pub natural: Option<NaturalGradient>,
    /// The factor on the rates at each step. By default 1.
    pub schedule: Schedule,
    /// When to stop before the last step. By default never.
    pub early_stop: Option<EarlyStop>,
    /// Steps from one entry of the history to the next; the last step always has one. By default 1.
    pub record_every: usize,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            steps: 1000,
            batch: None,
            adam: Adam { rate: 0.01, ..Adam::default() },
            rates: Vec::new(),
            natural: None,
            schedule: Schedule::Constant,
            early_stop: None,
            record_every: 1,
        }
    }
}

impl Train {
    /// Trains a model on data of `n` rows.
    ///
    /// `loss` returns its value on a batch and its gradient in *all* natural parameters, in visiting
    /// order, frozen ones included. Each step subtracts the log prior of the parameters from it once, at
    /// full weight: with priors, the loss has to be in the units of a negative log likelihood of all
    /// `n` rows, as one is that scales its sum over a batch by [`Batch::scale`]. `callback` is called after each
    /// step with the model as it then is, and may stop the training. The same generator in the same state gives the same bits.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for settings outside their ranges, before anything is done: a batch of no
    /// rows or of more than `n`, for one; [`Error::UnknownPath`] for a rate of parameters that there are not. [`Error::Optimisation`] names the step at which a loss or a
    /// gradient was not finite, after the last step too unless the callback stopped there; errors of the loss pass through, and [`Error::Parameter`] names a parameter at
    /// whose value its prior has no finite log density. The model then keeps the last
    /// parameters at which the loss was sound.
    pub fn run<M: Parameterized>(
        &self,
        model: &mut M,
        n: usize,
        loss: impl FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &M) -> ControlFlow<()>,
    ) -> Result<History> {
        self.resume(model, n, loss, &mut Checkpoint::default(), rng, callback)
    }

    /// Goes on from a checkpoint, and brings it to where training stops: [`run`](Self::run) from a checkpoint
    /// that is before the first step, as [`Checkpoint::default`] is.
    ///
    /// The model becomes what it was at the checkpoint; it has to have the same parameters, the same of them
    /// free. With the generator in the state that it had then, and the same settings, the parameters and the
    /// history have the same bits as those of training that was not stopped, wherever it was. `steps` counts
    /// from the very first; all settings but `batch` may be others than before.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); [`Error::Shape`] and [`Error::Setting`] for a checkpoint of another number of
    /// parameters, rows, or rows a step. After an error in a step, a checkpoint is not where the model is: go
    /// on from an earlier one.
    pub fn resume<M: Parameterized>(
        &self,
        model: &mut M,
        n: usize,
        loss: impl FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        checkpoint: &mut Checkpoint,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &M) -> ControlFlow<()>,
    ) -> Result<History> {
        if self.natural.is_some() {
            let expected = "must be `None` here: a loss says nothing of q, as a variational model does";
            return Err(Error::setting("`natural`", "a rule", expected));
        }
        self.resume_beside(model, &[], n, loss, |_, _, _, _| Ok(None), checkpoint, rng, callback)
    }

    /// The same, with a part of the model that does not learn by Adam: `beside` moves it before each step
    /// of Adam, by the number of the step and the loss, less the log prior, with its gradient in all natural
    /// parameters before both, and returns the rate. Parameters that may be any finite number are counted in these units, in
    /// visiting order of all scalars, or in 1.
    #[allow(clippy::too_many_arguments, reason = "the model, its two ways to learn, and what a run is given")]
    pub(crate) fn resume_beside<M: Parameterized>(
        &self,
        model: &mut M,
        units: &[f64],
        n: usize,
        mut loss: impl FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        mut beside: impl FnMut(&mut M, usize, f64, &[f64]) -> Result<Option<f64>>,
        checkpoint: &mut Checkpoint,
        rng: &mut (impl Rng + ?Sized),
        mut callback: impl FnMut(&Progress, &M) -> ControlFlow<()>,
    ) -> Result<History> {
        self.check(n)?;
        let units = units_at(model, units);
        let mut rates = self.rates_of(model)?;
        rates.iter_mut().zip(&units).for_each(|(rate, unit)| *rate *= unit);
        let state = match &mut checkpoint.state {
            Some(state) => {
                state.load(self, model, n)?;
                state
            }
            none => none.insert(State::start(self, model, n)?),
        };
        let before = state.steps;
        let mut stopped = Stopped::Finished;
        while state.steps < self.steps && stopped == Stopped::Finished {
            let step = state.steps;
            let (loss, natural) = self.step(model, state, (&rates, &units), &mut loss, &mut beside, rng)?;
            let rate = self.adam.rate * self.schedule.factor(step);
            let progress = Progress { step, steps: self.steps, loss, rate, natural };
            state.steps += 1;
            state.last = Some(progress);
            if step.is_multiple_of(self.record_every) {
                state.records.push(progress);
            }
            // The rule sees each loss, also where the callback stops.
            if self.early_stop.is_some_and(|rule| state.plateau.sees(loss, rule)) {
                stopped = Stopped::Early;
            }
            if callback(&progress, model).is_break() {
                stopped = Stopped::Callback;
            }
        }
        // Where the callback has stopped, the next step is the judge: training that goes on is to meet what it would have met.
        if state.steps > before
            && stopped != Stopped::Callback
            && let Some(last) = state.last
        {
            self.judge(model, state, &mut loss, last.step)?;
        }
        state.values = model.values();
        let mut records = state.records.clone();
        records.extend(state.last.filter(|last| records.last() != Some(last)));
        Ok(History { records, steps: state.steps, stopped })
    }

    /// One step, the loss before it, and the rate of what is beside it. If it fails, the model goes back to where the loss was last sound.
    fn step<M: Parameterized>(
        &self,
        model: &mut M,
        state: &mut State,
        (rates, units): (&[f64], &[f64]),
        loss: &mut impl FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        beside: &mut impl FnMut(&mut M, usize, f64, &[f64]) -> Result<Option<f64>>,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<(f64, Option<f64>)> {
        let State { steps, point, sound, adam, deck, .. } = state;
        let mut take = || {
            let batch = deck.as_mut().map_or(Batch::All, |deck| Batch::Rows(deck.deal(rng)));
            let Evaluation { loss, mut gradient, natural } = evaluate(model, point, batch, loss, *steps)?;
            gradient.iter_mut().zip(units).for_each(|(entry, unit)| *entry *= unit);
            *sound = model.values();
            adam.step_each(rates, self.schedule.factor(*steps), point, &gradient)?;
            let moved = beside(model, *steps, loss, &natural)?;
            model.set_unconstrained(point)?;
            Ok((loss, moved))
        };
        let taken = take();
        if taken.is_err() {
            restore(model, sound);
        }
        taken
    }

    /// Refuses a last step after which the loss of its batch is not sound, as the next step would.
    fn judge<M: Parameterized>(
        &self,
        model: &mut M,
        state: &State,
        loss: &mut impl FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        step: usize,
    ) -> Result<()> {
        let batch = state.deck.as_ref().map_or(Batch::All, |deck| Batch::Rows(deck.last()));
        let judged = evaluate(model, &state.point, batch, loss, step);
        if judged.is_err() {
            restore(model, &state.sound);
        }
        judged.map(drop)
    }

    /// The rate of each free parameter, before the schedule.
    fn rates_of<M: Parameterized>(&self, model: &M) -> Result<Vec<f64>> {
        let places = places(model);
        let free = places.iter().flatten().max().map_or(0, |last| last + 1);
        let mut rates = vec![self.adam.rate; free];
        for (path, rate) in &self.rates {
            if !(*rate >= 0.0 && rate.is_finite()) {
                return Err(Error::setting(&format!("the rate of `{path}`"), rate, "must be finite and not negative"));
            }
            for position in positions(model, path)? {
                if let Some(place) = places[position] {
                    rates[place] = *rate;
                }
            }
        }
        Ok(rates)
    }

    fn check(&self, n: usize) -> Result<()> {
        self.schedule.check()?;
        match self.batch {
            Some(0) => return Err(Error::setting("batch", 0, "must be at least 1")),
            Some(size) if size > n => {
                return Err(Error::setting("batch", size, &format!("must be at most the number of rows, {n}")));
            }
            _ => {}
        }
        if self.record_every == 0 {
            return Err(Error::setting("record_every", 0, "must be at least 1"));
        }
        let Some(stop) = self.early_stop else { return Ok(()) };
        for (name, value) in [("window", stop.window), ("patience", stop.patience)] {
            if value == 0 {
                return Err(Error::setting(name, value, "must be at least 1"));
            }
        }
        if stop.tolerance.is_nan() || stop.tolerance < 0.0 {
            return Err(Error::setting("tolerance", stop.tolerance, "must not be negative"));
        }
        Ok(())
    }
}

/// A loss less the log prior, with its gradients in the free unconstrained and in all natural parameters.
struct Evaluation {
    loss: f64,
    gradient: Vec<f64>,
    natural: Vec<f64>,
}

/// The loss and its gradient in the free unconstrained parameters, both finite.
fn evaluate<M: Parameterized>(
    model: &M,
    point: &[f64],
    batch: Batch<'_>,
    loss: &mut impl FnMut(&M, Batch<'_>) -> Result<(f64, Vec<f64>)>,
    step: usize,
) -> Result<Evaluation> {
    let (value, mut natural) = loss(model, batch)?;
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
    use crate::prelude::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    fn go_on<M>(_: &Progress, _: &M) -> ControlFlow<()> {
        ControlFlow::Continue(())
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
            let train = Train { steps, batch, ..train() };
            let mut kernel = Rbf::new(1.0);
            let mut evaluations = 0;
            let falls = |kernel: &Rbf, _: Batch<'_>| {
                evaluations += 1;
                let value = if evaluations > steps { f64::NEG_INFINITY } else { kernel.lengthscale()[0] };
                Ok((value, vec![1.0]))
            };
            let mut rng = Pcg64::seed_from_u64(1);
            let error = train.run(&mut kernel, 5, falls, &mut rng, go_on).unwrap_err();
            assert!(matches!(error, Error::Optimisation { step, .. } if step + 1 == steps), "{error}");
            // Where the loss was last sound.
            let mut sound = Rbf::new(1.0);
            let short = Train { steps: steps - 1, batch, ..train };
            let slopes = |kernel: &Rbf, _: Batch<'_>| Ok((kernel.lengthscale()[0], vec![1.0]));
            short.run(&mut sound, 5, slopes, &mut Pcg64::seed_from_u64(1), go_on).unwrap();
            assert_eq!(kernel.values(), sound.values());
        }
    }

    fn train() -> Train {
        Train { steps: 400, adam: Adam { rate: 0.1, ..Adam::default() }, ..Train::default() }
    }

    #[test]
    fn all_rows_lead_to_the_minimum() {
        let mut kernel = Rbf::new(1.0);
        let history = train().run(&mut kernel, 5, loss, &mut Pcg64::seed_from_u64(0), go_on).unwrap();
        assert_eq!((history.steps, history.stopped, history.records.len()), (400, Stopped::Finished, 400));
        assert!((kernel.lengthscale()[0].ln() - 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let run = |seed| {
            let mut kernel = Rbf::new(1.0);
            let train = Train { batch: Some(2), ..train() };
            let history = train.run(&mut kernel, 5, loss, &mut Pcg64::seed_from_u64(seed), go_on).unwrap();
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
            let error = train().run(&mut kernel, 5, breaks, &mut Pcg64::seed_from_u64(0), go_on).unwrap_err();
            assert!(matches!(error, Error::Optimisation { step: 7, .. }), "{error}");
            assert!((kernel.lengthscale()[0] / seen[6] - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn errors_of_the_loss_pass_through() {
        let mut kernel = Rbf::new(1.0);
        let breaks = |_: &Rbf, _: Batch<'_>| Err(Error::Empty { what: "x".into() });
        let error = train().run(&mut kernel, 5, breaks, &mut Pcg64::seed_from_u64(0), go_on).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }));
        assert_eq!(kernel.lengthscale(), [1.0]);
    }

    #[test]
    fn callbacks_see_each_step_and_may_stop() {
        let mut kernel = Rbf::new(1.0);
        let train = Train { record_every: 4, schedule: Schedule::Constant.warm_up(10), ..train() };
        let mut rates = Vec::new();
        let stop = |progress: &Progress, _: &Rbf| {
            rates.push(progress.rate);
            if progress.step == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let history = train.run(&mut kernel, 5, loss, &mut Pcg64::seed_from_u64(0), stop).unwrap();
        assert_eq!((history.steps, history.stopped), (10, Stopped::Callback));
        assert_eq!(history.records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 4, 8, 9]);
        for (step, rate) in rates.iter().enumerate() {
            assert!((rate - 0.01 * (step + 1) as f64).abs() < 1e-15);
        }
    }

    #[test]
    fn plateaus_stop_early() {
        let early_stop = Some(EarlyStop { window: 10, patience: 5, tolerance: 1e-6 });
        let mut kernel = Rbf::new(1.0);
        let train = Train { steps: 5000, early_stop, ..train() };
        let history = train.run(&mut kernel, 5, loss, &mut Pcg64::seed_from_u64(0), go_on).unwrap();
        assert_eq!(history.stopped, Stopped::Early);
        assert!(history.steps.is_multiple_of(10) && history.steps < 1000);
        assert!((kernel.lengthscale()[0].ln() - 2.0).abs() < 1e-2);
    }

    #[test]
    fn settings_are_checked() {
        for train in [
            Train { batch: Some(0), ..train() },
            Train { batch: Some(6), ..train() },
            Train { record_every: 0, ..train() },
            Train { schedule: Schedule::Constant.warm_up(0), ..train() },
            Train { rates: vec![("rbf".into(), -1.0)], ..train() },
            Train { rates: vec![("rbf".into(), f64::NAN)], ..train() },
            Train { adam: Adam { rate: -1.0, ..Adam::default() }, ..train() },
            Train { early_stop: Some(EarlyStop { window: 0, ..EarlyStop::default() }), ..train() },
        ] {
            let result = train.run(&mut Rbf::new(1.0), 5, loss, &mut Pcg64::seed_from_u64(0), go_on);
            assert!(matches!(result, Err(Error::Setting { .. })), "{train:?}");
        }
    }

    #[test]
    fn no_steps_change_nothing() {
        let mut kernel = Rbf::new(0.7);
        let train = Train { steps: 0, ..train() };
        let history = train.run(&mut kernel, 5, loss, &mut Pcg64::seed_from_u64(0), go_on).unwrap();
        assert_eq!((history.records.len(), kernel.lengthscale()[0]), (0, 0.7));
    }
}
