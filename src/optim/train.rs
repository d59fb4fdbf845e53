//! The settings of a training by stochastic gradients.

use super::{Adam, EarlyStop, NaturalGradient, Schedule};
use crate::params::{Parameterized, places, positions};
use crate::{Error, Result};

/// The settings of a training: [`Adam`] on the free parameters, on the real line of their constraints.
///
/// Models are trained by [`Trainable::train`](crate::gp::Trainable::train) or, step by step, by
/// [`Trainable::run`](crate::gp::Trainable::run); losses of your own by [`Run::new`](super::Run::new).
///
/// With a batch of `b` rows, each epoch shuffles the rows and deals batches of exactly `b` of them
/// without replacement; when fewer than `b` are left, the next epoch begins. Every batch is thus a
/// uniform sample of `b` rows, and a sum over it times [`Batch::scale`](super::Batch::scale) = N / b an unbiased estimate
/// of the sum over all rows. Without, every step sees all rows and no random number is drawn.
///
/// # Examples
///
/// ```
/// use mercer::gp::Svgp;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::{NaturalGradient, Schedule, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let x = Mat::from_fn(60, 1, |i, _| 0.1 * i as f64);
/// let data = Data::new(&x, (0..60).map(|i| (0.1 * i as f64).sin()).collect::<Vec<_>>());
/// let mut gp = Svgp::new(1.0 * Rbf::new(1.0), mat![[0.5], [2.0], [3.5], [5.0]].as_ref())?
///     .with_likelihood(Gaussian::new(0.1));
///
/// let train = Train::new(200)
///     .with_batch(20)
///     .with_rate(0.05)
///     .with_rate_of("inducing", 0.01)
///     .with_schedule(Schedule::Cosine { steps: 200, last: 0.1 })
///     .with_natural_gradients(NaturalGradient { rate: 0.3, ..NaturalGradient::default() });
/// let before = gp.objective(&data)?.value;
/// gp.train(&data, &train, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// assert!(gp.objective(&data)?.value > before + 30.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "settings do nothing until something is trained by them"]
pub struct Train {
    pub(super) steps: usize,
    pub(super) batch: Option<usize>,
    pub(super) adam: Adam,
    rates: Vec<(String, f64)>,
    pub(super) natural: Option<NaturalGradient>,
    pub(super) schedule: Schedule,
    pub(super) early_stop: Option<EarlyStop>,
    pub(super) record_every: usize,
}

impl Default for Train {
    /// 1000 steps.
    fn default() -> Self {
        Self::new(1000)
    }
}

impl Train {
    /// So many steps of all rows, at a rate of 0.01.
    pub fn new(steps: usize) -> Self {
        Self {
            steps,
            batch: None,
            adam: Adam { rate: 0.01, ..Adam::default() },
            rates: Vec::new(),
            natural: None,
            schedule: Schedule::Constant,
            early_stop: None,
            record_every: 1,
        }
    }

    /// Sets the largest number of steps, counted from the very first of a run that was resumed.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets the rows a step: at least 1, at most all; `None`, the default, for all of them in their order.
    #[doc(alias = "minibatch", alias = "batch_size")]
    pub fn with_batch(self, rows: impl Into<Option<usize>>) -> Self {
        Self { batch: rows.into(), ..self }
    }

    /// Sets the learning rate, that of a factor 1 of the schedule. By default 0.01.
    #[doc(alias = "learning_rate", alias = "lr")]
    pub fn with_rate(self, rate: f64) -> Self {
        Self { adam: Adam { rate, ..self.adam }, ..self }
    }

    /// Sets the optimiser with its rate.
    pub fn with_adam(self, adam: Adam) -> Self {
        Self { adam, ..self }
    }

    /// Sets another learning rate for a parameter, an element of one, or all below a node, by path: of several that
    /// name one parameter, the last counts. The schedule's factor is on it too. At 0, Adam leaves the parameter where
    /// it is, as if it were frozen: its gradient does not count in the norm that is clipped. Of tied parameters one is
    /// enough.
    #[doc(alias = "param_groups")]
    pub fn with_rate_of(mut self, path: impl Into<String>, rate: f64) -> Self {
        self.rates.push((path.into(), rate));
        self
    }

    /// Sets how the q of a variational model moves, beside the optimiser, which then moves all else: both steps are
    /// from one evaluation at the parameters before. `None`, the default, leaves q to the optimiser too.
    ///
    /// Where each step sees all data, that of q raises the objective, and with priors its sum with their log density,
    /// at the parameters before the optimiser's step: its rate is halved until it does, or the step is not taken.
    /// [`Progress::natural`](super::Progress::natural) has the rate.
    pub fn with_natural_gradients(self, rule: impl Into<Option<NaturalGradient>>) -> Self {
        Self { natural: rule.into(), ..self }
    }

    /// Sets the factor on the rates at each step. By default 1.
    #[doc(alias = "scheduler")]
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Sets when to stop before the last step. By default never.
    pub fn with_early_stop(self, rule: impl Into<Option<EarlyStop>>) -> Self {
        Self { early_stop: rule.into(), ..self }
    }

    /// Sets the steps from one entry of the history to the next; the last step always has one. By default 1.
    pub fn with_record_every(self, steps: usize) -> Self {
        Self { record_every: steps, ..self }
    }

    /// The rows a step, or `None` for all.
    pub(crate) fn batch(&self) -> Option<usize> {
        self.batch
    }

    /// How q moves.
    pub(crate) fn natural_gradients(&self) -> Option<&NaturalGradient> {
        self.natural.as_ref()
    }

    /// The rate of each free parameter, before the schedule.
    pub(super) fn rates_of<M: Parameterized>(&self, model: &M) -> Result<Vec<f64>> {
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

    pub(super) fn check(&self, n: usize) -> Result<()> {
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
