//! The Cholesky factor.

use super::rounding::Slip;
use super::triangular::cholesky_reverse;
use super::{Var, check_square};
use crate::linalg::{Jitter, LEAST_PIVOT, factorize};
use crate::{Result, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// L, lower triangular with LLᵀ = A + jitter·I, and the absolute jitter that it took.
    ///
    /// A must be symmetric; its lower triangle is read. The jitter counts as a constant. Reverse,
    /// with Φ the lower triangle with its diagonal halved (Murray 2016, eq. 10):
    /// Ā += ½ (S + Sᵀ), S = L⁻ᵀ Φ(Lᵀ L̄) L⁻¹, of which the lower triangle of L̄ alone is read.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if no jitter that the
    /// policy allows is enough; [`Error::NonFinite`](crate::Error::NonFinite) for a NaN or an
    /// infinity; [`Error::Shape`](crate::Error::Shape) if A is not square;
    /// [`Error::Setting`](crate::Error::Setting) for a policy that cannot work; the error that the tape
    /// [keeps](Var#errors), if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::linalg::Jitter;
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[4.0, 2.0], [2.0, 5.0]]);
    /// let (l, jitter) = a.cholesky(Jitter::default())?;
    /// assert_eq!(tape.value(l)?.as_mat(), mat![[2.0, 0.0], [1.0, 2.0]]);
    /// assert_eq!(jitter, 0.0);
    ///
    /// // The gradient of ln det A is its inverse.
    /// let log_det = 2.0 * l.log_diagonal_sum();
    /// let gradients = tape.backward(log_det)?;
    /// let inverse = mat![[5.0, -2.0], [-2.0, 4.0]] / 16.0;
    /// assert!((gradients.get(a).unwrap() - inverse).norm_max() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn cholesky(self, jitter: Jitter) -> Result<(Self, f64)> {
        self.cholesky_above(jitter, LEAST_PIVOT)
    }

    /// Sets the least pivot, in units of ε times its element of the diagonal.
    pub(crate) fn cholesky_above(self, jitter: Jitter, least: f64) -> Result<(Self, f64)> {
        let (tape, a) = (self.tape, self.on(self.tape)?);
        let operand = tape.value(a);
        check_square("the operand of `cholesky`", operand.as_mat())?;
        let n = operand.as_mat().nrows();
        let mut value = tape.take(n, n);
        let jitter = factorize(value.as_mut(), operand.as_mat(), jitter, least, tape.par())?;
        let index = tape.record(value, &[a], move |mut c, pull| {
            let mut work = pull.take(n, n);
            cholesky_reverse(pull.result(), &mut c, &mut work, pull.par);
            pull.recycle(work);
            pull.give(a, c);
            Ok(())
        });
        tape.core().slips_at(a, || Slip::Factored { factor: Some(index) });
        Ok((Self { tape, index }, jitter))
    }
}
