//! Natural gradients for q.

use std::cell::RefCell;
use std::ops::ControlFlow;

use faer::MatRef;
use rand::Rng;

use super::train::negative;
use super::{Elbo, Svgp};
use crate::gp::variational::Variational;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Batch, Checkpoint, History, Minimizer, Minimum, NaturalGradient, Progress, Train, fit_in_units};
use crate::params::ParameterizedExt;
use crate::{Expr, Result, Scalar};

/// The most steps of q in an evaluation of [`Svgp::fit_natural`].
const LARGEST_NUMBER_OF_STEPS: usize = 100;

/// What a [step](Svgp::natural_step) along the natural gradient did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NaturalStep {
    /// The bound before the step.
    pub elbo: Elbo,
    /// The rate that the step was taken with: of several latent functions, the least.
    pub rate: f64,
}

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// Moves q along the natural gradient of the bound on `total` observations, estimated from a batch
    /// of them: whitened or not, the step is the same. For a Gaussian likelihood and all data, one
    /// step of rate 1 from anywhere leads to the best q, at which the bound is the collapsed one.
    ///
    /// Gradients in q alone are computed: the kernel need not have any.
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient) and [`NaturalGradient::step`]; [`Error::Setting`](crate::Error::Setting)
    /// for a q that is not full, or not all free.
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
        let (elbo, gradient) = self.evaluate(&*self.likelihood, x, y, total, &RefCell::default(), false)?;
        Ok(NaturalStep { elbo, rate: self.move_q(rule, 0, &gradient)? })
    }

    /// Maximises the bound by stochastic gradients: q by natural gradients, all else that is free by
    /// Adam, with both steps from one evaluation at the parameters before.
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
        self.resume_natural((x.nrows(), &units), Self::loss(x, y, &pool), train, rule, checkpoint, rng, callback)
    }

    /// Training on n rows, in [units](Self::units) or none, by a loss, q by natural gradients.
    #[allow(clippy::too_many_arguments, reason = "a loss, two rules, and what a run is given")]
    pub(super) fn resume_natural(
        &mut self,
        (n, units): (usize, &[f64]),
        loss: impl FnMut(&Self, Batch<'_>) -> Result<(f64, Vec<f64>)>,
        train: &Train,
        rule: &NaturalGradient,
        checkpoint: &mut Checkpoint,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &Self) -> ControlFlow<()>,
    ) -> Result<History> {
        let beside = |model: &mut Self, step: usize, gradient: &[f64]| -> Result<()> {
            let ascent: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
            model.move_q(rule, step, &ascent).map(drop)
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
    /// Others should be log-concave, for q to have one best.
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
        let mut best = self.variational.clone();
        let free = self.variational.clone();
        self.freeze("variational")?;
        let outcome = fit_in_units(self, &units, minimizer, |model| {
            let mut trial = model.clone();
            trial.variational.clone_from(&best);
            trial.best_q(x, y, rule)?;
            best.clone_from(&trial.variational);
            negative(trial.elbo_gradient_with(x, y, x.nrows(), &pool)?)
        });
        self.variational = if outcome.is_ok() { best } else { free };
        self.unfreeze("variational")?;
        let outcome = outcome?;
        self.best_q(x, y, rule)?;
        Ok(outcome)
    }

    /// Moves q until the bound gains less than 1e-10 of itself by a step.
    fn best_q<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], rule: &NaturalGradient) -> Result<()>
    where
        K: Kernel<T>,
    {
        let mut before = f64::NEG_INFINITY;
        for _ in 0..LARGEST_NUMBER_OF_STEPS {
            let bound = self.natural_step(x, y, x.nrows(), rule)?.elbo.value;
            if bound - before < 1e-10 * bound.abs() {
                break;
            }
            before = bound;
        }
        Ok(())
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
