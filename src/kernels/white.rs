//! White noise.

use crate::kernel::{
    DiagVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, Structure, TileParts, TileVjp,
    Views,
};
use crate::simd::sum;
use crate::{Result, Scalar};

crate::kernel! {
    /// White noise: independent from point to point.
    ///
    /// # Definition
    ///
    /// K(X, X) = σ² I on a set of points with itself, K(X, Z) = 0 between two sets.
    ///
    /// This is not a function of two points. A point of a set is the same as another if it has the same
    /// index, not if it has the same coordinates: repeated measurements at one place have independent
    /// noise, the diagonal of a Gram matrix is σ², and every cross-covariance is 0, even of a set with a
    /// copy of itself. [`eval`](crate::KernelExt::eval), which knows no sets, gives 0.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared | positive |
    ///
    /// # Properties
    ///
    /// Stationary; positive semi-definite in any dimension.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let x = mat![[1.0], [1.0]];
    /// let kernel = Constant::new(2.0) + White::new(0.5);
    /// assert_eq!(kernel.gram(x.as_ref())?, mat![[2.5, 2.0], [2.0, 2.5]]);
    /// assert_eq!(kernel.cross(x.as_ref(), x.as_ref())?, mat![[2.0, 2.0], [2.0, 2.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 2.20.
    #[doc(alias = "white noise", alias = "WhiteKernel")]
    pub White as "white" {
        /// The variance σ².
        variance: Scalar = Positive,
    }
}

impl Expr for White {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().white())
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).isotropic().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        Ok(Inputs::none(dim))
    }
}

impl<T: Scalar> Kernel<T> for White {
    #[inline]
    fn pairwise(&self, _: &[T], _: &[T]) -> T {
        T::from_f64(0.0)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        Features::leaf(Points::without_coordinates(points.len()))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        out.fill(T::from_f64(0.0));
        for entry in pairs.diagonal() {
            out[entry] = T::from_f64(self.variance());
        }
    }

    fn tile_diag(&self, _: &Features<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(self.variance()));
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, .. } = to.dense(self);
        theta[0] += pairs.diagonal().map(|entry| cotangent[entry].as_f64()).sum::<f64>();
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { cotangent, theta, .. } = to;
        theta[0] += sum(cotangent).as_f64();
    }
}
