//! Sums, differences and products as operators.

use std::ops::{Add, Mul, Neg, Sub};

use faer::Accum;
use faer::linalg::matmul::matmul;

use super::{Var, check_rows, columns};
use crate::Scalar;

/// A + B, of the same shape.
///
/// # Errors
///
/// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if the shapes differ.
impl<T: Scalar> Add for Var<'_, T> {
    type Output = Self;

    fn add(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let value = tape.zip("the second operand of `add`", a, b, |a, b| a + b)?;
            Ok(tape.record(value, &[a, b], move |c, pull| {
                pull.give_ref(a, c.as_ref());
                pull.give(b, c);
                Ok(())
            }))
        })
    }
}

/// A + c, for a number c added to every element.
impl<T: Scalar> Add<f64> for Var<'_, T> {
    type Output = Self;

    fn add(self, amount: f64) -> Self {
        self.unary(|tape, a| {
            let (amount, operand) = (T::from_f64(amount), tape.value(a));
            let mut value = tape.take(operand.as_mat().nrows(), operand.as_mat().ncols());
            columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| a + amount);
            Ok(tape.record(value, &[a], move |c, pull| {
                pull.give(a, c);
                Ok(())
            }))
        })
    }
}

/// A − B, of the same shape.
///
/// # Errors
///
/// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if the shapes differ.
impl<T: Scalar> Sub for Var<'_, T> {
    type Output = Self;

    fn sub(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let value = tape.zip("the second operand of `sub`", a, b, |a, b| a - b)?;
            Ok(tape.record(value, &[a, b], move |c, pull| {
                pull.add(b, |out, accum| columns::map_into(out, accum, c.as_ref(), |c| -c));
                pull.give(a, c);
                Ok(())
            }))
        })
    }
}

/// −A.
impl<T: Scalar> Neg for Var<'_, T> {
    type Output = Self;

    fn neg(self) -> Self {
        -1.0 * self
    }
}

/// C = A B, the product of matrices. Reverse: Ā += C̄ Bᵀ, B̄ += Aᵀ C̄.
///
/// # Errors
///
/// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if B does not have a row for each column of A.
impl<T: Scalar> Mul for Var<'_, T> {
    type Output = Self;

    fn mul(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let (left, right) = (tape.value(a), tape.value(b));
            check_rows("the second operand of `matmul`", right.as_mat(), left.as_mat().ncols())?;
            let value = tape.product(left.as_mat(), right.as_mat());
            Ok(tape.record(value, &[a, b], move |c, pull| {
                let (left, right, par, one) = (pull.value(a), pull.value(b), pull.par, T::from_f64(1.0));
                pull.add(a, |out, accum| matmul(out, accum, c.as_ref(), right.transpose(), one, par));
                pull.add(b, |out, accum| matmul(out, accum, left.transpose(), c.as_ref(), one, par));
                pull.recycle(c);
                Ok(())
            }))
        })
    }
}

/// c A, for a number c.
impl<T: Scalar> Mul<f64> for Var<'_, T> {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        self.unary(|tape, a| {
            let (factor, operand) = (T::from_f64(factor), tape.value(a));
            let mut value = tape.take(operand.as_mat().nrows(), operand.as_mat().ncols());
            columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| factor * a);
            Ok(tape.record(value, &[a], move |mut c, pull| {
                columns::scale(c.as_mut(), factor);
                pull.give(a, c);
                Ok(())
            }))
        })
    }
}

/// c A, for a number c.
impl<'t, T: Scalar> Mul<Var<'t, T>> for f64 {
    type Output = Var<'t, T>;

    fn mul(self, a: Var<'t, T>) -> Var<'t, T> {
        a * self
    }
}
