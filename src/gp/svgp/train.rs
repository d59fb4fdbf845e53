//! Maximising the bound.

use std::cell::RefCell;
use std::ops::ControlFlow;

use faer::{Mat, MatRef};
use rand::Rng;

use super::{Elbo, Svgp};
use crate::gp::posterior::to_f64;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Batch, Checkpoint, History, Minimizer, Minimum, Progress, Train, fit};
use crate::tape::Pool;
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// Maximises the bound from all data over the free parameters; with
    /// [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient) at the start; later failures end the search at the
    /// best parameters found.
    pub fn fit<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<T>,
    {
        let pool = RefCell::default();
        fit(self, minimizer, |model| negative(model.elbo_gradient_with(x, y, x.nrows(), &pool)?))
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
        let pool = RefCell::default();
        train.resume(self, x.nrows(), Self::loss(x, y, &pool), checkpoint, rng, callback)
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
                negative(model.gradient_through(likelihood, batch_x.as_ref(), &batch_y, x.nrows(), pool)?)
            }
        }
    }
}

/// The loss to minimise: −ELBO and its gradient.
pub(super) fn negative((elbo, mut gradient): (Elbo, Vec<f64>)) -> Result<(f64, Vec<f64>)> {
    gradient.iter_mut().for_each(|entry| *entry = -*entry);
    Ok((-elbo.value, gradient))
}
