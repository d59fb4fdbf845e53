//! An example of every kernel and every combinator.
//!
//! The conformance tests and the benches read this list: a kernel that is not in it is not tested, and
//! a test refuses modules of kernels and combinators that no example comes from.

use super::{Constant, Linear, Matern12, Matern32, Matern52, Periodic, RationalQuadratic, Rbf, White};
use crate::Real;
use crate::combine::{Product, Sum};
use crate::kernel::dynamic::{AnyKernel, DynKernel};
use crate::kernel::ops::Compose;
use crate::kernel::{Formula, Psd};
use crate::params::{Constraint, Parameter};
use crate::warp::Function;

/// Receives the examples in both forms, with the type of the unboxed one.
///
/// # Examples
///
/// ```
/// use mercer::kernel::dynamic::AnyKernel;
/// use mercer::kernels::registry::{Visitor, visit};
/// use mercer::prelude::*;
///
/// struct Names(Vec<&'static str>);
///
/// impl Visitor for Names {
///     fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, fixed: K, boxed: DynKernel) {
///         assert_eq!(fixed.num_params(), boxed.num_params());
///         self.0.push(name);
///     }
/// }
///
/// let mut names = Names(Vec::new());
/// visit(&mut names);
/// assert!(names.0.contains(&"rbf"));
/// ```
pub trait Visitor {
    /// An example: as nested generics, and with every leaf in a box.
    fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, fixed: K, boxed: DynKernel);
}

/// The expression twice: with `leaf` as the identity, and with `leaf` as a box.
macro_rules! example {
    ($visitor:ident, $name:literal, $expression:expr) => {{
        let fixed = {
            #[allow(dead_code)]
            fn leaf<K>(kernel: K) -> K {
                kernel
            }
            $expression
        };
        let boxed = {
            #[allow(dead_code)]
            fn leaf(kernel: impl Compose) -> DynKernel {
                kernel.dynamic()
            }
            $expression
        };
        $visitor.example($name, fixed, DynKernel::new(boxed));
    }};
}

/// Shows every example, in a fixed order.
pub fn visit(visitor: &mut impl Visitor) {
    leaves(visitor);
    combinators(visitor);
    nested(visitor);
}

fn leaves(visitor: &mut impl Visitor) {
    example!(visitor, "rbf", leaf(Rbf::new(0.7)));
    example!(visitor, "rbf, each", leaf(Rbf::new([0.7, 1.9])));
    example!(visitor, "matern12", leaf(Matern12::new(1.3)));
    example!(visitor, "matern12, each", leaf(Matern12::new([1.3, 0.6, 2.0])));
    example!(visitor, "matern32", leaf(Matern32::new(0.9)));
    example!(visitor, "matern32, each", leaf(Matern32::new([0.9, 1.7])));
    example!(visitor, "matern52", leaf(Matern52::new(1.1)));
    example!(visitor, "matern52, each", leaf(Matern52::new([1.1, 0.8])));
    example!(visitor, "rational_quadratic", leaf(RationalQuadratic::new(0.8, 1.4)));
    example!(visitor, "rational_quadratic, each", leaf(RationalQuadratic::new([0.8, 2.1], 0.6)));
    example!(visitor, "periodic", leaf(Periodic::new(0.9, 2.3)));
    example!(visitor, "periodic, each lengthscale", leaf(Periodic::new([0.9, 1.6], 2.3)));
    example!(visitor, "periodic, each period", leaf(Periodic::new(0.9, [2.3, 3.1])));
    example!(visitor, "periodic, each", leaf(Periodic::new([0.9, 1.6], [2.3, 3.1])));
    example!(visitor, "linear", leaf(Linear::new(0.6)));
    example!(visitor, "constant", leaf(Constant::new(0.8)));
    example!(visitor, "constant, negative", leaf(Constant::new(-0.8)));
    example!(visitor, "white", leaf(White::new(0.3)));
    example!(visitor, "formula", leaf(Gibbs::new()));
}

