//! Kernels of xᵀy, |x|² and |y|² alone: what a common rotation of both points leaves unchanged.
//!
//! Three numbers a pair, of which two belong to one point each: they are features, computed once a
//! point. The third comes in the form that rounds best, because |x|² + |y|² − 2xᵀy loses all digits
//! for close points: see [`Reads`]. A kernel states its profile in the three numbers and the slopes in each;
//! this file makes tiles and gradients of them.

use std::fmt::Debug;

use faer::Mat;

use super::directions::{self, Augmented};
use super::radial::slopes_bounded;
use crate::Scalar;
use crate::kernel::{
    FeatureGradients, Features, Pairs, Points, Psd, Scratch, Views, add_own_differences, add_own_differences_vjp,
};
use crate::params::Parameterized;
use crate::simd::entries::{Entries, OfEntry};
use crate::simd::{Lanes, One, elementwise};

/// What the first argument of a [`DotProfile`] is, and what the features of a point are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reads {
    /// xᵀy; the feature of a point is [`DotProfile::point`] of |x|².
    InnerProduct,
    /// |x − y|², from differences; the feature of a point is [`DotProfile::point`] of |x|².
    SquaredDistance,
    /// |u − v|² = 2 (1 − cos ∠), for the directions u, v of x and y augmented by a constant
    /// coordinate, (√weight x, √bias); the feature of a point is the length of its augmented vector.
    /// Good to the last digit for the smallest angles, where xᵀy/(|x| |y|) loses half of them. Where u
    /// and v are nearly opposite it is −|u + v|² instead, with the opposite sign to tell it, because
    /// |u − v|² is nearly 4 there: 1 − cos ∠ and 1 + cos ∠ then come from [`versines`]. The slope is always
    /// that in |u − v|².
    ///
    /// The first parameters of the kernel are the weight and, if there is one, the bias.
    SquaredChord {
        /// The factor of the inner product of the points, positive.
        weight: f64,
        /// The square of the constant coordinate, positive; `None` for no such coordinate.
        bias: Option<f64>,
    },
}

/// The derivatives of a profile.
#[derive(Clone, Copy, Debug)]
pub struct Slopes<T> {
    /// In what belongs to the pair.
    pub pair: T,
    /// In the feature of x.
    pub x: T,
    /// In the feature of y.
    pub y: T,
    /// In the first parameters of the kernel, in their order.
    pub theta: [T; 3],
}

/// A kernel as a function of what [`Reads`] says, at precision `T`.
///
/// `value` and `slopes` are called with registers of numbers: see [`Lanes`](crate::simd::Lanes), and mark them
/// `#[inline(always)]`. NaN has to give NaN; slopes are finite everywhere, with their limit or 0 where they have none.
pub trait DotProfile<T: Scalar>: Copy + Send + Sync {
    /// The feature of a point, from its |x|².
    fn point(self, squared_norm: T) -> T {
        squared_norm
    }

    /// The derivatives of the feature, given |x|² and itself: in |x|², and in the first parameters.
    fn point_slopes(self, squared_norm: T, feature: T) -> (T, [T; 3]) {
        let _ = (squared_norm, feature);
        (T::from_f64(1.0), [T::from_f64(0.0); 3])
    }

    /// k, from the pair's number and the features of x and y.
    fn value<L: Lanes<T>>(self, pair: L, x: L, y: L) -> L;

    /// The derivatives of k in its arguments and in the parameters, given k.
    fn slopes<L: Lanes<T>>(self, pair: L, x: L, y: L, value: L) -> Slopes<L>;
}

