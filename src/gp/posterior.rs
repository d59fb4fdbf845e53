//! A Gaussian process given what a model has learned at some inputs.

use faer::{Mat, MatRef, Par};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::checks::{check_count, check_inputs};
use super::process::{Basis, Process};
use crate::likelihood::Likelihood;
use crate::linalg::semidefinite_root;
use crate::mean::Mean;
use crate::{Error, Result, Scalar};

/// Mean and variance at some points.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction<T> {
    /// The means.
    pub mean: Vec<T>,
    /// The variances.
    pub variance: Vec<T>,
    /// How many variances came out negative by rounding and were set to 0.
    pub clamped: usize,
}

/// Means and variances of several outputs at some points.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputPrediction<T: Scalar> {
    /// The means: n × D, a column for each output.
    pub mean: Mat<T>,
    /// The variances, in the same shape.
    pub variance: Mat<T>,
    /// How many variances came out negative by rounding and were set to 0.
    pub clamped: usize,
}

impl<T: Scalar> OutputPrediction<T> {
    pub(super) fn zeros(points: usize, outputs: usize) -> Self {
        Self { mean: Mat::zeros(points, outputs), variance: Mat::zeros(points, outputs), clamped: 0 }
    }

    /// With the variance of the noise of each output.
    pub(super) fn with_noise(mut self, noise: impl Fn(usize) -> f64) -> Self {
        for output in 0..self.variance.ncols() {
            let noise = T::from_f64(noise(output));
            self.variance.col_as_slice_mut(output).iter_mut().for_each(|variance| *variance += noise);
        }
        self
    }
}

/// Joint draws of latent functions.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples<T> {
    /// The values, a column for each draw: N·L × draws.
    pub values: Mat<T>,
    /// By how much the diagonal of a covariance was changed, at most, for it to have a root: by what rounding had left in it
    /// of 0.
    pub jitter: f64,
}

/// The posterior of a Gaussian process: ready to predict anywhere, its factors computed once.
///
/// # Definition
///
/// With inducing features u (the values at the data and their noise, for an exact process) of
/// covariance K_uu = LLᵀ, weights α, and A = L⁻¹ K_uf:
///
/// mean(x) = m(x) + K_fu α
///
/// covariance(x, x′) = k(x, x′) − AᵀA′ + AᵀSA′
///
/// where S is the covariance of the whitened inducing variables, and is absent for an exact
/// process. A [basis of the mean](super::MeanBasis) adds K(x, Γ) a to it. A variance is the difference of norms of triangular solves. One that is negative by
/// rounding is set to 0 and counted; one that is negative by more is an error.
///
/// Of a model with L latent functions, which are independent, means and variances at n points have
/// n·L elements, all points of the first function first, as a
/// [`Likelihood`](crate::likelihood::Likelihood) has them.
///
/// From [`ExactGp::condition`](super::ExactGp::condition) or
/// [`Svgp::posterior`](super::Svgp::posterior).
///
/// # Examples
///
/// One observation y = 3 of a process of variance 1, with noise of variance 0.5: at the same place the
/// mean is y/(1 + 0.5) and the variance 1 − 1/(1 + 0.5).
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
///
/// let x = mat![[2.0]];
/// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
/// let posterior = gp.condition(x.as_ref(), &[3.0])?;
///
/// let latent = posterior.predict(x.as_ref())?;
/// assert!((latent.mean[0] - 2.0f64).abs() < 1e-15);
/// assert!((latent.variance[0] - 1.0f64 / 3.0).abs() < 1e-15);
/// let seen = posterior.predict_observations(x.as_ref())?;
/// assert!((seen.variance[0] - (1.0f64 / 3.0 + 0.5)).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct Posterior<'a, T: Scalar> {
    pub(super) basis: Box<dyn Basis<T> + 'a>,
    pub(super) processes: Vec<Process<'a, T>>,
    /// `None` of processes that were not observed themselves.
    pub(super) likelihood: Option<&'a dyn Likelihood>,
    pub(super) par: Par,
}

