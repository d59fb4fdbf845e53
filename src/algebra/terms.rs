//! The terms of a sum.

use std::any::Any;
use std::fmt;

use super::Compose;
use crate::kernel::{AnyWarp, Children, Node, Structure};
use crate::kernels::Constant;
use crate::params::{Label, ParameterizedExt, Place};
use crate::{DynKernel, Error, Expr, Result};

/// A kernel takes apart into at most so many terms.
const MOST: usize = 1000;

/// One of the kernels that a kernel is the sum of: see [`terms`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Term {
    /// Where it stands in the kernel, as in the paths of parameters: `sum[1].scaled.periodic`. Of an
    /// [`additive`](super::Compose::additive) kernel, with the columns that it reads: `additive[0, 2]`.
    pub path: String,
    /// The term, with all factors and maps of the inputs that apply to it.
    pub kernel: DynKernel,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kernel.fmt(f)
    }
}

/// The kernels that add up to a kernel of points of `dim` columns: through boxes, factors, products with constants, maps of
/// the inputs, sums in sums and [additive](super::Compose::additive) kernels, each product of which is a term; the kernel
/// itself if it is no sum.
///
/// # Errors
///
/// [`Error::Dimension`] for a kernel that cannot read points of so many columns; [`Error::Setting`] for an additive kernel of
/// more than 1000 products.
///
/// # Examples
///
/// ```
/// use mercer::algebra::terms;
/// use mercer::prelude::*;
///
/// let kernel = 2.0 * (Rbf::new(1.0) + Linear::new(0.5)).ard([0.5, 3.0]) + White::new(0.1);
/// let found = terms(&kernel, 2)?;
/// let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
/// assert_eq!(texts, [
///     "2 * ard(rbf(lengthscale=1), [0.5, 3])",
///     "2 * ard(linear(variance=0.5), [0.5, 3])",
///     "white(variance=0.1)",
/// ]);
/// assert_eq!(found[1].path, "sum[0].scaled.ard.sum[1].linear");
///
/// // Main effects and the interaction of two columns.
/// let effects = terms(&Rbf::new(1.0).additive([1.0, 0.5]), 2)?;
/// assert_eq!(effects.iter().map(|term| term.path.as_str()).collect::<Vec<_>>(), ["additive[0]", "additive[1]", "additive[0, 1]"]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn terms(kernel: &Node, dim: usize) -> Result<Vec<Term>> {
    kernel.inputs(dim)?;
    of_node(kernel, &mut Place::root(kernel.name()), dim)
}

/// As [`terms`], of a kernel of any type; `None` of one that is a term as it stands.
pub(crate) fn terms_of(kernel: &dyn Expr, dim: usize) -> Result<Option<Vec<Term>>> {
    kernel.inputs(dim)?;
    split(kernel.structure(), &kernel.values(), kernel.name(), &mut Place::root(kernel.name()), dim)
}

fn of_node(node: &Node, place: &mut Place, dim: usize) -> Result<Vec<Term>> {
    let known = split(node.structure(), &node.values(), node.name(), place, dim)?;
    let itself =
        || vec![Term { path: place.path().to_owned(), kernel: DynKernel::of(dyn_clone::clone_box(node)).dynamic() }];
    Ok(known.unwrap_or_else(itself))
}

