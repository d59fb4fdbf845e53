//! One lengthscale for each dimension.

use std::fmt;

use faer::Mat;

use super::{Warp, WarpExpr};
use crate::kernel::{Arguments, Construct, FeatureGradients, List, Points, Psd};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::simd::elementwise;
use crate::{Error, Result, Scalar};

/// Points divided by one lengthscale for each dimension (automatic relevance determination): the warp
/// behind [`ard`](crate::kernel::ops::Compose::ard).
///
/// # Definition
///
/// f(x) = (x₁/ℓ₁, …, x_D/ℓ_D)
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `lengthscale[d]` | ℓ_d | that of input dimension d | positive |
///
/// # Properties
///
/// Keeps stationarity and positive semi-definiteness. Over a kernel with a lengthscale of its own,
/// freeze one of the two: only their product matters.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Matern32::new(1.0).ard([3.0, 4.0]);
/// let q = (3.0f64 * (1.0 + 1.0)).sqrt();
/// assert!((kernel.eval(&[0.0, 0.0], &[3.0, 4.0])? - (1.0 + q) * (-q).exp()).abs() < 1e-15);
/// assert_eq!(kernel.get("ard.lengthscale[1]")?, 4.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Neal (1996), *Bayesian Learning for Neural Networks*, section 1.2.4,
/// [doi:10.1007/978-1-4612-0745-0](https://doi.org/10.1007/978-1-4612-0745-0).
#[derive(Clone, Debug, PartialEq)]
pub struct Ard {
    lengthscale: ParameterArray,
}

crate::parameterized!(Ard as "ard", parameters: [lengthscale]);

impl Ard {
    /// Division by these lengthscales.
    ///
    /// # Panics
    ///
    /// If there are none, or one is not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(lengthscales: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(lengthscales))
    }

    /// Division by these lengthscales.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are none; [`Error::Parameter`] if one is not positive and finite.
    pub fn try_new(lengthscales: impl Into<Vec<f64>>) -> Result<Self> {
        let values: Vec<f64> = lengthscales.into();
        if values.is_empty() {
            return Err(Error::Empty { what: "the list of lengthscales".to_owned() });
        }
        let shape = Shape::Vector(values.len());
        Ok(Self { lengthscale: ParameterArray::new("lengthscale", values, shape, Constraint::Positive)? })
    }

    /// The lengthscales, one for each dimension.
    pub fn lengthscales(&self) -> &[f64] {
        self.lengthscale.values()
    }
}

impl Construct for Ard {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        Self::try_new(arguments.take::<Vec<f64>>("lengthscale")?)
    }
}

impl WarpExpr for Ard {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        let expected = self.lengthscales().len();
        if dim == expected {
            return Ok(dim);
        }
        let needs = format!("has {expected} lengthscale(s), one for each dimension");
        Err(Error::Dimension { kernel: "ard(…)".to_owned(), needs, found: dim })
    }

    fn psd(&self, kernel: Psd) -> Psd {
        if kernel.holds_in(self.lengthscales().len()) { Psd::Always } else { Psd::Never }
    }

    fn reads(&self, _: usize, made: &[bool]) -> Vec<bool> {
        made.to_vec()
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn matrix(&self, dim: usize) -> Option<Mat<f64>> {
        let lengthscales = self.lengthscales();
        Some(Mat::from_fn(dim, dim, |row, col| if row == col { 1.0 / lengthscales[row] } else { 0.0 }))
    }

    fn keeps_axes(&self) -> bool {
        true
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ard({kernel}, {})", List(self.lengthscales()))
    }
}

impl<T: Scalar> Warp<T> for Ard {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        divide(points, self.lengthscales())
    }

    #[inline]
    fn point(&self, x: &[T], out: &mut [T]) {
        for ((out, &x), &lengthscale) in out.iter_mut().zip(x).zip(self.lengthscales()) {
            *out = x * T::from_f64(1.0 / lengthscale);
        }
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        divide_backward(points, made, self.lengthscales(), gradients, theta);
    }
}

/// The points divided by one lengthscale for each dimension.
pub(crate) fn divide<'a, T: Scalar>(points: &Points<'a, T>, lengthscales: &[f64]) -> Points<'a, T> {
    let mut made = points.matrix().to_owned();
    for (dim, lengthscale) in lengthscales.iter().enumerate().take(points.dim()) {
        elementwise::scale(made.col_as_slice_mut(dim), T::from_f64(1.0 / lengthscale));
    }
    let made = Points::made(made);
    if points.needs_gradient() { made.with_gradient(true) } else { made.with_moments() }
}

/// From the gradient G in f = x/ℓ: adds G/ℓ to that in x, and −Σᵢ Gᵢ fᵢ/ℓ to that in ℓ.
pub(crate) fn divide_backward<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    lengthscales: &[f64],
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    if let Some(moments) = gradients.moments(made) {
        for ((sum, moment), lengthscale) in theta.iter_mut().zip(moments).zip(lengthscales) {
            *sum -= moment / lengthscale;
        }
    }
    if !points.needs_gradient() {
        return;
    }
    let Some(in_made) = gradients.take(made) else { return };
    let Some(in_points) = gradients.at_mut(points) else { return };
    for (dim, &lengthscale) in lengthscales.iter().enumerate() {
        let inverse = T::from_f64(1.0 / lengthscale);
        elementwise::add_scaled(in_points.col_as_slice_mut(dim), in_made.col_as_slice(dim), inverse);
    }
}
