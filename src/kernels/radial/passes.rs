//! Loops over tiles and blocks: the profile, and its derivatives.

use super::{Profile, feature_scale, largest, slope_bounded, slopes_bounded};
use crate::Scalar;
use crate::kernel::{Kernel, Pairs, Scratch, Target, TileParts, TileVjp};
use crate::params::PerDimension;
use crate::simd::map::{Map, map};
use crate::simd::sweep::{OfSquaredDistance, Order};
use crate::simd::sweep_gradient::GradientInSquaredDistance;
use crate::simd::window::Window;
use crate::simd::{Lanes, One};

pub(super) fn has_shape<T: Scalar, P: Profile<T>>(profile: P) -> bool {
    profile.shape_slope(One::<T, false>(T::from_f64(0.0)), One(T::from_f64(1.0))).is_some()
}

/// The profile, its argument and its value each times a factor.
#[derive(Clone, Copy)]
struct ScaledProfile<T, P> {
    profile: P,
    scale: T,
    factor: T,
}

impl<T: Scalar, P: Profile<T>> OfSquaredDistance<T> for ScaledProfile<T, P> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, squared: L) -> L {
        self.profile.value(scaled(squared, self.scale)) * squared.all(self.factor)
    }
}

/// s, from the squared distance of the features.
#[inline(always)]
fn scaled<T: Scalar, L: Lanes<T>>(squared: L, scale: T) -> L {
    (squared * squared.all(scale)).at_most(largest())
}

/// The profile alone.
#[derive(Clone, Copy)]
struct Value<T, P> {
    profile: P,
    scale: T,
}

impl<T: Scalar, P: Profile<T>> Map<T, 1, 1, 0> for Value<T, P> {
    #[inline(always)]
    fn map<L: Lanes<T>>(self, [squared]: [L; 1]) -> ([L; 1], [L; 0]) {
        ([self.profile.value(scaled(squared, self.scale))], [])
    }
}

/// Value and slope, where both will be wanted.
#[derive(Clone, Copy)]
struct ValueAndSlope<T, P> {
    profile: P,
    scale: T,
}

impl<T: Scalar, P: Profile<T>> Map<T, 1, 2, 0> for ValueAndSlope<T, P> {
    #[inline(always)]
    fn map<L: Lanes<T>>(self, [squared]: [L; 1]) -> ([L; 2], [L; 0]) {
        let (value, slope) = self.profile.value_and_slope(scaled(squared, self.scale));
        ([value, slope], [])
    }
}

pub(in crate::kernels) fn tile<T: Scalar, P: Profile<T>>(
    profile: P,
    lengthscale: &PerDimension,
    pairs: &Pairs<'_, T>,
    out: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let scale = feature_scale(lengthscale, pairs);
    if !scratch.keeps_slopes() || has_shape(profile) {
        scaled_tile(profile, scale, pairs, out, scratch);
        return;
    }
    let mut slope = scratch.take(pairs.len());
    scratch.with_squared_distances(pairs, |squared| {
        map(ValueAndSlope { profile, scale }, [squared], [out, &mut slope]);
    });
    scratch.keep_slope(leaf(lengthscale), pairs, slope);
}

/// Tells leaves apart by where they are in memory.
fn leaf(lengthscale: &PerDimension) -> usize {
    std::ptr::from_ref(lengthscale).addr()
}

/// The profile at `scale` times the squared distance of the features.
pub(in crate::kernels) fn scaled_tile<T: Scalar, P: Profile<T>>(
    profile: P,
    scale: T,
    pairs: &Pairs<'_, T>,
    out: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let function = ScaledProfile { profile, scale, factor: T::from_f64(1.0) };
    if scratch.sweep(pairs, function, &mut Window::of_tile(out, pairs.nrows()), (false, Order::default())) {
        return;
    }
    scratch.with_squared_distances(pairs, |squared| map(Value { profile, scale }, [squared], [out]));
}

/// Writes the profile at `scale` times the squared distance of the features into a matrix.
pub(in crate::kernels) fn write_block<T: Scalar, P: Profile<T>>(
    profile: P,
    scale: T,
    pairs: &Pairs<'_, T>,
    target: &mut Target<'_, T>,
    scratch: &mut Scratch<T>,
) {
    let function = |factor| ScaledProfile { profile, scale, factor };
    target.take_as_function_of_squared_distance(pairs, scratch, function);
    target.write_tile(pairs, scratch, &mut |pairs, out, scratch| scaled_tile(profile, scale, pairs, out, scratch));
}

/// Where a pass over a tile takes dk/ds from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// From s.
    Nothing,
    /// From k(s), in the tile of what is known.
    Value,
    /// It is what is known.
    Slope,
}

/// All derivatives of a radial kernel.
#[derive(Clone, Copy)]
struct Slopes<T, P, const KNOWN: u8> {
    profile: P,
    scale: T,
}

impl<T: Scalar, P: Profile<T>, const KNOWN: u8> Map<T, 3, 1, 2> for Slopes<T, P, KNOWN> {
    const ONTO: bool = true;

