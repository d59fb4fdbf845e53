//! The product of kernels.

use super::parts::{self, KernelParts, Parts, each_with_theta};
use crate::kernel::AnyKernel;
use crate::kernel::DynKernel;
use crate::kernel::{
    Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Scratch, Structure, TileParts,
    TileVjp,
};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::simd::elementwise::{multiply, product};
use crate::{Error, Result, Scalar, kernel_ops};

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
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.4.
#[derive(Clone, Debug)]
pub struct Product<P> {
    parts: P,
}

kernel_ops!([P] Product<P>);

impl<A, B> Product<(A, B)> {
    /// The product of two kernels.
    pub fn new(left: A, right: B) -> Self {
        Self { parts: (left, right) }
    }
}

impl Product<Vec<DynKernel>> {
    /// The flat product of any number of kernels, or `None` if there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let factors: Vec<DynKernel> = (1..4).map(|value| Constant::new(value as f64).dynamic()).collect();
    /// let kernel = Product::flat(factors).unwrap();
    /// assert_eq!(kernel.eval(&[2.0], &[2.0])?, 6.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn flat(factors: Vec<DynKernel>) -> Option<Self> {
        (!factors.is_empty()).then_some(Self { parts: factors })
    }

    pub(crate) fn of_factors(factors: Vec<DynKernel>) -> Self {
        Self { parts: factors }
    }

    /// The product of two kernels in boxes, as one flat node.
    #[doc(hidden)]
    pub fn joined(left: DynKernel, right: DynKernel) -> DynKernel {
        let parts = [left, right]
            .into_iter()
            .flat_map(|kernel| kernel.downcast().map_or_else(|one| vec![one], Self::into_parts));
        Self::of_factors(parts.collect()).into_dynamic()
    }
}

impl<P> Product<P> {
    /// The factors.
    pub fn parts(&self) -> &P {
        &self.parts
    }

    /// The factors, taken out.
    pub fn into_parts(self) -> P {
        self.parts
    }
}

impl Construct for Product<Vec<DynKernel>> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        Self::flat(parts::construct(arguments)?).ok_or_else(|| Error::Empty { what: "the product".to_owned() })
    }
}

impl<P: Parts> Parameterized for Product<P> {
    fn name(&self) -> &str {
        "product"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.parts.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.parts.visit_mut(visitor);
    }
}

impl<P: Parts> Expr for Product<P> {
    fn structure(&self) -> Structure<'_> {
        Structure::Product(&self.parts)
    }
}

impl<T: Scalar, P: KernelParts<T>> Kernel<T> for Product<P> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let product = self.parts.join_pairwise(x, y, |product, factor| product * factor);
        product.unwrap_or_else(|| T::from_f64(1.0))
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        parts::embed(&self.parts, points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        parts::tile(&self.parts, pairs, out, scratch, multiply);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        parts::tile_diag(&self.parts, features, out, multiply);
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
        parts::embed_vjp(&self.parts, points, features, gradients, theta);
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
