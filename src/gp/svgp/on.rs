//! The bound from statistics of the data.

use std::cell::RefCell;
use std::ops::ControlFlow;

use faer::MatRef;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::bound::Recorded;
use super::natural::Rule;
use super::train::{negative, precise};
use super::{Elbo, NaturalStep, Svgp};
use crate::gp::moments::Moments;
use crate::gp::rounding::gradient_and_rounding;
use crate::gp::statistics::Statistics;
use crate::gp::terms::parameter_column;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Batch, Checkpoint, History, Minimizer, Minimum, NaturalGradient, Train, fit};
use crate::params::ParameterizedExt;
use crate::tape::{Pool, Tape};
use crate::{Error, Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// What the bound needs of the data with Gaussian noise, for features of a [basis](InducingFeatures::basis) that
    /// no hyperparameter moves: O(N·M²) once, and no N × M matrix.
    ///
    /// # Errors
    ///
    /// As [`elbo`](Self::elbo); [`Error::Setting`] for features without such a basis, or several latent functions.
    pub fn statistics<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Statistics>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        self.check_gaussian()?;
        Statistics::new(&self.inducing, self.mean.of(0), x, y, self.par)
    }

    /// [`elbo`](Self::elbo) from statistics: O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`elbo`](Self::elbo); [`Error::Setting`] for statistics of other features or another mean function, and for a
    /// likelihood that is not Gaussian noise of one variance.
    pub fn elbo_on(&self, statistics: &Statistics) -> Result<Elbo>
    where
        K: Kernel<f64>,
    {
        let differentiable = self.kernel.of(0).properties().differentiable;
        // Features may have values for a kernel, and no gradients.
        let evaluate = |differentiable| self.evaluate_on(statistics, &RefCell::default(), differentiable);
        Ok(evaluate(differentiable).or_else(|_| evaluate(false))?.0)
    }

    /// [`elbo_gradient`](Self::elbo_gradient) from statistics: O(M³), whatever N. In the mean function's
    /// parameters, which have to be frozen, it is 0.
    ///
    /// # Errors
    ///
    /// As [`elbo_on`](Self::elbo_on); [`Error::Setting`] for a mean function that is free;
    /// [`Error::NotDifferentiable`] for a kernel without gradients.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.6, 0.8], [1.0, 0.0], [-0.28, 0.96]], [0.7, 0.1, 1.1]);
    /// let gp = Svgp::with_features(Rbf::new(0.9), SphericalHarmonicFeatures::new(2, 3)?)?;
    /// let (plain, gradient) = gp.elbo_gradient(x.as_ref(), &y, 3)?;
    /// let (fast, same) = gp.elbo_gradient_on(&gp.statistics(x.as_ref(), &y)?)?;
    /// assert!((plain.value - fast.value).abs() < 1e-13);
    /// assert!(gradient.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-13));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn elbo_gradient_on(&self, statistics: &Statistics) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        self.elbo_gradient_on_with(statistics, &RefCell::default())
    }

    /// The same, with matrices from a pool and back into it: what a loop of one's own calls.
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient_on`](Self::elbo_gradient_on).
    pub fn elbo_gradient_on_with(&self, statistics: &Statistics, pool: &RefCell<Pool<f64>>) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        Statistics::check_frozen(self.mean.of(0))?;
        self.evaluate_on(statistics, pool, true)
    }

    fn evaluate_on(
        &self,
        statistics: &Statistics,
        pool: &RefCell<Pool<f64>>,
        differentiable: bool,
    ) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::with_pool(self.par, pool.take());
        tape.watch_rounding();
        let recorded = self.record_on(&tape, statistics, differentiable)?;
        let (gradient, rounding) = gradient_and_rounding(&tape, recorded.bound, &recorded.parameters, self)?;
        let elbo = recorded.elbo(&tape, rounding)?;
        pool.replace(tape.into_pool());
        Ok((elbo, gradient))
    }

    /// [`fit`](Self::fit) from statistics: each evaluation costs O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient_on`](Self::elbo_gradient_on) and [`fit`](Self::fit) at the start; later failures end the search
    /// at the best parameters found.
    pub fn fit_on(&mut self, statistics: &Statistics, minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<f64>,
    {
        let pool = RefCell::default();
        fit(self, minimizer, |model| precise(model.elbo_gradient_on_with(statistics, &pool)?))
    }

    /// [`natural_step`](Self::natural_step) on the data of the statistics: O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`elbo_on`](Self::elbo_on) and [`natural_step`](Self::natural_step).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Sgpr, Svgp};
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::optim::NaturalGradient;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.6, 0.8], [1.0, 0.0], [-0.28, 0.96]], [0.7, 0.1, 1.1]);
    /// let features = SphericalHarmonicFeatures::new(2, 3)?;
    /// let mut gp = Svgp::with_features(Rbf::new(0.9), features.clone())?;
    /// let statistics = gp.statistics(x.as_ref(), &y)?;
    /// gp.natural_step_on(&statistics, &NaturalGradient::default())?;
    ///
    /// // One step of rate 1 is the best q.
    /// let best = Sgpr::with_features(Rbf::new(0.9), features)?.log_evidence(x.as_ref(), &y)?;
    /// assert!((gp.elbo_on(&statistics)?.value - best.value).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn natural_step_on(&mut self, statistics: &Statistics, rule: &NaturalGradient) -> Result<NaturalStep>
    where
        K: Kernel<f64>,
    {
        self.check_natural(rule)?;
        let (elbo, gradient) = self.evaluate_on(statistics, &RefCell::default(), false)?;
        let judge = |model: &Self| model.elbo_on(statistics);
        Ok(self.judged_step(rule, 0, (elbo, &gradient), f64::EPSILON, &judge)?.0)
    }

    /// [`train`](Self::train) on the data of the statistics, all of them at each step of O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`Train::run`] and [`elbo_gradient_on`](Self::elbo_gradient_on); [`Error::Setting`] for minibatches.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::optim::{NaturalGradient, Train};
    /// use mercer::prelude::*;
    ///
    /// let angle = |i: usize| 0.1 * i as f64;
    /// let x = Mat::from_fn(60, 2, |i, d| if d == 0 { angle(i).cos() } else { angle(i).sin() });
    /// let y: Vec<f64> = (0..60).map(|i| x[(i, 0)] * x[(i, 1)]).collect();
    ///
    /// let mut by_adam = Svgp::with_features(Rbf::new(0.9), SphericalHarmonicFeatures::new(2, 4)?)?;
    /// let mut by_both = by_adam.clone();
    /// let (statistics, train) = (by_adam.statistics(x.as_ref(), &y)?, Train { steps: 50, ..Train::default() });
    /// by_adam.train_on(&statistics, &train)?;
    /// by_both.train_natural_on(&statistics, &train, &NaturalGradient::default())?;
    /// assert!(by_adam.elbo_on(&statistics)?.value < by_both.elbo_on(&statistics)?.value - 10.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn train_on(&mut self, statistics: &Statistics, train: &Train) -> Result<History>
    where
        K: Kernel<f64>,
    {
        check_whole(train)?;
        let (n, pool) = (statistics.observations(), RefCell::default());
        let (loss, go_on) = (Self::loss_on(statistics, &pool), |_: &_, _: &_| ControlFlow::Continue(()));
        train.run(self, n, loss, &mut Pcg64::seed_from_u64(0), go_on)
    }

    /// [`train_natural`](Self::train_natural) on the data of the statistics, all of them at each step of O(M³),
    /// whatever N: q by natural gradients, all else that is free by Adam.
    ///
    /// # Errors
    ///
    /// As [`train_on`](Self::train_on) and [`natural_step_on`](Self::natural_step_on).
    pub fn train_natural_on(
        &mut self,
        statistics: &Statistics,
        train: &Train,
        rule: &NaturalGradient,
    ) -> Result<History>
    where
        K: Kernel<f64>,
    {
        check_whole(train)?;
        self.check_natural(rule)?;
        let (n, pool, mut start) = (statistics.observations(), RefCell::default(), Checkpoint::default());
        let (loss, go_on) = (Self::loss_on(statistics, &pool), |_: &_, _: &_| ControlFlow::Continue(()));
        let judge = |model: &Self| model.elbo_on(statistics);
        let rule = Rule { natural: rule, epsilon: f64::EPSILON, judge: &judge };
        self.resume_natural((n, &[]), loss, train, &rule, &mut start, &mut Pcg64::seed_from_u64(0), go_on)
    }

    /// −ELBO and its gradient, for [`Train`].
    fn loss_on(
        statistics: &Statistics,
        pool: &RefCell<Pool<f64>>,
    ) -> impl FnMut(&Self, Batch<'_>) -> Result<(f64, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        move |model, _| negative(model.elbo_gradient_on_with(statistics, pool)?)
    }

    /// σ², if there is nothing else.
    fn check_gaussian(&self) -> Result<f64> {
        if self.mean_basis.is_some() {
            let expected = "must be that of the covariance, for statistics to say all: use the data";
            return Err(Error::setting("the basis of the mean", "one of its own", expected));
        }
        self.likelihood.gaussian_noise().ok_or_else(|| {
            let expected = "must be Gaussian noise of one variance, for statistics to say all";
            Error::setting("the likelihood", self.likelihood.name(), expected)
        })
    }

    /// N log 2πσ² + (Σᵢ (yᵢ − μᵢ)² + Σᵢ Var f(xᵢ))/σ², times −½, for the expected log-likelihood.
    fn record_on<'a>(
        &'a self,
        tape: &Tape<'a, f64>,
        statistics: &'a Statistics,
        differentiable: bool,
    ) -> Result<Recorded>
    where
        K: Kernel<f64>,
    {
        self.check_model()?;
        statistics.check(&self.inducing, self.mean.of(0))?;
        let noise = tape.scalar_parameter(self.check_gaussian()?);
        let kernel = self.kernel.of(0);
        let kernel = if differentiable { tape.kernel(kernel)? } else { tape.fixed_kernel(kernel) };
        let mean = parameter_column(tape, &self.mean.of(0).values());
        let moments = Moments::new(tape, statistics, &self.inducing, kernel, differentiable, self.jitter)?;
        let q = self.variational.of(0).record(tape, &moments.prior)?;
        let kl = q.divergence(tape, &moments.prior, q.mean)?;

        let (n, precision) = (statistics.observations() as f64, tape.recip(noise)?);
        let spread = tape.add(moments.misfit(tape, q.mean)?, moments.total_variance(tape, &q.roots)?)?;
        let constant = tape.scalar_constant(n * std::f64::consts::TAU.ln());
        let log_det = tape.add(tape.scale(tape.ln(noise)?, n)?, constant)?;
        let expected = tape.scale(tape.add(log_det, tape.hadamard(spread, precision)?)?, -0.5)?;
        let parameters = [kernel.theta(), mean, noise, moments.parameter].into_iter().chain(q.parameters).collect();
        Ok(Recorded {
            bound: tape.sub(expected, kl)?,
            expected,
            largest: None,
            kl,
            jitter: moments.prior.jitter(),
            parameters,
        })
    }
}

/// Refuses minibatches. With all rows at each step, a generator is never asked.
fn check_whole(train: &Train) -> Result<()> {
    match train.batch {
        None => Ok(()),
        Some(batch) => Err(Error::setting("the batch", batch, "must be `None`: statistics are of all rows")),
    }
}
