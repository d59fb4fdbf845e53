//! Maps of the inputs by a function of one's own.

use std::fmt::{self, Debug};

use faer::Mat;

use super::{Warp, WarpExpr};
use crate::kernel::variables::{Variable, hyperparameters, plain, vjp_by_points, with_buffer, zero};
use crate::kernel::{FeatureGradients, Points, write_arguments};
use crate::params::{Parameterized, ParameterizedExt};
use crate::{Dual, Real, Result, Scalar};

/// A function of one point, written once over [`Real`] numbers. It is a [`Warp`], for
/// [`warp`](crate::algebra::Compose::warp), with exact gradients in its parameters and in the
/// points, by dual numbers; and with one output, a factor for
/// [`vertical`](crate::algebra::Compose::vertical).
///
/// Values are evaluated at the precision of the data, gradients in `f64`. The function runs once a
/// point, not once a pair; for gradients ⌈(P + D)/8⌉ times, for P parameters in D dimensions.
///
/// # Examples
///
/// An input on a scale that is stretched near 0:
///
/// ```
/// use mercer::params::{Constraint, Parameter};
/// use mercer::prelude::*;
/// use mercer::warp::Function;
///
/// #[derive(Clone, Debug)]
/// struct Stretch {
///     scale: Parameter,
/// }
/// mercer::parameterized!(Stretch as "stretch", parameters: [scale]);
///
/// impl Function for Stretch {
///     fn output_dim(&self, dim: usize) -> mercer::Result<usize> {
///         Ok(dim)
///     }
///
///     fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
///         for (out, &x) in out.iter_mut().zip(x) {
///             *out = (x / theta[0]).atan();
///         }
///     }
/// }
///
/// let kernel = Rbf::new(0.5).warp(Stretch { scale: Parameter::new("scale", 2.0, Constraint::Positive)? });
/// let expected = (-0.5 * (1.0f64.atan() / 0.5).powi(2)).exp();
/// assert!((kernel.eval(&[0.0], &[2.0])? - expected).abs() < 1e-15);
/// assert_eq!((kernel + 1.0).to_string(), "stretch(rbf(lengthscale=0.5), scale=2) + constant(value=1)");
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Function: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// The number of outputs for points of dimension `dim`.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension) if it cannot read them.
    fn output_dim(&self, dim: usize) -> Result<usize>;

    /// Writes f(x) into `out`, which holds as many zeros as there are outputs. `theta` holds the
    /// parameters in visiting order: take them from there and not from `self`, or they have no
    /// gradient.
    fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]);
}

impl<F: Function> WarpExpr for F {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        Function::output_dim(self, dim)
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({kernel}", self.name())?;
        write_arguments(self, false, f)?;
        f.write_str(")")
    }
}

impl<T: Scalar, F: Function> Warp<T> for F {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        // A dimension that the function refuses has been refused by `check_dim` before.
        let outputs = Function::output_dim(self, points.dim()).unwrap_or(0);
        let mut made = Mat::zeros(points.len(), outputs);
        let params = self.num_params();
        let mut numbers = vec![zero::<T>(); params + points.dim() + outputs];
        let (theta, numbers) = numbers.split_at_mut(params);
        let (x, out) = numbers.split_at_mut(points.dim());
        hyperparameters(self, theta, |_, value| Dual::from_f64(value));
        for row in 0..points.len() {
            x.iter_mut().enumerate().for_each(|(d, number)| *number = plain(points.column(d)[row]));
            out.fill(zero());
            self.apply(theta, x, out);
            out.iter().enumerate().for_each(|(output, number)| made[(row, output)] = number.value);
        }
        Points::made(made).with_gradient(params > 0 || points.needs_gradient())
    }

    fn point(&self, x: &[T], out: &mut [T]) {
        let params = self.num_params();
        with_buffer(params + x.len() + out.len(), zero::<T>(), |numbers| {
            let (theta, numbers) = numbers.split_at_mut(params);
            let (in_x, in_out) = numbers.split_at_mut(x.len());
            hyperparameters(self, theta, |_, value| Dual::from_f64(value));
            in_x.iter_mut().zip(x).for_each(|(number, &coordinate)| *number = plain(coordinate));
            self.apply(theta, in_x, in_out);
            out.iter_mut().zip(in_out).for_each(|(out, number)| *out = number.value);
        });
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let Some(in_made) = gradients.take(made) else { return };
        let function = |theta: &[Variable], x: &[Variable], out: &mut [Variable]| self.apply(theta, x, out);
        let cotangent = |row: usize, output: usize| in_made[(row, output)].as_f64();
        vjp_by_points(self, function, points, made.dim(), cotangent, theta, gradients.at_mut(points));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{GradientRequest, cross_vjp};
    use crate::params::{Constraint, Parameter};
    use crate::prelude::*;

    /// (a x₀ x₁, x₀²)
    #[derive(Clone, Debug)]
    struct Pair {
        a: Parameter,
    }
    crate::parameterized!(Pair as "pair", parameters: [a]);

    impl Function for Pair {
        fn output_dim(&self, dim: usize) -> Result<usize> {
            if dim == 2 { Ok(2) } else { Err(Error::setting("dim", dim, "must be 2")) }
        }

        fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
            out[0] = theta[0] * x[0] * x[1];
            out[1] = x[0] * x[0];
        }
    }

    #[test]
    fn gradients_by_hand() {
        let kernel = Linear::new(1.0).warp(Pair { a: Parameter::new("a", 3.0, Constraint::Real).unwrap() });
        // f(2, 5) = (30, 4) and f(1, 7) = (21, 1).
        assert_eq!(kernel.eval(&[2.0, 5.0], &[1.0, 7.0]).unwrap(), 634.0);
        let (x, z) = (mat![[2.0, 5.0]], mat![[1.0, 7.0]]);
        let one = mat![[1.0]];
        let found = cross_vjp(&kernel, x.as_ref(), z.as_ref(), one.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
        assert_eq!(found.theta, [10.0 * 21.0 + 30.0 * 7.0, 634.0]);
        assert_eq!(found.x.unwrap(), mat![[15.0 * 21.0 + 4.0, 6.0 * 21.0]]);
        assert_eq!(found.z.unwrap(), mat![[21.0 * 30.0 + 2.0 * 4.0, 3.0 * 30.0]]);
        assert!(kernel.eval(&[1.0], &[2.0]).is_err());
    }
}