/// A kernel of xᵀy, |x|² and |y|² alone. Implementing it, and then calling
/// [`dot_product_kernel!`](crate::dot_product_kernel), makes a type a [`Kernel`](crate::Kernel) with
/// vectorised tiles, shared inner products and distances, and gradients in hyperparameters and
/// inputs.
///
/// # Examples
///
/// ```
/// use mercer::kernels::{DotProduct, DotProfile, Slopes};
/// use mercer::prelude::*;
/// use mercer::simd::Lanes;
///
/// /// k = xᵀy/(1 + |x|²)(1 + |y|²)
/// #[derive(Clone, Debug)]
/// struct Damped;
/// mercer::parameterized!(Damped as "damped", parameters: []);
/// mercer::kernel_ops!(Damped);
/// mercer::dot_product_kernel!(Damped);
///
/// #[derive(Clone, Copy)]
/// struct DampedProfile;
///
/// impl<T: Scalar> DotProfile<T> for DampedProfile {
///     fn point(self, squared_norm: T) -> T {
///         T::from_f64(1.0) / (T::from_f64(1.0) + squared_norm)
///     }
///     fn point_slopes(self, _: T, feature: T) -> (T, [T; 3]) {
///         (-feature * feature, [T::from_f64(0.0); 3])
///     }
///     #[inline(always)]
///     fn value<L: Lanes<T>>(self, pair: L, x: L, y: L) -> L {
///         pair * x * y
///     }
///     #[inline(always)]
///     fn slopes<L: Lanes<T>>(self, pair: L, x: L, y: L, _: L) -> Slopes<L> {
///         Slopes { pair: x * y, x: pair * y, y: pair * x, theta: [pair.all(T::from_f64(0.0)); 3] }
///     }
/// }
///
/// impl DotProduct for Damped {
///     type Profile<T: Scalar> = DampedProfile;
///     fn profile<T: Scalar>(&self) -> DampedProfile {
///         DampedProfile
///     }
///     fn psd(&self) -> Psd {
///         Psd::Always
///     }
/// }
///
/// let kernel = 6.0 * Damped;
/// assert_eq!(kernel.gram(mat![[1.0], [-1.0]].as_ref())?, mat![[1.5, -1.5], [-1.5, 1.5]]);
/// mercer::testkit::conforms(&kernel.dynamic(), 2)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DotProduct: Parameterized + Clone + Debug + Send + Sync {
    /// The profile at a precision.
    type Profile<T: Scalar>: DotProfile<T>;

    /// The profile at the present hyperparameters.
    fn profile<T: Scalar>(&self) -> Self::Profile<T>;

    /// What the profile is a function of.
    fn reads(&self) -> Reads {
        Reads::InnerProduct
    }

    /// In which dimensions of the input the kernel is guaranteed positive semi-definite.
    fn psd(&self) -> Psd {
        Psd::Unknown
    }

    /// Whether k depends on the angle between x and y alone.
    fn zonal(&self) -> bool {
        false
    }

    /// The closed forms that it has: see [`Structure::Leaf`](crate::kernel::Structure::Leaf).
    fn views(&self) -> Views<'_> {
        Views::none()
    }

    /// As [`Expr::settings`](crate::Expr::settings).
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Makes a type that is [`DotProduct`](crate::kernels::DotProduct) a [`Kernel`](crate::Kernel).
///
/// # Examples
///
/// See [`DotProduct`](crate::kernels::DotProduct).
#[macro_export]
macro_rules! dot_product_kernel {
    ($type:ty) => {
        impl $crate::Expr for $type {
            fn structure(&self) -> $crate::kernel::Structure<'_> {
                $crate::kernel::Structure::Leaf($crate::kernels::DotProduct::views(self))
            }

            fn properties(&self) -> $crate::kernel::Properties {
                let properties =
                    $crate::kernel::Properties::unknown().psd($crate::kernels::DotProduct::psd(self)).differentiable();
                if $crate::kernels::DotProduct::zonal(self) { properties.zonal() } else { properties }
            }

            fn settings(&self) -> Vec<(&'static str, String)> {
                $crate::kernels::DotProduct::settings(self)
            }
        }

        impl<T: $crate::Scalar> $crate::Kernel<T> for $type {
            fn pairwise(&self, x: &[T], y: &[T]) -> T {
                $crate::kernels::dot_product::pairwise(self, x, y)
            }

            fn embed<'a>(&self, points: &$crate::kernel::Points<'a, T>) -> $crate::kernel::Features<'a, T> {
                $crate::kernels::dot_product::embed(self, points)
            }

            fn tile(
                &self,
                pairs: &$crate::kernel::Pairs<'_, T>,
                out: &mut [T],
                scratch: &mut $crate::kernel::Scratch<T>,
            ) {
                let profile = $crate::kernels::DotProduct::profile::<T>(self);
                let reads = $crate::kernels::DotProduct::reads(self);
                $crate::kernels::dot_product::tile(profile, reads, pairs, out, scratch);
            }

            fn tile_diag(&self, features: &$crate::kernel::Features<'_, T>, out: &mut [T]) {
                let profile = $crate::kernels::DotProduct::profile::<T>(self);
                let reads = $crate::kernels::DotProduct::reads(self);
                $crate::kernels::dot_product::tile_diag(profile, reads, features, out);
            }

            fn tile_vjp(&self, to: $crate::kernel::TileVjp<'_, T>) {
                let $crate::kernel::TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
                let profile = $crate::kernels::DotProduct::profile::<T>(self);
                let reads = $crate::kernels::DotProduct::reads(self);
                $crate::kernels::dot_product::tile_vjp(profile, reads, pairs, value, cotangent, theta, scratch);
            }

            fn tile_diag_vjp(&self, to: $crate::kernel::DiagVjp<'_, T>) {
                let $crate::kernel::DiagVjp { features, cotangent, theta, gradients } = to;
                let profile = $crate::kernels::DotProduct::profile::<T>(self);
                let reads = $crate::kernels::DotProduct::reads(self);
                $crate::kernels::dot_product::tile_diag_vjp(profile, reads, features, cotangent, theta, gradients);
            }

            fn embed_vjp(&self, to: $crate::kernel::EmbedVjp<'_, T>) {
                let $crate::kernel::EmbedVjp { points, features, gradients, theta } = to;
                $crate::kernels::dot_product::embed_vjp(self, points, features, gradients, theta);
            }
        }
    };
}

