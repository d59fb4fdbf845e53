//! Parts of matrices, and matrices from parts.

use std::ops::Range;

use faer::prelude::ReborrowMut;
use faer::{Accum, MatRef};
use num_traits::Float;

use super::{Var, check_rows, check_square, columns, shape};
use crate::linalg::{clear_strict_upper, column, column_mut};
use crate::{Error, Result, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// A + diag(d), for a square A of n × n and d of n × 1.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if A is not square or d does not fit.
    pub fn add_diagonal(self, d: Self) -> Self {
        self.binary(d, |tape, a, d| {
            let (operand, amount) = (tape.value(a), tape.value(d));
            check_square("the first operand of `add_diagonal`", operand.as_mat())?;
            check_vector("the second operand of `add_diagonal`", amount.as_mat(), operand.as_mat().nrows())?;
            let mut value = tape.core().copy(operand.as_mat());
            for (i, &amount) in column(amount.as_mat(), 0).iter().enumerate() {
                value[(i, i)] += amount;
            }
            Ok(tape.record(value, &[a, d], move |c, pull| {
                pull.add(d, |mut out, accum| {
                    for i in 0..c.nrows() {
                        let before = if accum == Accum::Add { out[(i, 0)] } else { T::from_f64(0.0) };
                        out[(i, 0)] = before + c[(i, i)];
                    }
                });
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// C = diag(d) A: row i of A times dᵢ, for d of m × 1 and A of m × n. Reverse: Ā += diag(d) C̄,
    /// d̄ᵢ += Σⱼ C̄ᵢⱼ Aᵢⱼ.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if d does not fit.
    pub fn scale_rows(self, d: Self) -> Self {
        self.binary(d, |tape, a, d| {
            let (operand, factors) = (tape.value(a), tape.value(d));
            let (operand, factors) = (operand.as_mat(), factors.as_mat());
            check_vector("the second operand of `scale_rows`", factors, operand.nrows())?;
            let mut value = tape.take(operand.nrows(), operand.ncols());
            for col in 0..operand.ncols() {
                let out = value.as_mut().subcols_mut(col, 1);
                columns::zip_into(out, Accum::Replace, operand.subcols(col, 1), factors, |a, d| a * d);
            }
            Ok(tape.record(value, &[a, d], move |mut c, pull| {
                let (operand, factors) = (pull.value(a), pull.value(d));
                pull.add(d, |mut out, accum| {
                    if accum == Accum::Replace {
                        out.fill(T::from_f64(0.0));
                    }
                    for col in 0..c.ncols() {
                        let (c, a) = (c.as_ref().subcols(col, 1), operand.subcols(col, 1));
                        columns::update_by_two(out.rb_mut(), c, a, |sum, c, a| sum + c * a);
                    }
                });
                if pull.wants(a) {
                    for col in 0..c.ncols() {
                        columns::update(c.as_mut().subcols_mut(col, 1), factors, |c, d| c * d);
                    }
                }
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// C = diag(d)^(−½) A: row i of A divided by √dᵢ, for d of m × 1 and A of m × n; a row with dᵢ = 0
    /// becomes zero. Reverse: Ā += diag(d)^(−½) C̄, d̄ᵢ −= ½ Σⱼ C̄ᵢⱼ Cᵢⱼ / dᵢ.
    ///
    /// With features of covariance diag(d), the covariances A of functions with them become those with
    /// whitened features; a feature without variance has none. No power of dᵢ beyond 1 is formed, so
    /// that small entries are as good as large ones.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if d does not fit.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let (a, d) = (tape.parameter(mat![[6.0], [5.0]]), tape.parameter(mat![[4.0], [0.0]]));
    /// let c = a.divide_rows_by_root(d);
    /// assert_eq!(tape.value(c)?.as_mat(), mat![[3.0], [0.0]]);
    /// let gradients = tape.backward(c.sum())?;
    /// assert_eq!(gradients.get(a).unwrap(), mat![[0.5], [0.0]]);
    /// assert_eq!(gradients.get(d).unwrap(), mat![[-0.375], [0.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn divide_rows_by_root(self, d: Self) -> Self {
        self.binary(d, |tape, a, d| {
            let (operand, divisors) = (tape.value(a), tape.value(d));
            let (operand, divisors) = (operand.as_mat(), divisors.as_mat());
            check_vector("the second operand of `divide_rows_by_root`", divisors, operand.nrows())?;
            let inverse = move |divisors: MatRef<'_, T>| {
                let zero = T::from_f64(0.0);
                let inverse = |d: T| if d == zero { zero } else { Float::recip(Float::sqrt(d)) };
                column(divisors, 0).iter().map(|&d| inverse(d)).collect::<Vec<T>>()
            };
            let factors = inverse(divisors);
            let mut value = tape.take(operand.nrows(), operand.ncols());
            for col in 0..operand.ncols() {
                let (out, factors) = (value.as_mut().subcols_mut(col, 1), as_column(&factors));
                columns::zip_into(out, Accum::Replace, operand.subcols(col, 1), factors, |a, f| a * f);
            }
            Ok(tape.record(value, &[a, d], move |mut c, pull| {
                let (divisors, result) = (pull.value(d), pull.result());
                let factors = inverse(divisors);
                let zero = T::from_f64(0.0);
                pull.add(d, |mut out, accum| {
                    let mut sums = vec![zero; factors.len()];
                    for col in 0..c.ncols() {
                        let terms = column(c.as_ref(), col).iter().zip(column(result, col));
                        sums.iter_mut().zip(terms).for_each(|(sum, (&c, &y))| *sum += c * y);
                    }
                    for (row, sum) in sums.into_iter().enumerate() {
                        let before = if accum == Accum::Add { out[(row, 0)] } else { zero };
                        let d = divisors[(row, 0)];
                        out[(row, 0)] = if d == zero { before } else { before - T::from_f64(0.5) * sum / d };
                    }
                });
                for col in 0..c.ncols() {
                    columns::update(c.as_mut().subcols_mut(col, 1), as_column(&factors), |c, f| c * f);
                }
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// The n × n lower triangular matrix with the elements of a vector of n(n + 1)/2 × 1, column
    /// after column: L₀₀, L₁₀, …, L₍ₙ₋₁₎₀, L₁₁, L₂₁, ….
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if the vector does not have n(n + 1)/2 elements.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let packed = tape.parameter(mat![[1.0], [2.0], [3.0]]);
    /// let l = packed.lower_triangle(2);
    /// assert_eq!(tape.value(l)?.as_mat(), mat![[1.0, 0.0], [2.0, 3.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn lower_triangle(self, n: usize) -> Self {
        self.unary(|tape, v| {
            let operand = tape.value(v);
            check_vector("the operand of `lower_triangle`", operand.as_mat(), n * (n + 1) / 2)?;
            let mut value = tape.take(n, n);
            let mut rest = column(operand.as_mat(), 0);
            for col in 0..n {
                let (packed, further) = rest.split_at(n - col);
                column_mut(value.as_mut(), col)[col..].copy_from_slice(packed);
                rest = further;
            }
            clear_strict_upper(value.as_mut());
            Ok(tape.record(value, &[v], move |c, pull| {
                pull.add(v, |out, accum| {
                    let mut rest = column_mut(out, 0);
                    for col in 0..n {
                        let (packed, further) = rest.split_at_mut(n - col);
                        let c = &column(c.as_ref(), col)[col..];
                        match accum {
                            Accum::Replace => packed.copy_from_slice(c),
                            Accum::Add => crate::simd::elementwise::add(packed, c),
                        }
                        rest = further;
                    }
                });
                pull.recycle(c);
                Ok(())
            }))
        })
    }

    /// Rows `start..end` of A.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Rows`] if they lie outside A.
    pub fn rows(self, rows: Range<usize>) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            let operand = operand.as_mat();
            if rows.start > rows.end || rows.end > operand.nrows() {
                return Err(Error::rows("the operand of `rows`", rows, operand.nrows()));
            }
            let value = tape.core().copy(operand.subrows(rows.start, rows.len()));
            Ok(tape.record(value, &[a], move |c, pull| {
                pull.add(a, |mut out, accum| {
                    if accum == Accum::Replace {
                        out.fill(T::from_f64(0.0));
                    }
                    columns::update(out.subrows_mut(rows.start, rows.len()), c.as_ref(), |sum, c| sum + c);
                });
                pull.recycle(c);
                Ok(())
            }))
        })
    }
}

fn as_column<T: Scalar>(values: &[T]) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(values, values.len(), 1)
}

pub(super) fn check_vector<T: Scalar>(what: &str, vector: MatRef<'_, T>, len: usize) -> Result<()> {
    check_rows(what, vector, len)?;
    if vector.ncols() == 1 { Ok(()) } else { Err(Error::shape(what, format!("{len} x 1"), shape(vector))) }
}
