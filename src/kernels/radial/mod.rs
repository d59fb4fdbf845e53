//! Kernels of the scaled distance alone: a profile in s = Σ_d (x_d − y_d)²/ℓ_d².
//!
//! With s as the argument there is nothing to divide by at coincident points, and every derivative
//! follows from dk/ds: dk/dℓ = −2 s/ℓ · dk/ds for one lengthscale, and dk/dr² = dk/ds / ℓ² for the
//! features. A radial kernel states its profile and its slope; this module does the rest.

mod passes;

pub(super) use passes::{add_in_lengthscale, block_vjp, scaled_tile, scaled_tile_vjp, tile, write_block};

use std::fmt::Debug;

use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, FeatureGradients, Features, FrequencyLaw, Inputs, Kernel, Markov, OnSphere, Pairs, Points,
    Properties, Psd, Scratch, Spectral, Structure, Target, TileVjp, Variable, Views, add_own_differences_vjp,
    check_values, fill_diag,
};
use crate::params::{Parameterized, PerDimension};
use crate::simd::pairs::squarable;
use crate::simd::{Lanes, One, sum};
use crate::warp::ard::{divide_backward, inverse, scaled, weighted};
use crate::{Real, Result, Scalar};

/// A radial kernel as a function of s = r²/ℓ², at precision `T`.
///
/// The functions are called with registers of numbers: see [`Lanes`](crate::simd::Lanes), and mark them
/// `#[inline(always)]`. `s` is at least 0 and finite, or NaN; NaN has to give NaN.
pub trait Profile<T: Scalar>: Copy + Send + Sync {
    /// Whether [`slope`](Self::slope) looks at the value alone, and not at s. Where a matrix is at hand, its gradient then
    /// takes no distances and no values anew. The slope at the value 1 has to be finite then.
    const SLOPE_FROM_VALUE: bool = false;

    /// Whether it is proportional to the value too: values times a variance then serve as they are.
    const SLOPE_IS_PROPORTIONAL: bool = false;

    /// k(s)
    fn value<L: Lanes<T>>(self, s: L) -> L;

    /// dk/ds, given s and k(s); finite everywhere, with its limit or 0 where it has none at s = 0.
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L;

    /// k(s) and dk/ds, where the two have work in common.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernels::Profile;
    /// use mercer::simd::{Lanes, One};
    ///
    /// /// exp(−s)
    /// #[derive(Clone, Copy, Debug)]
    /// struct Decay;
    ///
    /// impl Profile<f64> for Decay {
    ///     #[inline(always)]
    ///     fn value<L: Lanes<f64>>(self, s: L) -> L {
    ///         s.decay(1.0)
    ///     }
    ///     #[inline(always)]
    ///     fn slope<L: Lanes<f64>>(self, _: L, value: L) -> L {
    ///         -value
    ///     }
    /// }
    ///
    /// let (value, slope) = Decay.value_and_slope(One::<f64, false>(2f64.ln()));
    /// assert!((value.0 - 0.5).abs() < 1e-15 && (slope.0 + 0.5).abs() < 1e-15);
    /// ```
    #[inline(always)]
    fn value_and_slope<L: Lanes<T>>(self, s: L) -> (L, L) {
        let value = self.value(s);
        (value, self.slope(s, value))
    }

    /// dk/da in units of [`shape_unit`](Self::shape_unit), given s and k(s), for the one shape parameter a that a
    /// family may have.
    #[inline(always)]
    fn shape_slope<L: Lanes<T>>(self, s: L, value: L) -> Option<L> {
        let _ = (s, value);
        None
    }

    /// What [`shape_slope`](Self::shape_slope) is multiplied by, where dk/da may be too small or too large for `T`.
    fn shape_unit(self) -> f64 {
        1.0
    }

