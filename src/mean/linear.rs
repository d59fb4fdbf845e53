//! The linear mean function.

use faer::{MatMut, MatRef};

use super::{Mean, MeanExpr};
use crate::params::{
    Constraint, Parameter, ParameterArray, ParameterMut, ParameterRef, Parameterized, Shape, Visitor, VisitorMut,
};
use crate::{Error, Result, Scalar};

/// The mean function m(x) = wᵀx, or wᵀx + b with an intercept.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `weights[d]` | w_d | that of the outputs over that of input d | any finite number |
/// | `intercept`, if there is one | b | that of the outputs | any finite number |
///
/// # Examples
///
/// ```
/// use mercer::mean::{LinearMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = LinearMean::new([0.5, -2.0]).with_intercept(10.0);
/// let mut out = [0.0; 2];
/// mean.mean_into(mat![[2.0, 1.0], [0.0, 3.0]].as_ref(), &mut out);
/// assert_eq!(out, [9.0, 4.0]);
/// assert_eq!(mean.get("linear.weights[1]")?, -2.0);
/// assert_eq!(mean.get("linear.intercept")?, 10.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LinearMean {
    weights: ParameterArray,
    intercept: Option<Parameter>,
}

crate::mean_ops!(LinearMean);

impl LinearMean {
    /// The function with these weights, one for each dimension, and no intercept.
    ///
    /// # Panics
    ///
    /// If there is no weight, or one that is not finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(weights: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(weights))
    }

    /// The function with these weights, one for each dimension, and no intercept.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there is no weight; [`Error::Parameter`] for one that is not finite.
    pub fn try_new(weights: impl Into<Vec<f64>>) -> Result<Self> {
        let weights = weights.into();
        if weights.is_empty() {
            return Err(Error::Empty { what: "weights".to_owned() });
        }
        let shape = Shape::Vector(weights.len());
        let weights = ParameterArray::new("weights", weights, shape, Constraint::Real)?;
        Ok(Self { weights, intercept: None })
    }

    /// The same function with an intercept.
    ///
    /// # Panics
    ///
    /// If the intercept is not finite; the checked form is
    /// [`try_with_intercept`](Self::try_with_intercept).
    #[track_caller]
    #[must_use]
    pub fn with_intercept(self, intercept: f64) -> Self {
        crate::error::literal(self.try_with_intercept(intercept))
    }

    /// The same function with an intercept.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the intercept is not finite.
    pub fn try_with_intercept(self, intercept: f64) -> Result<Self> {
        let intercept = Some(Parameter::new("intercept", intercept, Constraint::Real)?);
        Ok(Self { intercept, ..self })
    }

    /// The weights w.
    pub fn weights(&self) -> &[f64] {
        self.weights.values()
    }

    /// The intercept b, if there is one.
    pub fn intercept(&self) -> Option<f64> {
        self.intercept.map(|intercept| intercept.value())
    }
}

impl Parameterized for LinearMean {
    fn name(&self) -> &str {
        "linear"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        let views: [Option<ParameterRef<'_>>; 2] =
            [Some(self.weights.view("weights")), self.intercept.as_ref().map(|b| b.view("intercept"))];
        views.into_iter().flatten().for_each(|view| visitor.parameter(view));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        let views: [Option<ParameterMut<'_>>; 2] =
            [Some(self.weights.view_mut("weights")), self.intercept.as_mut().map(|b| b.view_mut("intercept"))];
        views.into_iter().flatten().for_each(|view| visitor.parameter(view));
    }
}

impl MeanExpr for LinearMean {
    fn check_dim(&self, dim: usize) -> Result<()> {
        let expected = self.weights().len();
        if dim == expected {
            return Ok(());
        }
        let needs = format!("has a weight for each of {expected} dimension(s)");
        Err(Error::Dimension { kernel: "linear".to_owned(), needs, found: dim })
    }
}

impl<T: Scalar> Mean<T> for LinearMean {
    fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(self.intercept().unwrap_or(0.0)));
        for (dim, &weight) in self.weights().iter().enumerate() {
            let weight = T::from_f64(weight);
            for (row, out) in out.iter_mut().enumerate() {
                *out += weight * x[(row, dim)];
            }
        }
    }

    fn vjp(&self, x: MatRef<'_, T>, cotangent: &[T], theta: &mut [f64]) {
        let (weights, intercept) = theta.split_at_mut(self.weights().len());
        for (dim, slot) in weights.iter_mut().enumerate() {
            *slot += cotangent.iter().enumerate().map(|(row, &c)| c.as_f64() * x[(row, dim)].as_f64()).sum::<f64>();
        }
        if let Some(slot) = intercept.first_mut() {
            *slot += cotangent.iter().map(|&c| c.as_f64()).sum::<f64>();
        }
    }

    fn points_vjp(&self, _: MatRef<'_, T>, cotangent: &[T], mut gradient: MatMut<'_, T>) {
        for (dim, &weight) in self.weights().iter().enumerate() {
            let weight = T::from_f64(weight);
            for (row, &c) in cotangent.iter().enumerate() {
                gradient[(row, dim)] += weight * c;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::params::ParameterizedExt;

    #[test]
    fn dimensions_are_checked() {
        let mean = LinearMean::new([1.0, 2.0]);
        assert!(mean.check_dim(2).is_ok());
        assert!(matches!(mean.check_dim(3), Err(Error::Dimension { found: 3, .. })));
        assert!(matches!(LinearMean::try_new([]), Err(Error::Empty { .. })));
        assert!(matches!(LinearMean::try_new([1.0, f64::NAN]), Err(Error::Parameter { .. })));
    }

    #[test]
    fn parameters_are_weights_then_intercept() {
        let mut mean = LinearMean::new([1.0, 2.0]).with_intercept(3.0);
        assert_eq!(mean.values(), [1.0, 2.0, 3.0]);
        mean.set_values(&[4.0, 5.0, 6.0]).unwrap();
        assert_eq!((mean.weights(), mean.intercept()), ([4.0, 5.0].as_slice(), Some(6.0)));
        assert_eq!(LinearMean::new([1.0]).num_params(), 1);
    }
}
