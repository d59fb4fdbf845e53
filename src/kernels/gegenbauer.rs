//! Gegenbauer series: the kernels that depend on the angle alone.
//!
//! In D dimensions, with λ = (D − 2)/2, every zonal covariance is Σₙ bₙ Gₙ(t) with t = cos θ, bₙ ≥ 0 and
//! Gₙ = Cₙ^λ/Cₙ^λ(1) (Schoenberg 1942). The three-term recurrence, written for the differences and
//! h = 1 − t,
//!
//! (n + 2λ) (Gₙ₊₁ − Gₙ) = n (Gₙ − Gₙ₋₁) − 2 (n + λ) h Gₙ,
//!
//! keeps all digits for close directions, of which h = |u − v|²/2 has all, and covers the
//! circle (λ = 0), where Gₙ = cos nθ. The derivative is a multiple of the same polynomial for
//! λ + 1: dGₙ/dt = n (n + 2λ)/(2λ + 1) Gₙ₋₁.

use std::fmt::Debug;

use super::directions::Augmented;
use super::radial::slope_bounded;
use crate::kernel::{
    Expr, FeatureGradients, Features, Inputs, Pairs, Points, Scratch, Variable, add_own_differences_vjp, fill_diag,
    text,
};
use crate::params::Parameterized;
use crate::simd::sum::lane_sum;
use crate::simd::{LANES, Pass, dispatch, elementwise, sum};
use crate::sphere::recurrence::Recurrence;
use crate::sphere::{area, harmonics_of_degree};
use crate::{Error, Real, Result, Scalar};

/// A kernel that is a Gegenbauer series in each dimension; [`sphere_kernel!`] makes it a
/// [`Kernel`](crate::Kernel).
pub(super) trait Series: Parameterized + Clone + Debug + Send + Sync {
    /// The coefficients b₀, b₁, …, of which there is at least one.
    fn coefficients(&self, dim: usize) -> Vec<f64>;

    /// Adds to the gradient in the parameters, from that in the coefficients.
    fn add_gradient(&self, dim: usize, in_coefficients: &[f64], theta: &mut [f64]);
}

/// Makes a [`Series`] a kernel.
macro_rules! sphere_kernel {
    ($type:ty) => {
        impl<T: $crate::Scalar> $crate::Kernel<T> for $type {
            fn pairwise(&self, x: &[T], y: &[T]) -> T {
                $crate::kernels::gegenbauer::pairwise(self, x, y)
            }

            fn embed<'a>(&self, points: &$crate::kernel::Points<'a, T>) -> $crate::kernel::Features<'a, T> {
                $crate::kernels::gegenbauer::embed(points)
            }

            fn tile(
                &self,
                pairs: &$crate::kernel::Pairs<'_, T>,
                out: &mut [T],
                scratch: &mut $crate::kernel::Scratch<T>,
            ) {
                $crate::kernels::gegenbauer::tile(self, pairs, out, scratch);
            }

            fn tile_diag(&self, features: &$crate::kernel::Features<'_, T>, out: &mut [T]) {
                $crate::kernels::gegenbauer::tile_diag(self, features, out);
            }

            fn tile_vjp(&self, to: $crate::kernel::TileVjp<'_, T>) {
                let $crate::kernel::TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
                $crate::kernels::gegenbauer::tile_vjp(self, pairs, cotangent, theta, scratch);
            }

            fn tile_diag_vjp(&self, to: $crate::kernel::DiagVjp<'_, T>) {
                let $crate::kernel::DiagVjp { features, cotangent, theta, gradients } = to;
                $crate::kernels::gegenbauer::tile_diag_vjp(self, features, cotangent, theta, gradients);
            }

            fn embed_vjp(&self, to: $crate::kernel::EmbedVjp<'_, T>) {
                let $crate::kernel::EmbedVjp { points, features, gradients, .. } = to;
                $crate::kernels::gegenbauer::embed_vjp(points, features, gradients);
            }
        }
    };
}

pub(super) use sphere_kernel;

/// Refuses points of one dimension, whose directions are two.
pub(super) fn check_dim(kernel: &dyn Expr, dim: usize) -> Result<Inputs<'static>> {
    if dim >= 2 {
        return Ok(Inputs::all(dim));
    }
    let needs = "reads directions, which need at least 2 dimensions".to_owned();
    Err(Error::Dimension { kernel: text(kernel).to_string(), needs, found: dim })
}