    /// The spectral density for lengthscale 1 and its derivative in ‖ω‖², given the dimension and ‖ω‖²; `None` if it
    /// is not known. For profiles without a shape parameter. See [`spectral_density`](crate::views::spectral_density).
    fn spectral_density(self, dim: usize, squared_frequency: f64) -> Option<[f64; 2]> {
        let _ = (dim, squared_frequency);
        None
    }

    /// The law of the frequencies for lengthscale 1, if k(0) = 1 and it is known. See
    /// [`spectral_measure`](crate::views::spectral_measure).
    fn frequency_law(self) -> Option<FrequencyLaw> {
        None
    }

    /// The Funk–Hecke coefficients for one lengthscale and their derivatives in it, for degrees from 0 to
    /// `l_max`; `None` if they are not known. For profiles without a shape parameter. See
    /// [`funk_hecke`](crate::views::funk_hecke).
    fn funk_hecke(self, dim: usize, lengthscale: f64, l_max: usize) -> Option<Vec<[f64; 2]>> {
        let _ = (dim, lengthscale, l_max);
        None
    }
}

/// A kernel of the scaled distance alone. Implementing it makes a type a [`Kernel`] with vectorised
/// tiles, shared squared distances, and gradients in hyperparameters and inputs.
///
/// The parameters are the lengthscale, then at most one shape parameter, in this order.
///
/// # Examples
///
/// ```
/// use mercer::kernels::{Profile, Radial};
/// use mercer::params::PerDimension;
/// use mercer::prelude::*;
/// use mercer::simd::Lanes;
///
/// mercer::kernel! {
///     /// k = 1/√(1 + s), the inverse multiquadric.
///     InverseMultiquadric as "inverse_multiquadric" {
///         /// The lengthscale: one, or one for each dimension.
///         lengthscale: PerDimension = Positive,
///     }
/// }
///
/// #[derive(Clone, Copy)]
/// struct InverseRoot;
///
/// impl<T: Scalar> Profile<T> for InverseRoot {
///     #[inline(always)]
///     fn value<L: Lanes<T>>(self, s: L) -> L {
///         (s + 1.0).sqrt().recip()
///     }
///
///     #[inline(always)]
///     fn slope<L: Lanes<T>>(self, _: L, value: L) -> L {
///         value * value * value * -0.5
///     }
/// }
///
/// impl Radial for InverseMultiquadric {
///     type Profile<T: Scalar> = InverseRoot;
///     fn lengthscale(&self) -> &PerDimension {
///         &self.lengthscale
///     }
///     fn profile<T: Scalar>(&self) -> InverseRoot {
///         InverseRoot
///     }
///     fn psd(&self) -> Psd {
///         Psd::Always
///     }
/// }
///
/// let kernel = InverseMultiquadric::new(2.0);
/// let x = mat![[0.0], [2.0]];
/// let half_root = std::f64::consts::FRAC_1_SQRT_2;
/// assert!((kernel.gram(x.as_ref())? - mat![[1.0, half_root], [half_root, 1.0]]).norm_max() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Radial: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// The profile at a precision.
    type Profile<T: Scalar>: Profile<T>;

    /// The name of the parameter that distances are divided by.
    const SCALE: &'static str = "lengthscale";

    /// The lengthscale, or what else distances are divided by: one, or one for each dimension.
    fn lengthscale(&self) -> &PerDimension;

    /// The profile at the present hyperparameters.
    fn profile<T: Scalar>(&self) -> Self::Profile<T>;

    /// In which dimensions of the input the kernel is guaranteed positive semi-definite: in any for mixtures of squared
    /// exponentials over lengthscales, and only for those (Schoenberg 1938). Say [`Psd::Unknown`], the default, unless
    /// you know.
    fn psd(&self) -> Psd {
        Psd::Unknown
    }

    /// The kernel of one dimension as a Markov process, if it is one.
    fn markov(&self) -> Option<&dyn Markov> {
        None
    }

    /// The spectral density for lengthscale 1 as a function of the shape parameter, if there is one, and of ‖ω‖², in this
    /// dimension; `None` if it is not known. That of the [profile](Profile::spectral_density), which knows no shape
    /// parameter, unless it is stated here.
    fn spectral_density(&self, shape: Option<Variable>, dim: usize, squared_frequency: Variable) -> Option<Variable> {
        let _ = shape;
        let [value, slope] = self.profile::<f64>().spectral_density(dim, squared_frequency.value)?;
        Some(Variable::with_slopes(value, [(&squared_frequency, slope)]))
    }

    /// What the kernel needs beside its parameters to be built again: see [`Expr::settings`].
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What text writes after all other arguments: see [`Expr::written_last`].
    fn written_last(&self) -> &'static [&'static str] {
        &[]
    }
}

