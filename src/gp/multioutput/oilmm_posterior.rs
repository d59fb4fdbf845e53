//! Predictions of an orthogonal mixture.

use faer::{Mat, MatRef};
use rand::Rng;

use super::grid::means_at;
use super::prediction::JointPrediction;
use crate::gp::latents::PerLatent;
use crate::gp::posterior::{Posterior, Samples};
use crate::likelihood::Mixing;
use crate::mean::DynMean;
use crate::{Result, Scalar};

/// An [`Oilmm`](super::Oilmm) given data: m independent posteriors and how they are mixed.
///
/// # Examples
///
/// One observation of two outputs at one place. The process that moves both alike saw their mean, with noise of
/// variance 0.5/2; the other saw 0.
///
/// ```
/// use mercer::gp::Oilmm;
/// use mercer::prelude::*;
///
/// let mixing = mat![[1.0, 1.0], [1.0, -1.0]];
/// let gp = Oilmm::new(vec![Rbf::new(1.0)], mixing.as_ref())?.with_noise(0.5)?;
/// let x = mat![[2.0]];
/// let posterior = gp.condition(x.as_ref(), mat![[3.0, 3.0]].as_ref())?;
///
/// let predicted = posterior.predict(x.as_ref())?;
/// assert!((predicted.mean.as_ref() - mat![[2.4, 2.4]]).norm_max() < 1e-14);
/// // Either process has the variance 1 − 1/(1 + 0.5/2) = 0.2 left.
/// assert!((predicted.covariance(0)? - mat![[0.4, 0.0], [0.0, 0.4]]).norm_max() < 1e-14);
/// let observed = posterior.predict_observations(x.as_ref())?;
/// assert!((observed.of(1)?.variance[0] - 0.9f64).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct OilmmPosterior<'a, T: Scalar> {
    pub(super) latents: Posterior<'a, T>,
    /// H, P × m.
    pub(super) mixing: Mat<f64>,
    pub(super) noise: f64,
    pub(super) means: &'a PerLatent<DynMean>,
}

impl<'a, T: Scalar> OilmmPosterior<'a, T> {
    /// The posterior of the independent processes, without the outputs' means. They are not observed themselves: ask
    /// [`predict_observations`](Self::predict_observations) of the outputs, here, and not of the processes, there.
    pub fn latents(&self) -> &Posterior<'a, T> {
        &self.latents
    }

    /// The outputs at new points, with their covariance at each, without noise.
    ///
    /// # Errors
    ///
    /// As [`Posterior::predict`].
    pub fn predict(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        let latents = self.latents.predict(x)?;
        let outputs = self.mixing.nrows();
        let mixing = Mixing { weights: self.mixing.as_ref(), offset: &vec![0.0; outputs] };
        let mut predicted = JointPrediction::of_latents(mixing, &latents)?;
        predicted.mean += means_at(self.means, x, outputs);
        Ok(predicted)
    }

    /// Joint draws of the outputs at n points: N·P × draws, all points of the first output first. O(m (N³ + N² · draws)).
    ///
    /// # Errors
    ///
    /// As [`Posterior::sample`].
    pub fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Samples<T>> {
        let (n, outputs) = (x.nrows(), self.mixing.nrows());
        let latents = self.latents.sample(x, draws, rng)?;
        let means = means_at(self.means, x, outputs);
        let value = |row: usize, draw: usize| {
            let (point, output) = (row % n, row / n);
            let terms = (0..self.mixing.ncols())
                .map(|latent| T::from_f64(self.mixing[(output, latent)]) * latents.values[(latent * n + point, draw)]);
            terms.fold(means[(point, output)], |sum, term| sum + term)
        };
        Ok(Samples { values: Mat::from_fn(n * outputs, draws, value), jitter: latents.jitter })
    }

    /// New observations: the same as [`predict`](Self::predict) with noise.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub fn predict_observations(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        let mut predicted = self.predict(x)?;
        predicted.noise.fill(T::from_f64(self.noise));
        Ok(predicted)
    }
}
