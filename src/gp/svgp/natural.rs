//! Natural gradients for q.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use faer::MatRef;
use rand::Rng;

use super::train::precise;
use super::{Elbo, Svgp};
use crate::gp::variational::Variational;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Batch, Checkpoint, History, Minimizer, Minimum, NaturalGradient, Progress, Train, fit_in_units};
use crate::params::ParameterizedExt;
use crate::{Expr, Result, Scalar};

/// The most steps of q in an evaluation of [`Svgp::fit_natural`].
const LARGEST_NUMBER_OF_STEPS: usize = 500;

/// A step that lowers the bound is tried again at half the rate, so many times.
const HALVINGS: usize = 30;

/// What a step at the rate 1 has to gain, relative to the bound, for another to follow.
const LEAST_GAIN: f64 = 1e-13;

/// How training moves q: by a rule, and by the bound from all data where each step sees all.
pub(super) struct Rule<'r, M> {
    pub(super) natural: &'r NaturalGradient,
    /// The relative rounding error of the data's precision.
    pub(super) epsilon: f64,
    pub(super) judge: &'r dyn Fn(&M) -> Result<Elbo>,
}

/// What a [step](Svgp::natural_step) along the natural gradient did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NaturalStep {
    /// The bound before the step.
    pub elbo: Elbo,
    /// The bound after it, which is not lower; `None` from a batch of more data, of which it would be an estimate.
    pub reached: Option<Elbo>,
    /// The rate that the step was taken with: of several latent functions, the least. 0 if it was not taken: at the
    /// best q, to rounding, there is no rate that raises the bound.
    pub rate: f64,
}

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// Moves q along the natural gradient of the bound on `total` observations, estimated from a batch
    /// of them: whitened or not, the step is the same. For a Gaussian likelihood and all data, one
    /// step of rate 1 from anywhere leads to the best q, at which the bound is the collapsed one.
    ///
    /// From all data, a step raises the bound: the rate is halved until it does, thirty times at most, and then
    /// the step is not taken, and its [`rate`](NaturalStep::rate) is 0. A batch says too little of the bound for that.
    ///
    /// Gradients in q alone are computed: the kernel need not have any.
    ///
    /// # Errors
    ///
    /// As [`elbo`](Self::elbo) and [`NaturalGradient::step`]; [`Error::Overflow`](crate::Error::Overflow) where the link of
    /// the likelihood overflows; [`Error::Setting`](crate::Error::Setting) for a q that is not full, or not all free.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{ExactGp, Svgp};
    /// use mercer::likelihood::Gaussian;
    /// use mercer::optim::NaturalGradient;
    /// use mercer::prelude::*;
    ///
    /// // All inputs are inducing ones: the best bound is the evidence.
    /// let (x, y) = (mat![[0.0], [1.0], [2.5]], [0.3, 1.0, -0.4]);
    /// let mut sparse = Svgp::new(Rbf::new(1.0), x.as_ref())?.with_likelihood(Gaussian::new(0.1));
    /// sparse.natural_step(x.as_ref(), &y, 3, &NaturalGradient::default())?;
    ///
    /// let exact = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?;
    /// let evidence = exact.log_evidence(x.as_ref(), &y)?;
    /// assert!((sparse.elbo(x.as_ref(), &y)?.value - evidence).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn natural_step<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        total: usize,
        rule: &NaturalGradient,
    ) -> Result<NaturalStep>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        self.check_observed(x, y, total)?;
        self.check_natural(rule)?;
        let (elbo, gradient, sound) =
            self.evaluate(&*self.likelihood, x, y, total, &RefCell::default(), false, true)?;
        sound?;
        if total != x.nrows() {
            return Ok(NaturalStep { elbo, reached: None, rate: self.move_q(rule, 0, &gradient)? });
        }
        let judge = |model: &Self| model.elbo(x, y);
        Ok(self.judged_step(rule, 0, (elbo, &gradient), T::epsilon().as_f64(), &judge)?.0)
    }

    /// Maximises the bound by stochastic gradients: q by natural gradients, all else that is free by
    /// Adam, with both steps from one evaluation at the parameters before.
    ///
    /// Where each step sees all data, that of q raises the bound, and with priors its sum with their
    /// log density, at the parameters before Adam's: its rate is halved until it does, or the step is not taken.
    /// [`Progress::natural`] has the rate.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train) and [`natural_step`](Self::natural_step).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::inducing::start::subset;
    /// use mercer::optim::{Adam, NaturalGradient, Train};
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let x = Mat::from_fn(200, 1, |i, _| 0.03 * i as f64);
    /// let y: Vec<f64> = (0..200).map(|i| (0.03 * i as f64).sin()).collect();
    ///
    /// let z = subset(x.as_ref(), 12, &mut rng)?;
    /// let mut gp = Svgp::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_likelihood(mercer::likelihood::Gaussian::new(0.1));
    /// let train = Train { steps: 100, batch: Some(50), adam: Adam { rate: 0.03, ..Adam::default() }, ..Train::default() };
    /// let rule = NaturalGradient { rate: 0.2, ..NaturalGradient::default() };
    /// let history = gp.train_natural(x.as_ref(), &y, &train, &rule, &mut rng)?;
    /// assert!(history.records[99].loss < history.records[0].loss - 100.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn train_natural<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rule: &NaturalGradient,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.train_natural_with(x, y, train, rule, rng, |_, _| ControlFlow::Continue(()))
    }

    /// The same, with a callback after each step, which sees the model, its q frozen, and may stop the training.
    ///
    /// # Errors
    ///
    /// As [`train_natural`](Self::train_natural).
    pub fn train_natural_with<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rule: &NaturalGradient,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &Self) -> ControlFlow<()>,
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.train_natural_from(x, y, train, rule, &mut Checkpoint::default(), rng, callback)
    }

    /// The same from a [`Checkpoint`], which is brought to where the training stops: with the data, the settings,
    /// the rule and the generator as they were there, to the same bits as without a stop.
    ///
    /// # Errors
    ///
    /// As [`train_natural`](Self::train_natural) and [`Train::resume`].
    #[allow(clippy::too_many_arguments, reason = "data, two rules, and what a run is given")]
    pub fn train_natural_from<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rule: &NaturalGradient,
        checkpoint: &mut Checkpoint,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &Self) -> ControlFlow<()>,
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        self.check_observed(x, y, x.nrows())?;
        self.check_observations(y)?;
        self.check_natural(rule)?;
        let (units, pool) = (self.units(x, y)?, RefCell::default());
        self.part_coincident(x, y, train, checkpoint);
        let judge = |model: &Self| model.elbo(x, y);
        let rule = Rule { natural: rule, epsilon: T::epsilon().as_f64(), judge: &judge };
        self.resume_natural((x.nrows(), &units), Self::loss(x, y, &pool), train, &rule, checkpoint, rng, callback)
    }

    /// Training on n rows, in [units](Self::units) or none, by a loss, q by natural gradients.
    #[allow(clippy::too_many_arguments, reason = "a loss, two rules, and what a run is given")]
    pub(super) fn resume_natural(
        &mut self,
        (n, units): (usize, &[f64]),
        loss: impl FnMut(&Self, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        train: &Train,
        rule: &Rule<'_, Self>,
        checkpoint: &mut Checkpoint,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &Self) -> ControlFlow<()>,
    ) -> Result<History> {
        let sees_all = train.batch.is_none_or(|batch| batch == n);
        let beside = |model: &mut Self, step: usize, loss: f64, gradient: &[f64]| -> Result<Option<f64>> {
            let ascent: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
            if !sees_all {
                return model.move_q(rule.natural, step, &ascent).map(Some);
            }
            // A batch of all rows has them in another order, and the loss other rounding errors.
            let before = if train.batch.is_none() { -loss } else { (rule.judge)(model)?.value + model.log_prior() };
            let objective = |model: &Self| Ok((rule.judge)(model)?.value + model.log_prior());
            let (rate, _) =
                model.raise(rule.natural, step, &ascent, before, rule.epsilon * before.abs(), &objective)?;
            Ok(Some(rate))
        };
        // Adam does not see what is not free.
        self.freeze("variational")?;
        let outcome = train.resume_beside(self, units, n, loss, beside, checkpoint, rng, callback);
        self.unfreeze("variational")?;
        outcome
    }

    /// Maximises the bound from all data over all that is free but q, with q brought to its best by
    /// natural gradients at each evaluation: with a Gaussian likelihood, the collapsed bound.
    ///
    /// At the best q the gradient in the rest is that of the bound that is left, so that a quasi-Newton
    /// minimiser sees a function of some hundred parameters, however many q has. With a Gaussian
    /// likelihood and the rate 1 the first step of q in an evaluation is the last that changes anything.
    /// Others should be log-concave, for q to have one best; each evaluation starts from the q of the best one before.
    ///
    /// Each step of q raises the bound, as a [`natural_step`](Self::natural_step) from all data does. The model ends
    /// with the best parameters seen and the q that was found at them, and [`Minimum::value`] is −bound of the two, less
    /// the log prior.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit) and [`natural_step`](Self::natural_step).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::likelihood::Gaussian;
    /// use mercer::optim::{Lbfgs, NaturalGradient};
    /// use mercer::prelude::*;
    ///
    /// let x = Mat::from_fn(60, 1, |i, _| 0.1 * i as f64);
    /// let y: Vec<f64> = (0..60).map(|i| (0.1 * i as f64).sin()).collect();
    /// let mut gp = Svgp::new(1.0 * Rbf::new(1.0), mat![[0.5], [2.0], [3.5], [5.0]].as_ref())?;
    /// gp = gp.with_likelihood(Gaussian::new(0.1));
    /// let minimum = gp.fit_natural(x.as_ref(), &y, &Lbfgs::default(), &NaturalGradient::default())?;
    /// assert!((gp.elbo(x.as_ref(), &y)?.value + minimum.value).abs() < 1e-6);
    ///
    /// // Nothing is left for q.
    /// let (_, gradient) = gp.elbo_gradient(x.as_ref(), &y, 60)?;
    /// assert!(gradient[gradient.len() - 14..].iter().all(|entry| entry.abs() < 1e-3));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn fit_natural<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        minimizer: &dyn Minimizer,
        rule: &NaturalGradient,
    ) -> Result<Minimum>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        self.check_natural(rule)?;
        let (units, pool) = (self.units(x, y)?, RefCell::default());
        self.part_coincident(x, y, &Train::default(), &Checkpoint::default());
        let (mut least, mut best) = (f64::INFINITY, self.variational.clone());
        self.freeze("variational")?;
        let outcome = fit_in_units(self, &units, minimizer, |model| {
            let mut trial = model.clone();
            trial.variational.clone_from(&best);
            trial.best_q(x, y, rule)?;
            let (loss, gradient) = precise(trial.checked_gradient(x, y, x.nrows(), &pool, true)?)?;
            // Less what does not move: `fit` keeps the parameters by the same number.
            let value = loss - model.log_prior();
            if value < least && gradient.iter().all(|slope| slope.is_finite()) {
                least = value;
                best.clone_from(&trial.variational);
            }
            Ok((loss, gradient))
        });
        self.variational = best;
        self.unfreeze("variational")?;
        let mut outcome = outcome?;
        // Once more, with q not frozen: the bound can only be higher than the one that was seen.
        let reached = self.best_q(x, y, rule)?;
        outcome.value = -reached.value - self.log_prior();
        Ok(outcome)
    }

    /// Moves q until a step gains next to nothing: the bound there.
    fn best_q<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], rule: &NaturalGradient) -> Result<Elbo>
    where
        K: Kernel<T>,
    {
        let mut elbo = self.elbo(x, y)?;
        // A rate that was too large once is not tried at once again.
        let mut part = 1.0;
        for number in 0..LARGEST_NUMBER_OF_STEPS {
            let gradient = self.bound_gradient_in_q(x, y)?;
            let shorter = NaturalGradient { rate: part * rule.rate, ..rule.clone() };
            let judge = |model: &Self| model.elbo(x, y);
            let (step, asked) = self.judged_step(&shorter, number, (elbo, &gradient), T::epsilon().as_f64(), &judge)?;
            let reached = step.reached.unwrap_or(elbo);
            let gain = reached.value - elbo.value;
            elbo = reached;
            let settled = gain <= LEAST_GAIN * step.rate * (1.0 + elbo.value.abs());
            // A short step gains little where a long one may still gain something.
            if settled && part == 1.0 {
                break;
            }
            part = if settled { 1.0 } else { (2.0 * asked / rule.rate).min(1.0) };
        }
        Ok(elbo)
    }

    /// The gradient of the bound from all data; left at 0 in the parameters of the kernel, of which q needs none.
    fn bound_gradient_in_q<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Vec<f64>>
    where
        K: Kernel<T>,
    {
        let (_, gradient, sound) =
            self.evaluate(&*self.likelihood, x, y, x.nrows(), &RefCell::default(), false, false)?;
        sound.map(|()| gradient)
    }

    /// A step that raises the bound from all data, which is known with its gradient before it, or none; and as
    /// [`raise`](Self::raise) the rate that was asked for.
    pub(super) fn judged_step(
        &mut self,
        rule: &NaturalGradient,
        number: usize,
        (elbo, gradient): (Elbo, &[f64]),
        epsilon: f64,
        judge: &dyn Fn(&Self) -> Result<Elbo>,
    ) -> Result<(NaturalStep, f64)> {
        let last = Cell::new(elbo);
        let objective = |model: &Self| {
            last.set(judge(model)?);
            Ok(last.get().value)
        };
        let rounding = epsilon * (elbo.expected_log_likelihood.abs() + elbo.kl.abs());
        let (rate, asked) = self.raise(rule, number, gradient, elbo.value, rounding, &objective)?;
        let reached = Some(if rate > 0.0 { last.get() } else { elbo });
        Ok((NaturalStep { elbo, reached, rate }, asked))
    }

    /// Moves q by a step that does not lower an objective, from its value and gradient before; returns the rate, or 0
    /// where there is no such step, and the rate that the rule was asked for, before the schedule and what the rule
    /// itself takes off.
    ///
    /// The natural gradient points uphill, so that a small enough rate raises the objective; halving ends early where
    /// the gain that the gradient promises is no more than rounding, at the best q.
    fn raise(
        &mut self,
        rule: &NaturalGradient,
        number: usize,
        gradient: &[f64],
        before: f64,
        rounding: f64,
        objective: &dyn Fn(&Self) -> Result<f64>,
    ) -> Result<(f64, f64)> {
        let start = self.variational.clone();
        let own = &gradient[gradient.len() - start.num_params()..];
        let mut shorter = rule.clone();
        for _ in 0..=HALVINGS {
            let rate = self.move_q(&shorter, number, gradient)?;
            // Where there is no bound, the step led too far as well.
            if objective(self).is_ok_and(|value| value >= before) {
                return Ok((rate, shorter.rate));
            }
            let moved = self.variational.values().into_iter().zip(start.values());
            let promised: f64 = moved.zip(own).map(|((after, before), slope)| (after - before) * slope).sum();
            self.variational.clone_from(&start);
            if promised.abs() <= rounding {
                break;
            }
            // The rule may have had to shorten the step itself.
            shorter.rate = 0.5 * shorter.rate.min(rate / rule.schedule.factor(number));
        }
        Ok((0.0, shorter.rate))
    }

    pub(super) fn check_natural(&self, rule: &NaturalGradient) -> Result<()> {
        rule.check()?;
        self.variational.all().iter().try_for_each(Variational::check_natural)
    }

    /// A step of each q, whose gradients are the last of all; or of none.
    pub(super) fn move_q(&mut self, rule: &NaturalGradient, step: usize, gradient: &[f64]) -> Result<f64> {
        let mut rest = &gradient[gradient.len() - self.variational.num_params()..];
        let mut moved = self.variational.clone();
        let mut least = f64::INFINITY;
        for q in moved.all_mut() {
            let (own, others) = rest.split_at(q.num_params());
            least = least.min(q.natural_step(rule, step, own)?);
            rest = others;
        }
        self.variational = moved;
        Ok(least)
    }
}
