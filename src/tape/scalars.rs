//! A matrix with a 1 × 1 variable.

use faer::Accum;

use super::{Tape, Var, check_scalar, check_square, columns};
use crate::{Result, Scalar};

impl<'a, T: Scalar> Tape<'a, T> {
    /// C = s A, for a 1 × 1 s. Reverse: Ā += s C̄, s̄ += Σ C̄ ∘ A.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if s is not 1 × 1;
    /// [`Error::Setting`](crate::Error::Setting) for a variable of another tape.
    pub fn scale_by(&self, a: Var, s: Var) -> Result<Var> {
        let (operand, factor) = (self.value(a)?, self.value(s)?);
        check_scalar("the second operand of `scale_by`", factor.as_mat())?;
        let factor = factor.as_mat()[(0, 0)];
        let mut value = self.take(operand.as_mat().nrows(), operand.as_mat().ncols());
        columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| factor * a);
        Ok(self.record(value, &[a, s], move |mut c, pull| {
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
    }

    /// C = A + s, for a 1 × 1 s added to every element. Reverse: Ā += C̄, s̄ += Σ C̄.
    ///
    /// # Errors
    ///
    /// As [`scale_by`](Self::scale_by).
    pub fn add_scalar(&self, a: Var, s: Var) -> Result<Var> {
        let (operand, amount) = (self.value(a)?, self.value(s)?);
        check_scalar("the second operand of `add_scalar`", amount.as_mat())?;
        let amount = amount.as_mat()[(0, 0)];
        let mut value = self.take(operand.as_mat().nrows(), operand.as_mat().ncols());
        columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| a + amount);
        Ok(self.record(value, &[a, s], move |c, pull| {
            pull.give_scalar(s, columns::total(c.as_ref()));
            pull.give(a, c);
            Ok(())
        }))
    }

    /// C = A + s I, for a square A and a 1 × 1 s. Reverse: Ā += C̄, s̄ += tr C̄.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if A is not square or s is not 1 × 1;
    /// [`Error::Setting`](crate::Error::Setting) for a variable of another tape.
    pub fn add_to_diagonal(&self, a: Var, s: Var) -> Result<Var> {
        let (operand, amount) = (self.value(a)?, self.value(s)?);
        check_square("the first operand of `add_to_diagonal`", operand.as_mat())?;
        check_scalar("the second operand of `add_to_diagonal`", amount.as_mat())?;
        let amount = amount.as_mat()[(0, 0)];
        let mut value = self.copy(operand.as_mat());
        for i in 0..value.nrows() {
            value[(i, i)] += amount;
        }
        Ok(self.record(value, &[a, s], move |c, pull| {
            pull.give_scalar(s, (0..c.nrows()).map(|i| c[(i, i)].as_f64()).sum());
            pull.give(a, c);
            Ok(())
        }))
    }
}
