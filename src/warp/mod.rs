//! Input transformations: k(f(x), f(y)).
//!
//! Active dimensions, lengthscales, matrices, the circle embedding behind the periodic kernel, neural
//! networks, and maps of the user's own are the same mechanism: a [`Warp`] makes new points from points, once,
//! and its vector-Jacobian product pulls gradients back. [`Warped`] joins a warp and a kernel. A
//! [`Function`] of one point at a time is a warp without any derivatives written by hand, and so is a closure without
//! parameters, by [`from_fn`]. The [guide](crate::docs::guides::own_warp) has examples.

mod activation;
pub(crate) mod ard;
pub(crate) mod circle;
mod coordinate;
mod dense;
pub(crate) mod differences;
mod from_fn;
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
pub use from_fn::{FromFn, from_fn};
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

use crate::Scalar;
pub use crate::kernel::WarpExpr;
use crate::kernel::{FeatureGradients, Points};

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

    /// Writes f(x) − f(y), formed from what x and y differ by, so that it has digits where f(x) and f(y) have lost them.
    /// Says whether it did: the default does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::warp::{Ard, Warp};
    ///
    /// let mut difference = [0.0f64];
    /// assert!(Ard::new([3.0]).difference([&[1e16 + 2.0], &[1e16]], &mut difference));
    /// assert_eq!(difference, [2.0 / 3.0]);
    /// ```
    fn difference(&self, points: [&[T]; 2], out: &mut [T]) -> bool {
        let _ = (points, out);
        false
    }

    /// How many digits differences of what [`forward`](Self::forward) makes lack, as an error for each coordinate, where
    /// [`difference`](Self::difference) has them; `None` if there is no better way.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernel::Points;
    /// use mercer::prelude::*;
    /// use mercer::warp::{CircleEmbedding, Kumaraswamy, Warp};
    ///
    /// let x = mat![[0.2f32], [0.7]];
    /// let points = Points::new(x.as_ref());
    /// assert_eq!(CircleEmbedding::new(3.0).rounding(&points), Some(vec![f64::from(f32::EPSILON); 2]));
    /// assert_eq!(Kumaraswamy::new(1.0, 2.0).rounding(&points), None);
    /// ```
    fn rounding(&self, points: &Points<'_, T>) -> Option<Vec<f64>> {
        let _ = points;
        None
    }

    /// From the gradient in f(x) − f(y): adds to those in x and y, and to `theta`. `origin` is a point to measure from, for
    /// kernels to which it is the same: there x and y may be large, and f(x) − f(y) depend on x − y alone.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::warp::{Stretch, Warp};
    ///
    /// // f(x) − f(y) = (x − y)/ℓ
    /// let ([mut in_x, mut in_y], mut theta) = ([[0.0]; 2], [0.0]);
    /// Stretch::new(2.0).difference_backward([&[7.0], &[4.0]], &[0.0], &[1.0], [&mut in_x, &mut in_y], &mut theta);
    /// assert_eq!((in_x, in_y, theta), ([0.5], [-0.5], [-0.75]));
    /// ```
    fn difference_backward(
        &self,
        points: [&[T]; 2],
        origin: &[T],
        in_difference: &[T],
        in_points: [&mut [T]; 2],
        theta: &mut [f64],
    ) {
        let _ = (points, origin, in_difference, in_points, theta);
    }
}
