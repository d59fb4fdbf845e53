//! The Gaussian log density.

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef};

use super::rounding::Slip;
use super::structure::check_vector;
use super::{Var, check_square, shape};
use crate::linalg::{Cholesky, Jitter, column, column_mut, inverse_from_factor};
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
        self.log_density(covariance, None, jitter)
    }

    /// The same for a covariance and a diagonal that is added to it, n × 1: without a copy of the covariance.
    pub(crate) fn gaussian_log_density_of_sum(
        self,
        covariance: Self,
        diagonal: Self,
        jitter: Jitter,
    ) -> Result<(Self, f64)> {
        self.log_density(covariance, Some(diagonal), jitter)
    }

    fn log_density(self, covariance: Self, diagonal: Option<Self>, jitter: Jitter) -> Result<(Self, f64)> {
        let tape = self.tape;
        if tape.core().slips.borrow().is_some()
            && let Some(diagonal) = diagonal
        {
            // What is factored has to be on the tape.
            return self.log_density(covariance.add_diagonal(diagonal), None, jitter);
        }
        let (r, a) = (self.on(tape)?, covariance.on(tape)?);
        let d = diagonal.map(|diagonal| diagonal.on(tape)).transpose()?;
        let (residual, covariance) = (tape.value(r), tape.value(a));
        check_square("the covariance of `gaussian_log_density`", covariance.as_mat())?;
        let n = covariance.as_mat().nrows();
        let found = shape(residual.as_mat());
        if found.0 != n || found.1 == 0 {
            let expected = format!("{n} row(s), as the covariance has, and at least one column");
            return Err(Error::shape("the residual of `gaussian_log_density`", expected, found));
        }
        let added = d.map(|d| tape.value(d));
        if let Some(added) = &added {
            check_vector("the diagonal of `gaussian_log_density`", added.as_mat(), n)?;
        }
        let added = added.as_ref().map_or(&[][..], |added| column(added.as_mat(), 0));

        let cholesky = Cholesky::of_sum(tape.take(n, n), covariance.as_mat(), added, jitter, tape.par())?;
        let jitter = cholesky.jitter();
        let mut weights = residual.as_mat().to_owned();
        cholesky.solve_lower_in_place(weights.as_mut(), tape.par())?;
        let constant = cholesky.log_det() + n as f64 * std::f64::consts::TAU.ln();
        let density = |col: usize| -0.5 * (weights.col(col).squared_norm_l2().as_f64() + constant);
        let value = Mat::from_fn(found.1, 1, |col, _| T::from_f64(density(col)));
        cholesky.solve_upper_in_place(weights.as_mut(), tape.par())?;

        // On the tape, so that its memory serves the next.
        let factor = tape.constant(cholesky.into_factor());
        let operands = [r, a, d.unwrap_or(a)];
        let index = tape.record(value, &operands, move |c, pull| {
            let d = d.filter(|&d| pull.wants(d));
            if pull.wants(a) || d.is_some() {
                let (mut half, mut inverse) = (pull.take(n, n), pull.take(n, n));
                inverse_from_factor(pull.value(factor), half.as_mut(), inverse.as_mut(), pull.par);
                pull.recycle(half);
                covariance_cotangent(inverse.as_mut(), weights.as_ref(), c.as_ref());
                if let Some(d) = d {
                    pull.give(d, Mat::from_fn(n, 1, |row, _| inverse[(row, row)]));
                }
                if pull.wants(a) { pull.give_half(a, inverse) } else { pull.recycle(inverse) }
            }
            pull.give(r, Mat::from_fn(n, weights.ncols(), |row, col| -c[(col, 0)] * weights[(row, col)]));
            Ok(())
        });
        tape.core().slips_at(a, || Slip::Factored { factor: None });
        Ok((Self { tape, index }, jitter))
    }
}

/// The lower triangle of ½ Σⱼ cⱼ (αⱼαⱼᵀ − A⁻¹), in the place of that of the inverse.
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
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::linalg::Jitter;
    use crate::prelude::*;
    use crate::tape::Tape;

    /// The gradients in the kernel, the points, the diagonal and the residuals. `before` and `after` add to what depends on
    /// the covariance, before the density is recorded and after.
    fn gradients(kernel: &dyn Kernel<f64>, at_once: bool, [before, after]: [bool; 2]) -> [Mat<f64>; 4] {
        let n = 75;
        let tape = Tape::new(Par::Seq);
        let k = tape.kernel(kernel).unwrap();
        let x = tape.parameter(Mat::from_fn(n, 2, |row, col| (row as f64 * 0.61 + col as f64).sin() * 3.0));
        let d = tape.parameter(Mat::from_fn(n, 1, |row, _| 0.1 + 0.01 * row as f64));
        let r = tape.parameter(Mat::from_fn(n, 2, |row, col| (row as f64 * 1.7 + col as f64).cos()));
        let gram = k.gram(x).unwrap();
        let squares = before.then(|| gram.square().sum());
        let density = match at_once {
            true => r.gaussian_log_density_of_sum(gram, d, Jitter::default()),
            false => r.gaussian_log_density(gram.add_diagonal(d), Jitter::default()),
        };
        let mut loss = density.unwrap().0.sum();
        loss = squares.map_or(loss, |squares| loss + squares);
        loss = if after { loss + gram.sum() } else { loss };
        let found = tape.backward(loss).unwrap();
        [k.theta(), x, d, r].map(|var| found.get(var).unwrap().to_owned())
    }

    #[test]
    fn half_of_a_cotangent_is_as_good_as_the_whole() {
        let kernels: [DynKernel; 3] = [
            (1.3 * Rbf::new([0.7, 1.2])).dynamic(),
            (0.8 * Matern32::new(0.9)).dynamic(),
            (Linear::new(0.3) * Rbf::new(1.0) + White::new(0.2)).dynamic(),
        ];
        for kernel in &kernels {
            for others in [[false, false], [true, false], [false, true], [true, true]] {
                let (found, expected) = (gradients(kernel, true, others), gradients(kernel, false, others));
                for (found, expected) in found.iter().zip(&expected) {
                    let miss = (found - expected).norm_max() / (1.0 + expected.norm_max());
                    assert!(miss < 1e-12, "{kernel:?}, {others:?}: {miss:e}");
                }
            }
        }
    }
}
