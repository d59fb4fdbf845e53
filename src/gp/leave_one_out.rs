//! Leave-one-out predictive distributions.

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatRef, Par};

use super::low_rank::LowRank;
use crate::likelihood::log_normal;
use crate::{Error, Result, Scalar};

/// Leave-one-out predictive distributions: of each observation given all others, at fixed hyperparameters.
///
/// # Definition
///
/// For an exact process with covariance A = K(X, X) + σ²I, or + diag(σᵢ²), and residuals r = y − m(X)
/// (Rasmussen & Williams 2006, eqs. 5.10 to 5.12),
///
/// μ₋ᵢ = yᵢ − \[A⁻¹r\]ᵢ / \[A⁻¹\]ᵢᵢ, σ²₋ᵢ = 1 / \[A⁻¹\]ᵢᵢ, log p(yᵢ | y₋ᵢ) = log N(yᵢ; μ₋ᵢ, σ²₋ᵢ)
///
/// For a collapsed sparse one, let q(v) = N(m, B⁻¹), aᵢ the column of A = L⁻¹K(Z, X) and λᵢ the
/// diagonal of Λ. Without observation i, B loses aᵢaᵢᵀ/λᵢ and AΛ⁻¹r loses aᵢrᵢ/λᵢ. With the leverage
/// hᵢ = aᵢᵀB⁻¹aᵢ/λᵢ, which is below 1, the inverse of the downdated B gives
///
/// aᵢᵀB₋ᵢ⁻¹aᵢ = λᵢhᵢ/(1 − hᵢ), yᵢ − μ₋ᵢ = (rᵢ − aᵢᵀm)/(1 − hᵢ)
///
/// and with what the inducing variables do not explain of f(xᵢ), and the noise, the variance is
/// σ²₋ᵢ = k(xᵢ, xᵢ) − ‖aᵢ‖² + λᵢhᵢ/(1 − hᵢ) + σ²: the same as conditioning on the other observations
/// and [predicting](super::Predict::predict_observations) this one. Where a leverage is close to 1,
/// because little else tells of f(xᵢ), some ε/(1 − hᵢ) of the result is rounding.
///
/// From [`ExactGp::leave_one_out`](super::ExactGp::leave_one_out), and the same of [`BatchGp`](super::BatchGp),
/// [`IcmGp`](super::IcmGp), [`Oilmm`](super::Oilmm), [`Sgpr`](super::Sgpr) and [`Svgp`](super::Svgp).
///
/// # Examples
///
/// Two observations with covariance ½ and variance 1 + ½ each: either predicts the other as
/// y/3, with variance 1.5 − 0.25/1.5.
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
///
/// let x = mat![[0.0], [(2.0 * 2f64.ln()).sqrt()]];
/// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
/// let left_out = gp.leave_one_out(&Data::new(&x, &[3.0, -6.0]))?;
/// assert!((left_out.mean[0] - -2.0f64).abs() < 1e-14 && (left_out.mean[1] - 1.0).abs() < 1e-14);
/// assert!((left_out.variance[0] - (1.5 - 0.25 / 1.5f64)).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "LOO", alias = "cross-validation")]
pub struct LeaveOneOut<T> {
    /// The predicted means.
    pub mean: Vec<T>,
    /// The variances of the predicted observations, noise included.
    pub variance: Vec<T>,
    /// log p(yᵢ | y₋ᵢ)
    pub log_density: Vec<f64>,
}

impl<T: Scalar> LeaveOneOut<T> {
    /// Σᵢ log p(yᵢ | y₋ᵢ), the log pseudo-likelihood: a score of a model that is less bound to the
    /// model's being right than its evidence.
    pub fn log_pseudo_likelihood(&self) -> f64 {
        self.log_density.iter().sum()
    }

    /// From yᵢ − μ₋ᵢ and σ²₋ᵢ.
    fn new(y: &[T], predicted: impl Iterator<Item = (T, T)>) -> Self {
        let n = y.len();
        let mut out =
            Self { mean: Vec::with_capacity(n), variance: Vec::with_capacity(n), log_density: Vec::with_capacity(n) };
        for (&y, (miss, variance)) in y.iter().zip(predicted) {
            out.mean.push(y - miss);
            out.variance.push(variance);
            out.log_density.push(log_normal(miss.as_f64(), 0.0, variance.as_f64()));
        }
        out
    }

    /// The diagonal of A⁻¹, from the factor of A: the squared norms of the columns of L⁻¹, in O(n³) time and
    /// n² memory.
    pub(super) fn precisions(factor: MatRef<'_, T>, par: Par) -> Vec<T> {
        let n = factor.nrows();
        let mut inverse = Mat::identity(n, n);
        solve_lower_triangular_in_place(factor, inverse.as_mut(), par);
        let squared_norm = |i: usize| {
            let column = &inverse.col_as_slice(i)[i..];
            crate::simd::dot(column, column)
        };
        (0..n).map(squared_norm).collect()
    }

    /// For an exact process, from the diagonal of A⁻¹ and α = A⁻¹r.
    pub(super) fn of_exact(precisions: &[T], weights: &[T], y: &[T]) -> Self {
        let one = T::from_f64(1.0);
        let predicted = precisions.iter().zip(weights);
        Self::new(y, predicted.map(|(&precision, &weight)| (weight / precision, one / precision)))
    }

    /// For a sparse process, from A, r, Λ, k(xᵢ, xᵢ) − ‖aᵢ‖² + σ² and q(v).
    pub(super) fn of_low_rank(
        a: MatRef<'_, T>,
        y: &[T],
        residual: &[T],
        noise: &[T],
        conditional: &[T],
        q: &LowRank<T>,
        par: Par,
    ) -> Result<Self> {
        let zero = T::from_f64(0.0);
        let fitted = |i: usize| a.col(i).iter().zip(q.mean.col_as_slice(0)).fold(zero, |sum, (&a, &m)| sum + a * m);
        let misses: Vec<T> = (0..y.len()).map(|i| residual[i] - fitted(i)).collect();
        Self::of_spread(q.spread(a, par).as_ref(), y, &misses, noise, conditional)
    }

    /// For a sparse process, from PᵀA for a root P of the covariance of q(v), y − μ(x), Λ, and k(xᵢ, xᵢ) − ‖aᵢ‖² + σ².
    pub(super) fn of_spread(
        spread: MatRef<'_, T>,
        y: &[T],
        misses: &[T],
        noise: &[T],
        conditional: &[T],
    ) -> Result<Self> {
        let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
        let mut predicted = Vec::with_capacity(y.len());
        for i in 0..y.len() {
            let squares = spread.col(i).iter().fold(zero, |sum, &entry| sum + entry * entry);
            let leverage = squares / noise[i];
            let variance = conditional[i] + noise[i] * (leverage / (one - leverage));
            // A leverage of 1, to rounding, says nothing of what is left of the others.
            let sound = leverage < one && variance > zero;
            if !sound {
                return Err(Error::NegativeVariance { row: i, value: variance.as_f64() });
            }
            predicted.push((misses[i] / (one - leverage), variance));
        }
        Ok(Self::new(y, predicted.into_iter()))
    }
}
