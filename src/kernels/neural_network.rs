//! The neural network (arcsine) kernel.

use super::dot_product::versines;
use super::{DotProduct, DotProfile, Reads, Slopes};
use crate::kernel::Psd;
use crate::simd::Lanes;
use crate::{Scalar, dot_product_kernel};

crate::kernel! {
    /// The neural network kernel: the covariance of an infinitely wide layer of units erf(wᵀx̃) with
    /// Gaussian weights.
    ///
    /// # Definition
    ///
    /// k(x, y) = 2/π asin(2 x̃ᵀỹ / √((1 + 2 |x̃|²) (1 + 2 |ỹ|²))), where x̃ᵀỹ = w xᵀy + b and
    /// |x̃|² = w |x|² + b
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `weight_variance` | w | one over that of the inputs squared | positive |
    /// | `bias_variance` | b | none | positive |
    ///
    /// # Properties
    ///
    /// Not stationary: samples vary near the origin and flatten far from it. Infinitely differentiable,
    /// below 1 in size; positive semi-definite in any dimension.
    ///
    /// The arcsine is taken as an arc tangent whose second argument does not cancel, so that values and
    /// gradients are exact also where the quotient is nearly 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = NeuralNetwork::new(2.0, 0.5);
    /// let expected = 2.0 / std::f64::consts::PI * (7.0 / (6.0f64 * 18.0).sqrt()).asin();
    /// // x̃ᵀỹ = 3.5, |x̃|² = 2.5, |ỹ|² = 8.5
    /// assert!((kernel.eval(&[1.0, 0.0], &[1.5, 1.75f64.sqrt()])? - expected).abs() < 1e-15);
    /// assert!(((3.0 * kernel).eval(&[1.0, 0.0], &[1.5, 1.75f64.sqrt()])? - 3.0 * expected).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// C. K. I. Williams (1998), "Computation with infinite neural networks", *Neural Computation* 10(5),
    /// 1203–1216;
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.29.
    #[doc(alias = "arcsin kernel")]
    pub NeuralNetwork as "neural_network" {
        /// The weight variance w.
        weight_variance: Scalar = Positive,
        /// The bias variance b.
        bias_variance: Scalar = Positive,
    }
}

dot_product_kernel!(NeuralNetwork);

impl DotProduct for NeuralNetwork {
    type Profile<T: Scalar> = NeuralNetworkProfile;

    fn profile<T: Scalar>(&self) -> NeuralNetworkProfile {
        NeuralNetworkProfile
    }

    fn reads(&self) -> Reads {
        Reads::SquaredChord { weight: self.weight_variance(), bias: Some(self.bias_variance()) }
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

/// The neural network kernel as a function of the squared chord and the lengths |x̃| and |ỹ|.
#[derive(Clone, Copy, Debug)]
pub struct NeuralNetworkProfile;

/// With a = |x̃|, b = |ỹ| and h = 1 − cos θ: p = x̃ᵀỹ = a b (1 − h), and √D, where
/// D = (1 + 2a²)(1 + 2b²) − 4p² = 1 + 2a² + 2b² + 4a²b² h (2 − h), a sum of positive terms.
#[inline(always)]
fn parts<T: Scalar, L: Lanes<T>>((less, more): (L, L), a: L, b: L) -> (L, L) {
    let zero = a.all(T::from_f64(0.0));
    let product = a * b;
    // Below 0 by rounding alone.
    let area = product * 2.0 * (less * more.if_less(zero, zero, more)).sqrt();
    (product * (-less + 1.0), (a * 2.0 * a + 1.0 + b * 2.0 * b + area * area).sqrt())
}

impl<T: Scalar> DotProfile<T> for NeuralNetworkProfile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, pair: L, x: L, y: L) -> L {
        let (product, root) = parts(versines(pair), x, y);
        (product * 2.0).atan2(root) * std::f64::consts::FRAC_2_PI
    }

    // dk/dp = 4/(π √D) at fixed lengths, and the length in the denominator takes 2a²/(1 + 2a²) of
    // what p contributes to dk/da.
    #[inline(always)]
    fn slopes<L: Lanes<T>>(self, pair: L, x: L, y: L, _: L) -> Slopes<L> {
        let both = versines(pair);
        let (_, root) = parts(both, x, y);
        let slope = (root * std::f64::consts::PI).recip() * 4.0;
        let cos = -both.0 + 1.0;
        Slopes {
            pair: slope * -0.5 * x * y,
            x: slope * y * cos / (x * 2.0 * x + 1.0),
            y: slope * x * cos / (y * 2.0 * y + 1.0),
            theta: [pair.all(T::from_f64(0.0)); 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn far_points_keep_their_digits() {
        // With q = 2|x̃|², k(x, x) = 2/π asin(q/(1 + q)) = 1 − 2/π acos(q/(1 + q)), and
        // acos(1 − e) = √(2e) (1 + e/12 + …).
        let (x, kernel) = ([1e6], NeuralNetwork::new(1.0, 1.0));
        let q = 2.0 * (1e12 + 1.0);
        let value: f64 = kernel.eval(&x, &x).unwrap();
        let expected = 1.0 - 2.0 / std::f64::consts::PI * (2.0 / (1.0f64 + q)).sqrt();
        assert!((value - expected).abs() < 3e-16);
    }
}
