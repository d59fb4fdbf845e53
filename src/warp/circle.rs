//! The circle embedding: a warp of its own, and what is behind the periodic kernel.

use std::f64::consts::{PI, TAU};

use faer::Mat;

use super::ard::inverse;
use super::coordinate::check_dim;
use super::{Warp, WarpExpr};
use crate::kernel::span::Span;
use crate::kernel::{FeatureGradients, Points, Properties, Psd};
use crate::params::PerDimension;
use crate::simd::remainder::remainder_each;
use crate::simd::sum::dot_of_gradient;
use crate::simd::trig::sin_cos_each;
use crate::simd::{Pass, dispatch, elementwise};
use crate::{Result, Scalar};

crate::declare! {
    /// Each coordinate laid on a circle: the warp behind
    /// [`circle`](crate::algebra::Compose::circle). It makes any kernel periodic.
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
    /// [periodic kernel](crate::kernels::Periodic). Kernels of the distance alone give stationary
    /// expressions; others need not be functions of x − y.
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
    pub CircleEmbedding as "circle" {
        /// The period: one, or one for each dimension.
        period: PerDimension = Positive,
    }
}

impl WarpExpr for CircleEmbedding {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        check_dim("circle", "period", &self.period, dim).map(|()| dim.saturating_mul(2))
    }

    fn psd(&self, kernel: Psd) -> Psd {
        match (kernel, self.period.dim()) {
            (Psd::UpTo(most), Some(dim)) if 2 * dim <= most => Psd::Always,
            (Psd::UpTo(most), None) if most >= 2 => Psd::UpTo(most / 2),
            (Psd::Always, _) => Psd::Always,
            _ => Psd::Unknown,
        }
    }

    fn reads(&self, _: usize, made: &[bool]) -> Vec<bool> {
        made.chunks_exact(2).map(|pair| pair.contains(&true)).collect()
    }

    // Moving x rotates each circle.
    fn properties(&self, kernel: Properties) -> Properties {
        let properties = Properties::unknown().psd(self.psd(kernel.psd));
        Properties { stationary: kernel.isotropic, differentiable: kernel.differentiable, ..properties }
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
            let (sin, cos) = angle(x.as_f64(), self.period.at(dim)).sin_cos();
            out.copy_from_slice(&[T::from_f64(cos), T::from_f64(sin)]);
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

    // f(x) − f(y) is the chord of length 2 sin h, h = π (x − y)/p, across the mean of both angles.
    fn difference(&self, [x, y]: [&[T]; 2], out: &mut [T]) -> bool {
        for (dim, (out, (&x, &y))) in out.chunks_exact_mut(2).zip(x.iter().zip(y)).enumerate() {
            let chord = Chord::new(x, y, self.period.at(dim));
            out.copy_from_slice(&chord.across.map(|across| T::from_f64(2.0 * chord.half.sin() * across)));
        }
        true
    }

    // Cosine and sine are each right to half a unit in the last place of numbers up to 1.
    fn rounding(&self, points: &Points<'_, T>) -> Option<Vec<f64>> {
        (!points.against_zero()).then(|| vec![T::epsilon().as_f64(); 2 * points.dim()])
    }

    // With g and g' the derivatives along the circle at x and y, that in 2π/p is x g − y g'. Where the kernel depends on
    // x − y alone, g = g', and the second term below is the rounding of 0.
    fn difference_backward(
        &self,
        [x, y]: [&[T]; 2],
        origin: &[T],
        in_difference: &[T],
        [in_x, in_y]: [&mut [T]; 2],
        theta: &mut [f64],
    ) {
        for (dim, gradient) in in_difference.chunks_exact(2).enumerate() {
            // Whatever stands in a column that nobody reads, NaN too.
            if gradient.iter().all(|&gradient| gradient == T::from_f64(0.0)) {
                continue;
            }
            let p = self.period.at(dim);
            let Chord { half, across: [cos, sin] } = Chord::new(x[dim], y[dim], p);
            let (in_cos, in_sin) = (gradient[0].as_f64(), gradient[1].as_f64());
            // The tangents at x and y are those at the middle, turned by ±h.
            let (along, inward) = (in_cos * cos + in_sin * sin, in_cos * -sin + in_sin * cos);
            let (sin_h, cos_h) = half.sin_cos();
            let [by_x, by_y] = [1.0, -1.0].map(|side| cos_h * along + side * sin_h * inward);
            let turns = inverse::<f64>(p);
            in_x[dim] += T::from_f64(TAU * by_x * turns);
            in_y[dim] -= T::from_f64(TAU * by_y * turns);
            let (x, y, origin) = (x[dim].as_f64(), y[dim].as_f64(), origin[dim].as_f64());
            let by_turns = TAU * (0.5 * (by_x + by_y) * (x - y) + 0.5 * (by_x - by_y) * ((x - origin) + (y - origin)));
            theta[if self.period.dim().is_some() { dim } else { 0 }] -= by_turns * turns * turns;
        }
    }
}

