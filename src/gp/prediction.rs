//! Means, variances and draws at some points.

use faer::{Mat, MatRef, Par};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::linalg::semidefinite_root;
use crate::{Error, Result, Scalar};

/// Means and variances of functions, or of observations, at some points.
///
/// # Examples
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
///
/// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
/// let posterior = gp.condition(&Data::new(mat![[2.0]].as_ref(), &[3.0]))?;
/// let predicted = posterior.predict(mat![[2.0], [9.0]].as_ref())?;
/// assert_eq!(predicted.mean.shape(), (2, 1)); // one function
/// assert!((predicted.mean[(0, 0)] - 2.0f64).abs() < 1e-15);
/// assert!((predicted.variance[(1, 0)] - 1.0f64).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction<T: Scalar> {
    /// The means: a row for each point, a column for each function or output.
    pub mean: Mat<T>,
    /// The variances, in the same shape.
    pub variance: Mat<T>,
    /// How many variances came out negative by rounding and were set to 0.
    pub clamped: usize,
    pub(super) room: Room<T>,
}

/// Memory that predictions are computed in, kept for the next.
#[derive(Debug)]
pub(super) struct Room<T: Scalar> {
    pub(super) inputs: Mat<T>,
    pub(super) columns: Vec<T>,
}

impl<T: Scalar> Default for Room<T> {
    fn default() -> Self {
        Self { inputs: Mat::new(), columns: Vec::new() }
    }
}

impl<T: Scalar> Clone for Room<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T: Scalar> PartialEq for Room<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Scalar> Default for Prediction<T> {
    /// Of no points: for [`Predict::predict_into`](super::Predict::predict_into) to fill.
    fn default() -> Self {
        Self::zeros(0, 0)
    }
}

impl<T: Scalar> Prediction<T> {
    /// Means and variances of the same shape, and how many of these were set to 0.
    pub fn new(mean: Mat<T>, variance: Mat<T>, clamped: usize) -> Self {
        Self { mean, variance, clamped, room: Room::default() }
    }

    pub(super) fn zeros(points: usize, outputs: usize) -> Self {
        Self::new(Mat::zeros(points, outputs), Mat::zeros(points, outputs), 0)
    }

    /// Makes room for so many points and outputs, in place where it has been there before.
    pub(super) fn resize(&mut self, points: usize, outputs: usize) {
        let zero = |_: usize, _: usize| T::from_f64(0.0);
        for part in [&mut self.mean, &mut self.variance] {
            if part.shape() != (points, outputs) {
                part.resize_with(points, outputs, zero);
            }
        }
        self.clamped = 0;
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

/// Joint draws of functions at n points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Samples<T: Scalar> {
    /// The values, a column for each draw, all points of the first function first: n·L × draws.
    pub values: Mat<T>,
    /// By how much the diagonal of a covariance was changed, at most, for it to have a root: by what rounding had left in it
    /// of 0.
    pub jitter: f64,
}

impl<T: Scalar> Samples<T> {
    pub(super) fn new(values: Mat<T>, jitter: f64) -> Self {
        Self { values, jitter }
    }

    /// Draws of independent functions of these means, n × L; of each function, `covariance` gives the covariance and the
    /// variances that rounding in it is measured in.
    pub(super) fn draw(
        mean: MatRef<'_, T>,
        draws: usize,
        rng: &mut dyn Rng,
        par: Par,
        mut covariance: impl FnMut(usize) -> Result<(Mat<T>, Vec<T>)>,
    ) -> Result<Self> {
        let (n, functions) = mean.shape();
        let mut values = Mat::from_fn(n * functions, draws, |row, _| mean[(row % n, row / n)]);
        let mut jitter = 0.0f64;
        for function in 0..functions {
            let (covariance, units) = covariance(function)?;
            let (root, left) = semidefinite_root(covariance.as_ref(), &units, par)?;
            jitter = jitter.max(left);
            // As many numbers whatever the rank: that of one function does not move the draws of the next.
            let normal = Mat::from_fn(n, draws, |_, _| T::from_f64(rng.sample(StandardNormal)));
            let (out, normal) = (values.as_mut().subrows_mut(function * n, n), normal.subrows(0, root.ncols()));
            faer::linalg::matmul::matmul(out, faer::Accum::Add, root.as_ref(), normal, T::from_f64(1.0), par);
        }
        Ok(Self { values, jitter })
    }

    /// Observations of the drawn values of so many outputs, with independent noise of these variances.
    pub(crate) fn with_noise(mut self, outputs: usize, noise: impl Fn(usize) -> f64, rng: &mut dyn Rng) -> Self {
        let n = self.values.nrows() / outputs;
        let deviations: Vec<f64> = (0..outputs).map(|output| noise(output).sqrt()).collect();
        for draw in 0..self.values.ncols() {
            for (row, value) in self.values.col_as_slice_mut(draw).iter_mut().enumerate() {
                *value += T::from_f64(deviations[row / n] * rng.sample::<f64, _>(StandardNormal));
            }
        }
        self
    }

    /// Observations of the drawn values, with noise of this covariance between the outputs of a point.
    pub(crate) fn with_correlated_noise(mut self, noise: MatRef<'_, T>, rng: &mut dyn Rng) -> Result<Self> {
        let outputs = noise.nrows();
        let n = self.values.nrows() / outputs;
        let units: Vec<T> = (0..outputs).map(|output| noise[(output, output)]).collect();
        let (root, left) = semidefinite_root(noise, &units, Par::Seq)?;
        let mut own = vec![T::from_f64(0.0); root.ncols()];
        for draw in 0..self.values.ncols() {
            for point in 0..n {
                own.iter_mut().for_each(|own| *own = T::from_f64(rng.sample(StandardNormal)));
                for output in 0..outputs {
                    let terms = own.iter().enumerate().map(|(col, &own)| root[(output, col)] * own);
                    self.values[(output * n + point, draw)] += terms.fold(T::from_f64(0.0), |sum, term| sum + term);
                }
            }
        }
        Ok(Self { values: self.values, jitter: self.jitter.max(left) })
    }

    /// Mixtures W g of the drawn functions, plus means of n × P.
    pub(super) fn mixed(self, mixing: MatRef<'_, T>, means: MatRef<'_, T>) -> Self {
        let (n, outputs) = means.shape();
        let value = |row: usize, draw: usize| {
            let (point, output) = (row % n, row / n);
            let terms = (0..mixing.ncols()).map(|l| mixing[(output, l)] * self.values[(l * n + point, draw)]);
            terms.fold(means[(point, output)], |sum, term| sum + term)
        };
        Self::new(Mat::from_fn(n * outputs, self.values.ncols(), value), self.jitter)
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
