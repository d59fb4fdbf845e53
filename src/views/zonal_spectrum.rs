//! The Funk–Hecke coefficients of kernels.

use faer::{Mat, MatRef, Par};

use super::rotations::{check_zonal, is_known, planes, refused};
use super::{funk_hecke, funk_hecke_vjp};
use crate::kernel::{GradientRequest, Gradients, Kernel, check_differentiable, cross_into, cross_vjp};
use crate::linalg::cast;
use crate::params::ParameterizedExt;
use crate::sphere::quadrature::Rule;
use crate::{Error, Result, Scalar};

/// Nodes a panel of the rule, and of the coarser one that it is compared with.
const NODES: [usize; 2] = [40, 28];

/// Units of rounding that a value of a kernel times a zonal function is taken to be wrong by, beside one for
/// every few degrees.
const ROUNDING: f64 = 16.0;

/// The highest degree.
const HIGHEST_DEGREE: usize = 1000;

/// The spectrum of zonal kernels on the unit sphere S^{d−1} in d ≥ 2 dimensions: nodes and weights, to be used
/// for any kernel and any hyperparameters.
///
/// # Definition
///
/// A kernel that is κ(t), t = xᵀy, for x and y on the sphere has the spherical harmonics as eigenfunctions
/// (Funk–Hecke theorem), with one eigenvalue for each degree,
///
/// a_l = |S^{d−2}| ∫ κ(t) C_l^{(α)}(t)/C_l^{(α)}(1) (1 − t²)^{(d−3)/2} dt from −1 to 1, α = (d − 2)/2:
///
/// 2π ∫ κ P_l dt for d = 3, and 2 ∫ κ(cos θ) cos lθ dθ from 0 to π on the circle. Then κ(xᵀy) = Σ_l a_l Σ_i Y_{l,i}(x)
/// Y_{l,i}(y) and Σ_l N(d, l) a_l = |S^{d−1}| κ(1).
///
/// # Which kernels
///
/// Any expression that is a function of the angle alone on the unit sphere: of the distance, of inner products,
/// of directions, and sums, products, powers of such. An expression that is
/// [isotropic](crate::kernel::Properties::isotropic) or [zonal](crate::kernel::Properties::zonal) is known to be; others are evaluated at
/// pairs of points in 8 more planes than one, and refused if they change by more than 10⁻⁹ of their
/// largest value.
///
/// # Accuracy
///
/// In closed form, with full relative accuracy for every degree, where
/// [`funk_hecke`](crate::views::funk_hecke) has one: the squared exponential, the linear kernel, the
/// zonal kernels, constants and white noise (which contributes 0), and sums and multiples of them.
///
/// Otherwise by Gauss–Legendre panels in the angle θ, halved towards θ = 0. In θ the distance 2 sin(θ/2)
/// is smooth: the square root at t = 1, where Matérn kernels are rough, is gone. What remains is rounding, about
/// 10⁻¹⁵ of |S| κ(1), whatever the degree: relative accuracy is lost where a_l has fallen so far.
/// [`spectrum`](Self::spectrum) gives a bound with each coefficient: the difference to a coarser rule, plus the rounding
/// of the sum. A coefficient that is not larger than its bound is **set to 0**, and so has no gradient: it is
/// not known, not even its sign. For Matérn kernels, in three dimensions and to degree 16, the relative error is
/// below 10⁻¹⁰; for products that are smooth, coefficients down to some 10⁻¹⁴ of the first are known.
///
/// # Cost
///
/// About 30 panels and one more for every four degrees of l_max, with 40 nodes each and 28 for the error: with l_max = 16,
/// 2,000 evaluations of the kernel and O(l_max) multiplications for each. The rules take as many numbers of
/// memory: 8 MB for l_max = 200.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::sphere::{area, harmonics_of_degree};
/// use mercer::views::ZonalSpectrum;
///
/// let spectrum = ZonalSpectrum::new(3, 20)?;
/// let kernel = 2.0 * Matern52::new(0.8) * Polynomial::new(1, 0.5, 1.0);
/// let a = spectrum.coefficients(&kernel)?;
///
/// // The expansion gives the kernel back, up to the degrees left out.
/// let total: f64 = (0..=20).map(|l| (2 * l + 1) as f64 * a[l] / area(3)).sum();
/// let variance = kernel.eval(&[0.0, 0.6, 0.8], &[0.0, 0.6, 0.8])?;
/// assert!((total - variance).abs() < 1e-4 * variance);
/// assert!(a.windows(2).all(|pair| pair[0] > pair[1] && pair[1] > 0.0));
///
/// let error = spectrum.coefficients(&(kernel + Rbf::new([1.0, 2.0, 3.0]))).unwrap_err();
/// assert!(error.to_string().starts_with("`rbf(lengthscale=[1, 2, 3])` is not zonal"));
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// C. Müller (1966), *Spherical Harmonics*, Lecture Notes in Mathematics 17, Springer, for the theorem. V. Dutordoir, N.
/// Durrande & J. Hensman (2020), "Sparse Gaussian processes with spherical harmonic features", *ICML*,
/// [doi:10.48550/arXiv.2006.16649](https://doi.org/10.48550/arXiv.2006.16649), for its use.
#[derive(Clone, Debug)]
pub struct ZonalSpectrum {
    dim: usize,
    l_max: usize,
    pole: Mat<f64>,
    fine: Rule,
    coarse: Rule,
}

