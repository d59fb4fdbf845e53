//! Sufficient statistics on a fixed feature basis.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par};

use super::process::CHUNK;
use crate::inducing::InducingFeatures;
use crate::linalg::{Cholesky, Jitter, mirror_lower};
use crate::mean::{DynMean, Mean, MeanExpr};
use crate::params::ParameterizedExt;
use crate::{Error, Result, Scalar};

/// What a model with Gaussian noise needs of N observations when its features are a
/// [basis](InducingFeatures::basis) Φ that no hyperparameter moves: ΦΦᵀ, Φr and what r = y − m(X) has beside them,
/// in O(M²) numbers. After the pass that computes them, a bound and its gradient cost O(M³) whatever N is.
///
/// # Definition
///
/// With K_uf = diag(c) Φ, the whitened projection is A = WΦ, W = L⁻¹ diag(c), so that AAᵀ = W ΦΦᵀ Wᵀ and
/// Ar = W Φr. The misfit ‖r − Aᵀm‖² is not taken from ‖r‖², from which it would be the difference of large numbers, but
/// from coefficients β₀ of r in Φ, which are computed once: with e = r − Φᵀβ₀,
///
/// ‖r − Φᵀβ‖² = ‖e‖² + 2 (β₀ − β)ᵀ Φe + (β₀ − β)ᵀ ΦΦᵀ (β₀ − β),
///
/// which holds whatever β₀ is. It is nearly that of least squares: with 10⁻⁵ of the mean of the diagonal of ΦΦᵀ on it, so
/// that it stays small where the data hardly tell the functions apart. Where there is a remainder, k(x, x) is the same at all points, and one
/// of them stands for them. The bounds are those from the data, but for rounding of Σ k(x, x)/2σ²: that is what the trace term
/// is the rest of, in either way of computing it.
///
/// From [`Sgpr::statistics`](super::Sgpr::statistics) or [`Svgp::statistics`](super::Svgp::statistics), in two passes
/// over the data of O(N·M²) and O(N·M), some thousand points at a time: there is no N × M matrix.
///
/// # Examples
///
/// ```
/// use mercer::gp::Sgpr;
/// use mercer::inducing::SphericalHarmonicFeatures;
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let angle = |i: usize| 0.1 * (i % 63) as f64;
/// let x = Mat::from_fn(2000, 2, |i, d| if d == 0 { angle(i).cos() } else { angle(i).sin() });
/// let y: Vec<f64> = (0..2000).map(|i| x[(i, 0)].abs() + 0.1 * (i as f64).cos()).collect();
///
/// let features = SphericalHarmonicFeatures::new(2, 8)?;
/// let mut gp = Sgpr::with_features(1.0 * Matern52::new(1.0), features)?.with_noise(0.1)?;
/// let statistics = gp.statistics(&Data::new(&x, &y))?;
/// gp.fit(&statistics, &Lbfgs::default())?; // no step of it looks at the data
///
/// let (plain, fast) = (gp.objective(&Data::new(&x, &y))?.value, gp.objective(&statistics)?.value);
/// assert!((plain - fast).abs() < 1e-11 * plain.abs());
/// assert!((gp.likelihood().variance() - 0.005).abs() < 5e-4); // the mean of (0.1 cos)²
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "sufficient statistics")]
pub struct Statistics {
    observations: usize,
    /// Some of the points, with the basis there, M × their number, and the mean function: what they are checked against.
    points: Mat<f64>,
    basis: Mat<f64>,
    mean: Vec<f64>,
    /// The parameters of the mean function.
    mean_values: Vec<f64>,
    /// ΦΦᵀ, M × M
    pub(super) gram: Mat<f64>,
    /// Φr, M × 1
    pub(super) target: Mat<f64>,
    /// β₀, M × 1
    pub(super) coefficients: Mat<f64>,
    /// Φe, M × 1
    pub(super) left: Mat<f64>,
    /// ‖e‖²
    pub(super) misfit: f64,
}

/// Different waves agree at single points, such as a common end of their intervals.
const PROBES: usize = 8;

/// Least squares proper would follow the noise along directions of ΦΦᵀ that are 0 to rounding, to coefficients β₀ of some
/// 10⁸ times its size, and (β₀ − β)ᵀ ΦΦᵀ (β₀ − β) would be all rounding. With this much, ΦΦᵀ is rounded by
/// ε‖β₀‖² ≲ 10⁻¹¹ of the noise, and 10⁻⁵ of r stays in e where it can be fitted, of whose square ε is lost.
const RIDGE: f64 = 1e-5;

