//! The circle embedding: a warp of its own, and what is behind the periodic kernel.

use faer::Mat;

use super::coordinate::check_dim;
use super::{Warp, WarpExpr};
use crate::kernel::{Arguments, Construct, FeatureGradients, Points, Psd};
use crate::params::{Constraint, OneOrEach, PerDimension};
use crate::simd::remainder::remainder_each;
use crate::simd::sum::dot_in_f64;
use crate::simd::trig::sin_cos_each;
use crate::simd::{Pass, dispatch, elementwise};
use crate::{Result, Scalar};

/// Each coordinate laid on a circle: the warp behind
/// [`circle`](crate::kernel::ops::Compose::circle). It makes any kernel periodic.
///
/// # Definition
///
/// f(x) = (cos φ₁, sin φ₁, …, cos φ_D, sin φ_D), φ_d = 2π x_d/p_d
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `period` | p | that of the inputs | positive; one, or one for each dimension |
///
/// # Properties
///
/// Twice as many dimensions as before; positive semi-definite where the kernel is in so many. Exact far
/// from the origin: inputs are reduced by the period without rounding. The points of a dimension have
/// the squared distance 4 sin²(π (x − y)/p), so that the squared exponential becomes the
/// [periodic kernel](crate::kernels::Periodic). Kernels of the distance alone stay functions of
/// x − y, others need not: the expression does not claim to be stationary.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(0.8).circle(3.0);
/// let (value, periodic): (f64, f64) = (kernel.eval(&[1.0], &[1.5])?, Periodic::new(0.8, 3.0).eval(&[1.0], &[1.5])?);
/// assert!((value - periodic).abs() < 1e-15);
///
/// // A periodic process that is less smooth.
/// let rough = 0.5 * Matern32::new(0.8).circle(3.0);
/// let (near, far): (f64, f64) = (rough.eval(&[1.0], &[1.5])?, rough.eval(&[1.0], &[3e6 + 1.5])?);
/// assert!((near - far).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// MacKay (1998), *Introduction to Gaussian processes*, section 5.2.
#[derive(Clone, Debug, PartialEq)]
pub struct CircleEmbedding {
    period: PerDimension,
}

crate::parameterized!(CircleEmbedding as "circle", parameters: [period]);

impl CircleEmbedding {
    /// The circle with this period: one, or one for each dimension.
    ///
    /// # Panics
    ///
    /// If a period is not positive and finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(period: impl Into<OneOrEach>) -> Self {
        crate::error::literal(Self::try_new(period))
    }

    /// The circle with this period: one, or one for each dimension.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a period is not positive and finite.
    pub fn try_new(period: impl Into<OneOrEach>) -> Result<Self> {
        Ok(Self { period: PerDimension::new("period", period, Constraint::Positive)? })
    }

    /// The period: one, or one for each dimension.
    pub fn period(&self) -> &[f64] {
        self.period.values()
    }
}

impl Construct for CircleEmbedding {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        Self::try_new(arguments.take::<OneOrEach>("period")?)
    }
}

impl WarpExpr for CircleEmbedding {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        check_dim("circle", "period", &self.period, dim).map(|()| 2 * dim)
    }

    fn psd(&self, kernel: Psd) -> Psd {
        match (kernel, self.period.dim()) {
            (Psd::UpTo(most), Some(dim)) if 2 * dim <= most => Psd::Always,
            (Psd::UpTo(most), None) if most >= 2 => Psd::UpTo(most / 2),
            (Psd::Always, _) => Psd::Always,
            _ => Psd::Never,
        }
    }

    fn differentiable(&self) -> bool {
        true
    }
}

impl<T: Scalar> Warp<T> for CircleEmbedding {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        embed(points, &self.period)
    }

    fn point(&self, x: &[T], out: &mut [T]) {
        for (dim, (out, &x)) in out.chunks_exact_mut(2).zip(x).enumerate() {
            let (sin, cos) = num_traits::Float::sin_cos(angle(x, T::from_f64(self.period.at(dim))));
            out.copy_from_slice(&[cos, sin]);
        }
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        embed_backward(points, made, &self.period, gradients, theta);
    }
}

/// 2π times the part of x that the period leaves over, divided by the period. The remainder of
/// floating-point numbers is exact, so that the angle is as good far from the origin as near it.
#[inline]
fn angle<T: Scalar>(x: T, period: T) -> T {
    T::TAU() * ((x % period) / period)
}

/// The points on the circle: for each dimension d, the columns cos and sin of 2π x_d/p_d.
///
/// The squared distance of two such points is Σ_d 4 sin²(π Δ_d/p_d).
pub(crate) fn embed<'a, T: Scalar>(points: &Points<'a, T>, period: &PerDimension) -> Points<'a, T> {
    embed_by(points, |dim, values| dispatch(Angles { period: T::from_f64(period.at(dim)), values }))
}

