//! Every example of the registry, and random expressions, against every law.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::algebra::registry::{self, Visitor};
use mercer::kernel::{AnyKernel, TileParts, TileVjp};
use mercer::params::{Constraint, Parameter};
use mercer::prelude::*;
use mercer::testkit::{
    bits, coincident_points_for, conforms, expressions, few_dims, gradients, matrices, points, points_for, special,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::examples::examples;

const DIMS: [usize; 5] = [1, 2, 3, 8, 17];

/// Every example with every dimension that it can read.
fn each(mut check: impl FnMut(&str, &DynKernel, usize)) {
    for (name, kernel) in examples() {
        let readable: Vec<usize> = DIMS.into_iter().filter(|&dim| kernel.inputs(dim).is_ok()).collect();
        assert!(!readable.is_empty(), "{name} reads points of none of the dimensions {DIMS:?}");
        readable.into_iter().for_each(|dim| check(name, &kernel, dim));
    }
}

#[track_caller]
fn obeyed<E: std::fmt::Display>(name: &str, dim: usize, result: Result<(), E>) {
    if let Err(violation) = result {
        panic!("{name} in {dim} dimension(s): {violation}");
    }
}

#[test]
fn examples_conform() {
    each(|name, kernel, dim| obeyed(name, dim, conforms(kernel, dim)));
}

#[test]
fn generic_and_boxed_forms_give_the_same_bits() {
    struct SameBits(Vec<&'static str>);
    impl Visitor for SameBits {
        fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, fixed: K, boxed: DynKernel) {
            if !self.0.contains(&name) {
                return;
            }
            assert_eq!(mercer::kernel::text(&fixed).to_string(), boxed.to_string(), "{name}");
            let paths = |kernel: &dyn Expr| kernel.parameters().into_iter().map(|entry| entry.path).collect::<Vec<_>>();
            assert_eq!(paths(&fixed), paths(&boxed), "{name}");
            let properties = |kernel: &dyn Expr| kernel.properties();
            assert_eq!(properties(&fixed), properties(&boxed), "{name}");
            for dim in DIMS.into_iter().filter(|&dim| fixed.inputs(dim).is_ok()) {
                let (x, z) = (points_for::<f64>(&fixed, 67, dim, 1), points_for::<f64>(&fixed, 35, dim, 2));
                obeyed(name, dim, bits::same_as::<f64>(&boxed, &fixed, x.as_ref(), z.as_ref()));
                let (x, z) = (points_for::<f32>(&fixed, 67, dim, 1), points_for::<f32>(&fixed, 35, dim, 2));
                obeyed(name, dim, bits::same_as::<f32>(&boxed, &fixed, x.as_ref(), z.as_ref()));
                // Whole expressions in one box.
                let whole = DynKernel::new(fixed.clone());
                obeyed(name, dim, bits::same_as::<f32>(&whole, &fixed, x.as_ref(), z.as_ref()));
            }
        }
    }
    registry::visit(&mut SameBits(examples().into_iter().map(|(name, _)| name).collect()));
}

#[test]
fn tile_boundaries() {
    for (name, kernel) in examples() {
        let dim = few_dims(&kernel);
        for (n, m) in [(1, 33), (2, 1), (31, 64), (32, 65), (33, 2), (63, 31), (64, 32), (65, 63), (100, 1), (200, 5)] {
            let (x, z) = (points_for::<f64>(&kernel, n, dim, 1), points_for::<f64>(&kernel, m, dim, 2));
            let (x, z) = (x.as_ref(), z.as_ref());
            obeyed(name, dim, bits::thread_independent::<f64>(&kernel, x, z));
            obeyed(name, dim, matrices::gram_is_cross::<f64>(&kernel, x));
            obeyed(name, dim, matrices::symmetric::<f64>(&kernel, x, z));
            obeyed(name, dim, matrices::diag_is_gram_diagonal::<f64>(&kernel, x));
            if n <= 65 && m <= 65 {
                obeyed(name, dim, gradients::directional(&kernel, x, z));
            }
        }
    }
}

#[test]
fn entries_do_not_depend_on_where_a_tile_begins() {
    for (name, kernel) in examples() {
        let dim = few_dims(&kernel);
        let x = points_for::<f64>(&kernel, 101, dim, 1);
        let whole: Mat<f64> = kernel.cross(x.as_ref(), x.as_ref()).unwrap();
        let part: Mat<f64> = kernel.cross(x.as_ref().subrows(3, 98), x.as_ref().subrows(41, 60)).unwrap();
        assert_eq!(whole.submatrix(3, 41, 98, 60), part, "{name}");
    }
}

#[test]
fn large_matrices_do_not_depend_on_threads() {
    for (name, kernel) in examples() {
        let dim = few_dims(&kernel);
        let (x, z) = (points_for::<f64>(&kernel, 700, dim, 1), points_for::<f64>(&kernel, 400, dim, 2));
        obeyed(name, dim, bits::thread_independent::<f64>(&kernel, x.as_ref(), z.as_ref()));
    }
}

#[test]
fn gradients_at_coincident_points() {
    each(|name, kernel, dim| {
        // These have a kink or a step there, and no derivative.
        let kinked = ["matern12", "brownian", "arc_cosine(order=0", "white_by_value"];
        if dim > 3 || kinked.iter().any(|kinked| kernel.to_string().contains(kinked)) {
            return;
        }
        let x = coincident_points_for::<f64>(kernel, 6, dim, 3, 0.0);
        let z = x.as_ref().subrows(1, 4);
        obeyed(name, dim, gradients::elementwise(kernel, x.as_ref(), z));
    });
}

#[test]
fn extreme_lengthscales_give_finite_values_and_gradients() {
    each(|name, kernel, dim| {
        for extreme in [1e-6, 1e6] {
            let mut kernel = kernel.clone();
            for entry in kernel.parameters() {
                // Two extremes on top of each other overflow in f32.
                let inner = !entry.path.contains("ard.lengthscale");
                if inner && (entry.path.contains("lengthscale") || entry.path.ends_with("period")) {
                    kernel.set(&entry.path, extreme).unwrap();
                }
            }
            for offset in [0.0, 1e8] {
                let x = coincident_points_for::<f64>(&kernel, 20, dim, 1, offset);
                obeyed(name, dim, matrices::finite::<f64>(&kernel, x.as_ref(), x.as_ref()));
                let x = coincident_points_for::<f32>(&kernel, 20, dim, 1, offset);
                obeyed(name, dim, matrices::finite::<f32>(&kernel, x.as_ref(), x.as_ref()));
            }
        }
    });
}

#[test]
fn a_hundred_dimensions() {
    for (name, kernel) in examples() {
        if kernel.inputs(100).is_ok() {
            let (x, z) = (points_for::<f64>(&kernel, 40, 100, 1), points_for::<f64>(&kernel, 10, 100, 2));
            obeyed(name, 100, matrices::symmetric::<f64>(&kernel, x.as_ref(), z.as_ref()));
            obeyed(name, 100, matrices::diag_is_gram_diagonal::<f64>(&kernel, x.as_ref()));
            obeyed(name, 100, matrices::positive_semidefinite(&kernel, x.as_ref()));
            let x = x.as_ref().subrows(0, 5);
            obeyed(name, 100, matrices::tile_is_pairwise::<f64>(&kernel, x, z.as_ref()));
            obeyed(name, 100, gradients::directional(&kernel, x, z.as_ref()));
        }
    }
}

#[test]
fn text_is_read_back() {
    for (name, kernel) in examples() {
        obeyed(name, 0, expressions::reads_back(&kernel));
    }
}

/// Text without the names of arguments is read in the order in which they are printed. What follows a list of kernels has
/// to have its name.
#[test]
fn arguments_are_printed_in_the_order_in_which_they_are_read() {
    for (name, kernel) in examples() {
        let written = kernel.to_string();
        let mut parts = written.split('=');
        let mut unnamed = parts.next_back().unwrap().to_owned();
        for part in parts.rev() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let (before, name) = part.split_at(part.trim_end_matches(word).len());
            unnamed.insert_str(0, &if name == "outputs" { format!("{part}=") } else { before.to_owned() });
        }
        let read: DynKernel = unnamed.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.to_string(), written, "{name}");
    }
}