impl Statistics {
    /// From data that the model has checked.
    pub(super) fn new<T: Scalar, F: InducingFeatures>(
        features: &F,
        mean: &DynMean,
        x: MatRef<'_, T>,
        y: &[T],
        par: Par,
    ) -> Result<Self> {
        let (m, n) = (features.len(), x.nrows());
        let probes = n.min(PROBES);
        let points = Mat::from_fn(probes, x.ncols(), |probe, col| x[(probe * n / probes, col)].as_f64());
        let basis = basis(features, points.as_ref())?;
        let mut statistics = Self {
            observations: n,
            mean: values(mean, points.as_ref()),
            mean_values: mean.values(),
            points,
            basis,
            gram: Mat::zeros(m, m),
            target: Mat::zeros(m, 1),
            coefficients: Mat::zeros(m, 1),
            left: Mat::zeros(m, 1),
            misfit: 0.0,
        };
        let chunks = || (0..n).step_by(CHUNK).map(|start| start..(start + CHUNK).min(n));
        let one = 1.0;
        for rows in chunks() {
            let Rows { phi, residual } = Rows::new(features, mean, x, y, rows)?;
            let lower = BlockStructure::TriangularLower;
            let (full, gram) = (BlockStructure::Rectangular, statistics.gram.as_mut());
            triangular::matmul(gram, lower, Accum::Add, phi.as_ref(), full, phi.transpose(), full, one, par);
            matmul(statistics.target.as_mut(), Accum::Add, phi.as_ref(), residual.as_ref(), one, par);
        }
        mirror_lower(statistics.gram.as_mut());
        statistics.coefficients.copy_from(&statistics.target);
        let mean_diagonal = (0..m).map(|k| statistics.gram[(k, k)]).sum::<f64>() / m as f64;
        let factor = Cholesky::new(statistics.gram.as_ref(), Jitter::Fixed(RIDGE * mean_diagonal), par)?;
        factor.solve_in_place(statistics.coefficients.as_mut(), par)?;
        for rows in chunks() {
            let Rows { phi, mut residual } = Rows::new(features, mean, x, y, rows)?;
            matmul(residual.as_mut(), Accum::Add, phi.transpose(), statistics.coefficients.as_ref(), -one, par);
            matmul(statistics.left.as_mut(), Accum::Add, phi.as_ref(), residual.as_ref(), one, par);
            statistics.misfit += residual.squared_norm_l2();
        }
        Ok(statistics)
    }

    /// N, the number of observations.
    pub fn observations(&self) -> usize {
        self.observations
    }

    /// M, the number of features.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.gram.nrows()
    }

    /// The mean of r², where r are the residuals.
    pub(super) fn mean_square(&self) -> f64 {
        let fitted = (&self.gram * &self.coefficients).transpose() * &self.coefficients;
        let crossed = self.left.transpose() * &self.coefficients;
        (fitted[(0, 0)] + 2.0 * crossed[(0, 0)] + self.misfit) / self.observations as f64
    }

    /// A point of the data, 1 × D.
    pub(super) fn point(&self) -> MatRef<'_, f64> {
        self.points.subrows(0, 1)
    }

    /// Refuses a model with other features or another mean function than these are of.
    pub(super) fn check<F: InducingFeatures>(&self, features: &F, mean: &DynMean) -> Result<()> {
        let fits = features.dim() == self.points.ncols() && features.len() == self.len();
        if !fits || basis(features, self.points.as_ref())? != self.basis {
            let found = format!("of {} other features", self.len());
            return Err(Error::setting("the statistics", found, "must be of the features of this model"));
        }
        mean.check_dim(self.points.ncols())?;
        if mean.values() != self.mean_values || values(mean, self.points.as_ref()) != self.mean {
            let expected = "must be of the residuals of this model's: compute them again";
            return Err(Error::setting("the statistics", "of another mean function", expected));
        }
        Ok(())
    }

    /// Refuses a mean function that an optimiser would move.
    pub(super) fn check_frozen(mean: &DynMean) -> Result<()> {
        if mean.unconstrained().is_empty() {
            return Ok(());
        }
        let expected = "statistics are of its residuals: freeze `mean`, or use the data";
        Err(Error::setting("the mean function", "free", expected))
    }
}

/// Some rows of the data.
struct Rows {
    /// Φ, M × B
    phi: Mat<f64>,
    /// r, B × 1
    residual: Mat<f64>,
}

impl Rows {
    fn new<T: Scalar, F: InducingFeatures>(
        features: &F,
        mean: &DynMean,
        x: MatRef<'_, T>,
        y: &[T],
        rows: std::ops::Range<usize>,
    ) -> Result<Self> {
        let x = at_double(x.subrows(rows.start, rows.len()));
        let mut residual = Mat::zeros(rows.len(), 1);
        mean.mean_into(x.as_ref(), residual.col_as_slice_mut(0));
        residual.col_as_slice_mut(0).iter_mut().zip(&y[rows]).for_each(|(r, y)| *r = y.as_f64() - *r);
        Ok(Self { phi: basis(features, x.as_ref())?, residual })
    }
}

fn at_double<T: Scalar>(x: MatRef<'_, T>) -> Mat<f64> {
    Mat::from_fn(x.nrows(), x.ncols(), |row, col| x[(row, col)].as_f64())
}

fn values(mean: &DynMean, points: MatRef<'_, f64>) -> Vec<f64> {
    let mut values = vec![0.0; points.nrows()];
    mean.mean_into(points, &mut values);
    values
}

fn basis<F: InducingFeatures>(features: &F, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let basis = if features.is_homogeneous() { features.basis(x)? } else { None };
    basis.ok_or_else(|| {
        let found = format!("moved by hyperparameters: {features:?}");
        Error::setting(
            "the basis of the features",
            found,
            "must be fixed, as those of spherical harmonics, Fourier and Hilbert-space features are",
        )
    })
}
