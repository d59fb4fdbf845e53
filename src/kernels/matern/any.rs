//! The Matérn kernel of any smoothness.
//!
//! A tile takes polynomials (`table`) through values of a quadrature (`mixture`) that are made once for an octave of s
//! and a value of ν: as long as some 12 exponentials an entry, where the quadrature takes 30 to 200.

use std::cell::LazyCell;

use super::mixture::{Slopes, Values, nodes};
use super::table::{self, Cache, Table};
use crate::kernel::{
    Expr, FeatureGradients, Features, FrequencyLaw, Kernel, Pairs, Points, Psd, Scratch, SpectralMeasure,
};
use crate::kernels::radial;
use crate::params::{Constraint, OneOrEach, Parameter, PerDimension};
use crate::simd::{Pass, dispatch, dot, elementwise, sum::lane_sum};
use crate::{Result, Scalar, construct, kernel_ops, parameterized};

/// The Matérn kernel of any smoothness ν, which is a hyperparameter with a gradient like any other.
///
/// # Definition
///
/// k(x, y) = 2^(1−ν)/Γ(ν) z^ν K_ν(z), with z² = 2ν Σ_d (x_d − y_d)²/ℓ_d² and K_ν the modified Bessel
/// function of the second kind
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
/// | `nu` | ν | none | positive; ν → ∞ is the squared exponential |
///
/// # Properties
///
/// Stationary, isotropic with one lengthscale; ⌈ν⌉ − 1 times differentiable samples; positive
/// semi-definite in any dimension. At coincident points the gradient in ν is 0, and that in the inputs
/// is given as 0 also for ν ≤ ½, where k has a kink.
///
/// For ν = ½, 3⁄2 and 5⁄2 it agrees with [`Matern12`](super::Matern12), [`Matern32`](super::Matern32)
/// and [`Matern52`](super::Matern52) to 2 · 10⁻¹⁵, and they are faster: an entry takes as long
/// here as some 12 exponentials. For each new ν a kernel first prepares, where its pairs are, the functions that entries
/// are read from: 96 values of 30 to 200 exponentials for each octave of s, which are kept until ν changes. `eval` of
/// a single pair takes that many exponentials.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Matern::new(2.0, 1.5);
/// let closed: f64 = Matern32::new(2.0).eval(&[0.0], &[3.0])?;
/// assert!((kernel.eval(&[0.0], &[3.0])? - closed).abs() < 2e-15);
/// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.14; Trefethen &
/// Weideman (2014), *The exponentially convergent trapezoidal rule*,
/// [doi:10.1137/130932132](https://doi.org/10.1137/130932132).
#[derive(Clone, Debug, PartialEq)]
pub struct Matern {
    lengthscale: PerDimension,
    nu: Parameter,
    values: Cache<1>,
    slopes: Cache<2>,
}

parameterized!(Matern as "matern", parameters: [lengthscale, nu]);
kernel_ops!(Matern);
construct!(Matern: try_new(lengthscale: OneOrEach, nu: f64));

impl Matern {
    /// The kernel with one lengthscale, or one for each dimension, and a smoothness.
    ///
    /// # Panics
    ///
    /// If a hyperparameter is not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(lengthscale: impl Into<OneOrEach>, nu: f64) -> Self {
        crate::error::literal(Self::try_new(lengthscale, nu))
    }

    /// The kernel with one lengthscale, or one for each dimension, and a smoothness.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a hyperparameter is not positive and finite.
    pub fn try_new(lengthscale: impl Into<OneOrEach>, nu: f64) -> Result<Self> {
        Ok(Self {
            lengthscale: PerDimension::new("lengthscale", lengthscale, Constraint::Positive)?,
            nu: Parameter::new("nu", nu, Constraint::Positive)?,
            values: Cache::default(),
            slopes: Cache::default(),
        })
    }

    /// The lengthscale: one, or one for each dimension.
    pub fn lengthscale(&self) -> &[f64] {
        self.lengthscale.values()
    }

    /// The smoothness ν.
    pub fn nu(&self) -> f64 {
        self.nu.value()
    }

    /// The kernel as a function of s = r²/ℓ² and ν: for those who keep hyperparameters apart.
    pub fn value<T: Scalar>(s: T, nu: f64) -> T {
        let mut out = [T::from_f64(0.0)];
        let nodes = nodes::<T>(nu);
        dispatch(Values { nodes: &nodes, s: &[radial::bounded(s)], out: &mut out });
        out[0]
    }

    /// dk/ds at s = 0: −½ E[1/w] where the mean exists, else 0.
    fn slope_at_0<T: Scalar>(&self) -> T {
        let nu = self.nu();
        let slope = if nu > 1.0 { -0.5 * nu / (nu - 1.0) } else { 0.0 };
        T::from_f64(slope.max(<T as num_traits::Float>::min_value().as_f64()))
    }
}

