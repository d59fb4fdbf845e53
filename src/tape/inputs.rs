//! What a formula starts from: data and parameters.

use faer::{Mat, MatRef};

use super::{Tape, Value, Var};
use crate::Scalar;

impl<'a, T: Scalar> Tape<'a, T> {
    /// Data: borrowed, without a gradient. It is copied only if its columns are not contiguous.
    pub fn constant(&self, value: MatRef<'a, T>) -> Var<'_, T> {
        self.input(self.borrow(value), false)
    }

    /// Data that the tape takes over, without a gradient.
    pub fn constant_owned(&self, value: Mat<T>) -> Var<'_, T> {
        self.input(Value::owned(value), false)
    }

    /// A parameter: gets a gradient.
    pub fn parameter(&self, value: Mat<T>) -> Var<'_, T> {
        self.input(Value::owned(value), true)
    }

    /// A borrowed parameter. It is copied only if its columns are not contiguous.
    pub fn parameter_ref(&self, value: MatRef<'a, T>) -> Var<'_, T> {
        self.input(self.borrow(value), true)
    }

    /// A 1 × 1 parameter.
    pub fn scalar_parameter(&self, value: f64) -> Var<'_, T> {
        self.parameter_values(&[value])
    }

    /// A 1 × 1 constant.
    pub fn scalar_constant(&self, value: f64) -> Var<'_, T> {
        let mut scalar = self.core.take(1, 1);
        scalar[(0, 0)] = T::from_f64(value);
        self.constant_owned(scalar)
    }

    /// A column of parameters, at the precision of the tape.
    pub(crate) fn parameter_values(&self, values: &[f64]) -> Var<'_, T> {
        self.parameter(self.cast(MatRef::from_column_major_slice(values, values.len(), 1)))
    }

    /// Parameters, at the precision of the tape.
    pub(crate) fn parameter_cast(&self, values: MatRef<'_, f64>) -> Var<'_, T> {
        self.parameter(self.cast(values))
    }

    /// A constant of so many rows and columns of zeros.
    pub(crate) fn zeros(&self, nrows: usize, ncols: usize) -> Var<'_, T> {
        let mut zeros = self.core.take(nrows, ncols);
        zeros.fill(T::from_f64(0.0));
        self.constant_owned(zeros)
    }

    fn cast(&self, values: MatRef<'_, f64>) -> Mat<T> {
        let mut cast = self.core.take(values.nrows(), values.ncols());
        for (out, values) in cast.col_iter_mut().zip(values.col_iter()) {
            out.iter_mut().zip(values.iter()).for_each(|(out, &value)| *out = T::from_f64(value));
        }
        cast
    }

    fn borrow(&self, value: MatRef<'a, T>) -> Value<'a, T> {
        if value.row_stride() == 1 {
            return Value::borrowed(value);
        }
        let mut copy = self.core.take(value.nrows(), value.ncols());
        copy.copy_from(value);
        Value::owned(copy)
    }
}
