//! The Gaussian log density of several outputs on a grid.

use faer::Mat;

use super::{Tape, Var};
use crate::linalg::NoisyKronecker;
use crate::{Result, Scalar};

impl<'a, T: Scalar> Tape<'a, T> {
    /// log N(vec(Y); 0, B ⊗ K + Σ ⊗ I) with K = K₁ ⊗ … ⊗ K_d, for Y, N × m, with a column for each output, and B
    /// and Σ, m × m: the covariances of signal and noise between outputs that share the correlation K.
    ///
    /// The large matrix is never formed: [`NoisyKronecker`] says how, in which order its rows are, and what it
    /// takes. All of B, Σ and K₁, …, K_d must be symmetric; their lower triangles are read. With them fixed or
    /// not, the reverse has their gradients in closed form.
    ///
    /// # Errors
    ///
    /// Those of [`NoisyKronecker::new`] and [`NoisyKronecker::log_density`].
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
    /// let density = tape.kronecker_log_density(y, b, noise, &[k])?;
    /// let expected = -0.5 * (25.0 / 10.0 + (10.0 * std::f64::consts::TAU).ln());
    /// assert!((tape.scalar(density)? - expected).abs() < 1e-15);
    ///
    /// let gradients = tape.backward(density)?;
    /// let in_k = gradients.scalar(k).unwrap();
    /// assert!((in_k - 2.0 * 0.5 * (25.0 / 100.0 - 1.0 / 10.0)).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn kronecker_log_density(&self, y: Var, signal: Var, noise: Var, axes: &[Var]) -> Result<Var> {
        let values = axes.iter().map(|&axis| self.value(axis)).collect::<Result<Vec<_>>>()?;
        let matrices: Vec<_> = values.iter().map(|value| value.as_mat()).collect();
        let outputs = self.value(y)?;
        let operator =
            NoisyKronecker::new(self.value(signal)?.as_mat(), self.value(noise)?.as_mat(), &matrices, self.par)?;
        let density = operator.log_density(outputs.as_mat(), self.par)?;

        let operands: Vec<Var> = [y, signal, noise].into_iter().chain(axes.iter().copied()).collect();
        let par = self.par;
        let backward = move |c: faer::MatRef<'_, T>| {
            let gradient = operator.log_density_gradient(outputs.as_mat(), par)?;
            let scaled = |matrix: Mat<T>| Some(faer::Scale(c[(0, 0)]) * matrix);
            let first = [gradient.y, gradient.signal, gradient.noise];
            Ok(first.into_iter().chain(gradient.axes).map(scaled).collect())
        };
        self.fallible(&operands, faer::mat![[T::from_f64(density)]], Box::new(backward))
    }
}