/// What was printed before the order was that of the constructor.
#[test]
fn arguments_with_names_are_read_in_any_order() {
    for (before, now) in [
        (
            "piecewise_polynomial(q=1, dimension=3, lengthscale=2)",
            "piecewise_polynomial(lengthscale=2, q=1, dimension=3)",
        ),
        ("radial_periodic(period=2.3, lengthscale=0.9)", "radial_periodic(lengthscale=0.9, period=2.3)"),
        (
            "change_point(rbf(lengthscale=1), white(variance=1), dim=1, location=0.3, width=0.4)",
            "change_point(rbf(lengthscale=1), white(variance=1), location=0.3, width=0.4, dim=1)",
        ),
    ] {
        assert_eq!(before.parse::<DynKernel>().unwrap().to_string(), now);
    }
}

/// So that who looks for a kernel finds it.
#[test]
fn the_guide_names_every_leaf() {
    let guide =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/guides/which_kernel.md")).unwrap();
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with('|')).collect();
    let leaves: Vec<_> = registry::all().into_iter().filter(|(_, kernel)| kernel.children().is_empty()).collect();
    assert!(leaves.len() > 40, "{}", leaves.len());
    for (name, kernel) in leaves {
        let Some((of, _)) = name.split_once("::") else { panic!("`{name}`, of {kernel}, calls no constructor") };
        let constructor = format!("{of}::new(");
        // `Matern` is not named where `GraphMatern` is.
        let whole = |(at, _): (usize, &str), row: &str| !row[..at].ends_with(char::is_alphanumeric);
        let named = rows.iter().any(|row| row.match_indices(&constructor).any(|found| whole(found, row)));
        assert!(named, "`{of}` has no row in which_kernel.md");
    }
}

