//! A kernel times a number.

use crate::kernel::{
    AnyKernel, DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Scratch, Structure, Target, TileParts, TileVjp,
};
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

impl<K: AnyKernel + Clone> Expr for Scaled<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Scaled(self.factor(), self.kernel.node())
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Scaled<K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        T::from_f64(self.factor()) * self.kernel.pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.kernel.node().at::<T>().embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.node().at::<T>().tile(pairs, out, scratch);
        scale(out, T::from_f64(self.factor()));
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        target.write_scaled(self.factor(), &self.kernel, pairs, scratch, &mut |pairs, out, scratch| {
            self.tile(pairs, out, scratch)
        });
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.node().at::<T>().tile_diag(features, out);
        scale(out, T::from_f64(self.factor()));
    }

    // The inner kernel's value is evaluated anew: dividing the own one by a factor of 0 would lose it.
    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let Some(to) = to.hand_on_scaled(self.kernel.node().at(), self.factor()) else { return };
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        let mut value = scratch.take(pairs.len());
        self.kernel.node().at::<T>().tile(pairs, &mut value, scratch);
        *in_factor += dot(cotangent, &value).as_f64();
        let mut scaled = scratch.take(pairs.len());
        elementwise::scaled(&mut scaled, cotangent, T::from_f64(self.factor()));
        self.kernel.node().at::<T>().tile_vjp(TileVjp::new(pairs, &value, &scaled, in_kernel, scratch));
        scratch.give(value);
        scratch.give(scaled);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let Some((in_factor, in_kernel)) = theta.split_first_mut() else { return };
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        self.kernel.node().at::<T>().tile_diag(features, &mut value);
        *in_factor += dot(cotangent, &value).as_f64();
        value.copy_from_slice(cotangent);
        scale(&mut value, T::from_f64(self.factor()));
        self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(features, &value, in_kernel, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        if let Some((_, in_kernel)) = theta.split_first_mut() {
            self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(points, features, gradients, in_kernel));
        }
    }
}