impl Matern {
    fn fill_values<T: Scalar>(&self, s: &[T], out: &mut [T]) {
        let nu = self.nu();
        if !table::is_tabulated(nu) {
            dispatch(Values { nodes: &nodes(nu), s, out });
            return;
        }
        let all = LazyCell::new(|| nodes::<f64>(nu));
        let compute = |s: &[f64], [out]: [&mut [f64]; 1]| dispatch(Values { nodes: &all, s, out });
        let table = self.values.table(nu, s, compute);
        dispatch(TabulatedValues { table: &table, s, out });
        for place in table::uncovered(s) {
            out[place] = Self::value(s[place], nu);
        }
    }

    fn fill_slopes<T: Scalar>(&self, slope_at_0: T, s: &[T], in_s: &mut [T], in_nu: &mut [T]) {
        let nu = self.nu();
        if !table::is_tabulated(nu) {
            dispatch(Slopes { nodes: &nodes(nu), slope_at_0, s, in_s, in_nu });
            return;
        }
        let all = LazyCell::new(|| nodes::<f64>(nu));
        // s · dk/ds, which is finite.
        let compute = |s: &[f64], [in_s, in_nu]: [&mut [f64]; 2]| {
            dispatch(Slopes { nodes: &all, slope_at_0: 0.0, s, in_s, in_nu });
            in_s.iter_mut().zip(s).for_each(|(in_s, s)| *in_s *= s);
        };
        let table = self.slopes.table(nu, s, compute);
        dispatch(TabulatedSlopes { table: &table, slope_at_0, s, in_s, in_nu });
        for place in table::uncovered(s) {
            let (s, in_s, in_nu) = (&s[place..=place], &mut in_s[place..=place], &mut in_nu[place..=place]);
            dispatch(Slopes { nodes: &nodes(nu), slope_at_0, s, in_s, in_nu });
        }
    }
}

/// k at every element of s, but for those that the table does not cover.
struct TabulatedValues<'a, T> {
    table: &'a Table<1>,
    s: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> Pass for TabulatedValues<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.table.each::<T, FMA>(self.s, [&mut *self.out]);
        for (out, &s) in self.out.iter_mut().zip(self.s) {
            let value = if s == T::from_f64(0.0) { T::from_f64(1.0) } else { *out };
            *out = if s.is_nan() { s } else { value };
        }
    }
}

/// dk/ds and dk/dν at every element of s, but for those that the table does not cover.
struct TabulatedSlopes<'a, T> {
    table: &'a Table<2>,
    slope_at_0: T,
    s: &'a [T],
    in_s: &'a mut [T],
    in_nu: &'a mut [T],
}

impl<T: Scalar> Pass for TabulatedSlopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let zero = T::from_f64(0.0);
        self.table.each::<T, FMA>(self.s, [&mut *self.in_s, &mut *self.in_nu]);
        for ((in_s, in_nu), &s) in self.in_s.iter_mut().zip(self.in_nu.iter_mut()).zip(self.s) {
            let slope = if s == zero { self.slope_at_0 } else { radial::slope_bounded(*in_s / s) };
            let by_nu = if s == zero { zero } else { *in_nu };
            (*in_s, *in_nu) = if s.is_nan() { (s, s) } else { (slope, by_nu) };
        }
    }
}

/// r² to s.
struct Scaled<'a, T> {
    squared: &'a mut [T],
    scale: T,
}

impl<T: Scalar> Pass for Scaled<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for squared in self.squared {
            *squared = radial::bounded(*squared * self.scale);
        }
    }
}

/// From dk/ds and s: cotangent · dk/dr² in place of the first, and Σ cotangent · s · dk/ds.
struct ByDistance<'a, T> {
    scale: T,
    s: &'a [T],
    in_s: &'a mut [T],
    cotangent: &'a [T],
}

impl<T: Scalar> Pass for ByDistance<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let Self { scale, s, in_s, cotangent } = self;
        let weighted = lane_sum([cotangent, in_s, s], |[cotangent, slope, s]| cotangent * (slope * s));
        for (in_s, &cotangent) in in_s.iter_mut().zip(cotangent) {
            *in_s = radial::slope_bounded(*in_s * cotangent * scale);
        }
        weighted
    }
}

