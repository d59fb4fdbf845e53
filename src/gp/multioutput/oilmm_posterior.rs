//! Predictions of an orthogonal mixture.

use std::sync::Arc;

use faer::{Mat, MatRef};
use rand::Rng;

use super::grid::means_at;
use super::prediction::JointPrediction;
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::posterior::Posterior;
use crate::gp::predict::{Predict, missing_function};
use crate::gp::prediction::{Prediction, Samples};
use crate::likelihood::Mixing;
use crate::linalg::cast;
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
/// let posterior = gp.condition(&Data::new(&x, mat![[3.0, 3.0]].as_ref()))?;
///
/// let predicted = posterior.predict_joint(x.as_ref())?;
/// assert!((predicted.mean.as_ref() - mat![[2.4, 2.4]]).norm_max() < 1e-14);
/// // Either process has the variance 1 − 1/(1 + 0.5/2) = 0.2 left.
/// assert!((predicted.covariance(0)? - mat![[0.4, 0.0], [0.0, 0.4]]).norm_max() < 1e-14);
/// let observed = posterior.predict_observations(x.as_ref())?;
/// assert!((observed.variance[(0, 1)] - 0.9f64).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OilmmPosterior<T: Scalar> {
    pub(super) latents: Posterior<T>,
    /// H, P × m.
    pub(super) mixing: Arc<Mat<f64>>,
    pub(super) noise: f64,
    pub(super) means: Arc<PerLatent<DynMean>>,
}

impl<T: Scalar> OilmmPosterior<T> {
    /// The posterior of the independent processes, without the outputs' means. They are not observed themselves: ask
    /// [`predict_observations`](Predict::predict_observations) of the outputs, here, and not of the processes, there.
    pub fn latents(&self) -> &Posterior<T> {
        &self.latents
    }

    /// The outputs at new points, with their covariance at each, without noise.
    ///
    /// # Errors
    ///
    /// As [`Predict::predict`].
    pub fn predict_joint(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        let latents = self.latents.predict(x)?;
        let outputs = self.mixing.nrows();
        let mixing = Mixing { weights: (*self.mixing).as_ref(), offset: &vec![0.0; outputs] };
        let mut predicted = JointPrediction::of_latents(mixing, &latents)?;
        predicted.mean += means_at(&self.means, x, outputs);
        Ok(predicted)
    }

    /// Predictions of each of the observations from all others. With d_l = h_l/‖h_l‖² and C_l = K_l + σ²/‖h_l‖² I, whose
    /// factors and C_l⁻¹ R d_l the processes have, A⁻¹ = Σ_l d_l d_lᵀ ⊗ C_l⁻¹ + (I − Σ_l d_l d_lᵀ‖h_l‖²)/σ² ⊗ I.
    pub(super) fn left_out(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<LeaveOneOut<T>>> {
        let (n, outputs) = y.shape();
        let residual = y - means_at(&self.means, x, outputs);
        let inverse = T::from_f64(1.0 / self.noise);
        let mut precisions = Mat::from_fn(n, outputs, |_, _| inverse);
        let mut solved = faer::Scale(inverse) * &residual;
        for (index, process) in self.latents.inducing("leave-one-out predictions")?.processes.iter().enumerate() {
            let Some(lower) = process.prior.lower() else { continue };
            let own = LeaveOneOut::precisions(lower, self.latents.par);
            let scale = self.mixing.col(index).squared_norm_l2();
            let direction: Vec<T> = self.mixing.col(index).iter().map(|&h| T::from_f64(h / scale)).collect();
            let spread = T::from_f64(scale / self.noise);
            for row in 0..n {
                let reached = (0..outputs).fold(T::from_f64(0.0), |sum, p| sum + residual[(row, p)] * direction[p]);
                for (p, &direction) in direction.iter().enumerate() {
                    precisions[(row, p)] += direction * direction * (own[row] - spread);
                    solved[(row, p)] += direction * (process.weights[(row, 0)] - spread * reached);
                }
            }
        }
        let of = |p: usize| {
            LeaveOneOut::of_exact(
                precisions.col_as_slice(p),
                solved.col_as_slice(p),
                &y.col(p).iter().copied().collect::<Vec<_>>(),
            )
        };
        Ok((0..outputs).map(of).collect())
    }
}

impl<T: Scalar> Predict<T> for OilmmPosterior<T> {
    fn functions(&self) -> usize {
        self.mixing.nrows()
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        self.predict_joint(x)?.marginals()
    }

    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        Ok(self.predict(x)?.with_noise(|_| self.noise))
    }

    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>> {
        if function >= self.outputs() {
            return Err(missing_function("the output", function, self.outputs()));
        }
        let mut covariance = Mat::zeros(x.nrows(), x.nrows());
        for latent in 0..self.mixing.ncols() {
            let weight = T::from_f64(self.mixing[(function, latent)].powi(2));
            covariance += faer::Scale(weight) * self.latents.covariance(x, latent)?;
        }
        Ok(covariance)
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let means = means_at(&self.means, x, self.outputs());
        Ok(self.latents.sample(x, draws, rng)?.mixed(cast::<T>((*self.mixing).as_ref()).as_ref(), means.as_ref()))
    }

    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        Ok(self.sample(x, draws, rng)?.with_noise(self.outputs(), |_| self.noise, rng))
    }

    fn log_predictive_density(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        let noise = T::from_f64(self.noise);
        let outputs = self.outputs();
        let noise = Mat::from_fn(outputs, outputs, |row, col| if row == col { noise } else { T::from_f64(0.0) });
        self.predict_joint(x)?.with_noise(noise.as_ref())?.log_density(y)
    }
}
