//! Maximising the bound.

use std::cell::RefCell;
use std::ops::ControlFlow;

use faer::{Mat, MatRef};
use rand::Rng;

use super::{Elbo, Svgp};
use crate::gp::posterior::to_f64;
use crate::gp::rounding::loss;
use crate::gp::{coincident, units};
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::likelihood::Likelihood;
use crate::optim::{Batch, Checkpoint, History, Minimizer, Minimum, Progress, Train, fit_in_units};
use crate::params::{Parameterized, ParameterizedExt};
use crate::tape::Pool;
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// Maximises the bound from all data over the free parameters; with
    /// [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient) at the start, and [`Error::Rounding`](crate::Error::Rounding) where
    /// [`rounding`](Elbo::rounding) is above [`ROUNDING_LIMIT`](crate::gp::ROUNDING_LIMIT); later failures end the search at
    /// the best parameters found.
    pub fn fit<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let (units, pool) = (self.units(x, y)?, RefCell::default());
        let mut objective = |model: &Self| precise(model.checked_gradient(x, y, x.nrows(), &pool, true)?);
        coincident::part(self, &units::of_columns(x), &mut objective);
        fit_in_units(self, &units, minimizer, objective)
    }

    /// Maximises the bound by stochastic gradients; with [priors](crate::params::Prior), its sum with
    /// their [`log_prior`](crate::params::ParameterizedExt::log_prior), of which each step takes the
    /// whole.
    ///
    /// # Errors
    ///
    /// As [`Train::run`] and [`elbo_gradient`](Self::elbo_gradient).
    pub fn train<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.train_with(x, y, train, rng, |_, _| ControlFlow::Continue(()))
    }

    /// The same, with a callback after each step, which sees the model and may stop the training.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn train_with<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress, &Self) -> ControlFlow<()>,
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.train_from(x, y, train, &mut Checkpoint::default(), rng, callback)
    }

    /// The same from a [`Checkpoint`], which is brought to where the training stops: with the data, the settings
    /// and the generator as they were there, to the same bits as without a stop.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train) and [`Train::resume`].
    pub fn train_from<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
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
        let (units, pool) = (self.units(x, y)?, RefCell::default());
        self.part_coincident(x, y, train, checkpoint);
        let (loss, alone) = (Self::loss(x, y, &pool), |_: &mut Self, _: usize, _: f64, _: &[f64]| Ok(None));
        train.resume_beside(self, &units, x.nrows(), loss, alone, checkpoint, rng, callback)
    }

    /// Parts inducing inputs that coincide, before the first step, by the bound of as many rows as a step sees.
    pub(super) fn part_coincident<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        checkpoint: &Checkpoint,
    ) where
        K: Kernel<T>,
    {
        if checkpoint.steps() > 0 {
            return;
        }
        let pool = RefCell::default();
        let mut loss = Self::loss(x, y, &pool);
        let rows: Option<Vec<usize>> = train.batch.map(|size| (0..size.min(x.nrows())).collect());
        let batch = rows.as_deref().map_or(Batch::All, Batch::Rows);
        coincident::part(self, &units::of_columns(x), &mut |model| loss(model, batch));
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

    /// −ELBO of a batch and its gradient, for [`Train`].
    pub(super) fn loss<T: Scalar>(
        x: MatRef<'_, T>,
        y: &[T],
        pool: &RefCell<Pool<T>>,
    ) -> impl FnMut(&Self, Batch<'_>) -> Result<(f64, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        move |model, batch| match batch {
            Batch::All => negative(model.elbo_gradient_with(x, y, x.nrows(), pool)?),
            Batch::Rows(rows) => {
                let batch_x = Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)]);
                let batch_y: Vec<T> = y.chunks_exact(x.nrows()).flat_map(|y| rows.iter().map(|&row| y[row])).collect();
                model.check(batch_x.as_ref(), &batch_y)?;
                let of_rows = model.likelihood.rows(rows)?;
                let likelihood = of_rows.as_deref().unwrap_or(&*model.likelihood);
                negative(model.gradient_through(likelihood, batch_x.as_ref(), &batch_y, x.nrows(), pool, false)?)
            }
        }
    }
}

/// The same for a fit, which needs its digits.
pub(super) fn precise((elbo, gradient): (Elbo, Vec<f64>)) -> Result<(f64, Vec<f64>)> {
    loss("the bound", elbo.value, elbo.rounding, gradient)
}

/// The loss to minimise: −ELBO and its gradient.
pub(super) fn negative((elbo, mut gradient): (Elbo, Vec<f64>)) -> Result<(f64, Vec<f64>)> {
    gradient.iter_mut().for_each(|entry| *entry = -*entry);
    Ok((-elbo.value, gradient))
}
