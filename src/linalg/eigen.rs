//! The eigendecomposition of a symmetric matrix.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Par};

use super::checks::{check_lower_finite, check_square};
use super::storage::padded;
use crate::{Error, Result, Scalar};

/// A = V diag(λ) Vᵀ for a symmetric A, with orthonormal columns of V and λ in ascending order.
///
/// About 9n³ operations, on one thread: the tridiagonalisation adds up in an order that would depend on their
/// number.
///
/// # Examples
///
/// ```
/// use mercer::linalg::Eigendecomposition;
/// use mercer::prelude::*;
///
/// let a = mat![[2.0, 1.0], [1.0, 2.0]];
/// let eigen = Eigendecomposition::new(a.as_ref())?;
/// assert!((eigen.values()[0] - 1.0).abs() < 1e-15 && (eigen.values()[1] - 3.0).abs() < 1e-15);
///
/// let v = eigen.vectors();
/// let scaled = Mat::from_fn(2, 2, |i, j| v[(i, j)] * eigen.values()[j]);
/// assert!((scaled * v.transpose() - a).norm_max() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Eigendecomposition<T: Scalar> {
    values: Vec<T>,
    vectors: Mat<T>,
}

/// Eigenvalues below this times the number of rows times the largest, in units of the rounding error, are what
/// rounding has left of 0.
const ZERO: f64 = 4.0;

impl<T: Scalar> Eigendecomposition<T> {
    /// Decomposes the symmetric matrix whose lower triangle is given.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it is not square; [`Error::NonFinite`] for a NaN or an infinity in the lower triangle;
    /// [`Error::Setting`] if the iteration does not converge.
    pub fn new(matrix: MatRef<'_, T>) -> Result<Self> {
        let what = "the matrix to decompose";
        check_square(what, matrix)?;
        check_lower_finite(what, matrix)?;
        let n = matrix.nrows();
        let mut vectors = padded(n, n);
        let mut values = Diag::zeros(n);
        if n > 0 {
            let scratch = self_adjoint_evd_scratch::<T>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default());
            let mut buffer = MemBuffer::new(scratch);
            let stack = MemStack::new(&mut buffer);
            let done =
                self_adjoint_evd(matrix, values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default());
            if done.is_err() {
                let found = "one whose eigenvalues do not converge";
                return Err(Error::setting(what, found, "must have eigenvalues within reach"));
            }
        }
        Ok(Self { values: values.column_vector().iter().copied().collect(), vectors })
    }

    /// One that was made before.
    #[cfg(feature = "serde")]
    pub(crate) fn of_parts(values: Vec<T>, vectors: Mat<T>) -> Result<Self> {
        let n = values.len();
        if vectors.shape() != (n, n) {
            return Err(Error::shape("the eigenvectors", format!("{n} x {n}"), vectors.shape()));
        }
        Ok(Self { values, vectors })
    }

    /// That of a positive semi-definite matrix: eigenvalues that rounding has made negative are 0.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`Error::Setting`] for an eigenvalue below −4nε times the largest, with the
    /// machine epsilon ε and n rows.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::linalg::Eigendecomposition;
    /// use mercer::prelude::*;
    ///
    /// let singular = Mat::full(5, 5, 0.1);
    /// let eigen = Eigendecomposition::positive_semidefinite("the covariance", singular.as_ref())?;
    /// assert!(eigen.values().iter().all(|&value| value >= 0.0));
    ///
    /// let refused = Eigendecomposition::positive_semidefinite("the covariance", mat![[0.0, 1.0], [1.0, 0.0]].as_ref());
    /// assert!(refused.unwrap_err().to_string().starts_with("the covariance"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn positive_semidefinite(what: &str, matrix: MatRef<'_, T>) -> Result<Self> {
        check_square(what, matrix)?;
        check_lower_finite(what, matrix)?;
        let mut eigen = Self::new(matrix)?;
        let largest = eigen.values.iter().fold(0.0, |largest: f64, value| largest.max(value.as_f64().abs()));
        let rounding = ZERO * T::epsilon().as_f64() * matrix.nrows() as f64 * largest;
        if let Some(negative) = eigen.values.iter().map(|value| value.as_f64()).find(|&value| value < -rounding) {
            let found = format!("a matrix with the eigenvalue {negative:e}");
            return Err(Error::setting(what, found, "must be positive semi-definite"));
        }
        eigen.values.iter_mut().for_each(|value| *value = num_traits::Float::max(*value, T::from_f64(0.0)));
        Ok(eigen)
    }

    /// λ, in ascending order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// V, whose column i belongs to λᵢ.
    pub fn vectors(&self) -> MatRef<'_, T> {
        self.vectors.as_ref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn decomposes<T: Scalar>(tolerance: f64) {
        for n in [0, 1, 2, 7, 40, 150] {
            let a =
                Mat::from_fn(n, n, |i, j| T::from_f64(((i + 1) * (j + 1) % 7) as f64 - 2.0 + 1.0 / (1 + i + j) as f64));
            let eigen = Eigendecomposition::new(a.as_ref()).unwrap();
            let v = eigen.vectors();
            let scaled = Mat::from_fn(n, n, |i, j| v[(i, j)] * eigen.values()[j]);
            assert!((scaled * v.transpose() - &a).norm_max().as_f64() <= tolerance * (1 + n) as f64, "{n}");
            assert!((v.transpose() * v - Mat::<T>::identity(n, n)).norm_max().as_f64() <= tolerance, "{n}");
            assert!(eigen.values().is_sorted());
        }
    }

    #[test]
    fn the_product_is_the_matrix() {
        decomposes::<f64>(1e-13);
        decomposes::<f32>(1e-4);
    }

    #[test]
    fn what_has_no_decomposition_is_refused() {
        let refused = |a: Mat<f64>| Eigendecomposition::new(a.as_ref()).unwrap_err();
        assert!(matches!(refused(Mat::zeros(2, 3)), Error::Shape { found: (2, 3), .. }));
        assert!(matches!(refused(Mat::full(2, 2, f64::NAN)), Error::NonFinite { row: 0, col: 0, .. }));
    }
}
