//! Loops over tiles and blocks: the profile, and its derivatives.

use super::{Profile, bounded, feature_scale, slope_bounded};
use crate::Scalar;
use crate::kernel::{Kernel, Pairs, Scratch, Target, TileParts, TileVjp};
use crate::params::PerDimension;
use crate::simd::fused::{GradientInSquaredDistance, OfSquaredDistance, Windows};
use crate::simd::sum::lane_sum;
use crate::simd::window::Window;
use crate::simd::{Pass, dispatch};

pub(super) fn has_shape<T: Scalar, P: Profile<T>>(profile: P) -> bool {
    profile.shape_slope::<false>(T::from_f64(0.0), T::from_f64(1.0)).is_some()
}

struct ProfilePass<'a, T, P> {
    profile: P,
    scale: T,
    squared: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar, P: Profile<T>> Pass for ProfilePass<'_, T, P> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, &squared) in self.out.iter_mut().zip(self.squared) {
            *out = self.profile.value::<FMA>(bounded(squared * self.scale));
        }
    }
}

/// Value and slope in one pass, where both will be wanted.
struct ValueAndSlope<'a, T, P> {
    profile: P,
    scale: T,
    squared: &'a [T],
    value: &'a mut [T],
    slope: &'a mut [T],
}

impl<T: Scalar, P: Profile<T>> Pass for ValueAndSlope<'_, T, P> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((value, slope), &squared) in self.value.iter_mut().zip(self.slope).zip(self.squared) {
            (*value, *slope) = self.profile.value_and_slope::<FMA>(bounded(squared * self.scale));
        }
    }
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
    fn value<const FMA: bool>(self, squared: T) -> T {
        self.profile.value::<FMA>(bounded(squared * self.scale)) * self.factor
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
        dispatch(ValueAndSlope { profile, scale, squared, value: out, slope: &mut slope });
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
    let block = Window::of_tile(out, pairs.nrows());
    if scratch.fused(pairs, function, &mut Windows { block, mirrored: None, past_caches: false }) {
        return;
    }
    scratch.with_squared_distances(pairs, |squared| dispatch(ProfilePass { profile, scale, squared, out }));
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
    if !target.write_of_squared_distance(pairs, scratch, function) {
        target.write_tile(pairs, scratch, &mut |pairs, out, scratch| scaled_tile(profile, scale, pairs, out, scratch));
    }
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

/// Entries whose sums are kept apart: so many that the compiler makes a loop over vectors of them. Fewer it
/// unrolls, and does not find the vectors again.
const TOGETHER: usize = 64;

/// One pass over a tile for all derivatives of a radial kernel.
struct SlopePass<'a, T, P, const KNOWN: u8> {
    profile: P,
    scale: T,
    squared: &'a [T],
    known: &'a [T],
    cotangent: &'a [T],
    /// dL/dr², to add to; empty if nobody wants it.
    gradient: &'a mut [T],
}

impl<T: Scalar, P: Profile<T>, const KNOWN: u8> SlopePass<'_, T, P, KNOWN> {
    const NOTHING: bool = KNOWN == Known::Nothing as u8;
    const VALUE: bool = KNOWN == Known::Value as u8;

    /// s, cotangent · dk/ds, and cotangent · dk/da.
    #[inline(always)]
    fn one<const FMA: bool>(profile: P, scale: T, squared: T, known: T, cotangent: T) -> (T, T, T) {
        let s = bounded(squared * scale);
        let slope = if Self::NOTHING {
            profile.value_and_slope::<FMA>(s).1
        } else if Self::VALUE {
            profile.slope::<FMA>(s, known)
        } else {
            known
        };
        let in_shape = if Self::VALUE { profile.shape_slope::<FMA>(s, known) } else { None };
        (s, cotangent * slope, cotangent * in_shape.unwrap_or(T::from_f64(0.0)))
    }
}

impl<T: Scalar, P: Profile<T>, const KNOWN: u8> Pass for SlopePass<'_, T, P, KNOWN> {
    /// Σ cotangent · s · dk/ds, and Σ cotangent · dk/da.
    type Output = (T, T);

    #[inline(always)]
    fn run<const FMA: bool>(self) -> (T, T) {
        let Self { profile, scale, squared, known, cotangent, gradient } = self;
        let zero = T::from_f64(0.0);
        let (mut weighted, mut shape) = ([zero; TOGETHER], [zero; TOGETHER]);
        let mut unread = [zero; TOGETHER];
        for start in (0..squared.len()).step_by(TOGETHER) {
            let part = start..squared.len().min(start + TOGETHER);
            let gradient = match gradient.is_empty() {
                true => &mut unread[..part.len()],
                false => &mut gradient[part.clone()],
            };
            let entries = squared[part.clone()].iter().zip(&known[part.clone()]).zip(&cotangent[part]);
            let sums = weighted.iter_mut().zip(&mut shape);
            for (((entry, &cotangent), (weighted, shape)), gradient) in entries.zip(sums).zip(gradient) {
                let (s, slope, in_shape) = Self::one::<FMA>(profile, scale, *entry.0, *entry.1, cotangent);
                *weighted += slope * s;
                *shape += in_shape;
                *gradient += slope_bounded(slope * scale);
            }
        }
        (lane_sum([&weighted], |[sum]| sum), lane_sum([&shape], |[sum]| sum))
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
    let (weighted, shape) = if has_shape(profile) {
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
    #[inline(always)]
    fn weigh<const FMA: bool>(self, squared: T, cotangent: T) -> (T, [T; 2]) {
        let s = bounded(squared * self.scale);
        let (value, slope) = self.profile.value_and_slope::<FMA>(s);
        let weighted = cotangent * self.factor * slope;
        (slope_bounded(weighted * self.scale), [weighted * s, cotangent * value])
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
) -> (T, T) {
    scratch.with_squared_distance_gradient(pairs, |squared, gradient| {
        dispatch(SlopePass::<_, _, KNOWN> { profile, scale, squared, known, cotangent, gradient })
    })
}
