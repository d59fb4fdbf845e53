//! Every kernel and every combinator, with the name that text knows it by and with examples.
//!
//! The parser reads the names; the conformance tests and the benches read the examples: a kernel that
//! is not in this list is not tested, and a test refuses modules of kernels and combinators that no
//! example comes from.

#[cfg(any(test, feature = "testkit"))]
use faer::mat;

use super::text::{Constructor, constructor, vertical};
#[cfg(any(test, feature = "testkit"))]
use super::{Compose, icm};
use crate::DynKernel;
use crate::combine::*;
#[cfg(any(test, feature = "testkit"))]
use crate::kernel::AnyKernel;
use crate::kernels::*;
use crate::warp::*;

/// Receives the examples in both forms, with the type of the unboxed one.
///
/// # Examples
///
/// ```
/// use mercer::kernel::AnyKernel;
/// use mercer::algebra::registry::{Visitor, visit};
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
/// assert!(names.0.contains(&"Rbf::new(0.7)"));
/// ```
#[cfg(any(test, feature = "testkit"))]
pub trait Visitor {
    /// An example: as nested generics, and with every leaf in a box.
    fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, fixed: K, boxed: DynKernel);
}

/// The expression twice: with `leaf` as the identity, and with `leaf` as a box.
#[cfg(any(test, feature = "testkit"))]
macro_rules! example {
    ($visitor:ident, $name:expr, $expression:expr) => {{
        let fixed = {
            #[allow(dead_code, reason = "an example may have no leaf that differs between the two")]
            fn leaf<K>(kernel: K) -> K {
                kernel
            }
            $expression
        };
        let boxed = {
            #[allow(dead_code, reason = "an example may have no leaf that differs between the two")]
            fn leaf(kernel: impl Compose) -> DynKernel {
                kernel.dynamic()
            }
            $expression
        };
        $visitor.example($name, fixed, DynKernel::new(boxed));
    }};
}

/// The list: `"name in text" => Type: [examples];` for leaves and for combinators (whose examples say
/// `leaf(…)` where a leaf may be boxed), and expressions of several.
macro_rules! registry {
    (
        leaves: { $($leaf:literal => $leaf_type:ty: [$($of_leaf:expr),+ $(,)?];)+ }
        combinators: { $($node:literal => $node_type:ty: [$($of_node:expr),* $(,)?];)+ }
        expressions: [$($expression:expr),+ $(,)?]
    ) => {
        /// What text can name.
        pub(crate) const NAMES: &[(&str, Constructor)] = &[
            $(($leaf, constructor::<$leaf_type>),)+
            $(($node, constructor::<$node_type>),)+
            ("vertical", vertical),
        ];

        #[cfg(any(test, feature = "testkit"))]
        fn leaves(visitor: &mut impl Visitor) {
            $($(example!(visitor, stringify!($of_leaf), leaf($of_leaf));)+)+
        }

        #[cfg(any(test, feature = "testkit"))]
        fn combinators(visitor: &mut impl Visitor) {
            $($(example!(visitor, stringify!($of_node), $of_node);)*)+
        }

        #[cfg(any(test, feature = "testkit"))]
        fn expressions(visitor: &mut impl Visitor) {
            $(example!(visitor, stringify!($expression), $expression);)+
        }
    };
}

