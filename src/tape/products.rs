//! Products of matrices and the transpose.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatRef};

use super::rounding::Slip;
use super::{Tape, Var, check_rows};
use crate::linalg::transpose_into;
use crate::{Error, Result, Scalar};

impl<'a, T: Scalar> Tape<'a, T> {
    /// C = A B. Reverse: Ā += C̄ Bᵀ, B̄ += Aᵀ C̄.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have a row for each column of A; [`Error::Setting`] for a
    /// variable of another tape.
    pub fn matmul(&self, a: Var, b: Var) -> Result<Var> {
        let (left, right) = (self.value(a)?, self.value(b)?);
        check_rows("the second operand of `matmul`", right.as_mat(), left.as_mat().ncols())?;
        let value = self.product(left.as_mat(), right.as_mat());
        Ok(self.record(value, &[a, b], move |c, pull| {
            let (left, right, par, one) = (pull.value(a), pull.value(b), pull.par, T::from_f64(1.0));
            pull.add(a, |out, accum| matmul(out, accum, c.as_ref(), right.transpose(), one, par));
            pull.add(b, |out, accum| matmul(out, accum, left.transpose(), c.as_ref(), one, par));
            pull.recycle(c);
            Ok(())
        }))
    }

    /// C = Aᵀ B. Reverse: Ā += B C̄ᵀ, B̄ += A C̄.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if A and B differ in their numbers of rows; [`Error::Setting`] for a
    /// variable of another tape.
    pub fn matmul_tn(&self, a: Var, b: Var) -> Result<Var> {
        let (left, right) = (self.value(a)?, self.value(b)?);
        check_rows("the second operand of `matmul_tn`", right.as_mat(), left.as_mat().nrows())?;
        let value = self.product(left.as_mat().transpose(), right.as_mat());
        let result = self.record(value, &[a, b], move |c, pull| {
            let (left, right, par, one) = (pull.value(a), pull.value(b), pull.par, T::from_f64(1.0));
            pull.add(a, |out, accum| matmul(out, accum, right, c.transpose(), one, par));
            pull.add(b, |out, accum| matmul(out, accum, left, c.as_ref(), one, par));
            pull.recycle(c);
            Ok(())
        });
        if self.shape(result)?.1 == 1 {
            self.slips_at(result, || Slip::Product { a, b });
        }
        Ok(result)
    }

    /// C = A Bᵀ. Reverse: Ā += C̄ B, B̄ += C̄ᵀ A.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if A and B differ in their numbers of columns; [`Error::Setting`] for a
    /// variable of another tape.
    pub fn matmul_nt(&self, a: Var, b: Var) -> Result<Var> {
        let (left, right) = (self.value(a)?, self.value(b)?);
        if left.as_mat().ncols() != right.as_mat().ncols() {
            let expected = format!("{} column(s)", left.as_mat().ncols());
            return Err(Error::shape("the second operand of `matmul_nt`", expected, super::shape(right.as_mat())));
        }
        let value = self.product(left.as_mat(), right.as_mat().transpose());
        Ok(self.record(value, &[a, b], move |c, pull| {
            let (left, right, par, one) = (pull.value(a), pull.value(b), pull.par, T::from_f64(1.0));
            pull.add(a, |out, accum| matmul(out, accum, c.as_ref(), right, one, par));
            pull.add(b, |out, accum| matmul(out, accum, c.transpose(), left, one, par));
            pull.recycle(c);
            Ok(())
        }))
    }

    /// Aᵀ.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a variable of another tape.
    pub fn transpose(&self, a: Var) -> Result<Var> {
        let operand = self.value(a)?;
        let mut value = self.take(operand.as_mat().ncols(), operand.as_mat().nrows());
        transpose_into(value.as_mut(), operand.as_mat());
        Ok(self.record(value, &[a], move |c, pull| {
            let mut amount = pull.take(c.ncols(), c.nrows());
            transpose_into(amount.as_mut(), c.as_ref());
            pull.recycle(c);
            pull.give(a, amount);
            Ok(())
        }))
    }

    fn product(&self, left: MatRef<'_, T>, right: MatRef<'_, T>) -> faer::Mat<T> {
        let mut value = self.take(left.nrows(), right.ncols());
        matmul(value.as_mut(), Accum::Replace, left, right, T::from_f64(1.0), self.par);
        value
    }
}
