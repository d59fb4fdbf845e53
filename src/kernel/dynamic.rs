//! Kernels as values whose type is known at run time.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use super::{DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Scratch, Structure, Target, TileVjp};
use crate::Scalar;
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::scalar::ByPrecision;

/// A kernel at both precisions: what a [`DynKernel`] can hold, and what the children of a combinator are.
/// [`kernel_ops!`](crate::kernel_ops!) implements it for every type that is a [`Kernel`] of `f32` and of `f64`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kernel that can be composed",
    label = "not a kernel of `f32` and of `f64`, or without the operators",
    note = "a kernel of your own needs `impl Expr`, `impl<T: Scalar> Kernel<T>`, of which `pairwise` is required, and \
            `mercer::kernel_ops!({Self});`"
)]
pub trait AnyKernel: Kernel<f32> + Kernel<f64> + Any {
    /// The kernel as a node of an expression.
    fn node(&self) -> &Node;

    /// The kernel in a box.
    fn into_dynamic(self) -> DynKernel
    where
        Self: Sized;
}

/// A kernel whose type is known at run time.
pub type Node = dyn AnyKernel;

impl dyn AnyKernel {
    /// The kernel at a precision.
    #[inline]
    pub fn at<T: Scalar>(&self) -> &dyn Kernel<T> {
        at(self)
    }
}

struct At<'k>(PhantomData<&'k ()>);

impl<'k> ByPrecision for At<'k> {
    type Input<T: Scalar> = &'k Node;
    type Output<T: Scalar> = &'k dyn Kernel<T>;

    #[inline]
    fn f32(kernel: &'k Node) -> &'k dyn Kernel<f32> {
        kernel
    }

    #[inline]
    fn f64(kernel: &'k Node) -> &'k dyn Kernel<f64> {
        kernel
    }
}

/// A kernel at a precision.
#[inline]
pub(crate) fn at<T: Scalar>(kernel: &Node) -> &dyn Kernel<T> {
    T::select::<At<'_>>(kernel)
}

dyn_clone::clone_trait_object!(AnyKernel);

/// Any kernel, in a box: for expressions that are built at run time, kept in collections, or named
/// without their type.
///
/// It gives the same bits as what it holds, at the cost of one virtual call per tile and node. Sums
/// and products of boxed kernels are flat: `a + b + c` has three terms, however it was built.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let mut kernel = Rbf::new(1.0).dynamic();
/// for period in [1.0, 7.0] {
///     kernel = kernel + 0.5 * Periodic::new(1.0, period);
/// }
/// assert_eq!(
///     kernel.to_string(),
///     "rbf(lengthscale=1) + 0.5 * periodic(lengthscale=1, period=1) + 0.5 * periodic(lengthscale=1, period=7)",
/// );
/// assert_eq!(kernel.get("sum[2].scaled.periodic.period")?, 7.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone)]
pub struct DynKernel(Box<dyn AnyKernel>);

impl DynKernel {
    /// Boxes a kernel; one that is a box already stays as it is.
    pub fn new(kernel: impl AnyKernel) -> Self {
        kernel.into_dynamic()
    }

    #[doc(hidden)]
    pub fn of(kernel: Box<Node>) -> Self {
        Self(kernel)
    }

    /// What is in the box, if it is of this type.
    pub fn downcast<K: AnyKernel>(self) -> std::result::Result<K, Self> {
        if (&*self.0 as &dyn Any).is::<K>() {
            let held: Box<dyn Any> = self.0;
            held.downcast().map(|kernel| *kernel).map_err(|_| unreachable!("its type has been looked at"))
        } else {
            Err(self)
        }
    }

    fn at<T: Scalar>(&self) -> &dyn Kernel<T> {
        at(&*self.0)
    }
}

impl fmt::Debug for DynKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Parameterized for DynKernel {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.0.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.0.visit_mut(visitor);
    }
}

impl Expr for DynKernel {
    fn structure(&self) -> Structure<'_> {
        Structure::Boxed(&*self.0)
    }
}

// Forwards every method: one that fell back to its default would lose the fast path of what is held.
impl<T: Scalar> Kernel<T> for DynKernel {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.at::<T>().pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.at::<T>().embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.at::<T>().tile(pairs, out, scratch);
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        self.at::<T>().write_block(pairs, target, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.at::<T>().tile_diag(features, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        self.at::<T>().tile_vjp(to);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        self.at::<T>().tile_diag_vjp(to);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        self.at::<T>().embed_vjp(to);
    }
}

impl AnyKernel for DynKernel {
    fn node(&self) -> &Node {
        &*self.0
    }

    fn into_dynamic(self) -> DynKernel {
        self
    }
}