#[diagnostic::do_not_recommend]
impl<K: Radial> Expr for K {
    fn structure(&self) -> Structure<'_> {
        let views = Views::none().spectral(self).on_sphere(self);
        Structure::Leaf(Radial::markov(self).map_or(views, |view| views.markov(view)))
    }

    fn properties(&self) -> Properties {
        Properties {
            isotropic: Radial::lengthscale(self).dim().is_none(),
            ..Properties::unknown().psd(Radial::psd(self)).stationary().differentiable()
        }
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        check_dim(self, K::SCALE, Radial::lengthscale(self), dim)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        Radial::settings(self)
    }

    fn written_last(&self) -> &'static [&'static str] {
        Radial::written_last(self)
    }
}

impl<K: Radial> Spectral for K {
    fn density(&self, theta: &[Variable], frequency: &[Variable]) -> Option<Variable> {
        let lengthscale = Radial::lengthscale(self);
        let shape = theta.get(lengthscale.values().len()).copied();
        scaled_density(lengthscale, theta, frequency, |dim, s| Radial::spectral_density(self, shape, dim, s))
    }

    fn frequencies(&self, dim: usize) -> Option<(FrequencyLaw, Vec<f64>)> {
        let law = self.profile::<f64>().frequency_law().filter(|law| dim == 1 || law.is_isotropic())?;
        Some((law, (0..dim).map(|d| 1.0 / Radial::lengthscale(self).at(d)).collect()))
    }

    fn matern(&self) -> Option<f64> {
        match (self.profile::<f64>().frequency_law()?, Radial::lengthscale(self).values()) {
            (FrequencyLaw::StudentT { degrees }, [_]) => Some(0.5 * degrees),
            _ => None,
        }
    }
}

/// The spectral density of k(r/ℓ) is that of k at ℓω, a function of Σ_d ℓ_d²ω_d², times the volume Π ℓ_d. The lengthscales
/// come first in `theta`.
pub(super) fn scaled_density(
    lengthscale: &PerDimension,
    theta: &[Variable],
    frequency: &[Variable],
    density: impl FnOnce(usize, Variable) -> Option<Variable>,
) -> Option<Variable> {
    let at = |dim: usize| theta.get(if lengthscale.dim().is_some() { dim } else { 0 }).copied();
    let (mut s, mut volume) = (Variable::from_f64(0.0), Variable::from_f64(1.0));
    for (dim, &omega) in frequency.iter().enumerate() {
        let scaled = at(dim)? * omega;
        s += scaled * scaled;
        volume *= at(dim)?;
    }
    Some(volume * density(frequency.len(), s)?)
}

impl<K: Radial> OnSphere for K {
    fn coefficients(&self, theta: &[Variable], dim: usize, l_max: usize) -> Option<Vec<Variable>> {
        let (PerDimension::One(lengthscale), [first, ..]) = (Radial::lengthscale(self), theta) else { return None };
        let coefficients = self.profile::<f64>().funk_hecke(dim, lengthscale.value(), l_max)?;
        Some(coefficients.into_iter().map(|[a, slope]| Variable::with_slopes(a, [(first, slope)])).collect())
    }
}

