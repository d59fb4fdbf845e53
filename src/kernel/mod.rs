//! What a kernel is: the traits, and the drivers that turn kernels into matrices.
//!
//! A kernel says in two steps what it is. [`Kernel::embed`] turns the points, once, into per-point
//! [`Features`]; [`Kernel::tile`] turns a block of pairs of features into a block of values. The
//! drivers in this module cut a matrix into such blocks. See the [design notes](crate::docs::design).

mod contexts;
mod cross;
mod diag;
pub mod dynamic;
mod ext;
mod features;
#[doc(hidden)]
pub mod formula;
mod gram;
pub(crate) mod index;
pub mod ops;
mod psd;
mod scratch;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod span;
mod spectral;
mod text;
pub(crate) mod tile;
pub(crate) mod variables;
mod vjp;
mod workspace;
mod write;

pub use contexts::{DiagVjp, EmbedVjp, TileParts, TileVjp};
pub use cross::{cross_into, cross_into_with, matmul_into};
pub use diag::diag_into;
pub(crate) use diag::{add_own_differences, add_own_differences_vjp, fill_diag};
pub use ext::KernelExt;
pub(crate) use features::Embedding;
pub use features::{FeatureGradients, Features, Points};
pub use formula::Formula;
pub use gram::{gram_into, gram_into_with};
pub use index::IndexColumn;
pub use psd::Psd;
pub use scratch::Scratch;
pub use spectral::{FrequencyLaw, SpectralMeasure};
pub use text::{
    Argument, Arguments, Construct, Constructor, FromArgument, Limits, Precedence, Text, register, register_function,
    text,
};
pub(crate) use text::{
    List, Number, Rows, constructor, from_text, vertical, write_arguments, write_function, write_warped,
};
pub use tile::Pairs;
pub use vjp::{Gradients, Wanted, cross_vjp, diag_vjp, gram_vjp, matmul_vjp};
pub use workspace::Workspace;
pub use write::Target;

use std::fmt::{self, Debug};

use faer::MatRef;
use index::check_indices;

use crate::kernels::Laplacian;
use crate::params::{Parameterized, ParameterizedExt, is_associative};
use crate::{Error, Result, Scalar};

/// The part of a kernel that does not depend on the scalar type: its parameters, its properties and
/// its text.
pub trait Expr: Parameterized + dyn_clone::DynClone + Debug + Send + Sync {
    /// The subexpressions that this node is built from, in the order of their parameters.
    fn children(&self) -> Vec<&dyn Expr> {
        Vec::new()
    }

    /// In which dimensions of the input the kernel is guaranteed positive semi-definite, at its
    /// present hyperparameters. Say [`Psd::Never`] unless you know.
    fn psd(&self) -> Psd {
        Psd::Never
    }

    /// Whether k(x, y) depends on x − y alone. Maps of the inputs then measure points from an origin near them, or
    /// give k(x − y, 0) for k(x, y).
    fn stationary(&self) -> bool {
        false
    }

    /// Whether k(x, y) depends on the angle between x and y alone: points of any length, rotated
    /// together, have the same covariance.
    fn zonal(&self) -> bool {
        false
    }

    /// Whether k(x, y) depends on the Euclidean distance ‖x − y‖ alone.
    fn isotropic(&self) -> bool {
        false
    }

    /// The spectral density S(ω) = ∫ k(r) exp(−i ωᵀr) dr of a stationary kernel k(x − y) at an angular
    /// frequency ω of as many dimensions as the points, which [`check_dim`](Self::check_dim) accepts;
    /// `None` if there is none or it is not known. k(r) = (2π)^(−D) ∫ S(ω) exp(i ωᵀr) dω (Bochner).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = 2.0 * Rbf::new(0.5);
    /// let expected = 2.0 * (2.0 * std::f64::consts::PI).sqrt() * 0.5 * (-0.5f64 * 0.25 * 9.0).exp();
    /// assert!((kernel.spectral_density(&[3.0]).unwrap() - expected).abs() < 1e-15);
    /// assert!(Linear::new(1.0).spectral_density(&[3.0]).is_none());
    /// ```
    fn spectral_density(&self, frequency: &[f64]) -> Option<f64> {
        let _ = frequency;
        None
    }

