//! The linear kernel about a point.

use faer::Mat;

use super::Linear;
use super::radial::check_dim;
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, TileParts, TileVjp,
};
use crate::{Result, Scalar};

crate::kernel! {
    /// The affine kernel: Bayesian linear regression through a known height at a point c.
    ///
    /// # Definition
    ///
    /// k(x, y) = σ² (x − c)ᵀ(y − c)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared, over that of the inputs squared | positive |
    /// | `offset` | c | that of the inputs | any finite numbers; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Not stationary; positive semi-definite in any dimension, of rank D. All lines pass through 0 at c; for an
    /// intercept that is unknown too, add a constant: `Affine::new(1.0, 0.5) + 2.0`.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Affine::new(0.5, [1.0, -1.0]);
    /// assert_eq!(kernel.eval(&[2.0, 1.0], &[3.0, 4.0])?, 0.5 * (1.0 * 2.0 + 2.0 * 5.0));
    /// assert_eq!((kernel + 2.0).eval(&[2.0, 1.0], &[3.0, 4.0])?, 8.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.2.
    pub Affine as "affine" {
        /// The variance σ² of the slopes.
        variance: Scalar = Positive,
        /// The offset c: one, or one for each dimension.
        offset: PerDimension = Real,
    }
}

impl Affine {
    /// The kernel of the points less the offset.
    fn linear(&self) -> Linear {
        Linear::of(self.variance)
    }
}

impl Expr for Affine {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        check_dim(self, "offset", &self.offset, dim)
    }
}

impl<T: Scalar> Kernel<T> for Affine {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let term = |(dim, (&x, &y)): (usize, (&T, &T))| {
            let offset = T::from_f64(self.offset.at(dim));
            (x - offset) * (y - offset)
        };
        let product: T = x.iter().zip(y).enumerate().map(term).sum();
        T::from_f64(self.variance()) * product
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let shifted = Mat::from_fn(points.len(), points.dim(), |row, dim| {
            points.column(dim)[row] - T::from_f64(self.offset.at(dim))
        });
        Features::leaf(Points::made(shifted).with_gradient(true))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.linear().tile(pairs, out, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.linear().tile_diag(features, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
        self.linear().tile_vjp(TileVjp::new(pairs, value, cotangent, &mut theta[..1], scratch));
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        self.linear().tile_diag_vjp(DiagVjp::new(features, cotangent, &mut theta[..1], gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let Some(in_shifted) = gradients.take(features.points()) else { return };
        let in_offset = &mut theta[1..];
        for (dim, column) in in_shifted.col_iter().enumerate() {
            let which = dim.min(in_offset.len() - 1);
            in_offset[which] -= column.iter().map(|g| g.as_f64()).sum::<f64>();
        }
        if let Some(in_points) = gradients.at_mut(points) {
            *in_points += in_shifted;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn is_linear_about_its_offset() {
        let x = mat![[1.0, 2.0], [-1.0, 0.5], [3.0, 0.0]];
        let shifted = mat![[0.5, 3.0], [-1.5, 1.5], [2.5, 1.0]];
        let gram: Mat<f64> = Affine::new(0.7, [0.5, -1.0]).gram(x.as_ref()).unwrap();
        let linear: Mat<f64> = Linear::new(0.7).gram(shifted.as_ref()).unwrap();
        assert_eq!(gram, linear);
    }
}
