//! Predictions of an emulator.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::structure::Covariance;
use super::{FluxDistribution, Spectra, Structure};
use crate::data::check_finite;
use crate::gp::clamp;
use crate::linalg::{Eigendecomposition, product};
use crate::{Error, Result};

/// New parameters that are predicted at a time: bounds the scratch.
const CHUNK: usize = 1024;

/// What is done about parameters θ outside the convex hull of those of the training spectra, where an emulator
/// extrapolates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outside {
    /// They are predicted, and flagged in the result.
    #[default]
    Flag,
    /// They are an [`Error::Outside`].
    Refuse,
}

/// The weights of the components at n parameters, each on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The means, n × m.
    pub mean: Mat<f64>,
    /// The covariance of the m weights, for each of the n parameters.
    pub covariance: Vec<Mat<f64>>,
    /// Whether the parameters are outside the convex hull of those of the training spectra.
    pub outside: Vec<bool>,
    /// How many variances came out negative by rounding and were set to 0.
    pub clamped: usize,
}

/// The weights of the components at n parameters jointly. All parameters of the first component come first.
#[derive(Clone, Debug, PartialEq)]
pub struct JointWeights {
    /// The means, mn.
    pub mean: Vec<f64>,
    /// The covariance, mn × mn.
    pub covariance: Mat<f64>,
    /// Whether the parameters are outside the convex hull of those of the training spectra: n.
    pub outside: Vec<bool>,
    /// How many variances came out negative by rounding and were set to 0.
    pub clamped: usize,
}

/// An emulator given its training spectra: ready to predict spectra at any parameters, the covariance factorised once.
///
/// # Definition
///
/// The weights at θ* are Gaussian, with K* = blockdiag(k₁(θ, θ*), …, k_m(θ, θ*)):
///
/// mean = K*ᵀV⁻¹ŵ,
/// covariance C = diag(kᵢ(θ*, θ*) + νᵢ) − K*ᵀV⁻¹K*
///
/// and the normalised flux, with B = E diag(s) for the scales s of the pixels, has mean μ + Bᵀ mean and covariance BᵀCB,
/// to which the components' [truncation](Spectra::truncation) adds a variance of each pixel.
///
/// As [`Predict`](crate::gp::Predict), its functions are the m weights, [nugget](super::Emulator::with_nugget) included, as
/// of [`weights`](Self::weights) and [`joint_weights`](Self::joint_weights). Its observations are the weights of a spectrum
/// by least squares, ŵ, which have the noise G⁻¹/λ in addition. Covariances and draws at n parameters take
/// O((mn)²) memory.
///
/// From [`Model::condition`](crate::gp::Model::condition) of an [`Emulator`](super::Emulator).
///
/// # Examples
///
/// One spectrum of two pixels with ŵ = 2, seen at θ = 0.5: at the same place the weight has the mean 2 · 3/(3 + 1/λ) and
/// the variance 3 − 9/(3 + 1/λ).
///
/// ```
/// use mercer::data::Basis;
/// use mercer::emulator::{Emulator, Spectra};
/// use mercer::prelude::*;
///
/// let theta = mat![[0.5]];
/// let spectra = Spectra::new(&theta, mat![[1.2, 1.6]], Basis::new(mat![[0.6, 0.8]])?)?;
/// let emulator = Emulator::new(&spectra)?.with_kernels(vec![3.0 * Rbf::new(1.0)])?.with_precision(2.0)?;
///
/// let posterior = emulator.condition(&spectra)?;
/// let weights = posterior.weights(theta.as_ref())?;
/// let (mean, variance) = (2.0 * 3.0 / 3.5, 3.0 - 9.0 / 3.5);
/// assert!((weights.mean[(0, 0)] - mean).abs() < 1e-14);
/// assert!((weights.covariance[0][(0, 0)] - variance).abs() < 1e-14);
///
/// // The flux is 0.6 and 0.8 times the weight.
/// let flux = &posterior.fluxes(theta.as_ref())?[0];
/// assert!((flux.mean()[1] - 0.8 * mean).abs() < 1e-14);
/// assert!((flux.covariance()[(0, 1)] - 0.6 * 0.8 * variance).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Posterior {
    pub(super) spectra: Spectra,
    /// λ
    pub(super) precision: f64,
    /// ν, or nothing.
    pub(super) nugget: Arc<[f64]>,
    pub(super) outside: Outside,
    pub(super) covariance: Arc<dyn Covariance>,
    /// V⁻¹ŵ, M × m
    pub(super) solved: Arc<Mat<f64>>,
}

