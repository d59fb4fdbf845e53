//! Functions applied element by element.

use faer::Accum;
use num_traits::Float;

use super::{Tape, Var, check_same, columns};
use crate::linalg::column;
use crate::{Result, Scalar};

impl<'a, T: Scalar> Tape<'a, T> {
    /// A + B, of the same shape.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the shapes differ;
    /// [`Error::Setting`](crate::Error::Setting) for a variable of another tape.
    pub fn add(&self, a: Var, b: Var) -> Result<Var> {
        let value = self.zip("the second operand of `add`", a, b, |a, b| a + b)?;
        Ok(self.record(value, &[a, b], move |c, pull| {
            pull.give_ref(a, c.as_ref());
            pull.give(b, c);
            Ok(())
        }))
    }

    /// A − B, of the same shape.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn sub(&self, a: Var, b: Var) -> Result<Var> {
        let value = self.zip("the second operand of `sub`", a, b, |a, b| a - b)?;
        Ok(self.record(value, &[a, b], move |c, pull| {
            pull.add(b, |out, accum| columns::map_into(out, accum, c.as_ref(), |c| -c));
            pull.give(a, c);
            Ok(())
        }))
    }

    /// A ∘ B, the products of corresponding elements. Reverse: Ā += C̄ ∘ B, B̄ += C̄ ∘ A.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn hadamard(&self, a: Var, b: Var) -> Result<Var> {
        let value = self.zip("the second operand of `hadamard`", a, b, |a, b| a * b)?;
        Ok(self.record(value, &[a, b], move |mut c, pull| {
            let (left, right) = (pull.value(a), pull.value(b));
            pull.add(b, |out, accum| columns::zip_into(out, accum, c.as_ref(), left, |c, a| c * a));
            if pull.wants(a) {
                columns::update(c.as_mut(), right, |c, b| c * b);
            }
            pull.give(a, c);
            Ok(())
        }))
    }

    /// −A.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for a variable of another tape.
    pub fn neg(&self, a: Var) -> Result<Var> {
        self.scale(a, -1.0)
    }

    /// c A, for a number c.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    pub fn scale(&self, a: Var, factor: f64) -> Result<Var> {
        let factor = T::from_f64(factor);
        let operand = self.value(a)?;
        let mut value = self.take(operand.as_mat().nrows(), operand.as_mat().ncols());
        columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), |a| factor * a);
        Ok(self.record(value, &[a], move |mut c, pull| {
            columns::scale(c.as_mut(), factor);
            pull.give(a, c);
            Ok(())
        }))
    }

    /// exp(A). Reverse: Ā += C̄ ∘ C.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    pub fn exp(&self, a: Var) -> Result<Var> {
        let operand = self.value(a)?;
        let mut value = self.take(operand.as_mat().nrows(), operand.as_mat().ncols());
        columns::exp_into(value.as_mut(), operand.as_mat());
        Ok(self.record(value, &[a], move |mut c, pull| {
            columns::update(c.as_mut(), pull.result(), |c, y| c * y);
            pull.give(a, c);
            Ok(())
        }))
    }

    /// ln(A): NaN for negative elements.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    pub fn ln(&self, a: Var) -> Result<Var> {
        self.map(a, T::ln, |x, _| Float::recip(x))
    }

    /// A ∘ A.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    pub fn square(&self, a: Var) -> Result<Var> {
        self.map(a, |x| x * x, |x, _| x + x)
    }

    /// The square roots of the elements: NaN for negative ones, and an infinite derivative at zero.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    pub fn sqrt(&self, a: Var) -> Result<Var> {
        let half = T::from_f64(0.5);
        self.map(a, Float::sqrt, move |_, y| half / y)
    }

    /// The reciprocals of the elements.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    pub fn recip(&self, a: Var) -> Result<Var> {
        self.map(a, Float::recip, |_, y| -(y * y))
    }

    /// The lesser of corresponding elements, and A itself if that is all of them. The gradient goes to what was taken.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub(crate) fn least(&self, a: Var, bound: Var) -> Result<Var> {
        let (left, right) = (self.value(a)?, self.value(bound)?);
        check_same("the second operand of `least`", left.as_mat(), right.as_mat())?;
        let pairs = |col| column(left.as_mat(), col).iter().zip(column(right.as_mat(), col));
        if !(0..left.as_mat().ncols()).any(|col| pairs(col).any(|(a, bound)| a > bound)) {
            return Ok(a);
        }
        let value =
            self.zip("the second operand of `least`", a, bound, |a, bound| if a > bound { bound } else { a })?;
        Ok(self.record(value, &[a, bound], move |mut c, pull| {
            let (left, right, zero) = (pull.value(a), pull.value(bound), T::from_f64(0.0));
            let mut rest = pull.take(c.nrows(), c.ncols());
            columns::map_into(rest.as_mut(), Accum::Replace, c.as_ref(), |c| c);
            columns::update_by_two(rest.as_mut(), left, right, |c, a, bound| if a > bound { c } else { zero });
            columns::update_by_two(c.as_mut(), left, right, |c, a, bound| if a > bound { zero } else { c });
            pull.give(a, c);
            pull.give(bound, rest);
            Ok(())
        }))
    }

    /// f(A), element by element, for a function with the derivative `df(x, f(x))`.
    ///
    /// # Errors
    ///
    /// As [`neg`](Self::neg).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[0.5f64]]);
    /// let tanh = tape.map(a, |x| x.tanh(), |_, y| 1.0 - y * y)?;
    /// let gradients = tape.backward(tanh)?;
    /// assert!((gradients.scalar(a).unwrap() - 0.5f64.cosh().powi(-2)).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn map(&self, a: Var, f: impl Fn(T) -> T + 'a, df: impl Fn(T, T) -> T + 'a) -> Result<Var> {
        let operand = self.value(a)?;
        let mut value = self.take(operand.as_mat().nrows(), operand.as_mat().ncols());
        columns::map_into(value.as_mut(), Accum::Replace, operand.as_mat(), f);
        Ok(self.record(value, &[a], move |mut c, pull| {
            columns::update_by_two(c.as_mut(), pull.value(a), pull.result(), |c, x, y| c * df(x, y));
            pull.give(a, c);
            Ok(())
        }))
    }

    fn zip(&self, what: &str, a: Var, b: Var, f: impl Fn(T, T) -> T) -> Result<faer::Mat<T>> {
        let (left, right) = (self.value(a)?, self.value(b)?);
        let (left, right) = (left.as_mat(), right.as_mat());
        check_same(what, left, right)?;
        let mut value = self.take(left.nrows(), left.ncols());
        columns::zip_into(value.as_mut(), Accum::Replace, left, right, f);
        Ok(value)
    }
}