/// Two points of a circle.
struct Chord {
    /// Half of the angle between them.
    half: f64,
    /// The direction from y to x, for a positive angle: the tangent at the mean of their angles.
    across: [f64; 2],
}

impl Chord {
    fn new<T: Scalar>(x: T, y: T, period: f64) -> Self {
        let half = PI * turn(x, y, period);
        // The mean in a form that does not depend on the order of both, opposite to the one meant after an odd number of
        // half turns.
        let [x, y] = [x, y].map(|point| angle(point.as_f64(), period));
        let (sin, cos) = (0.5 * (x + y)).sin_cos();
        let half_turns = ((0.5 * (x - y) - half) / PI).round();
        let side = if half_turns % 2.0 == 0.0 { 1.0 } else { -1.0 };
        Self { half, across: [-side * sin, side * cos] }
    }
}

/// (x − y)/p less whole turns, between −½ and ½: to a rounding unit of itself, by the exact difference of two
/// floating-point numbers and the exact remainder of its larger part.
pub(crate) fn turn<T: Scalar>(x: T, y: T, period: f64) -> f64 {
    let [difference, lost] = exact_difference(x.as_f64(), y.as_f64());
    let left = difference % period;
    let whole = if left > 0.5 * period {
        period
    } else if left < -0.5 * period {
        -period
    } else {
        0.0
    };
    ((left - whole) + lost % period) / period
}

/// a − b as the sum of two numbers (Knuth's two-sum).
#[inline(always)]
fn exact_difference<R: Scalar>(a: R, b: R) -> [R; 2] {
    let difference = a - b;
    let other = difference - a;
    [difference, (a - (difference - other)) - (b + other)]
}

/// 2π times the part of x that the period leaves over, divided by the period. The remainder of
/// floating-point numbers is exact, so that the angle is as good far from the origin as near it.
#[inline]
fn angle(x: f64, period: f64) -> f64 {
    TAU * ((x % period) / period)
}

/// The points on the circle: for each dimension d, the columns cos and sin of 2π (x_d − o_d)/p_d.
///
/// The squared distance of two such points is Σ_d 4 sin²(π Δ_d/p_d). They are computed in `f64` at either precision: an
/// angle loses digits that a point of the circle has.
pub(crate) fn embed<'a, T: Scalar>(points: &Points<'a, T>, period: &PerDimension) -> Points<'a, T> {
    embed_in::<T, f64>(points, period)
}

/// The same, computed with another precision: that of the points is faster in `f32`, and loses 3π rounding units.
pub(crate) fn embed_in<'a, T: Scalar, R: Scalar>(points: &Points<'a, T>, period: &PerDimension) -> Points<'a, T> {
    embed_by::<T, R>(points, |dim, values, lost| {
        let exact = period.at(dim);
        let period = R::from_f64(exact);
        // What whole turns of the rounded period are short of, in proportion to the coordinate.
        let short = R::from_f64((exact - period.as_f64()) / exact);
        if short != R::from_f64(0.0) {
            lost.resize(values.len(), R::from_f64(0.0));
            lost.iter_mut().zip(&*values).for_each(|(lost, &value)| *lost -= short * value);
        }
        dispatch(Angles { period, values, lost });
    })
}