impl Expr for Matern {
    fn psd(&self) -> Psd {
        Psd::Always
    }

    fn stationary(&self) -> bool {
        true
    }

    fn isotropic(&self) -> bool {
        self.lengthscale.dim().is_none()
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn check_dim(&self, dim: usize) -> Result<()> {
        radial::check_dim(self, "lengthscale", &self.lengthscale, dim)
    }

    fn spectral_measure(&self, dim: usize) -> Result<SpectralMeasure> {
        Ok(radial::spectral_measure(FrequencyLaw::StudentT { degrees: 2.0 * self.nu() }, &self.lengthscale, dim))
    }
}

impl<T: Scalar> Kernel<T> for Matern {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        Self::value(radial::scaled_distance(&self.lengthscale, x, y), self.nu())
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        radial::embed(&self.lengthscale, points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let mut s = scratch.take(pairs.len());
        scratch.squared_distances(pairs, &mut s);
        dispatch(Scaled { squared: &mut s, scale: radial::feature_scale(&self.lengthscale) });
        self.fill_values(&s, out);
        scratch.give(s);
    }

    fn tile_diag(&self, _: &Features<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(1.0));
    }

    fn tile_vjp(&self, pairs: &Pairs<'_, T>, _: &[T], cotangent: &[T], theta: &mut [f64], scratch: &mut Scratch<T>) {
        let scale = radial::feature_scale(&self.lengthscale);
        let [mut s, mut in_s, mut in_nu] = [(); 3].map(|()| scratch.take(pairs.len()));
        scratch.squared_distances(pairs, &mut s);
        dispatch(Scaled { squared: &mut s, scale });
        let slope_at_0 = self.slope_at_0();
        self.fill_slopes(slope_at_0, &s, &mut in_s, &mut in_nu);
        let weighted = dispatch(ByDistance { scale, s: &s, in_s: &mut in_s, cotangent });
        radial::add_in_lengthscale(&self.lengthscale, weighted, theta);
        if let Some(last) = theta.last_mut() {
            *last += dot(cotangent, &in_nu).as_f64();
        }
        scratch.add_squared_distance_gradient(pairs, |gradient| elementwise::add(gradient, &in_s));
        [s, in_s, in_nu].into_iter().for_each(|buffer| scratch.give(buffer));
    }

    fn vjp_reads_value(&self) -> bool {
        false
    }

