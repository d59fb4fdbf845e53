//! Products and solves with a lower triangular matrix.
//!
//! Only the lower triangle of L is read, and the cotangent of L is zero above the diagonal.

use std::cell::RefCell;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::recorder::Recorder;
use super::rounding::Slip;
use super::{Pool, Value, Var, check_rows, check_square};
use crate::linalg::panels::{Layout, Packing, QUAD, Use, solve_columns};
use crate::linalg::{clear_strict_upper, column, column_mut};
use crate::{Result, Scalar};
use BlockStructure::{Rectangular, TriangularLower, TriangularUpper};

impl<T: Scalar> Var<'_, T> {
    /// C = L⁻¹ B. Reverse: B̄ += L⁻ᵀ C̄, L̄ −= tril(L⁻ᵀ C̄ Cᵀ) (Giles 2008, §2.3.1).
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if L is not square or B does not have its number of
    /// rows.
    pub fn solve_lower(self, b: Self) -> Self {
        self.binary(b, |tape, l, b| {
            let (factor, right) = lower_operands(tape, "solve_lower", l, b)?;
            let mut value = tape.core().copy(right.as_mat());
            solve(&tape.core().pool, factor.as_mat(), false, value.as_mut(), tape.par());
            let result = tape.record(value, &[l, b], move |mut c, pull| {
                let (factor, result, par) = (pull.value(l), pull.result(), pull.par);
                solve(pull.pool(), factor, true, c.as_mut(), par);
                pull.add(l, |out, accum| lower_product(out, accum, c.as_ref(), result.transpose(), -1.0, par));
                pull.give(b, c);
                Ok(())
            });
            tape.core().slips_at(b, || Slip::Solved { l, result, transposed: false });
            Ok(result)
        })
    }

    /// C = L⁻ᵀ B. Reverse: B̄ += L⁻¹ C̄, L̄ −= tril(C (L⁻¹ C̄)ᵀ).
    ///
    /// # Errors
    ///
    /// As [`solve_lower`](Self::solve_lower).
    pub fn solve_lower_transpose(self, b: Self) -> Self {
        self.binary(b, |tape, l, b| {
            let (factor, right) = lower_operands(tape, "solve_lower_transpose", l, b)?;
            let mut value = tape.core().copy(right.as_mat());
            solve(&tape.core().pool, factor.as_mat(), true, value.as_mut(), tape.par());
            let result = tape.record(value, &[l, b], move |mut c, pull| {
                let (factor, result, par) = (pull.value(l), pull.result(), pull.par);
                solve(pull.pool(), factor, false, c.as_mut(), par);
                pull.add(l, |out, accum| lower_product(out, accum, result, c.transpose(), -1.0, par));
                pull.give(b, c);
                Ok(())
            });
            tape.core().slips_at(b, || Slip::Solved { l, result, transposed: true });
            Ok(result)
        })
    }

    /// C = L B, at half the cost of a product of two square matrices. Reverse: L̄ += tril(C̄ Bᵀ), B̄ += Lᵀ C̄.
    ///
    /// # Errors
    ///
    /// As [`solve_lower`](Self::solve_lower).
    pub fn lower_matmul(self, b: Self) -> Self {
        self.binary(b, |tape, l, b| {
            let (factor, right) = lower_operands(tape, "lower_matmul", l, b)?;
            let mut value = tape.take(right.as_mat().nrows(), right.as_mat().ncols());
            times(value.as_mut(), Accum::Replace, factor.as_mat(), TriangularLower, right.as_mat(), tape.par());
            Ok(tape.record(value, &[l, b], move |c, pull| {
                let (factor, right, par) = (pull.value(l), pull.value(b), pull.par);
                pull.add(l, |out, accum| lower_product(out, accum, c.as_ref(), right.transpose(), 1.0, par));
                pull.add(b, |out, accum| times(out, accum, factor.transpose(), TriangularUpper, c.as_ref(), par));
                pull.recycle(c);
                Ok(())
            }))
        })
    }

    /// C = Lᵀ B, at half the cost of [`matmul_tn`](Self::matmul_tn). Reverse: L̄ += tril(B C̄ᵀ),
    /// B̄ += L C̄.
    ///
    /// # Errors
    ///
    /// As [`solve_lower`](Self::solve_lower).
    pub fn lower_matmul_tn(self, b: Self) -> Self {
        self.binary(b, |tape, l, b| {
            let (factor, right) = lower_operands(tape, "lower_matmul_tn", l, b)?;
            let mut value = tape.take(right.as_mat().nrows(), right.as_mat().ncols());
            times(
                value.as_mut(),
                Accum::Replace,
                factor.as_mat().transpose(),
                TriangularUpper,
                right.as_mat(),
                tape.par(),
            );
            Ok(tape.record(value, &[l, b], move |c, pull| {
                let (factor, right, par) = (pull.value(l), pull.value(b), pull.par);
                pull.add(l, |out, accum| lower_product(out, accum, right, c.transpose(), 1.0, par));
                pull.add(b, |out, accum| times(out, accum, factor, TriangularLower, c.as_ref(), par));
                pull.recycle(c);
                Ok(())
            }))
        })
    }
}

