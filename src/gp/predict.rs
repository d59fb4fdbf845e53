//! What priors and posteriors have in common.

use std::fmt::Debug;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::prediction::{Prediction, Samples};
use crate::likelihood::log_normal;
use crate::{Error, Result, Scalar};

/// Predictions of functions and of observations at any points: by a [`Prior`](super::Prior), before data, and by the
/// posterior that `condition` or `posterior` of a model gives.
///
/// Points are the rows of a matrix n × D. A model has L functions and P outputs: in most models the outputs are the functions
/// with noise; a likelihood may make one output of several functions, or mix several outputs.
///
/// # Examples
///
/// ```
/// use mercer::gp::{BatchGp, ExactGp};
/// use mercer::prelude::*;
///
/// let (x, y) = (mat![[0.0], [1.0]], mat![[1.0, 3.0], [2.0, 1.0]]);
/// let exact = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?;
/// let batch = BatchGp::new(Rbf::new(1.0).batched(2)?).with_noise(0.1)?;
/// let all: Vec<Box<dyn Predict<f64>>> = vec![
///     Box::new(exact.prior()),
///     Box::new(exact.condition(&Data::new(&x, y.col_as_slice(0)))?),
///     Box::new(batch.condition(&Data::new(&x, &y))?),
/// ];
/// let at = mat![[0.0]];
/// let means: Vec<f64> = all.iter().map(|model| Ok(model.predict(at.as_ref())?.mean[(0, 0)])).collect::<mercer::Result<_>>()?;
/// assert!(means[0] == 0.0 && (means[1] - 1.0).abs() < 0.2 && (means[1] - means[2]).abs() < 1e-14);
/// assert_eq!(all[2].outputs(), 2);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Predict<T: Scalar>: Debug + Send + Sync {
    /// L, the number of functions.
    fn functions(&self) -> usize;

    /// P, the number of outputs of an observation.
    fn outputs(&self) -> usize {
        self.functions()
    }

    /// Means and variances of the functions, point by point: n × L.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::Dimension`] for points of another dimension, [`Error::NonFinite`] and [`Error::Empty`]
    /// for points that cannot be predicted; [`Error::NegativeVariance`] if a variance is negative by more than rounding
    /// explains.
    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>>;

    /// [`predict`](Self::predict) into what an earlier prediction left, to rounding: for services, which predict again and
    /// again. The posterior of an exact process, or of one with inducing points, allocates nothing for a few points but
    /// with the first, unless its kernel or its mean function does.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict); what is in `out` is of no use then.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Prediction};
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?;
    /// let posterior = gp.condition(&Data::new(mat![[0.0], [1.0]], [0.3, 1.0]))?;
    /// let mut out = Prediction::default();
    /// for at in [mat![[0.3]], mat![[0.9]]] {
    ///     posterior.predict_into(at.as_ref(), &mut out)?;
    ///     assert!((out.mean[(0, 0)] - posterior.predict(at.as_ref())?.mean[(0, 0)]).abs() < 1e-15);
    /// }
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn predict_into(&self, x: MatRef<'_, T>, out: &mut Prediction<T>) -> Result<()> {
        *out = self.predict(x)?;
        Ok(())
    }

    /// Means and variances of new observations: n × P. Of classes without an order, probabilities: a column for each class.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict); [`Error::Setting`] for a likelihood that does not know what it needs of new
    /// observations, such as [`FixedNoise`](crate::likelihood::FixedNoise): see
    /// [`Posterior::with_likelihood`](super::Posterior::with_likelihood); and for functions that were not observed
    /// themselves, but only mixtures of them, such as [`OilmmPosterior::latents`](super::OilmmPosterior::latents).
    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>>;

    /// The covariance of one function at all pairs of the points: n × n.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict); [`Error::Setting`] for a function that there is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    ///
    /// let (x, at) = (mat![[0.0], [1.0]], mat![[0.3], [0.4], [5.0]]);
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
    /// let posterior = gp.condition(&Data::new(&x, &[3.0, 1.0]))?;
    /// let covariance = posterior.covariance(at.as_ref(), 0)?;
    /// assert!((covariance[(1, 1)] - posterior.predict(at.as_ref())?.variance[(1, 0)]).abs() < 1e-15);
    /// assert!(covariance[(0, 1)] > 0.9 * covariance[(0, 0)] && covariance[(0, 2)].abs() < 1e-3);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>>;

    /// So many draws of the functions at n points jointly: O(n³) time. Here, functions are drawn independently of each
    /// other; models in which they are not have their own.
    ///
    /// A covariance may be singular: what is certain is drawn as it is, and values that determine each other are drawn so.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict); [`Error::NotPositiveDefinite`] for a covariance that is indefinite by more than rounding
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
    /// let posterior = gp.condition(&Data::new(&x, &[3.0, 1.0]))?;
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let samples = posterior.sample(mat![[0.0], [9.0]].as_ref(), 5, &mut rng)?.values;
    /// assert!(samples.row(0).iter().all(|f| (f - 3.0).abs() < 0.01)); // seen there
    /// assert!(samples.row(1).iter().any(|f| f.abs() > 0.1)); // far from what was seen
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let Prediction { mean, variance, .. } = self.predict(x)?;
        let of_function = |function| Ok((self.covariance(x, function)?, variance.col_as_slice(function).to_vec()));
        Samples::draw(mean.as_ref(), draws, rng, Par::Seq, of_function)
    }

    /// log p(y | what is known) of each row of new observations, n × P. Here, each output is normal by itself; a NaN was
    /// not observed, and counts as 0.
    ///
    /// # Errors
    ///
    /// As [`predict_observations`](Self::predict_observations); [`Error::Shape`] if there is not one observation of each
    /// output for each point; [`Error::NonFinite`] and [`Error::Observation`] for one that has no density.
    fn log_predictive_density(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        check_observations(x, y, self.outputs())?;
        let Prediction { mean, variance, .. } = self.predict_observations(x)?;
        let density = |row: usize| {
            let seen = (0..y.ncols()).filter(|&col| !y[(row, col)].is_nan());
            seen.map(|col| log_normal(y[(row, col)].as_f64(), mean[(row, col)].as_f64(), variance[(row, col)].as_f64()))
                .sum()
        };
        Ok((0..y.nrows()).map(density).collect())
    }
}

/// Refuses observations of another shape than a row of each output for each point, and infinite ones.
pub(crate) fn check_observations<T: Scalar>(x: MatRef<'_, T>, y: MatRef<'_, T>, outputs: usize) -> Result<()> {
    if y.shape() != (x.nrows(), outputs) {
        let expected = format!("{} x {outputs}, one observation of each output for each row of x", x.nrows());
        return Err(Error::shape("y", expected, y.shape()));
    }
    for col in 0..y.ncols() {
        if let Some(row) = (0..y.nrows()).find(|&row| y[(row, col)].as_f64().is_infinite()) {
            return Err(Error::NonFinite { what: "y".to_owned(), row, col, value: y[(row, col)].as_f64() });
        }
    }
    Ok(())
}

/// The error for a function or an output that there is not.
pub(crate) fn missing_function(what: &str, index: usize, count: usize) -> Error {
    Error::setting(what, index, &format!("there are {count}, counted from 0"))
}
