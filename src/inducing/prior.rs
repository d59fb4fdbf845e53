//! The covariance of inducing variables.

use faer::{Mat, MatRef};

use crate::linalg::Jitter;
use crate::tape::{Tape, Var};
use crate::{Error, Result, Scalar};

/// p(u) = N(0, K_uu) on a tape, with K_uu = LLᵀ: L is a Cholesky factor, or the square roots of a
/// diagonal. Then v = L⁻¹u is N(0, I): whitened.
///
/// # Examples
///
/// The same covariance in both forms:
///
/// ```
/// use mercer::inducing::InducingPrior;
/// use mercer::linalg::Jitter;
/// use mercer::prelude::*;
/// use mercer::tape::Tape;
///
/// let tape = Tape::new(Par::Seq);
/// let none = tape.parameter(Mat::<f64>::zeros(0, 1));
/// let k_uf = tape.constant_owned(mat![[6.0], [6.0]]);
///
/// let matrix = tape.parameter(mat![[4.0, 0.0], [0.0, 9.0]]);
/// let dense = InducingPrior::dense(&tape, none, matrix, Jitter::default())?;
/// let variances = tape.parameter(mat![[4.0], [9.0]]);
/// let diagonal = InducingPrior::diagonal(&tape, none, variances)?;
/// for prior in [dense, diagonal] {
///     assert_eq!(tape.value(prior.whiten(&tape, k_uf)?)?.as_mat(), mat![[3.0], [2.0]]);
///     assert!((tape.scalar(prior.half_log_det(&tape)?)? - 6.0f64.ln()).abs() < 1e-15);
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct InducingPrior {
    parameter: Var,
    factor: Factor,
    jitter: f64,
}

#[derive(Clone, Copy, Debug)]
enum Factor {
    /// L
    Lower(Var),
    /// LLᵀ, M × 1
    Diagonal(Var),
}

impl InducingPrior {
    /// A covariance without structure, M × M, of features with these parameters.
    ///
    /// # Errors
    ///
    /// Those of [`Tape::cholesky`].
    pub fn dense<T: Scalar>(tape: &Tape<'_, T>, parameter: Var, k_uu: Var, jitter: Jitter) -> Result<Self> {
        let (factor, jitter) = tape.cholesky(k_uu, jitter)?;
        Ok(Self { parameter, factor: Factor::Lower(factor), jitter })
    }

    /// A diagonal covariance by its entries, M × 1, of features with these parameters.
    ///
    /// It takes no jitter: dividing by the root of an entry is as accurate for a small one as for a
    /// large one. An entry of 0, where a variance has underflowed, is a feature that nothing depends on.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`] for an entry that is negative; [`Error::NonFinite`] for a NaN or
    /// an infinity; [`Error::Shape`] if the entries are not a column; [`Error::Setting`] for a variable
    /// of another tape.
    pub fn diagonal<T: Scalar>(tape: &Tape<'_, T>, parameter: Var, variances: Var) -> Result<Self> {
        let entries = tape.value(variances)?;
        let entries = entries.as_mat();
        if entries.ncols() != 1 {
            let found = (entries.nrows(), entries.ncols());
            return Err(Error::shape("the variances of the inducing features", "one column", found));
        }
        crate::data::check_finite("the variances of the inducing features", entries)?;
        if let Some(pivot) = entries.col(0).iter().position(|&entry| entry < T::from_f64(0.0)) {
            return Err(not_positive(entries, pivot));
        }
        Ok(Self { parameter, factor: Factor::Diagonal(variances), jitter: 0.0 })
    }

    /// The features' parameters: the variable that gets their gradient.
    pub fn parameter(&self) -> Var {
        self.parameter
    }

    /// The entries of a diagonal covariance, M × 1; `None` for a dense one.
    pub fn variances(&self) -> Option<Var> {
        match self.factor {
            Factor::Lower(_) => None,
            Factor::Diagonal(variances) => Some(variances),
        }
    }

    /// The jitter that was added to the diagonal.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// L⁻¹B, for B of M rows: M² operations for each column, M for a diagonal covariance.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have M rows.
    pub fn whiten<T: Scalar>(&self, tape: &Tape<'_, T>, b: Var) -> Result<Var> {
        match self.factor {
            Factor::Lower(l) => tape.solve_lower(l, b),
            Factor::Diagonal(variances) => tape.divide_rows_by_root(b, variances),
        }
    }

    /// L⁻ᵀB, for B of M rows: weights on K_uf from weights on the whitened L⁻¹K_uf.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have M rows.
    pub fn whiten_transpose<T: Scalar>(&self, tape: &Tape<'_, T>, b: Var) -> Result<Var> {
        match self.factor {
            Factor::Lower(l) => tape.solve_lower_transpose(l, b),
            Factor::Diagonal(variances) => tape.divide_rows_by_root(b, variances),
        }
    }

    /// ½ ln det K_uu: 1 × 1.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`] if an entry of a diagonal covariance is 0.
    pub fn half_log_det<T: Scalar>(&self, tape: &Tape<'_, T>) -> Result<Var> {
        match self.factor {
            Factor::Lower(l) => tape.log_diagonal_sum(l),
            Factor::Diagonal(variances) => {
                let entries = tape.value(variances)?;
                let zero = T::from_f64(0.0);
                if let Some(pivot) = entries.as_mat().col(0).iter().position(|&entry| entry == zero) {
                    return Err(not_positive(entries.as_mat(), pivot));
                }
                tape.scale(tape.sum(tape.ln(variances)?)?, 0.5)
            }
        }
    }

    /// The same off the tape.
    pub(crate) fn store<T: Scalar>(&self, tape: &Tape<'_, T>) -> Result<StoredPrior<T>> {
        let owned = |var| -> Result<Mat<T>> { Ok(tape.value(var)?.as_mat().to_owned()) };
        let (factor, is_diagonal) = match self.factor {
            Factor::Lower(l) => (owned(l)?, false),
            Factor::Diagonal(variances) => (owned(variances)?, true),
        };
        Ok(StoredPrior { parameter: owned(self.parameter)?, factor, is_diagonal, jitter: self.jitter })
    }
}

fn not_positive<T: Scalar>(entries: MatRef<'_, T>, pivot: usize) -> Error {
    let sum: f64 = entries.col(0).iter().map(|&entry| entry.as_f64()).sum();
    Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal: sum / entries.nrows() as f64 }
}

/// An [`InducingPrior`] that has outlived its tape.
#[derive(Clone, Debug)]
pub(crate) struct StoredPrior<T: Scalar> {
    parameter: Mat<T>,
    factor: Mat<T>,
    is_diagonal: bool,
    jitter: f64,
}

impl<T: Scalar> StoredPrior<T> {
    /// With a Cholesky factor from elsewhere.
    pub(crate) fn dense(parameter: Mat<T>, factor: Mat<T>, jitter: f64) -> Self {
        Self { parameter, factor, is_diagonal: false, jitter }
    }

    /// On another tape, as constants.
    pub(crate) fn on<'a>(&'a self, tape: &Tape<'a, T>) -> InducingPrior {
        let factor = tape.constant(self.factor.as_ref());
        let factor = if self.is_diagonal { Factor::Diagonal(factor) } else { Factor::Lower(factor) };
        InducingPrior { parameter: tape.constant(self.parameter.as_ref()), factor, jitter: self.jitter }
    }

    pub(crate) fn jitter(&self) -> f64 {
        self.jitter
    }
}