fn inner_product<T: Scalar>(x: &[T], y: &[T]) -> T {
    x.iter().zip(y).map(|(&x, &y)| x * y).sum()
}

#[doc(hidden)]
pub fn pairwise<T: Scalar, K: DotProduct>(kernel: &K, x: &[T], y: &[T]) -> T {
    let profile = kernel.profile::<T>();
    let feature = |x: &[T]| profile.point(inner_product(x, x));
    match kernel.reads() {
        Reads::InnerProduct => value_at(profile, inner_product(x, y), feature(x), feature(y)),
        Reads::SquaredDistance => {
            let squared = x.iter().zip(y).map(|(&x, &y)| (x - y) * (x - y)).sum();
            value_at(profile, squared, feature(x), feature(y))
        }
        Reads::SquaredChord { weight, bias } => {
            let (chord, x, y) = Augmented { weight, bias }.signed_chord(x, y);
            value_at(profile, chord, x, y)
        }
    }
}

/// Σ_d x_d² of every point.
fn squared_norms<T: Scalar>(points: &Points<'_, T>) -> Vec<T> {
    let mut norms = vec![T::from_f64(0.0); points.len()];
    for dim in 0..points.dim() {
        norms.iter_mut().zip(points.column(dim)).for_each(|(norm, &x)| *norm += x * x);
    }
    norms
}

#[doc(hidden)]
pub fn embed<'a, T: Scalar, K: DotProduct>(kernel: &K, points: &Points<'a, T>) -> Features<'a, T> {
    if let Reads::SquaredChord { weight, bias } = kernel.reads() {
        let (lengths, directions) = Augmented { weight, bias }.embed(points);
        return Features::mapped(lengths, Features::leaf(directions));
    }
    let profile = kernel.profile::<T>();
    let norms = squared_norms(points);
    let made = Mat::from_fn(points.len(), 1, |row, _| profile.point(norms[row]));
    Features::mapped(Points::made(made).with_gradient(true), Features::leaf(points.clone()))
}

/// The profile alone.
#[derive(Clone, Copy)]
struct Value<P> {
    profile: P,
}

impl<T: Scalar, P: DotProfile<T>> OfEntry<T, 0, 0, 0> for Value<P> {
    #[inline(always)]
    fn of<L: Lanes<T>>(self, pair: L, _: [L; 0], [x, y]: [L; 2]) -> (L, [[L; 2]; 0], [L; 0]) {
        (self.profile.value(pair, x, y), [], [])
    }
}

