//! Maps of the inputs: a kernel on k(f(x), f(y)).
//!
//! Active dimensions, lengthscales, matrices, the circle embedding behind the periodic kernel, neural
//! networks, and maps of the user's own are the same mechanism: a [`Warp`] makes new points from points, once,
//! and its vector-Jacobian product pulls gradients back. [`Warped`] joins a warp and a kernel. A
//! [`Function`] of one point at a time is a warp without any derivatives written by hand.

mod activation;
pub(crate) mod ard;
pub(crate) mod circle;
mod coordinate;
mod dense;
mod function;
mod kumaraswamy;
mod layer;
mod linear_map;
mod log_warp;
mod mlp;
mod random_features;
mod select;
mod sphere_lift;
mod stretch;
mod warped;

pub use activation::Activation;
pub use ard::Ard;
pub use circle::CircleEmbedding;
pub use function::Function;
pub use kumaraswamy::Kumaraswamy;
pub use layer::Layer;
pub use linear_map::LinearMap;
pub use log_warp::LogWarp;
pub use mlp::Mlp;
pub use random_features::RandomFeatures;
pub use select::Select;
pub use sphere_lift::SphereLift;
pub use stretch::Stretch;
pub use warped::Warped;

use std::fmt::{self, Debug};

use faer::Mat;

use crate::kernel::{FeatureGradients, Points, Psd, write_warped};
use crate::params::Parameterized;
use crate::{Result, Scalar};

/// The part of a warp that does not depend on the scalar type.
pub trait WarpExpr: Parameterized + Clone + Debug + Send + Sync {
    /// The dimension of the points that the warp makes of points of dimension `dim`.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension) if it cannot read them.
    fn output_dim(&self, dim: usize) -> Result<usize>;

    /// The guarantee of the warped kernel, from that of the kernel on what the warp makes. The
    /// default keeps only guarantees that hold in any dimension; a warp whose output dimension is
    /// fixed can do better.
    fn psd(&self, kernel: Psd) -> Psd {
        if kernel == Psd::Always { Psd::Always } else { Psd::Never }
    }

    /// Which dimensions of the points the warped kernel reads, if it reads these of what the warp makes.
    /// The default takes it that every coordinate depends on all dimensions.
    fn reads(&self, dim: usize, made: &[bool]) -> Vec<bool> {
        vec![made.contains(&true); dim]
    }

    /// The column of the points that a column of the new points is a copy of, if it is one: so that a
    /// kernel on the new points can read an index.
    fn source(&self, column: usize) -> Option<usize> {
        let _ = column;
        None
    }

    /// Whether f(x) − f(y) depends on x − y alone.
    fn is_linear(&self) -> bool {
        false
    }

    /// The matrix A of f(x) − f(y) = A(x − y), made × dim, if there is one; `dim` is one that
    /// [`output_dim`](Self::output_dim) accepts.
    fn matrix(&self, dim: usize) -> Option<Mat<f64>> {
        let _ = dim;
        None
    }

    /// Whether each row of the [`matrix`](Self::matrix) has at most one entry that is not 0, whatever the parameters are: a
    /// kernel along the axes stays one.
    fn keeps_axes(&self) -> bool {
        false
    }

    /// Whether [`Warp::backward`] is implemented.
    fn differentiable(&self) -> bool {
        false
    }

    /// What the warp needs beside its parameters to be built again, as names and texts.
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Writes the warped kernel as text, given the kernel's own text. The default writes
    /// `name(kernel, setting=…, parameter=value, …)`.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_warped(self, kernel, f)
    }
}

/// A map of points to points, at precision `T`.
pub trait Warp<T: Scalar>: WarpExpr {
    /// The new points, in a set of the same number.
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T>;

    /// The map of one point, written into `out`, whose length is the output dimension.
    fn point(&self, x: &[T], out: &mut [T]);

    /// Pulls the gradient in the new points back: adds to `theta`, in the order of the warp's own
    /// parameters, and to the gradient in the old points.
    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let _ = (points, made, gradients, theta);
    }
}
