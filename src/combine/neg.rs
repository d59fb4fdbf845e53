//! A kernel with the opposite sign.

use crate::kernel::{
    AnyKernel, DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Scratch, Structure, Target, TileParts, TileVjp,
};
use crate::simd::elementwise::scale;
use crate::{Scalar, kernel_ops};

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
/// assert_eq!(kernel.properties().psd, Psd::Never);
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

impl<K: AnyKernel + Clone> Expr for Neg<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Negated(self.kernel.node())
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Neg<K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        -self.kernel.pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.kernel.node().at::<T>().embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.node().at::<T>().tile(pairs, out, scratch);
        scale(out, T::from_f64(-1.0));
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        target.write_scaled(-1.0, &self.kernel, pairs, scratch, &mut |pairs, out, scratch| {
            self.tile(pairs, out, scratch)
        });
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.node().at::<T>().tile_diag(features, out);
        scale(out, T::from_f64(-1.0));
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let mut negated = scratch.take(pairs.len());
        negated.copy_from_slice(cotangent);
        scale(&mut negated, T::from_f64(-1.0));
        TileVjp::through(self.kernel.node().at(), pairs, &negated, theta, scratch);
        scratch.give(negated);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let negated: Vec<T> = cotangent.iter().map(|&c| -c).collect();
        self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(features, &negated, theta, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(points, features, gradients, theta));
    }
}
