//! The hyperbolic tangent kernel.

use super::{DotProduct, DotProfile, Slopes};
use crate::simd::Lanes;
use crate::{Scalar, dot_product_kernel};

crate::kernel! {
    /// The hyperbolic tangent ("sigmoid") kernel of the literature on support vector machines.
    ///
    /// # Definition
    ///
    /// k(x, y) = tanh(γ xᵀy + c)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `scale` | γ | one over that of the inputs squared | positive |
    /// | `offset` | c | none | any finite number |
    ///
    /// # Properties
    ///
    /// Not a covariance: positive semi-definite for no γ and c (Smola, Óvári & Williamson 2000), so that
    /// models refuse it unless told to allow indefinite kernels. A covariance of the same kind is
    /// [`NeuralNetwork`](super::NeuralNetwork).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Tanh::new(0.5, -1.0);
    /// assert_eq!(kernel.eval(&[1.0, 2.0], &[3.0, 1.0])?, 1.5f64.tanh());
    /// assert_eq!((2.0 * kernel).properties().psd, Psd::Unknown);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// A. J. Smola, Z. L. Óvári & R. C. Williamson (2000), "Regularization with
    /// dot-product kernels", *Advances in Neural Information Processing Systems* 13.
    pub Tanh as "tanh" {
        /// The scale γ.
        scale: Scalar = Positive,
        /// The offset c.
        offset: Scalar = Real,
    }
}

dot_product_kernel!(Tanh);

impl DotProduct for Tanh {
    type Profile<T: Scalar> = TanhProfile<T>;

    fn profile<T: Scalar>(&self) -> TanhProfile<T> {
        TanhProfile { scale: T::from_f64(self.scale()), offset: T::from_f64(self.offset()) }
    }
}

/// The hyperbolic tangent kernel as a function of xᵀy.
#[derive(Clone, Copy, Debug)]
pub struct TanhProfile<T> {
    scale: T,
    offset: T,
}

impl<T: Scalar> DotProfile<T> for TanhProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, pair: L, _: L, _: L) -> L {
        pair.mul_add(pair.all(self.scale), pair.all(self.offset)).tanh()
    }

    #[inline(always)]
    fn slopes<L: Lanes<T>>(self, pair: L, _: L, _: L, value: L) -> Slopes<L> {
        let zero = pair.all(T::from_f64(0.0));
        let slope = (-value + 1.0) * (value + 1.0);
        Slopes { pair: slope * pair.all(self.scale), x: zero, y: zero, theta: [slope * pair, slope, zero] }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn is_indefinite() {
        // A variance is negative: k(0, 0) = tanh(−1).
        let gram: Mat<f64> = Tanh::new(1.0, -1.0).gram(mat![[0.0], [1.0]].as_ref()).unwrap();
        let t = 1f64.tanh();
        assert_eq!(gram, mat![[-t, -t], [-t, 0.0]]);
    }
}
