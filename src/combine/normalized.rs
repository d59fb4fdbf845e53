//! A kernel scaled to a unit diagonal.

use faer::{Mat, MatRef};

use crate::kernel::point_factors::{outer_tile, outer_vjp};
use crate::kernel::{
    AnyKernel, Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Properties, Scratch,
    Structure, TileParts, TileVjp, add_own_differences_vjp,
};
use crate::params::ParameterizedExt;
use crate::{DynKernel, Result, Scalar, kernel_ops};

/// A kernel scaled to a unit diagonal: what [`normalized`](crate::algebra::Compose::normalized)
/// makes. It turns a covariance into the correlation.
///
/// # Definition
///
/// k(x, y) = inner(x, y) / √(inner(x, x) inner(y, y)), and 0 where inner(x, x) or inner(y, y) is not
/// positive: what has no variance is correlated with nothing.
///
/// The diagonal of a Gram matrix is 1 exactly. White noise counts in inner(x, x), in cross-covariances
/// and in [`eval`](crate::KernelExt::eval) too: correlations are those of noisy values.
///
/// # Properties
///
/// Positive semi-definite and stationary where the inner kernel is. A factor of the inner kernel has no
/// effect: freeze it.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// // The cosine of the angle between two points.
/// let kernel = Linear::new(3.0).normalized();
/// assert!((kernel.eval(&[3.0, 4.0], &[2.0, 0.0])? - 0.6).abs() < 1e-15);
/// assert_eq!(kernel.eval(&[3.0, 4.0], &[0.0, 0.0])?, 0.0);
/// assert_eq!((kernel * 0.5).diag(mat![[3.0, 4.0]].as_ref())?, [0.5]);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Shawe-Taylor & Cristianini (2004), *Kernel Methods for Pattern Analysis*, section 5.1.
#[derive(Clone, Debug)]
pub struct Normalized<K> {
    kernel: K,
}

kernel_ops!([K] Normalized<K>);

impl<K> Normalized<K> {
    /// The kernel scaled to a unit diagonal.
    pub fn new(kernel: K) -> Self {
        Self { kernel }
    }

    /// The kernel that is scaled.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// 1/√k(x, x) for the points of a set, from the inner kernel's features.
    fn factors<T: Scalar>(&self, child: &Features<'_, T>, len: usize) -> Mat<T>
    where
        K: AnyKernel + Kernel<T>,
    {
        let (zero, mut factors) = (T::from_f64(0.0), Mat::zeros(len, 1));
        let column = factors.col_as_slice_mut(0);
        self.kernel.node().at::<T>().tile_diag(child, column);
        for value in column {
            // What overflows has a correlation that is not known.
            let known = if value.is_infinite() { T::nan() } else { *value };
            *value = if known <= zero { zero } else { num_traits::Float::recip(num_traits::Float::sqrt(known)) };
        }
        factors
    }
}

/// The value on the diagonal, given the factor: NaN for NaN.
fn on_diagonal<T: Scalar>(factor: T) -> T {
    if factor > T::from_f64(0.0) { T::from_f64(1.0) } else { factor }
}

impl Construct for Normalized<DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["kernel"])?;
        Ok(Self::new(arguments.take("kernel")?))
    }
}

crate::parameterized!([K] Normalized<K> as "normalized", parameters: [], child: kernel);

impl<K: AnyKernel + Clone> Expr for Normalized<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Function(self.kernel.node())
    }

    fn properties(&self) -> Properties {
        let inner = self.kernel.properties();
        Properties { isotropic: false, zonal: false, ..inner }
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Normalized<K> {
    // By the diagonal of a set of one point, because `pairwise` does not know of white noise.
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let factor = |x: &[T]| {
            let point = Points::new(MatRef::from_column_major_slice(x, 1, x.len()));
            self.factors(&self.kernel.node().at::<T>().embed(&point), 1)[(0, 0)]
        };
        self.kernel.pairwise(x, y) * (factor(x) * factor(y))
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let child = self.kernel.node().at::<T>().embed(points);
        let wanted = points.needs_gradient() || self.kernel.num_params() > 0;
        Features::mapped(Points::made(self.factors(&child, points.len())).with_gradient(wanted), child)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        outer_tile(&self.kernel, pairs, out, scratch);
        let factors = pairs.x_column(0);
        for entry in pairs.diagonal() {
            out[entry] = on_diagonal(factors[entry % pairs.nrows()]);
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        out.iter_mut().zip(features.points().column(0)).for_each(|(out, &factor)| *out = on_diagonal(factor));
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        // The diagonal is 1, whatever the hyperparameters and the points.
        let mut off_diagonal = scratch.take(pairs.len());
        off_diagonal.copy_from_slice(cotangent);
        pairs.diagonal().for_each(|entry| off_diagonal[entry] = T::from_f64(0.0));
        outer_vjp(&self.kernel, pairs, &off_diagonal, theta, scratch);
        scratch.give(off_diagonal);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, gradients, .. } = to;
        // Whatever the cotangent, by way of the factors, which `embed_vjp` pulls back.
        let ones = vec![T::from_f64(1.0); cotangent.len()];
        add_own_differences_vjp(features.points(), &ones, &mut [], gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let (factors, child) = (features.points(), features.child(0));
        if let Some(in_factors) = gradients.take(factors) {
            // s = k^(-1/2): ds/dk = -s³/2.
            let terms = in_factors.col_as_slice(0).iter().zip(factors.column(0));
            let cotangent: Vec<T> = terms.map(|(&c, &s)| -T::from_f64(0.5) * c * s * s * s).collect();
            self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(child, &cotangent, theta, gradients));
        }
        self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(points, child, gradients, theta));
    }
}

#[cfg(test)]
mod tests {
    use crate::kernel::GradientRequest;
    use crate::prelude::*;

    #[test]
    fn the_diagonal_is_exact_and_zeros_stay_finite() {
        let x = mat![[0.1, 0.7], [0.0, 0.0], [3.0, -0.2], [f64::NAN, 1.0]];
        let kernel = Linear::new(0.3).normalized();
        let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        assert_eq!([gram[(0, 0)], gram[(1, 1)], gram[(2, 2)], gram[(1, 2)]], [1.0, 0.0, 1.0, 0.0]);
        assert!(gram[(3, 3)].is_nan() && gram[(3, 0)].is_nan());

        let x = x.as_ref().subrows(0, 3);
        let w = Mat::from_fn(3, 3, |i, j| 1.0 + i as f64 - 0.3 * j as f64);
        let found = kernel.gram_vjp(x, w.as_ref(), GradientRequest::ALL).unwrap();
        // The variance cancels.
        assert!(found.theta[0].abs() < 1e-15);
        assert!(found.x.unwrap().norm_max().is_finite());
    }

    #[test]
    fn noise_lowers_the_correlation() {
        let kernel = (Constant::new(3.0) + White::new(1.0)).normalized();
        let x = mat![[0.5], [0.5]];
        assert_eq!(kernel.gram(x.as_ref()).unwrap(), mat![[1.0, 0.75], [0.75, 1.0]]);
        assert_eq!(kernel.cross(x.as_ref(), x.as_ref()).unwrap(), mat![[0.75, 0.75], [0.75, 0.75]]);
        assert_eq!(kernel.eval(&[0.5], &[0.5]).unwrap(), 0.75);
    }
}
