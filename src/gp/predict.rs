//! What priors and posteriors have in common.

use std::fmt::Debug;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::prediction::{Prediction, Samples};
use crate::likelihood::{check_probability, log_normal, normal_cumulative, normal_quantile};
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

    /// Quantiles of new observations: for each probability the smallest y with P(Y ≤ y) ≥ p, of each output at each point, n × P.
    /// Here, each output is normal by itself.
    ///
    /// # Errors
    ///
    /// As [`predict_observations`](Self::predict_observations); [`Error::Setting`] for a probability outside \[0, 1\], and
    /// for a likelihood without quantiles: of classes without an order, and of one's own that does not implement them.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{ExactGp, Svgp};
    /// use mercer::likelihood::Poisson;
    /// use mercer::prelude::*;
    ///
    /// let at = mat![[0.0], [1.0]];
    /// let prior = ExactGp::new(Rbf::new(1.0)).with_noise(3.0)?.prior();
    /// let bounds = prior.quantiles(at.as_ref(), &[0.025, 0.975])?;
    /// assert!((bounds[1][(1, 0)] - 2.0f64 * 1.959963984540054).abs() < 1e-12 && bounds[0][(1, 0)] < -3.9);
    ///
    /// // Of counts, counts.
    /// let gp = Svgp::new(Rbf::new(1.0), at.as_ref())?.with_likelihood(Poisson::new());
    /// let bounds = gp.posterior::<f64>()?.quantiles(at.as_ref(), &[0.025, 0.5, 0.975])?;
    /// assert_eq!((bounds[0][(0, 0)], bounds[1][(0, 0)], bounds[2][(0, 0)]), (0.0, 1.0, 8.0));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn quantiles(&self, x: MatRef<'_, T>, probabilities: &[f64]) -> Result<Vec<Mat<T>>> {
        normal_quantiles_of(probabilities, || self.predict_observations(x))
    }

    /// P(Y ≤ y) of new observations, n × P: the probability integral transform, which is uniform where a model is right and
    /// observations are continuous. NaN where y is. Here, each output is normal by itself.
    ///
    /// # Errors
    ///
    /// As [`quantiles`](Self::quantiles); [`Error::Shape`] if there is not one observation of each output for each point;
    /// [`Error::NonFinite`] for an infinite one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    ///
    /// let prior = ExactGp::new(Rbf::new(1.0)).with_noise(3.0)?.prior();
    /// let at = mat![[0.0], [1.0], [2.0]];
    /// let found = prior.cumulative(at.as_ref(), mat![[0.0], [3.919927969080108], [f64::NAN]].as_ref())?;
    /// assert!((found[(0, 0)] - 0.5f64).abs() < 1e-15 && (found[(1, 0)] - 0.975).abs() < 1e-14);
    /// assert!(found[(2, 0)].is_nan());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn cumulative(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Mat<T>> {
        normal_cumulative_of(x, y, self.outputs(), || self.predict_observations(x))
    }

    /// So many draws of observations at n points: functions drawn [jointly](Self::sample), and an observation of each drawn value. The
    /// values are n·P × draws, all points of the first output first.
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample) and [`predict_observations`](Self::predict_observations); [`Error::Overflow`] for a draw beyond all
    /// numbers; [`Error::Setting`] for a likelihood, or a `Predict`, of one's own that does not implement it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::likelihood::Bernoulli;
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let at = mat![[0.0], [0.01]];
    /// let gp = Svgp::new(1e6 * Rbf::new(1.0), at.as_ref())?.with_likelihood(Bernoulli::logit());
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let draws = gp.prior::<f64>().sample_observations(at.as_ref(), 100, &mut rng)?.values;
    /// // Either is 1 in about half of the draws, and where f is large both are what its sign says.
    /// assert!((35..65).contains(&draws.row(0).iter().filter(|&&y| y == 1.0).count()));
    /// assert!((0..100).filter(|&draw| draws[(0, draw)] == draws[(1, draw)]).count() > 95);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let _ = (x, draws, rng);
        let expected = "must be implemented, by `Predict::sample_observations`";
        Err(Error::setting("the way to draw observations of the model", "unknown", expected))
    }
}

/// Quantiles of outputs that are normal.
pub(super) fn normal_quantiles_of<T: Scalar>(
    probabilities: &[f64],
    predict: impl FnOnce() -> Result<Prediction<T>>,
) -> Result<Vec<Mat<T>>> {
    probabilities.iter().try_for_each(|&p| check_probability(p))?;
    let Prediction { mean, variance, .. } = predict()?;
    let of_probability = |&p: &f64| {
        let z = normal_quantile(p);
        Mat::from_fn(mean.nrows(), mean.ncols(), |row, col| {
            T::from_f64(mean[(row, col)].as_f64() + z * variance[(row, col)].as_f64().sqrt())
        })
    };
    Ok(probabilities.iter().map(of_probability).collect())
}

/// P(Y ≤ y) of outputs that are normal.
pub(super) fn normal_cumulative_of<T: Scalar>(
    x: MatRef<'_, T>,
    y: MatRef<'_, T>,
    outputs: usize,
    predict: impl FnOnce() -> Result<Prediction<T>>,
) -> Result<Mat<T>> {
    check_observations(x, y, outputs)?;
    let Prediction { mean, variance, .. } = predict()?;
    Ok(Mat::from_fn(y.nrows(), y.ncols(), |row, col| {
        let miss = y[(row, col)].as_f64() - mean[(row, col)].as_f64();
        T::from_f64(normal_cumulative(miss / variance[(row, col)].as_f64().sqrt()))
    }))
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