/// k of one pair.
fn value_at<T: Scalar, P: DotProfile<T>>(profile: P, pair: T, x: T, y: T) -> T {
    profile.value(One::<T, false>(pair), One(x), One(y)).0
}

/// 1 − cos ∠ and 1 + cos ∠, from the pair's number of [`Reads::SquaredChord`].
#[inline(always)]
pub fn versines<T: Scalar, L: Lanes<T>>(pair: L) -> (L, L) {
    let zero = pair.all(T::from_f64(0.0));
    let part = pair.if_less(zero, -pair, pair) * 0.5;
    let rest = -part + 2.0;
    (pair.if_less(zero, rest, part), pair.if_less(zero, part, rest))
}

fn fill_pairs<T: Scalar>(reads: Reads, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
    let points = pairs.child(0);
    match reads {
        Reads::InnerProduct => scratch.inner_products(&points, out),
        Reads::SquaredDistance => scratch.squared_distances(&points, out),
        Reads::SquaredChord { .. } => {
            scratch.squared_distances(&points, out);
            let rows = points.nrows();
            for (entry, chord) in out.iter_mut().enumerate().filter(|(_, chord)| directions::is_opposite(**chord)) {
                let coordinate = |d| (points.x_column(d)[entry % rows], points.y_column(d)[entry / rows]);
                *chord = directions::opposite((0..points.dim()).map(coordinate));
            }
        }
    }
}

#[doc(hidden)]
pub fn tile<T: Scalar, P: DotProfile<T>>(
    profile: P,
    reads: Reads,
    pairs: &Pairs<'_, T>,
    out: &mut [T],
    scratch: &mut Scratch<T>,
) {
    fill_pairs(reads, pairs, out, scratch);
    let features = [pairs.x_column(0), pairs.y_column(0)];
    Entries { entries: out, given: [], features, margins: [] }.replace(Value { profile });
}

/// What belongs to the pair of a point with itself.
fn diagonal_pairs<T: Scalar>(reads: Reads, features: &Features<'_, T>) -> Vec<T> {
    match reads {
        Reads::InnerProduct => squared_norms(features.child(0).points()),
        _ => {
            let mut zeros = vec![T::from_f64(0.0); features.points().len()];
            add_own_differences(features.child(0).points(), &mut zeros);
            zeros
        }
    }
}

#[doc(hidden)]
pub fn tile_diag<T: Scalar, P: DotProfile<T>>(profile: P, reads: Reads, features: &Features<'_, T>, out: &mut [T]) {
    let pairs = diagonal_pairs(reads, features);
    for ((out, &pair), &x) in out.iter_mut().zip(&pairs).zip(features.points().column(0)) {
        *out = value_at(profile, pair, x, x);
    }
}

/// All derivatives.
#[derive(Clone, Copy)]
struct WeightedSlopes<P> {
    profile: P,
}

impl<T: Scalar, P: DotProfile<T>> OfEntry<T, 2, 1, 3> for WeightedSlopes<P> {
    /// Cotangent · slope in the pair's number; the same in the features, for the sums over rows and columns, and in the
    /// parameters.
    #[inline(always)]
    fn of<L: Lanes<T>>(self, pair: L, [value, c]: [L; 2], [x, y]: [L; 2]) -> (L, [[L; 2]; 1], [L; 3]) {
        let slopes = self.profile.slopes(pair, x, y, value);
        let [first, second, third] = slopes.theta;
        (slopes_bounded(c * slopes.pair), [[c * slopes.x, c * slopes.y]], [c * first, c * second, c * third])
    }
}

