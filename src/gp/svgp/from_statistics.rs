//! The bound from statistics of the data.

use super::bound::Recorded;
use super::train::negative;
use super::{Elbo, NaturalStep, Svgp};
use crate::gp::data::Data;
use crate::gp::model::{Memory, Model, NaturalGradients, Scales, Trainable};
use crate::gp::moments::Moments;
use crate::gp::posterior::Posterior;
use crate::gp::rounding::gradient_and_rounding;
use crate::gp::starts::noise_units;
use crate::gp::statistics::Statistics;
use crate::gp::terms::parameter_column;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Batch, Loss, NaturalGradient, Run, Train};
use crate::params::ParameterizedExt;
use crate::tape::Tape;
use crate::{Error, Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// What the bound needs of the data with Gaussian noise, for features of a [basis](InducingFeatures::basis) that
    /// no hyperparameter moves: O(N·M²) once, and no N × M matrix. What is asked on them costs O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective); [`Error::Setting`] for features without such a basis, or several latent functions.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Svgp};
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::optim::{NaturalGradient, Train};
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let angle = |i: usize| 0.1 * i as f64;
    /// let x = Mat::from_fn(60, 2, |i, d| if d == 0 { angle(i).cos() } else { angle(i).sin() });
    /// let data = Data::new(&x, (0..60).map(|i| x[(i, 0)] * x[(i, 1)]).collect::<Vec<_>>());
    ///
    /// let mut by_adam = Svgp::with_features(Rbf::new(0.9), SphericalHarmonicFeatures::new(2, 4)?)?;
    /// let (mut by_both, statistics) = (by_adam.clone(), by_adam.statistics(&data)?);
    /// assert!((by_adam.objective(&data)?.value - by_adam.objective(&statistics)?.value).abs() < 1e-11);
    ///
    /// let (train, mut rng) = (Train::new(50), rand_pcg::Pcg64::seed_from_u64(0));
    /// by_adam.train(&statistics, &train, &mut rng)?;
    /// let train = train.with_natural_gradients(NaturalGradient::default());
    /// by_both.train(&statistics, &train, &mut rng)?;
    /// assert!(by_adam.objective(&statistics)?.value < by_both.objective(&statistics)?.value - 10.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn statistics<T: Scalar>(&self, data: &Data<T>) -> Result<Statistics>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(self.likelihood.outputs())?;
        self.check(data.x(), &y)?;
        self.check_gaussian()?;
        Statistics::new(&self.inducing, self.mean.of(0), data.x(), &y, self.par)
    }

    fn evaluate_statistics(
        &self,
        statistics: &Statistics,
        memory: &Memory,
        differentiable: bool,
    ) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        memory.on_tape(self.par, |tape| {
            let recorded = self.record_statistics(tape, statistics, differentiable)?;
            let (gradient, rounding) = gradient_and_rounding(tape, recorded.bound, &recorded.parameters, self)?;
            Ok((recorded.elbo(tape, rounding)?, gradient))
        })
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
    fn record_statistics<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        statistics: &'a Statistics,
        differentiable: bool,
    ) -> Result<Recorded<'t, 'a, f64>>
    where
        K: Kernel<f64>,
    {
        self.check_model()?;
        statistics.check(&self.inducing, self.mean.of(0))?;
        let noise = tape.scalar_parameter(self.check_gaussian()?);
        let kernel = self.kernel.of(0);
        let kernel = tape.kernel_var(kernel, differentiable)?;
        let mean = parameter_column(tape, &self.mean.of(0).values());
        let moments = Moments::new(tape, statistics, &self.inducing, kernel, differentiable, self.jitter)?;
        let q = self.variational.of(0).record(tape, &moments.prior)?;
        let kl = q.divergence(tape, &moments.prior, q.mean)?;

        let (n, precision) = (statistics.observations() as f64, noise.recip());
        let spread = moments.misfit(tape, q.mean) + moments.total_variance(&q.roots);
        let log_det = n * noise.ln() + n * std::f64::consts::TAU.ln();
        let expected = -0.5 * (log_det + spread.hadamard(precision));
        let parameters = [kernel.theta(), mean, noise, moments.parameter].into_iter().chain(q.parameters).collect();
        Ok(Recorded { bound: expected - kl, expected, largest: None, kl, jitter: moments.prior.jitter(), parameters })
    }
}

// In the mean function's parameters, which have to be frozen, the gradient is 0.
impl<K: Kernel<f64> + Clone, F: InducingFeatures> Model<Statistics> for Svgp<K, F> {
    type Objective = Elbo;
    type Posterior = Posterior<f64>;