registry! {
    leaves: {
        "rbf" => Rbf: [Rbf::new(0.7), Rbf::new([0.7, 1.9])];
        "matern12" => Matern12: [Matern12::new(1.3), Matern12::new([1.3, 0.6, 2.0])];
        "matern32" => Matern32: [Matern32::new(0.9), Matern32::new([0.9, 1.7])];
        "matern52" => Matern52: [Matern52::new(1.1), Matern52::new([1.1, 0.8])];
        "inverse_multiquadric" => InverseMultiquadric:
            [InverseMultiquadric::new(0.9), InverseMultiquadric::new([0.9, 1.7])];
        "rational_quadratic" => RationalQuadratic:
            [RationalQuadratic::new(0.8, 1.4), RationalQuadratic::new([0.8, 2.1], 0.6)];
        "periodic" => Periodic: [
            Periodic::new(0.9, 2.3),
            Periodic::new([0.9, 1.6], 2.3),
            Periodic::new(0.9, [2.3, 3.1]),
            Periodic::new([0.9, 1.6], [2.3, 3.1]),
        ];
        "matern" => Matern:
            [Matern::new(1.1, 0.7), Matern::new(0.9, 1.5), Matern::new([1.1, 0.8], 3.3), Matern::new(0.8, 40.0)];
        "cauchy" => Cauchy: [Cauchy::new(0.9), Cauchy::new([0.9, 1.7])];
        "gamma_exponential" => GammaExponential: [
            GammaExponential::new(0.9, 1.4),
            GammaExponential::new([0.9, 1.7], 0.8),
            GammaExponential::new(1.2, 1.6),
        ];
        "piecewise_polynomial" => PiecewisePolynomial: [
            PiecewisePolynomial::new(2.1, 0, 3),
            PiecewisePolynomial::new([2.1, 3.2], 1, 2),
            PiecewisePolynomial::new(6.3, 2, 17),
            PiecewisePolynomial::new(2.6, 3, 1),
        ];
        "locally_periodic" => LocallyPeriodic: [
            LocallyPeriodic::new(0.9, 2.3, 1.9),
            LocallyPeriodic::new([0.9, 1.6], 2.3, [1.9, 2.7]),
            LocallyPeriodic::new(0.9, [2.3, 3.1], 1.9),
        ];
        "cosine" => Cosine: [Cosine::new(2.3), Cosine::new([2.3, 3.1])];
        "spectral_mixture" => SpectralMixture: [
            SpectralMixture::new([0.8], mat![[0.3]], mat![[0.02]]),
            SpectralMixture::new([0.7, 0.4], mat![[0.3, 0.1], [0.05, -0.4]], mat![[0.02, 0.01], [0.05, 0.03]]),
        ];
        "radial_periodic" => RadialPeriodic: [RadialPeriodic::new(0.9, 2.3), RadialPeriodic::new(0.9, [2.3, 3.1])];
        "radial_cosine" => RadialCosine: [RadialCosine::new(2.3), RadialCosine::new([2.3, 3.1])];
        "damped_oscillator" => DampedOscillator: [
            DampedOscillator::new(2.3, 3.0),
            DampedOscillator::new(2.3, 0.5),
            DampedOscillator::new([2.3, 3.1], 0.3),
        ];
        "multiquadric" => Multiquadric: [Multiquadric::new(1.4), Multiquadric::new([1.4, 2.2])];
        "linear" => Linear: [Linear::new(0.6)];
        "constant" => Constant: [Constant::new(0.8), Constant::new(-0.8)];
        "white" => White: [White::new(0.3)];
        "affine" => Affine: [Affine::new(0.6, 0.4), Affine::new(0.6, [0.3, -0.4])];
        "polynomial" => Polynomial: [Polynomial::new(2, 0.2, 0.7), Polynomial::new(1, 0.2, 0.0)];
        "tanh" => Tanh: [Tanh::new(0.3, -0.2)];
        "arc_cosine" => ArcCosine: [
            ArcCosine::new(0, 0.8),
            ArcCosine::new(0, 0.8).with_bias(0.5),
            ArcCosine::new(1, 0.4),
            ArcCosine::new(1, 0.4).with_bias(0.5),
            ArcCosine::new(2, 0.1).with_bias(0.4),
        ];
        "neural_network" => NeuralNetwork: [NeuralNetwork::new(1.3, 0.6)];
        "zonal" => Zonal: [Zonal::new([0.3, 0.4, 0.1, 0.2]), Zonal::new([0.5, 0.0, -0.2])];
        "sphere_heat" => SphereHeat: [SphereHeat::new(0.6)];
        "gibbs" => Gibbs<DynLengthscale>: [
            Gibbs::new(lengthscale(ConstantLengthscale::try_new(0.8))),
            Gibbs::new(lengthscale(ExponentialLengthscale::try_new(-0.2, [0.3, -0.2]))),
        ];
        "random_fourier_features" => RandomFourierFeatures: [
            RandomFourierFeatures::new(Spectrum::Rbf, 20, 2, 5, 0.9),
            RandomFourierFeatures::new(Spectrum::Matern52, 20, 3, 6, [0.9, 1.3, 0.7]),
        ];
        "brownian" => Brownian: [Brownian::new(0.7)];
        "fractional_brownian" => FractionalBrownian:
            [FractionalBrownian::new(0.7, 0.7), FractionalBrownian::new(0.7, 0.4)];
        "integrated_brownian" => IntegratedBrownian: [IntegratedBrownian::new(0.7)];
        "white_by_value" => WhiteByValue: [WhiteByValue::new(0.3)];
        "categorical" => Categorical: [
            Categorical::new(3, 0.4),
            Categorical::new(3, -0.3),
            Categorical::new(2, 0.0),
            Categorical::new(3, [0.4, 0.0, -0.2]),
        ];
        "coregionalization" => Coregionalization:
            [Coregionalization::new(mat![[1.0, 0.2], [0.4, -0.8], [-0.3, 0.5]], [0.3, 0.8, 1.4])];
        "graph_heat" => GraphHeat: [GraphHeat::new(path(), 0.9)];
        "graph_matern" => GraphMatern: [GraphMatern::new(path(), 1.5, 0.9)];
        "low_rank_linear" => LowRankLinear: [LowRankLinear::new(mat![[0.6], [-0.8]], [0.3, 0.4])];
        "gp_convolution" => GpConvolution: [
            GpConvolution::new([0.8, -1.1, 0.6], mat![[0.9], [1.3], [2.1]]),
            GpConvolution::new([0.8, 1.1], mat![[0.9, 1.4], [2.1, 0.7]]),
        ];
    }
    combinators: {
        "sum" => Sum<Vec<DynKernel>>: [
            leaf(Rbf::new(0.7)) + leaf(Linear::new(0.6)),
            leaf(Matern32::new(0.7)) + 0.5,
            leaf(Rbf::new(0.7)) - leaf(Matern32::new(1.2)),
            Sum::flat(vec![Rbf::new(0.7).dynamic()]).map_or_else(rbf, DynKernel::new),
        ];
        "product" => Product<Vec<DynKernel>>: [
            leaf(Rbf::new(0.7)) * leaf(Linear::new(0.6)),
            2.5 * leaf(Matern52::new(0.7)),
            0.0 * leaf(Matern52::new(0.7)),
            leaf(Rbf::new(0.7)) * -1.5,
            -leaf(Rbf::new(0.7)),
            Product::flat(vec![Rbf::new(0.7).dynamic()]).map_or_else(rbf, DynKernel::new),
        ];
        "power" => Power<DynKernel>: [
            leaf(Linear::new(0.6)).pow(2),
            (leaf(Rbf::new(0.7)) + leaf(Linear::new(0.6))).pow(2),
            leaf(Rbf::new(0.7)).pow(0),
        ];
        "block_diagonal" => BlockDiagonal<DynKernel>: [
            BlockDiagonal::shared(leaf(Rbf::new(0.7)), 3),
            BlockDiagonal::new(vec![leaf(Matern32::new(0.7)), leaf(Matern32::new([1.2, 0.6]))]),
            BlockDiagonal::shared(leaf(Rbf::new(0.7)) * leaf(Linear::new(0.6)) + leaf(White::new(0.2)), 2).on([0, 2, 1]),
        ];
        "exp" => Exp<DynKernel>: [leaf(Rbf::new(0.7)).exp()];
        "log" => Log<DynKernel>: [(leaf(Rbf::new(0.7)) + 0.5).log()];
        "normalized" => Normalized<DynKernel>: [
            (leaf(Linear::new(0.6)) + leaf(Rbf::new([0.9, 1.3]))).normalized(),
            (leaf(Linear::new(0.6)) + leaf(White::new(0.2)) + 0.5).normalized(),
        ];
        "masked" => Masked<DynKernel>: [
            (leaf(Rbf::new(0.7)) + leaf(White::new(0.3))).masked(Missing::Isolate),
            leaf(Linear::new(0.7)).on([1]).masked(Missing::Propagate),
            leaf(Linear::new(0.7)).masked(Missing::Zero),
        ];
        "change_point" => ChangePoint<DynKernel, DynKernel>: [
            leaf(Rbf::new(0.7)).change_point(leaf(Linear::new(0.6)), 0.3, 0.4),
            (leaf(Rbf::new([0.7, 1.9])) + 0.2).change_point(leaf(White::new(0.3)), -0.3, 0.8).in_dimension(1),
        ];
        "change_window" => ChangeWindow<DynKernel, DynKernel>:
            [leaf(Matern32::new(0.9)).change_window(leaf(Periodic::new(0.9, 2.3)), -0.8, 0.7, 0.4).in_dimension(1)];
        "additive" => Additive<DynKernel>: [
            leaf(Rbf::new(0.7)).additive([0.6]),
            leaf(Matern52::new(1.1)).additive([0.6, 0.2]),
            Additive::each([leaf(Rbf::new(0.7)), leaf(Rbf::new(1.9)), leaf(Rbf::new([1.1]))], [0.5, 0.3, 0.2]),
        ];
        "metric_radial" => MetricRadial<Norm, DynKernel>: [
            MetricRadial::new(Norm::Manhattan, leaf(Matern12::new(1.3))).on([0, 1]),
            MetricRadial::new(Norm::Euclidean, leaf(Rbf::new(0.7)) + leaf(White::new(0.2))),
            MetricRadial::new(Norm::Minkowski { p: 3.0 }, leaf(RationalQuadratic::new(0.8, 1.4))),
        ];
        "on" => Warped<Select, DynKernel>: [
            leaf(Rbf::new(0.7)).on([0]),
            leaf(Linear::new(0.7)).on([1, 0]),
            leaf(Periodic::new([0.9, 1.1], 2.3)).on([0, 2]),
        ];
        "ard" => Warped<Ard, DynKernel>:
            [leaf(Matern32::new(0.9)).ard([0.5, 2.0]), leaf(Rbf::new([0.9, 1.3])).ard([0.5, 2.0])];
        "stretch" => Warped<Stretch, DynKernel>: [(leaf(Matern32::new(0.9)) * leaf(Linear::new(0.6))).stretch(1.6)];
        "linear_map" => Warped<LinearMap, DynKernel>: [
            leaf(Rbf::new(0.9)).linear_map(mat![[0.6, -0.3]]),
            leaf(Matern52::new([0.9, 1.2])).linear_map(mat![[0.6, -0.3, 0.2], [0.1, 0.5, 0.4]]),
        ];
        "circle" => Warped<CircleEmbedding, DynKernel>:
            [leaf(Matern32::new(0.9)).circle(2.3), (leaf(Rbf::new(0.7)) + leaf(Linear::new(0.6))).circle([2.3, 3.1])];
        "sphere_lift" => Warped<SphereLift, DynKernel>:
            [leaf(Rbf::new(0.9)).sphere_lift(0.8), (leaf(SphereHeat::new(0.6)) + leaf(Linear::new(0.4))).sphere_lift(1.3)];
        "log_warp" => Warped<LogWarp, DynKernel>: [leaf(Rbf::new(0.7)).log_warp(3.0), leaf(Linear::new(0.6)).log_warp([3.5, 4.0])];
        "kumaraswamy" => Warped<Kumaraswamy, DynKernel>:
            [leaf(Rbf::new(0.7)).kumaraswamy(1.3, 1.8), leaf(Linear::new(0.6)).kumaraswamy([1.3, 2.0], [1.8, 1.2])];
        "mlp" => Warped<Mlp, DynKernel>: [
            leaf(Rbf::new(0.9)).mlp(network(Activation::Tanh)),
            (leaf(Matern52::new(1.2)) * 0.8 + 0.1).mlp(network(Activation::Sigmoid)),
        ];
        "random_features" => Warped<RandomFeatures, DynKernel>: [
            leaf(Linear::new(0.6)).random_features(features()),
            leaf(Rbf::new(0.8)).random_features(features()),
        ];
    }
    expressions: [
        leaf(Rbf::new(0.7)) + leaf(Matern32::new(1.2)) + leaf(RationalQuadratic::new(0.8, 1.4)) + leaf(White::new(0.1)),
        (leaf(Rbf::new(0.7)) + leaf(Linear::new(0.6))) * leaf(Matern52::new(1.2)),
        leaf(Rbf::new(0.7)) + Sum::new(leaf(Linear::new(0.6)), 0.3 * leaf(Periodic::new(0.9, 2.3))),
        leaf(Rbf::new(0.7)).on([0]) + leaf(Matern32::new(1.2)).on([0]) * leaf(Linear::new(0.6)).on([0]),
        leaf(Rbf::new(0.9)).ard([0.5, 2.0]).on([0, 1]) + leaf(Linear::new(0.6)).on([0, 1]) + leaf(Rbf::new(1.4)),
        (leaf(Rbf::new(0.9)).on([1]) * leaf(Linear::new(0.6)).on([0]) + leaf(Matern52::new(1.4)).on([1])).ard([0.5, 2.0]),
        leaf(Matern32::new(0.9)).on([1]).on([2, 0]),
        icm(leaf(Rbf::new(0.7)), 2, Coregionalization::new(mat![[1.0], [0.4], [-0.3]], [0.3, 0.8, 0.4])),
        leaf(Matern52::new(0.7)).on([1]) * (leaf(Categorical::new(3, 0.3)).on([0]) + leaf(Constant::new(0.2))),
        1.8 * leaf(Periodic::new(0.9, 2.3)) * leaf(Rbf::new(1.9)) + leaf(White::new(0.2)) - 0.5 * leaf(Linear::new(0.3)),
        (leaf(Rbf::new(0.7)) + leaf(White::new(0.2))) * leaf(Linear::new(0.6)),
        leaf(ArcCosine::new(1, 0.4)) * leaf(Zonal::new([0.3, 0.4])) + leaf(Brownian::new(0.7)) + leaf(Rbf::new(0.7)),
        (leaf(SphereHeat::new(0.6)) * leaf(Zonal::new([0.3, 0.4])) + 0.5).exp(),
        leaf(Polynomial::new(2, 0.2, 0.4)).ard([0.5, 2.0]) + leaf(Rbf::new(0.7)) - leaf(Affine::new(0.6, 0.4)),
        leaf(Rbf::new(0.7)) - -(2.0 * (3.0 * leaf(Matern52::new(1.2)))),
    ]
}

