//! The Hilbert-space approximation of stationary kernels.

use faer::{Mat, MatRef};

use super::box_basis::{Combination, Family, Waves};
use super::variances::Variances;
use super::{InducingFeatures, InducingPrior};
use crate::kernel::{Expr, text};
use crate::linalg::Jitter;
use crate::params::ParameterizedExt;
use crate::tape::{KernelVar, Tape, Var};
use crate::views::{spectral_density, spectral_density_vjp, white_variance, white_variance_vjp};
use crate::{Error, Result, Scalar};

/// The reduced-rank approximation of a stationary kernel by eigenfunctions of the Laplacian on a box: coefficients of
/// sines, whose variances are the spectral density of the kernel.
///
/// # Definition
///
/// On a box with sides from a_d to b_d, with functions that vanish on its faces, the Laplacian has the orthonormal
/// eigenfunctions and eigenvalues
///
/// φ_j(x) = Π_d √(2/h_d) sin(ω_{j,d} (x_d − a_d)), λ_j = ‖ω_j‖², ω_{j,d} = π j_d/h_d, h_d = b_d − a_d
///
/// with j_d = 1, …, m_d: M = Π m_d, the index of the last coordinate running fastest. With the spectral density S
/// ([`spectral_density`]), the kernel is replaced by
///
/// k̃(x, y) = Σ_j S(ω_j) φ_j(x) φ_j(y)
///
/// for which K_uu = diag S(ω_j), K_uf = S(ω_j) φ_j(x): S at the vector of frequencies, so that lengthscales of each
/// dimension are allowed; S(√λ_j) where the kernel is isotropic.
///
/// # What a model of it bounds
///
/// This is no projection of the process: k(x, x) − k̃(x, x) is the variance of nothing, and may be
/// negative. So there is [no remainder](InducingPrior::without_remainder): **the process of the model is that of k̃**, of
/// rank M. A bound is one on the evidence of that process, reached by the best q under Gaussian noise; it is no bound on
/// the evidence under k, and may lie above it. Predictive variances are those of k̃ as well: they fall to 0 at the
/// faces of the box, for want of a function that does not. Prefer [inducing points](super::InducingPoints) or
/// [`FourierFeatures`](super::FourierFeatures) to compare kernels by their bounds.
///
/// Inside, k̃ tends to k as the box and the number of functions grow: from the faces, the data should stay away
/// by two lengthscales or so, and π m_d/h_d should be where S has fallen to nothing. Points outside are
/// refused.
///
/// # Which kernels
///
/// All with a [spectral density](spectral_density) that is known: the squared exponential and the Matérn kernels, times
/// numbers, sums of them, products over different coordinates, and what maps of the inputs along the axes or by a
/// matrix make of them. White noise stays beside the functions.
///
/// # Complexity
///
/// That of a diagonal K_uu: O(B·M) a step beside what q costs. No hyperparameter moves the functions, so that
/// [`Statistics`](crate::gp::Statistics) make the steps of a Gaussian model independent of the number of points.
///
/// # Examples
///
/// ```
/// use mercer::gp::{ExactGp, Svgp};
/// use mercer::inducing::HilbertFeatures;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::NaturalGradient;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(50, 1, |i, _| 0.1 * i as f64 - 2.5);
/// let y: Vec<f64> = (0..50).map(|i| (0.2 * i as f64).sin()).collect();
/// let kernel = 2.0 * Rbf::new(0.8);
///
/// let features = HilbertFeatures::new(&[(-5.0, 5.0)], &[24])?;
/// let mut reduced = Svgp::with_features(kernel.clone(), features)?.with_likelihood(Gaussian::new(0.1));
/// reduced.natural_step(&Data::new(&x, &y).part_of(50), &NaturalGradient::default())?;
/// let data = Data::new(&x, &y);
/// let evidence = ExactGp::new(kernel).with_noise(0.1)?.objective(&data)?;
/// assert!((reduced.objective(&data)?.value - evidence).abs() < 1e-3);
///
/// let error = Svgp::with_features(Periodic::new(1.0, 2.0), HilbertFeatures::new(&[(0.0, 1.0)], &[4])?).unwrap_err();
/// assert!(error.to_string().contains("must have a spectral density"));
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// A. Solin & S. Särkkä (2020), "Hilbert space methods for reduced-rank Gaussian process regression", *Statistics and
/// Computing* 30, 419–446.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "HSGP", alias = "reduced-rank GP")]
pub struct HilbertFeatures {
    pub(super) waves: Waves,
}

