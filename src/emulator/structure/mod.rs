//! The covariance of the weights, by whatever structure it has.

mod dense;
mod form;
mod grid;
mod independent;
mod iterative;
mod spectral;

use std::fmt::Debug;
use std::sync::Arc;

use faer::{Mat, MatMut, MatRef, Par};

use self::dense::Dense;
use self::grid::Grid;
use self::independent::Independent;
use self::iterative::Iterative;
use self::spectral::Spectral;
use crate::kernel::{GradientRequest, Kernel, cross_into, diag_into, gram_into, gram_vjp};
use crate::linalg::{Jitter, padded};
use crate::{Error, Result};

/// How the covariance of the training spectra's weights is factorised.
///
/// Of M spectra and m components, the covariance V = N ⊗ I + blockdiag(K₁, …, K_m) has mM rows. Where they hold,
/// structures give the same numbers up to rounding and jitter, but for [`Iterative`](Self::Iterative), which estimates
/// evidence and gradients. Those by eigendecompositions, [`SharedCorrelation`](Self::SharedCorrelation) and
/// [`Grid`](Self::Grid), add the [`Jitter`] to the diagonal of N; an adaptive one adds nothing unless a 1 + βκ is below
/// nε times the largest, with the eigenvalues κ of the correlation, β of its variances relative to N, and n points
/// on all axes, as the digits are then lost. That is sooner than with a Cholesky factorisation.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// The components are orthogonal, so that N is diagonal: m problems of M × M, side by side. O(mM³) time, O(mM²)
    /// memory.
    Independent,
    /// Any components: one problem of mM × mM. O((mM)³) time, O((mM)²) memory.
    Dense,
    /// Any components, with kernels that are multiples of one, as they are written: `2 * rbf(lengthscale=1)` and
    /// `3 * rbf(lengthscale=1)`. With K for that one, V = N ⊗ I + diag(v) ⊗ K has the eigenvectors of K and of v
    /// relative to N. O(mM³) time for gradients, O(M³) without, O(M²) memory. To keep kernels multiples of
    /// one in training, [tie](crate::params::ParameterizedExt::tie) what they have in common.
    SharedCorrelation,
    /// Parameters θ on a Cartesian grid, in any order of rows, and kernels that are products of functions of one
    /// parameter each: squared exponentials, periodic kernels, kernels [on](crate::algebra::Compose::on) one
    /// parameter, and products, multiples and powers of such. Then K = K₁ ⊗ … ⊗ K_d, with an eigendecomposition for each
    /// axis. The components are orthogonal, or the kernels multiples of one. O(Σ nₖ³ + mM Σ nₖ) time for axes
    /// of nₖ points, O(mM) memory.
    Grid,
    /// Any components, by preconditioned conjugate gradients: O(mM³) time for the preconditioner, the blocks of the
    /// components, and O(mM²) for each iteration. O(mM²) memory, and that of 50 bases of s vectors for the
    /// log-determinant, 50 s mM numbers for s probes: more than the blocks take if 50 s is above M.
    ///
    /// Solves are to 10⁻¹⁰. The log-determinant, and gradients, are estimates over random vectors, the same on every
    /// call with the same seed: [`LogEvidence::standard_error`](super::LogEvidence::standard_error) is that
    /// of the log evidence. The closer the components are to orthogonal, the smaller it is.
    Iterative {
        /// The number s of random vectors, at least 2 and at most mM.
        probes: usize,
        /// The seed that they are drawn with.
        seed: u64,
    },
}

/// Sizes mM up to which an unstructured covariance is factorised without being asked to.
pub(super) const DENSE_LIMIT: usize = 2000;

/// Numbers M of spectra from which a grid is looked for without being asked to: fewer are factorised in no time.
const GRID_FROM: usize = 256;

/// Random vectors of the iterative structure where it is not asked for.
const PROBES: usize = 32;

/// What the covariance V = N ⊗ I + blockdiag(K₁, …, K_m) is made of.
///
/// Vectors of mM elements have all spectra of the first component first: they are M × m matrices by columns. Every
/// vector that crosses [`Covariance`] is such a matrix.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The kernels, one for each component.
    pub(super) kernels: Vec<Arc<dyn Kernel<f64>>>,
    /// The parameters of the training spectra, M × d.
    pub(super) theta: Arc<Mat<f64>>,
    /// N, m × m, symmetric positive definite; exactly diagonal if the components are orthogonal up to rounding.
    pub(super) noise: Mat<f64>,
    pub(super) jitter: Jitter,
    pub(super) par: Par,
}

impl Problem {
    /// m.
    pub(super) fn components(&self) -> usize {
        self.kernels.len()
    }