fn combinators(visitor: &mut impl Visitor) {
    example!(visitor, "sum", leaf(Rbf::new(0.7)) + leaf(Linear::new(0.6)));
    example!(visitor, "sum with a number", leaf(Matern32::new(0.7)) + 0.5);
    example!(visitor, "sum of one", Sum::flat(vec![Rbf::new(0.7).dynamic()]).map(DynKernel::new).unwrap_or_else(rbf));
    example!(visitor, "product", leaf(Rbf::new(0.7)) * leaf(Linear::new(0.6)));
    example!(
        visitor,
        "product of one",
        Product::flat(vec![Rbf::new(0.7).dynamic()]).map(DynKernel::new).unwrap_or_else(rbf)
    );
    example!(visitor, "scaled", 2.5 * leaf(Matern52::new(0.7)));
    example!(visitor, "scaled by zero", 0.0 * leaf(Matern52::new(0.7)));
    example!(visitor, "scaled, negative", leaf(Rbf::new(0.7)) * -1.5);
    example!(visitor, "neg", -leaf(Rbf::new(0.7)));
    example!(visitor, "difference", leaf(Rbf::new(0.7)) - leaf(Matern32::new(1.2)));
    example!(visitor, "on", leaf(Rbf::new(0.7)).on([0]));
    example!(visitor, "on, permuted", leaf(Linear::new(0.7)).on([1, 0]));
    example!(visitor, "on, with a gap", leaf(Periodic::new([0.9, 1.1], 2.3)).on([0, 2]));
    example!(visitor, "ard", leaf(Matern32::new(0.9)).ard([0.5, 2.0]));
    example!(visitor, "ard, of a leaf with lengthscales", leaf(Rbf::new([0.9, 1.3])).ard([0.5, 2.0]));
    example!(visitor, "normalized", (leaf(Linear::new(0.6)) + leaf(Rbf::new([0.9, 1.3]))).normalized());
    example!(visitor, "normalized, with noise", (leaf(Linear::new(0.6)) + leaf(White::new(0.2)) + 0.5).normalized());
    example!(visitor, "warp by a function", leaf(Matern52::new(0.9)).warp(Bend::new()));
    example!(visitor, "vertical", leaf(Rbf::new(0.7)).vertical(Swell::new()));
    example!(visitor, "vertical, with noise", (leaf(Linear::new(0.6)) + leaf(White::new(0.2))).vertical(Swell::new()));
}

fn nested(visitor: &mut impl Visitor) {
    example!(
        visitor,
        "sum of radials on the same points",
        leaf(Rbf::new(0.7)) + leaf(Matern32::new(1.2)) + leaf(RationalQuadratic::new(0.8, 1.4)) + leaf(White::new(0.1))
    );
    example!(visitor, "product of a sum", (leaf(Rbf::new(0.7)) + leaf(Linear::new(0.6))) * leaf(Matern52::new(1.2)));
    example!(
        visitor,
        "sum to the right",
        leaf(Rbf::new(0.7)) + Sum::new(leaf(Linear::new(0.6)), 0.3 * leaf(Periodic::new(0.9, 2.3)))
    );
    example!(
        visitor,
        "the same dimension twice",
        leaf(Rbf::new(0.7)).on([0]) + leaf(Matern32::new(1.2)).on([0]) * leaf(Linear::new(0.6)).on([0])
    );
    example!(
        visitor,
        "ard in on in a sum",
        leaf(Rbf::new(0.9)).ard([0.5, 2.0]).on([0, 1]) + leaf(Linear::new(0.6)).on([0, 1]) + leaf(Rbf::new(1.4))
    );
    example!(
        visitor,
        "on in ard",
        (leaf(Rbf::new(0.9)).on([1]) * leaf(Linear::new(0.6)).on([0]) + leaf(Matern52::new(1.4)).on([1]))
            .ard([0.5, 2.0])
    );
    example!(visitor, "on in on", leaf(Matern32::new(0.9)).on([1]).on([2, 0]));
    example!(
        visitor,
        "quasi-periodic with noise",
        1.8 * leaf(Periodic::new(0.9, 2.3)) * leaf(Rbf::new(1.9)) + leaf(White::new(0.2))
            - 0.5 * leaf(Linear::new(0.3))
    );
    example!(visitor, "noise in a product", (leaf(Rbf::new(0.7)) + leaf(White::new(0.2))) * leaf(Linear::new(0.6)));
    example!(visitor, "minus minus", leaf(Rbf::new(0.7)) - -(2.0 * (3.0 * leaf(Matern52::new(1.2)))));
}

