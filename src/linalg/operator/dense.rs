//! Matrices without structure.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par};

use super::{Operator, check_rows, copied};
use crate::linalg::{Cholesky, Jitter, padded};
use crate::{Result, Scalar};

/// A matrix without structure, by its Cholesky factor. The operator is A + jitter·I.
#[derive(Clone, Debug)]
pub struct Dense<T: Scalar>(Cholesky<T>);

impl<T: Scalar> Dense<T> {
    /// Factorises a symmetric matrix, whose lower triangle is read.
    ///
    /// # Errors
    ///
    /// Those of [`Cholesky::new`].
    pub fn new(matrix: MatRef<'_, T>, jitter: Jitter, par: Par) -> Result<Self> {
        Cholesky::new(matrix, jitter, par).map(Self)
    }

    /// The factorisation.
    pub fn cholesky(&self) -> &Cholesky<T> {
        &self.0
    }
}

impl<T: Scalar> From<Cholesky<T>> for Dense<T> {
    fn from(cholesky: Cholesky<T>) -> Self {
        Self(cholesky)
    }
}

impl<T: Scalar> Operator<T> for Dense<T> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        use BlockStructure::{Rectangular, TriangularLower, TriangularUpper};
        check_rows(self.dim(), b)?;
        let (l, one) = (self.0.factor(), T::from_f64(1.0));
        let mut half = padded(b.nrows(), b.ncols());
        matmul(half.as_mut(), Rectangular, Accum::Replace, l.transpose(), TriangularUpper, b, Rectangular, one, par);
        let mut out = padded(b.nrows(), b.ncols());
        matmul(out.as_mut(), Rectangular, Accum::Replace, l, TriangularLower, half.as_ref(), Rectangular, one, par);
        Ok(out)
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        self.0.solve_in_place(out.as_mut(), par)?;
        Ok(out)
    }

    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        self.0.solve_lower_in_place(out.as_mut(), par)?;
        Ok(out)
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        self.0.solve_upper_in_place(out.as_mut(), par)?;
        Ok(out)
    }

    fn log_det(&self) -> f64 {
        self.0.log_det()
    }
}
