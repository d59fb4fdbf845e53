//! White noise that is the same wherever the inputs are.

use super::equal;
use crate::Scalar;
use crate::kernel::{DiagVjp, Expr, Features, Kernel, Pairs, Properties, Psd, Scratch, TileParts, TileVjp};
use crate::simd::dot;

crate::kernel! {
    /// White noise by value: equal inputs have the same noise, also in two sets of points.
    ///
    /// This is a function of two points, where [`White`](super::White) is not: a deterministic effect of
    /// each input that says nothing about its neighbours (a computer experiment's numerical noise, the
    /// nugget of kriging), which comes back when the same input does. For noise of measurements use
    /// `White`: with noise by value, a repeated measurement has no new noise, and the Gram matrix of
    /// repeated inputs is singular.
    ///
    /// # Definition
    ///
    /// k(x, y) = σ² if x = y in every coordinate, else 0
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared | positive |
    ///
    /// # Properties
    ///
    /// Stationary, not continuous; positive semi-definite in any dimension. The gradient in the inputs is
    /// that of almost all inputs, 0. Inputs are equal if their numbers are: 0.1 + 0.2 is not 0.3.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let x = mat![[1.0], [1.0], [2.0]];
    /// let kernel = Constant::new(2.0) + WhiteByValue::new(0.5);
    /// assert_eq!(kernel.gram(x.as_ref())?, mat![[2.5, 2.5, 2.0], [2.5, 2.5, 2.0], [2.0, 2.0, 2.5]]);
    /// assert_eq!(kernel.cross(x.as_ref(), mat![[2.0]].as_ref())?, mat![[2.0], [2.0], [2.5]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Gramacy & Lee (2012), Cases for the nugget in modeling computer experiments, *Statistics and
    /// Computing* 22.
    pub WhiteByValue as "white_by_value" {
        /// The variance σ².
        variance: Scalar = Positive,
    }
}

impl Expr for WhiteByValue {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).stationary().differentiable()
    }
}

impl<T: Scalar> Kernel<T> for WhiteByValue {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let zero = T::from_f64(0.0);
        x.iter().zip(y).fold(T::from_f64(self.variance()), |value, (&x, &y)| value * equal::factor(x, y, zero))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        out.fill(T::from_f64(self.variance()));
        for dim in 0..pairs.dim() {
            equal::multiply(out, pairs.x_column(dim), pairs.y_column(dim), T::from_f64(0.0));
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(self.variance()));
        for dim in 0..features.points().dim() {
            for (out, &x) in out.iter_mut().zip(features.points().column(dim)) {
                *out *= equal::factor(x, x, T::from_f64(0.0));
            }
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { value, cotangent, theta, .. } = to.with_value(self);
        theta[0] += dot(cotangent, value).as_f64() / self.variance();
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, .. } = to;
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        self.tile_diag(features, &mut value);
        theta[0] += dot(cotangent, &value).as_f64() / self.variance();
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn points_are_equal_in_all_coordinates_or_not_at_all() {
        let kernel = WhiteByValue::new(0.3);
        assert_eq!(kernel.eval(&[1.0, 2.0], &[1.0, 2.0]).unwrap(), 0.3);
        assert_eq!(kernel.eval(&[1.0, 2.0], &[1.0, 3.0]).unwrap(), 0.0);
        assert_eq!(kernel.eval(&[0.0], &[-0.0]).unwrap(), 0.3);
        assert!(kernel.eval(&[1.0, f64::NAN], &[2.0, 1.0]).unwrap().is_nan());
        let gram = kernel.gram(mat![[1.0, f64::NAN], [2.0, 1.0]].as_ref()).unwrap();
        assert!(gram[(0, 0)].is_nan() && gram[(1, 0)].is_nan() && gram[(1, 1)] == 0.3);
    }
}
