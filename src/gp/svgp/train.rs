//! Maximising the bound.

use std::borrow::Cow;

use faer::{Mat, MatRef};

use super::natural::negated;
use super::{Elbo, Svgp};
use crate::gp::data::{self, Data};
use crate::gp::fit::{Examined, Warning};
use crate::gp::model::{Memory, Model, Scales, Trainable};
use crate::gp::posterior::{Posterior, to_f64};
use crate::gp::starts::Suggested;
use crate::gp::{coincident, starts, units};
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::likelihood::Likelihood;
use crate::mean::MeanExpr;
use crate::optim::{Batch, Loss, NaturalGradient, Run, Train};
use crate::params::{Parameterized, ParameterizedExt};
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    fn expressions(&self) -> Vec<&dyn Expr> {
        self.kernel.all().iter().map(|kernel| kernel as &dyn Expr).collect()
    }

    /// Parts inducing inputs that coincide, before the first step, by the bound of as many rows as a step sees.
    pub(super) fn part_coincident<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], batch: Option<usize>)
    where
        K: Kernel<T>,
    {
        let memory = Memory::default().without_rounding();
        let rows: Option<Vec<usize>> = batch.map(|size| (0..size.min(x.nrows())).collect());
        let batch = rows.as_deref().map_or(Batch::All, Batch::Rows);
        coincident::part(self, &units::of_columns(x), &mut |model: &Self| model.loss(x, y, batch, &memory));
    }

    /// The units of the parameters that may be any finite number, in visiting order of all scalars: of means those of the values, if
    /// these are those of the process with noise, and else of the process a priori.
    pub(super) fn units<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Vec<f64>>
    where
        K: Kernel<T>,
    {
        let seen = self.likelihood.gaussian_noise().map(|_| units::spread(y.iter().copied()));
        let latents = 0..self.likelihood.latents();
        let of = |latent| seen.map_or_else(|| units::of_process(self.kernel.of(latent), x), Ok);
        let spreads = latents.map(of).collect::<Result<Vec<f64>>>()?;
        let columns = units::of_columns(x);
        let mut units = [units::ones(&self.kernel), units::of_means(&self.mean, x, &spreads)].concat();
        units.extend(units::ones(&*self.likelihood as &dyn Likelihood as &dyn Parameterized));
        units.extend(units::of_inducing(&self.inducing, &columns));
        if let Some(basis) = &self.mean_basis {
            units.extend(units::of_inducing(basis, &columns));
            // Weights of covariances with the process.
            let (end, latents) = (units.len(), spreads.len());
            for (latent, spread) in spreads.iter().enumerate() {
                let start = end - (latents - latent) * basis.len();
                units[start..start + basis.len()].fill(spread / units::of_process(self.kernel.of(latent), x)?.powi(2));
            }
        }
        for (q, spread) in self.variational.all().iter().zip(spreads) {
            units.extend(vec![if q.is_whitened() { 1.0 } else { spread }; q.num_params()]);
        }
        Ok(units)
    }

    /// Refuses observations without a density by their row of the data, and a likelihood for other rows: a batch
    /// would name its own row, if it came to it.
    pub(super) fn check_observations<T: Scalar>(&self, y: &[T]) -> Result<()> {
        let rows = y.len() / self.likelihood.outputs();
        self.likelihood.log_density(&to_f64(y), &vec![0.0; rows * self.likelihood.latents()])?;
        Ok(())
    }

    /// −ELBO of a batch and its gradient.
    fn loss<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T], batch: Batch<'_>, memory: &Memory) -> Result<(f64, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        match batch {
            Batch::All => negative(self.checked_gradient(x, y, x.nrows(), memory)?),
            Batch::Rows(rows) => {
                let batch_x = Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)]);
                let batch_y: Vec<T> = y.chunks_exact(x.nrows()).flat_map(|y| rows.iter().map(|&row| y[row])).collect();
                self.check(batch_x.as_ref(), &batch_y)?;
                let of_rows = self.likelihood.rows(rows)?;
                let likelihood = of_rows.as_deref().unwrap_or(&*self.likelihood);
                negative(self.gradient_through(likelihood, batch_x.as_ref(), &batch_y, x.nrows(), memory)?)
            }
        }
    }
}

/// −ELBO of batches of data, and natural gradients of q beside it: what an [`Svgp`] is trained by. Only
/// [`run`](Trainable::run) makes it; it is named where a [`Run`] is kept.
///
/// # Examples
///
/// ```
/// use mercer::gp::{BatchLoss, Svgp};
/// use mercer::optim::{Run, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// struct Session<'r> {
///     run: Run<'r, Svgp<Rbf>, BatchLoss<'r, f64>>,
/// }
///
/// let data = Data::new(mat![[0.0], [1.0], [2.5]], [0.3, 1.0, -0.4]);
/// let mut gp = Svgp::new(Rbf::new(1.0), data.x())?;
/// let before = gp.objective(&data)?.value;
/// let mut session = Session { run: gp.run(&data, &Train::new(5))? };
/// let first = session.run.step(&mut rand_pcg::Pcg64::seed_from_u64(0))?;
/// assert!((first.unwrap().loss + before).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct BatchLoss<'r, T: Scalar> {
    x: MatRef<'r, T>,
    /// Outputs one after the other.
    y: Cow<'r, [T]>,
    natural: Option<NaturalGradient>,
    batch: Option<usize>,
    memory: Memory,
}

impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures> Loss<Svgp<K, F>> for BatchLoss<'_, T> {
    fn evaluate(&mut self, model: &Svgp<K, F>, batch: Batch<'_>) -> Result<(f64, Vec<f64>)> {
        model.loss(self.x, &self.y, batch, &self.memory)
    }

    fn part(&self) -> Option<&'static str> {
        self.natural.is_some().then_some("variational")
    }

    fn move_part(&mut self, model: &mut Svgp<K, F>, step: usize, loss: f64, gradient: &[f64]) -> Result<Option<f64>> {
        let Some(rule) = &self.natural else { return Ok(None) };
        let n = self.x.nrows();
        if self.batch.is_some_and(|batch| batch != n) {
            return model.move_q(rule, step, &negated(gradient)).map(Some);
        }
        let bound = |model: &Svgp<K, F>| model.bound(self.x, &self.y, n);
        // A batch of all rows has them in another order, and the loss other rounding errors.
        let before = if self.batch.is_none() { -loss } else { bound(model)?.value + model.log_prior() };
        model.move_and_judge((rule, step), before, gradient, T::epsilon().as_f64(), &bound).map(Some)
    }
}

impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures> Model<Data<T>> for Svgp<K, F> {
    type Objective = Elbo;
    type Posterior = Posterior<T>;

    fn objective(&self, data: &Data<T>) -> Result<Elbo> {
        self.bound(data.x(), &data.stacked(self.likelihood.outputs())?, data.x().nrows())
    }

    fn evaluate(&self, data: &Data<T>, memory: &Memory) -> Result<(Elbo, Vec<f64>)> {
        self.checked_gradient(data.x(), &data.stacked(self.likelihood.outputs())?, data.x().nrows(), memory)
    }

    /// What q knows, of which these data need not be a part.
    fn condition(&self, data: &Data<T>) -> Result<Posterior<T>> {
        self.check(data.x(), &data.stacked(self.likelihood.outputs())?)?;
        self.posterior()
    }

    fn scales(&self, data: &Data<T>) -> Result<Scales> {
        let y = data.stacked(self.likelihood.outputs())?;
        self.check(data.x(), &y)?;
        let noise = starts::noise_units(self, &starts::variances(data.y()));
        Ok(Scales { parameters: self.units(data.x(), &y)?, columns: units::of_columns(data.x()), noise })
    }

    fn suggest(&self, data: &Data<T>) -> Result<Suggested> {
        self.check(data.x(), &data.stacked(self.likelihood.outputs())?)?;
        // Through another likelihood, observations are no values of the functions.
        let y = self.likelihood.gaussian_noise().map(|_| data.y());
        let kernels: Vec<_> = self.kernel.all().iter().map(|kernel| kernel as &dyn Kernel<T>).collect();
        Ok(starts::suggested(self, &kernels, self.mean.all(), data.x(), y))
    }

    fn degrees_of_freedom(&self, data: &Data<T>) -> Result<Option<f64>> {
        let gaussian = self.likelihood.gaussian_noise().is_some();
        Ok(if gaussian { Some(self.condition(data)?.degrees_of_freedom()) } else { None })
    }

    fn examine(&self, data: &Data<T>) -> Result<Vec<Warning>> {
        let noise = self.likelihood.gaussian_noise();
        let zero = self.mean.all().iter().all(|mean| mean.is_zero());
        let examined = Examined {
            model: self,
            kernels: &self.expressions(),
            x: data.x(),
            of_zero_mean: (zero && noise.is_some()).then_some(data.y()),
            noise,
            jitter: self.condition(data)?.jitter(),
        };
        Ok(examined.warnings())
    }
}

/// A likelihood with something for each observation must be that of the batch; `train` selects the batch rows
/// automatically.
impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures> Model<data::Batch<T>> for Svgp<K, F> {
    type Objective = Elbo;
    type Posterior = Posterior<T>;

    fn objective(&self, batch: &data::Batch<T>) -> Result<Elbo> {
        self.bound(batch.data.x(), &batch.data.stacked(self.likelihood.outputs())?, batch.total)
    }

    fn evaluate(&self, batch: &data::Batch<T>, memory: &Memory) -> Result<(Elbo, Vec<f64>)> {
        let y = batch.data.stacked(self.likelihood.outputs())?;
        self.checked_gradient(batch.data.x(), &y, batch.total, memory)
    }

    fn condition(&self, batch: &data::Batch<T>) -> Result<Posterior<T>> {
        self.condition(&batch.data)
    }

    fn scales(&self, batch: &data::Batch<T>) -> Result<Scales> {
        self.scales(&batch.data)
    }
}

impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures> Trainable<Data<T>> for Svgp<K, F> {
    type Loss<'r>
        = BatchLoss<'r, T>
    where
        Self: 'r;

    fn run<'r>(&'r mut self, data: &'r Data<T>, train: &Train) -> Result<Run<'r, Self, BatchLoss<'r, T>>> {
        let (x, y) = (data.x(), data.stacked(self.likelihood.outputs())?);
        self.check(x, &y)?;
        self.check_observed(x, &y, x.nrows())?;
        self.check_observations(&y)?;
        let (natural, units) = (self.natural_rule(train)?, self.units(x, &y)?);
        self.part_coincident(x, &y, train.batch());
        let batch = train.batch();
        let loss = BatchLoss { x, y, natural, batch, memory: Memory::default().without_rounding() };
        Run::in_units(self, (x.nrows(), &units), train, loss)
    }
}

/// The loss to minimise: −ELBO and its gradient.
pub(super) fn negative((elbo, mut gradient): (Elbo, Vec<f64>)) -> Result<(f64, Vec<f64>)> {
    gradient.iter_mut().for_each(|entry| *entry = -*entry);
    Ok((-elbo.value, gradient))
}
