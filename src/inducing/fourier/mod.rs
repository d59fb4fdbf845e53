//! Variational Fourier features.

mod covariance;
mod fit;
mod matern;

use faer::{Mat, MatRef};

use super::box_basis::{Combination, Family, Waves};
use super::{InducingFeatures, InducingPrior};
use crate::kernel::Expr;
use crate::linalg::Jitter;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// Variational Fourier features: the projections of a Matérn process of smoothness ½, 3⁄2 or 5⁄2 on waves of whole
/// periods in an interval from a to b.
///
/// # Definition
///
/// u_φ = ⟨φ, f⟩ in the Hilbert space H of the kernel on the interval, for the functions
///
/// 1, cos ω₁t, sin ω₁t, cos ω₂t, sin ω₂t, …, t = x − a, ω_m = 2πm/(b − a)
///
/// in this order: M = 2m + 1 for m frequencies. Then K_uf = φ(x), by the reproducing property, for x in the interval:
/// it depends on no hyperparameter. K_uu has the inner products in H,
///
/// K_uu = diag(α) + V P⁻¹ Vᵀ, α = (b − a)/2 · 1/S(ω), twice that for the constant
///
/// with the spectral density S of the kernel ([`spectral_density`](crate::views::spectral_density)), the states
/// (φ, φ′, …, φ^(p)) at a in the rows of V, and the stationary covariance P of (f, f′, …, f^(p)), for a smoothness of
/// p + ½. It is diagonal plus a matrix of rank p + 1, and no M × M matrix is made: see
/// [`InducingPrior::low_rank`].
///
/// # Which kernels
///
/// Any expression whose values are those of such a Matérn kernel, whatever its form: times numbers, boxed, parsed,
/// stretched, with a coordinate picked by [`on`](crate::algebra::Compose::on). The smoothness, the variance and the
/// lengthscale are found from values of the kernel, compared with more values, and refused if those
/// do not fit. Gradients in its hyperparameters follow; a free one that leads away from such kernels, such as
/// the smoothness of a [`Matern`](crate::kernels::Matern), is refused where gradients are asked for. White noise in the kernel is
/// no part of the features.
///
/// Of several coordinates: a sum of kernels of one coordinate each, with the functions of each coordinate
/// ([`additive`](Self::additive), M = Σ M_d, rank Σ (p_d + 1)), or a product of such, with all products of the
/// functions of each ([`product`](Self::product), M = Π M_d). The K_uu of a product is a Kronecker product, which is made
/// and factorised: M³ operations once a step.
///
/// # Choosing the interval
///
/// Longer than the data at both ends, by two lengthscales or so: all these functions are periodic, with p derivatives,
/// and a process is not. What of the variance k(x, x) is left, k(x, x) − k_fu K_uu⁻¹ k_uf, is of two parts: the
/// frequencies that are left out, which falls as m^(−2p−1); and p + 1 functions by which the two ends may
/// differ, which no number of frequencies makes up for, and which falls as exp(−2λδ) with the distance δ from the
/// nearer end, λ = √(2p + 1)/ℓ. The bound holds in any case. Points outside are refused.
///
/// # Examples
///
/// ```
/// use mercer::gp::{ExactGp, Svgp};
/// use mercer::inducing::FourierFeatures;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::NaturalGradient;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(50, 1, |i, _| 0.1 * i as f64);
/// let y: Vec<f64> = (0..50).map(|i| (0.2 * i as f64).sin()).collect();
/// let kernel = 2.0 * Matern32::new(1.5);
///
/// let features = FourierFeatures::new(-4.0, 9.0, 40)?;
/// let mut sparse = Svgp::with_features(kernel.clone(), features)?.with_likelihood(Gaussian::new(0.1));
/// sparse.natural_step(&Data::new(&x, &y).part_of(50), &NaturalGradient::default())?;
/// let data = Data::new(&x, &y);
/// let bound = sparse.objective(&data)?.value;
/// let evidence = ExactGp::new(kernel).with_noise(0.1)?.objective(&data)?;
/// assert!(bound < evidence && evidence - bound < 0.3);
///
/// let outside = sparse.posterior()?.mean(mat![[0.0], [12.5]].as_ref()).unwrap_err();
/// assert!(outside.to_string().starts_with("x[1, 0] is 12.5, but"));
/// assert!(Svgp::with_features(Rbf::new(1.0), FourierFeatures::new(0.0, 5.0, 8)?).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// J. Hensman, N. Durrande & A. Solin (2018), "Variational Fourier features for Gaussian processes", *Journal of
/// Machine Learning Research* 18(151), 1–52.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "VFF")]
pub struct FourierFeatures {
    pub(super) waves: Waves,
}

