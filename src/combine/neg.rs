//! A kernel with the opposite sign.

use std::fmt;

use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, IndexColumn, Kernel, Pairs, Points, Precedence, Psd, Scratch, Target, Text,
    TileParts, TileVjp,
};
use crate::kernels::Laplacian;
use crate::simd::elementwise::scale;
use crate::{Result, Scalar, kernel_ops};

/// A kernel with the opposite sign: what `-k` makes, and the second term of `a - b`.
///
/// # Definition
///
/// k(x, y) = −inner(x, y)
///
/// # Properties
///
/// Never guaranteed positive semi-definite: models refuse it unless told to allow indefinite kernels.
/// Stationary if the inner kernel is.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0) - Rbf::new(2.0);
/// assert_eq!(kernel.eval(&[1.0], &[1.0])?, 0.0);
/// assert_eq!(kernel.psd(), Psd::Never);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Neg<K> {
    kernel: K,
}

kernel_ops!([K] Neg<K>);

impl<K> Neg<K> {
    /// The kernel with the opposite sign.
    pub fn new(kernel: K) -> Self {
        Self { kernel }
    }

    /// The kernel that is negated.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

crate::parameterized!([K] Neg<K> as "neg", parameters: [], child: kernel);

impl<K: Expr + Clone> Expr for Neg<K> {
    fn children(&self) -> Vec<&dyn Expr> {
        vec![&self.kernel]
    }

    fn psd(&self) -> Psd {
        Psd::Never
    }

    fn spectral_density(&self, frequency: &[f64]) -> Option<f64> {
        Some(-self.kernel.spectral_density(frequency)?)
    }

    fn spectral_density_vjp(&self, frequency: &[f64], cotangent: f64, theta: &mut [f64]) {
        self.kernel.spectral_density_vjp(frequency, -cotangent, theta);
    }

    fn funk_hecke(&self, dim: usize, l_max: usize) -> Option<Vec<f64>> {
        Some(self.kernel.funk_hecke(dim, l_max)?.into_iter().map(|a| -a).collect())
    }

    fn funk_hecke_vjp(&self, dim: usize, cotangent: &[f64], theta: &mut [f64]) {
        let negative: Vec<f64> = cotangent.iter().map(|c| -c).collect();
        self.kernel.funk_hecke_vjp(dim, &negative, theta);
    }

    fn graph_spectrum(&self, laplacian: &Laplacian) -> Option<Vec<f64>> {
        Some(self.kernel.graph_spectrum(laplacian)?.into_iter().map(|weight| -weight).collect())
    }

    fn graph_spectrum_vjp(&self, laplacian: &Laplacian, cotangent: &[f64], theta: &mut [f64]) {
        let negative: Vec<f64> = cotangent.iter().map(|c| -c).collect();
        self.kernel.graph_spectrum_vjp(laplacian, &negative, theta);
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
        write!(f, "-{}", Text::within(&self.kernel, Precedence::Call))
    }

    fn precedence(&self) -> Precedence {
        Precedence::Negation
    }
}

impl<T: Scalar, K: Kernel<T> + Clone> Kernel<T> for Neg<K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        -self.kernel.pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.kernel.embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.tile(pairs, out, scratch);
        scale(out, T::from_f64(-1.0));
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        target.write_scaled(-1.0, &self.kernel, pairs, scratch, &mut |pairs, out, scratch| {
            self.tile(pairs, out, scratch)
        });
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.tile_diag(features, out);
        scale(out, T::from_f64(-1.0));
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let mut negated = scratch.take(pairs.len());
        negated.copy_from_slice(cotangent);
        scale(&mut negated, T::from_f64(-1.0));
        TileVjp::through(&self.kernel, pairs, &negated, theta, scratch);
        scratch.give(negated);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let negated: Vec<T> = cotangent.iter().map(|&c| -c).collect();
        self.kernel.tile_diag_vjp(DiagVjp::new(features, &negated, theta, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        self.kernel.embed_vjp(EmbedVjp::new(points, features, gradients, theta));
    }
}
