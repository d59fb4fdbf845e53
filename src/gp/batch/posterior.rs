//! What independent processes say given data.

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::group::map;
use crate::batch::BatchMatrix;
use crate::gp::posterior::{OutputPrediction, Posterior, Prediction};
use crate::{Error, Result, Scalar};

/// Joint draws of several outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSamples<T: Scalar> {
    /// The values: for each output a matrix of n × draws.
    pub values: BatchMatrix<T>,
    /// See [`Samples::jitter`](crate::gp::Samples::jitter): the largest of all outputs.
    pub jitter: f64,
}

/// The posterior of independent processes for m outputs: for each what a [`Posterior`] is for one.
/// From [`BatchGp::condition`](super::BatchGp::condition).
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
/// let posterior = gp.condition(x.as_ref(), y.as_ref())?;
///
/// let at = posterior.predict(x.subrows(0, 1))?;
/// assert!((at.mean[(0, 0)] - 2.0).abs() < 1e-15 && at.mean[(0, 1)] == 0.0);
/// assert!((at.variance[(0, 0)] - 1.0 / 3.0).abs() < 1e-15 && at.variance[(0, 1)] == 1.0);
/// assert_eq!(posterior.predict_observations(x.subrows(0, 1))?.variance[(0, 1)], 1.5);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct BatchPosterior<'a, T: Scalar> {
    /// Outputs that share a factor are the latent functions of one posterior, in this order.
    pub(super) groups: Vec<(Vec<usize>, Posterior<'a, T>)>,
    /// σ_b²
    pub(super) noise: Vec<f64>,
    pub(super) par: Par,
}

impl<T: Scalar> BatchPosterior<'_, T> {
    /// m, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.noise.len()
    }

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

    /// Means and variances of the latent functions, point by point: O(m·n·N²) time.
    ///
    /// # Errors
    ///
    /// As [`Posterior::predict`].
    pub fn predict(&self, x: MatRef<'_, T>) -> Result<OutputPrediction<T>> {
        let found = map(&self.groups, self.par, |(_, posterior)| posterior.predict(x))?;
        let clamped = found.iter().map(|prediction| prediction.clamped).sum();
        let (means, variances): (Vec<_>, Vec<_>) =
            found.into_iter().map(|Prediction { mean, variance, .. }| (mean, variance)).unzip();
        Ok(OutputPrediction {
            mean: self.arrange(x.nrows(), &means),
            variance: self.arrange(x.nrows(), &variances),
            clamped,
        })
    }

    /// Means and variances of new observations: those of the latent functions, and the noise.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub fn predict_observations(&self, x: MatRef<'_, T>) -> Result<OutputPrediction<T>> {
        Ok(self.predict(x)?.with_noise(|output| self.noise[output]))
    }

    /// The full covariance of one latent function at n points, n × n: O(n·N² + n²·N) time.
    ///
    /// # Errors
    ///
    /// As [`Posterior::covariance`]; [`Error::Setting`] for an output that there is not.
    pub fn covariance(&self, x: MatRef<'_, T>, output: usize) -> Result<Mat<T>> {
        for (outputs, posterior) in &self.groups {
            if let Some(latent) = outputs.iter().position(|&found| found == output) {
                return posterior.covariance(x, latent);
            }
        }
        let expected = format!("there are {}, counted from 0", self.outputs());
        Err(Error::setting("the output", output, &expected))
    }

    /// So many draws of the latent functions at n points jointly; the outputs are independent.
    ///
    /// # Errors
    ///
    /// As [`Posterior::sample`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::BatchGp;
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let (x, y) = (mat![[0.0], [1.0]], mat![[3.0, -1.0], [1.0, 2.0]]);
    /// let gp = BatchGp::new(Rbf::new(1.0).batched(2)?).with_noise(1e-6)?;
    /// let posterior = gp.condition(x.as_ref(), y.as_ref())?;
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let draws = posterior.sample(x.as_ref(), 5, &mut rng)?.values;
    /// assert_eq!(draws.shape(), [2, 2, 5]);
    /// assert!(draws.get(&[1])?.row(0).iter().all(|f| (f + 1.0).abs() < 0.01));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut (impl Rng + ?Sized)) -> Result<BatchSamples<T>> {
        let n = x.nrows();
        let mut values = BatchMatrix::zeros(&[self.outputs()], n, draws);
        let mut jitter = 0.0f64;
        for (outputs, posterior) in &self.groups {
            let samples = posterior.sample(x, draws, rng)?;
            jitter = jitter.max(samples.jitter);
            for (latent, &output) in outputs.iter().enumerate() {
                values.get_mut(&[output])?.copy_from(samples.values.subrows(latent * n, n));
            }
        }
        Ok(BatchSamples { values, jitter })
    }

    /// A column for each output, from what the groups have one latent function after the other.
    fn arrange(&self, n: usize, by_group: &[Vec<T>]) -> Mat<T> {
        let mut all = Mat::zeros(n, self.outputs());
        for ((outputs, _), values) in self.groups.iter().zip(by_group) {
            for (&output, values) in outputs.iter().zip(values.chunks_exact(n)) {
                all.col_as_slice_mut(output).copy_from_slice(values);
            }
        }
        all
    }
}