#[doc(hidden)]
pub fn tile_vjp<T: Scalar, P: DotProfile<T>>(
    profile: P,
    reads: Reads,
    pairs: &Pairs<'_, T>,
    value: &[T],
    cotangent: &[T],
    theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let zero = T::from_f64(0.0);
    let (mut pair, mut in_x, mut in_y) =
        (scratch.take(pairs.len()), scratch.take(pairs.nrows()), scratch.take(pairs.ncols()));
    fill_pairs(reads, pairs, &mut pair, scratch);
    in_x.fill(zero);
    in_y.fill(zero);
    let features = [pairs.x_column(0), pairs.y_column(0)];
    let margins = [[&mut in_x[..], &mut in_y[..]]];
    let tile = Entries { entries: &mut pair, given: [value, cotangent], features, margins };
    let in_theta = tile.replace(WeightedSlopes { profile });
    theta.iter_mut().zip(in_theta).for_each(|(sum, slope)| *sum += slope.as_f64());
    scratch.add_point_gradient(pairs, |_, in_rows, in_cols| {
        elementwise::add(in_rows, &in_x);
        elementwise::add(in_cols, &in_y);
    });
    let points = pairs.child(0);
    match reads {
        Reads::InnerProduct => scratch.add_inner_product_gradient(&points, |sum| elementwise::add(sum, &pair)),
        _ => scratch.add_squared_distance_gradient(&points, |sum| elementwise::add(sum, &pair)),
    }
    [pair, in_x, in_y].into_iter().for_each(|buffer| scratch.give(buffer));
}

#[doc(hidden)]
pub fn tile_diag_vjp<T: Scalar, P: DotProfile<T>>(
    profile: P,
    reads: Reads,
    features: &Features<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    gradients: &mut FeatureGradients<T>,
) {
    let pairs = diagonal_pairs(reads, features);
    let lengths = features.points();
    let mut in_pairs = Vec::with_capacity(pairs.len());
    for (row, ((&pair, &x), &c)) in pairs.iter().zip(lengths.column(0)).zip(cotangent).enumerate() {
        let (pair, x) = (One::<T, false>(pair), One(x));
        let slopes = profile.slopes(pair, x, x, profile.value(pair, x, x));
        theta.iter_mut().zip(slopes.theta).for_each(|(sum, One(slope))| *sum += (c * slope).as_f64());
        in_pairs.push(c * slopes.pair.0);
        if let Some(in_lengths) = gradients.at_mut(lengths) {
            in_lengths[(row, 0)] += c * (slopes.x + slopes.y).0;
        }
    }
    match reads {
        Reads::InnerProduct => add_squared_norm_gradient(features.child(0).points(), &in_pairs, gradients),
        // A distance of a point to itself is 0 wherever the point is.
        _ => add_own_differences_vjp(features.child(0).points(), cotangent, theta, gradients),
    }
}

/// Adds to the gradient in the points what that in their |x|² gives: d|x|²/dx = 2x.
fn add_squared_norm_gradient<T: Scalar>(points: &Points<'_, T>, in_norms: &[T], gradients: &mut FeatureGradients<T>) {
    let Some(in_points) = gradients.at_mut(points) else { return };
    for dim in 0..points.dim() {
        let terms = points.column(dim).iter().zip(in_norms);
        for (out, (&x, &g)) in in_points.col_as_slice_mut(dim).iter_mut().zip(terms) {
            *out += (x + x) * g;
        }
    }
}

#[doc(hidden)]
pub fn embed_vjp<T: Scalar, K: DotProduct>(
    kernel: &K,
    points: &Points<'_, T>,
    features: &Features<'_, T>,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    let lengths = features.points();
    if let Reads::SquaredChord { weight, bias } = kernel.reads() {
        let directions = features.child(0).points();
        Augmented { weight, bias }.backward(points, lengths, directions, gradients, theta);
        return;
    }
    let Some(in_lengths) = gradients.take(lengths) else { return };
    let profile = kernel.profile::<T>();
    let mut in_norms = squared_norms(points);
    let given = lengths.column(0).iter().zip(in_lengths.col_as_slice(0));
    for (norm, (&feature, &g)) in in_norms.iter_mut().zip(given) {
        let (slope, in_theta) = profile.point_slopes(*norm, feature);
        theta.iter_mut().zip(in_theta).for_each(|(sum, slope)| *sum += (g * slope).as_f64());
        *norm = g * slope;
    }
    add_squared_norm_gradient(points, &in_norms, gradients);
}
