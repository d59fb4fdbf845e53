//! What a kernel is made of, as data.

use std::fmt;

use super::dynamic::Node;
use super::{AnyWarp, Expr, Inputs, Properties, Psd, Views};
use crate::Result;

/// Which operation a node of an expression is, and on what.
///
/// It is what everything that asks a kernel for more than values goes by: its text, its properties, the closed forms of
/// [`views`](crate::views). A combinator states it in one line and has all of them; a leaf names the closed forms that
/// it has. θ are the parameters of the node, in the order in which they are visited: its own, then those of its children.
///
/// # Examples
///
/// ```
/// use mercer::kernel::Structure;
/// use mercer::prelude::*;
///
/// let kernel = 2.0 * (Rbf::new(1.0) + Linear::new(1.0));
/// let Structure::Scaled(factor, inner) = kernel.structure() else { unreachable!() };
/// assert_eq!(factor, 2.0);
/// assert_eq!(inner.children().len(), 2);
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Structure<'k> {
    /// No children.
    Leaf(Views<'k>),
    /// Σᵢ kᵢ
    Sum(&'k dyn Children),
    /// Πᵢ kᵢ
    Product(&'k dyn Children),
    /// c·k, for its first parameter c, which is given.
    Scaled(f64, &'k Node),
    /// −k
    Negated(&'k Node),
    /// kⁿ
    Power(u32, &'k Node),
    /// k(f(x), f(y)), for a map f, whose parameters come first.
    Warped(&'k dyn AnyWarp, &'k Node),
    /// The same function of the same parameters, where all coordinates are there.
    Same(&'k Node),
    /// The node itself, in a box.
    Boxed(&'k Node),
    /// k(d(x, y), 0) of a distance d, for a kernel of one dimension: the exponent p of the norm ‖x − y‖_p that d is, where
    /// it is one.
    Distance(Option<f64>, &'k Node),
    /// Σ_m σ²_m e_m, the elementary symmetric polynomials of one kernel for each coordinate, or of the same for all. The
    /// variances, from m = 1 on, are its first parameters.
    Additive(&'k dyn Children),
    /// Another function of a kernel.
    Function(&'k Node),
    /// Another function of kernels.
    Of(&'k dyn Children),
}

/// The children of a node, in the order of their parameters.
pub trait Children {
    /// How many there are.
    fn count(&self) -> usize;

    /// One of them.
    fn child(&self, index: usize) -> &Node;
}

impl<'k> dyn Children + 'k {
    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Node> {
        (0..self.count()).map(|index| self.child(index))
    }
}

impl<'k> Structure<'k> {
    /// The children, in the order of their parameters.
    pub fn children(self) -> Vec<&'k Node> {
        match self {
            Self::Leaf(_) => Vec::new(),
            Self::Sum(parts) | Self::Product(parts) | Self::Additive(parts) | Self::Of(parts) => parts.iter().collect(),
            Self::Scaled(_, kernel)
            | Self::Negated(kernel)
            | Self::Power(_, kernel)
            | Self::Warped(_, kernel)
            | Self::Distance(_, kernel)
            | Self::Function(kernel)
            | Self::Same(kernel) => vec![kernel],
            Self::Boxed(kernel) => kernel.structure().children(),
        }
    }

    /// What follows from what is known of the children. Of another function of them no more than whether it has
    /// derivatives.
    pub(super) fn properties(self) -> Properties {
        let all =
            |parts: &dyn Children| parts.iter().map(|part| part.properties()).fold(Properties::all(), Properties::and);
        match self {
            Self::Leaf(_) => Properties::unknown(),
            Self::Sum(parts) | Self::Product(parts) => all(parts),
            Self::Scaled(factor, kernel) if factor >= 0.0 => kernel.properties(),
            Self::Scaled(_, kernel) | Self::Negated(kernel) => kernel.properties().psd(Psd::Unknown),
            Self::Power(_, kernel) | Self::Same(kernel) | Self::Boxed(kernel) => kernel.properties(),
            Self::Warped(warp, kernel) => warp.properties(kernel.properties()),
            Self::Distance(_, kernel) | Self::Function(kernel) => {
                kernel.properties().of_coordinates().psd(Psd::Unknown)
            }
            Self::Additive(parts) | Self::Of(parts) => all(parts).of_coordinates().psd(Psd::Unknown),
        }
    }

    /// What the children read, of the same points.
    pub(super) fn inputs<E: Expr + ?Sized>(self, node: &'k E, dim: usize) -> Result<Inputs<'k>> {
        match self {
            Self::Leaf(_) => Ok(Inputs::all(dim)),
            Self::Sum(parts) | Self::Product(parts) | Self::Additive(parts) | Self::Of(parts) => {
                parts.iter().try_fold(Inputs::none(dim), |all, part| Ok(all.or(part.inputs(dim)?)))
            }
            Self::Scaled(_, kernel)
            | Self::Negated(kernel)
            | Self::Power(_, kernel)
            | Self::Distance(_, kernel)
            | Self::Function(kernel)
            | Self::Same(kernel)
            | Self::Boxed(kernel) => kernel.inputs(dim),
            Self::Warped(warp, kernel) => super::warp::inputs(node, warp, kernel, dim),
        }
    }
}

impl fmt::Debug for Structure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Leaf(_) => "Leaf",
            Self::Sum(_) => "Sum",
            Self::Product(_) => "Product",
            Self::Scaled(..) => "Scaled",
            Self::Negated(_) => "Negated",
            Self::Power(..) => "Power",
            Self::Warped(..) => "Warped",
            Self::Same(_) => "Same",
            Self::Boxed(_) => "Boxed",
            Self::Distance(..) => "Distance",
            Self::Additive(_) => "Additive",
            Self::Function(_) => "Function",
            Self::Of(_) => "Of",
        };
        f.debug_tuple(word).field(&self.children()).finish()
    }
}
