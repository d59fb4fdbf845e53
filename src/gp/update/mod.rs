//! Posteriors given more data, or less.

mod exact;
mod sparse;

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use faer::MatRef;

use super::checks::{check_count, check_data};
use super::data::Data;
use super::engine::Solution;
use super::exact::residuals;
use super::leave_one_out::LeaveOneOut;
use super::posterior::{Form, Given, Posterior};
use super::process::Process;
use crate::likelihood::{FixedNoise, GaussianNoise};
use crate::mean::DynMean;
use crate::{Error, Result, Scalar};

/// What an engine may not do.
const UPDATES: &str = "updates by matrices";

impl<T: Scalar> Posterior<T> {
    /// The posterior given these observations too, without a fit and without what was seen before: hyperparameters, inducing
    /// features and jitter stay.
    ///
    /// Of an exact process it is that of all data together, whose rows follow those of the data before: O(n²m) time for m
    /// observations beside n. Of a sparse one it is q(u) as the best Gaussian given its old self and the new observations,
    /// O(M²m + M³), which for a collapsed model, and for q at its optimum, is the posterior of all data together. Noise is that of
    /// the likelihood; of known noise, that of the new observations, set by [`with_likelihood`](Self::with_likelihood) before.
    ///
    /// # Errors
    ///
    /// Those of data that do not fit together, as in [`Model::condition`](super::Model::condition); [`Error::Setting`] for a
    /// likelihood that is not Gaussian, or several latent functions; [`Error::NotPositiveDefinite`] if the new points are too
    /// close to others for their noise.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?;
    /// let first = gp.condition(&Data::new(mat![[0.0], [1.0]], [0.3, 1.0]))?;
    /// let both = first.observe(&Data::new(mat![[2.0]], [0.7]))?;
    /// let at_once = gp.condition(&Data::new(mat![[0.0], [1.0], [2.0]], [0.3, 1.0, 0.7]))?;
    /// let at = mat![[1.6]];
    /// let (a, b) = (both.predict(at.as_ref())?, at_once.predict(at.as_ref())?);
    /// assert!((a.mean[(0, 0)] - b.mean[(0, 0)]).abs() < 1e-14 && (a.variance[(0, 0)] - b.variance[(0, 0)]).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Bui, Nguyen & Turner (2017), "Streaming sparse Gaussian process approximations", NeurIPS 30, for fixed inducing inputs.
    #[doc(alias = "condition_on_observations", alias = "get_fantasy_model", alias = "online", alias = "streaming")]
    pub fn observe(&self, data: &Data<T>) -> Result<Self> {
        if let Form::Engine(given) = &self.form {
            let (residual, noise) = self.checked(data, &given.mean)?;
            return Ok(self.with_solution(given.solution.with(data.x(), &residual, &noise)?));
        }
        let change = self.change(data)?;
        if self.is_exact() { exact::with(&change) } else { sparse::with(&change) }
    }