impl Posterior {
    /// With the precision and the nugget, V and V⁻¹ŵ.
    pub(super) fn new(
        spectra: Spectra,
        (precision, nugget): (f64, &[f64]),
        outside: Outside,
        covariance: Arc<dyn Covariance>,
        solved: Mat<f64>,
    ) -> Self {
        Self { spectra, precision, nugget: nugget.into(), outside, covariance, solved: solved.into() }
    }

    /// Which structure of the covariance was taken.
    pub fn structure(&self) -> Structure {
        self.covariance.structure()
    }

    /// The largest jitter that was added to the diagonal of a covariance.
    pub fn jitter(&self) -> f64 {
        self.covariance.jitter()
    }

    /// Which of n parameters are outside the convex hull of those of the training spectra, up to rounding.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for parameters that cannot be predicted; with
    /// [`Outside::Refuse`], [`Error::Outside`] for the first that are outside.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Spectra};
    /// use mercer::prelude::*;
    ///
    /// // Training spectra at the corners of a triangle.
    /// let theta = mat![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    /// let spectra = Spectra::new(&theta, mat![[1.0], [2.0], [3.0]], Basis::new(mat![[1.0]])?)?;
    /// let posterior = Emulator::new(&spectra)?.condition(&spectra)?;
    /// let at = mat![[0.4, 0.4], [0.6, 0.6], [0.5, 0.5]];
    /// assert_eq!(posterior.outside(at.as_ref())?, [false, true, false]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn outside(&self, theta: MatRef<'_, f64>) -> Result<Vec<bool>> {
        self.check(theta)?;
        let outside = |row: usize| !self.spectra.hull().contains(|dim| theta[(row, dim)]);
        let outside: Vec<bool> = (0..theta.nrows()).map(outside).collect();
        match (self.outside, outside.iter().position(|&outside| outside)) {
            (Outside::Refuse, Some(row)) => Err(Error::Outside { what: "theta".to_owned(), row }),
            _ => Ok(outside),
        }
    }

    /// Means and covariances of the weights at n parameters, n × d, each on its own.
    ///
    /// # Errors
    ///
    /// As [`outside`](Self::outside); [`Error::NegativeVariance`] if a variance is negative by more than rounding
    /// explains; [`Error::NotConverged`] from [`Structure::Iterative`].
    pub fn weights(&self, theta: MatRef<'_, f64>) -> Result<Weights> {
        let outside = self.outside(theta)?;
        let m = self.solved.ncols();
        let mut weights = Weights { mean: Mat::zeros(theta.nrows(), m), covariance: Vec::new(), outside, clamped: 0 };
        for (start, part) in chunks(theta) {
            let (cross, prior) = (self.cross(part)?, self.prior(part)?);
            weights.mean.as_mut().subrows_mut(start, part.nrows()).copy_from(self.means(&cross));
            for (new, mut covariance) in self.covariance.explained(&cross)?.into_iter().enumerate() {
                covariance.as_mut().col_iter_mut().for_each(|column| column.iter_mut().for_each(|x| *x = -*x));
                for component in 0..m {
                    let prior = prior[component][new];
                    let variance = prior + covariance[(component, component)];
                    let variance = clamp(variance, prior, start + new, &mut weights.clamped)?;
                    covariance[(component, component)] = variance + self.nugget_of(component);
                }
                weights.covariance.push(covariance);
            }
        }
        Ok(weights)
    }

    /// Means and covariance of the weights at n parameters, n × d, jointly: O((mn)²) memory.
    ///
    /// # Errors
    ///
    /// As [`weights`](Self::weights).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Spectra};
    /// use mercer::prelude::*;
    ///
    /// // Far from the spectrum that was seen, the weights have their prior.
    /// let spectra = Spectra::new(mat![[0.5]], mat![[2.0]], Basis::new(mat![[1.0]])?)?;
    /// let posterior = Emulator::new(&spectra)?.with_kernels(vec![Rbf::new(1.0)])?.condition(&spectra)?;
    /// let joint = posterior.joint_weights(mat![[100.0], [101.0]].as_ref())?;
    /// assert!((joint.covariance[(0, 1)] - (-0.5f64).exp()).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn joint_weights(&self, theta: MatRef<'_, f64>) -> Result<JointWeights> {
        let outside = self.outside(theta)?;
        let n = theta.nrows();
        let cross = self.cross(theta)?;
        let mut covariance = self.covariance.explained_jointly(&cross)? * faer::Scale(-1.0);
        let mut clamped = 0;
        for (component, prior) in self.prior(theta)?.into_iter().enumerate() {
            let mut block = covariance.as_mut().submatrix_mut(component * n, component * n, n, n);
            block += self.covariance.problem().gram_at(component, theta)?;
            for (row, prior) in prior.into_iter().enumerate() {
                block[(row, row)] = clamp(block[(row, row)], prior, row, &mut clamped)? + self.nugget_of(component);
            }
        }
        let mean =
            self.means(&cross).col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()).collect();
        Ok(JointWeights { mean, covariance, outside, clamped })
    }

    /// The mean of the normalised flux at n parameters, n × d: n × P. It takes O(nMm + nmP) time, and no solve.
    ///
    /// Parameters outside the convex hull are not flagged here, nor looked for unless they are to be
    /// [refused](Outside::Refuse): ask [`outside`](Self::outside).
    ///
    /// # Errors
    ///
    /// As [`outside`](Self::outside).
    pub fn flux_mean(&self, theta: MatRef<'_, f64>) -> Result<Mat<f64>> {
        match self.outside {
            Outside::Flag => self.check(theta)?,
            Outside::Refuse => drop(self.outside(theta)?),
        }
        let mut means = Mat::zeros(theta.nrows(), self.solved.ncols());
        for (start, part) in chunks(theta) {
            means.as_mut().subrows_mut(start, part.nrows()).copy_from(self.means(&self.cross(part)?));
        }
        self.spectra.basis().reconstruct(means.as_ref())
    }

    /// The distribution of the normalised flux at n parameters, n × d, each on its own: O(Pm) memory for each.
    ///
    /// # Errors
    ///
    /// As [`weights`](Self::weights), where the variances of all combinations of weights count, and
    /// [`Spectra::truncation`].
    pub fn fluxes(&self, theta: MatRef<'_, f64>) -> Result<Vec<FluxDistribution>> {
        let truncation = self.spectra.truncation()?;
        let weights = self.weights(theta)?;
        let (means, prior) = (self.spectra.basis().reconstruct(weights.mean.as_ref())?, self.prior(theta)?);
        let flux = |(row, covariance): (usize, &Mat<f64>)| {
            let mean = means.row(row).iter().copied().collect();
            let largest = (0..prior.len()).map(|i| prior[i][row] + self.nugget_of(i)).fold(0.0, f64::max);
            let factor = self.spectra.basis().spread(root(covariance.as_ref(), largest, row)?.as_ref());
            let flux = FluxDistribution::new(mean, factor, truncation.to_vec())?;
            Ok(flux.flagged(weights.outside[row]))
        };
        weights.covariance.iter().enumerate().map(flux).collect()
    }

    fn check(&self, theta: MatRef<'_, f64>) -> Result<()> {
        check_finite("theta", theta)?;
        let dims = self.spectra.theta().ncols();
        if theta.ncols() == dims {
            return Ok(());
        }
        let expected = format!("{dims} column(s), as those of the training spectra");
        Err(Error::shape("theta", expected, (theta.nrows(), theta.ncols())))
    }

    fn nugget_of(&self, component: usize) -> f64 {
        self.nugget.get(component).copied().unwrap_or(0.0)
    }

    /// kᵢ(θ, θ*) for each component, M × n.
    fn cross(&self, theta: MatRef<'_, f64>) -> Result<Vec<Mat<f64>>> {
        let problem = self.covariance.problem();
        (0..problem.components()).map(|component| problem.cross(component, theta)).collect()
    }

    /// kᵢ(θ*, θ*) for each component.
    pub(super) fn prior(&self, theta: MatRef<'_, f64>) -> Result<Vec<Vec<f64>>> {
        let problem = self.covariance.problem();
        (0..problem.components()).map(|component| problem.variances(component, theta)).collect()
    }

    /// K*ᵀV⁻¹ŵ, n × m.
    fn means(&self, cross: &[Mat<f64>]) -> Mat<f64> {
        let n = cross.first().map_or(0, Mat::ncols);
        let mut means = Mat::zeros(n, cross.len());
        for (component, k) in cross.iter().enumerate() {
            let mean = product(k.transpose(), (*self.solved).as_ref().subcols(component, 1));
            means.as_mut().subcols_mut(component, 1).copy_from(mean);
        }
        means
    }
}