/// All dimensions; refuses points without a value for each dimension, or with too many values.
pub(super) fn check_dim(kernel: &dyn Expr, name: &str, values: &PerDimension, dim: usize) -> Result<Inputs<'static>> {
    values.dim().map_or(Ok(()), |values| check_values(kernel, name, values, dim)).map(|()| Inputs::all(dim))
}

#[diagnostic::do_not_recommend]
impl<T: Scalar, K: Radial> Kernel<T> for K {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.profile::<T>().value(One::<T, false>(bounded(scaled_distance(self.lengthscale(), x, y)))).0
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        embed(self.lengthscale(), points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        tile(self.profile::<T>(), self.lengthscale(), pairs, out, scratch);
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        write_block(self.profile::<T>(), feature_scale(self.lengthscale(), pairs), pairs, target, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.points(), self.profile::<T>().value(One::<T, false>(T::from_f64(0.0))).0, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        block_vjp(self.profile::<T>(), self.lengthscale(), to.pairs(), self, to);
    }

    // k(x, x) = k(s = 0) depends on no lengthscale; a shape parameter may set the height.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.points(), cotangent, theta, gradients);
        let profile = self.profile::<T>();
        let zero = One::<T, false>(T::from_f64(0.0));
        if let (Some(slope), Some(in_shape)) = (profile.shape_slope(zero, profile.value(zero)), theta.last_mut()) {
            *in_shape += (slope.0 * sum(cotangent)).as_f64();
        }
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        embed_vjp(self.lengthscale(), points, features, gradients, theta);
    }
}

/// s for two points.
#[inline]
pub(super) fn scaled_distance<T: Scalar>(lengthscale: &PerDimension, x: &[T], y: &[T]) -> T {
    match lengthscale {
        PerDimension::One(lengthscale) if has_square::<T>(lengthscale.value()) => {
            let r2: T = x.iter().zip(y).map(|(&x, &y)| (x - y) * (x - y)).sum();
            r2 * inverse_square::<T>(lengthscale.value())
        }
        each => distance_of_scaled(each, x, y),
    }
}

/// Σ_d ((x_d − y_d)/ℓ_d)². Not inlined, so that the common case stays small enough to be.
#[inline(never)]
fn distance_of_scaled<T: Scalar>(lengthscale: &PerDimension, x: &[T], y: &[T]) -> T {
    let mut sum = T::from_f64(0.0);
    for (dim, (&x, &y)) in x.iter().zip(y).enumerate() {
        let difference = squarable((x - y) * inverse::<T>(lengthscale.at(dim)));
        sum += difference * difference;
    }
    sum
}

/// Whether ℓ² and 1/ℓ² are so far from both ends of the range of numbers that s = r²/ℓ² is right wherever k(s) changes.
/// Of other lengthscales, differences are divided before they are squared.
#[inline]
fn has_square<T: Scalar>(lengthscale: f64) -> bool {
    let largest = num_traits::Float::sqrt(num_traits::Float::sqrt(<T as num_traits::Float>::max_value())).as_f64();
    1.0 <= lengthscale * largest && lengthscale <= largest
}

/// 1/ℓ², kept finite so that it gives 0 at r = 0 for the smallest lengthscales.
#[inline]
pub(super) fn inverse_square<T: Scalar>(lengthscale: f64) -> T {
    num_traits::Float::min(T::from_f64(1.0 / (lengthscale * lengthscale)), num_traits::Float::max_value())
}

/// The largest s that a profile is called with: far below overflow, so that polynomials in √s stay finite.
#[inline(always)]
pub(super) fn largest<T: Scalar>() -> T {
    <T as num_traits::Float>::max_value() * T::from_f64(1.0 / 16.0)
}

/// s, at most the largest; NaN for NaN.
#[inline(always)]
pub(super) fn bounded<T: Scalar>(s: T) -> T {
    One::<T, false>(s).at_most(largest()).0
}