    /// Adds to `theta` the gradient of c S(ω), for a cotangent c. Only called where
    /// [`spectral_density`](Self::spectral_density) knows S(ω).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// // S = σ² √(2π) ℓ exp(−ℓ²ω²/2): dS/dσ² = S/σ², dS/dℓ = S (1/ℓ − ℓω²).
    /// let kernel = 2.0 * Rbf::new(0.5);
    /// let density = kernel.spectral_density(&[3.0]).unwrap();
    /// let mut theta = [0.0; 2];
    /// kernel.spectral_density_vjp(&[3.0], 10.0, &mut theta);
    /// assert!((theta[0] - 5.0 * density).abs() < 1e-14);
    /// assert!((theta[1] - 10.0 * density * (2.0 - 4.5)).abs() < 1e-14);
    /// ```
    fn spectral_density_vjp(&self, frequency: &[f64], cotangent: f64, theta: &mut [f64]) {
        let _ = (frequency, cotangent, theta);
    }

    /// The spectral measure of a stationary kernel k(x − y) on points of this dimension, which
    /// [`check_dim`](Self::check_dim) accepts: its spectrum, to draw frequencies from.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpectrum`] names the subexpression that has none, or for which it is not known: the default.
    fn spectral_measure(&self, dim: usize) -> Result<SpectralMeasure> {
        let _ = dim;
        Err(no_spectrum(self))
    }

    /// The Funk–Hecke coefficients a₀, …, a_{l_max} of a kernel that depends on the angle alone on the unit sphere in `dim` ≥ 2
    /// dimensions, where they are known in closed form; `None` if not.
    /// [`ZonalSpectrum`](crate::sphere::ZonalSpectrum) states what they are, and integrates where there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// // xᵀy is ∫ = 4π/3 times the projection on the harmonics of degree 1.
    /// let kernel = 2.0 * Linear::new(0.5);
    /// assert_eq!(kernel.funk_hecke(3, 2), Some(vec![0.0, 4.0 * std::f64::consts::PI / 3.0, 0.0]));
    /// assert!(Matern32::new(1.0).funk_hecke(3, 2).is_none());
    /// ```
    fn funk_hecke(&self, dim: usize, l_max: usize) -> Option<Vec<f64>> {
        let _ = (dim, l_max);
        None
    }

    /// Adds to `theta` the gradient of Σ_l c_l a_l, for as many coefficients as cotangents. Only called where
    /// [`funk_hecke`](Self::funk_hecke) knows them.
    fn funk_hecke_vjp(&self, dim: usize, cotangent: &[f64], theta: &mut [f64]) {
        let _ = (dim, cotangent, theta);
    }

    /// The variances of the coefficients of the eigenvectors of a graph's Laplacian, by ascending eigenvalue, under a kernel
    /// on its nodes that is diagonal in them: K = Σ_k w_k φ_k φ_kᵀ; `None` for another kernel, or of another graph.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernels::Laplacian;
    /// use mercer::prelude::*;
    ///
    /// // Two nodes and one edge: L has the eigenvalues 0 and 2, exp(−κ²L/2) the eigenvalues 1 and exp(−κ²).
    /// let graph = Laplacian::from_edges(2, &[(0, 1, 1.0)])?;
    /// let kernel = 3.0 * GraphHeat::new(graph.clone(), 0.5);
    /// let weights = kernel.graph_spectrum(&graph).unwrap();
    /// assert!((weights[1] / weights[0] - (-0.25f64).exp()).abs() < 1e-15);
    /// assert!((weights[0] + weights[1] - 2.0 * 3.0).abs() < 1e-14); // the trace of K
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn graph_spectrum(&self, laplacian: &Laplacian) -> Option<Vec<f64>> {
        let _ = laplacian;
        None
    }

    /// Adds to `theta` the gradient of Σ_k c_k w_k, for as many cotangents as nodes. Only called where
    /// [`graph_spectrum`](Self::graph_spectrum) knows them.
    fn graph_spectrum_vjp(&self, laplacian: &Laplacian, cotangent: &[f64], theta: &mut [f64]) {
        let _ = (laplacian, cotangent, theta);
    }

    /// Whether the vector-Jacobian products of [`Kernel`] are implemented: here and in all children.
    fn differentiable(&self) -> bool {
        false
    }