    /// dL/dr², and what is summed: cotangent · s · dk/ds, and cotangent · dk/da.
    #[inline(always)]
    fn map<L: Lanes<T>>(self, [squared, known, cotangent]: [L; 3]) -> ([L; 1], [L; 2]) {
        let s = scaled(squared, self.scale);
        let mut in_shape = None;
        let slope = if KNOWN == Known::Nothing as u8 {
            self.profile.value_and_slope(s).1
        } else if KNOWN == Known::Value as u8 {
            in_shape = self.profile.shape_slope(s, known);
            self.profile.slope(s, known)
        } else {
            known
        };
        let slope = cotangent * slope;
        let in_shape = in_shape.map_or(s.all(T::from_f64(0.0)), |in_shape| cotangent * in_shape);
        ([slopes_bounded(slope * s.all(self.scale))], [slope * s, in_shape])
    }
}

pub(in crate::kernels) fn tile_vjp<T: Scalar, P: Profile<T>>(
    profile: P,
    lengthscale: &PerDimension,
    pairs: &Pairs<'_, T>,
    value: &[T],
    cotangent: &[T],
    theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let scale = feature_scale(lengthscale, pairs);
    let [weighted, shape] = if has_shape(profile) {
        slopes::<_, _, { Known::Value as u8 }>(profile, scale, pairs, value, cotangent, scratch)
    } else if let Some(slope) = scratch.take_slope(leaf(lengthscale), pairs) {
        let sums = slopes::<_, _, { Known::Slope as u8 }>(profile, scale, pairs, &slope, cotangent, scratch);
        scratch.give(slope);
        sums
    } else {
        slopes::<_, _, { Known::Nothing as u8 }>(profile, scale, pairs, cotangent, cotangent, scratch)
    };
    add_in_lengthscale(lengthscale, pairs, weighted, theta);
    if has_shape(profile)
        && let Some(last) = theta.last_mut()
    {
        *last += profile.shape_unit() * shape.as_f64();
    }
}

/// The gradient of [`ScaledProfile`].
#[derive(Clone, Copy)]
struct ScaledSlope<T, P> {
    profile: P,
    scale: T,
    factor: T,
}

impl<T: Scalar, P: Profile<T>> GradientInSquaredDistance<T> for ScaledSlope<T, P> {
    const FROM_VALUE: bool = P::SLOPE_FROM_VALUE;
    const PROPORTIONAL: bool = P::SLOPE_IS_PROPORTIONAL;

    #[inline(always)]
    fn argument<L: Lanes<T>>(self, squared: L) -> L {
        scaled(squared, self.scale)
    }

    #[inline(always)]
    fn value_and_slope<L: Lanes<T>>(self, argument: L) -> (L, L) {
        self.profile.value_and_slope(argument)
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, value: L) -> L {
        self.profile.slope(value.all(T::from_f64(0.0)), value)
    }

    #[inline(always)]
    fn unit(self) -> T {
        slope_bounded(self.factor * self.scale)
    }
}

/// The VJP of a block on these pairs, straight from its cotangents where that is possible, or by the tiles of a kernel.
pub(in crate::kernels) fn block_vjp<T: Scalar, P: Profile<T>>(
    profile: P,
    lengthscale: &PerDimension,
    pairs: &Pairs<'_, T>,
    kernel: &dyn Kernel<T>,
    to: TileVjp<'_, T>,
) {
    if has_shape(profile) {
        let TileParts { value, cotangent, theta, scratch, .. } = to.with_value(kernel);
        return tile_vjp(profile, lengthscale, pairs, value, cotangent, theta, scratch);
    }
    let function = |factor| ScaledSlope { profile, scale: feature_scale(lengthscale, pairs), factor };
    let sum = |weighted, theta: &mut [f64]| add_in_lengthscale(lengthscale, pairs, weighted, theta);
    let sum = matches!(lengthscale, PerDimension::One(_)).then_some(sum);
    if let Some(to) = to.by_squared_distance(pairs, function, sum) {
        let TileParts { value, cotangent, theta, scratch, .. } = to.dense(kernel);
        tile_vjp(profile, lengthscale, pairs, value, cotangent, theta, scratch);
    }
}

/// Adds the gradient in one lengthscale, given Σ cotangent · s · dk/ds; that in several, and in one that differences are
/// divided by, comes from the features.
pub(in crate::kernels) fn add_in_lengthscale<T: Scalar>(
    lengthscale: &PerDimension,
    pairs: &Pairs<'_, T>,
    weighted: T,
    theta: &mut [f64],
) {
    if let (PerDimension::One(lengthscale), None, Some(first)) = (lengthscale, pairs.weights(), theta.first_mut()) {
        *first -= 2.0 * weighted.as_f64() / lengthscale.value();
    }
}

/// Adds the gradient of [`scaled_tile`], whose value is given, to that in the squared distances.
pub(in crate::kernels) fn scaled_tile_vjp<T: Scalar, P: Profile<T>>(
    profile: P,
    scale: T,
    pairs: &Pairs<'_, T>,
    value: &[T],
    cotangent: &[T],
    scratch: &mut Scratch<T>,
) {
    slopes::<_, _, { Known::Value as u8 }>(profile, scale, pairs, value, cotangent, scratch);
}

/// Adds to the gradient in the squared distances. Returns Σ cotangent · s · dk/ds and
/// Σ cotangent · dk/da.
fn slopes<T: Scalar, P: Profile<T>, const KNOWN: u8>(
    profile: P,
    scale: T,
    pairs: &Pairs<'_, T>,
    known: &[T],
    cotangent: &[T],
    scratch: &mut Scratch<T>,
) -> [T; 2] {
    let slopes = Slopes::<_, _, KNOWN> { profile, scale };
    scratch
        .with_squared_distance_gradient(pairs, |squared, gradient| map(slopes, [squared, known, cotangent], [gradient]))
}
