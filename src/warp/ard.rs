//! One lengthscale for each dimension.

use std::fmt;

use super::differences::rounding;
use super::{Warp, WarpExpr};
use crate::kernel::span::{Span, farthest};
use crate::kernel::{FeatureGradients, List, Points, Psd, Variable};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::simd::pairs::squarable;
use crate::simd::{Pass, dispatch, elementwise};
use crate::{Error, Real, Result, Scalar};

/// Points divided by one lengthscale for each dimension (automatic relevance determination): the warp
/// behind [`ard`](crate::algebra::Compose::ard).
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
#[doc(alias = "automatic relevance determination", alias = "lengthscale per dimension")]
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

crate::construct!(Ard: try_new(lengthscale: Vec<f64>));

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
        if kernel.holds_in(self.lengthscales().len()) { Psd::Always } else { Psd::Unknown }
    }

    fn reads(&self, _: usize, made: &[bool]) -> Vec<bool> {
        made.to_vec()
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn matrix(&self, theta: &[Variable], dim: usize) -> Option<Vec<Vec<Variable>>> {
        Some(diagonal(theta.iter().take(dim).map(|lengthscale| lengthscale.recip()).collect()))
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
            *out = x * inverse::<T>(lengthscale);
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

    fn difference(&self, points: [&[T]; 2], out: &mut [T]) -> bool {
        divide_difference(points, |dim| self.lengthscales()[dim], out);
        true
    }

    fn rounding(&self, points: &Points<'_, T>) -> Option<Vec<f64>> {
        Some(
            rounding(points)?.iter().zip(self.lengthscales()).map(|(error, lengthscale)| error / lengthscale).collect(),
        )
    }

    fn difference_backward(
        &self,
        points: [&[T]; 2],
        _: &[T],
        in_difference: &[T],
        in_points: [&mut [T]; 2],
        theta: &mut [f64],
    ) {
        divide_difference_backward(
            points,
            |dim| self.lengthscales()[dim],
            in_difference,
            in_points,
            |dim, more| {
                theta[dim] += more;
            },
        );
    }
}

/// (x − y)/ℓ, in `f64` at either precision, and finite for finite points. A quotient has no use for 1/ℓ, which may be no
/// finite number.
#[inline]
pub(crate) fn divided<T: Scalar>(x: T, y: T, lengthscale: f64) -> T {
    squarable(T::from_f64((x - y).as_f64() / lengthscale))
}

pub(crate) fn divide_difference<T: Scalar>([x, y]: [&[T]; 2], lengthscale: impl Fn(usize) -> f64, out: &mut [T]) {
    for (dim, out) in out.iter_mut().enumerate() {
        *out = divided(x[dim], y[dim], lengthscale(dim));
    }
}

/// From the gradient in (x − y)/ℓ: adds to those in x and y, and shows that in ℓ.
pub(crate) fn divide_difference_backward<T: Scalar>(
    [x, y]: [&[T]; 2],
    lengthscale: impl Fn(usize) -> f64,
    in_difference: &[T],
    [in_x, in_y]: [&mut [T]; 2],
    mut in_lengthscale: impl FnMut(usize, f64),
) {
    for (dim, &gradient) in in_difference.iter().enumerate() {
        // Whatever stands in a column that nobody reads, NaN too.
        if gradient == T::from_f64(0.0) {
            continue;
        }
        let lengthscale = lengthscale(dim);
        let in_point = gradient * inverse::<T>(lengthscale);
        in_x[dim] += in_point;
        in_y[dim] -= in_point;
        in_lengthscale(dim, -gradient.as_f64() * divided(x[dim], y[dim], lengthscale).as_f64() / lengthscale);
    }
}

/// 1/ℓ, kept finite so that it gives 0 at a difference of 0 for the smallest lengthscales.
#[inline]
pub(crate) fn inverse<T: Scalar>(lengthscale: f64) -> T {
    num_traits::Float::min(T::from_f64(1.0 / lengthscale), num_traits::Float::max_value())
}

/// (x − o)/ℓ; finite for finite x, where only differences are read.
struct Divide<'a, T> {
    values: &'a mut [T],
    origin: T,
    inverse: T,
    finite: bool,
}

impl<T: Scalar> Pass for Divide<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let largest = <T as num_traits::Float>::max_value();
        for value in self.values {
            let divided = (*value - self.origin) * self.inverse;
            let finite = self.finite & (num_traits::Float::abs(*value) <= largest);
            *value = if finite { squarable(divided) } else { divided };
        }
    }
}

/// The points divided by one lengthscale for each dimension, after their origin is subtracted.
pub(crate) fn divide<'a, T: Scalar>(points: &Points<'a, T>, lengthscales: &[f64]) -> Points<'a, T> {
    let mut made = points.matrix().to_owned();
    for (dim, &lengthscale) in lengthscales.iter().enumerate().take(points.dim()) {
        let (values, origin) = (made.col_as_slice_mut(dim), points.origin(dim));
        dispatch(Divide { values, origin, inverse: inverse(lengthscale), finite: !points.is_fixed() });
    }
    let ranges = points.span().map(|span| {
        let shifted = |(dim, (range, lengthscale)): (usize, (&[f64; 2], &f64))| {
            range.map(|end| (end - points.origin(dim).as_f64()) / lengthscale)
        };
        Span::known(span.ranges().iter().zip(lengthscales).enumerate().map(shifted).collect())
    });
    marked(points, Points::made(made).against(ranges))
}

/// The points divided, or, where the second set reaches so far that this would cost digits, as they are with
/// weights for their differences: for leaves that read squared distances alone.
pub(crate) fn scaled<'a, T: Scalar>(points: &Points<'a, T>, lengthscales: &[f64]) -> Points<'a, T> {
    let near = |(dim, lengthscale)| points.reach(dim).is_some_and(|reach| reach / lengthscale <= farthest::<T>());
    if lengthscales.iter().enumerate().all(near) {
        return divide(points, lengthscales);
    }
    weighted(points, lengthscales)
}

/// The points as they are, with 1/ℓ as weights for their differences.
pub(crate) fn weighted<'a, T: Scalar>(points: &Points<'a, T>, lengthscales: &[f64]) -> Points<'a, T> {
    let weights = lengthscales.iter().map(|&lengthscale| inverse(lengthscale)).collect();
    marked(points, points.clone().weighted(weights))
}

/// Of what lengthscales have made of points, their gradient asks for moments.
fn marked<'a, T: Scalar>(points: &Points<'a, T>, made: Points<'a, T>) -> Points<'a, T> {
    made.with_gradient(points.needs_gradient()).with_moments()
}

/// From the gradient G in f = (x − o)/ℓ: adds G/ℓ to that in x, and −Σᵢ Gᵢ fᵢ/ℓ to that in ℓ.
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
        let (in_points, in_made) = (in_points.col_as_slice_mut(dim), in_made.col_as_slice(dim));
        elementwise::add_scaled(in_points, in_made, inverse(lengthscale));
    }
}
/// The rows of a diagonal matrix.
pub(super) fn diagonal(entries: Vec<Variable>) -> Vec<Vec<Variable>> {
    let zero = Variable::from_f64(0.0);
    let row = |(row, &entry)| (0..entries.len()).map(|col| if col == row { entry } else { zero }).collect();
    entries.iter().enumerate().map(row).collect()
}
