//! Predictions of several outputs, with their covariance.

use faer::{Mat, MatRef, Par};

use super::stacked::check_values;
use crate::gp::Prediction;
use crate::gp::posterior::Posterior;
use crate::gp::predict::Predict;
use crate::likelihood::Mixing;
use crate::linalg::{Cholesky, Jitter, cast};
use crate::{Error, Result, Scalar};

/// Predictions of P outputs at N points, with the covariance of the outputs at each point.
///
/// # Definition
///
/// The outputs are mixtures W g of L independent functions, with noise of their own where observations are predicted:
/// at a point, their covariance is W diag(v) Wᵀ + Σ, v the variances of g there. It is kept in this form, in
/// O(N (P + L) + P (P + L)) numbers, and is positive semi-definite to rounding however close to certainty.
///
/// From [`Posterior::predict_joint`], [`IcmPosterior::predict_joint`](super::IcmPosterior::predict_joint) and
/// [`OilmmPosterior::predict_joint`](super::OilmmPosterior::predict_joint).
///
/// # Examples
///
/// q of two latent functions is the prior, of variance 1:
///
/// ```
/// use mercer::gp::Svgp;
/// use mercer::likelihood::LinearMixing;
/// use mercer::prelude::*;
///
/// let weights = mat![[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]];
/// let mixing = LinearMixing::gaussian(weights.as_ref(), &[0.1; 3])?.with_offset(&[5.0, 6.0, 7.0])?;
/// let gp = Svgp::new(Rbf::new(1.0), mat![[0.0], [1.0]].as_ref())?.with_likelihood(mixing);
///
/// let predicted = gp.posterior::<f64>()?.predict_joint(mat![[0.3], [0.4]].as_ref())?;
/// assert_eq!(predicted.mean, mat![[5.0, 6.0, 7.0], [5.0, 6.0, 7.0]]);
/// let expected = &weights * weights.transpose();
/// assert!((predicted.covariance(1)? - &expected).norm_max() < 1e-12);
/// assert!((predicted.marginals()?.variance[(1, 1)] - 5.0).abs() < 1e-12);
/// assert!((predicted.with_noise(mat![[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]].as_ref())?.covariance(1)?[(1, 1)] - 5.1).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct JointPrediction<T: Scalar> {
    /// The means, N × P.
    pub mean: Mat<T>,
    /// W, P × L.
    pub mixing: Mat<T>,
    /// v, N × L.
    pub latent_variance: Mat<T>,
    /// Σ, the covariance of the noise of an observation, P × P: 0 of functions.
    pub noise: Mat<T>,
    /// How many variances of latent functions came out negative by rounding and were set to 0.
    pub clamped: usize,
}

impl<T: Scalar> JointPrediction<T> {
    /// Outputs c + W g of functions that were predicted at N points, without noise.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the prediction is not of as many functions as W has columns, or c not of as many numbers as W
    /// has rows.
    pub fn of_latents(mixing: Mixing<'_>, latents: &Prediction<T>) -> Result<Self> {
        let Mixing { weights, offset } = mixing;
        let (outputs, functions) = weights.shape();
        if functions == 0 || latents.mean.ncols() != functions || latents.variance.shape() != latents.mean.shape() {
            let expected = format!("{functions} column(s), one for each latent function, of means and of variances");
            return Err(Error::shape("the prediction", expected, latents.mean.shape()));
        }
        if offset.len() != outputs {
            return Err(Error::shape("the offset", format!("{outputs} value(s)"), (offset.len(), 1)));
        }
        let mixing = cast::<T>(weights);
        let mut mean = &latents.mean * mixing.transpose();
        for (output, &offset) in offset.iter().enumerate() {
            mean.col_as_slice_mut(output).iter_mut().for_each(|mean| *mean += T::from_f64(offset));
        }
        Ok(Self {
            mean,
            mixing,
            latent_variance: latents.variance.clone(),
            noise: Mat::zeros(outputs, outputs),
            clamped: latents.clamped,
        })
    }

    /// Each output by itself: N × P.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for fields whose shapes do not fit together.
    pub fn marginals(&self) -> Result<Prediction<T>> {
        self.check()?;
        let squares = Mat::from_fn(self.mixing.nrows(), self.mixing.ncols(), |row, col| {
            self.mixing[(row, col)] * self.mixing[(row, col)]
        });
        let mut variance = &self.latent_variance * squares.transpose();
        for output in 0..variance.ncols() {
            let noise = self.noise[(output, output)];
            variance.col_as_slice_mut(output).iter_mut().for_each(|variance| *variance += noise);
        }
        Ok(Prediction::new(self.mean.clone(), variance, self.clamped))
    }

    /// Adds noise of this covariance between the outputs of an observation, P × P.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a covariance of another number of outputs.
    pub fn with_noise(mut self, noise: MatRef<'_, T>) -> Result<Self> {
        self.check()?;
        if noise.shape() != self.noise.shape() {
            let expected = format!("{} x {0}, one row for each output", self.noise.nrows());
            return Err(Error::shape("the covariance of the noise", expected, noise.shape()));
        }
        self.noise += noise;
        Ok(self)
    }

