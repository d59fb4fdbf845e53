//! Products of matrices and the transpose.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatRef};

use super::recorder::Recorder;
use super::rounding::Slip;
use super::{Var, check_rows};
use crate::linalg::transpose_into;
use crate::{Error, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// C = Aᵀ B, without a transpose being made. Reverse: Ā += B C̄ᵀ, B̄ += A C̄.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if A and B differ in their numbers of rows.
    pub fn matmul_tn(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let (left, right) = (tape.value(a), tape.value(b));
            check_rows("the second operand of `matmul_tn`", right.as_mat(), left.as_mat().nrows())?;
            let value = tape.product(left.as_mat().transpose(), right.as_mat());
            let result = tape.record(value, &[a, b], move |c, pull| {
                let (left, right, par, one) = (pull.value(a), pull.value(b), pull.par, T::from_f64(1.0));
                pull.add(a, |out, accum| matmul(out, accum, right, c.transpose(), one, par));
                pull.add(b, |out, accum| matmul(out, accum, left, c.as_ref(), one, par));
                pull.recycle(c);
                Ok(())
            });
            if right.as_mat().ncols() == 1 {
                tape.core().slips_at(result, || Slip::Product { a, b });
            }
            Ok(result)
        })
    }

    /// C = A Bᵀ, without a transpose being made. Reverse: Ā += C̄ B, B̄ += C̄ᵀ A.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if A and B differ in their numbers of columns.
    pub fn matmul_nt(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let (left, right) = (tape.value(a), tape.value(b));
            if left.as_mat().ncols() != right.as_mat().ncols() {
                let expected = format!("{} column(s)", left.as_mat().ncols());
                return Err(Error::shape("the second operand of `matmul_nt`", expected, super::shape(right.as_mat())));
            }
            let value = tape.product(left.as_mat(), right.as_mat().transpose());
            Ok(tape.record(value, &[a, b], move |c, pull| {
                let (left, right, par, one) = (pull.value(a), pull.value(b), pull.par, T::from_f64(1.0));
                pull.add(a, |out, accum| matmul(out, accum, c.as_ref(), right, one, par));
                pull.add(b, |out, accum| matmul(out, accum, c.transpose(), left, one, par));
                pull.recycle(c);
                Ok(())
            }))
        })
    }

    /// Aᵀ.
    pub fn transpose(self) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            let mut value = tape.take(operand.as_mat().ncols(), operand.as_mat().nrows());
            transpose_into(value.as_mut(), operand.as_mat());
            Ok(tape.record(value, &[a], move |c, pull| {
                let mut amount = pull.take(c.ncols(), c.nrows());
                transpose_into(amount.as_mut(), c.as_ref());
                pull.recycle(c);
                pull.give(a, amount);
                Ok(())
            }))
        })
    }
}

impl<T: Scalar> dyn Recorder<T> + '_ {
    pub(super) fn product(&self, left: MatRef<'_, T>, right: MatRef<'_, T>) -> faer::Mat<T> {
        let mut value = self.take(left.nrows(), right.ncols());
        matmul(value.as_mut(), Accum::Replace, left, right, T::from_f64(1.0), self.par());
        value
    }
}
