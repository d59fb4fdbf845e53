//! The sum of kernels.

use super::children::{self, KernelParts, Parts, each_with_theta, joined};
use crate::Scalar;
use crate::kernel::DynKernel;
use crate::kernel::{DiagVjp, EmbedVjp, Features, Kernel, Pairs, Points, Scratch, TileParts, TileVjp};
use crate::simd::elementwise::add;

/// The sum of kernels: `Sum<(A, B)>` is what `a + b` makes, `Sum<Vec<DynKernel>>` is a flat sum of
/// any number, built at run time.
///
/// # Definition
///
/// k(x, y) = Σᵢ kᵢ(x, y): the covariance of a sum of independent processes.
///
/// # Properties
///
/// Positive semi-definite where all terms are; stationary if all are.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0) + Linear::new(2.0);
/// let expected = (-0.5f64).exp() + 2.0 * 6.0;
/// assert!((kernel.eval(&[2.0], &[3.0])? - expected).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// Any number of them, built at run time:
///
/// ```
/// use mercer::prelude::*;
///
/// let terms: Vec<DynKernel> = (1..4).map(|value| Constant::new(value as f64).dynamic()).collect();
/// let kernel = Sum::flat(terms).unwrap();
/// assert_eq!(kernel.eval(&[2.0], &[2.0])?, 6.0);
/// assert!(Sum::flat(Vec::new()).is_none());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.4.
#[derive(Clone, Debug)]
pub struct Sum<P> {
    parts: P,
}

joined!(Sum as "sum");

impl<T: Scalar, P: KernelParts<T>> Kernel<T> for Sum<P> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.parts.join_pairwise(x, y, |sum, term| sum + term).unwrap_or_default()
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        children::embed(&self.parts, points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        children::tile(&self.parts, pairs, out, scratch, add);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        children::tile_diag(&self.parts, features, out, add);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        each_with_theta(&self.parts, theta, |index, term, theta| {
            TileVjp::through(term, &pairs.child(index), cotangent, theta, scratch);
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        each_with_theta(&self.parts, theta, |index, term, theta| {
            term.tile_diag_vjp(DiagVjp::new(features.child(index), cotangent, theta, gradients));
        });
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        children::embed_vjp(&self.parts, points, features, gradients, theta);
    }
}
