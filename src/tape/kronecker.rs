//! The Gaussian log density of several outputs on a grid.

use super::Var;
use crate::linalg::NoisyKronecker;
use crate::{Result, Scalar};

impl<T: Scalar> Var<'_, T> {
    /// log N(vec(Y); 0, B ⊗ K + Σ ⊗ I) with K = K₁ ⊗ … ⊗ K_d, for Y, N × m, this variable, with a column for each output, and B
    /// and Σ, m × m: the covariances of signal and noise between outputs that share the correlation K.
    ///
    /// The large matrix is never formed: [`NoisyKronecker`] says how, in which order its rows are, and what it
    /// takes. All of B, Σ and K₁, …, K_d must be symmetric; their lower triangles are read. With them fixed or
    /// not, the reverse has their gradients in closed form.
    ///
    /// # Errors
    ///
    /// Those of [`NoisyKronecker::new`] and [`NoisyKronecker::log_density`]; [`Error::Setting`](crate::Error::Setting) for a
    /// variable of another tape; the error that the tape [keeps](Var#errors), if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// // One output at one point: the variance is 2 · 3 + 4.
    /// let tape = Tape::new(Par::Seq);
    /// let [y, b, noise, k] = [5.0, 2.0, 4.0, 3.0].map(|value| tape.parameter(mat![[value]]));
    /// let density = y.kronecker_log_density(b, noise, &[k])?;
    /// let expected = -0.5 * (25.0 / 10.0 + (10.0 * std::f64::consts::TAU).ln());
    /// assert!((tape.scalar(density)? - expected).abs() < 1e-15);
    ///
    /// let gradients = tape.backward(density)?;
    /// let in_k = gradients.scalar(k).unwrap();
    /// assert!((in_k - 2.0 * 0.5 * (25.0 / 100.0 - 1.0 / 10.0)).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn kronecker_log_density(self, signal: Self, noise: Self, axes: &[Self]) -> Result<Self> {
        let tape = self.tape;
        let all = [self, signal, noise].into_iter().chain(axes.iter().copied());
        let operands = all.map(|operand| operand.on(tape)).collect::<Result<Vec<_>>>()?;
        let values: Vec<_> = operands.iter().map(|&operand| tape.value(operand)).collect();
        let matrices: Vec<_> = values.iter().map(|value| value.as_mat()).collect();
        let operator = NoisyKronecker::new(matrices[1], matrices[2], &matrices[3..], tape.par())?;
        let mut density = tape.take(1, 1);
        density[(0, 0)] = T::from_f64(operator.log_density(matrices[0], tape.par())?);

        let owned = operands.clone();
        let index = tape.record(density, &operands, move |c, pull| {
            let factor = c[(0, 0)];
            pull.recycle(c);
            let gradient = operator.log_density_gradient(pull.value(owned[0]), pull.par)?;
            let amounts = [gradient.y, gradient.signal, gradient.noise].into_iter().chain(gradient.axes);
            owned.iter().zip(amounts).for_each(|(&operand, amount)| pull.give(operand, faer::Scale(factor) * amount));
            Ok(())
        });
        Ok(Self { tape, index })
    }
}
