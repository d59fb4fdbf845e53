//! The product of kernels.

use super::children::{self, KernelParts, Parts, each_with_theta, joined};
use crate::Scalar;
use crate::kernel::DynKernel;
use crate::kernel::{DiagVjp, EmbedVjp, Features, Kernel, Pairs, Points, Scratch, TileParts, TileVjp};
use crate::simd::elementwise::{multiply, product};

/// The product of kernels: `Product<(A, B)>` is what `a * b` makes, `Product<Vec<DynKernel>>` is a
/// flat product of any number, built at run time.
///
/// # Definition
///
/// k(x, y) = Πᵢ kᵢ(x, y): the covariance of a product of independent processes of zero mean.
///
/// # Properties
///
/// Positive semi-definite where all factors are (Schur's product theorem); stationary if all are.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let locally_periodic = Rbf::new(2.0) * Periodic::new(1.0, 3.0);
/// let sine = (std::f64::consts::PI / 3.0).sin();
/// let expected = (-1.0f64 / 8.0 - 2.0 * sine * sine).exp();
/// assert!((locally_periodic.eval(&[5.0], &[6.0])? - expected).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// Any number of them, built at run time:
///
/// ```
/// use mercer::prelude::*;
///
/// let factors: Vec<DynKernel> = (1..4).map(|value| Constant::new(value as f64).dynamic()).collect();
/// let kernel = Product::flat(factors).unwrap();
/// assert_eq!(kernel.eval(&[2.0], &[2.0])?, 6.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.4.
#[derive(Clone, Debug)]
pub struct Product<P> {
    parts: P,
}

joined!(Product as "product");

impl<T: Scalar, P: KernelParts<T>> Kernel<T> for Product<P> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let product = self.parts.join_pairwise(x, y, |product, factor| product * factor);
        product.unwrap_or_else(|| T::from_f64(1.0))
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        children::embed(&self.parts, points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        children::tile(&self.parts, pairs, out, scratch, multiply);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        children::tile_diag(&self.parts, features, out, multiply);
    }

    /// The cotangent of a factor is that of the product times all other factors: no division, so
    /// that a zero in one factor loses nothing.
    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let values: Vec<Vec<T>> = self
            .parts
            .kernels()
            .enumerate()
            .map(|(index, factor)| {
                let mut value = scratch.take(pairs.len());
                factor.tile(&pairs.child(index), &mut value, scratch);
                value
            })
            .collect();
        let mut others = scratch.take(pairs.len());
        each_with_theta(&self.parts, theta, |index, factor, theta| {
            multiply_others(&mut others, cotangent, &values, index);
            factor.tile_vjp(TileVjp::new(&pairs.child(index), &values[index], &others, theta, scratch));
        });
        values.into_iter().chain([others]).for_each(|buffer| scratch.give(buffer));
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let values: Vec<Vec<T>> = self
            .parts
            .kernels()
            .enumerate()
            .map(|(index, factor)| {
                let mut value = vec![T::from_f64(0.0); cotangent.len()];
                factor.tile_diag(features.child(index), &mut value);
                value
            })
            .collect();
        each_with_theta(&self.parts, theta, |index, factor, theta| {
            let mut others = cotangent.to_vec();
            multiply_others(&mut others, cotangent, &values, index);
            factor.tile_diag_vjp(DiagVjp::new(features.child(index), &others, theta, gradients));
        });
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        children::embed_vjp(&self.parts, points, features, gradients, theta);
    }
}

/// The cotangent times all values but one.
fn multiply_others<T: Scalar>(out: &mut [T], cotangent: &[T], values: &[Vec<T>], except: usize) {
    let mut others = values.iter().enumerate().filter(|(index, _)| *index != except).map(|(_, value)| value);
    match others.next() {
        None => out.copy_from_slice(cotangent),
        Some(first) => product(out, cotangent, first),
    }
    others.for_each(|value| multiply(out, value));
}