#[test]
fn the_registry_is_complete() {
    let mut names = Vec::new();
    fn collect(expr: &dyn Expr, names: &mut Vec<String>) {
        names.push(expr.name().to_owned());
        expr.children().into_iter().for_each(|child| collect(child, names));
    }
    registry::all().iter().for_each(|(_, kernel)| collect(kernel, &mut names));
    let texts: Vec<String> = registry::all().iter().map(|(_, kernel)| kernel.to_string()).collect();
    // Every name that a file of kernels, combinators or warps gives to a node.
    for folder in ["kernels", "combine", "warp"] {
        for file in std::fs::read_dir(format!("{}/src/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap() {
            let path = file.unwrap().path();
            if !path.is_file() {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            // Tests at the foot of a file have kernels of their own, and so has the documentation.
            let code = source
                .split("#[cfg(test)]")
                .next()
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let named = code.filter_map(|line| line.split_once(" as \"")?.1.split('"').next());
            for name in named.filter(|name| !name.contains('$')) {
                let called = format!("{name}(");
                let known = names.iter().any(|known| known == name) || texts.iter().any(|text| text.contains(&called));
                assert!(known, "no example of `{name}`, of {}, in the registry", path.display());
            }
        }
    }
    let mut examples: Vec<&str> = registry::all().into_iter().map(|(name, _)| name).collect();
    examples.sort_unstable();
    examples.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
}

/// An expression over two dimensions, to be built in more than one way.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize, f64),
    Sum(Box<Tree>, Box<Tree>),
    Difference(Box<Tree>, Box<Tree>),
    Product(Box<Tree>, Box<Tree>),
    Neg(Box<Tree>),
    Scaled(f64, Box<Tree>),
    Swapped(Box<Tree>),
    Ard(f64, f64, Box<Tree>),
}

impl Tree {
    /// By operators on boxes, which make flat sums and products.
    fn flat(&self) -> DynKernel {
        match self {
            Self::Leaf(kind, value) => leaf(*kind, *value),
            Self::Sum(a, b) => a.flat() + b.flat(),
            Self::Difference(a, b) => a.flat() - b.flat(),
            Self::Product(a, b) => a.flat() * b.flat(),
            Self::Neg(a) => -a.flat(),
            Self::Scaled(factor, a) => *factor * a.flat(),
            Self::Swapped(a) => a.flat().on([1, 0]).dynamic(),
            Self::Ard(a, b, of) => of.flat().ard([*a, *b]).dynamic(),
        }
    }

    /// By the nodes for two parts.
    fn nested(&self) -> DynKernel {
        match self {
            Self::Leaf(kind, value) => leaf(*kind, *value),
            Self::Sum(a, b) => Sum::new(a.nested(), b.nested()).dynamic(),
            Self::Difference(a, b) => Sum::new(a.nested(), Neg::new(b.nested())).dynamic(),
            Self::Product(a, b) => Product::new(a.nested(), b.nested()).dynamic(),
            Self::Neg(a) => Neg::new(a.nested()).dynamic(),
            Self::Scaled(factor, a) => Scaled::new(*factor, a.nested()).dynamic(),
            Self::Swapped(a) => Warped::new(Select::new([1, 0]), a.nested()).dynamic(),
            Self::Ard(a, b, of) => Warped::new(Ard::new([*a, *b]), of.nested()).dynamic(),
        }
    }
}

fn leaf(kind: usize, value: f64) -> DynKernel {
    match kind {
        0 => Rbf::new(value).dynamic(),
        1 => Matern32::new([value, 1.0]).dynamic(),
        2 => Matern52::new(value).dynamic(),
        3 => RationalQuadratic::new([1.0, value], 0.7).dynamic(),
        4 => Periodic::new(value, 2.3).dynamic(),
        5 => Periodic::new([value, 0.8], [1.9, 2.3]).dynamic(),
        6 => Linear::new(0.3 * value).dynamic(),
        7 => Constant::new(0.3 * value).dynamic(),
        _ => White::new(0.1 * value).dynamic(),
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let value = || 0.6..2.0f64;
    let leaf = (0..9usize, value()).prop_map(|(kind, value)| Tree::Leaf(kind, value));
    leaf.prop_recursive(4, 12, 2, move |inner| {
        let two = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            3 => two.clone().prop_map(|(a, b)| Tree::Sum(a, b)),
            3 => two.clone().prop_map(|(a, b)| Tree::Product(a, b)),
            1 => two.prop_map(|(a, b)| Tree::Difference(a, b)),
            1 => inner.clone().prop_map(|a| Tree::Neg(Box::new(a))),
            2 => (value(), inner.clone()).prop_map(|(c, a)| Tree::Scaled(c, Box::new(a))),
            1 => inner.clone().prop_map(|a| Tree::Swapped(Box::new(a))),
            1 => (value(), value(), inner).prop_map(|(a, b, of)| Tree::Ard(a, b, Box::new(of))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: mercer::testkit::trials(60) as u32,
        rng_seed: RngSeed::Fixed(mercer::testkit::seed(20)),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_expressions_obey_the_laws(tree in tree()) {
        let (flat, nested) = (tree.flat(), tree.nested());
        let paths = |kernel: &DynKernel| kernel.parameters().into_iter().map(|entry| entry.path).collect::<Vec<_>>();
        prop_assert_eq!(paths(&flat), paths(&nested));
        prop_assert_eq!(flat.properties().psd, nested.properties().psd);

        let (x, z) = (points::<f64>(37, 2, 1), points::<f64>(9, 2, 2));
        let (x, z) = (x.as_ref(), z.as_ref());
        for kernel in [&flat, &nested] {
            expressions::text(kernel)?;
            expressions::parameters(kernel)?;
            matrices::symmetric::<f64>(kernel, x, z)?;
            matrices::gram_is_cross::<f64>(kernel, x)?;
            matrices::diag_is_gram_diagonal::<f64>(kernel, x)?;
            matrices::positive_semidefinite(kernel, x)?;
            matrices::tile_is_pairwise::<f64>(kernel, x.subrows(0, 6), z)?;
            gradients::directional(kernel, x, z)?;
        }
        // In one more box, behind a node of two known types.
        let (fixed, boxed) = (Product::new(flat.clone(), Rbf::new(0.7)), flat.clone() * Rbf::new(0.7));
        if !flat.name().starts_with("product") {
            bits::same_as::<f64>(&fixed, &boxed, x, z)?;
        }
        let gram = |kernel: &DynKernel| -> Mat<f64> { kernel.gram(x).unwrap() };
        let (a, b) = (gram(&flat), gram(&nested));
        let error = (&a - &b).norm_max();
        prop_assert!(error <= 1e-14 * (1.0 + a.norm_max()), "{error:e}");
    }
}

/// (σ² xᵀy)², with a VJP for tiles and no other: the gradients of its diagonal follow from that.
#[derive(Clone, Debug)]
struct Square {
    variance: Parameter,
}

mercer::parameterized!(Square as "square", parameters: [variance]);
mercer::kernel_ops!(Square);

impl Expr for Square {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }
}

impl<T: Scalar> Kernel<T> for Square {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let product: T = x.iter().zip(y).map(|(&x, &y)| x * y).sum();
        let scaled = T::from_f64(self.variance.value()) * product;
        scaled * scaled
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let variance = T::from_f64(self.variance.value());
        let mut product = scratch.take(pairs.len());
        scratch.inner_products(pairs, &mut product);
        for (&product, &c) in product.iter().zip(cotangent) {
            theta[0] += (T::from_f64(2.0) * variance * product * product * c).as_f64();
        }
        scratch.add_inner_product_gradient(pairs, |gradient| {
            for ((gradient, &product), &c) in gradient.iter_mut().zip(&product).zip(cotangent) {
                *gradient += T::from_f64(2.0) * variance * variance * product * c;
            }
        });
        scratch.give(product);
    }
}

#[test]
fn the_vjp_of_tiles_is_enough() {
    let square = Square { variance: Parameter::new("variance", 0.7, Constraint::Positive).unwrap() };
    for kernel in [square.clone().dynamic(), (square.clone() + Rbf::new([0.5, 2.0])).dynamic()] {
        conforms(&kernel, 2).unwrap_or_else(|violation| panic!("{violation}"));
    }
    let warped = (Rbf::new(1.0) * square.ard([0.5, 2.0])).on([2, 0]).dynamic();
    conforms(&warped, 3).unwrap_or_else(|violation| panic!("{violation}"));
}

#[test]
fn combinators_read_what_their_parts_read() {
    for (name, kernel) in examples() {
        let mut dims = vec![1, few_dims(&kernel)];
        dims.dedup();
        for dim in dims.into_iter().filter(|&dim| kernel.inputs(dim).is_ok()) {
            obeyed(name, dim, special::within_combinators(&kernel, dim));
        }
    }
}