/// A squared exponential whose lengthscale grows along the first dimension (Gibbs 1997): a kernel that is
/// stated as a formula.
#[derive(Clone, Debug)]
struct Gibbs {
    near: Parameter,
    growth: Parameter,
}

crate::parameterized!(Gibbs as "gibbs", parameters: [near, growth]);
crate::formula_kernel!(Gibbs);

impl Gibbs {
    fn new() -> Self {
        Self { near: positive("near", 0.8), growth: positive("growth", 0.3) }
    }
}

impl Formula for Gibbs {
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
        let squared = |point: &[R]| theta[0].powi(2) + (theta[1] * point[0]).powi(2);
        let (lx2, ly2) = (squared(x), squared(y));
        let r2: R = x.iter().zip(y).map(|(&x, &y)| (x - y) * (x - y)).sum();
        let height = (lx2 * ly2).sqrt() * 2.0 / (lx2 + ly2);
        height.powf(R::from_f64(0.5 * x.len() as f64)) * (-r2 / (lx2 + ly2)).exp()
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

/// f(x) = (atan(x₁/a), …): a warp that is stated as a function.
#[derive(Clone, Debug)]
struct Bend {
    scale: Parameter,
}

crate::parameterized!(Bend as "bend", parameters: [scale]);

impl Bend {
    fn new() -> Self {
        Self { scale: positive("scale", 1.7) }
    }
}

impl Function for Bend {
    fn output_dim(&self, dim: usize) -> crate::Result<usize> {
        Ok(dim)
    }

    fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
        out.iter_mut().zip(x).for_each(|(out, &x)| *out = (x / theta[0]).atan());
    }
}

/// f(x) = a + tanh x₁: a factor that changes its sign for a < 1.
#[derive(Clone, Debug)]
struct Swell {
    least: Parameter,
}

crate::parameterized!(Swell as "swell", parameters: [least]);

impl Swell {
    fn new() -> Self {
        Self { least: positive("least", 0.6) }
    }
}

impl Function for Swell {
    fn output_dim(&self, _: usize) -> crate::Result<usize> {
        Ok(1)
    }

    fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
        out[0] = theta[0] + x[0].tanh();
    }
}

fn positive(name: &str, value: f64) -> Parameter {
    crate::error::literal(Parameter::new(name, value, Constraint::Positive))
}

fn rbf() -> DynKernel {
    Rbf::new(0.7).dynamic()
}

/// Every example by name, boxed.
///
/// # Examples
///
/// ```
/// let examples = mercer::kernels::registry::all();
/// let (_, kernel) = examples.iter().find(|(name, _)| *name == "scaled").unwrap();
/// assert_eq!(kernel.to_string(), "2.5 * matern52(lengthscale=0.7)");
/// ```
pub fn all() -> Vec<(&'static str, DynKernel)> {
    struct All(Vec<(&'static str, DynKernel)>);
    impl Visitor for All {
        fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, _: K, boxed: DynKernel) {
            self.0.push((name, boxed));
        }
    }
    let mut all = All(Vec::new());
    visit(&mut all);
    all.0
}
