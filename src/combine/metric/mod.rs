//! A function of one distance, over any metric.

mod norm;

pub use norm::Norm;

use std::fmt::{self, Debug};

use faer::{Mat, MatMut, MatRef, Par};

use crate::kernel::{
    Arguments, Construct, Expr, FeatureGradients, Features, Kernel, Pairs, Precedence, Psd, Scratch, Text, Wanted,
    cross_into, cross_vjp, diag_into, diag_vjp, tile::tile_by_pairs,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::simd::{elementwise, sum};
use crate::{DynKernel, Result, Scalar, kernel_ops};

/// A distance between points, for [`MetricRadial`]. [`Norm`] has the usual ones.
pub trait Metric: Clone + Debug + Send + Sync + 'static {
    /// The distance of two points of the same dimension: 0 between equal points, NaN for NaN.
    fn distance<T: Scalar>(&self, x: &[T], y: &[T]) -> T;

    /// The derivatives of the distance in both points, given the distance; 0 where they do not exist,
    /// as between equal points.
    fn gradient<T: Scalar>(&self, x: &[T], y: &[T], distance: T, in_x: &mut [T], in_y: &mut [T]);

    /// In which dimensions a function of this distance is guaranteed positive semi-definite, given the
    /// kernel that it is in one dimension. Say [`Psd::Never`] unless you know.
    fn psd(&self, profile: &dyn Expr) -> Psd {
        let _ = profile;
        Psd::Never
    }

    /// Whether the distance depends on x − y alone.
    fn translation_invariant(&self) -> bool {
        false
    }

    /// Whether the distance is the Euclidean one.
    fn is_euclidean(&self) -> bool {
        false
    }

    /// Writes the metric as text.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A kernel of one dimension, applied to a distance of your choice: for comparison with other libraries.
///
/// # Definition
///
/// k(x, y) = profile(d(x, y), 0), where profile is a stationary kernel on numbers and d a [`Metric`]
///
/// # Properties
///
/// Guaranteed positive semi-definite only where that is known: in one dimension for every [`Norm`], as
/// the profile is; with [`Norm::Euclidean`] where the profile is; and in any dimension for the exponential
/// kernel [`Matern12`](crate::kernels::Matern12) of [`Norm::Manhattan`], the product of one exponential
/// kernel for each dimension. Elsewhere models refuse it unless told to allow indefinite kernels. Stationary
/// if the metric depends on differences alone, isotropic if it is Euclidean.
///
/// # Examples
///
/// ```
/// use mercer::combine::{MetricRadial, Norm};
/// use mercer::prelude::*;
///
/// let kernel = MetricRadial::new(Norm::Manhattan, Matern12::new(2.0));
/// assert!((kernel.eval(&[0.0, 0.0], &[3.0, 1.0])? - (-2.0f64).exp()).abs() < 1e-16);
/// assert_eq!(kernel.psd(), Psd::Always);
/// assert_eq!(MetricRadial::new(Norm::Manhattan, Rbf::new(2.0)).psd(), Psd::UpTo(1));
/// assert_eq!((2.0 * kernel.clone()).to_string(), "2 * metric_radial(matern12(lengthscale=2), manhattan)");
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MetricRadial<M, K> {
    metric: M,
    kernel: K,
}

kernel_ops!([M, K] MetricRadial<M, K>);

impl<M, K> MetricRadial<M, K> {
    /// The kernel of one dimension over the metric.
    pub fn new(metric: M, kernel: K) -> Self {
        Self { metric, kernel }
    }

    /// The metric.
    pub fn metric(&self) -> &M {
        &self.metric
    }

    /// The kernel of one dimension.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

impl Construct for MetricRadial<Norm, DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        let kernel = arguments.take("kernel")?;
        Ok(Self::new(arguments.take("metric")?, kernel))
    }
}

impl<M: Metric, K: Parameterized> Parameterized for MetricRadial<M, K> {
    fn name(&self) -> &str {
        "metric_radial"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Only, &self.kernel);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Only, &mut self.kernel);
    }
}

impl<M: Metric, K: Expr + Clone> Expr for MetricRadial<M, K> {
    fn children(&self) -> Vec<&dyn Expr> {
        vec![&self.kernel]
    }

    fn psd(&self) -> Psd {
        if self.kernel.stationary() { self.metric.psd(&self.kernel) } else { Psd::Never }
    }

    fn stationary(&self) -> bool {
        self.metric.translation_invariant()
    }

    fn isotropic(&self) -> bool {
        self.metric.is_euclidean()
    }

    fn differentiable(&self) -> bool {
        self.kernel.differentiable()
    }