/// L⁻¹B, or L⁻ᵀB, in the place of B, as [`Tape::whitened_marginals`](super::Tape::whitened_marginals) has it.
fn solve<T: Scalar>(pool: &RefCell<Pool<T>>, l: MatRef<'_, T>, transposed: bool, b: MatMut<'_, T>, par: Par) {
    let take = |len| pool.borrow_mut().take(len, 1);
    let (packing, layout) = (Packing::lower(Use::Solve, transposed, l.nrows()), Layout::of::<T>(b.ncols()));
    let rows = l.nrows().next_multiple_of(QUAD);
    let (mut numbers, mut room) = (take(packing.len()), take(layout.room::<T>(rows, par) * rows * layout.width()));
    packing.pack(l, column_mut(numbers.as_mut(), 0));
    let coefficients = packing.read(column(numbers.as_ref(), 0));
    solve_columns(layout, &coefficients, b, column_mut(room.as_mut(), 0), par);
    [numbers, room].into_iter().for_each(|buffer| pool.borrow_mut().give(buffer));
}

/// L and B, if they fit.
fn lower_operands<'t, T: Scalar>(
    tape: &'t (dyn Recorder<T> + '_),
    name: &str,
    l: usize,
    b: usize,
) -> Result<(Value<'t, T>, Value<'t, T>)> {
    let (factor, right) = (tape.value(l), tape.value(b));
    check_square(&format!("the first operand of `{name}`"), factor.as_mat())?;
    check_rows(&format!("the second operand of `{name}`"), right.as_mat(), factor.as_mat().nrows())?;
    Ok((factor, right))
}

/// out (+)= L b, for a triangular L.
fn times<T: Scalar>(
    out: MatMut<'_, T>,
    accum: Accum,
    l: MatRef<'_, T>,
    structure: BlockStructure,
    b: MatRef<'_, T>,
    par: Par,
) {
    matmul(out, Rectangular, accum, l, structure, b, Rectangular, T::from_f64(1.0), par);
}

/// out (+)= factor · tril(a b); zero above the diagonal, if replaced.
fn lower_product<T: Scalar>(
    mut out: MatMut<'_, T>,
    accum: Accum,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    factor: f64,
    par: Par,
) {
    use faer::prelude::ReborrowMut;
    matmul(out.rb_mut(), TriangularLower, accum, a, Rectangular, b, Rectangular, T::from_f64(factor), par);
    if accum == Accum::Replace {
        clear_strict_upper(out);
    }
}

/// Ā = L⁻ᵀ ½(P + Pᵀ) L⁻¹ with P = Φ(Lᵀ L̄), where Φ takes the lower triangle and halves its
/// diagonal, in the storage of L̄ and of `work`.
pub(super) fn cholesky_reverse<T: Scalar>(l: MatRef<'_, T>, cotangent: &mut Mat<T>, work: &mut Mat<T>, par: Par) {
    // P + Pᵀ has in its lower triangle that of Lᵀ L̄: mirroring replaces the addition and Φ.
    matmul(
        work.as_mut(),
        TriangularLower,
        Accum::Replace,
        l.transpose(),
        TriangularUpper,
        cotangent.as_ref(),
        TriangularLower,
        T::from_f64(0.5),
        par,
    );
    crate::linalg::mirror_lower(work.as_mut());
    // With M symmetric, L⁻ᵀ M L⁻¹ = L⁻ᵀ (L⁻ᵀ M)ᵀ: two solves from the left, by contiguous columns.
    solve_upper_triangular_in_place(l.transpose(), work.as_mut(), par);
    crate::linalg::transpose_into(cotangent.as_mut(), work.as_ref());
    solve_upper_triangular_in_place(l.transpose(), cotangent.as_mut(), par);
}
