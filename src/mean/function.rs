//! A mean function from a closure.

use std::fmt::{self, Debug};
use std::sync::Arc;

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::params::{Constraint, Parameter, Parameterized, Visitor, VisitorMut};
use crate::{Error, Result, Scalar};

type Value = dyn Fn(&[f64], &[f64]) -> f64 + Send + Sync;
type Gradient = dyn Fn(&[f64], &[f64], &mut [f64], &mut [f64]) + Send + Sync;

/// A mean function that closures compute: m(x) = f(θ, x), with its gradient.
///
/// The closures work in `f64` at either precision of the data, a point at a time. A function that is
/// faster on whole matrices, or has children, implements [`Mean`] instead.
///
/// # Examples
///
/// ```
/// use mercer::mean::{FunctionMean, Mean};
/// use mercer::params::Constraint;
/// use mercer::prelude::*;
///
/// // m(x) = exp(−r x)
/// let decay = FunctionMean::new(
///     "decay",
///     |theta, x| (-theta[0] * x[0]).exp(),
///     |theta, x, in_theta, in_x| {
///         let value = (-theta[0] * x[0]).exp();
///         in_theta[0] = -x[0] * value;
///         in_x[0] = -theta[0] * value;
///     },
/// );
/// let mean = 2.0 * decay.with_parameter("rate", 0.5, Constraint::Positive)? + 1.0;
///
/// let mut out = [0.0];
/// mean.mean_into(mat![[2.0]].as_ref(), &mut out);
/// assert_eq!(out, [2.0 * (-1.0f64).exp() + 1.0]);
/// assert_eq!(mean.get("sum[0].product[1].decay.rate")?, 0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone)]
pub struct FunctionMean {
    name: String,
    parameters: Vec<(String, Parameter)>,
    dim: Option<usize>,
    value: Arc<Value>,
    gradient: Arc<Gradient>,
}

crate::mean_ops!(FunctionMean);

impl FunctionMean {
    /// The function under a name for paths, without parameters as yet.
    ///
    /// `value` takes θ and x. `gradient` takes them too, and writes ∂f/∂θ and ∂f/∂x into two slices of
    /// the same lengths that hold zeros.
    pub fn new(
        name: &str,
        value: impl Fn(&[f64], &[f64]) -> f64 + Send + Sync + 'static,
        gradient: impl Fn(&[f64], &[f64], &mut [f64], &mut [f64]) + Send + Sync + 'static,
    ) -> Self {
        let (value, gradient) = (Arc::new(value), Arc::new(gradient));
        Self { name: name.to_owned(), parameters: Vec::new(), dim: None, value, gradient }
    }

    /// The same function with one more parameter, the next element of θ.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the constraint refuses the value; [`Error::Setting`] if there is a
    /// parameter of this name.
    pub fn with_parameter(mut self, name: &str, value: f64, constraint: Constraint) -> Result<Self> {
        if self.parameters.iter().any(|(known, _)| known == name) {
            let what = format!("the name of a parameter of `{}`", self.name);
            return Err(Error::setting(&what, name, "is taken already"));
        }
        self.parameters.push((name.to_owned(), Parameter::new(name, value, constraint)?));
        Ok(self)
    }

    /// The same function, for points of this dimension alone.
    #[must_use]
    pub fn in_dimensions(self, dim: usize) -> Self {
        Self { dim: Some(dim), ..self }
    }

    fn theta(&self) -> Vec<f64> {
        self.parameters.iter().map(|(_, parameter)| parameter.value()).collect()
    }

    /// Calls `act` with the row and the derivatives in θ and x of each point.
    fn each_gradient<T: Scalar>(&self, x: MatRef<'_, T>, mut act: impl FnMut(usize, &[f64], &[f64])) {
        let theta = self.theta();
        let (mut in_theta, mut in_point) = (vec![0.0; theta.len()], vec![0.0; x.ncols()]);
        each_point(x, |row, point| {
            in_theta.fill(0.0);
            in_point.fill(0.0);
            (self.gradient)(&theta, point, &mut in_theta, &mut in_point);
            act(row, &in_theta, &in_point);
        });
    }
}

fn each_point<T: Scalar>(x: MatRef<'_, T>, mut act: impl FnMut(usize, &[f64])) {
    let mut point = vec![0.0; x.ncols()];
    for row in 0..x.nrows() {
        point.iter_mut().enumerate().for_each(|(dim, coordinate)| *coordinate = x[(row, dim)].as_f64());
        act(row, &point);
    }
}

impl Debug for FunctionMean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionMean")
            .field("name", &self.name)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

impl Parameterized for FunctionMean {
    fn name(&self) -> &str {
        &self.name
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.parameters.iter().for_each(|(name, parameter)| visitor.parameter(parameter.view(name)));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.parameters.iter_mut().for_each(|(name, parameter)| visitor.parameter(parameter.view_mut(name)));
    }
}

impl MeanExpr for FunctionMean {
    fn check_dim(&self, dim: usize) -> Result<()> {
        match self.dim {
            Some(expected) if expected != dim => {
                let needs = format!("is a function of points with {expected} dimension(s)");
                Err(Error::Dimension { kernel: self.name.clone(), needs, found: dim })
            }
            _ => Ok(()),
        }
    }
}

impl<T: Scalar> Mean<T> for FunctionMean {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        let theta = self.theta();
        each_point(x, |row, point| out[row] = T::from_f64((self.value)(&theta, point)));
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        self.each_gradient(x, |row, in_theta, _| {
            let c = cotangent[row].as_f64();
            theta.iter_mut().zip(in_theta).for_each(|(theta, slope)| *theta += c * slope);
        });
    }

    fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], mut gradient: MatMut<'_, T>) {
        self.each_gradient(x, |row, _, in_point| {
            for (dim, slope) in in_point.iter().enumerate() {
                gradient[(row, dim)] += T::from_f64(cotangent[row].as_f64() * slope);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dimensions_are_checked() {
        let mean = FunctionMean::new("f", |theta, _| theta[0], |_, _, in_theta, _| in_theta[0] = 1.0);
        let mean = mean.with_parameter("a", 0.5, Constraint::Real).unwrap().in_dimensions(2);
        assert!(mean.check_dim(2).is_ok() && mean.check_dim(1).is_err());
        assert!(mean.with_parameter("a", 1.0, Constraint::Real).is_err());
    }
}
