//! One layer of a network.

use std::fmt;

use faer::{Mat, MatRef};

use super::dense::Weights;
use super::linear_map::matrix_parameter;
use crate::kernel::{Argument, FromArgument, List, Rows};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::{Result, Scalar};

/// A layer of an [`Mlp`](super::Mlp): u = W x + b.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::warp::Layer;
///
/// let layer = Layer::new(mat![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0.5, 0.0, -0.5]);
/// assert_eq!((layer.inputs(), layer.outputs()), (2, 3));
/// assert_eq!(layer.get("layer.weights[2, 1]")?, 6.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    weights: ParameterArray,
    bias: ParameterArray,
}

crate::parameterized!(Layer as "layer", parameters: [weights, bias]);

impl Layer {
    /// A layer from its weights, a row for each output, and its biases, one for each output.
    ///
    /// # Panics
    ///
    /// If the matrix is empty, the number of biases is not that of its rows, or a number is not finite;
    /// the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(weights: Mat<f64>, bias: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(weights, bias))
    }

    /// A layer from its weights, a row for each output, and its biases, one for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) if the matrix is empty; [`Error::Shape`](crate::Error::Shape) if the
    /// number of biases is not that of
    /// its rows; [`Error::Parameter`](crate::Error::Parameter) if a number is not finite.
    pub fn try_new(weights: Mat<f64>, bias: impl Into<Vec<f64>>) -> Result<Self> {
        let bias = ParameterArray::new("bias", bias.into(), Shape::Vector(weights.nrows()), Constraint::Real)?;
        Ok(Self { weights: matrix_parameter("weights", &weights)?, bias })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.weights().cols()
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.values().len()
    }

    /// The number of weights and biases.
    pub(super) fn num_params(&self) -> usize {
        (self.inputs() + 1) * self.outputs()
    }

    fn weights(&self) -> Weights<'_> {
        Weights { values: self.weights.values(), rows: self.outputs() }
    }

    /// u for each point, a row of a matrix.
    pub(super) fn apply<T: Scalar>(&self, points: MatRef<'_, T>) -> Mat<T> {
        let mut made = self.weights().apply(points);
        for (output, &bias) in self.bias.values().iter().enumerate() {
            made.col_as_slice_mut(output).iter_mut().for_each(|made| *made += T::from_f64(bias));
        }
        made
    }

    /// u for one point.
    pub(super) fn apply_point<T: Scalar>(&self, x: &[T], out: &mut [T]) {
        self.weights().apply_point(x, out);
        out.iter_mut().zip(self.bias.values()).for_each(|(out, &bias)| *out += T::from_f64(bias));
    }

    /// Adds to the gradient in the weights and the biases, given that in u.
    pub(super) fn gradient<T: Scalar>(&self, points: MatRef<'_, T>, in_made: &Mat<T>, theta: &mut [f64]) {
        let (in_weights, in_bias) = theta.split_at_mut(self.inputs() * self.outputs());
        self.weights().gradient(points, in_made.as_ref(), in_weights);
        for (output, slot) in in_bias.iter_mut().enumerate() {
            *slot += in_made.col_as_slice(output).iter().map(|g| g.as_f64()).sum::<f64>();
        }
    }

    /// The gradient in the points, given that in u.
    pub(super) fn apply_transposed<T: Scalar>(&self, in_made: &Mat<T>) -> Mat<T> {
        self.weights().apply_transposed(in_made.as_ref())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = Rows { values: self.weights.values(), rows: self.outputs() };
        write!(f, "layer(weights={weights}, bias={})", List(self.bias.values()))
    }
}

impl FromArgument for Layer {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some(("layer", mut arguments)) = argument.call() else { return Ok(None) };
        arguments.check_names(&["weights", "bias"])?;
        let (weights, bias): (Mat<f64>, Vec<f64>) = (arguments.take("weights")?, arguments.take("bias")?);
        arguments.finish()?;
        Self::try_new(weights, bias).map(Some).map_err(|error| argument.error(error.to_string()))
    }

    fn describe() -> String {
        "`layer(weights=…, bias=…)`".to_owned()
    }
}