    // k(x, x) = 1.
    fn tile_diag_vjp(&self, _: &Features<'_, T>, _: &[T], _: &mut [f64], _: &mut FeatureGradients<T>) {}

    fn embed_vjp(
        &self,
        points: &Points<'_, T>,
        features: &Features<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        radial::embed_vjp(&self.lengthscale, points, features, gradients, theta);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// ν, s, k, dk/dν, dk/ds, from the Bessel function in 40 digits.
    const REFERENCE: [[f64; 5]; 6] = [
        [0.3, 0.04, 0.6954594106881253, 0.8910782443289579, -2.1694685627630768],
        [0.7, 0.5, 0.548331058506025, 0.2265390505038844, -0.38896761679836045],
        [1.0, 2.0, 0.27973176363304486, 0.047571683189992976, -0.11389387274953344],
        [3.3, 0.5, 0.72149234152619, 0.018134599822010242, -0.43675259312636305],
        [12.0, 9.0, 0.015749101682619684, -0.00034736457494310405, -0.006367305364091009],
        [0.1, 1e-8, 0.8680579706580944, 2.538265301165134, -1319420.2494164205],
    ];

    #[test]
    fn values_and_derivatives_are_those_of_the_bessel_function() {
        for [nu, s, value, in_nu, in_s] in REFERENCE {
            let close = |found: f64, expected: f64| (found - expected).abs() < 4e-15 * (1.0 + expected.abs());
            assert!(close(Matern::value(s, nu), value), "value at {nu}, {s}");
            let (mut found_s, mut found_nu) = ([0.0], [0.0]);
            let nodes = nodes(nu);
            let s = &[s];
            dispatch(Slopes { nodes: &nodes, slope_at_0: 0.0, s, in_s: &mut found_s, in_nu: &mut found_nu });
            assert!(close(found_nu[0], in_nu), "dk/dν at {nu}, {s:?}: {}", found_nu[0]);
            assert!(close(found_s[0], in_s), "dk/ds at {nu}, {s:?}: {}", found_s[0]);
        }
    }

    #[test]
    fn tables_are_as_good_as_sums() {
        let mut s: Vec<f64> = (0..4000).map(|k| 2f64.powf(-45.0 + 55.0 * f64::from(k) / 4000.0)).collect();
        // Beyond the table on both sides.
        s.extend([0.0, 5e-324, 1e-200, 1e-31, 2f64.powi(-100), 2f64.powi(40), 1e13, 1e300]);
        for nu in [1e-3, 0.05, 0.3, 0.5, 0.9, 1.0, 1.7, 2.5, 4.2, 17.0, 400.0, 3e4, 1e6] {
            let kernel = Matern::new(1.0, nu);
            let [mut values, mut in_s, mut in_nu] = [(); 3].map(|()| vec![0.0; s.len()]);
            kernel.fill_values(&s, &mut values);
            let slope_at_0 = kernel.slope_at_0();
            kernel.fill_slopes(slope_at_0, &s, &mut in_s, &mut in_nu);
            let [mut exact, mut exact_in_s, mut exact_in_nu] = [(); 3].map(|()| vec![0.0; s.len()]);
            dispatch(Values { nodes: &nodes(nu), s: &s, out: &mut exact });
            let (in_s_slice, in_nu_slice) = (&mut exact_in_s, &mut exact_in_nu);
            dispatch(Slopes { nodes: &nodes(nu), slope_at_0, s: &s, in_s: in_s_slice, in_nu: in_nu_slice });
            for row in 0..s.len() {
                let close = |found: f64, exact: f64, most: f64| (found - exact).abs() <= most * (1.0 + exact.abs());
                assert!(close(values[row], exact[row], 2e-15), "k at {nu}, {}: {} {}", s[row], values[row], exact[row]);
                assert!(
                    close(in_s[row], exact_in_s[row], 1e-14),
                    "dk/ds at {nu}, {}: {} {}",
                    s[row],
                    in_s[row],
                    exact_in_s[row]
                );
                assert!(
                    close(in_nu[row], exact_in_nu[row], 1e-14),
                    "dk/dν at {nu}, {}: {} {}",
                    s[row],
                    in_nu[row],
                    exact_in_nu[row]
                );
            }
        }
    }

    #[test]
    fn a_table_follows_the_smoothness() {
        let x = mat![[0.0], [0.3], [2.0], [1e-20], [f64::NAN]];
        let mut kernel = Matern::new(0.8, 1.3);
        let before: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        let clone = kernel.clone();
        kernel.set("matern.nu", 2.5).unwrap();
        let after: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        let expected: Mat<f64> = Matern52::new(0.8).gram(x.as_ref()).unwrap();
        let again: Mat<f64> = clone.gram(x.as_ref()).unwrap();
        for (row, col) in (0..4).flat_map(|row| [(row, 0), (row, 1), (row, 2), (row, 3)]) {
            assert!((after[(row, col)] - expected[(row, col)]).abs() < 2e-15);
            assert_eq!(before[(row, col)], again[(row, col)]);
        }
        assert!(after[(4, 0)].is_nan());
    }

    #[test]
    fn half_integers_are_the_closed_forms() {
        for s in [0.0, 1e-12, 1e-6, 0.01, 0.3, 1.0, 7.0, 60.0, 1e4] {
            let known = [(0.5, Matern12::value(s)), (1.5, Matern32::value(s)), (2.5, Matern52::value(s))];
            for (nu, expected) in known {
                let found: f64 = Matern::value(s, nu);
                assert!((found - expected).abs() < 2e-15, "ν = {nu}, s = {s}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_limit_is_the_squared_exponential() {
        for nu in [1e14, 1e20, 1e150] {
            for s in [1e-3, 1.0, 5.0] {
                let found: f64 = Matern::value(s, nu);
                // The next term of the expansion is below s²/(8ν).
                assert!((found - Rbf::value(s)).abs() < 4e-15 + s * s / nu, "ν = {nu}, s = {s}");
            }
        }
    }

    #[test]
    fn finite_at_the_ends() {
        for nu in [1e-150, 1e-3, 0.5, 1.0, 1.0f64.next_up(), 1e150] {
            for s in [0.0, f64::MIN_POSITIVE, 1e-30, 1.0, 1e300] {
                let value: f64 = Matern::value(s, nu);
                assert!((0.0..=1.0 + 1e-15).contains(&value), "ν = {nu}, s = {s}: {value}");
                let single: f32 = Matern::value(s as f32, nu);
                assert!((0.0..=1.0 + 1e-6).contains(&single), "ν = {nu}, s = {s}: {single}");
            }
            assert!(Matern::value(f64::NAN, nu).is_nan());
        }
    }
}
