//! A kernel times a number.

use std::fmt;

use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, IndexColumn, Kernel, Number, Pairs, Points, Precedence, Psd, Scratch,
    SpectralMeasure, Target, Text, TileParts, TileVjp, no_spectrum,
};
use crate::kernels::Laplacian;
use crate::params::Parameter;
use crate::simd::dot;
use crate::simd::elementwise::{self, scale};
use crate::{Error, Result, Scalar, kernel_ops};

/// A kernel times a number: what `2.0 * k` and `k * 2.0` make. For a kernel with unit diagonal, the
/// factor is the variance of the process.
///
/// # Definition
///
/// k(x, y) = c · inner(x, y)
///
/// # Hyperparameters
///
/// | name | symbol | constraint |
/// |---|---|---|
/// | `factor` | c | positive if it starts positive, else any finite number |
///
/// # Properties
///
/// Positive semi-definite where the inner kernel is, if c ≥ 0; stationary if the inner kernel is.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 2.5 * Rbf::new(1.0);
/// assert_eq!(kernel.eval(&[1.0], &[1.0])?, 2.5);
/// assert_eq!((kernel + Rbf::new(3.0)).eval(&[1.0], &[1.0])?, 3.5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.4.
#[derive(Clone, Debug)]
pub struct Scaled<K> {
    factor: Parameter,
    kernel: K,
}

kernel_ops!([K] Scaled<K>);

impl<K> Scaled<K> {
    /// The kernel times a factor.
    ///
    /// # Panics
    ///
    /// If the factor is not finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(factor: f64, kernel: K) -> Self {
        crate::error::literal(Self::try_new(factor, kernel))
    }

    /// The kernel times a factor.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the factor is not finite.
    pub fn try_new(factor: f64, kernel: K) -> Result<Self, Error> {
        Ok(Self { factor: Parameter::by_sign("factor", factor)?, kernel })
    }

    /// The factor.
    pub fn factor(&self) -> f64 {
        self.factor.value()
    }

    /// The kernel that is scaled.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

crate::parameterized!([K] Scaled<K> as "scaled", parameters: [factor], child: kernel);

impl<K: Expr + Clone> Expr for Scaled<K> {
    fn children(&self) -> Vec<&dyn Expr> {
        vec![&self.kernel]
    }

    fn psd(&self) -> Psd {
        if self.factor() >= 0.0 { self.kernel.psd() } else { Psd::Never }
    }

    fn spectral_density(&self, frequency: &[f64]) -> Option<f64> {
        Some(self.factor() * self.kernel.spectral_density(frequency)?)
    }

    fn spectral_density_vjp(&self, frequency: &[f64], cotangent: f64, theta: &mut [f64]) {
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        *in_factor += cotangent * self.kernel.spectral_density(frequency).unwrap_or_default();
        self.kernel.spectral_density_vjp(frequency, cotangent * self.factor(), in_kernel);
    }

    fn spectral_measure(&self, dim: usize) -> Result<SpectralMeasure> {
        if self.factor() < 0.0 {
            return Err(no_spectrum(self));
        }
        Ok(self.kernel.spectral_measure(dim)?.scaled(self.factor()))
    }

    fn funk_hecke(&self, dim: usize, l_max: usize) -> Option<Vec<f64>> {
        Some(self.kernel.funk_hecke(dim, l_max)?.into_iter().map(|a| self.factor() * a).collect())
    }

    fn funk_hecke_vjp(&self, dim: usize, cotangent: &[f64], theta: &mut [f64]) {
        let inner = self.kernel.funk_hecke(dim, cotangent.len().saturating_sub(1)).unwrap_or_default();
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        *in_factor += dot(cotangent, &inner);
        let scaled: Vec<f64> = cotangent.iter().map(|c| self.factor() * c).collect();
        self.kernel.funk_hecke_vjp(dim, &scaled, in_kernel);
    }

    fn graph_spectrum(&self, laplacian: &Laplacian) -> Option<Vec<f64>> {
        Some(self.kernel.graph_spectrum(laplacian)?.into_iter().map(|weight| self.factor() * weight).collect())
    }

    fn graph_spectrum_vjp(&self, laplacian: &Laplacian, cotangent: &[f64], theta: &mut [f64]) {
        let inner = self.kernel.graph_spectrum(laplacian).unwrap_or_default();
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        *in_factor += dot(cotangent, &inner);
        let scaled: Vec<f64> = cotangent.iter().map(|c| self.factor() * c).collect();
        self.kernel.graph_spectrum_vjp(laplacian, &scaled, in_kernel);
    }

    inherit!(kernel: stationary, zonal, isotropic, differentiable);

    // The default would do, but for the list of children that it allocates at every matrix.
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.kernel.check_dim(dim)
    }

    fn index_columns(&self, dim: usize) -> Vec<IndexColumn<'_>> {
        self.kernel.index_columns(dim)
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} * {}", Number(self.factor()), Text::within(&self.kernel, Precedence::Power))
    }

    fn precedence(&self) -> Precedence {
        Precedence::Product
    }
}

impl<T: Scalar, K: Kernel<T> + Clone> Kernel<T> for Scaled<K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        T::from_f64(self.factor()) * self.kernel.pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.kernel.embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.tile(pairs, out, scratch);
        scale(out, T::from_f64(self.factor()));
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        target.write_scaled(self.factor(), &self.kernel, pairs, scratch, &mut |pairs, out, scratch| {
            self.tile(pairs, out, scratch)
        });
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.tile_diag(features, out);
        scale(out, T::from_f64(self.factor()));
    }

    // The inner kernel's value is evaluated anew: dividing the own one by a factor of 0 would lose it.
    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let Some(to) = to.hand_on_scaled(&self.kernel, self.factor()) else { return };
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        let mut value = scratch.take(pairs.len());
        self.kernel.tile(pairs, &mut value, scratch);
        *in_factor += dot(cotangent, &value).as_f64();
        let mut scaled = scratch.take(pairs.len());
        elementwise::scaled(&mut scaled, cotangent, T::from_f64(self.factor()));
        self.kernel.tile_vjp(TileVjp::new(pairs, &value, &scaled, in_kernel, scratch));
        scratch.give(value);
        scratch.give(scaled);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        self.kernel.tile_diag(features, &mut value);
        *in_factor += dot(cotangent, &value).as_f64();
        value.copy_from_slice(cotangent);
        scale(&mut value, T::from_f64(self.factor()));
        self.kernel.tile_diag_vjp(DiagVjp::new(features, &value, in_kernel, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        if let Some((_, in_kernel)) = theta.split_first_mut() {
            self.kernel.embed_vjp(EmbedVjp::new(points, features, gradients, in_kernel));
        }
    }
}
