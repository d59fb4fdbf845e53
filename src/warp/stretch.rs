//! One lengthscale for all dimensions.

use super::ard::diagonal;
use super::ard::{divide, divide_backward, divide_difference, divide_difference_backward, inverse};
use super::differences::rounding;
use super::{Warp, WarpExpr};
use crate::kernel::{FeatureGradients, Points, Psd, Variable};
use crate::{Real, Result, Scalar};

crate::declare! {
    /// Points divided by one lengthscale: the warp behind
    /// [`stretch`](crate::algebra::Compose::stretch).
    ///
    /// # Definition
    ///
    /// f(x) = x/ℓ
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive |
    ///
    /// # Properties
    ///
    /// Keeps stationarity and positive semi-definiteness. Gives a lengthscale to a whole expression, or to
    /// a kernel without one; beside another lengthscale, freeze one of the two.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = (Rbf::new(1.0) * Linear::new(1.0)).stretch(2.0);
    /// assert!((kernel.eval(&[2.0], &[4.0])? - (-0.5f64).exp() * 2.0).abs() < 1e-15);
    /// assert_eq!(kernel.get("stretch.lengthscale")?, 2.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub Stretch as "stretch" {
        /// The lengthscale.
        lengthscale: Scalar = Positive,
    }
}

impl WarpExpr for Stretch {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        Ok(dim)
    }

    fn psd(&self, kernel: Psd) -> Psd {
        kernel
    }

    fn reads(&self, _: usize, made: &[bool]) -> Vec<bool> {
        made.to_vec()
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn matrix(&self, theta: &[Variable], dim: usize) -> Option<Vec<Vec<Variable>>> {
        Some(diagonal(vec![theta.first()?.recip(); dim]))
    }

    fn keeps_axes(&self) -> bool {
        true
    }

    fn differentiable(&self) -> bool {
        true
    }
}

impl<T: Scalar> Warp<T> for Stretch {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        divide(points, &vec![self.lengthscale(); points.dim()])
    }

    #[inline]
    fn point(&self, x: &[T], out: &mut [T]) {
        let inverse = inverse::<T>(self.lengthscale());
        out.iter_mut().zip(x).for_each(|(out, &x)| *out = x * inverse);
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let mut in_each = vec![0.0; points.dim()];
        divide_backward(points, made, &vec![self.lengthscale(); points.dim()], gradients, &mut in_each);
        theta[0] += in_each.iter().sum::<f64>();
    }

    fn difference(&self, points: [&[T]; 2], out: &mut [T]) -> bool {
        divide_difference(points, |_| self.lengthscale(), out);
        true
    }

    fn rounding(&self, points: &Points<'_, T>) -> Option<Vec<f64>> {
        Some(rounding(points)?.into_iter().map(|error| error / self.lengthscale()).collect())
    }

    fn difference_backward(
        &self,
        points: [&[T]; 2],
        _: &[T],
        in_difference: &[T],
        in_points: [&mut [T]; 2],
        theta: &mut [f64],
    ) {
        divide_difference_backward(
            points,
            |_| self.lengthscale(),
            in_difference,
            in_points,
            |_, more| theta[0] += more,
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_stretched_kernel_has_the_lengthscale() {
        let (x, y) = ([0.3, -1.2], [1.1, 0.4]);
        let stretched: f64 = Matern32::new(1.0).stretch(0.7).eval(&x, &y).unwrap();
        let expected: f64 = Matern32::new(0.7).eval(&x, &y).unwrap();
        assert!((stretched - expected).abs() < 4e-16);
    }
}
