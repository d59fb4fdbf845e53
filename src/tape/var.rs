//! Variables.

use std::fmt;

use faer::MatRef;

use super::recorder::Recorder;
use crate::{Result, Scalar};

/// A matrix on a [`Tape`](super::Tape): an input or the result of a primitive.
///
/// It is a handle of its tape, copied at no cost. Operators are the sum, the difference and the product of matrices, and
/// those with numbers; the product of elements is [`hadamard`](Self::hadamard), that with a 1 × 1 variable
/// [`scale_by`](Self::scale_by). In what is said of a method, A is the variable itself, or L where it is triangular.
///
/// # Errors
///
/// An operator cannot return an error, and a formula is read more easily without. Where operands do not fit, or one is of
/// another tape, which is an [`Error::Setting`](crate::Error::Setting), the tape of the first operand keeps the error, if it
/// is its first, and the result stands for nothing. From then on the tape records nothing, and its
/// [`value`](super::Tape::value), [`scalar`](super::Tape::scalar), [`backward`](super::Tape::backward) and all else that
/// returns a `Result` return that error: none is lost, and none is to be looked for within a formula.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::tape::Tape;
///
/// // ½ xᵀAx − bᵀx, whose gradient for a symmetric A is Ax − b.
/// let tape = Tape::new(Par::Seq);
/// let (a, b) = (tape.constant_owned(mat![[2.0, 1.0], [1.0, 3.0]]), tape.constant_owned(mat![[1.0], [2.0]]));
/// let x = tape.parameter(mat![[1.0], [1.0]]);
/// let loss = 0.5 * x.matmul_tn(a * x) - b.matmul_tn(x);
/// assert_eq!(tape.scalar(loss)?, 0.5);
/// assert_eq!(tape.backward(loss)?.get(x).unwrap(), mat![[2.0], [2.0]]);
///
/// // The first error of a formula, when its value is asked for.
/// let wrong = (x * a + b).ln();
/// let error = tape.value(wrong).unwrap_err();
/// assert!(error.to_string().contains("the second operand of `matmul`"));
/// # Ok::<(), mercer::Error>(())
/// ```
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
