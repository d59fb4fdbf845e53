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
        self.parameter(faer::mat![[T::from_f64(value)]])
    }

    /// A 1 × 1 constant.
    pub fn scalar_constant(&self, value: f64) -> Var<'_, T> {
        self.constant_owned(faer::mat![[T::from_f64(value)]])
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
