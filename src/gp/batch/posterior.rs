//! What independent processes say given data.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::group::map;
use crate::gp::posterior::Posterior;
use crate::gp::predict::{Predict, missing_function};
use crate::gp::prediction::{Prediction, Samples};
use crate::{Result, Scalar};

/// The posterior of independent processes for m outputs: for each what a [`Posterior`] is for one.
/// From [`Model::condition`](crate::gp::Model::condition) of a [`BatchGp`](super::BatchGp).
///
/// # Examples
///
/// Of the second output nothing is known at 2.0, where the first has been seen:
///
/// ```
/// use mercer::gp::BatchGp;
/// use mercer::prelude::*;
///
/// let (x, y) = (mat![[2.0], [70.0]], mat![[3.0, f64::NAN], [0.0, 1.5]]);
/// let gp = BatchGp::new(Rbf::new(1.0).batched(2)?).with_noise(0.5)?;
/// let posterior = gp.condition(&Data::new(&x, &y))?;
///
/// let at = posterior.predict(x.subrows(0, 1))?;
/// assert!((at.mean[(0, 0)] - 2.0).abs() < 1e-15 && at.mean[(0, 1)] == 0.0);
/// assert!((at.variance[(0, 0)] - 1.0 / 3.0).abs() < 1e-15 && at.variance[(0, 1)] == 1.0);
/// assert_eq!(posterior.predict_observations(x.subrows(0, 1))?.variance[(0, 1)], 1.5);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchPosterior<T: Scalar> {
    /// Outputs that share a factor are the latent functions of one posterior, in this order.
    pub(super) groups: Arc<[(Vec<usize>, Posterior<T>)]>,
    /// σ_b²
    pub(super) noise: Arc<[f64]>,
    pub(super) par: Par,
}

impl<T: Scalar> BatchPosterior<T> {
    /// The largest jitter that was added to the diagonal of a covariance of the observations.
    pub fn jitter(&self) -> f64 {
        self.groups.iter().map(|(_, posterior)| posterior.jitter()).fold(0.0, f64::max)
    }

    /// The means of the latent functions, n × m: O(m·n·N·D) time, for N observations.
    ///
    /// # Errors
    ///
    /// As [`Posterior::mean`].
    pub fn mean(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        let means = map(&self.groups, self.par, |(_, posterior)| posterior.mean(x))?;
        Ok(self.arrange(x.nrows(), &means))
    }

    /// The posterior that an output is a latent function of, and which one.
    pub(in crate::gp) fn of_output(&self, output: usize) -> Result<(&Posterior<T>, usize)> {
        for (outputs, posterior) in &*self.groups {
            if let Some(latent) = outputs.iter().position(|&found| found == output) {
                return Ok((posterior, latent));
            }
        }
        Err(missing_function("the output", output, self.outputs()))
    }

    /// A column for each output, from what the groups have one latent function after the other.
    fn arrange(&self, n: usize, by_group: &[Mat<T>]) -> Mat<T> {
        let mut all = Mat::zeros(n, self.outputs());
        for ((outputs, _), values) in self.groups.iter().zip(by_group) {
            for (col, &output) in outputs.iter().enumerate() {
                all.col_as_slice_mut(output).copy_from_slice(values.col_as_slice(col));
            }
        }
        all
    }
}

impl<T: Scalar> Predict<T> for BatchPosterior<T> {
    fn functions(&self) -> usize {
        self.noise.len()
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let found = map(&self.groups, self.par, |(_, posterior)| posterior.predict(x))?;
        let clamped = found.iter().map(|prediction| prediction.clamped).sum();
        let (means, variances): (Vec<_>, Vec<_>) =
            found.into_iter().map(|Prediction { mean, variance, .. }| (mean, variance)).unzip();
        Ok(Prediction::new(self.arrange(x.nrows(), &means), self.arrange(x.nrows(), &variances), clamped))
    }

    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        Ok(self.predict(x)?.with_noise(|output| self.noise[output]))
    }

    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        Ok(self.sample(x, draws, rng)?.with_noise(self.outputs(), |output| self.noise[output], rng))
    }

    fn covariance(&self, x: MatRef<'_, T>, output: usize) -> Result<Mat<T>> {
        let (posterior, latent) = self.of_output(output)?;
        posterior.covariance(x, latent)
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let n = x.nrows();
        let mut values = Mat::zeros(n * self.outputs(), draws);
        let mut jitter = 0.0f64;
        for (outputs, posterior) in &*self.groups {
            let samples = posterior.sample(x, draws, rng)?;
            jitter = jitter.max(samples.jitter);
            for (latent, &output) in outputs.iter().enumerate() {
                values.as_mut().subrows_mut(output * n, n).copy_from(samples.values.subrows(latent * n, n));
            }
        }
        Ok(Samples::new(values, jitter))
    }
}
