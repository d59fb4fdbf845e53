//! The Gaussian log density.

use super::{Tape, Var, check_square, shape};
use crate::linalg::{Cholesky, Jitter};
use crate::{Error, Result, Scalar};

impl<'a, T: Scalar> Tape<'a, T> {
    /// log N(r; 0, A + jitter·I) for a residual r, n × 1, and the absolute jitter that it took.
    ///
    /// The same as a Cholesky factor, a solve and a log-determinant, with a cheaper reverse: with
    /// α = (A + jitter·I)⁻¹ r,
    /// r̄ −= α c̄ and Ā += ½ (ααᵀ − (A + jitter·I)⁻¹) c̄
    /// (Rasmussen & Williams 2006, eq. 5.9). A must be symmetric; its lower triangle is read.
    ///
    /// # Errors
    ///
    /// As [`cholesky`](Self::cholesky), and [`Error::Shape`] if r is not n × 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::linalg::Jitter;
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let (r, a) = (tape.parameter(mat![[3.0]]), tape.parameter(mat![[4.0]]));
    /// let (density, _) = tape.gaussian_log_density(r, a, Jitter::default())?;
    /// let expected = -0.5 * (9.0 / 4.0 + (4.0 * std::f64::consts::TAU).ln());
    /// assert!((tape.scalar(density)? - expected).abs() < 1e-15);
    ///
    /// let gradients = tape.backward(density)?;
    /// assert_eq!(gradients.scalar(r), Some(-0.75));
    /// assert_eq!(gradients.scalar(a), Some(0.5 * (9.0 / 16.0 - 0.25)));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gaussian_log_density(&self, r: Var, a: Var, jitter: Jitter) -> Result<(Var, f64)> {
        let (residual, covariance) = (self.value(r)?, self.value(a)?);
        check_square("the covariance of `gaussian_log_density`", covariance.as_mat())?;
        let n = covariance.as_mat().nrows();
        if shape(residual.as_mat()) != (n, 1) {
            let expected = format!("{n} x 1, as the covariance has {n} rows");
            return Err(Error::shape("the residual of `gaussian_log_density`", expected, shape(residual.as_mat())));
        }

        let cholesky = Cholesky::new(covariance.as_mat(), jitter, self.par)?;
        let jitter = cholesky.jitter();
        let mut weights = residual.as_mat().to_owned();
        cholesky.half_solve_in_place(weights.as_mut(), self.par)?;
        let fit = weights.col(0).squared_norm_l2().as_f64();
        cholesky.half_solve_transpose_in_place(weights.as_mut(), self.par)?;
        let density = -0.5 * (fit + cholesky.log_det() + n as f64 * std::f64::consts::TAU.ln());

        let value = faer::mat![[T::from_f64(density)]];
        let var = self.record(value, &[r, a], move |c, pull| {
            let c = c[(0, 0)];
            if pull.wants(a) {
                let mut inverse = cholesky.inverse(pull.par);
                let half = T::from_f64(0.5) * c;
                for col in 0..n {
                    let scaled = half * weights[(col, 0)];
                    let terms = inverse.col_as_slice_mut(col).iter_mut().zip(weights.col_as_slice(0));
                    terms.for_each(|(entry, &weight)| *entry = scaled * weight - half * *entry);
                }
                pull.give(a, inverse);
            }
            pull.give(r, faer::Scale(-c) * &weights);
            Ok(())
        });
        Ok((var, jitter))
    }
}
