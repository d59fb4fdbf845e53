//! What a kernel is: the traits, and the drivers that turn kernels into matrices.
//!
//! A kernel says in two steps what it is. [`Kernel::embed`] turns the points, once, into per-point
//! [`Features`]; [`Kernel::tile`] turns a block of pairs of features into a block of values. The
//! drivers in this module cut a matrix into such blocks. See the [design notes](crate::docs::design).

mod contexts;
mod cross;
mod diag;
mod dynamic;
mod ext;
mod features;
#[doc(hidden)]
pub mod formula;
mod frequency_law;
mod gram;
pub(crate) mod index;
mod inputs;
pub(crate) mod point_factors;
mod points;
pub(crate) mod present;
mod properties;
mod psd;
mod scratch;
pub(crate) mod span;
pub(crate) mod spectrum;
mod state_space;
mod structure;
pub(crate) mod text;
pub(crate) mod tile;
pub(crate) mod variables;
mod views;
mod vjp;
mod warp;
mod workspace;
mod write;

pub use contexts::{DiagVjp, EmbedVjp, TileParts, TileVjp};
pub use cross::{cross_into, cross_into_with, matmul_into};
pub use diag::diag_into;
pub(crate) use diag::{add_own_differences, add_own_differences_vjp, fill_diag};
pub use dynamic::{AnyKernel, DynKernel, Node};
pub use ext::{KernelExt, MatrixView};
pub(crate) use features::Embedding;
pub use features::{FeatureGradients, Features};
pub use formula::Formula;
pub use frequency_law::FrequencyLaw;
pub use gram::{gram_into, gram_into_with};
pub use index::IndexColumn;
pub use inputs::Inputs;
pub(crate) use inputs::check_values;
pub use points::Points;
pub use properties::Properties;
pub use psd::Psd;
pub use scratch::Scratch;
pub use spectrum::Spectrum;
pub use state_space::{ByFormula, Column, Family, MarkovFactor, MarkovTerm, STEPS, StateSpace, StepFormula, Steps};
pub use structure::{Children, Structure};
pub use text::{Argument, Arguments, Construct, FromArgument, Limits, Precedence, Text, text};
pub(crate) use text::{List, Number, Rows, from_text, write_arguments, write_function};
pub use tile::Pairs;
pub use variables::Variable;
pub use views::{Markov, OnGraph, OnSphere, Spectral, Views};
pub use vjp::{GradientRequest, Gradients, cross_vjp, diag_vjp, gram_vjp, matmul_vjp};
pub(crate) use vjp::{Part, cross_vjp_with_values, gram_vjp_with_values};
pub use warp::{AnyWarp, WarpExpr};
pub use workspace::Workspace;
pub use write::Target;

use std::fmt::{self, Debug};

use faer::MatRef;
use index::check_indices;

use crate::params::{Parameterized, ParameterizedExt, is_associative};
use crate::{Error, Result, Scalar};

/// The part of a kernel that does not depend on the scalar type: its parameters, its properties and
/// its text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kernel expression",
    label = "does not say what it is",
    note = "`impl Expr for {Self}`: its structure, properties and inputs, all of which have defaults"
)]
pub trait Expr: Parameterized + dyn_clone::DynClone + Debug + Send + Sync + 'static {
    /// Which operation this node is, and on what; of a leaf, which closed forms it has. Properties, inputs and text have
    /// defaults that follow from it.
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::default())
    }

    /// What is known of the kernel, at its present hyperparameters. Of a leaf nothing, by default.
    fn properties(&self) -> Properties {
        self.structure().properties()
    }

    /// What the kernel reads of points of this dimension. The default is right for leaves that read all of any points, and
    /// for combinators that read what their children read.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`] for points of a dimension that the kernel cannot read, naming the subexpression and what it
    /// needs; [`Error::WarpedIndex`] where an index is hidden by a map.
    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        self.structure().inputs(self, dim)
    }

    /// The subexpressions that this node is built from, in the order of their parameters.
    fn children(&self) -> Vec<&Node> {
        self.structure().children()
    }

    /// What the expression needs beside its parameters and children to be built again, as names and
    /// texts: `("degree", "3")`.
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The settings and parameters that text writes after all others, so that their order is that in which the constructor
    /// takes them. The default is settings first, then parameters in visiting order.
    fn written_last(&self) -> &'static [&'static str] {
        &[]
    }

    /// Writes the expression as text; [`text()`] and `Display` call it. The default writes sums, products, powers and
    /// what is in a box as such, and all else as `name(child, …, setting=…, parameter=value, …)`.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(self, f)
    }
}