/// Coefficients with a bound of their errors.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::ZonalSpectrum;
///
/// // (1 + xᵀy)² has degrees 0 to 2 alone: 1 + 2t + t², t² = 1/3 + 2/3 P₂.
/// let spectrum = ZonalSpectrum::new(3, 3)?.spectrum(&Polynomial::new(2, 1.0, 1.0))?;
/// let expected = [16.0 / 3.0, 8.0 / 3.0, 8.0 / 15.0].map(|a| a * std::f64::consts::PI);
/// for l in 0..3 {
///     assert!((spectrum.values[l] - expected[l]).abs() < spectrum.errors[l] && spectrum.errors[l] < 1e-12);
/// }
/// assert_eq!(spectrum.values[3], 0.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ZonalCoefficients {
    /// a_l by degree; 0 where the error may be as large as the coefficient.
    pub values: Vec<f64>,
    /// A bound of each absolute error.
    pub errors: Vec<f64>,
}

impl ZonalSpectrum {
    /// For the degrees from 0 to `l_max` on the sphere in `dim` dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for less than 2 dimensions or a degree above 1000.
    pub fn new(dim: usize, l_max: usize) -> Result<Self> {
        if dim < 2 {
            return Err(Error::setting("the dimension of the sphere's space", dim, "must be at least 2"));
        }
        if l_max > HIGHEST_DEGREE {
            return Err(Error::setting("the degree", l_max, "must be at most 1000"));
        }
        let [fine, coarse] = NODES.map(|nodes| Rule::new(dim, l_max, nodes));
        let pole = Mat::from_fn(1, dim, |_, d| if d == 0 { 1.0 } else { 0.0 });
        Ok(Self { dim, l_max, pole, fine, coarse })
    }

    /// d, the dimension of the space that the sphere is in.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The highest degree.
    pub fn l_max(&self) -> usize {
        self.l_max
    }

    /// The coefficients a₀, …, a_{l_max} of a kernel, 0 where they drown in rounding: see above, accuracy.
    ///
    /// # Errors
    ///
    /// As [`spectrum`](Self::spectrum).
    pub fn coefficients(&self, kernel: &dyn Kernel<f64>) -> Result<Vec<f64>> {
        Ok(self.spectrum(kernel)?.values)
    }

    /// The coefficients with a bound of their errors. None is negative for a kernel that is
    /// [positive semi-definite](crate::Expr::properties) in d dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::NotZonal`], naming the subexpression; [`Error::Dimension`] if the kernel cannot read points of d
    /// dimensions; [`Error::NonFinite`] if a value of the kernel is infinite or no number.
    pub fn spectrum(&self, kernel: &dyn Kernel<f64>) -> Result<ZonalCoefficients> {
        self.spectrum_at(kernel)
    }

    /// The same from values at a precision, whose rounding the bounds of the errors then have.
    pub(crate) fn spectrum_at<T: Scalar>(&self, kernel: &dyn Kernel<T>) -> Result<ZonalCoefficients> {
        check_zonal(kernel, self.dim)?;
        if let Some(values) = funk_hecke(kernel, self.dim, self.l_max) {
            let errors = values.iter().map(|a| (4 + self.l_max) as f64 * f64::EPSILON * a.abs()).collect();
            return Ok(ZonalCoefficients { values, errors });
        }
        let (fine, coarse) = (self.values(kernel, &self.fine)?, self.values(kernel, &self.coarse)?);
        let nonnegative = kernel.properties().psd.holds_in(self.dim);
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for degree in 0..=self.l_max {
            let (value, size) = integral(&self.fine, &fine, degree);
            let (other, _) = integral(&self.coarse, &coarse, degree);
            let unit = <T as num_traits::Float>::epsilon().as_f64();
            let rounding = (ROUNDING + 0.25 * degree as f64) * unit * size;
            let error = (value - other).abs() + rounding;
            let drowned = value.abs() <= error || (nonnegative && value < 0.0);
            values.push(if drowned { 0.0 } else { value });
            errors.push(error);
        }
        Ok(ZonalCoefficients { values, errors })
    }

