//! Spherical harmonics as inducing features.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::variances::Variances;
use super::{InducingFeatures, InducingPrior};
use crate::kernel::{Expr, Kernel};
use crate::linalg::Jitter;
use crate::sphere::SphericalHarmonics;
use crate::tape::{KernelVar, Tape, Var};
use crate::views::{ZonalSpectrum, check_zonal_text};
use crate::{Error, Result, Scalar};

/// How far from 1 the length of a point may be, beside so many units of rounding.
const OFF_THE_SPHERE: f64 = 1e-8;
const UNITS: f64 = 64.0;

/// The coefficients of a process on the sphere S^{d−1} in spherical harmonics, for kernels that are zonal there:
/// M global features that know no place, with a covariance that is diagonal.
///
/// # Definition
///
/// u_{l,i} = ∫ f Y_{l,i} dω, with the [orthonormal harmonics](SphericalHarmonics) Y_{l,i}. A kernel with the
/// [spectrum](crate::views::ZonalSpectrum) a_l then gives
///
/// K_uu = diag(a_l), K_uf = a_l Y_{l,i}(x), and what the features explain of k(x, x′) is
/// Σ_l a_l Σ_i Y_{l,i}(x) Y_{l,i}(x′):
///
/// the kernel itself, up to the degrees that are left out. The share of degree l in the variance is
/// a_l N(d, l)/(|S^{d−1}| κ(1)).
///
/// A coefficient that is 0, because the kernel has none or because it drowns in rounding, makes features that
/// nothing depends on: they change neither a bound nor a prediction, whatever q says of them.
///
/// # Which kernels, which points
///
/// Any kernel that is [zonal](ZonalSpectrum); others are refused. Points must have length 1 to within 10⁻⁸, or 64
/// units of rounding in single precision; in Euclidean space they get there by a
/// [lift](crate::warp::SphereLift).
///
/// # Complexity
///
/// O(M) time for a point and for K_uu, which no factorisation or solve ever sees; the coefficients cost some
/// thousand evaluations of the kernel, or a closed form. The harmonics know nothing of the kernel: with Gaussian noise
/// the data are seen once, and then a step costs O(M³), by their [statistics](crate::gp::Statistics).
///
/// # Examples
///
/// The process y + xz on the sphere has degrees 1 and 2 alone:
///
/// ```
/// use mercer::gp::{ExactGp, Svgp};
/// use mercer::inducing::SphericalHarmonicFeatures;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::NaturalGradient;
/// use mercer::prelude::*;
///
/// let turn = |i: usize| 2.4 * i as f64;
/// let height = |i: usize| (2 * i + 1) as f64 / 40.0 - 1.0;
/// let x = Mat::from_fn(40, 3, |i, d| {
///     let radius = (1.0 - height(i) * height(i)).sqrt();
///     [radius * turn(i).cos(), radius * turn(i).sin(), height(i)][d]
/// });
/// let y: Vec<f64> = (0..40).map(|i| x[(i, 1)] + x[(i, 0)] * x[(i, 2)]).collect();
///
/// let kernel = 1.0 * Matern52::new(1.0);
/// let features = SphericalHarmonicFeatures::new(3, 6)?;
/// let mut gp = Svgp::with_features(kernel.clone(), features)?.with_likelihood(Gaussian::new(0.01));
/// gp.natural_step(&Data::new(&x, &y).part_of(40), &NaturalGradient::default())?; // the best q
///
/// let at = gp.posterior()?.predict(mat![[0.6, 0.48, 0.64]].as_ref())?;
/// assert!((at.mean[(0, 0)] - (0.48 + 0.6 * 0.64)).abs() < 0.02f64);
/// let data = Data::new(&x, &y);
/// let evidence = ExactGp::new(kernel).with_noise(0.01)?.objective(&data)?;
/// assert!(gp.objective(&data)?.value < evidence);
///
/// let error = Svgp::with_features(Rbf::new([1.0, 2.0, 3.0]), SphericalHarmonicFeatures::new(3, 6)?).unwrap_err();
/// assert!(matches!(error, mercer::Error::NotZonal { .. }));
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// V. Dutordoir, N. Durrande & J. Hensman (2020), "Sparse Gaussian processes with spherical harmonic features", *ICML*,
/// [doi:10.48550/arXiv.2006.16649](https://doi.org/10.48550/arXiv.2006.16649), where the features are divided by a_l.
#[derive(Clone, Debug)]
#[doc(alias = "VISH")]
pub struct SphericalHarmonicFeatures {
    harmonics: Arc<SphericalHarmonics>,
    spectrum: Arc<ZonalSpectrum>,
    nugget: f64,
}

crate::parameterized!(SphericalHarmonicFeatures as "", parameters: []);

