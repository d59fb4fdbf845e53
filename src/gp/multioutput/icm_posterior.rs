//! Predictions of the intrinsic coregionalization model on a full grid.

use faer::{Mat, MatRef, Par};

use super::grid::means_at;
use super::prediction::JointPrediction;
use crate::gp::checks::check_inputs;
use crate::gp::latents::PerLatent;
use crate::gp::posterior::clamp;
use crate::gp::process::CHUNK;
use crate::kernel::{Kernel, cross_into, diag_into, gram_into};
use crate::linalg::NoisyKronecker;
use crate::mean::DynMean;
use crate::{Error, Result, Scalar};

/// An [`IcmGp`](super::IcmGp) given data.
///
/// # Definition
///
/// With Σ = LLᵀ and L⁻¹ B L⁻ᵀ = U diag(β) Uᵀ, the outputs are L U g with independent g_i ~ GP(0, β_i k), each seen with noise of
/// variance 1. All share the eigenvectors V of K: with C = K(x, X) V and dᵢⱼ = 1 + βᵢ κⱼ,
///
/// E g_i = βᵢ Σⱼ Cⱼ zⱼᵢ/dᵢⱼ, var g_i = βᵢ (k(x, x) − βᵢ Σⱼ Cⱼ²/dᵢⱼ)
///
/// for the rotated residuals z. O(N (N + P)) for a point.
///
/// # Examples
///
/// Two uncorrelated outputs, of variances 1 and 4, seen once with noise of variance 1 each:
///
/// ```
/// use mercer::gp::IcmGp;
/// use mercer::prelude::*;
///
/// let outputs = Coregionalization::new(mat![[0.0], [0.0]], [1.0, 4.0]);
/// let gp = IcmGp::new(Rbf::new(1.0), outputs);
/// let x = mat![[0.0]];
/// let posterior = gp.condition(x.as_ref(), mat![[3.0, 3.0]].as_ref())?;
///
/// let predicted = posterior.predict(x.as_ref())?;
/// assert!((predicted.mean.as_ref() - mat![[1.5, 2.4]]).norm_max() < 1e-14);
/// assert!((predicted.covariance(0)? - mat![[0.5, 0.0], [0.0, 0.8]]).norm_max() < 1e-14);
/// let observed = posterior.predict_observations(x.as_ref())?;
/// assert!((observed.of(1)?.variance[0] - 1.8f64).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct IcmPosterior<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    means: &'a PerLatent<DynMean>,
    points: Mat<T>,
    covariance: NoisyKronecker<T>,
    /// zⱼᵢ/dᵢⱼ, N × P
    weights: Mat<T>,
    par: Par,
}

impl<'a, T: Scalar> IcmPosterior<'a, T> {
    pub(super) fn new(
        kernel: &'a dyn Kernel<T>,
        means: &'a PerLatent<DynMean>,
        points: MatRef<'_, T>,
        residual: MatRef<'_, T>,
        covariance: NoisyKronecker<T>,
        par: Par,
    ) -> Result<Self> {
        let (n, rotated) = (points.nrows(), covariance.rotated(residual, par)?);
        let weight = |row: usize, col: usize| rotated[col * n + row] / covariance.spectrum(col)[row];
        let weights = Mat::from_fn(n, residual.ncols(), weight);
        Ok(Self { kernel, means, points: points.to_owned(), covariance, weights, par })
    }