crate::parameterized!(FourierFeatures as "fourier", parameters: []);

impl FourierFeatures {
    /// Waves of so many frequencies in an interval.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for an interval without finite ends in ascending order, or more than a million functions.
    pub fn new(lower: f64, upper: f64, frequencies: usize) -> Result<Self> {
        Self::additive(&[(lower, upper)], &[frequencies])
    }

    /// For a sum of kernels of one coordinate each: waves of each coordinate, with an interval and a number of
    /// frequencies for each.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::Empty`](crate::Error::Empty) without intervals; [`Error::Shape`](crate::Error::Shape) if there is not one number of
    /// frequencies for each interval.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::inducing::{FourierFeatures, InducingFeatures};
    /// use mercer::prelude::*;
    ///
    /// let kernel = Matern52::new(0.5).on([0]) + 3.0 * Matern12::new(2.0).on([1]);
    /// let features = FourierFeatures::additive(&[(0.0, 1.0), (-1.0, 1.0)], &[5, 10])?;
    /// assert_eq!(features.len(), 11 + 21);
    /// let x = mat![[0.2, 0.1], [0.7, -0.4]];
    /// let elbo = Svgp::with_features(kernel, features)?.objective(&Data::new(&x, &[0.3, 0.5]))?;
    /// assert!(elbo.kl.abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn additive(intervals: &[(f64, f64)], frequencies: &[usize]) -> Result<Self> {
        Ok(Self { waves: Waves::new(Family::Periods, Combination::Sum, intervals, frequencies)? })
    }

    /// For a product of kernels of one coordinate each: all products of waves of each coordinate, those of the last running
    /// fastest.
    ///
    /// # Errors
    ///
    /// As [`additive`](Self::additive).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::inducing::{FourierFeatures, InducingFeatures};
    /// use mercer::prelude::*;
    ///
    /// let kernel = 2.0 * (Matern32::new(0.5).on([0]) * Matern32::new(2.0).on([1]));
    /// let features = FourierFeatures::product(&[(0.0, 1.0), (-1.0, 1.0)], &[3, 2])?;
    /// assert_eq!(features.len(), 7 * 5);
    /// let x = mat![[0.2, 0.1], [0.7, -0.4]];
    /// assert!(Svgp::with_features(kernel, features.clone())?.objective(&Data::new(&x, &[0.3, 0.5])).is_ok());
    ///
    /// // A Matérn kernel of the distance in the plane is no product.
    /// assert!(Svgp::with_features(Matern32::new([0.5, 2.0]), features).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn product(intervals: &[(f64, f64)], frequencies: &[usize]) -> Result<Self> {
        Ok(Self { waves: Waves::new(Family::Periods, Combination::Product, intervals, frequencies)? })
    }
}

impl InducingFeatures for FourierFeatures {
    fn len(&self) -> usize {
        self.waves.len()
    }

    fn dim(&self) -> usize {
        self.waves.axes().len()
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        kernel.inputs(self.dim())?;
        fit::axes(kernel, self.waves.combination(), self.dim()).map(drop)
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        self.waves.check_points(x)
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        jitter: Jitter,
    ) -> Result<InducingPrior<'t, T>> {
        let combination = self.waves.combination();
        let fit = fit::record(tape, kernel, combination, self.dim())?;
        if combination == Combination::Product && self.dim() > 1 {
            return InducingPrior::dense(parameter, covariance::of_product(tape, &self.waves, &fit)?, jitter);
        }
        let (diagonal, columns) = covariance::of_sum(tape, &self.waves, &fit)?;
        InducingPrior::low_rank(parameter, diagonal, columns)
    }

    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        self.waves.values(x).map(Some)
    }

    fn basis_vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        Ok(Some(self.waves.points_vjp(x, cotangent)))
    }
}
