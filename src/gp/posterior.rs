//! A Gaussian process given what a model has learned at some inputs.

use faer::linalg::matmul::triangular::BlockStructure;
use faer::{Mat, MatRef, Par};

use super::checks::check_one_latent;
use crate::data::check_finite;
use crate::kernel::{Kernel, cross_into, diag_into, gram_into, matmul_into};
use crate::likelihood::Likelihood;
use crate::linalg::Cholesky;
use crate::mean::{DynMean, Mean};
use crate::{Error, Result, Scalar};

/// Points that are predicted at a time: bounds the scratch, at full speed of the solves.
const CHUNK: usize = 1024;

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

/// The posterior of a Gaussian process: ready to predict anywhere, its factors computed once.
///
/// # Definition
///
/// With inputs Z, K(Z, Z) (plus noise, for an exact process) = LLᵀ, weights α, and A = L⁻¹ K(Z, x):
///
/// mean(x) = m(x) + K(x, Z) α
///
/// covariance(x, x′) = k(x, x′) − AᵀA′ + (RᵀA)ᵀ(RᵀA′)
///
/// where RRᵀ is the covariance of the whitened inducing variables, and is absent for an exact
/// process. A variance is the difference of norms of triangular solves. One that is negative by
/// rounding is set to 0 and counted; one that is negative by more is an error.
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
    pub(super) kernel: &'a dyn Kernel<T>,
    pub(super) mean: &'a DynMean,
    pub(super) likelihood: &'a dyn Likelihood,
    pub(super) inputs: Mat<T>,
    pub(super) factor: Cholesky<T>,
    /// n × 1
    pub(super) weights: Mat<T>,
    /// R, lower triangular.
    pub(super) root: Option<Mat<T>>,
    pub(super) par: Par,
}

