//! Predictions of the intrinsic coregionalization model on a full grid.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::grid::means_at;
use super::prediction::JointPrediction;
use crate::gp::checks::check_inputs;
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::predict::{Predict, missing_function};
use crate::gp::prediction::{Prediction, Samples, clamp};
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
/// let posterior = gp.condition(&Data::new(&x, mat![[3.0, 3.0]].as_ref()))?;
///
/// let predicted = posterior.predict_joint(x.as_ref())?;
/// assert!((predicted.mean.as_ref() - mat![[1.5, 2.4]]).norm_max() < 1e-14);
/// assert!((predicted.covariance(0)? - mat![[0.5, 0.0], [0.0, 0.8]]).norm_max() < 1e-14);
/// let observed = posterior.predict_observations(x.as_ref())?;
/// assert!((observed.variance[(0, 1)] - 1.8f64).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IcmPosterior<T: Scalar> {
    pub(super) kernel: Arc<dyn Kernel<T>>,
    pub(super) means: Arc<PerLatent<DynMean>>,
    pub(super) points: Arc<Mat<T>>,
    pub(super) covariance: Arc<NoisyKronecker<T>>,
    /// zⱼᵢ/dᵢⱼ, N × P
    pub(super) weights: Arc<Mat<T>>,
    pub(super) par: Par,
}

impl<T: Scalar> IcmPosterior<T> {
    pub(super) fn new(
        kernel: Arc<dyn Kernel<T>>,
        means: PerLatent<DynMean>,
        points: MatRef<'_, T>,
        residual: MatRef<'_, T>,
        covariance: NoisyKronecker<T>,
        par: Par,
    ) -> Result<Self> {
        let (n, rotated) = (points.nrows(), covariance.rotated(residual, par)?);
        let weight = |row: usize, col: usize| rotated[col * n + row] / covariance.spectrum(col)[row];
        let weights = Mat::from_fn(n, residual.ncols(), weight);
        let (points, weights) = (points.to_owned().into(), weights.into());
        Ok(Self { kernel, means: means.into(), points, covariance: covariance.into(), weights, par })
    }

    /// The covariance Σ of the noise of an observation, P × P.
    pub fn noise(&self) -> Mat<T> {
        let (mixing, _) = self.covariance.mixing();
        mixing * mixing.transpose()
    }