impl<T: Scalar> Posterior<'_, T> {
    /// The largest jitter that was added to the diagonal of a covariance of the inducing variables.
    pub fn jitter(&self) -> f64 {
        self.processes.iter().map(|process| process.prior.jitter()).fold(0.0, f64::max)
    }

    /// L, the number of latent functions.
    pub fn latents(&self) -> usize {
        self.processes.iter().map(|process| process.latents.len()).sum()
    }

    /// The same, its observations seen through another likelihood: one with the noise, or the exposures, of the
    /// points that are predicted next.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a likelihood of another number of latent functions than there are.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::likelihood::FixedNoise;
    /// use mercer::prelude::*;
    ///
    /// let noise = FixedNoise::new(&[0.1, 0.2, 0.4])?;
    /// let x = mat![[0.0], [1.0], [2.0]];
    /// let gp = Svgp::new(Rbf::new(1.0), x.as_ref())?.with_likelihood(noise.clone());
    ///
    /// // Two new observations, of known noise; q is the prior, of variance 1.
    /// let new = noise.for_new(&[0.5, 2.0])?;
    /// let at = mat![[0.5], [7.0]];
    /// let seen = gp.posterior::<f64>()?.with_likelihood(&new)?.predict_observations(at.as_ref())?;
    /// assert!((seen.variance[0] - 1.5).abs() < 1e-12 && (seen.variance[1] - 3.0).abs() < 1e-12);
    /// assert!(gp.posterior::<f64>()?.predict_observations(at.as_ref()).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_likelihood<'b>(self, likelihood: &'b dyn Likelihood) -> Result<Posterior<'b, T>>
    where
        Self: 'b,
    {
        let likelihood = Some(likelihood);
        self.fitting(likelihood)?;
        Ok(Posterior { likelihood, ..self })
    }

    /// The mean of the latent function: O(n·M·D) time; no matrix stored, if the inducing variables are
    /// values at points.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::Dimension`] for points of another dimension,
    /// [`Error::NonFinite`] and [`Error::Empty`] for points that cannot be predicted.
    pub fn mean(&self, x: MatRef<'_, T>) -> Result<Vec<T>> {
        self.check(x)?;
        let n = x.nrows();
        let mut means = vec![T::from_f64(0.0); n * self.latents()];
        let mut rest = means.chunks_exact_mut(n);
        for process in &self.processes {
            let shifts = process.shifts(&*self.basis, x, self.par)?;
            for ((latent, mean), col) in process.latents.iter().zip(&mut rest).zip(0..) {
                latent.mean.mean_into(x, mean);
                mean.iter_mut().zip(shifts.col_as_slice(col)).for_each(|(mean, &shift)| *mean += shift);
            }
        }
        Ok(means)
    }

    /// Mean and variance of the latent function, point by point: O(n·M²) time, and scratch for
    /// some thousand points whatever n.
    ///
    /// # Errors
    ///
    /// As [`mean`](Self::mean); [`Error::NegativeVariance`] if a variance is negative by more than
    /// rounding explains.
    pub fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let mean = self.mean(x)?;
        let (variance, clamped) = self.variances(x)?;
        Ok(Prediction { mean, variance, clamped })
    }

    /// The variance of the latent function, point by point: [`predict`](Self::predict) without the
    /// means.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub fn variance(&self, x: MatRef<'_, T>) -> Result<Vec<T>> {
        self.check(x)?;
        Ok(self.variances(x)?.0)
    }

    /// Mean and full covariance of the latent function, n × n: O(n·M² + n²·M) time.
    ///
    /// # Errors
    ///
    /// As [`mean`](Self::mean); [`Error::Setting`] of a model with several latent functions, which
    /// have a [`covariance`](Self::covariance) each.
    pub fn predict_covariance(&self, x: MatRef<'_, T>) -> Result<(Vec<T>, Mat<T>)> {
        if self.latents() != 1 {
            let expected = "here must be 1: ask for the covariance of each";
            return Err(Error::setting("the number of latent functions", self.latents(), expected));
        }
        Ok((self.mean(x)?, self.covariance(x, 0)?))
    }

    /// The full covariance of one latent function, n × n: O(n·M² + n²·M) time.
    ///
    /// # Errors
    ///
    /// As [`mean`](Self::mean); [`Error::Setting`] for a latent function that there is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    ///
    /// let (x, at) = (mat![[0.0], [1.0]], mat![[0.3], [0.4], [5.0]]);
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
    /// let posterior = gp.condition(x.as_ref(), &[3.0, 1.0])?;
    /// let covariance = posterior.covariance(at.as_ref(), 0)?;
    /// assert!((covariance[(1, 1)] - posterior.variance(at.as_ref())?[1]).abs() < 1e-15);
    /// assert!(covariance[(0, 1)] > 0.9 * covariance[(0, 0)] && covariance[(0, 2)].abs() < 1e-3);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn covariance(&self, x: MatRef<'_, T>, latent: usize) -> Result<Mat<T>> {
        self.check(x)?;
        Ok(self.covariance_of(x, latent)?.0)
    }

    /// So many draws of the latent function at n points jointly: O(n·M² + n²·M + n³) time. The
    /// functions of a model with several are drawn independently.
    ///
    /// A covariance may be singular: what is certain is drawn as it is, and values that determine each other are drawn so.
    /// Rounding is told from it in units of the variances a priori, which are the size of what was subtracted.
    ///
    /// # Errors
    ///
    /// As [`mean`](Self::mean); [`Error::NotPositiveDefinite`] for a covariance that is indefinite by more than rounding
    /// explains.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let x = mat![[0.0], [1.0]];
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(1e-6)?;
    /// let posterior = gp.condition(x.as_ref(), &[3.0, 1.0])?;
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let samples = posterior.sample(mat![[0.0], [9.0]].as_ref(), 5, &mut rng)?.values;
    /// assert!(samples.row(0).iter().all(|f| (f - 3.0).abs() < 0.01)); // seen there
    /// assert!(samples.row(1).iter().any(|f| f.abs() > 0.1)); // far from what was seen
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Samples<T>> {
        let (mean, n) = (self.mean(x)?, x.nrows());
        let mut values = Mat::from_fn(mean.len(), draws, |row, _| mean[row]);
        let mut largest = 0.0f64;
        for latent in 0..self.latents() {
            let (covariance, prior) = self.covariance_of(x, latent)?;
            let (root, left) = semidefinite_root(covariance.as_ref(), &prior, self.par)?;
            largest = largest.max(left);
            // As many numbers whatever the rank: that of one function does not move the draws of the next.
            let normal = Mat::from_fn(n, draws, |_, _| T::from_f64(rng.sample(StandardNormal)));
            let (out, normal) = (values.as_mut().subrows_mut(latent * n, n), normal.subrows(0, root.ncols()));
            let one = T::from_f64(1.0);
            faer::linalg::matmul::matmul(out, faer::Accum::Add, root.as_ref(), normal, one, self.par);
        }
        Ok(Samples { values, jitter: largest })
    }

    /// Mean and variance of new observations: the latent function seen through the likelihood.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict); [`Error::Setting`] for a likelihood that does not know what it needs of new
    /// observations, such as [`FixedNoise`](crate::likelihood::FixedNoise): see
    /// [`with_likelihood`](Self::with_likelihood); and for processes that were not observed themselves, but only mixtures
    /// of them, such as [`OilmmPosterior::latents`](super::OilmmPosterior::latents).
    pub fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let likelihood = self.fitting(self.likelihood)?;
        let latent = self.predict(x)?;
        let seen = likelihood.predict(&to_f64(&latent.mean), &to_f64(&latent.variance))?;
        Ok(Prediction { mean: from_f64(&seen.mean), variance: from_f64(&seen.variance), clamped: latent.clamped })
    }

    /// log p(yᵢ | data) for each new observation.
    ///
    /// # Errors
    ///
    /// As [`predict_observations`](Self::predict_observations); [`Error::Shape`] if there is not one observation
    /// of each output for each point; [`Error::Observation`] for one that the likelihood gives no density.
    pub fn log_predictive_density(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Vec<f64>> {
        let likelihood = self.fitting(self.likelihood)?;
        check_count(x, y, likelihood.outputs())?;
        let latent = self.predict(x)?;
        likelihood.log_predictive_density(&to_f64(y), &to_f64(&latent.mean), &to_f64(&latent.variance))
    }

    /// A likelihood, if it is one of as many latent functions as there are.
    fn fitting<'l>(&self, likelihood: Option<&'l dyn Likelihood>) -> Result<&'l dyn Likelihood> {
        let Some(likelihood) = likelihood else {
            let expected = "is needed for observations: of a mixture of processes, ask the posterior of the mixture";
            return Err(Error::setting("the likelihood of the latent functions", "missing", expected));
        };
        let (expected, found) = (self.latents(), likelihood.latents());
        if found == expected {
            return Ok(likelihood);
        }
        let expected = format!("must be {expected}, as the posterior has");
        Err(Error::setting("the number of latent functions of the likelihood", found, &expected))
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        let means = self.processes.iter().flat_map(|process| process.latents.iter().map(|latent| latent.mean));
        check_inputs(x, self.processes.iter().map(|process| process.kernel), means)?;
        let dim = self.basis.dim();
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the model's inputs have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        self.basis.check_points(x)
    }

    /// The variances, and how many were clamped.
    fn variances(&self, x: MatRef<'_, T>) -> Result<(Vec<T>, usize)> {
        let n = x.nrows();
        let mut variance = vec![T::from_f64(0.0); n * self.latents()];
        let (mut clamped, mut first) = (0, 0);
        for process in &self.processes {
            process.variances(&*self.basis, x, self.par, |latent, start, prior, values| {
                let out = &mut variance[(first + latent) * n + start..][..values.nrows()];
                for (row, out) in out.iter_mut().enumerate() {
                    *out = clamp(values[(row, 0)], prior[(row, 0)], start + row, &mut clamped)?;
                }
                Ok(())
            })?;
            first += process.latents.len();
        }
        Ok((variance, clamped))
    }

    /// With the diagonal a priori.
    fn covariance_of(&self, x: MatRef<'_, T>, latent: usize) -> Result<(Mat<T>, Vec<T>)> {
        let mut index = latent;
        for process in &self.processes {
            if index < process.latents.len() {
                return process.covariance(&*self.basis, index, x, self.par);
            }
            index -= process.latents.len();
        }
        let expected = format!("there are {}, counted from 0", self.latents());
        Err(Error::setting("the latent function", latent, &expected))
    }
}

/// A variance below 0 by less than √ε of the prior's is rounding; beyond, an error.
pub(crate) fn clamp<T: Scalar>(value: T, prior: T, row: usize, clamped: &mut usize) -> Result<T> {
    if value >= T::from_f64(0.0) {
        return Ok(value);
    }
    let limit = num_traits::Float::sqrt(<T as num_traits::Float>::epsilon()) * prior;
    if value >= -limit {
        *clamped += 1;
        return Ok(T::from_f64(0.0));
    }
    Err(Error::NegativeVariance { row, value: value.as_f64() })
}

pub(super) fn to_f64<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|&value| value.as_f64()).collect()
}

pub(super) fn from_f64<T: Scalar>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}
