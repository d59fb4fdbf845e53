//! The parts of a sum or a product: two of known types, or any number in boxes.

use std::fmt::Debug;

use crate::kernel::dynamic::DynKernel;
use crate::kernel::{
    Arguments, EmbedVjp, Expr, FeatureGradients, Features, Kernel, Pairs, Points, Scratch, split_theta,
};
use crate::params::{Label, Visitor, VisitorMut};
use crate::{Result, Scalar};

/// The kernels that a [`Sum`](super::Sum) or a [`Product`](super::Product) is made of: a pair
/// `(A, B)`, or a `Vec<DynKernel>`.
pub trait Parts: Clone + Debug + Send + Sync {
    /// The parts, in order.
    fn exprs(&self) -> Vec<&dyn Expr>;
    /// Shows each part.
    fn visit(&self, visitor: &mut dyn Visitor);
    /// Shows each part, for change.
    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut);
}

/// [`Parts`] that are kernels at precision `T`.
pub trait KernelParts<T: Scalar>: Parts {
    /// The parts, in order. A part is called through its vtable, once a tile.
    fn kernels(&self) -> impl ExactSizeIterator<Item = &dyn Kernel<T>>;

    /// The values of the parts for two points, joined from left to right. Parts of known types are
    /// called without a vtable here, where there is no tile to spread its cost over.
    fn join_pairwise(&self, x: &[T], y: &[T], join: impl Fn(T, T) -> T) -> Option<T> {
        self.kernels().map(|part| part.pairwise(x, y)).reduce(join)
    }
}

impl<A: Expr + Clone, B: Expr + Clone> Parts for (A, B) {
    fn exprs(&self) -> Vec<&dyn Expr> {
        vec![&self.0, &self.1]
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Index(0), &self.0);
        visitor.child(Label::Index(1), &self.1);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Index(0), &mut self.0);
        visitor.child(Label::Index(1), &mut self.1);
    }
}

impl<T: Scalar, A: Kernel<T> + Clone, B: Kernel<T> + Clone> KernelParts<T> for (A, B) {
    #[inline]
    fn kernels(&self) -> impl ExactSizeIterator<Item = &dyn Kernel<T>> {
        let both: [&dyn Kernel<T>; 2] = [&self.0, &self.1];
        both.into_iter()
    }

    #[inline]
    fn join_pairwise(&self, x: &[T], y: &[T], join: impl Fn(T, T) -> T) -> Option<T> {
        Some(join(self.0.pairwise(x, y), self.1.pairwise(x, y)))
    }
}

impl Parts for Vec<DynKernel> {
    fn exprs(&self) -> Vec<&dyn Expr> {
        self.iter().map(|part| part as &dyn Expr).collect()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.iter().enumerate().for_each(|(index, part)| visitor.child(Label::Index(index), part));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.iter_mut().enumerate().for_each(|(index, part)| visitor.child(Label::Index(index), part));
    }
}

impl<T: Scalar> KernelParts<T> for Vec<DynKernel> {
    fn kernels(&self) -> impl ExactSizeIterator<Item = &dyn Kernel<T>> {
        self.iter().map(|part| part as &dyn Kernel<T>)
    }
}

/// The kernels in a call like `sum(a, b, …)`.
pub(super) fn construct(arguments: &mut Arguments<'_>) -> Result<Vec<DynKernel>> {
    let mut parts = Vec::new();
    while let Some(part) = arguments.take_optional("kernel")? {
        parts.push(part);
    }
    Ok(parts)
}

/// The features of every part, for the same points.
pub(super) fn embed<'a, T: Scalar>(parts: &impl KernelParts<T>, points: &Points<'a, T>) -> Features<'a, T> {
    Features::branch(parts.kernels().map(|part| part.embed(points)).collect())
}

/// Joins the tiles of all parts, one after the other, in `out`.
pub(super) fn tile<T: Scalar, P: KernelParts<T>>(
    parts: &P,
    pairs: &Pairs<'_, T>,
    out: &mut [T],
    scratch: &mut Scratch<T>,
    join: impl Fn(&mut [T], &[T]),
) {
    let mut other = scratch.take(pairs.len());
    for (index, part) in parts.kernels().enumerate() {
        if index == 0 {
            part.tile(&pairs.child(index), out, scratch);
        } else {
            part.tile(&pairs.child(index), &mut other, scratch);
            join(out, &other);
        }
    }
    scratch.give(other);
}

/// Joins the diagonals of all parts in `out`.
pub(super) fn tile_diag<T: Scalar, P: KernelParts<T>>(
    parts: &P,
    features: &Features<'_, T>,
    out: &mut [T],
    join: impl Fn(&mut [T], &[T]),
) {
    let mut other = vec![T::from_f64(0.0); out.len()];
    for (index, part) in parts.kernels().enumerate() {
        if index == 0 {
            part.tile_diag(features.child(index), out);
        } else {
            part.tile_diag(features.child(index), &mut other);
            join(out, &other);
        }
    }
}

/// Pulls the gradients in the features of every part back to the points.
pub(super) fn embed_vjp<T: Scalar>(
    parts: &impl KernelParts<T>,
    points: &Points<'_, T>,
    features: &Features<'_, T>,
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
) {
    each_with_theta(parts, theta, |index, part, theta| {
        part.embed_vjp(EmbedVjp::new(points, features.child(index), gradients, theta));
    });
}

/// Calls `act` for each part, with its share of the gradient vector.
pub(super) fn each_with_theta<T: Scalar>(
    parts: &impl KernelParts<T>,
    mut theta: &mut [f64],
    mut act: impl FnMut(usize, &dyn Kernel<T>, &mut [f64]),
) {
    for (index, part) in parts.kernels().enumerate() {
        let (own, rest) = split_theta(part, theta);
        act(index, part, own);
        theta = rest;
    }
}