    /// The outputs at new points, with their covariance at each, without noise.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for points of another dimension; [`Error::NonFinite`] and [`Error::Empty`] for points that cannot
    /// be predicted; [`Error::NegativeVariance`] if a variance is negative by more than rounding explains.
    pub fn predict_joint(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        self.check(x)?;
        let (n, outputs) = (x.nrows(), self.covariance.outputs());
        let (mixing, signal) = self.covariance.mixing();
        let (mut means, mut variances) = (Mat::zeros(n, outputs), Mat::zeros(n, outputs));
        let mut prior = vec![T::from_f64(0.0); n];
        diag_into(&*self.kernel, x, &mut prior)?;
        let mut clamped = 0;
        for start in (0..n).step_by(CHUNK) {
            let rotated = self.rotated(x.subrows(start, CHUNK.min(n - start)))?;
            let reached = rotated.transpose() * &*self.weights;
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
            mean: means * mixing.transpose() + means_at(&self.means, x, outputs),
            mixing: mixing.to_owned(),
            latent_variance: variances,
            noise: Mat::zeros(outputs, outputs),
            clamped,
        })
    }

    /// cov(f_p(xᵢ), f_q(xⱼ)) at all pairs of n points, for two outputs: n × n.
    ///
    /// # Errors
    ///
    /// As [`Predict::predict`], and [`Error::Rows`] for an output that there is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, IcmGp};
    /// use mercer::prelude::*;
    ///
    /// let gp = IcmGp::new(Rbf::new(1.0), Coregionalization::new(mat![[1.0], [2.0]], [0.1, 0.1]));
    /// let posterior = gp.condition(&Data::new(mat![[0.0]], mat![[1.0, 2.0]]))?;
    /// let at = mat![[0.0], [50.0]]; // far from what was seen: B
    /// assert!((posterior.cross_covariance(at.as_ref(), 0, 1)?[(1, 1)] - 2.0f64).abs() < 1e-12);
    /// assert!((posterior.noise() - Mat::<f64>::identity(2, 2)).norm_max() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn cross_covariance(&self, x: MatRef<'_, T>, output: usize, other: usize) -> Result<Mat<T>> {
        self.check(x)?;
        let count = self.covariance.outputs();
        let last = output.max(other);
        if last >= count {
            return Err(Error::rows("the outputs", last..last.saturating_add(1), count));
        }
        let (mixing, signal) = self.covariance.mixing();
        let (rotated, inverse) = (self.rotated(x)?, self.inverse_spectrum());
        // Σᵢ tₚᵢ t_qᵢ βᵢ (K − C diag(βᵢ/dᵢ) Cᵀ): one weight for each eigenvector, whatever P.
        let weight = |i: usize| mixing[(output, i)] * mixing[(other, i)] * signal[i];
        let zero = T::from_f64(0.0);
        let scale = (0..count).map(weight).fold(zero, |sum, weight| sum + weight);
        let scaled = Mat::from_fn(rotated.nrows(), rotated.ncols(), |row, col| {
            let weights = (0..count).map(|i| weight(i) * signal[i] * inverse[(row, i)]);
            rotated[(row, col)] * weights.fold(zero, |sum, weight| sum + weight)
        });
        let mut prior = Mat::zeros(x.nrows(), x.nrows());
        gram_into(&*self.kernel, x, prior.as_mut(), self.par)?;
        Ok(faer::Scale(scale) * prior - scaled.transpose() * rotated)
    }

    /// Cᵀ = Vᵀ K(X, x)
    fn rotated(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        let mut cross = Mat::zeros(self.points.nrows(), x.nrows());
        cross_into(&*self.kernel, (*self.points).as_ref(), x, cross.as_mut(), self.par)?;
        self.covariance.rotate_points(cross.as_ref(), self.par)
    }

    /// Predictions of each of the observations from all others. With W = Σ^(−½)U and A⁻¹ = (W ⊗ V) diag(1/d) (W ⊗ V)ᵀ, A⁻¹r
    /// is V z/d Wᵀ, and the diagonal of A⁻¹ is the same of all squares.
    pub(super) fn left_out(&self, y: MatRef<'_, T>) -> Result<Vec<LeaveOneOut<T>>> {
        let (n, whitener) = (y.nrows(), self.covariance.whitener());
        let vectors = self.covariance.rotate_points(Mat::identity(n, n).as_ref(), self.par)?;
        let squared = |m: MatRef<'_, T>| Mat::from_fn(m.nrows(), m.ncols(), |row, col| m[(row, col)] * m[(row, col)]);
        let precisions =
            squared(vectors.as_ref()).transpose() * self.inverse_spectrum() * squared(whitener).transpose();
        let solved = vectors.transpose() * &*self.weights * whitener.transpose();
        let of = |p: usize| {
            let y: Vec<T> = y.col(p).iter().copied().collect();
            LeaveOneOut::of_exact(precisions.col_as_slice(p), solved.col_as_slice(p), &y)
        };
        Ok((0..y.ncols()).map(of).collect())
    }

    /// 1/dᵢⱼ, N × P
    fn inverse_spectrum(&self) -> Mat<T> {
        let inverse = |row: usize, col: usize| T::from_f64(1.0) / self.covariance.spectrum(col)[row];
        Mat::from_fn(self.points.nrows(), self.covariance.outputs(), inverse)
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        check_inputs(x, [&*self.kernel], self.means.all())?;
        let dim = self.points.ncols();
        if x.ncols() == dim {
            return Ok(());
        }
        Err(Error::shape("x", format!("{dim} column(s), as the model's inputs have"), x.shape()))
    }
}

impl<T: Scalar> Predict<T> for IcmPosterior<T> {
    fn functions(&self) -> usize {
        self.covariance.outputs()
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        self.predict_joint(x)?.marginals()
    }

    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        self.predict_joint(x)?.with_noise(self.noise().as_ref())?.marginals()
    }

    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>> {
        if function >= self.functions() {
            return Err(missing_function("the output", function, self.functions()));
        }
        self.cross_covariance(x, function, function)
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        self.check(x)?;
        let (n, outputs) = (x.nrows(), self.functions());
        let (mixing, signal) = self.covariance.mixing();
        let (rotated, inverse) = (self.rotated(x)?, self.inverse_spectrum());
        let mut prior = Mat::zeros(n, n);
        gram_into(&*self.kernel, x, prior.as_mut(), self.par)?;
        let means = rotated.transpose() * &*self.weights;
        let centre = Mat::from_fn(n, outputs, |row, col| signal[col] * means[(row, col)]);
        // βᵢ (K − C diag(βᵢ/dᵢ) Cᵀ)
        let of_process = |process: usize| {
            let beta = signal[process];
            let scaled =
                Mat::from_fn(rotated.nrows(), n, |row, col| rotated[(row, col)] * (beta * inverse[(row, process)]));
            let covariance = faer::Scale(beta) * (&prior - scaled.transpose() * &rotated);
            Ok((covariance, (0..n).map(|row| beta * prior[(row, row)]).collect()))
        };
        let samples = Samples::draw(centre.as_ref(), draws, rng, self.par, of_process)?;
        Ok(samples.mixed(mixing, means_at(&self.means, x, outputs).as_ref()))
    }

    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        self.sample(x, draws, rng)?.with_correlated_noise(self.noise().as_ref(), rng)
    }

    fn log_predictive_density(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        self.predict_joint(x)?.with_noise(self.noise().as_ref())?.log_density(y)
    }
}
