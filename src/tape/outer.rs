//! Weighted outer products of a matrix with itself.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatRef};

use super::{Var, columns, shape};
use crate::linalg::{column, column_mut, mirror_lower};
use crate::{Error, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// C = A diag(w) Aᵀ for A of m × n and w of n × 1: exactly symmetric, and at half the cost of a product
    /// of two matrices. Reverse, with P = ½(C̄ + C̄ᵀ)A: Ā += 2 P diag(w), w̄ⱼ += Σᵢ Pᵢⱼ Aᵢⱼ, for one product
    /// instead of two.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if w does not have one element for each column of A.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let (a, w) = (tape.parameter(mat![[1.0, 2.0], [3.0, 4.0]]), tape.parameter(mat![[1.0], [0.5]]));
    /// let c = a.weighted_outer(w);
    /// assert_eq!(tape.value(c)?.as_mat(), mat![[3.0, 7.0], [7.0, 17.0]]);
    /// let gradients = tape.backward(c.trace())?;
    /// assert_eq!(gradients.get(a).unwrap(), mat![[2.0, 2.0], [6.0, 4.0]]);
    /// assert_eq!(gradients.get(w).unwrap(), mat![[10.0], [20.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn weighted_outer(self, w: Self) -> Self {
        self.binary(w, |tape, a, w| {
            let (operand, weights) = (tape.value(a), tape.value(w));
            let (operand, weights) = (operand.as_mat(), weights.as_mat());
            let (m, n) = shape(operand);
            if shape(weights) != (n, 1) {
                return Err(Error::shape("the weights of `weighted_outer`", format!("{n} x 1"), shape(weights)));
            }
            let mut weighted = tape.core().copy(operand);
            scale_columns(&mut weighted, weights, T::from_f64(1.0));
            let mut value = tape.take(m, m);
            triangular::matmul(
                value.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Replace,
                weighted.as_ref(),
                BlockStructure::Rectangular,
                operand.transpose(),
                BlockStructure::Rectangular,
                T::from_f64(1.0),
                tape.par(),
            );
            mirror_lower(value.as_mut());
            tape.core().pool.borrow_mut().give(weighted);
            Ok(tape.record(value, &[a, w], move |c, pull| {
                let (operand, weights, half) = (pull.value(a), pull.value(w), T::from_f64(0.5));
                let mut symmetric = pull.take(m, m);
                crate::linalg::transpose_into(symmetric.as_mut(), c.as_ref());
                columns::update(symmetric.as_mut(), c.as_ref(), |t, c| half * (t + c));
                pull.recycle(c);
                let mut p = pull.take(m, n);
                matmul(p.as_mut(), Accum::Replace, symmetric.as_ref(), operand, T::from_f64(1.0), pull.par);
                pull.recycle(symmetric);
                pull.add(w, |mut out, accum| {
                    for col in 0..n {
                        let before = if accum == Accum::Add { out[(col, 0)] } else { T::from_f64(0.0) };
                        out[(col, 0)] = before + crate::simd::dot(column(p.as_ref(), col), column(operand, col));
                    }
                });
                scale_columns(&mut p, weights, T::from_f64(2.0));
                pull.give(a, p);
                Ok(())
            }))
        })
    }
}

/// Column j times factor · wⱼ.
fn scale_columns<T: Scalar>(a: &mut Mat<T>, weights: MatRef<'_, T>, factor: T) {
    let mut a = a.as_mut();
    for col in 0..a.ncols() {
        crate::simd::elementwise::scale(column_mut(a.rb_mut(), col), factor * weights[(col, 0)]);
    }
}