/// What a series' bₙ is multiplied by in the Funk–Hecke coefficient aₙ: |S|/N(D, n).
fn measure(dim: usize, n: usize) -> f64 {
    harmonics_of_degree(dim, n).map_or(0.0, |count| area(dim) / count as f64)
}

/// The Funk–Hecke coefficients of the series Σₙ bₙ Gₙ.
pub(super) fn funk_hecke(series: &[Variable], dim: usize, l_max: usize) -> Vec<Variable> {
    let zero = Variable::from_f64(0.0);
    (0..=l_max).map(|n| series.get(n).map_or(zero, |&b| b * measure(dim, n))).collect()
}

/// 1 − cos θ, from the squared chord, which rounding may carry beyond 4.
#[inline(always)]
fn versine<T: Scalar>(chord: T) -> T {
    let (half, two) = (T::from_f64(0.5), T::from_f64(2.0));
    if half * chord > two { two } else { half * chord }
}

/// The coefficients at a precision, with 2λ.
struct Coefficients<T> {
    of: Vec<T>,
    twice: T,
}

impl<T: Scalar> Coefficients<T> {
    fn new<K: Series>(kernel: &K, dim: usize) -> Self {
        let of = kernel.coefficients(dim).into_iter().map(T::from_f64).collect();
        Self { of, twice: T::from_f64(dim as f64 - 2.0) }
    }

    /// Σₙ bₙ Gₙ
    #[inline(always)]
    fn values(&self, h: [T; LANES]) -> [T; LANES] {
        let mut recurrence = Recurrence::new(self.twice, h);
        let mut sums = [T::from_f64(0.0); LANES];
        for (n, &b) in self.of.iter().enumerate() {
            sums.iter_mut().zip(&recurrence.value).for_each(|(sum, &value)| *sum += b * value);
            recurrence.step(n);
        }
        sums
    }
}

/// Calls `act` for every [`LANES`] pairs, the last of them filled up with zeros.
#[inline(always)]
fn by_lanes<T: Scalar>(chords: &mut [T], mut act: impl FnMut(usize, [T; LANES]) -> [T; LANES]) {
    for (index, part) in chords.chunks_mut(LANES).enumerate() {
        let mut h = [T::from_f64(0.0); LANES];
        h.iter_mut().zip(&*part).for_each(|(h, &chord)| *h = versine(chord));
        let result = act(index * LANES, h);
        part.copy_from_slice(&result[..part.len()]);
    }
}

struct Values<'a, T> {
    coefficients: &'a Coefficients<T>,
    /// |u − v|² on entry, k on return.
    out: &'a mut [T],
}

impl<T: Scalar> Pass for Values<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        by_lanes(self.out, |_, h| self.coefficients.values(h));
    }
}

struct SlopePass<'a, T> {
    coefficients: &'a Coefficients<T>,
    /// |u − v|² on entry, cotangent · dk/d|u − v|² on return.
    chords: &'a mut [T],
    cotangent: &'a [T],
    in_coefficients: &'a mut [T],
}

impl<T: Scalar> Pass for SlopePass<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { coefficients, chords, cotangent, in_coefficients } = self;
        let (zero, two) = (T::from_f64(0.0), T::from_f64(2.0));
        by_lanes(chords, |first, h| {
            let mut weights = [zero; LANES];
            weights.iter_mut().zip(&cotangent[first..]).for_each(|(weight, &c)| *weight = c);
            let mut values = Recurrence::new(coefficients.twice, h);
            let mut slopes = Recurrence::new(coefficients.twice + two, h);
            let mut in_t = [zero; LANES];
            for (n, (&b, sum)) in coefficients.of.iter().zip(in_coefficients.iter_mut()).enumerate() {
                *sum += lane_sum([&weights, &values.value], |[weight, value]| weight * value);
                values.step(n);
                if n > 0 {
                    let order = T::from_f64(n as f64);
                    let factor = b * order * (order + coefficients.twice) / (coefficients.twice + T::from_f64(1.0));
                    in_t.iter_mut().zip(&slopes.value).for_each(|(sum, &value)| *sum += factor * value);
                    slopes.step(n - 1);
                }
            }
            // t = 1 − |u − v|²/2
            std::array::from_fn(|lane| slope_bounded(T::from_f64(-0.5) * weights[lane] * in_t[lane]))
        });
    }
}

