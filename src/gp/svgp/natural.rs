//! Natural gradients for q.

use std::cell::Cell;

use faer::MatRef;

use super::{Elbo, Svgp};
use crate::gp::data::{self, Data};
use crate::gp::fit::NOISE_FLOOR;
use crate::gp::model::{Memory, Model, NaturalGradients, Scales};
use crate::gp::rounding::loss;
use crate::gp::variational::Variational;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Measures, Minimizer, Minimum, NaturalGradient, Train, fit_by};
use crate::params::ParameterizedExt;
use crate::{Expr, Result, Scalar};

/// The most steps of q in an evaluation of [`Svgp::fit_profiled`].
const LARGEST_NUMBER_OF_STEPS: usize = 500;

/// A step that lowers the bound is tried again at half the rate, so many times.
const HALVINGS: usize = 30;

/// What a step at the rate 1 has to gain, relative to the bound, for another to follow.
const LEAST_GAIN: f64 = 1e-13;

/// The gradient of the objective, from that of the loss.
pub(super) fn negated(gradient: &[f64]) -> Vec<f64> {
    gradient.iter().map(|entry| -entry).collect()
}

/// The result of a [natural-gradient step](NaturalGradients::natural_step).
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
    /// A step on some of `total` observations.
    fn step_on_rows<T: Scalar>(&mut self, data: &Data<T>, total: usize, rule: &NaturalGradient) -> Result<NaturalStep>
    where
        K: Kernel<T>,
    {
        let (x, y) = (data.x(), data.stacked(self.likelihood.outputs())?);
        self.check(x, &y)?;
        self.check_observed(x, &y, total)?;
        self.check_natural(rule)?;
        let (elbo, gradient, sound) = self.evaluate_rows(&*self.likelihood, x, &y, total, &Memory::default(), false)?;
        sound?;
        if total != x.nrows() {
            return Ok(NaturalStep { elbo, reached: None, rate: self.move_q(rule, 0, &gradient)? });
        }
        let judge = |model: &Self| model.bound(x, &y, total);
        Ok(self.judged_step(rule, 0, (elbo, &gradient), T::epsilon().as_f64(), &judge)?.0)
    }

    /// A step of q in a training whose step sees all data, by the loss and its gradient before it; `bound` is that from all
    /// data, of relative rounding error `epsilon`.
    pub(super) fn move_and_judge(
        &mut self,
        (rule, step): (&NaturalGradient, usize),
        before: f64,
        of_loss: &[f64],
        epsilon: f64,
        bound: &dyn Fn(&Self) -> Result<Elbo>,
    ) -> Result<f64> {
        let objective = |model: &Self| Ok(bound(model)?.value + model.log_prior());
        Ok(self.raise(rule, step, &negated(of_loss), before, epsilon * before.abs(), &objective)?.0)
    }

    /// How q moves in a training, if not by its optimiser.
    pub(super) fn natural_rule(&self, train: &Train) -> Result<Option<NaturalGradient>> {
        train.natural_gradients().map_or(Ok(()), |rule| self.check_natural(rule))?;
        Ok(train.natural_gradients().cloned())
    }

    /// Maximises the bound from all data over all that is free but q, with q brought to its best by
    /// natural gradients at each evaluation: with a Gaussian likelihood, the collapsed bound.
    ///
    /// At the best q the gradient in the rest is that of the bound that is left, so that a quasi-Newton
    /// minimiser sees a function of some hundred parameters, however many q has. With a Gaussian
    /// likelihood and the rate 1 the first step of q in an evaluation is the last that changes anything.
    /// Others should be log-concave, for q to have one best; each evaluation starts from the q of the best one before.
    ///
    /// Each step of q raises the bound, as a [`natural_step`](NaturalGradients::natural_step) from all data does. The model ends
    /// with the best parameters seen and the q that was found at them, and [`Minimum::value`] is −bound of the two, less
    /// the log prior.
    ///
    /// # Errors
    ///
    /// As [`fit`](crate::gp::Model::fit) and [`natural_step`](NaturalGradients::natural_step).
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
    /// let data = Data::new(&x, &y);
    /// let minimum = gp.fit_profiled(&data, &Lbfgs::default(), &NaturalGradient::default())?;
    /// assert!((gp.objective(&data)?.value + minimum.value).abs() < 1e-6);
    ///
    /// // Nothing is left for q.
    /// let (_, gradient) = gp.gradient(&data.part_of(60))?;
    /// assert!(gradient[gradient.len() - 14..].iter().all(|entry| entry.abs() < 1e-3));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn fit_profiled<T: Scalar>(
        &mut self,
        data: &Data<T>,
        minimizer: &dyn Minimizer,
        rule: &NaturalGradient,
    ) -> Result<Minimum>
    where
        K: Kernel<T>,
    {
        let (x, y) = (data.x(), data.stacked(self.likelihood.outputs())?);
        self.check(x, &y)?;
        self.check_natural(rule)?;
        let (Scales { parameters, noise, .. }, memory) = (self.scales(data)?, Memory::default());
        let floors: Vec<f64> = noise.iter().map(|unit| NOISE_FLOOR * unit).collect();
        self.part_coincident(x, &y, None);
        let (mut least, mut best) = (f64::INFINITY, self.variational.clone());
        self.freeze("variational")?;
        let outcome = fit_by(self, Measures { units: &parameters, floors: &floors }, minimizer, |model| {
            let mut trial = model.clone();
            trial.variational.clone_from(&best);
            trial.best_q(x, &y, rule)?;
            let (elbo, gradient) = trial.checked_gradient(x, &y, x.nrows(), &memory)?;
            let (loss, gradient) = loss("the bound", elbo.value, elbo.rounding, gradient)?;
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
        let reached = self.best_q(x, &y, rule)?;
        outcome.value = -reached.value - self.log_prior();
        Ok(outcome)
    }

    /// Moves q until a step gains next to nothing: the bound there.
    fn best_q<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], rule: &NaturalGradient) -> Result<Elbo>
    where
        K: Kernel<T>,
    {
        let mut elbo = self.bound(x, y, x.nrows())?;
        // A rate that was too large once is not tried at once again.
        let mut part = 1.0;
        for number in 0..LARGEST_NUMBER_OF_STEPS {
            let gradient = self.bound_gradient_in_q(x, y)?;
            let shorter = NaturalGradient { rate: part * rule.rate, ..rule.clone() };
            let judge = |model: &Self| model.bound(x, y, x.nrows());
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
            self.evaluate_rows(&*self.likelihood, x, y, x.nrows(), &Memory::default().without_rounding(), false)?;
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

impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures> NaturalGradients<Data<T>> for Svgp<K, F> {
    fn natural_step(&mut self, data: &Data<T>, rule: &NaturalGradient) -> Result<NaturalStep> {
        self.step_on_rows(data, data.x().nrows(), rule)
    }
}

impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures> NaturalGradients<data::Batch<T>> for Svgp<K, F> {
    fn natural_step(&mut self, batch: &data::Batch<T>, rule: &NaturalGradient) -> Result<NaturalStep> {
        self.step_on_rows(&batch.data, batch.total, rule)
    }
}