    /// M.
    pub(super) fn spectra(&self) -> usize {
        self.theta.nrows()
    }

    /// The parameters of the training spectra.
    fn theta(&self) -> MatRef<'_, f64> {
        (*self.theta).as_ref()
    }

    /// Kᵢ.
    pub(super) fn gram(&self, component: usize, par: Par) -> Result<Mat<f64>> {
        let mut gram = padded(self.spectra(), self.spectra());
        gram_into(&*self.kernels[component], self.theta(), gram.as_mut(), par)?;
        Ok(gram)
    }

    /// The gradient of Σ cotangent ∘ Kᵢ in the parameters of kernel i, in visiting order.
    pub(super) fn pull_back(&self, component: usize, cotangent: MatRef<'_, f64>, par: Par) -> Result<Vec<f64>> {
        self.pull_back_at(component, self.theta(), cotangent, par)
    }

    /// The same for the Gram matrix of other parameters.
    pub(super) fn pull_back_at(
        &self,
        component: usize,
        at: MatRef<'_, f64>,
        cotangent: MatRef<'_, f64>,
        par: Par,
    ) -> Result<Vec<f64>> {
        Ok(gram_vjp(&*self.kernels[component], at, cotangent, GradientRequest::PARAMETERS, par)?.theta)
    }

    /// Kᵢ between the training spectra and other parameters, n × d: M × n.
    pub(super) fn cross(&self, component: usize, at: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let mut cross = padded(self.spectra(), at.nrows());
        cross_into(&*self.kernels[component], self.theta(), at, cross.as_mut(), self.par)?;
        Ok(cross)
    }

    /// Kᵢ among other parameters, n × d: n × n.
    pub(super) fn gram_at(&self, component: usize, at: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let mut gram = padded(at.nrows(), at.nrows());
        gram_into(&*self.kernels[component], at, gram.as_mut(), self.par)?;
        Ok(gram)
    }

    /// The diagonal of the same.
    pub(super) fn variances(&self, component: usize, at: MatRef<'_, f64>) -> Result<Vec<f64>> {
        let mut variances = vec![0.0; at.nrows()];
        diag_into(&*self.kernels[component], at, &mut variances)?;
        Ok(variances)
    }

    /// Factorises V by this structure, or by the cheapest exact one that holds, or the iterative one if V would be too
    /// large.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a structure that was asked for and that V does not have; [`Error::NotPositiveDefinite`];
    /// [`Error::NotConverged`] from the iterative one.
    pub(super) fn factorise(self, asked: Option<Structure>) -> Result<Arc<dyn Covariance>> {
        if let Some(structure) = asked {
            return self.by(structure);
        }
        if let Some(structure) = self.spectral(form::variances(&self.kernels).is_ok()) {
            // Expressions do not tell all: the values may still be refused.
            match self.clone().by(structure) {
                Err(Error::Setting { .. }) => {}
                done => return done,
            }
        }
        let structure = self.general();
        self.by(structure)
    }

    /// The structure to take where the free parameters change and the structure must not, from the places of each
    /// kernel's parameters among the free ones: kernels count as multiples of one only if they remain so.
    pub(super) fn lasting(&self, places: &[&[Option<usize>]]) -> Structure {
        let holds = |structure: &Structure| !matches!(self.clone().by(*structure), Err(Error::Setting { .. }));
        let shared = form::variances(&self.kernels).is_ok() && form::are_tied(&self.kernels, places);
        self.spectral(shared).filter(holds).unwrap_or_else(|| self.general())
    }

    pub(super) fn by(self, structure: Structure) -> Result<Arc<dyn Covariance>> {
        Ok(match structure {
            Structure::Independent if !is_diagonal(self.noise.as_ref()) => {
                let expected = "holds for orthogonal components only: ask for another";
                return Err(Error::setting("the structure", "independent", expected));
            }
            Structure::Independent => Arc::new(Independent::new(self)?),
            Structure::Dense => Arc::new(Dense::new(self)?),
            Structure::SharedCorrelation => Arc::new(Spectral::shared(self)?),
            Structure::Grid => Arc::new(Spectral::grid(self)?),
            Structure::Iterative { probes, seed } => Arc::new(Iterative::new(self, probes, seed)?),
        })
    }

    /// A structure that is cheaper than the general one, and holds by the expressions of the kernels, which may be multiples
    /// of one.
    fn spectral(&self, shared: bool) -> Option<Structure> {
        let orthogonal = is_diagonal(self.noise.as_ref());
        if self.spectra() >= GRID_FROM && (orthogonal || shared) && self.on_grid() {
            return Some(Structure::Grid);
        }
        (shared && !orthogonal).then_some(Structure::SharedCorrelation)
    }

    /// The structure that holds for any kernels.
    fn general(&self) -> Structure {
        if is_diagonal(self.noise.as_ref()) {
            Structure::Independent
        } else if self.components() * self.spectra() <= DENSE_LIMIT {
            Structure::Dense
        } else {
            Structure::Iterative { probes: PROBES, seed: 0 }
        }
    }

    /// Whether the parameters are a grid of more than one axis, without which nothing is saved, and the kernels products of functions of one each.
    fn on_grid(&self) -> bool {
        Grid::detect(self.theta()).is_ok_and(|grid| {
            let varying = grid.varying(self.theta.ncols());
            grid.sizes().len() > 1 && self.kernels.iter().all(|kernel| form::check_product(&**kernel, &varying).is_ok())
        })
    }
}