/// For each dimension, the columns cos and sin of an angle. `angles` replaces coordinates less their origin by their angles,
/// given what the subtraction has lost: nothing, if the list is empty.
pub(crate) fn embed_by<'a, T: Scalar, R: Scalar>(
    points: &Points<'a, T>,
    angles: impl Fn(usize, &mut [R], &mut Vec<R>),
) -> Points<'a, T> {
    let mut made = Mat::zeros(points.len(), 2 * points.dim());
    let [mut sines, mut cosines] = [(); 2].map(|()| vec![R::from_f64(0.0); points.len()]);
    let mut lost = Vec::new();
    for dim in 0..points.dim() {
        let (x, origin) = (points.column(dim), points.origin(dim).as_f64());
        lost.clear();
        sines.iter_mut().zip(x).for_each(|(left, x)| *left = R::from_f64(x.as_f64()));
        if origin != 0.0 {
            lost.resize(x.len(), R::from_f64(0.0));
            dispatch(LessOrigin { origin: R::from_f64(origin), left: &mut sines, lost: &mut lost });
        }
        angles(dim, &mut sines, &mut lost);
        dispatch(SinesAndCosines { angles: &mut sines, cosines: &mut cosines });
        for (offset, values) in [&cosines, &sines].into_iter().enumerate() {
            let column = made.col_as_slice_mut(2 * dim + offset);
            column.iter_mut().zip(values).for_each(|(out, &value)| *out = T::from_f64(value.as_f64()));
        }
    }
    let ranges = points.span().map(|_| Span::known(vec![[-1.0, 1.0]; 2 * points.dim()]));
    Points::made(made).with_gradient(true).against(ranges)
}

/// Subtracts the origin from coordinates, and keeps what that lost.
struct LessOrigin<'a, R> {
    origin: R,
    left: &'a mut [R],
    lost: &'a mut [R],
}

impl<R: Scalar> Pass for LessOrigin<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (left, lost) in self.left.iter_mut().zip(self.lost) {
            [*left, *lost] = exact_difference(*left, self.origin);
        }
    }
}

/// The angles of coordinates: see [`angle`].
struct Angles<'a, R> {
    period: R,
    values: &'a mut [R],
    lost: &'a mut [R],
}

impl<R: Scalar> Pass for Angles<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        remainder_each::<R, FMA>(self.values, self.period);
        remainder_each::<R, FMA>(self.lost, self.period);
        for (value, &lost) in self.values.iter_mut().zip(&*self.lost) {
            *value += lost;
        }
        for value in self.values {
            *value = R::TAU() * (*value / self.period);
        }
    }
}

/// Replaces angles by their sines.
struct SinesAndCosines<'a, R> {
    angles: &'a mut [R],
    cosines: &'a mut [R],
}

impl<R: Scalar> Pass for SinesAndCosines<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        sin_cos_each::<R, FMA>(self.angles, self.cosines);
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
        let (given, zero) = (self.in_cos.iter().zip(self.in_sin), T::from_f64(0.0));
        // d(cos, sin)/dangle = (−sin, cos)
        for (out, ((&cos, &sin), (&in_cos, &in_sin))) in
            self.in_angle.iter_mut().zip(self.cos.iter().zip(self.sin).zip(given))
        {
            // Where nothing depends on it, an angle may be NaN.
            let unread = in_sin == zero && in_cos == zero;
            *out = if unread { zero } else { in_sin * cos - in_cos * sin };
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
        let turns = inverse::<f64>(p);
        let turns_by_x = backward_by(points, made, in_made, dim, turns, gradients);
        theta[if period.dim().is_some() { dim } else { 0 }] -= turns_by_x * turns * turns;
    }
}

/// From the gradient in the circle of one dimension, whose angle is 2π `turns` (x − o): adds to that in the
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
        let by_x = T::from_f64(TAU * turns);
        elementwise::add_scaled(in_points.col_as_slice_mut(dim), &in_angle, by_x);
    }
    TAU * dot_of_gradient(&in_angle, &points.shifted(dim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarantees_are_asked_for_twice_the_dimensions() {
        let (one, each) = (CircleEmbedding::new(2.0), CircleEmbedding::new([2.0, 3.0]));
        assert_eq!(
            (one.psd(Psd::UpTo(3)), one.psd(Psd::UpTo(1)), one.psd(Psd::Always)),
            (Psd::UpTo(1), Psd::Unknown, Psd::Always)
        );
        assert_eq!((each.psd(Psd::UpTo(4)), each.psd(Psd::UpTo(3))), (Psd::Always, Psd::Unknown));
        assert!(each.output_dim(3).is_err());
    }
}