    /// The gradient of Σ_l c_l a_l in the kernel's hyperparameters, frozen ones included, in natural units, in
    /// visiting order. What drowns in rounding has none.
    ///
    /// # Errors
    ///
    /// As [`spectrum`](Self::spectrum), and [`Error::Shape`] if there are not l_max + 1 cotangents;
    /// [`Error::NotDifferentiable`]; [`Error::NotZonal`] if a hyperparameter makes the kernel other than zonal, as one
    /// of equal lengthscales for each dimension does.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::views::ZonalSpectrum;
    ///
    /// let (spectrum, kernel) = (ZonalSpectrum::new(3, 1)?, 3.0 * Matern32::new(0.7));
    /// let gradient = spectrum.vjp(&kernel, &[1.0, 0.0])?;
    /// assert!((gradient[0] - spectrum.coefficients(&kernel)?[0] / 3.0).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn vjp(&self, kernel: &dyn Kernel<f64>, cotangent: &[f64]) -> Result<Vec<f64>> {
        if cotangent.len() != self.l_max + 1 {
            return Err(Error::shape("the cotangent", format!("{} element(s)", self.l_max + 1), (cotangent.len(), 1)));
        }
        check_differentiable(kernel)?;
        self.vjp_at(kernel, &self.spectrum(kernel)?.values, cotangent)
    }

    /// The same at a precision, where the coefficients are known.
    pub(crate) fn vjp_at<T: Scalar>(
        &self,
        kernel: &dyn Kernel<T>,
        coefficients: &[f64],
        cotangent: &[f64],
    ) -> Result<Vec<f64>> {
        if funk_hecke(kernel, self.dim, self.l_max).is_some() {
            let mut theta = vec![0.0; kernel.num_params()];
            funk_hecke_vjp(kernel, self.dim, cotangent, &mut theta);
            return Ok(theta);
        }
        let mut weights = Mat::zeros(1, self.fine.points.nrows());
        for (degree, (&c, &value)) in cotangent.iter().zip(coefficients).enumerate() {
            if value != 0.0 {
                (0..weights.ncols()).for_each(|node| weights[(0, node)] += c * self.fine.zonal[(node, degree)]);
            }
        }
        let weights = cast::<T>(weights.as_ref());
        let gradient = |pole: MatRef<'_, f64>, points: MatRef<'_, f64>| {
            let (pole, points) = (cast::<T>(pole), cast::<T>(points));
            cross_vjp(kernel, pole.as_ref(), points.as_ref(), weights.as_ref(), GradientRequest::PARAMETERS, Par::Seq)
        };
        let theta = gradient(self.pole.as_ref(), self.fine.points.as_ref())?.theta;
        if !is_known(kernel) {
            self.check_gradient::<T>(kernel, &theta, gradient)?;
        }
        Ok(theta)
    }

    /// κ at the nodes of a rule.
    fn values<T: Scalar>(&self, kernel: &dyn Kernel<T>, rule: &Rule) -> Result<Vec<f64>> {
        let mut out = Mat::zeros(rule.points.nrows(), 1);
        let (points, pole) = (cast::<T>(rule.points.as_ref()), cast::<T>(self.pole.as_ref()));
        cross_into(kernel, points.as_ref(), pole.as_ref(), out.as_mut(), Par::Seq)?;
        let values: Vec<f64> = out.col_as_slice(0).iter().map(|value| value.as_f64()).collect();
        match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            Some((row, &value)) => {
                Err(Error::NonFinite { what: "the kernel on a great circle".to_owned(), row, col: 0, value })
            }
            None => Ok(values),
        }
    }

    /// Refuses a gradient that is another one in another plane.
    fn check_gradient<T: Scalar>(
        &self,
        kernel: &dyn Kernel<T>,
        theta: &[f64],
        gradient: impl Fn(MatRef<'_, f64>, MatRef<'_, f64>) -> Result<Gradients<T>>,
    ) -> Result<()> {
        let Some([u, v]) = planes(self.dim).next() else { return Ok(()) };
        let nodes = &self.fine.points;
        let pole = Mat::from_fn(1, self.dim, |_, d| u[d]);
        let points = Mat::from_fn(nodes.nrows(), self.dim, |row, d| nodes[(row, 0)] * u[d] + nodes[(row, 1)] * v[d]);
        let other = gradient(pole.as_ref(), points.as_ref())?.theta;
        let largest = theta.iter().chain(&other).fold(0.0f64, |largest, value| largest.max(value.abs()));
        let allowed = largest * 1e-6f64.max(1e3 * <T as num_traits::Float>::epsilon().as_f64());
        if theta.iter().zip(&other).any(|(a, b)| (a - b).abs() > allowed) {
            return Err(refused(kernel, self.dim));
        }
        Ok(())
    }
}

/// ∫ κ G_l sin^{d−2} dθ, and that of the absolute value.
fn integral(rule: &Rule, values: &[f64], degree: usize) -> (f64, f64) {
    let terms = || rule.zonal.col_as_slice(degree).iter().zip(values).map(|(zonal, value)| zonal * value);
    (terms().sum(), terms().map(f64::abs).sum())
}