    fn objective(&self, statistics: &Statistics) -> Result<Elbo> {
        let differentiable = self.kernel.of(0).properties().differentiable;
        // Features may have values for a kernel, and no gradients.
        let evaluate = |differentiable| self.evaluate_statistics(statistics, &Memory::default(), differentiable);
        Ok(evaluate(differentiable).or_else(|_| evaluate(false))?.0)
    }

    fn evaluate(&self, statistics: &Statistics, memory: &Memory) -> Result<(Elbo, Vec<f64>)> {
        Statistics::check_frozen(self.mean.of(0))?;
        self.evaluate_statistics(statistics, memory, true)
    }

    fn scales(&self, statistics: &Statistics) -> Result<Scales> {
        Ok(Scales { noise: noise_units(self, &[statistics.mean_square()]), ..Scales::default() })
    }

    fn condition(&self, statistics: &Statistics) -> Result<Posterior<f64>> {
        statistics.check(&self.inducing, self.mean.of(0))?;
        self.posterior()
    }
}

impl<K: Kernel<f64> + Clone, F: InducingFeatures> NaturalGradients<Statistics> for Svgp<K, F> {
    fn natural_step(&mut self, statistics: &Statistics, rule: &NaturalGradient) -> Result<NaturalStep> {
        self.check_natural(rule)?;
        let (elbo, gradient) = self.evaluate_statistics(statistics, &Memory::default(), false)?;
        let judge = |model: &Self| model.objective(statistics);
        Ok(self.judged_step(rule, 0, (elbo, &gradient), f64::EPSILON, &judge)?.0)
    }
}

/// −ELBO from statistics, and natural gradients of q beside it: what an [`Svgp`] is trained by on
/// [`Statistics`]. Only [`run`](Trainable::run) makes it; it is named where a [`Run`] is kept.
///
/// # Examples
///
/// ```
/// use mercer::gp::{StatisticsLoss, Svgp};
/// use mercer::inducing::SphericalHarmonicFeatures;
/// use mercer::optim::{Run, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let data = Data::new(mat![[1.0, 0.0], [0.6, 0.8], [0.0, -1.0]], [0.3, 1.0, -0.4]);
/// let mut gp = Svgp::with_features(Rbf::new(1.0), SphericalHarmonicFeatures::new(2, 2)?)?;
/// let (statistics, before) = (gp.statistics(&data)?, gp.objective(&data)?.value);
/// let mut run: Run<'_, _, StatisticsLoss<'_>> = gp.run(&statistics, &Train::new(5))?;
/// let first = run.step(&mut rand_pcg::Pcg64::seed_from_u64(0))?;
/// assert!((first.unwrap().loss + before).abs() < 1e-10);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct StatisticsLoss<'r> {
    statistics: &'r Statistics,
    natural: Option<NaturalGradient>,
    memory: Memory,
}

impl<K: Kernel<f64> + Clone, F: InducingFeatures> Loss<Svgp<K, F>> for StatisticsLoss<'_> {
    fn evaluate(&mut self, model: &Svgp<K, F>, _: Batch<'_>) -> Result<(f64, Vec<f64>)> {
        negative(model.evaluate(self.statistics, &self.memory)?)
    }

    fn part(&self) -> Option<&'static str> {
        self.natural.is_some().then_some("variational")
    }

    fn move_part(&mut self, model: &mut Svgp<K, F>, step: usize, loss: f64, gradient: &[f64]) -> Result<Option<f64>> {
        let Some(rule) = &self.natural else { return Ok(None) };
        let bound = |model: &Svgp<K, F>| model.objective(self.statistics);
        model.move_and_judge((rule, step), -loss, gradient, f64::EPSILON, &bound).map(Some)
    }
}

/// All of the data at each step of O(M³): minibatches are refused, and the generator is never asked.
impl<K: Kernel<f64> + Clone, F: InducingFeatures> Trainable<Statistics> for Svgp<K, F> {
    type Loss<'r>
        = StatisticsLoss<'r>
    where
        Self: 'r;

    fn run<'r>(&'r mut self, statistics: &'r Statistics, train: &Train) -> Result<Run<'r, Self, StatisticsLoss<'r>>> {
        if let Some(batch) = train.batch() {
            return Err(Error::setting("the batch", batch, "must be `None`: statistics are of all rows"));
        }
        let (natural, memory) = (self.natural_rule(train)?, Memory::default().without_rounding());
        Run::in_units(self, (statistics.observations(), &[]), train, StatisticsLoss { statistics, natural, memory })
    }
}