    /// Which dimensions of points of this dimension, one that [`check_dim`](Self::check_dim) accepts, the values depend on.
    /// The default is right for leaves that read all, and for combinators that read what their children read.
    ///
    /// What stands in the others changes no value, a NaN neither; a NaN in one of these makes NaN of k(x, x). Masks and
    /// models go by it, and the laws of `testkit::special` check it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Rbf::new(1.0).on([2]).change_point(Constant::new(1.0), 0.0, 1.0);
    /// assert_eq!(kernel.reads(4), [true, false, true, false]);
    /// ```
    fn reads(&self, dim: usize) -> Vec<bool> {
        let children = self.children();
        if children.is_empty() {
            return vec![true; dim];
        }
        let mut reads = vec![false; dim];
        for child in children {
            reads.iter_mut().zip(child.reads(dim)).for_each(|(any, read)| *any |= read);
        }
        reads
    }

    /// Refuses points of a dimension that this kernel cannot read.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`], naming the subexpression and what it needs.
    fn check_dim(&self, dim: usize) -> Result<()> {
        self.children().iter().try_for_each(|child| child.check_dim(dim))
    }

    /// The columns of points of this dimension, one that [`check_dim`](Self::check_dim) accepts, that
    /// hold an index. The default gives those of the children, which read the same points.
    fn index_columns(&self, dim: usize) -> Vec<IndexColumn<'_>> {
        self.children().into_iter().flat_map(|child| child.index_columns(dim)).collect()
    }

    /// What the expression needs beside its parameters and children to be built again, as names and
    /// texts: `("degree", "3")`.
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Writes the expression as text; [`text()`] and `Display` call it. The default writes
    /// `name(child, …, setting=…, parameter=value, …)`.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_call(self, f)
    }

    /// How tightly the text binds, so that a parent knows where it needs parentheses.
    fn precedence(&self) -> Precedence {
        Precedence::Call
    }
}

dyn_clone::clone_trait_object!(Expr);

/// A covariance function k(x, y), at precision `T`.
///
/// Only [`pairwise`](Self::pairwise) is required: everything else has a default that calls it. To be
/// fast, override [`tile`](Self::tile) (and [`embed`](Self::embed), where there is work that depends
/// on one point alone); to be fitted, override the vector-Jacobian products and return `true` from
/// [`Expr::differentiable`]. A kernel of r²/ℓ² alone gets all of it from
/// [`Radial`](crate::kernels::Radial), and one that is stated as a [`Formula`] gets exact gradients.
///
/// The methods of this trait are the inner interface, called by drivers and combinators with checked
/// shapes. Users call [`KernelExt`]: `kernel.gram(x)`.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// /// k(x, y) = max(0, min(x, y)): Brownian motion that starts at 0.
/// #[derive(Clone, Debug)]
/// struct Wiener;
/// mercer::parameterized!(Wiener as "wiener", parameters: []);
/// mercer::kernel_ops!(Wiener);
///
/// impl Expr for Wiener {
///     fn psd(&self) -> Psd {
///         Psd::UpTo(1)
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Wiener {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         let smaller = if x[0] < y[0] { x[0] } else { y[0] };
///         if smaller > T::from_f64(0.0) { smaller } else { T::from_f64(0.0) }
///     }
/// }
///
/// let kernel = 2.0 * Wiener + Rbf::new(1.0);
/// let x = mat![[1.0], [3.0]];
/// let gram = kernel.gram(x.as_ref())?;
/// assert!((gram[(0, 1)] - (2.0 + (-2.0f64).exp())).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Kernel<T: Scalar>: Expr {
    /// k(x, y) for two points of the same dimension, one that [`Expr::check_dim`] accepts.
    ///
    /// # Panics
    ///
    /// May panic if the two differ in dimension or have one that is refused; the checked form is
    /// [`KernelExt::eval`].
    fn pairwise(&self, x: &[T], y: &[T]) -> T;

    /// The per-point features, in a tree of the shape that [`tile`](Self::tile) reads. The default
    /// hands on the points themselves, without a copy.
    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        Features::leaf(points.clone())
    }

    /// Fills `out` with the kernel's values for a block of pairs, by columns:
    /// `out[row + rows · col]`.
    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        tile::tile_by_pairs(pairs, out, scratch, |x, y| self.pairwise(x, y));
    }

    /// Writes the kernel's values for a block of pairs into a matrix. The default goes through a
    /// [`tile`](Self::tile); a leaf that can write straight into the matrix saves the copy, and a
    /// combinator that changes no value, or only by a factor, hands on the target. The bits must be
    /// those of the tile.
    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        target.write_tile(pairs, scratch, &mut |pairs, out, scratch| self.tile(pairs, out, scratch));
    }

    /// Fills `out` with k(x, x), as it stands on the diagonal of a Gram matrix: NaN where that has a NaN, as a kernel of x − y
    /// has at a NaN or infinite x.
    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let mut point = Vec::new();
        for (row, value) in out.iter_mut().enumerate() {
            features.points().copy_row(row, &mut point);
            *value = self.pairwise(&point, &point);
        }
    }

    /// Adds to the gradients what a block contributes to Σ cotangent ∘ tile: to those of the kernel's parameters, and,
    /// through the scratch, to those of the features. Never called unless the kernel says that it is
    /// [differentiable](Properties::differentiable).
    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let _ = to;
    }

    /// Adds to the gradients what Σ cotangentᵢ · k(xᵢ, xᵢ) contributes. The default calls
    /// [`tile_vjp`](Self::tile_vjp) for one point at a time.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        tile::diag_vjp_by_blocks(features, cotangent, gradients, |pairs, cotangent, scratch| {
            let mut value = scratch.take(1);
            self.tile(pairs, &mut value, scratch);
            self.tile_vjp(TileVjp::new(pairs, &value, cotangent, theta, scratch));
            scratch.give(value);
        });
    }

    /// Pulls the gradient of what [`embed`](Self::embed) made back to the points it was made from,
    /// and adds to that of the map's own parameters. Nothing to do where `embed` hands on the points.
    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let _ = to;
    }
}