pub(super) fn pairwise<T: Scalar, K: Series>(kernel: &K, x: &[T], y: &[T]) -> T {
    let (chord, _, _) = Augmented::PLAIN.chord(x, y);
    Coefficients::new(kernel, x.len()).values([versine(chord); LANES])[0]
}

pub(super) fn embed<'a, T: Scalar>(points: &Points<'a, T>) -> Features<'a, T> {
    let (_, directions) = Augmented::PLAIN.embed(points);
    Features::leaf(directions)
}

pub(super) fn tile<T: Scalar, K: Series>(kernel: &K, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
    scratch.squared_distances(pairs, out);
    dispatch(Values { coefficients: &Coefficients::new(kernel, pairs.dim()), out });
}

pub(super) fn tile_diag<T: Scalar, K: Series>(kernel: &K, features: &Features<'_, T>, out: &mut [T]) {
    fill_diag(features.points(), T::from_f64(0.0), out);
    let coefficients = Coefficients::new(kernel, features.points().dim());
    dispatch(Values { coefficients: &coefficients, out });
}

pub(super) fn tile_vjp<T: Scalar, K: Series>(
    kernel: &K,
    pairs: &Pairs<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let mut chords = scratch.take(pairs.len());
    scratch.squared_distances(pairs, &mut chords);
    let coefficients = Coefficients::new(kernel, pairs.dim());
    let mut sums = scratch.take(coefficients.of.len());
    sums.fill(T::from_f64(0.0));
    let (cotangent, in_coefficients) = (&cotangent[..pairs.len()], &mut sums[..]);
    dispatch(SlopePass { coefficients: &coefficients, chords: &mut chords, cotangent, in_coefficients });
    let in_coefficients: Vec<f64> = sums.iter().map(|sum| sum.as_f64()).collect();
    kernel.add_gradient(pairs.dim(), &in_coefficients, theta);
    scratch.add_squared_distance_gradient(pairs, |gradient| elementwise::add(gradient, &chords));
    scratch.give(chords);
    scratch.give(sums);
}

/// On the diagonal, every Gₙ is 1, wherever the point is.
pub(super) fn tile_diag_vjp<T: Scalar, K: Series>(
    kernel: &K,
    features: &Features<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    gradients: &mut FeatureGradients<T>,
) {
    add_own_differences_vjp(features.points(), cotangent, theta, gradients);
    let dim = features.points().dim();
    let len = kernel.coefficients(dim).len();
    kernel.add_gradient(dim, &vec![sum(cotangent).as_f64(); len], theta);
}

pub(super) fn embed_vjp<T: Scalar>(
    points: &Points<'_, T>,
    features: &Features<'_, T>,
    gradients: &mut FeatureGradients<T>,
) {
    let (lengths, _) = Augmented::PLAIN.embed(points);
    Augmented::PLAIN.backward(points, &lengths, features.points(), gradients, &mut []);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first polynomials in three dimensions (Legendre) and in five (Gegenbauer, λ = 3/2), and
    /// on the circle (Chebyshev).
    #[test]
    fn first_polynomials() {
        let t = 0.3f64;
        let closed = [
            (0.0, 2.0 * t * t - 1.0, 4.0 * t * t * t - 3.0 * t),
            (1.0, (3.0 * t * t - 1.0) / 2.0, (5.0 * t * t * t - 3.0 * t) / 2.0),
            (3.0, (5.0 * t * t - 1.0) / 4.0, (7.0 * t * t * t - 3.0 * t) / 4.0),
        ];
        for (twice, second, third) in closed {
            let mut recurrence = Recurrence::new(twice, [1.0 - t; LANES]);
            for (n, expected) in [1.0, t, second, third].into_iter().enumerate() {
                assert!((recurrence.value[5] - expected).abs() < 1e-15, "2λ = {twice}, n = {n}");
                recurrence.step(n);
            }
        }
    }
}