    /// The posterior of a sparse process without these observations, which it has seen: the inverse of
    /// [`observe`](Self::observe). O(M²m + M³).
    ///
    /// # Errors
    ///
    /// As [`observe`](Self::observe); [`Error::Setting`] for observations that it cannot have seen, since they say
    /// more than it knows; and for an exact process, which forgets [by rows](Self::forget_rows).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Sgpr};
    /// use mercer::prelude::*;
    ///
    /// let (all, last) = (Data::new(mat![[0.0], [1.0], [2.0]], [0.3, 1.0, 0.7]), Data::new(mat![[2.0]], [0.7]));
    /// let gp = Sgpr::new(Rbf::new(1.0), mat![[0.2], [1.5]].as_ref())?.with_noise(0.1)?;
    /// let first = gp.condition(&Data::new(mat![[0.0], [1.0]], [0.3, 1.0]))?;
    /// let without = gp.condition(&all)?.forget(&last)?;
    /// let at = mat![[1.6]];
    /// assert!((without.predict(at.as_ref())?.mean[(0, 0)] - first.predict(at.as_ref())?.mean[(0, 0)]).abs() < 1e-13);
    /// assert!(first.forget(&Data::new(mat![[0.1], [0.9], [1.2]], [0.0; 3])).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn forget(&self, data: &Data<T>) -> Result<Self> {
        if self.is_exact() {
            let expected = "is exact: it forgets observations by their rows, with `forget_rows`";
            return Err(Error::setting("the process", "the posterior", expected));
        }
        sparse::without(&self.change(data)?)
    }

    /// The posterior of an exact process without these rows of its data, counted from 0 in the order in which they were seen;
    /// those that stay move up. O(n²) time for each row.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a row that there is not, or that is named twice, and for a sparse process, which has no rows: see
    /// [`forget`](Self::forget); [`Error::Empty`] if none would stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?;
    /// let all = gp.condition(&Data::new(mat![[0.0], [1.0], [2.0]], [0.3, 50.0, 0.7]))?;
    /// let without = all.forget_rows(&[1])?;
    /// let expected = gp.condition(&Data::new(mat![[0.0], [2.0]], [0.3, 0.7]))?;
    /// let at = mat![[1.0]];
    /// assert!((without.predict(at.as_ref())?.mean[(0, 0)] - expected.predict(at.as_ref())?.mean[(0, 0)]).abs() < 1e-13);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn forget_rows(&self, rows: &[usize]) -> Result<Self> {
        if !self.is_exact() {
            let expected = "is sparse, and keeps no rows: it forgets observations with `forget`";
            return Err(Error::setting("the process", "the posterior", expected));
        }
        if let Form::Engine(given) = &self.form {
            let stays = exact::staying(rows, given.solution.observations())?;
            return Ok(self.with_solution(given.solution.without(&|row| stays[row])?));
        }
        exact::without(self, self.one_process()?, rows)
    }

    /// Predictions of each observation, which a sparse posterior has seen, from all others.
    pub(super) fn left_out(&self, data: &Data<T>) -> Result<LeaveOneOut<T>> {
        sparse::left_out(&self.change(data)?)
    }

    /// Whether the inducing variables are observations.
    fn is_exact(&self) -> bool {
        match &self.form {
            Form::Inducing(inducing) => {
                inducing.processes.iter().all(|process| process.latents.iter().all(|latent| latent.roots.is_empty()))
            }
            Form::Engine(_) => true,
        }
    }

    fn one_process(&self) -> Result<&Process<T>> {
        match (&*self.inducing(UPDATES)?.processes, self.latents()) {
            ([process], 1) => Ok(process),
            (_, count) => {
                let expected = "must be 1 for observations to be taken in or forgotten";
                Err(Error::setting("the number of latent functions", count, expected))
            }
        }
    }

    fn change<'a>(&'a self, data: &'a Data<T>) -> Result<Change<'a, T>> {
        let process = self.one_process()?;
        let y = data.stacked(1)?;
        check_data(data.x(), &y, [&*process.kernel], [&process.latents[0].mean])?;
        self.check(data.x())?;
        let noise = self.noise_of(y.len())?;
        Ok(Change { posterior: self, process, x: data.x(), y, noise })
    }

    /// What the mean leaves of new observations, NaN where there is none, and the variances of their noise.
    fn checked(&self, data: &Data<T>, mean: &DynMean) -> Result<(Vec<f64>, Vec<f64>)> {
        let y = data.stacked(1)?;
        check_count(data.x(), &y, 1)?;
        self.check(data.x())?;
        let noise = self.noise_of(y.len())?;
        Ok((residuals(mean, data.x(), &y), noise))
    }

    fn with_solution(&self, solution: Arc<dyn Solution<T>>) -> Self {
        let Self { form, likelihood, par } = self.clone();
        let form = match form {
            Form::Engine(given) => Form::Engine(Given { solution, ..given }),
            other => other,
        };
        Self { form, likelihood, par }
    }

    /// The variances of the noise of so many new observations.
    pub(super) fn noise_of(&self, count: usize) -> Result<Vec<f64>> {
        let likelihood = self.fitting()?;
        if let Some(variance) = likelihood.gaussian_noise() {
            return Ok(vec![variance; count]);
        }
        let any: &dyn Any = likelihood;
        match any.downcast_ref::<FixedNoise>() {
            Some(noise) => noise.noise_variances(count),
            None => {
                let expected = "is not Gaussian noise, which this takes";
                Err(Error::setting("the likelihood", likelihood.name(), expected))
            }
        }
    }
}

/// Observations that come, or go.
struct Change<'a, T: Scalar> {
    posterior: &'a Posterior<T>,
    process: &'a Process<T>,
    x: MatRef<'a, T>,
    y: Cow<'a, [T]>,
    /// The variances of their noise.
    noise: Vec<f64>,
}