/// dL/dr² kept from overflow, also where a thousand leaves add theirs, so that it gives 0 at r = 0;
/// NaN for NaN.
#[inline(always)]
pub(super) fn slopes_bounded<T: Scalar, L: Lanes<T>>(slope: L) -> L {
    let largest = <T as num_traits::Float>::max_value() * T::from_f64(1.0 / 1024.0);
    -(-slope.at_most(largest)).at_most(largest)
}

/// The same of one slope.
#[inline(always)]
pub(super) fn slope_bounded<T: Scalar>(slope: T) -> T {
    slopes_bounded(One::<T, false>(slope)).0
}

/// The points themselves for one lengthscale; divided by the lengthscales for one each.
pub(super) fn embed<'a, T: Scalar>(lengthscale: &PerDimension, points: &Points<'a, T>) -> Features<'a, T> {
    Features::leaf(match lengthscale {
        PerDimension::One(one) if has_square::<T>(one.value()) => points.clone(),
        PerDimension::One(one) => weighted(points, &vec![one.value(); points.dim()]),
        PerDimension::Each(each) => scaled(points, each.values()),
    })
}

pub(super) fn embed_vjp<T: Scalar>(
    lengthscale: &PerDimension,
    points: &Points<'_, T>,
    features: &Features<'_, T>,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    match lengthscale {
        PerDimension::Each(each) => divide_backward(points, features.points(), each.values(), gradients, theta),
        PerDimension::One(one) if features.points().weights().is_some() => {
            let mut in_each = vec![0.0; points.dim()];
            let each = vec![one.value(); points.dim()];
            divide_backward(points, features.points(), &each, gradients, &mut in_each);
            theta[0] += in_each.iter().sum::<f64>();
        }
        PerDimension::One(_) => {}
    }
}

/// The factor from the squared distance of the features to s.
pub(super) fn feature_scale<T: Scalar>(lengthscale: &PerDimension, pairs: &Pairs<'_, T>) -> T {
    match lengthscale {
        PerDimension::One(lengthscale) if pairs.weights().is_none() => inverse_square(lengthscale.value()),
        _ => T::from_f64(1.0),
    }
}

/// Makes a kernel whose only parameter is `lengthscale` radial, by a profile without parameters. The last argument is where
/// it is positive semi-definite.
macro_rules! radial {
    ($type:ident, $profile:ident, $psd:ident $(, $view:ident)?) => {
        impl $type {
            /// The kernel as a function of s = r²/ℓ²: for those who keep hyperparameters apart.
            pub fn value<T: crate::Scalar>(s: T) -> T {
                $profile.value(crate::simd::One::<T, false>(s)).0
            }
        }

        impl crate::kernels::Radial for $type {
            type Profile<T: crate::Scalar> = $profile;

            fn lengthscale(&self) -> &crate::params::PerDimension {
                &self.lengthscale
            }

            fn profile<T: crate::Scalar>(&self) -> $profile {
                $profile
            }

            fn psd(&self) -> crate::kernel::Psd {
                crate::kernel::Psd::$psd
            }

            $(fn $view(&self) -> Option<&dyn crate::kernel::Markov> {
                Some(self)
            })?
        }
    };
}

pub(super) use radial;

/// A profile and its derivatives at one number, for tests.
#[cfg(test)]
pub(super) fn value_at<T: Scalar, P: Profile<T>>(profile: P, s: T) -> T {
    profile.value(One::<T, true>(s)).0
}

#[cfg(test)]
pub(super) fn slope_at<T: Scalar, P: Profile<T>>(profile: P, s: T, value: T) -> T {
    profile.slope(One::<T, true>(s), One(value)).0
}

#[cfg(test)]
pub(super) fn shape_slope_at<T: Scalar, P: Profile<T>>(profile: P, s: T, value: T) -> Option<T> {
    profile.shape_slope(One::<T, true>(s), One(value)).map(|slope| slope.0)
}