    /// The outputs at new points, with their covariance at each, without noise.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for points of another dimension; [`Error::NonFinite`] and [`Error::Empty`] for points that cannot
    /// be predicted; [`Error::NegativeVariance`] if a variance is negative by more than rounding explains.
    pub fn predict(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        self.check(x)?;
        let (n, outputs) = (x.nrows(), self.covariance.outputs());
        let (mixing, signal) = self.covariance.mixing();
        let (mut means, mut variances) = (Mat::zeros(n, outputs), Mat::zeros(n, outputs));
        let mut prior = vec![T::from_f64(0.0); n];
        diag_into(self.kernel, x, &mut prior)?;
        let mut clamped = 0;
        for start in (0..n).step_by(CHUNK) {
            let rotated = self.rotated(x.subrows(start, CHUNK.min(n - start)))?;
            let reached = rotated.transpose() * &self.weights;
            let squares =
                Mat::from_fn(rotated.nrows(), rotated.ncols(), |row, col| rotated[(row, col)] * rotated[(row, col)]);
            let explained = squares.transpose() * self.inverse_spectrum();
            for (output, &beta) in signal.iter().enumerate() {
                for row in 0..rotated.ncols() {
                    let own = beta * prior[start + row];
                    let left = beta * (prior[start + row] - beta * explained[(row, output)]);
                    means[(start + row, output)] = beta * reached[(row, output)];
                    variances[(start + row, output)] = clamp(left, own, start + row, &mut clamped)?;
                }
            }
        }
        Ok(JointPrediction {
            mean: means * mixing.transpose() + means_at(self.means, x, outputs),
            mixing: mixing.to_owned(),
            latent_variance: variances,
            noise: vec![T::from_f64(0.0); outputs],
            clamped,
        })
    }

    /// New observations: the same with noise, which the mixing makes of variance 1 in each independent process.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub fn predict_observations(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        let mut predicted = self.predict(x)?;
        let outputs = predicted.latent_variance.ncols();
        (0..outputs).for_each(|output| {
            let column = predicted.latent_variance.col_as_slice_mut(output);
            column.iter_mut().for_each(|variance| *variance += T::from_f64(1.0));
        });
        Ok(predicted)
    }

    /// cov(f_p(xᵢ), f_q(xⱼ)) at all pairs of n points, for two outputs: n × n.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict), and [`Error::Rows`] for an output that there is not.
    pub fn covariance(&self, x: MatRef<'_, T>, outputs: (usize, usize)) -> Result<Mat<T>> {
        self.check(x)?;
        let count = self.covariance.outputs();
        let last = outputs.0.max(outputs.1);
        if last >= count {
            return Err(Error::rows("the outputs", last..last.saturating_add(1), count));
        }
        let (mixing, signal) = self.covariance.mixing();
        let (rotated, inverse) = (self.rotated(x)?, self.inverse_spectrum());
        // Σᵢ tₚᵢ t_qᵢ βᵢ (K − C diag(βᵢ/dᵢ) Cᵀ): one weight for each eigenvector, whatever P.
        let weight = |i: usize| mixing[(outputs.0, i)] * mixing[(outputs.1, i)] * signal[i];
        let zero = T::from_f64(0.0);
        let scale = (0..count).map(weight).fold(zero, |sum, weight| sum + weight);
        let scaled = Mat::from_fn(rotated.nrows(), rotated.ncols(), |row, col| {
            let weights = (0..count).map(|i| weight(i) * signal[i] * inverse[(row, i)]);
            rotated[(row, col)] * weights.fold(zero, |sum, weight| sum + weight)
        });
        let mut prior = Mat::zeros(x.nrows(), x.nrows());
        gram_into(self.kernel, x, prior.as_mut(), self.par)?;
        Ok(faer::Scale(scale) * prior - scaled.transpose() * rotated)
    }

    /// Cᵀ = Vᵀ K(X, x)
    fn rotated(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        let mut cross = Mat::zeros(self.points.nrows(), x.nrows());
        cross_into(self.kernel, self.points.as_ref(), x, cross.as_mut(), self.par)?;
        self.covariance.rotate_points(cross.as_ref(), self.par)
    }

    /// 1/dᵢⱼ, N × P
    fn inverse_spectrum(&self) -> Mat<T> {
        let inverse = |row: usize, col: usize| T::from_f64(1.0) / self.covariance.spectrum(col)[row];
        Mat::from_fn(self.points.nrows(), self.covariance.outputs(), inverse)
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        check_inputs(x, [self.kernel], self.means.all())?;
        let dim = self.points.ncols();
        if x.ncols() == dim {
            return Ok(());
        }
        Err(Error::shape("x", format!("{dim} column(s), as the model's inputs have"), x.shape()))
    }
}