/// The gradient of −½ (log|V| + wᵀV⁻¹w) for a given w.
#[derive(Debug)]
pub(super) struct Cotangents {
    /// In the parameters of each kernel, in visiting order.
    pub(super) kernels: Vec<Vec<f64>>,
    /// In N, m × m, symmetric. Where N is diagonal by structure, elements off the diagonal are 0.
    pub(super) noise: Mat<f64>,
}

/// V = N ⊗ I + blockdiag(K₁, …, K_m), factorised: what evidence, gradients and predictions ask of it.
///
/// A structure owns its [`Problem`] and holds whatever its solves need. Nothing in it may depend on the number of
/// threads. [`Problem::factorise`] chooses among structures.
pub(super) trait Covariance: Debug + Send + Sync {
    /// Which structure this is.
    fn structure(&self) -> Structure;

    /// The largest jitter that was added to a diagonal.
    fn jitter(&self) -> f64;

    /// What V is made of.
    fn problem(&self) -> &Problem;

    /// log|V|.
    fn log_det(&self) -> f64;

    /// The standard error of log|V|: 0 where nothing is random.
    fn log_det_error(&self) -> f64 {
        0.0
    }

    /// B becomes V⁻¹B, for one vector B, M × m.
    fn solve_in_place(&self, b: MatMut<'_, f64>) -> Result<()>;

    /// The gradient of −½ (log|V| + wᵀV⁻¹w), from a = V⁻¹w, M × m.
    ///
    /// In Kᵢ it is ½ (aᵢaᵢᵀ − (V⁻¹)ᵢᵢ), which [`Problem::pull_back`] takes to the parameters of kernel i; in Nᵢⱼ it is
    /// ½ (aᵢᵀaⱼ − tr (V⁻¹)ᵢⱼ), with (V⁻¹)ᵢⱼ the blocks of M × M.
    fn cotangents(&self, a: MatRef<'_, f64>) -> Result<Cotangents>;

    /// What the data take from the prior covariance of the weights at new parameters: K*ᵀV⁻¹K* for K* =
    /// blockdiag(k₁, …, k_m), from the kᵢ = Kᵢ(θ, θ*), M × n. For each of the n parameters, m × m.
    fn explained(&self, cross: &[Mat<f64>]) -> Result<Vec<Mat<f64>>>;

    /// The same for all new parameters jointly: mn × mn, all parameters of the first component first.
    fn explained_jointly(&self, cross: &[Mat<f64>]) -> Result<Mat<f64>>;
}

/// ½ (aᵢaᵢᵀ − V⁻¹ᵢᵢ) in the place of V⁻¹ᵢᵢ.
fn kernel_cotangent(mut inverse: MatMut<'_, f64>, a: &[f64]) {
    for (col, &scale) in a.iter().enumerate() {
        let column = crate::linalg::column_mut(inverse.as_mut(), col);
        column.iter_mut().zip(a).for_each(|(entry, &weight)| *entry = 0.5 * (scale * weight - *entry));
    }
}

/// The columns of K* = blockdiag(k₁, …, k_m) that belong to some new parameters: mM × mn, all parameters of the first
/// component first.
fn stacked(cross: &[Mat<f64>], first: usize, count: usize) -> Mat<f64> {
    let spectra = cross.first().map_or(0, Mat::nrows);
    let mut stacked = padded(cross.len() * spectra, cross.len() * count);
    for (component, k) in cross.iter().enumerate() {
        let mut block = stacked.as_mut().submatrix_mut(component * spectra, component * count, spectra, count);
        block.copy_from(k.as_ref().subcols(first, count));
    }
    stacked
}

pub(super) fn is_diagonal(matrix: MatRef<'_, f64>) -> bool {
    (0..matrix.ncols()).all(|col| (0..matrix.nrows()).all(|row| row == col || matrix[(row, col)] == 0.0))
}
