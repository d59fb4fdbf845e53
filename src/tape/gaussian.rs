//! The Gaussian log density.

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef};

use super::rounding::Slip;
use super::{Var, check_square, shape};
use crate::linalg::{Cholesky, Jitter, LEAST_PIVOT, column, column_mut, inverse_from_factor, mirror_lower};
use crate::simd::elementwise;
use crate::{Error, Result, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// log N(rⱼ; 0, A + jitter·I) for each column rⱼ of the residuals R, n × m, this variable, as m × 1, and
    /// the absolute jitter that it took.
    ///
    /// The same as a Cholesky factor, solves and a log-determinant, with a cheaper reverse: with
    /// αⱼ = (A + jitter·I)⁻¹ rⱼ,
    /// r̄ⱼ −= αⱼ c̄ⱼ and Ā += ½ Σⱼ (αⱼαⱼᵀ − (A + jitter·I)⁻¹) c̄ⱼ
    /// (Rasmussen & Williams 2006, eq. 5.9). A must be symmetric; its lower triangle is read. One
    /// factorisation serves all columns.
    ///
    /// # Errors
    ///
    /// As [`cholesky`](Self::cholesky), and [`Error::Shape`] if R does not have n rows and a column;
    /// [`Error::Setting`] for a variable of another tape.
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
    /// let (density, _) = r.gaussian_log_density(a, Jitter::default())?;
    /// let expected = -0.5 * (9.0 / 4.0 + (4.0 * std::f64::consts::TAU).ln());
    /// assert!((tape.scalar(density)? - expected).abs() < 1e-15);
    ///
    /// let gradients = tape.backward(density)?;
    /// assert_eq!(gradients.scalar(r), Some(-0.75));
    /// assert_eq!(gradients.scalar(a), Some(0.5 * (9.0 / 16.0 - 0.25)));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gaussian_log_density(self, covariance: Self, jitter: Jitter) -> Result<(Self, f64)> {
        let tape = self.tape;
        let (r, a) = (self.on(tape)?, covariance.on(tape)?);
        let (residual, covariance) = (tape.value(r), tape.value(a));
        check_square("the covariance of `gaussian_log_density`", covariance.as_mat())?;
        let n = covariance.as_mat().nrows();
        let found = shape(residual.as_mat());
        if found.0 != n || found.1 == 0 {
            let expected = format!("{n} row(s), as the covariance has, and at least one column");
            return Err(Error::shape("the residual of `gaussian_log_density`", expected, found));
        }

        let factor = tape.take(n, n);
        let cholesky = Cholesky::within(factor, covariance.as_mat(), jitter, LEAST_PIVOT, tape.par())?;
        let jitter = cholesky.jitter();
        let mut weights = residual.as_mat().to_owned();
        cholesky.solve_lower_in_place(weights.as_mut(), tape.par())?;
        let constant = cholesky.log_det() + n as f64 * std::f64::consts::TAU.ln();
        let density = |col: usize| -0.5 * (weights.col(col).squared_norm_l2().as_f64() + constant);
        let value = Mat::from_fn(found.1, 1, |col, _| T::from_f64(density(col)));
        cholesky.solve_upper_in_place(weights.as_mut(), tape.par())?;

        // On the tape, so that its memory serves the next.
        let factor = tape.constant(cholesky.into_factor());
        let index = tape.record(value, &[r, a], move |c, pull| {
            if pull.wants(a) {
                let (mut half, mut inverse) = (pull.take(n, n), pull.take(n, n));
                inverse_from_factor(pull.value(factor), half.as_mut(), inverse.as_mut(), pull.par);
                pull.recycle(half);
                covariance_cotangent(inverse.as_mut(), weights.as_ref(), c.as_ref());
                pull.give(a, inverse);
            }
            pull.give(r, Mat::from_fn(n, weights.ncols(), |row, col| -c[(col, 0)] * weights[(row, col)]));
            Ok(())
        });
        tape.core().slips_at(a, || Slip::Factored { factor: None });
        Ok((Self { tape, index }, jitter))
    }
}

/// ½ Σⱼ cⱼ (αⱼαⱼᵀ − A⁻¹), in the place of the inverse, of which the lower triangle is given.
fn covariance_cotangent<T: Scalar>(mut inverse: MatMut<'_, T>, weights: MatRef<'_, T>, c: MatRef<'_, T>) {
    let half = T::from_f64(0.5);
    let total = (0..weights.ncols()).fold(T::from_f64(0.0), |sum, of| sum + half * c[(of, 0)]);
    for col in 0..inverse.ncols() {
        let entries = &mut column_mut(inverse.rb_mut(), col)[col..];
        elementwise::scale(entries, -total);
        for of in 0..weights.ncols() {
            let scaled = half * c[(of, 0)] * weights[(col, of)];
            elementwise::add_scaled(entries, &column(weights, of)[col..], scaled);
        }
    }
    mirror_lower(inverse);
}
