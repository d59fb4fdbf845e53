//! The parts of a sum or a product: two of known types, or any number in boxes.

use std::fmt::Debug;

use crate::kernel::DynKernel;
use crate::kernel::{
    AnyKernel, Arguments, Children, EmbedVjp, FeatureGradients, Features, Kernel, Node, Pairs, Points, Scratch,
    split_theta,
};
use crate::params::{Label, Visitor, VisitorMut};
use crate::{Result, Scalar};

/// The kernels that a [`Sum`](super::Sum) or a [`Product`](super::Product) is made of: a pair
/// `(A, B)`, or a `Vec<DynKernel>`.
pub trait Parts: Children + Clone + Debug + Send + Sync + 'static {
    /// Shows each part.
    fn visit(&self, visitor: &mut dyn Visitor);
    /// Shows each part, for change.
    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut);
}

/// [`Parts`] that are kernels at precision `T`.
pub trait KernelParts<T: Scalar>: Parts {
    /// The parts, in order. A part is called through its vtable, once a tile.
    fn kernels(&self) -> impl ExactSizeIterator<Item = &dyn Kernel<T>> {
        (0..self.count()).map(|index| self.child(index).at())
    }

    /// The values of the parts for two points, joined from left to right. Parts of known types are
    /// called without a vtable here, where there is no tile to spread its cost over.
    fn join_pairwise(&self, x: &[T], y: &[T], join: impl Fn(T, T) -> T) -> Option<T> {
        self.kernels().map(|part| part.pairwise(x, y)).reduce(join)
    }
}

impl<A: AnyKernel, B: AnyKernel> Children for (A, B) {
    fn count(&self) -> usize {
        2
    }

    fn child(&self, index: usize) -> &Node {
        if index == 0 { self.0.node() } else { self.1.node() }
    }
}

impl<K: AnyKernel> Children for Vec<K> {
    fn count(&self) -> usize {
        self.len()
    }

    fn child(&self, index: usize) -> &Node {
        self[index].node()
    }
}

impl<A: AnyKernel + Clone, B: AnyKernel + Clone> Parts for (A, B) {
    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Index(0), &self.0);
        visitor.child(Label::Index(1), &self.1);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Index(0), &mut self.0);
        visitor.child(Label::Index(1), &mut self.1);
    }
}

impl<T: Scalar, A: AnyKernel + Kernel<T> + Clone, B: AnyKernel + Kernel<T> + Clone> KernelParts<T> for (A, B) {
    #[inline]
    fn join_pairwise(&self, x: &[T], y: &[T], join: impl Fn(T, T) -> T) -> Option<T> {
        Some(join(self.0.pairwise(x, y), self.1.pairwise(x, y)))
    }
}

impl Parts for Vec<DynKernel> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.iter().enumerate().for_each(|(index, part)| visitor.child(Label::Index(index), part));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.iter_mut().enumerate().for_each(|(index, part)| visitor.child(Label::Index(index), part));
    }
}

impl<T: Scalar> KernelParts<T> for Vec<DynKernel> {}

/// What sums and products share: constructors, parameters, operators, structure, and text.
macro_rules! joined {
    ($type:ident as $name:literal) => {
        crate::kernel_ops!([P] $type<P>);

        impl<A, B> $type<(A, B)> {
            #[doc = concat!("The ", $name, " of two kernels.")]
            pub fn new(left: A, right: B) -> Self {
                Self { parts: (left, right) }
            }
        }

        impl $type<Vec<DynKernel>> {
            #[doc = concat!("The flat ", $name, " of any number of kernels, or `None` if there are none.")]
            pub fn flat(parts: Vec<DynKernel>) -> Option<Self> {
                (!parts.is_empty()).then_some(Self { parts })
            }

            pub(crate) fn of(parts: Vec<DynKernel>) -> Self {
                Self { parts }
            }

            #[doc = concat!("The ", $name, " of two kernels in boxes, as one flat node.")]
            #[doc(hidden)]
            pub fn joined(left: DynKernel, right: DynKernel) -> DynKernel {
                let parts = |kernel: DynKernel| kernel.downcast().map_or_else(|one| vec![one], Self::into_parts);
                crate::kernel::AnyKernel::into_dynamic(Self::of([left, right].into_iter().flat_map(parts).collect()))
            }
        }

        impl<P> $type<P> {
            /// The parts.
            pub fn parts(&self) -> &P {
                &self.parts
            }

            /// The parts, taken out.
            pub fn into_parts(self) -> P {
                self.parts
            }
        }

        impl crate::kernel::Construct for $type<Vec<DynKernel>> {
            fn construct(arguments: &mut crate::kernel::Arguments<'_>) -> crate::Result<Self> {
                arguments.check_names(&["kernel"])?;
                let parts = crate::combine::children::construct(arguments)?;
                Self::flat(parts).ok_or_else(|| crate::Error::Empty { what: concat!("the ", $name).to_owned() })
            }
        }

        impl<P: Parts> crate::params::Parameterized for $type<P> {
            fn name(&self) -> &str {
                $name
            }

            fn visit(&self, visitor: &mut dyn crate::params::Visitor) {
                self.parts.visit(visitor);
            }

            fn visit_mut(&mut self, visitor: &mut dyn crate::params::VisitorMut) {
                self.parts.visit_mut(visitor);
            }
        }

        impl<P: Parts> crate::kernel::Expr for $type<P> {
            fn structure(&self) -> crate::kernel::Structure<'_> {
                crate::kernel::Structure::$type(&self.parts)
            }
        }
    };
}

pub(super) use joined;

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