/// Shows every example, in a fixed order.
#[cfg(any(test, feature = "testkit"))]
pub fn visit(visitor: &mut impl Visitor) {
    leaves(visitor);
    combinators(visitor);
    expressions(visitor);
}

#[cfg(any(test, feature = "testkit"))]
fn lengthscale(function: crate::Result<impl LengthscaleFunction + 'static>) -> DynLengthscale {
    DynLengthscale::new(crate::error::literal(function))
}

/// A path of four nodes, and one that stands alone.
#[track_caller]
#[cfg(any(test, feature = "testkit"))]
fn path() -> Laplacian {
    crate::error::literal(Laplacian::from_edges(5, &[(0, 1, 1.0), (1, 2, 0.4), (2, 3, 1.7)]))
}

#[cfg(any(test, feature = "testkit"))]
fn rbf() -> DynKernel {
    Rbf::new(0.7).dynamic()
}

/// A small network of two inputs and two outputs.
#[cfg(any(test, feature = "testkit"))]
fn network(activation: Activation) -> Mlp {
    let first = Layer::new(mat![[0.8, -0.5], [0.2, 0.7], [-0.6, 0.3]], [0.1, -0.2, 0.0]);
    Mlp::new([first, Layer::new(mat![[0.7, -0.4, 0.9], [0.3, 0.8, -0.2]], [0.0, 0.4])], activation)
}

/// Three features of points in two dimensions.
#[cfg(any(test, feature = "testkit"))]
fn features() -> RandomFeatures {
    RandomFeatures::new(mat![[0.8, -0.5], [0.2, 0.7], [-1.1, 0.3]], [0.1, 2.2, 4.0])
}

/// Every example by name, boxed.
///
/// # Examples
///
/// ```
/// let examples = mercer::algebra::registry::all();
/// let (_, kernel) = examples.iter().find(|(name, _)| name.starts_with("2.5 *")).unwrap();
/// assert_eq!(kernel.to_string(), "2.5 * matern52(lengthscale=0.7)");
/// ```
#[cfg(any(test, feature = "testkit"))]
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