dyn_clone::clone_trait_object!(<T> Kernel<T> where T: Scalar);

/// Refuses what the drivers refuse before they start: points without a dimension that the kernel
/// reads, and points without an index where it reads one.
pub(crate) fn check_points<T: Scalar, E: Expr + ?Sized>(kernel: &E, what: &str, points: MatRef<'_, T>) -> Result<()> {
    let (rows, dim) = points.shape();
    if dim == 0 {
        return Err(Error::shape(what, "at least one column", (rows, dim)));
    }
    kernel.check_dim(dim)?;
    check_indices(kernel, what, points)
}

/// Refuses a second set of points that does not go with the first, which has been checked.
pub(crate) fn check_others<T: Scalar>(kernel: &dyn Kernel<T>, z: MatRef<'_, T>, dim: usize) -> Result<()> {
    if z.ncols() != dim {
        return Err(Error::shape("z", format!("{dim} column(s), as x has"), (z.nrows(), z.ncols())));
    }
    check_indices(kernel, "z", z)
}

/// Refuses kernels without vector-Jacobian products, by the path of the first node that has none.
pub(crate) fn check_differentiable(kernel: &dyn Expr) -> Result<()> {
    fn lacking(node: &dyn Expr, path: &str) -> Option<String> {
        if node.differentiable() {
            return None;
        }
        let parts = parts(node);
        let numbered = parts.len() > 1 || is_associative(node.name());
        let place = |(index, part): (usize, &&dyn Expr)| {
            let index = if numbered { format!("[{index}]") } else { String::new() };
            lacking(*part, &format!("{path}{index}.{}", part.name()))
        };
        parts.iter().enumerate().find_map(place).or_else(|| Some(path.to_owned()))
    }
    match lacking(kernel, kernel.name()) {
        None => Ok(()),
        Some(path) => Err(Error::NotDifferentiable { path }),
    }
}

/// The children, with those of a sum in a sum (or a product in a product) in its place, as paths
/// number them.
fn parts(node: &dyn Expr) -> Vec<&dyn Expr> {
    let chained = |child: &&dyn Expr| is_associative(node.name()) && child.name() == node.name();
    let each = |child| if chained(&child) { parts(child) } else { vec![child] };
    node.children().into_iter().flat_map(each).collect()
}

/// That a subexpression has no known spectrum.
pub(crate) fn no_spectrum<E: Expr + ?Sized>(node: &E) -> Error {
    struct Written<'e, E: ?Sized>(&'e E);
    impl<E: Expr + ?Sized> fmt::Display for Written<'_, E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write_text(f)
        }
    }
    Error::NoSpectrum { kernel: Written(node).to_string() }
}

/// Splits a gradient vector at the boundary between the parameters of one kernel and the rest.
pub(crate) fn split_theta<'t, P: Parameterized + ?Sized>(
    first: &P,
    theta: &'t mut [f64],
) -> (&'t mut [f64], &'t mut [f64]) {
    let at = first.num_params().min(theta.len());
    theta.split_at_mut(at)
}
