//! Maps of the inputs by a closure.

use std::fmt::{self, Debug};
use std::sync::Arc;

use faer::Mat;

use super::{Warp, WarpExpr};
use crate::kernel::variables::{Variable, vjp_by_points, with_buffer};
use crate::kernel::{FeatureGradients, Points};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::{Dual, Real, Result, Scalar};

type Map = dyn Fn(&[Variable], &mut [Variable]) + Send + Sync;

/// A map of the inputs that a closure computes, without parameters: what [`from_fn`] makes.
#[derive(Clone)]
pub struct FromFn {
    name: Arc<str>,
    outputs: usize,
    map: Arc<Map>,
}

/// A map of the inputs by a closure, for [`warp`](crate::algebra::Compose::warp): x ↦ f(x), with exact gradients in the
/// points.
///
/// The closure gets a point, and writes so many outputs into its second argument, which holds zeros. It computes with
/// [`Variable`]s, numbers that carry derivatives; the functions are those of [`Real`]. The name is for text, which can be
/// printed and not read back. A map with parameters, or one that text can read, is a [`Function`](super::Function).
///
/// Values and gradients are computed in `f64` at either precision of the data, a point at a time. A closure that indexes a
/// coordinate which is not there panics.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::warp::from_fn;
///
/// let kernel = Rbf::new(1.0).warp(from_fn("log_ratio", 1, |x, out| out[0] = (x[0] / x[1]).ln()));
/// assert_eq!(kernel.eval(&[2.0, 1.0], &[6.0, 3.0])?, 1.0);
/// assert!((kernel.eval(&[1.0, 1.0], &[2.0, 1.0])? - (-0.5 * 2f64.ln().powi(2)).exp()).abs() < 1e-15);
/// assert_eq!(kernel.to_string(), "log_ratio(rbf(lengthscale=1))");
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn from_fn(
    name: &str,
    outputs: usize,
    map: impl Fn(&[Variable], &mut [Variable]) + Send + Sync + 'static,
) -> FromFn {
    FromFn { name: name.into(), outputs, map: Arc::new(map) }
}

impl Debug for FromFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").field("name", &self.name).field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

impl Parameterized for FromFn {
    fn name(&self) -> &str {
        &self.name
    }

    fn visit(&self, _: &mut dyn Visitor) {}

    fn visit_mut(&mut self, _: &mut dyn VisitorMut) {}
}

impl WarpExpr for FromFn {
    fn output_dim(&self, _: usize) -> Result<usize> {
        Ok(self.outputs)
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({kernel})", self.name)
    }
}

impl<T: Scalar> Warp<T> for FromFn {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        let mut made = Mat::zeros(points.len(), self.outputs);
        let (mut x, mut out) = (vec![T::from_f64(0.0); points.dim()], vec![T::from_f64(0.0); self.outputs]);
        for row in 0..points.len() {
            x.iter_mut().enumerate().for_each(|(dim, number)| *number = points.column(dim)[row]);
            self.point(&x, &mut out);
            out.iter().enumerate().for_each(|(output, &number)| made[(row, output)] = number);
        }
        Points::made(made).with_gradient(points.needs_gradient())
    }

    fn point(&self, x: &[T], out: &mut [T]) {
        with_buffer(x.len() + out.len(), Variable::from_f64(0.0), |numbers| {
            let (in_x, in_out) = numbers.split_at_mut(x.len());
            in_x.iter_mut().zip(x).for_each(|(number, x)| *number = Dual::constant(x.as_f64()));
            (self.map)(in_x, in_out);
            out.iter_mut().zip(in_out).for_each(|(out, value)| *out = T::from_f64(value.value));
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
        let map = |_: &[Variable], x: &[Variable], out: &mut [Variable]| (self.map)(x, out);
        let cotangent = |row: usize, output: usize| in_made[(row, output)].as_f64();
        vjp_by_points(self, map, points, made.dim(), cotangent, theta, gradients.at_mut(points));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{GradientRequest, cross_vjp};
    use crate::prelude::*;
    use crate::warp::Function;

    /// (x₀ x₁, x₀²)
    #[derive(Clone, Debug)]
    struct Pair;
    crate::parameterized!(Pair as "pair", parameters: []);

    impl Function for Pair {
        fn output_dim(&self, _: usize) -> Result<usize> {
            Ok(2)
        }

        fn apply<R: Real>(&self, _: &[R], x: &[R], out: &mut [R]) {
            out[0] = x[0] * x[1];
            out[1] = x[0] * x[0];
        }
    }

    fn closure() -> FromFn {
        from_fn("pair", 2, |x, out| {
            out[0] = x[0] * x[1];
            out[1] = x[0] * x[0];
        })
    }

    #[test]
    fn is_the_function_of_the_same_formula() {
        let (own, function) = (Rbf::new(3.0).warp(closure()), Rbf::new(3.0).warp(Pair));
        let (x, z) = (mat![[2.0, 5.0], [0.3, 0.1]], mat![[1.0, 7.0]]);
        assert_eq!(own.cross(&x, &z).unwrap(), function.cross(&x, &z).unwrap());
        assert_eq!(own.eval(&[2.0, 5.0], &[1.0, 7.0]).unwrap(), function.eval(&[2.0, 5.0], &[1.0, 7.0]).unwrap());
        let w = mat![[1.0], [-2.0]];
        let of = |kernel: &dyn Kernel<f64>| {
            cross_vjp(kernel, x.as_ref(), z.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap()
        };
        let (a, b) = (of(&own), of(&function));
        assert_eq!((a.theta, a.x, a.z), (b.theta, b.x, b.z));
    }

    #[test]
    fn works_in_single_precision() {
        let kernel = Linear::new(1.0).warp(closure());
        assert_eq!(kernel.eval(&[2.0f32, 5.0], &[1.0, 7.0]).unwrap(), 74.0);
    }

    #[cfg(feature = "testkit")]
    #[test]
    fn obeys_the_laws_of_gradients() {
        use crate::testkit::{gradients, points};
        let kernel = Matern52::new(0.8).warp(closure()).dynamic();
        let (x, z) = (points::<f64>(6, 2, 1), points::<f64>(4, 2, 2));
        gradients::elementwise(&kernel, x.as_ref(), z.as_ref()).unwrap();
    }
}
