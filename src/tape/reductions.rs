//! Sums, and the diagonal.

use faer::prelude::ReborrowMut;
use faer::{Accum, Mat};

use super::recorder::Recorder;
use super::{Pullback, Var, check_same, check_square, columns};
use crate::linalg::{column, column_mut};
use crate::{Error, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// Σ A: 1 × 1.
    pub fn sum(self) -> Self {
        self.unary(|tape, a| {
            let value = tape.one_by_one(columns::total(tape.value(a).as_mat()));
            Ok(tape.record(value, &[a], move |c, pull| {
                let (operand, c) = (pull.value(a), take_scalar(c, pull));
                pull.add(a, |out, accum| columns::map_into(out, accum, operand, |_| c));
                Ok(())
            }))
        })
    }

    /// Σ A ∘ A, the squared Frobenius norm: 1 × 1. Reverse: Ā += 2 c̄ A.
    pub fn sum_of_squares(self) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            let value = tape.one_by_one(columns::inner(operand.as_mat(), operand.as_mat()));
            Ok(tape.record(value, &[a], move |c, pull| {
                let (operand, c) = (pull.value(a), take_scalar(c, pull));
                let twice = c + c;
                pull.add(a, |out, accum| columns::map_into(out, accum, operand, |a| twice * a));
                Ok(())
            }))
        })
    }

    /// Σ A ∘ B = tr(Aᵀ B), for matrices of the same shape: 1 × 1. Reverse: Ā += c̄ B, B̄ += c̄ A.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if the shapes differ.
    pub fn inner(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let (left, right) = (tape.value(a), tape.value(b));
            check_same("the second operand of `inner`", left.as_mat(), right.as_mat())?;
            let value = tape.one_by_one(columns::inner(left.as_mat(), right.as_mat()));
            Ok(tape.record(value, &[a, b], move |c, pull| {
                let (left, right, c) = (pull.value(a), pull.value(b), take_scalar(c, pull));
                pull.add(a, |out, accum| columns::map_into(out, accum, right, |b| c * b));
                pull.add(b, |out, accum| columns::map_into(out, accum, left, |a| c * a));
                Ok(())
            }))
        })
    }

    /// cⱼ = Σᵢ Aᵢⱼ²: n × 1 for A of m × n. Of L⁻¹K these are the variances explained. Reverse:
    /// Āᵢⱼ += 2 c̄ⱼ Aᵢⱼ.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(tape.value(a.column_sums_of_squares())?.as_mat(), mat![[10.0], [20.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn column_sums_of_squares(self) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            let operand = operand.as_mat();
            let mut value = tape.take(operand.ncols(), 1);
            for (col, sum) in column_mut(value.as_mut(), 0).iter_mut().enumerate() {
                let column = column(operand, col);
                *sum = crate::simd::dot(column, column);
            }
            Ok(tape.record(value, &[a], move |c, pull| {
                let operand = pull.value(a);
                pull.add(a, |mut out, accum| {
                    for (col, &c) in column(c.as_ref(), 0).iter().enumerate() {
                        let (out, twice) = (out.rb_mut().subcols_mut(col, 1), c + c);
                        columns::map_into(out, accum, operand.subcols(col, 1), |a| twice * a);
                    }
                });
                pull.recycle(c);
                Ok(())
            }))
        })
    }

    /// The diagonal of a square matrix: n × 1.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if it is not square.
    pub fn diagonal(self) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            check_square("the operand of `diagonal`", operand.as_mat())?;
            let mut value = tape.take(operand.as_mat().nrows(), 1);
            for i in 0..value.nrows() {
                value[(i, 0)] = operand.as_mat()[(i, i)];
            }
            Ok(tape.record(value, &[a], move |c, pull| {
                pull.add(a, |mut out, accum| {
                    if accum == Accum::Replace {
                        out.fill(T::from_f64(0.0));
                    }
                    for (i, &c) in column(c.as_ref(), 0).iter().enumerate() {
                        out[(i, i)] += c;
                    }
                });
                pull.recycle(c);
                Ok(())
            }))
        })
    }

    /// tr A, of a square matrix: 1 × 1.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if it is not square.
    pub fn trace(self) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            check_square("the operand of `trace`", operand.as_mat())?;
            let n = operand.as_mat().nrows();
            let value = tape.one_by_one((0..n).map(|i| operand.as_mat()[(i, i)].as_f64()).sum());
            Ok(tape.record(value, &[a], move |c, pull| {
                let c = take_scalar(c, pull);
                pull.add(a, |mut out, accum| {
                    if accum == Accum::Replace {
                        out.fill(T::from_f64(0.0));
                    }
                    for i in 0..n {
                        out[(i, i)] += c;
                    }
                });
                Ok(())
            }))
        })
    }

    /// Σᵢ ln |Lᵢᵢ| = ½ ln det(LLᵀ), for a square matrix of which the diagonal is read: 1 × 1.
    /// Reverse: L̄ᵢᵢ += c̄ / Lᵢᵢ.
    ///
    /// The sign of an element does not matter, because it does not to LLᵀ: a factor whose diagonal
    /// is free may cross into negative numbers under an optimiser.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::NotPositiveDefinite`] for an element of the diagonal that is zero or not
    /// finite, and an [`Error::Shape`] if L is not square.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let l = tape.parameter(mat![[2.0, 0.0], [7.0, -4.0]]);
    /// let half_log_det = l.log_diagonal_sum();
    /// assert!((tape.scalar(half_log_det)? - 8.0f64.ln()).abs() < 1e-15);
    /// let gradients = tape.backward(half_log_det)?;
    /// assert_eq!(gradients.get(l).unwrap(), mat![[0.5, 0.0], [0.0, -0.25]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn log_diagonal_sum(self) -> Self {
        self.unary(|tape, l| {
            let operand = tape.value(l);
            check_square("the operand of `log_diagonal_sum`", operand.as_mat())?;
            let n = operand.as_mat().nrows();
            let diagonal = || (0..n).map(|i| operand.as_mat()[(i, i)].as_f64());
            if let Some(pivot) = diagonal().position(|entry| entry == 0.0 || !entry.is_finite()) {
                let mean_diagonal = diagonal().sum::<f64>() / n as f64;
                return Err(Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal });
            }
            let value = tape.one_by_one(diagonal().map(|entry| entry.abs().ln()).sum());
            Ok(tape.record(value, &[l], move |c, pull| {
                let (operand, c) = (pull.value(l), take_scalar(c, pull));
                pull.add(l, |mut out, accum| {
                    if accum == Accum::Replace {
                        out.fill(T::from_f64(0.0));
                    }
                    for i in 0..n {
                        out[(i, i)] += c / operand[(i, i)];
                    }
                });
                Ok(())
            }))
        })
    }
}

impl<T: Scalar> dyn Recorder<T> + '_ {
    fn one_by_one(&self, value: f64) -> Mat<T> {
        let mut matrix = self.take(1, 1);
        matrix[(0, 0)] = T::from_f64(value);
        matrix
    }
}

/// The element of a 1 × 1 cotangent, whose matrix is given back.
fn take_scalar<T: Scalar>(c: Mat<T>, pull: &Pullback<'_, T>) -> T {
    let value = c[(0, 0)];
    pull.recycle(c);
    value
}
