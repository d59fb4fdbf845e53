//! Primitives from outside.

use faer::{Mat, MatRef};

use super::{Tape, Var, shape};
use crate::{Error, Result, Scalar};

/// The reverse of a [`custom`](Tape::custom) primitive: from the cotangent of its value to those of
/// its operands.
pub type CustomReverse<'a, T> = Box<dyn Fn(MatRef<'_, T>) -> Vec<Option<Mat<T>>> + 'a>;

/// The same for one that can fail.
pub(crate) type FallibleReverse<'a, T> = Box<dyn Fn(MatRef<'_, T>) -> Result<Vec<Option<Mat<T>>>> + 'a>;

impl<'a, T: Scalar> Tape<'a, T> {
    /// A value computed outside, with the way back: `backward` takes the cotangent of the value and
    /// gives, for each operand, what is to be added to its cotangent, or `None` for nothing.
    ///
    /// What it needs of the operands it must hold itself: [`Value`](super::Value) is a cheap handle.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Setting`] for a variable of another tape. Then, from
    /// [`backward`](Self::backward): [`Error::Shape`] if there is not one entry for each operand,
    /// of its shape.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// // det A, whose gradient is det(A) A⁻ᵀ.
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[3.0, 1.0], [4.0, 2.0]]);
    /// let value = tape.value(a)?;
    /// let m = value.as_mat();
    /// let det = m[(0, 0)] * m[(1, 1)] - m[(0, 1)] * m[(1, 0)];
    /// let cofactors = mat![[m[(1, 1)], -m[(1, 0)]], [-m[(0, 1)], m[(0, 0)]]];
    /// let det = tape.custom(&[a], mat![[det]], Box::new(move |c| vec![Some(&cofactors * c[(0, 0)])]));
    ///
    /// let gradients = tape.backward(det.square())?;
    /// assert_eq!(gradients.get(a).unwrap(), mat![[8.0, -16.0], [-4.0, 12.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn custom(&self, operands: &[Var<'_, T>], value: Mat<T>, backward: CustomReverse<'a, T>) -> Var<'_, T> {
        self.fallible(operands, value, Box::new(move |c| Ok(backward(c))))
    }

    /// A [`custom`](Self::custom) value whose way back can fail: [`backward`](Self::backward) then gives its error.
    pub(crate) fn fallible(
        &self,
        operands: &[Var<'_, T>],
        value: Mat<T>,
        backward: FallibleReverse<'a, T>,
    ) -> Var<'_, T> {
        let operands = operands.iter().map(|operand| operand.on(self)).collect::<Result<Vec<_>>>();
        let result = operands.map(|operands| self.outside(operands, value, backward));
        self.var(self.core.keep(result))
    }

    fn outside(&self, operands: Vec<usize>, value: Mat<T>, backward: FallibleReverse<'a, T>) -> usize {
        let owned = operands.clone();
        self.record(value, &operands, move |c, pull| {
            let amounts = backward(c.as_ref())?;
            pull.recycle(c);
            if amounts.len() != owned.len() {
                let expected = format!("{} entries, one for each operand", owned.len());
                return Err(Error::shape("the result of a custom reverse", expected, (amounts.len(), 1)));
            }
            for (&operand, amount) in owned.iter().zip(amounts) {
                let Some(amount) = amount else { continue };
                let expected = shape(pull.value(operand));
                if shape(amount.as_ref()) != expected {
                    let expected = format!("{} x {}", expected.0, expected.1);
                    return Err(Error::shape("a cotangent of a custom reverse", expected, shape(amount.as_ref())));
                }
                pull.give(operand, amount);
            }
            Ok(())
        })
    }
}
