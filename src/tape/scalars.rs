//! A matrix with a 1 × 1 variable.

use faer::Accum;

use super::{Var, check_scalar, check_square, columns};
use crate::Scalar;

impl<T: Scalar> Var<'_, T> {
    /// C = s A, for a 1 × 1 s. Reverse: Ā += s C̄, s̄ += Σ C̄ ∘ A.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if s is not 1 × 1.
    pub fn scale_by(self, s: Self) -> Self {
        self.binary(s, |tape, a, s| {
            let (operand, factor) = (tape.value(a), tape.value(s));
            check_scalar("the second operand of `scale_by`", factor.as_mat())?;
            let factor = factor.as_mat()[(0, 0)];
            let mut value = tape.take(operand.as_mat().nrows(), operand.as_mat().ncols());
            columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| factor * a);
            Ok(tape.record(value, &[a, s], move |mut c, pull| {
                if pull.wants(s) {
                    let amount = columns::inner(c.as_ref(), pull.value(a));
                    pull.give_scalar(s, amount);
                }
                if pull.wants(a) {
                    columns::scale(c.as_mut(), factor);
                }
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// C = A + s, for a 1 × 1 s added to every element. Reverse: Ā += C̄, s̄ += Σ C̄.
    ///
    /// # Errors
    ///
    /// As [`scale_by`](Self::scale_by).
    pub fn add_scalar(self, s: Self) -> Self {
        self.binary(s, |tape, a, s| {
            let (operand, amount) = (tape.value(a), tape.value(s));
            check_scalar("the second operand of `add_scalar`", amount.as_mat())?;
            let amount = amount.as_mat()[(0, 0)];
            let mut value = tape.take(operand.as_mat().nrows(), operand.as_mat().ncols());
            columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| a + amount);
            Ok(tape.record(value, &[a, s], move |c, pull| {
                pull.give_scalar(s, columns::total(c.as_ref()));
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// C = A + s I, for a square A and a 1 × 1 s. Reverse: Ā += C̄, s̄ += tr C̄.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if A is not square or s is not 1 × 1.
    pub fn add_to_diagonal(self, s: Self) -> Self {
        self.binary(s, |tape, a, s| {
            let (operand, amount) = (tape.value(a), tape.value(s));
            check_square("the first operand of `add_to_diagonal`", operand.as_mat())?;
            check_scalar("the second operand of `add_to_diagonal`", amount.as_mat())?;
            let amount = amount.as_mat()[(0, 0)];
            let mut value = tape.core().copy(operand.as_mat());
            for i in 0..value.nrows() {
                value[(i, i)] += amount;
            }
            Ok(tape.record(value, &[a, s], move |c, pull| {
                pull.give_scalar(s, (0..c.nrows()).map(|i| c[(i, i)].as_f64()).sum());
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// C = A + c I, for a square A and a number c.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if A is not square.
    pub fn add_identity(self, factor: f64) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            check_square("the operand of `add_identity`", operand.as_mat())?;
            let mut value = tape.core().copy(operand.as_mat());
            for i in 0..value.nrows() {
                value[(i, i)] += T::from_f64(factor);
            }
            Ok(tape.record(value, &[a], move |c, pull| {
                pull.give(a, c);
                Ok(())
            }))
        })
    }
}