impl<T: Scalar> Posterior<'_, T> {
    /// The jitter that was added to the diagonal of the covariance of the inputs.
    pub fn jitter(&self) -> f64 {
        self.factor.jitter()
    }

    /// The inputs that the posterior is built on: the data of an exact process, the inducing inputs
    /// of a sparse one.
    pub fn inputs(&self) -> MatRef<'_, T> {
        self.inputs.as_ref()
    }

    /// The same, its observations seen through another likelihood: one with the noise, or the exposures, of the
    /// points that are predicted next.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a likelihood of several latent functions.
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
        check_one_latent(likelihood)?;
        Ok(Posterior { likelihood, ..self })
    }

    /// The mean of the latent function: O(n·M·D) time, no matrix stored.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::Dimension`] for points of another dimension,
    /// [`Error::NonFinite`] and [`Error::Empty`] for points that cannot be predicted.
    pub fn mean(&self, x: MatRef<'_, T>) -> Result<Vec<T>> {
        self.check(x)?;
        let mut product = Mat::zeros(x.nrows(), 1);
        matmul_into(self.kernel, x, self.inputs.as_ref(), self.weights.as_ref(), product.as_mut(), self.par)?;
        let mut mean = self.prior_mean(x);
        mean.iter_mut().zip(product.col_as_slice(0)).for_each(|(mean, &shift)| *mean += shift);
        Ok(mean)
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
        let mut variance = vec![T::from_f64(0.0); x.nrows()];
        diag_into(self.kernel, x, &mut variance)?;
        let mut clamped = 0;
        for start in (0..x.nrows()).step_by(CHUNK) {
            let chunk = x.subrows(start, CHUNK.min(x.nrows() - start));
            let (reduction, addition) = self.solves(chunk)?;
            for col in 0..chunk.nrows() {
                let prior = variance[start + col];
                let mut value = prior - squared_norm(reduction.col_as_slice(col));
                if let Some(addition) = &addition {
                    value += squared_norm(addition.col_as_slice(col));
                }
                variance[start + col] = clamp(value, prior, start + col, &mut clamped)?;
            }
        }
        Ok(Prediction { mean, variance, clamped })
    }

    /// Mean and full covariance of the latent function, n × n: O(n·M² + n²·M) time.
    ///
    /// # Errors
    ///
    /// As [`mean`](Self::mean).
    pub fn predict_covariance(&self, x: MatRef<'_, T>) -> Result<(Vec<T>, Mat<T>)> {
        let mean = self.mean(x)?;
        let mut covariance = Mat::zeros(x.nrows(), x.nrows());
        gram_into(self.kernel, x, covariance.as_mut(), self.par)?;
        let (reduction, addition) = self.solves(x)?;
        add_gram(covariance.as_mut(), reduction.as_ref(), -1.0, self.par);
        if let Some(addition) = addition {
            add_gram(covariance.as_mut(), addition.as_ref(), 1.0, self.par);
        }
        Ok((mean, covariance))
    }

    /// Mean and variance of new observations: the latent function seen through the likelihood.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict); [`Error::Setting`] for a likelihood that does not know what it needs of new
    /// observations, such as [`FixedNoise`](crate::likelihood::FixedNoise): see
    /// [`with_likelihood`](Self::with_likelihood).
    pub fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let latent = self.predict(x)?;
        let seen = self.likelihood.predict(&to_f64(&latent.mean), &to_f64(&latent.variance))?;
        Ok(Prediction { mean: from_f64(&seen.mean), variance: from_f64(&seen.variance), clamped: latent.clamped })
    }

    /// log p(yᵢ | data) for each new observation.
    ///
    /// # Errors
    ///
    /// As [`predict_observations`](Self::predict_observations); [`Error::Shape`] if there is not one observation
    /// for each point; [`Error::Observation`] for one that the likelihood gives no density.
    pub fn log_predictive_density(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Vec<f64>> {
        if y.len() != x.nrows() {
            return Err(Error::shape("y", format!("{} value(s), one for each row of x", x.nrows()), (y.len(), 1)));
        }
        let latent = self.predict(x)?;
        self.likelihood.log_predictive_density(&to_f64(y), &to_f64(&latent.mean), &to_f64(&latent.variance))
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        check_finite("x", x)?;
        if x.ncols() != self.inputs.ncols() {
            return Err(Error::shape(
                "x",
                format!("{} column(s), as the model's inputs have", self.inputs.ncols()),
                (x.nrows(), x.ncols()),
            ));
        }
        Ok(())
    }

    fn prior_mean(&self, x: MatRef<'_, T>) -> Vec<T> {
        let mut mean = vec![T::from_f64(0.0); x.nrows()];
        self.mean.mean_into(x, &mut mean);
        mean
    }

    /// A = L⁻¹ K(Z, x), and RᵀA for a sparse process.
    fn solves(&self, x: MatRef<'_, T>) -> Result<(Mat<T>, Option<Mat<T>>)> {
        let mut a = Mat::zeros(self.inputs.nrows(), x.nrows());
        cross_into(self.kernel, self.inputs.as_ref(), x, a.as_mut(), self.par)?;
        self.factor.half_solve_in_place(a.as_mut(), self.par)?;
        let addition = self.root.as_ref().map(|root| {
            let mut product = Mat::zeros(a.nrows(), a.ncols());
            faer::linalg::matmul::triangular::matmul(
                product.as_mut(),
                BlockStructure::Rectangular,
                faer::Accum::Replace,
                root.transpose(),
                BlockStructure::TriangularUpper,
                a.as_ref(),
                BlockStructure::Rectangular,
                T::from_f64(1.0),
                self.par,
            );
            product
        });
        Ok((a, addition))
    }
}

/// covariance += sign · BᵀB, exactly symmetric.
fn add_gram<T: Scalar>(mut covariance: faer::MatMut<'_, T>, b: MatRef<'_, T>, sign: f64, par: Par) {
    use faer::prelude::ReborrowMut;
    faer::linalg::matmul::triangular::matmul(
        covariance.rb_mut(),
        BlockStructure::TriangularLower,
        faer::Accum::Add,
        b.transpose(),
        BlockStructure::Rectangular,
        b,
        BlockStructure::Rectangular,
        T::from_f64(sign),
        par,
    );
    for col in 0..covariance.ncols() {
        for row in col + 1..covariance.nrows() {
            covariance[(col, row)] = covariance[(row, col)];
        }
    }
}

fn squared_norm<T: Scalar>(values: &[T]) -> T {
    crate::simd::dot(values, values)
}

/// A variance below 0 by less than √ε of the prior's is rounding; beyond, an error.
fn clamp<T: Scalar>(value: T, prior: T, row: usize, clamped: &mut usize) -> Result<T> {
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