    /// The covariance of the outputs at a point, P × P.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] if there is no such point; [`Error::Shape`] for fields whose shapes do not fit together.
    pub fn covariance(&self, row: usize) -> Result<Mat<T>> {
        self.check()?;
        if row >= self.mean.nrows() {
            return Err(Error::rows("the points", row..row.saturating_add(1), self.mean.nrows()));
        }
        let outputs = self.noise.nrows();
        let mut covariance = Mat::zeros(outputs, outputs);
        for i in 0..outputs {
            for j in 0..=i {
                let terms = self.mixing.row(i).iter().zip(self.mixing.row(j).iter());
                let terms = terms.zip(self.latent_variance.row(row).iter());
                covariance[(i, j)] =
                    terms.fold(self.noise[(i, j)], |sum, ((&a, &b), &variance)| sum + a * b * variance);
                covariance[(j, i)] = covariance[(i, j)];
            }
        }
        Ok(covariance)
    }

    /// log N(y; mean, covariance) of each row of values, N × P, jointly over the outputs. A NaN is a value that was not
    /// observed: the density is that of the others, and 0 on the log scale if there are none. O(P³) for a row.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for values of another shape than the means, and for fields whose shapes do not fit together;
    /// [`Error::NonFinite`] for an infinite one; [`Error::NotPositiveDefinite`] for a covariance without a density: predict
    /// observations, which have noise.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::JointPrediction;
    /// use mercer::prelude::*;
    ///
    /// let (mixing, latent_variance) = (mat![[1.0], [1.0]], mat![[1.0], [1.0]]);
    /// let (mean, noise) = (Mat::zeros(2, 2), mat![[1.0, 0.0], [0.0, 1.0]]);
    /// let predicted = JointPrediction { mean, mixing, latent_variance, noise, clamped: 0 };
    /// let density = predicted.log_density(mat![[1.0, -1.0], [f64::NAN, 2.0]].as_ref())?;
    /// // Of variances 2 and covariance 1: yᵀ C⁻¹ y = 2, |C| = 3. Alone, the second has the variance 2.
    /// let tau = std::f64::consts::TAU;
    /// assert!((density[0] + 1.0 + 0.5 * 3f64.ln() + tau.ln()).abs() < 1e-14);
    /// assert!((density[1] + 1.0 + 0.5 * (2.0 * tau).ln()).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn log_density(&self, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        self.check()?;
        if y.shape() != self.mean.shape() {
            let expected = format!("{} x {}, as the means", self.mean.nrows(), self.mean.ncols());
            return Err(Error::shape("y", expected, y.shape()));
        }
        check_values(self.mean.as_ref(), y)?;
        let density = |row: usize| {
            let seen: Vec<usize> = (0..y.ncols()).filter(|&col| !y[(row, col)].as_f64().is_nan()).collect();
            if seen.is_empty() {
                return Ok(0.0);
            }
            let all = self.covariance(row)?;
            let covariance = Mat::from_fn(seen.len(), seen.len(), |i, j| all[(seen[i], seen[j])]);
            let factor = Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq)?;
            let mut miss = Mat::from_fn(seen.len(), 1, |i, _| y[(row, seen[i])] - self.mean[(row, seen[i])]);
            factor.solve_lower_in_place(miss.as_mut(), Par::Seq)?;
            let fit = miss.squared_norm_l2().as_f64();
            Ok(-0.5 * (fit + factor.log_det() + seen.len() as f64 * std::f64::consts::TAU.ln()))
        };
        (0..y.nrows()).map(density).collect()
    }

    /// Refuses fields whose shapes do not fit together.
    fn check(&self) -> Result<()> {
        let (n, outputs) = self.mean.shape();
        let functions = self.mixing.ncols();
        let as_means = |what: &str| format!("{what}, as the means are {n} x {outputs}");
        if self.mixing.nrows() != outputs {
            return Err(Error::shape("the mixing matrix", as_means(&format!("{outputs} row(s)")), self.mixing.shape()));
        }
        if self.latent_variance.shape() != (n, functions) {
            let expected = as_means(&format!("{n} x {functions}"));
            return Err(Error::shape("the variances of the latent functions", expected, self.latent_variance.shape()));
        }
        if self.noise.shape() != (outputs, outputs) {
            let expected = as_means(&format!("{outputs} x {outputs}"));
            return Err(Error::shape("the noise", expected, self.noise.shape()));
        }
        Ok(())
    }
}

impl<T: Scalar> Posterior<T> {
    /// The outputs that the likelihood [mixes](crate::likelihood::Likelihood::mixing) from the latent functions, with
    /// their covariance at each point: without the likelihoods' scatter. Where it mixes none, each latent function is
    /// an output.
    ///
    /// # Errors
    ///
    /// As [`Predict::predict`].
    pub fn predict_joint(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        let latents = self.predict(x)?;
        match self.likelihood.as_ref().and_then(|likelihood| likelihood.mixing()) {
            Some(mixing) => JointPrediction::of_latents(mixing, &latents),
            None => {
                let count = self.latents();
                let weights = Mat::identity(count, count);
                let mixing = Mixing { weights: weights.as_ref(), offset: &vec![0.0; count] };
                JointPrediction::of_latents(mixing, &latents)
            }
        }
    }
}
