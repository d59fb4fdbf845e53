//! Functions applied element by element.

use faer::Accum;
use num_traits::Float;

use super::recorder::Recorder;
use super::rounding::Slip;
use super::{Var, check_same, columns};
use crate::linalg::column;
use crate::{Result, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// A ∘ B, the products of corresponding elements. Reverse: Ā += C̄ ∘ B, B̄ += C̄ ∘ A.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if the shapes differ.
    pub fn hadamard(self, b: Self) -> Self {
        self.binary(b, |tape, a, b| {
            let value = tape.zip("the second operand of `hadamard`", a, b, |a, b| a * b)?;
            Ok(tape.record(value, &[a, b], move |mut c, pull| {
                let (left, right) = (pull.value(a), pull.value(b));
                pull.add(b, |out, accum| columns::zip_into(out, accum, c.as_ref(), left, |c, a| c * a));
                if pull.wants(a) {
                    columns::update(c.as_mut(), right, |c, b| c * b);
                }
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// exp(A). Reverse: Ā += C̄ ∘ C.
    pub fn exp(self) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            let mut value = tape.take(operand.as_mat().nrows(), operand.as_mat().ncols());
            columns::exp_into(value.as_mut(), operand.as_mat());
            Ok(tape.record(value, &[a], move |mut c, pull| {
                columns::update(c.as_mut(), pull.result(), |c, y| c * y);
                pull.give(a, c);
                Ok(())
            }))
        })
    }

    /// ln(A): NaN for negative elements.
    pub fn ln(self) -> Self {
        self.map(T::ln, |x, _| Float::recip(x))
    }

    /// A ∘ A.
    pub fn square(self) -> Self {
        self.map(|x| x * x, |x, _| x + x)
    }

    /// The square roots of the elements: NaN for negative ones, and an infinite derivative at zero.
    pub fn sqrt(self) -> Self {
        let half = T::from_f64(0.5);
        self.map(Float::sqrt, move |_, y| half / y)
    }

    /// The reciprocals of the elements.
    pub fn recip(self) -> Self {
        self.map(Float::recip, |_, y| -(y * y))
    }

    /// Of each element, the lesser of it and of what bounds it; A itself if that is all of them. The gradient goes to what
    /// was taken. For what is explained of a variance, n × 1, where rounding may have it exceed all that there is.
    ///
    /// By as much as it does it may be off, and then what is left is 0: it must not be negative, or an optimiser would
    /// look for such places, where a bound is above what it bounds.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if the shapes differ.
    pub(crate) fn at_most(self, bound: Self) -> Self {
        self.binary(bound, |tape, a, bound| {
            let (left, right) = (tape.value(a), tape.value(bound));
            let (left, right) = (left.as_mat(), right.as_mat());
            check_same("the second operand of `at_most`", left, right)?;
            let exceeds = |col| column(left, col).iter().zip(column(right, col)).any(|(a, bound)| a > bound);
            if !(0..left.ncols()).any(exceeds) {
                return Ok(a);
            }
            let lesser = |a, bound| if a > bound { bound } else { a };
            let value = tape.zip("the second operand of `at_most`", a, bound, lesser)?;
            let result = tape.record(value, &[a, bound], move |mut c, pull| {
                let (left, right, zero) = (pull.value(a), pull.value(bound), T::from_f64(0.0));
                let mut rest = pull.take(c.nrows(), c.ncols());
                columns::map_into(rest.as_mut(), Accum::Replace, c.as_ref(), |c| c);
                columns::update_by_two(rest.as_mut(), left, right, |c, a, bound| if a > bound { c } else { zero });
                columns::update_by_two(c.as_mut(), left, right, |c, a, bound| if a > bound { zero } else { c });
                pull.give(a, c);
                pull.give(bound, rest);
                Ok(())
            });
            let pairs = || column(left, 0).iter().zip(column(right, 0));
            let excess = || pairs().map(|(&a, &bound)| a.as_f64() - lesser(a, bound).as_f64()).collect();
            tape.core().slips_at(result, || Slip::By(excess()));
            Ok(result)
        })
    }

    /// f(A), element by element, for a function with the derivative `df(x, f(x))`, which holds what it needs itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[0.5f64]]);
    /// let tanh = a.map(|x| x.tanh(), |_, y| 1.0 - y * y);
    /// let gradients = tape.backward(tanh)?;
    /// assert!((gradients.scalar(a).unwrap() - 0.5f64.cosh().powi(-2)).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn map(self, f: impl Fn(T) -> T, df: impl Fn(T, T) -> T + 'static) -> Self {
        self.unary(|tape, a| {
            let operand = tape.value(a);
            let mut value = tape.take(operand.as_mat().nrows(), operand.as_mat().ncols());
            columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), f);
            Ok(tape.record(value, &[a], move |mut c, pull| {
                columns::update_by_two(c.as_mut(), pull.value(a), pull.result(), |c, x, y| c * df(x, y));
                pull.give(a, c);
                Ok(())
            }))
        })
    }
}

impl<T: Scalar> dyn Recorder<T> + '_ {
    pub(super) fn zip(&self, what: &str, a: usize, b: usize, f: impl Fn(T, T) -> T) -> Result<faer::Mat<T>> {
        let (left, right) = (self.value(a), self.value(b));
        let (left, right) = (left.as_mat(), right.as_mat());
        check_same(what, left, right)?;
        let mut value = self.take(left.nrows(), left.ncols());
        columns::zip_into(value.as_mut(), Accum::Replace, left, right, f);
        Ok(value)
    }
}