/// New parameters so many at a time, with the first of them.
fn chunks(theta: MatRef<'_, f64>) -> impl Iterator<Item = (usize, MatRef<'_, f64>)> {
    let part = move |start: usize| (start, theta.subrows(start, CHUNK.min(theta.nrows() - start)));
    (0..theta.nrows()).step_by(CHUNK).map(part)
}

/// R with RRᵀ = C. Eigenvalues that are negative by no more than the rounding errors of a prior of this size are 0.
fn root(covariance: MatRef<'_, f64>, prior: f64, row: usize) -> Result<Mat<f64>> {
    let eigen = Eigendecomposition::new(covariance)?;
    let mut clamped = 0;
    let root = |&value: &f64| Ok(clamp(value, prior, row, &mut clamped)?.sqrt());
    let roots: Vec<f64> = eigen.values().iter().map(root).collect::<Result<_>>()?;
    let m = covariance.nrows();
    Ok(Mat::from_fn(m, m, |row, col| eigen.vectors()[(row, col)] * roots[col]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::mat;

    #[test]
    fn roots_are_of_covariances_alone() {
        // The second is singular, with an eigenvalue that may be negative by rounding.
        for covariance in [mat![[2.0, 0.5], [0.5, 1.0]], mat![[0.01, 0.1], [0.1, 1.0]]] {
            let root = root(covariance.as_ref(), 2.0, 0).unwrap();
            assert!((&root * root.transpose() - covariance).norm_max() < 1e-14);
        }
        // Positive variances, but one of −0.1 between them: rounding for a prior of 10⁸, not for one of 1.
        let negative = mat![[1.0, 1.1], [1.1, 1.0]];
        let refused = root(negative.as_ref(), 1.0, 3);
        assert!(matches!(refused, Err(Error::NegativeVariance { row: 3, value }) if (value + 0.1).abs() < 1e-14));
        assert!(root(negative.as_ref(), 1e8, 3).is_ok());
        let holed = mat![[1.0, f64::NAN], [f64::NAN, 1.0]];
        assert!(matches!(root(holed.as_ref(), 1.0, 0), Err(Error::NonFinite { .. })));
    }
}