    fn check_dim(&self, _: usize) -> Result<()> {
        self.kernel.check_dim(1)
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metric_radial({}, ", Text::within(&self.kernel, Precedence::Sum))?;
        self.metric.write_text(f)?;
        write!(f, ")")
    }
}

/// The point that distances are measured from.
fn origin<T: Scalar>() -> Mat<T> {
    Mat::zeros(1, 1)
}

// A tile of distances is a set of points in one dimension, and the values of the profile are its
// cross-covariance with 0. The drivers refuse nothing here that `check_dim` has not refused before.
impl<T: Scalar, M: Metric, K: Kernel<T> + Clone> Kernel<T> for MetricRadial<M, K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.kernel.pairwise(&[self.metric.distance(x, y)], &[T::from_f64(0.0)])
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let mut distances = scratch.take(pairs.len());
        tile_by_pairs(pairs, &mut distances, scratch, |x, y| self.metric.distance(x, y));
        let points = MatRef::from_column_major_slice(&distances, pairs.len(), 1);
        let values = MatMut::from_column_major_slice_mut(out, pairs.len(), 1);
        let done = cross_into(&self.kernel, points, origin().as_ref(), values, Par::Seq);
        debug_assert!(done.is_ok(), "{done:?}");
        scratch.give(distances);
        // White noise in the profile stands on the diagonal.
        let mut on_diagonal = [T::from_f64(0.0)];
        let mut diagonal = pairs.diagonal().peekable();
        if diagonal.peek().is_some() {
            let done = diag_into(&self.kernel, origin().as_ref(), &mut on_diagonal);
            debug_assert!(done.is_ok(), "{done:?}");
            diagonal.for_each(|entry| out[entry] = on_diagonal[0]);
        }
    }

    fn tile_diag(&self, _: &Features<'_, T>, out: &mut [T]) {
        let mut value = [T::from_f64(0.0)];
        let done = diag_into(&self.kernel, origin().as_ref(), &mut value);
        debug_assert!(done.is_ok(), "{done:?}");
        out.fill(value[0]);
    }

    fn tile_vjp(&self, pairs: &Pairs<'_, T>, _: &[T], cotangent: &[T], theta: &mut [f64], scratch: &mut Scratch<T>) {
        let (len, dim) = (pairs.len(), pairs.dim());
        let [mut distances, mut passed] = [(); 2].map(|()| scratch.take(len));
        tile_by_pairs(pairs, &mut distances, scratch, |x, y| self.metric.distance(x, y));
        passed.copy_from_slice(cotangent);
        let mut on_diagonal = Vec::new();
        for entry in pairs.diagonal() {
            on_diagonal.push(std::mem::replace(&mut passed[entry], T::from_f64(0.0)));
        }
        if !on_diagonal.is_empty() {
            self.add_diag(&on_diagonal, theta);
        }
        let points = MatRef::from_column_major_slice(&distances, len, 1);
        let cotangent = MatRef::from_column_major_slice(&passed, len, 1);
        let wanted = Wanted { x: scratch.wants_feature_gradient(pairs), z: false };
        let gradients = cross_vjp(&self.kernel, points, origin().as_ref(), cotangent, wanted, Par::Seq);
        debug_assert!(gradients.is_ok());
        let Ok(gradients) = gradients else { return };
        theta.iter_mut().zip(gradients.theta).for_each(|(sum, more)| *sum += more);
        if let Some(in_distances) = gradients.x {
            // For each coordinate, a tile of what each pair adds to its row, then one for its column.
            let mut by_coordinate = scratch.take(2 * dim * len);
            let [mut in_x, mut in_y] = [(); 2].map(|()| vec![T::from_f64(0.0); dim]);
            let mut entry = 0;
            tile_by_pairs(pairs, &mut passed, scratch, |x, y| {
                self.metric.gradient(x, y, distances[entry], &mut in_x, &mut in_y);
                for d in 0..dim {
                    by_coordinate[2 * d * len + entry] = in_x[d] * in_distances[(entry, 0)];
                    by_coordinate[(2 * d + 1) * len + entry] = in_y[d] * in_distances[(entry, 0)];
                }
                entry += 1;
                T::from_f64(0.0)
            });
            scratch.add_point_gradient(pairs, |d, in_rows, in_cols| {
                let (x, y) = by_coordinate[2 * d * len..][..2 * len].split_at(len);
                let rows = in_rows.len();
                x.chunks_exact(rows).for_each(|column| elementwise::add(in_rows, column));
                y.chunks_exact(rows).zip(in_cols).for_each(|(column, in_col)| *in_col += sum(column));
            });
            scratch.give(by_coordinate);
        }
        scratch.give(distances);
        scratch.give(passed);
    }

    fn vjp_reads_value(&self) -> bool {
        false
    }

    fn tile_diag_vjp(&self, _: &Features<'_, T>, cotangent: &[T], theta: &mut [f64], _: &mut FeatureGradients<T>) {
        self.add_diag(cotangent, theta);
    }
}

impl<M, K> MetricRadial<M, K> {
    /// Adds to `theta` the gradient of k(x, x), which depends on no point.
    fn add_diag<T: Scalar>(&self, cotangent: &[T], theta: &mut [f64])
    where
        K: Kernel<T>,
    {
        let gradients = diag_vjp(&self.kernel, origin().as_ref(), &[sum(cotangent)], Wanted::PARAMETERS);
        debug_assert!(gradients.is_ok());
        if let Ok(gradients) = gradients {
            theta.iter_mut().zip(gradients.theta).for_each(|(sum, more)| *sum += more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn the_euclidean_metric_changes_nothing() {
        let x = mat![[0.2, 1.0], [1.0, -3.5], [-2.0, 0.4], [0.2, 1.0]];
        let through: Mat<f64> = MetricRadial::new(Norm::Euclidean, Matern32::new(0.7)).gram(x.as_ref()).unwrap();
        let direct: Mat<f64> = Matern32::new(0.7).gram(x.as_ref()).unwrap();
        assert!((through - direct).norm_max() < 1e-15);
    }

    #[test]
    fn white_noise_stays_on_the_diagonal() {
        let kernel = MetricRadial::new(Norm::Chebyshev, Rbf::new(1.0) + White::new(0.3));
        let gram: Mat<f64> = kernel.gram(mat![[0.0, 1.0], [0.0, 1.0], [1.5, -1.0]].as_ref()).unwrap();
        assert_eq!((gram[(0, 0)], gram[(0, 1)]), (1.3, 1.0));
        assert!((gram[(0, 2)] - (-2.0f64).exp()).abs() < 1e-16);
    }
}