/// For each dimension, the columns cos and sin of an angle. `angles` replaces the coordinates of a dimension by
/// their angles.
pub(crate) fn embed_by<'a, T: Scalar>(points: &Points<'a, T>, angles: impl Fn(usize, &mut [T])) -> Points<'a, T> {
    let mut made = Mat::zeros(points.len(), 2 * points.dim());
    let mut cosines = vec![T::from_f64(0.0); points.len()];
    for dim in 0..points.dim() {
        let sines = made.col_as_slice_mut(2 * dim + 1);
        sines.copy_from_slice(points.column(dim));
        angles(dim, sines);
        dispatch(SinesAndCosines { angles: sines, cosines: &mut cosines });
        made.col_as_slice_mut(2 * dim).copy_from_slice(&cosines);
    }
    Points::made(made).with_gradient(true)
}

/// The angles of coordinates: see [`angle`].
struct Angles<'a, T> {
    period: T,
    values: &'a mut [T],
}

impl<T: Scalar> Pass for Angles<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        remainder_each::<T, FMA>(self.values, self.period);
        for value in self.values {
            *value = T::TAU() * (*value / self.period);
        }
    }
}

/// Replaces angles by their sines.
struct SinesAndCosines<'a, T> {
    angles: &'a mut [T],
    cosines: &'a mut [T],
}

impl<T: Scalar> Pass for SinesAndCosines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        sin_cos_each::<T, FMA>(self.angles, self.cosines);
    }
}

/// What the gradients in the cosine and the sine of an angle give for the angle.
struct InAngle<'a, T> {
    cos: &'a [T],
    sin: &'a [T],
    in_cos: &'a [T],
    in_sin: &'a [T],
    in_angle: &'a mut [T],
}

impl<T: Scalar> Pass for InAngle<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let given = self.in_cos.iter().zip(self.in_sin);
        // d(cos, sin)/dangle = (−sin, cos)
        for (out, ((&cos, &sin), (&in_cos, &in_sin))) in
            self.in_angle.iter_mut().zip(self.cos.iter().zip(self.sin).zip(given))
        {
            *out = in_sin * cos - in_cos * sin;
        }
    }
}

/// The gradient in an angle from those in its cosine and its sine.
pub(crate) fn in_angle<T: Scalar>([cos, sin]: [&[T]; 2], [in_cos, in_sin]: [&[T]; 2]) -> Vec<T> {
    let mut made = vec![T::from_f64(0.0); cos.len()];
    dispatch(InAngle { cos, sin, in_cos, in_sin, in_angle: &mut made });
    made
}

/// From the gradient in the points on the circle: adds to that in the points and in the period.
pub(crate) fn embed_backward<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    period: &PerDimension,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    if let Some(in_made) = gradients.take(made) {
        backward(points, made, &in_made, period, gradients, theta);
    }
}

/// As [`embed_backward`], given the gradient. Columns after those of the circle are not read.
pub(crate) fn backward<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    in_made: &Mat<T>,
    period: &PerDimension,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    for dim in 0..points.dim() {
        // The angle is 2π x/p up to whole turns.
        let p = period.at(dim);
        let turns_by_x = backward_by(points, made, in_made, dim, 1.0 / p, gradients);
        theta[if period.dim().is_some() { dim } else { 0 }] -= turns_by_x / p / p;
    }
}

/// From the gradient in the circle of one dimension, whose angle is 2π `turns` x: adds to that in the
/// points, and returns the derivative by `turns`.
pub(crate) fn backward_by<T: Scalar>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    in_made: &Mat<T>,
    dim: usize,
    turns: f64,
    gradients: &mut FeatureGradients<T>,
) -> f64 {
    let wave = [made.column(2 * dim), made.column(2 * dim + 1)];
    let in_angle = in_angle(wave, [in_made.col_as_slice(2 * dim), in_made.col_as_slice(2 * dim + 1)]);
    if let Some(in_points) = gradients.at_mut(points) {
        let by_x = T::from_f64(std::f64::consts::TAU * turns);
        elementwise::add_scaled(in_points.col_as_slice_mut(dim), &in_angle, by_x);
    }
    std::f64::consts::TAU * dot_in_f64(&in_angle, points.column(dim))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarantees_are_asked_for_twice_the_dimensions() {
        let (one, each) = (CircleEmbedding::new(2.0), CircleEmbedding::new([2.0, 3.0]));
        assert_eq!(
            (one.psd(Psd::UpTo(3)), one.psd(Psd::UpTo(1)), one.psd(Psd::Always)),
            (Psd::UpTo(1), Psd::Never, Psd::Always)
        );
        assert_eq!((each.psd(Psd::UpTo(4)), each.psd(Psd::UpTo(3))), (Psd::Always, Psd::Never));
        assert!(each.output_dim(3).is_err());
    }
}
