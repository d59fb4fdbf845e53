//! A function of one distance, over any metric.

mod norm;

pub use norm::Norm;

use std::fmt::{self, Debug};

use faer::{Mat, MatMut, MatRef, Par};

use crate::kernel::{
    AnyKernel, Arguments, Construct, DiagVjp, Expr, Features, GradientRequest, Inputs, Kernel, Pairs, Points,
    Properties, Psd, Scratch, Structure, TileParts, TileVjp, cross_into, cross_vjp, diag_into, diag_vjp, text,
    tile::tile_by_pairs,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::simd::{elementwise, sum};
use crate::{DynKernel, Error, Result, Scalar, kernel_ops};

/// A distance between points, for [`MetricRadial`]. [`Norm`] has the usual ones.
pub trait Metric: Clone + Debug + Send + Sync + 'static {
    /// The distance of two points of the same dimension: 0 between equal points, NaN for NaN.
    fn distance<T: Scalar>(&self, x: &[T], y: &[T]) -> T;

    /// The derivatives of the distance in both points, given the distance; 0 where they do not exist,
    /// as between equal points.
    fn gradient<T: Scalar>(&self, x: &[T], y: &[T], distance: T, in_x: &mut [T], in_y: &mut [T]);

    /// In which dimensions a function of this distance is guaranteed positive semi-definite, given the
    /// kernel that it is in one dimension. Say [`Psd::Unknown`] unless you know.
    fn psd(&self, profile: &dyn Expr) -> Psd {
        let _ = profile;
        Psd::Unknown
    }

    /// Whether the distance depends on x − y alone.
    fn translation_invariant(&self) -> bool {
        false
    }

    /// The exponent p, if the distance is ‖x − y‖_p: 2 for the Euclidean one.
    fn norm(&self) -> Option<f64> {
        None
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
/// the profile is; with [`Norm::Euclidean`] where the profile is; and in any dimension for sums and
/// products of exponential kernels, [`Matern12`](crate::kernels::Matern12), of [`Norm::Manhattan`]: each is the product of one
/// exponential kernel for each dimension. Elsewhere models refuse it unless told to allow indefinite kernels. Stationary
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
/// assert_eq!(kernel.properties().psd, Psd::Always);
/// assert_eq!(MetricRadial::new(Norm::Manhattan, Rbf::new(2.0)).properties().psd, Psd::UpTo(1));
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
        arguments.check_names(&["kernel", "metric"])?;
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

impl<M: Metric, K: AnyKernel + Clone> Expr for MetricRadial<M, K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Distance(self.metric.norm(), self.kernel.node())
    }

    fn properties(&self) -> Properties {
        let inner = self.kernel.properties();
        Properties {
            psd: if inner.stationary { self.metric.psd(&self.kernel) } else { Psd::Unknown },
            stationary: self.metric.translation_invariant(),
            isotropic: self.metric.norm() == Some(2.0),
            zonal: false,
            differentiable: inner.differentiable,
        }
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let inner = self.kernel.inputs(1)?;
        match inner.indices().first() {
            None => Ok(if inner.read(0) { Inputs::all(dim) } else { Inputs::none(dim) }),
            Some(index) => {
                Err(Error::WarpedIndex { kernel: text(self).to_string(), reader: text(index.kernel()).to_string() })
            }
        }
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metric_radial({}, ", text(&self.kernel))?;
        self.metric.write_text(f)?;
        write!(f, ")")
    }
}

/// The point that distances are measured from.
fn origin<T: Scalar>() -> Mat<T> {
    Mat::zeros(1, 1)
}

// A tile of distances is a set of points in one dimension, and the values of the profile are its
// cross-covariance with 0; on the diagonal, the covariance of such a point with itself, where white noise counts. The
// drivers refuse nothing here that `check_dim` has not refused before: if they did, all would be NaN.
impl<T: Scalar, M: Metric, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for MetricRadial<M, K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.kernel.pairwise(&[self.metric.distance(x, y)], &[T::from_f64(0.0)])
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let mut distances = scratch.take(pairs.len());
        tile_by_pairs(pairs, &mut distances, scratch, |x, y| self.metric.distance(x, y));
        let points = MatRef::from_column_major_slice(&distances, pairs.len(), 1);
        let values = MatMut::from_column_major_slice_mut(out, pairs.len(), 1);
        if cross_into(&self.kernel, points, origin().as_ref(), values, Par::Seq).is_err() {
            out.fill(T::nan());
        }
        let mut own: Vec<T> = pairs.diagonal().map(|entry| distances[entry]).collect();
        if !own.is_empty() {
            self.diag(&mut own);
            pairs.diagonal().zip(own).for_each(|(entry, value)| out[entry] = value);
        }
        scratch.give(distances);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.fill_own_distances(features.points(), out);
        self.diag(out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (len, dim) = (pairs.len(), pairs.dim());
        let [mut distances, mut passed] = [(); 2].map(|()| scratch.take(len));
        tile_by_pairs(pairs, &mut distances, scratch, |x, y| self.metric.distance(x, y));
        passed.copy_from_slice(cotangent);
        let (mut own, mut on_diagonal) = (Vec::new(), Vec::new());
        for entry in pairs.diagonal() {
            own.push(distances[entry]);
            on_diagonal.push(std::mem::replace(&mut passed[entry], T::from_f64(0.0)));
        }
        if !own.is_empty() {
            self.add_diag(&own, &on_diagonal, theta);
        }
        let points = MatRef::from_column_major_slice(&distances, len, 1);
        let cotangent = MatRef::from_column_major_slice(&passed, len, 1);
        let wanted = GradientRequest { x: scratch.wants_feature_gradient(pairs), z: false };
        let gradients = cross_vjp(&self.kernel, points, origin().as_ref(), cotangent, wanted, Par::Seq);
        let Ok(gradients) = gradients else {
            theta.fill(f64::NAN);
            return;
        };
        theta.iter_mut().zip(gradients.theta).for_each(|(sum, more)| *sum += more);
        if let Some(in_distances) = gradients.x {
            // For each coordinate, a tile of what each pair adds to its row, then one for its column.
            let mut by_coordinate = scratch.take(2 * dim * len);
            let [mut in_x, mut in_y] = [(); 2].map(|()| vec![T::from_f64(0.0); dim]);
            let (mut entry, zero) = (0, T::from_f64(0.0));
            tile_by_pairs(pairs, &mut passed, scratch, |x, y| {
                self.metric.gradient(x, y, distances[entry], &mut in_x, &mut in_y);
                let in_distance = in_distances[(entry, 0)];
                for d in 0..dim {
                    // A profile that is masked, or constant, says 0 where the distance is NaN.
                    let times = |slope: T| if in_distance == zero { zero } else { slope * in_distance };
                    by_coordinate[2 * d * len + entry] = times(in_x[d]);
                    by_coordinate[(2 * d + 1) * len + entry] = times(in_y[d]);
                }
                entry += 1;
                zero
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

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let mut own = vec![T::from_f64(0.0); cotangent.len()];
        self.fill_own_distances(features.points(), &mut own);
        self.add_diag(&own, cotangent, theta);
        let Some(in_points) = gradients.at_mut(features.points()) else { return };
        // The distance of a point to itself is 0 wherever it is, or NaN: what is left is 0, or NaN where the profile's slope is.
        let zero = T::from_f64(0.0);
        let distances = MatRef::from_column_major_slice(&own, own.len(), 1);
        let (nothing, wanted) = (Mat::zeros(own.len(), 1), GradientRequest { x: true, z: false });
        let passed = cross_vjp(&self.kernel, distances, origin().as_ref(), nothing.as_ref(), wanted, Par::Seq);
        let passed = passed.ok().and_then(|passed| passed.x);
        let [mut in_x, mut in_y] = [(); 2].map(|()| vec![zero; in_points.ncols()]);
        let mut point = Vec::new();
        for (row, &distance) in own.iter().enumerate() {
            let in_distance = passed.as_ref().map_or(T::nan(), |passed| passed[(row, 0)]);
            if in_distance == zero {
                continue;
            }
            features.points().copy_row(row, &mut point);
            self.metric.gradient(&point, &point, distance, &mut in_x, &mut in_y);
            for (dim, (&by_x, &by_y)) in in_x.iter().zip(&in_y).enumerate() {
                in_points[(row, dim)] += by_x * in_distance + by_y * in_distance;
            }
        }
    }
}

impl<M: Metric, K> MetricRadial<M, K> {
    /// The distance of each point to itself.
    fn fill_own_distances<T: Scalar>(&self, points: &Points<'_, T>, out: &mut [T]) {
        let mut point = Vec::new();
        for (row, out) in out.iter_mut().enumerate() {
            points.copy_row(row, &mut point);
            *out = self.metric.distance(&point, &point);
        }
    }

    /// From distances to the covariances of the profile's points with themselves.
    fn diag<T: Scalar>(&self, distances: &mut [T])
    where
        K: AnyKernel + Kernel<T>,
    {
        let points = Mat::from_fn(distances.len(), 1, |row, _| distances[row]);
        if diag_into(&self.kernel, points.as_ref(), distances).is_err() {
            distances.fill(T::nan());
        }
    }

    /// Adds to `theta` the gradient of the same.
    fn add_diag<T: Scalar>(&self, distances: &[T], cotangent: &[T], theta: &mut [f64])
    where
        K: AnyKernel + Kernel<T>,
    {
        let points = MatRef::from_column_major_slice(distances, distances.len(), 1);
        match diag_vjp(&self.kernel, points, cotangent, GradientRequest::PARAMETERS) {
            Ok(gradients) => theta.iter_mut().zip(gradients.theta).for_each(|(sum, more)| *sum += more),
            Err(_) => theta.fill(f64::NAN),
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