dyn_clone::clone_trait_object!(Expr);

/// A covariance function k(x, y), at precision `T`.
///
/// Only [`pairwise`](Self::pairwise) is required: everything else has a default that calls it. To be
/// fast, override [`tile`](Self::tile) (and [`embed`](Self::embed), where there is work that depends
/// on one point alone); to be fitted, override the vector-Jacobian products and say
/// [`differentiable`](Properties::differentiable) in [`Expr::properties`]. A kernel of r²/ℓ² alone gets all of it from
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
///     fn properties(&self) -> Properties {
///         Properties::unknown().psd(Psd::UpTo(1))
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kernel at precision `{T}`",
    label = "has no values at `{T}`",
    note = "implement it for both precisions, `impl<T: Scalar> Kernel<T> for {Self}`, of which only `pairwise` is required"
)]
pub trait Kernel<T: Scalar>: Expr {
    /// k(x, y) for two points of the same dimension, one that [`Expr::inputs`] accepts.
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
    let inputs = kernel.inputs(dim)?;
    check_indices(&inputs, what, points)
}

/// Refuses two points that the kernel cannot read together.
fn check_pair<T: Scalar, E: Expr + ?Sized>(kernel: &E, x: &[T], y: &[T]) -> Result<()> {
    let as_row = |point| MatRef::from_row_major_slice(point, 1, x.len());
    if x.is_empty() {
        return Err(Error::shape("x", "at least one column", (1, 0)));
    }
    let inputs = kernel.inputs(x.len())?;
    check_indices(&inputs, "x", as_row(x))?;
    if x.len() != y.len() {
        return Err(Error::shape("y", format!("{} coordinate(s), as x has", x.len()), (1, y.len())));
    }
    check_indices(&inputs, "y", as_row(y))
}

/// Refuses a second set of points that does not go with the first, which has been checked.
pub(crate) fn check_others<T: Scalar>(kernel: &dyn Kernel<T>, z: MatRef<'_, T>, dim: usize) -> Result<()> {
    if z.ncols() != dim {
        return Err(Error::shape("z", format!("{dim} column(s), as x has"), (z.nrows(), z.ncols())));
    }
    check_indices(&kernel.inputs(dim)?, "z", z)
}

/// Refuses kernels without vector-Jacobian products, by the path of the first node that has none.
pub(crate) fn check_differentiable(kernel: &dyn Expr) -> Result<()> {
    fn lacking(node: &dyn Expr, path: &str) -> Option<String> {
        if node.properties().differentiable {
            return None;
        }
        let parts = parts(node);
        let numbered = parts.len() > 1 || is_associative(node.name());
        let place = |(index, part): (usize, &&Node)| {
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
fn parts(node: &dyn Expr) -> Vec<&Node> {
    let chained = |child: &&Node| is_associative(node.name()) && child.name() == node.name();
    let mut all = Vec::new();
    for child in node.children() {
        if chained(&child) { all.extend(parts(child)) } else { all.push(child) }
    }
    all
}

/// An expression as text, where its type need not be sized.
struct Written<'e, E: ?Sized>(&'e E);

impl<E: Expr + ?Sized> fmt::Display for Written<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_text(f)
    }
}

/// That a subexpression has no known spectrum.
pub(crate) fn no_spectrum<E: Expr + ?Sized>(node: &E) -> Error {
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