/// The terms of a node of these values and this name; `None` if it is one itself.
fn split(
    structure: Structure<'_>,
    values: &[f64],
    name: &str,
    place: &mut Place,
    dim: usize,
) -> Result<Option<Vec<Term>>> {
    let found = match structure {
        Structure::Sum(parts) => {
            let mut found = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                found.extend(of_child(name, place, Label::Index(index), part, dim)?);
            }
            found
        }
        Structure::Product(factors) => return of_product(factors, name, place, dim),
        Structure::Boxed(kernel) => of_node(kernel, place, dim)?,
        Structure::Power(1, kernel) => of_child(name, place, Label::Only, kernel, dim)?,
        Structure::Scaled(factor, kernel) => {
            each(of_child(name, place, Label::Only, kernel, dim)?, |term| factor * term)
        }
        Structure::Negated(kernel) => each(of_child(name, place, Label::Only, kernel, dim)?, |term| -term),
        Structure::Warped(warp, kernel) => of_warped(warp, kernel, name, place, dim)?,
        Structure::Additive(bases) => of_additive(bases, values, place, dim)?,
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn of_child(parent: &str, place: &mut Place, label: Label, child: &Node, dim: usize) -> Result<Vec<Term>> {
    match place.child(parent, label, child.name()) {
        None => of_node(child, place, dim),
        Some(mut place) => of_node(child, &mut place, dim),
    }
}

fn each(terms: Vec<Term>, change: impl Fn(DynKernel) -> DynKernel) -> Vec<Term> {
    terms.into_iter().map(|Term { path, kernel }| Term { path, kernel: change(kernel) }).collect()
}

fn of_warped(warp: &dyn AnyWarp, kernel: &Node, name: &str, place: &mut Place, dim: usize) -> Result<Vec<Term>> {
    let terms = of_child(name, place, Label::Only, kernel, warp.output_dim(dim)?)?;
    Ok(each(terms, |term| warp.around(term)))
}

/// A product whose factors are constants but for one, which may be a sum.
fn of_product(factors: &dyn Children, name: &str, place: &mut Place, dim: usize) -> Result<Option<Vec<Term>>> {
    let Some((index, factor)) = single_factor(factors) else { return Ok(None) };
    let mut place = place.clone();
    factors.iter().take(index).for_each(|constant| pass(name, &mut place, constant));
    let mut terms = of_child(name, &mut place, Label::Index(index), factor, dim)?;
    if terms.len() == 1 {
        return Ok(None);
    }
    for constant in factors.iter().filter(|factor| is_constant(*factor)) {
        terms = each(terms, |term| DynKernel::of(dyn_clone::clone_box(constant)) * term);
    }
    Ok(Some(terms))
}

/// Counts a factor, or those of a product in the product, for the places of those that follow.
fn pass(parent: &str, place: &mut Place, factor: &Node) {
    if place.child(parent, Label::Index(0), factor.name()).is_none() {
        factor.structure().children().into_iter().for_each(|inner| pass(parent, place, inner));
    }
}

/// The one factor that is no constant, and its index; `None` if there are none or more.
fn single_factor(factors: &dyn Children) -> Option<(usize, &Node)> {
    let mut others = factors.iter().enumerate().filter(|(_, factor)| !is_constant(*factor));
    let first = others.next()?;
    others.next().is_none().then_some(first)
}

/// What a term is but for factors, constants and maps of the inputs.
pub(crate) fn core(term: &dyn Expr) -> &dyn Expr {
    match term.structure() {
        Structure::Scaled(_, inner)
        | Structure::Negated(inner)
        | Structure::Boxed(inner)
        | Structure::Power(1, inner)
        | Structure::Warped(_, inner) => core(inner),
        Structure::Product(factors) => single_factor(factors).map_or(term, |(_, factor)| core(factor)),
        _ => term,
    }
}

/// Whether k(x, y) is one number at least 0.
fn is_constant(node: &Node) -> bool {
    match node.structure() {
        Structure::Boxed(kernel) | Structure::Power(_, kernel) => is_constant(kernel),
        Structure::Scaled(factor, kernel) => factor >= 0.0 && is_constant(kernel),
        Structure::Product(factors) => factors.iter().all(is_constant),
        Structure::Leaf(_) => (node as &dyn Any).is::<Constant>(),
        _ => false,
    }
}

/// Each product of base kernels of different columns, those of fewer columns first. The variances of the orders come first
/// among the values of the node.
fn of_additive(bases: &dyn Children, values: &[f64], place: &Place, dim: usize) -> Result<Vec<Term>> {
    let orders = values.len() - bases.iter().map(|base| base.num_params()).sum::<usize>();
    let base = |col: usize| {
        let of = bases.child(if bases.count() == 1 { 0 } else { col });
        DynKernel::of(dyn_clone::clone_box(of)).dynamic().on([col])
    };
    let mut found = Vec::new();
    for (order, &variance) in (1..).zip(&values[..orders]) {
        for columns in subsets(dim, order) {
            if found.len() == MOST {
                let expected = format!("must be at most {MOST}: take fewer orders, or fewer columns");
                let what = format!("the number of terms of `{}` in {dim} columns", place.path());
                return Err(Error::setting(&what, format!("more than {MOST}"), &expected));
            }
            let product = columns[1..].iter().fold(base(columns[0]).dynamic(), |product, &col| product * base(col));
            let names: Vec<String> = columns.iter().map(usize::to_string).collect();
            let path = format!("{}[{}]", place.path(), names.join(", "));
            found.push(Term { path, kernel: variance * product });
        }
    }
    Ok(found)
}

/// All ascending choices of so many of the numbers below `count`, at least 1 of them, in order.
fn subsets(count: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    let first = (size <= count).then(|| (0..size).collect::<Vec<_>>());
    std::iter::successors(first, move |last| {
        let moved = (0..size).rev().find(|&at| last[at] < count - size + at)?;
        let mut next = last.clone();
        (moved..size).for_each(|at| next[at] = last[moved] + 1 + at - moved);
        Some(next)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::prelude::*;
    use crate::testkit::views::sum_of_terms;

    #[test]
    fn all_choices() {
        assert_eq!(subsets(4, 2).collect::<Vec<_>>(), [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]);
        assert_eq!(subsets(3, 3).count(), 1);
        assert_eq!(subsets(2, 3).count(), 0);
    }

    /// Sums within products with constants, negations, maps and additive kernels add up, and have paths of their own.
    #[test]
    fn sums_at_any_depth() {
        let inner = (Rbf::new(0.7) + 0.3 * Matern32::new(1.2)).ard([0.5, 3.0]);
        let kernel = Constant::new(2.0) * (inner - Rbf::new(2.0)) * Constant::new(0.5)
            + Additive::each([Rbf::new(1.0).dynamic(), Linear::new(1.0).dynamic()], [0.3, 0.7])
            + Rbf::new(1.0) * Linear::new(1.0);
        let kernel = kernel.dynamic();
        sum_of_terms(&kernel, 2).unwrap();
        let paths: Vec<String> = terms(&kernel, 2).unwrap().into_iter().map(|term| term.path).collect();
        assert_eq!(
            paths,
            [
                "sum[0].product[1].sum[0].ard.sum[0].rbf",
                "sum[0].product[1].sum[0].ard.sum[1].scaled.matern32",
                "sum[0].product[1].sum[1].neg.rbf",
                "sum[1].additive[0]",
                "sum[1].additive[1]",
                "sum[1].additive[0, 1]",
                "sum[2].product",
            ]
        );
    }

    #[test]
    fn refusals() {
        let many = Rbf::new(1.0).additive(vec![1.0; 12]);
        let error = terms(&many, 12).unwrap_err().to_string();
        assert!(error.contains("`additive` in 12 columns") && error.contains("at most 1000"), "{error}");
        assert!(terms(&Rbf::new(1.0).on([3]), 2).is_err());
    }
}
