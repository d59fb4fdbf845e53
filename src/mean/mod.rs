//! Prior mean functions m(x). They are added and multiplied
//! by `+` and `*`, with numbers too.

mod constant;
mod dynamic;
mod function;
mod linear;
mod ops;
mod product;
#[cfg(feature = "serde")]
mod saved;
mod sum;
mod zero;

pub use constant::ConstantMean;
pub use dynamic::{AnyMean, DynMean};
pub use function::FunctionMean;
pub use linear::LinearMean;
pub use product::ProductMean;
#[cfg(feature = "serde")]
pub use saved::register;
pub use sum::SumMean;
pub use zero::Zero;

use std::any::Any;
use std::fmt::Debug;

use faer::{MatMut, MatRef};

use crate::params::Parameterized;
use crate::{Result, Scalar};

/// The part of a mean function that does not depend on the scalar type.
pub trait MeanExpr: Parameterized + dyn_clone::DynClone + Debug + Send + Sync + Any {
    /// Refuses points of a dimension that this function cannot read.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension), naming the function and what it needs.
    fn check_dim(&self, dim: usize) -> Result<()>;

    /// Whether it is 0 everywhere, whatever its parameters are. By default not.
    fn is_zero(&self) -> bool {
        false
    }
}

dyn_clone::clone_trait_object!(MeanExpr);

/// A mean function m(x), at precision `T`.
///
/// Points are the rows of an N × D matrix whose dimension [`check_dim`](MeanExpr::check_dim) has
/// accepted; slices have N elements, and gradients in parameters as many as there are parameters, in
/// visiting order. Callers see to that.
///
/// # Examples
///
/// A mean function of one's own:
///
/// ```
/// use faer::{MatMut, MatRef};
/// use mercer::mean::{Mean, MeanExpr};
/// use mercer::params::{Constraint, Parameter};
/// use mercer::prelude::*;
///
/// /// m(x) = a x₀²
/// #[derive(Clone, Debug)]
/// struct Square {
///     a: Parameter,
/// }
/// mercer::parameterized!(Square as "square", parameters: [a]);
///
/// impl MeanExpr for Square {
///     fn check_dim(&self, _: usize) -> mercer::Result<()> {
///         Ok(())
///     }
/// }
///
/// impl<T: Scalar> Mean<T> for Square {
///     fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
///         for (row, out) in out.iter_mut().enumerate() {
///             *out = T::from_f64(self.a.value()) * x[(row, 0)] * x[(row, 0)];
///         }
///     }
///
///     fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
///         for (row, c) in cotangent.iter().enumerate() {
///             theta[0] += (*c * x[(row, 0)] * x[(row, 0)]).as_f64();
///         }
///     }
///
///     fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], mut gradient: MatMut<'_, T>) {
///         let twice = T::from_f64(2.0 * self.a.value());
///         for (row, &c) in cotangent.iter().enumerate() {
///             gradient[(row, 0)] += twice * c * x[(row, 0)];
///         }
///     }
/// }
///
/// let mean: Box<dyn Mean<f64>> = Box::new(Square { a: Parameter::new("a", 0.5, Constraint::Real)? });
/// let mut out = [0.0; 2];
/// mean.mean_into(mat![[2.0], [4.0]].as_ref(), &mut out);
/// assert_eq!(out, [2.0, 8.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Mean<T: Scalar>: MeanExpr {
    /// Writes m(xᵢ) for each row of the points.
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]);

    /// Adds Σᵢ cᵢ ∂m(xᵢ)/∂θ to the gradient in the parameters.
    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]);

    /// Adds cᵢ ∂m(xᵢ)/∂xᵢ to row i of the gradient in the points, which has their shape.
    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], gradient: MatMut<'_, T>);
}

