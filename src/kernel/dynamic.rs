//! Kernels as values whose type is known at run time.

use std::any::Any;
use std::fmt;

use super::ops::Compose;
use super::{
    DiagVjp, EmbedVjp, Expr, Features, IndexColumn, Kernel, Pairs, Points, Precedence, Psd, Scratch, SpectralMeasure,
    Target, TileVjp,
};
use crate::combine::{Product, Sum};
use crate::kernels::Laplacian;
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::{Result, Scalar};

/// A kernel at both precisions: what a [`DynKernel`] can hold. Implemented for every type that is a
/// [`Kernel`] of `f32` and of `f64`.
pub trait AnyKernel: Kernel<f32> + Kernel<f64> {
    #[doc(hidden)]
    fn into_terms(self: Box<Self>) -> Vec<DynKernel>;
    #[doc(hidden)]
    fn into_factors(self: Box<Self>) -> Vec<DynKernel>;
    #[doc(hidden)]
    fn as_parameterized_mut(&mut self) -> &mut dyn Parameterized;
}

impl<K: Kernel<f32> + Kernel<f64> + 'static> AnyKernel for K {
    fn into_terms(self: Box<Self>) -> Vec<DynKernel> {
        cast::<Box<K>, Box<Sum<Vec<DynKernel>>>>(self)
            .map_or_else(|kernel| vec![DynKernel(kernel)], |sum| sum.into_parts())
    }

    fn into_factors(self: Box<Self>) -> Vec<DynKernel> {
        cast::<Box<K>, Box<Product<Vec<DynKernel>>>>(self)
            .map_or_else(|kernel| vec![DynKernel(kernel)], |product| product.into_parts())
    }

    fn as_parameterized_mut(&mut self) -> &mut dyn Parameterized {
        self
    }
}

dyn_clone::clone_trait_object!(AnyKernel);

/// The value as a `B`, if that is what its type `A` is.
fn cast<A: 'static, B: 'static>(value: A) -> std::result::Result<B, A> {
    let mut value = Some(value);
    let cast = (&mut value as &mut dyn Any).downcast_mut::<Option<B>>().and_then(Option::take);
    match (cast, value) {
        (Some(cast), _) => Ok(cast),
        (None, Some(value)) => Err(value),
        (None, None) => unreachable!("the value is only taken out by the cast"),
    }
}

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
    pub fn new(kernel: impl Compose) -> Self {
        kernel.dynamic()
    }

    pub(crate) fn boxed<K: AnyKernel + 'static>(kernel: K) -> Self {
        cast::<K, Self>(kernel).unwrap_or_else(|kernel| Self(Box::new(kernel)))
    }

    /// The sum, as one flat node.
    #[doc(hidden)]
    pub fn plus_boxed(self, other: Self) -> Self {
        let mut terms = self.0.into_terms();
        terms.extend(other.0.into_terms());
        Self::boxed(Sum::of_terms(terms))
    }

    /// The product, as one flat node.
    #[doc(hidden)]
    pub fn times_boxed(self, other: Self) -> Self {
        let mut factors = self.0.into_factors();
        factors.extend(other.0.into_factors());
        Self::boxed(Product::of_factors(factors))
    }

    fn at<T: Scalar>(&self) -> &dyn Kernel<T> {
        T::select_kernel(&*self.0)
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
        self.0.as_parameterized_mut().visit_mut(visitor);
    }
}

impl Expr for DynKernel {
    fn children(&self) -> Vec<&dyn Expr> {
        self.0.children()
    }

    fn psd(&self) -> Psd {
        self.0.psd()
    }

    fn stationary(&self) -> bool {
        self.0.stationary()
    }

    fn zonal(&self) -> bool {
        self.0.zonal()
    }

    fn isotropic(&self) -> bool {
        self.0.isotropic()
    }

    fn differentiable(&self) -> bool {
        self.0.differentiable()
    }

    fn spectral_density(&self, frequency: &[f64]) -> Option<f64> {
        self.0.spectral_density(frequency)
    }

    fn spectral_density_vjp(&self, frequency: &[f64], cotangent: f64, theta: &mut [f64]) {
        self.0.spectral_density_vjp(frequency, cotangent, theta);
    }

    fn spectral_measure(&self, dim: usize) -> Result<SpectralMeasure> {
        self.0.spectral_measure(dim)
    }

    fn funk_hecke(&self, dim: usize, l_max: usize) -> Option<Vec<f64>> {
        self.0.funk_hecke(dim, l_max)
    }

    fn funk_hecke_vjp(&self, dim: usize, cotangent: &[f64], theta: &mut [f64]) {
        self.0.funk_hecke_vjp(dim, cotangent, theta);
    }

    fn graph_spectrum(&self, laplacian: &Laplacian) -> Option<Vec<f64>> {
        self.0.graph_spectrum(laplacian)
    }

    fn graph_spectrum_vjp(&self, laplacian: &Laplacian, cotangent: &[f64], theta: &mut [f64]) {
        self.0.graph_spectrum_vjp(laplacian, cotangent, theta);
    }

    fn reads(&self, dim: usize) -> Vec<bool> {
        self.0.reads(dim)
    }

    fn check_dim(&self, dim: usize) -> Result<()> {
        self.0.check_dim(dim)
    }

    fn index_columns(&self, dim: usize) -> Vec<IndexColumn<'_>> {
        self.0.index_columns(dim)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        self.0.settings()
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_text(f)
    }

    fn precedence(&self) -> Precedence {
        self.0.precedence()
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
