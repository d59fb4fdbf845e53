//! Kernels from kernels, by methods.

use faer::Mat;

use crate::DynKernel;
use crate::combine::{
    Additive, ChangePoint, ChangeWindow, Exp, Log, Masked, Missing, Normalized, Power, Product, Scaled, Sum, Vertical,
};
use crate::kernel::AnyKernel;
use crate::params::OneOrEach;
use crate::warp::{
    Ard, CircleEmbedding, Function, Kumaraswamy, LinearMap, LogWarp, Mlp, RandomFeatures, Select, SphereLift, Stretch,
    WarpExpr, Warped,
};

/// Kernels from one kernel: on some dimensions, with a lengthscale for each, in a box.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = (Rbf::new(1.0) * Linear::new(1.0)).ard([0.5, 2.0]).on([0, 3]);
/// let x = [1.0, f64::NAN, f64::NAN, 6.0];
/// let y = [2.0, f64::NAN, f64::NAN, 2.0];
/// let expected = (-0.5f64 * (4.0 + 4.0)).exp() * (2.0 * 4.0 + 3.0 * 1.0);
/// assert!((kernel.eval(&x, &y)? - expected).abs() < 1e-16);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Compose: AnyKernel + Sized {
    /// The kernel on some dimensions of the points, in the order given (active dims): `k.on([2, 0])`,
    /// `k.on(0..3)`.
    ///
    /// # Panics
    ///
    /// If there are no dimensions: see [`Select::try_new`].
    #[track_caller]
    fn on(self, dims: impl IntoIterator<Item = usize>) -> Warped<Select, Self> {
        Warped::new(Select::new(dims), self)
    }

    /// The kernel on points divided by one lengthscale for each dimension (automatic relevance
    /// determination). Works over any expression.
    ///
    /// # Panics
    ///
    /// If a lengthscale is not positive and finite: see [`Ard::try_new`].
    #[track_caller]
    fn ard(self, lengthscales: impl Into<Vec<f64>>) -> Warped<Ard, Self> {
        Warped::new(Ard::new(lengthscales), self)
    }

    /// The kernel on points of which some are missing: with a NaN in a dimension that it reads.
    fn masked(self, missing: Missing) -> Masked<Self> {
        Masked::new(self, missing)
    }

    /// The kernel k(f(x), f(y)), for any warp f: a [`Function`] of one's own is one.
    fn warp<W: WarpExpr>(self, warp: W) -> Warped<W, Self> {
        Warped::new(warp, self)
    }

    /// The kernel f(x) k(x, y) f(y), for a function with one output.
    fn vertical<F: Function>(self, function: F) -> Vertical<F, Self> {
        Vertical::new(function, self)
    }

    /// The kernel k(x, y)/√(k(x, x) k(y, y)), scaled to a unit diagonal.
    fn normalized(self) -> Normalized<Self> {
        Normalized::new(self)
    }

    /// The kernel on points divided by one lengthscale. Works over any expression.
    ///
    /// # Panics
    ///
    /// If the lengthscale is not positive and finite: see [`Stretch::try_new`].
    #[track_caller]
    fn stretch(self, lengthscale: f64) -> Warped<Stretch, Self> {
        Warped::new(Stretch::new(lengthscale), self)
    }

    /// The kernel on A x, for a matrix A.
    ///
    /// # Panics
    ///
    /// If the matrix is empty or has an entry that is not finite: see [`LinearMap::try_new`].
    #[track_caller]
    fn linear_map(self, matrix: Mat<f64>) -> Warped<LinearMap, Self> {
        Warped::new(LinearMap::new(matrix), self)
    }

    /// The kernel made periodic, with one period or one for each dimension: on (cos φ, sin φ) for each
    /// coordinate, φ = 2π x/p.
    ///
    /// # Panics
    ///
    /// If a period is not positive and finite: see [`CircleEmbedding::try_new`].
    #[track_caller]
    fn circle(self, period: impl Into<OneOrEach>) -> Warped<CircleEmbedding, Self> {
        Warped::new(CircleEmbedding::new(period), self)
    }

    /// The kernel on (x, b)/√(‖x‖² + b²): points lifted to the unit sphere, by a bias b.
    ///
    /// # Panics
    ///
    /// If the bias is not positive and finite: see [`SphereLift::try_new`].
    #[track_caller]
    fn sphere_lift(self, bias: f64) -> Warped<SphereLift, Self> {
        Warped::new(SphereLift::new(bias), self)
    }

    /// The kernel on log(1 + x/c), with one scale c or one for each dimension.
    ///
    /// # Panics
    ///
    /// If a scale is not positive and finite: see [`LogWarp::try_new`].
    #[track_caller]
    fn log_warp(self, scale: impl Into<OneOrEach>) -> Warped<LogWarp, Self> {
        Warped::new(LogWarp::new(scale), self)
    }

    /// The kernel on 1 − (1 − xᵃ)ᵇ, for points in the unit cube.
    ///
    /// # Panics
    ///
    /// If an exponent is not positive and finite: see [`Kumaraswamy::try_new`].
    #[track_caller]
    fn kumaraswamy(self, a: impl Into<OneOrEach>, b: impl Into<OneOrEach>) -> Warped<Kumaraswamy, Self> {
        Warped::new(Kumaraswamy::new(a, b), self)
    }

    /// The kernel on the outputs of a neural network: a deep kernel.
    fn mlp(self, network: Mlp) -> Warped<Mlp, Self> {
        Warped::new(network, self)
    }

    /// The kernel on random Fourier features.
    fn random_features(self, features: RandomFeatures) -> Warped<RandomFeatures, Self> {
        Warped::new(features, self)
    }

    /// This kernel before a change, another after it: see [`ChangePoint`].
    ///
    /// # Panics
    ///
    /// If the location is not finite, or the width not positive and finite: see
    /// [`ChangePoint::try_new`].
    #[track_caller]
    fn change_point<B: AnyKernel>(self, after: B, location: f64, width: f64) -> ChangePoint<Self, B> {
        ChangePoint::new(self, after, location, width)
    }

    /// This kernel outside of a window, another inside: see [`ChangeWindow`].
    ///
    /// # Panics
    ///
    /// If a place is not finite, or the width not positive and finite: see [`ChangeWindow::try_new`].
    #[track_caller]
    fn change_window<B: AnyKernel>(self, inside: B, start: f64, stop: f64, width: f64) -> ChangeWindow<Self, B> {
        ChangeWindow::new(self, inside, start, stop, width)
    }

    /// Sums of products of this kernel over single dimensions, with a variance for each number of
    /// factors: see [`Additive`].
    ///
    /// # Panics
    ///
    /// If there are no variances, or one is not positive and finite: see [`Additive::try_new`].
    #[track_caller]
    fn additive(self, variances: impl Into<Vec<f64>>) -> Additive<Self> {
        Additive::new(self, variances)
    }

    /// The kernel in a box.
    fn dynamic(self) -> DynKernel {
        self.into_dynamic()
    }

    /// The sum of two kernels: the method form of `+`.
    fn plus<B: AnyKernel>(self, other: B) -> Sum<(Self, B)> {
        Sum::new(self, other)
    }

    /// The product of two kernels: the method form of `*`.
    fn times<B: AnyKernel>(self, other: B) -> Product<(Self, B)> {
        Product::new(self, other)
    }

    /// The kernel times a number: the method form of `2.0 * k`.
    ///
    /// # Panics
    ///
    /// If the factor is not finite: see [`Scaled::try_new`].
    #[track_caller]
    fn scaled(self, factor: f64) -> Scaled<Self> {
        Scaled::new(factor, self)
    }

    /// The kernel to an integer power.
    ///
    /// # Panics
    ///
    /// If the degree is beyond 1000: see [`Power::try_new`].
    #[track_caller]
    fn pow(self, degree: u32) -> Power<Self> {
        Power::new(self, degree)
    }

    /// The exponential of the kernel.
    fn exp(self) -> Exp<Self> {
        Exp::new(self)
    }

    /// The logarithm of the kernel; not a covariance in general.
    fn log(self) -> Log<Self> {
        Log::new(self)
    }
}

impl<K: AnyKernel> Compose for K {}