dyn_clone::clone_trait_object!(<T: Scalar> Mean<T>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::params::Constraint;
    use crate::prelude::*;

    /// Both products against central differences of Σ cᵢ m(xᵢ), which is linear in each argument.
    fn check<M: Mean<f64> + Mean<f32> + Clone>(mean: &M) {
        let x = mat![[0.3, -1.2], [2.0, 0.7], [-0.4, 1.5]];
        let c = [0.5, -1.0, 2.0];
        let total = |mean: &M, x: &Mat<f64>| {
            let mut out = [f64::NAN; 3];
            mean.mean_into(x.as_ref(), &mut out);
            out.iter().zip(c).map(|(m, c)| m * c).sum::<f64>()
        };
        let step = 1e-5;

        let values = mean.values();
        let mut theta = vec![1.0; values.len()];
        mean.vjp(x.as_ref(), &c, &mut theta);
        for (element, found) in theta.iter().enumerate() {
            let at = |sign: f64| {
                let mut moved = values.clone();
                moved[element] += sign * step;
                total(&mean.with_params(&moved).unwrap(), &x)
            };
            let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
            assert!((found - 1.0 - difference).abs() < 1e-9, "{mean:?}: {theta:?}");
        }

        let mut gradient = Mat::from_fn(3, 2, |_, _| 1.0);
        mean.points_vjp(x.as_ref(), &c, gradient.as_mut());
        for (row, col) in (0..3).flat_map(|row| [(row, 0), (row, 1)]) {
            let at = |sign: f64| {
                let mut moved = x.clone();
                moved[(row, col)] += sign * step;
                total(mean, &moved)
            };
            let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
            assert!((gradient[(row, col)] - 1.0 - difference).abs() < 1e-9, "{mean:?}: {gradient:?}");
        }

        let (mut double, mut single) = ([f64::NAN; 3], [f32::NAN; 3]);
        mean.mean_into(x.as_ref(), &mut double);
        mean.mean_into(Mat::from_fn(3, 2, |i, j| x[(i, j)] as f32).as_ref(), &mut single);
        assert!(double.iter().zip(single).all(|(&d, s)| (d - f64::from(s)).abs() < 1e-6 * (1.0 + d.abs())));
    }

    #[test]
    fn products_match_finite_differences() {
        check(&Zero);
        check(&ConstantMean::new(0.7));
        check(&LinearMean::new([0.5, -2.0]));
        check(&LinearMean::new([0.5, -2.0]).with_intercept(0.3));

        let linear = || LinearMean::new([0.5, -2.0]);
        check(&(linear() + 0.7));
        check(&(0.7 + linear() * 0.3));
        check(&(-1.3 * linear()));
        check(&(linear() * (linear() + ConstantMean::new(0.4)) + Zero));
        check(&(DynMean::new(linear()) * 2.0 + linear() * DynMean::new(ConstantMean::new(0.4)) + wave()));
        check(&(wave() * linear()));
    }

    /// m(x) = sin(a x₀) + b x₁³
    fn wave() -> FunctionMean {
        let mean = FunctionMean::new(
            "wave",
            |theta, x| (theta[0] * x[0]).sin() + theta[1] * x[1].powi(3),
            |theta, x, in_theta, in_x| {
                let cosine = (theta[0] * x[0]).cos();
                in_theta.copy_from_slice(&[x[0] * cosine, x[1].powi(3)]);
                in_x.copy_from_slice(&[theta[0] * cosine, 3.0 * theta[1] * x[1] * x[1]]);
            },
        );
        let mean = mean.with_parameter("frequency", 1.3, Constraint::Positive).unwrap();
        mean.with_parameter("cubic", -0.2, Constraint::Real).unwrap()
    }

    #[test]
    fn parameters_of_sums_are_numbered_as_in_a_flat_sum() {
        let paths = |mean: &dyn MeanExpr| mean.parameters().into_iter().map(|entry| entry.path).collect::<Vec<_>>();
        let expected =
            ["sum[0].constant.value", "sum[1].linear.weights[0]", "sum[2].wave.frequency", "sum[2].wave.cubic"];
        let (a, b, c) = (ConstantMean::new(1.0), LinearMean::new([2.0]), wave());
        assert_eq!(paths(&(a.clone() + b.clone() + c.clone())), expected);
        assert_eq!(paths(&(a.clone() + (b.clone() + c.clone()))), expected);
        assert_eq!(paths(&(DynMean::new(a) + b + c)), expected);
    }

    #[test]
    fn boxes_clone() {
        let mean: Box<dyn Mean<f64>> = Box::new(ConstantMean::new(0.7));
        assert_eq!(mean.clone().values(), [0.7]);
    }
}