impl SphericalHarmonicFeatures {
    /// All harmonics of the degrees from 0 to `l_max` on the sphere in `dim` dimensions.
    ///
    /// # Errors
    ///
    /// Those of [`SphericalHarmonics::new`].
    pub fn new(dim: usize, l_max: usize) -> Result<Self> {
        Self::of(SphericalHarmonics::new(dim, l_max)?)
    }

    /// These harmonics: of some degrees alone, or not more than so many of each.
    ///
    /// # Errors
    ///
    /// Those of [`ZonalSpectrum::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::inducing::{InducingFeatures, SphericalHarmonicFeatures};
    /// use mercer::sphere::SphericalHarmonics;
    ///
    /// let even = SphericalHarmonicFeatures::of(SphericalHarmonics::with_degrees(3, &[0, 2, 4])?)?;
    /// assert_eq!(even.len(), 1 + 5 + 9);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn of(harmonics: SphericalHarmonics) -> Result<Self> {
        let spectrum = ZonalSpectrum::new(harmonics.dim(), harmonics.l_max())?;
        Ok(Self { harmonics: Arc::new(harmonics), spectrum: Arc::new(spectrum), nugget: 0.0 })
    }

    /// Sets the variance ν of independent noise on the features: K_uu = diag(a_l + ν), K_uf as it was.
    ///
    /// Bounds stay bounds, as features with noise are features. They are lower ones: a degree with
    /// a_l ≪ ν explains a_l/(a_l + ν) of its share, next to nothing. It is for comparisons with programs
    /// that add a fixed jitter to K_uu; nothing here needs one.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a variance that is negative or not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Sgpr;
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]], [0.5, -0.3]);
    /// let features = SphericalHarmonicFeatures::new(3, 10)?;
    /// let bound = |features| Sgpr::with_features(Rbf::new(0.5), features)?.objective(&Data::new(&x, &y));
    /// assert!(bound(features.clone().with_nugget(1e-3)?)?.value < bound(features)?.value);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_nugget(mut self, variance: f64) -> Result<Self> {
        if !(variance >= 0.0 && variance.is_finite()) {
            return Err(Error::setting("the nugget", variance, "must be a finite number, at least 0"));
        }
        self.nugget = variance;
        Ok(self)
    }

    /// The harmonics, in the order of the features.
    pub fn harmonics(&self) -> &SphericalHarmonics {
        &self.harmonics
    }

    /// ν, the variance of the noise that the features are seen with.
    pub fn nugget(&self) -> f64 {
        self.nugget
    }

    /// a_l of the kernel, by degree.
    ///
    /// # Errors
    ///
    /// Those of [`ZonalSpectrum::coefficients`].
    pub fn coefficients(&self, kernel: &dyn Kernel<f64>) -> Result<Vec<f64>> {
        self.spectrum.coefficients(kernel)
    }

    /// a_l, once for each feature.
    fn variances<'a, T: Scalar>(&'a self, kernel: &'a dyn Kernel<T>) -> Result<Variances<'a>> {
        let (by_degree, degrees) = (self.spectrum.spectrum_at(kernel)?.values, self.harmonics.degrees());
        let values = degrees.iter().map(|&degree| by_degree[degree]).collect();
        let vjp = move |cotangent: &[f64]| {
            let mut in_degrees = vec![0.0; by_degree.len()];
            degrees.iter().zip(cotangent).for_each(|(&degree, c)| in_degrees[degree] += c);
            self.spectrum.vjp_at(kernel, &by_degree, &in_degrees)
        };
        Ok(Variances { values, vjp: Box::new(vjp) })
    }
}

impl InducingFeatures for SphericalHarmonicFeatures {
    fn len(&self) -> usize {
        self.harmonics.len()
    }

    fn dim(&self) -> usize {
        self.harmonics.dim()
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        check_zonal_text(kernel, self.dim())
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        let allowed = OFF_THE_SPHERE.max(UNITS * <T as num_traits::Float>::epsilon().as_f64());
        for row in 0..x.nrows() {
            let length = (0..x.ncols()).fold(0.0f64, |length, col| length.hypot(x[(row, col)].as_f64()));
            let is_on = (length - 1.0).abs() <= allowed;
            if !is_on {
                let needed = "points must lie on the unit sphere: divide by the length, or lift them there";
                return Err(Error::setting(&format!("the length of x[{row}]"), length, needed));
            }
        }
        Ok(())
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        _: Jitter,
    ) -> Result<InducingPrior<'t, T>> {
        let coefficients = self.variances(kernel.kernel())?.record(tape, kernel);
        let variances = match self.nugget {
            0.0 => coefficients,
            nugget => coefficients + nugget,
        };
        Ok(InducingPrior::diagonal(parameter, variances).with_basis_scale(coefficients))
    }

    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        self.harmonics.values(x).map(Some)
    }

    fn basis_vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        self.harmonics.vjp(x, cotangent).map(Some)
    }
}
