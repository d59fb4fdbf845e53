//! Variables.

use std::fmt;

use faer::MatRef;

use super::recorder::Recorder;
use crate::{Result, Scalar};

/// A matrix on a [`Tape`](super::Tape): an input or the result of a primitive.
#[derive(Clone, Copy)]
pub struct Var<'t, T: Scalar> {
    pub(super) tape: &'t (dyn Recorder<T> + 't),
    pub(super) index: usize,
}

impl<T: Scalar> PartialEq for Var<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        (self.tape.core().id, self.index) == (other.tape.core().id, other.index)
    }
}

impl<T: Scalar> Eq for Var<'_, T> {}

impl<T: Scalar> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Var").field("tape", &self.tape.core().id).field("index", &self.index).finish()
    }
}

impl<T: Scalar> Var<'_, T> {
    /// A itself, whose values pass a check; otherwise the tape [keeps](Var#errors) its error.
    pub(crate) fn checked(self, check: impl FnOnce(MatRef<'_, T>) -> Result<()>) -> Self {
        self.unary(|tape, a| check(tape.value(a).as_mat()).map(|()| a))
    }
}