crate::parameterized!(HilbertFeatures as "hilbert", parameters: []);

impl HilbertFeatures {
    /// On a box, by the interval and the number of frequencies of each coordinate: (−L, L) for a box about the origin.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an interval without finite ends in ascending order, no functions, or more than a million;
    /// [`Error::Empty`] without intervals; [`Error::Shape`] if there is not one number of frequencies for each interval.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::inducing::{HilbertFeatures, InducingFeatures};
    ///
    /// let features = HilbertFeatures::new(&[(-1.0, 1.0), (0.0, 3.0)], &[2, 3])?;
    /// assert_eq!((features.len(), features.dim()), (6, 2));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new(intervals: &[(f64, f64)], frequencies: &[usize]) -> Result<Self> {
        Ok(Self { waves: Waves::new(Family::Sines, Combination::Product, intervals, frequencies)? })
    }

    /// ω_j, one a row: M × D. The squared norm of a row is the eigenvalue λ_j.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::inducing::HilbertFeatures;
    /// use std::f64::consts::PI;
    ///
    /// let frequencies = HilbertFeatures::new(&[(-1.0, 1.0), (0.0, 3.0)], &[2, 3])?.frequencies();
    /// assert!((frequencies[(4, 0)] - PI).abs() < 1e-15 && (frequencies[(4, 1)] - 2.0 * PI / 3.0).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn frequencies(&self) -> Mat<f64> {
        let mut frequencies = Mat::zeros(self.waves.len(), self.waves.axes().len());
        for (row, factors) in self.waves.factors().enumerate() {
            for (col, (factor, axis)) in factors.into_iter().zip(self.waves.axes()).enumerate() {
                frequencies[(row, col)] = std::f64::consts::PI * (factor + 1) as f64 / axis.length();
            }
        }
        frequencies
    }

    /// S(ω_j)
    fn variances<'a>(&self, kernel: &'a dyn Expr) -> Result<Variances<'a>> {
        let frequencies = self.frequencies();
        let at = move |row: usize| -> Vec<f64> { frequencies.row(row).iter().copied().collect() };
        let density = |row: usize| spectral_density(kernel, &at(row)).ok_or_else(|| refused(kernel));
        let values = (0..self.waves.len()).map(density).collect::<Result<_>>()?;
        let vjp = move |cotangent: &[f64]| {
            let mut theta = vec![0.0; kernel.num_params()];
            cotangent.iter().enumerate().for_each(|(row, &c)| spectral_density_vjp(kernel, &at(row), c, &mut theta));
            Ok(theta)
        };
        Ok(Variances { values, vjp: Box::new(vjp) })
    }
}

fn refused(kernel: &dyn Expr) -> Error {
    let expected = "must have a spectral density: use `Rbf` or a Matérn kernel, times numbers, sums of them, or products over different columns";
    Error::setting("the kernel of Hilbert-space features", text(kernel), expected)
}

impl InducingFeatures for HilbertFeatures {
    fn len(&self) -> usize {
        self.waves.len()
    }

    fn dim(&self) -> usize {
        self.waves.axes().len()
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        kernel.inputs(self.dim())?;
        spectral_density(kernel, &vec![0.0; self.dim()]).map(drop).ok_or_else(|| refused(kernel))
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        self.waves.check_points(x)
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        _: Jitter,
    ) -> Result<InducingPrior<'t, T>> {
        let variances = self.variances(kernel.kernel())?.record(tape, kernel);
        let prior = InducingPrior::diagonal(parameter, variances).with_basis_scale(variances).without_remainder();
        let expression = kernel.kernel();
        match white_variance(expression) {
            Some(white) if white != 0.0 => {
                let vjp = move |cotangent: &[f64]| {
                    let mut theta = vec![0.0; expression.num_params()];
                    white_variance_vjp(expression, cotangent[0], &mut theta);
                    Ok(theta)
                };
                let white = Variances { values: vec![white], vjp: Box::new(vjp) };
                Ok(prior.with_white(white.record(tape, kernel)))
            }
            _ => Ok(prior),
        }
    }

    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        self.waves.values(x).map(Some)
    }

    fn basis_vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        Ok(Some(self.waves.points_vjp(x, cotangent)))
    }
}
