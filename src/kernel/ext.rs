//! What users call on a kernel.

use faer::{Mat, MatMut, MatRef, Par};

use super::{Gradients, Kernel, Wanted};
use crate::{Error, Result, Scalar};

/// Matrices from a kernel, and kernels on transformed inputs: for every [`Kernel`].
///
/// The allocating forms use all threads of the current rayon pool for large matrices; the `…_into`
/// forms write where they are told and run as parallel as they are told. The bits are the same.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 0.5 * Rbf::new(1.0) + Linear::new(2.0).on([1]);
/// let x = mat![[0.0, 1.0], [1.0, 2.0], [4.0, 0.0]];
///
/// let gram = kernel.gram(x.as_ref())?;
/// let cross = kernel.cross(x.as_ref(), x.as_ref().subrows(0, 1))?;
/// let diag = kernel.diag(x.as_ref())?;
/// assert_eq!(gram[(2, 0)], cross[(2, 0)]);
/// assert_eq!(diag, [2.5, 8.5, 0.5]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait KernelExt<T: Scalar>: Kernel<T> + Sized {
    /// k(x, y) for two points.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the two differ in dimension; [`Error::Dimension`] if the kernel cannot
    /// read points of this dimension; [`Error::Index`] if it reads an index where there is none.
    fn eval(&self, x: &[T], y: &[T]) -> Result<T> {
        super::check_points(self, "x", MatRef::from_row_major_slice(x, 1, x.len()))?;
        if x.len() != y.len() {
            return Err(Error::shape("y", format!("{} coordinate(s), as x has", x.len()), (1, y.len())));
        }
        super::index::check_indices(&self.inputs(x.len())?, "y", MatRef::from_row_major_slice(y, 1, y.len()))?;
        Ok(self.pairwise(x, y))
    }

    /// k(x, zⱼ) for one point and every row of Z.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross_vector(&self, x: &[T], z: MatRef<'_, T>) -> Result<Vec<T>> {
        let mut out = vec![T::from_f64(0.0); z.nrows()];
        self.cross_vector_into(x, z, &mut out)?;
        Ok(out)
    }

    /// Writes k(x, zⱼ) for one point and every row of Z into `out`.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross_vector_into(&self, x: &[T], z: MatRef<'_, T>, out: &mut [T]) -> Result<()> {
        if x.len() != z.ncols() {
            return Err(Error::shape("x", format!("{} coordinate(s), as z has", z.ncols()), (1, x.len())));
        }
        // A kernel is symmetric: as a column, the vector lies along the direction of the SIMD lanes.
        let rows = out.len();
        let out = MatMut::from_column_major_slice_mut(out, rows, 1);
        super::cross_into(self, z, MatRef::from_row_major_slice(x, 1, x.len()), out, Par::Seq)
    }

    /// K(X, Z), n × m.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross(&self, x: MatRef<'_, T>, z: MatRef<'_, T>) -> Result<Mat<T>> {
        let mut out = Mat::zeros(x.nrows(), z.nrows());
        super::cross_into(self, x, z, out.as_mut(), Par::rayon(0))?;
        Ok(out)
    }

    /// Writes K(X, Z) into `out`.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross_into(&self, x: MatRef<'_, T>, z: MatRef<'_, T>, out: MatMut<'_, T>, par: Par) -> Result<()> {
        super::cross_into(self, x, z, out, par)
    }

    /// K(X, X), n × n, exactly symmetric.
    ///
    /// # Errors
    ///
    /// As [`gram_into`](super::gram_into).
    fn gram(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        let mut out = Mat::zeros(x.nrows(), x.nrows());
        super::gram_into(self, x, out.as_mut(), Par::rayon(0))?;
        Ok(out)
    }

    /// Writes K(X, X) into `out`.
    ///
    /// # Errors
    ///
    /// As [`gram_into`](super::gram_into).
    fn gram_into(&self, x: MatRef<'_, T>, out: MatMut<'_, T>, par: Par) -> Result<()> {
        super::gram_into(self, x, out, par)
    }

    /// The diagonal of K(X, X).
    ///
    /// # Errors
    ///
    /// As [`diag_into`](super::diag_into).
    fn diag(&self, x: MatRef<'_, T>) -> Result<Vec<T>> {
        let mut out = vec![T::from_f64(0.0); x.nrows()];
        super::diag_into(self, x, &mut out)?;
        Ok(out)
    }

    /// Writes the diagonal of K(X, X) into `out`.
    ///
    /// # Errors
    ///
    /// As [`diag_into`](super::diag_into).
    fn diag_into(&self, x: MatRef<'_, T>, out: &mut [T]) -> Result<()> {
        super::diag_into(self, x, out)
    }

    /// K(X, Z) V, without storing K.
    ///
    /// # Errors
    ///
    /// As [`matmul_into`](super::matmul_into).
    fn matmul(&self, x: MatRef<'_, T>, z: MatRef<'_, T>, v: MatRef<'_, T>) -> Result<Mat<T>> {
        let mut out = Mat::zeros(x.nrows(), v.ncols());
        super::matmul_into(self, x, z, v, out.as_mut(), Par::rayon(0))?;
        Ok(out)
    }

    /// Writes K(X, Z) V into `out`, without storing K.
    ///
    /// # Errors
    ///
    /// As [`matmul_into`](super::matmul_into).
    fn matmul_into(
        &self,
        x: MatRef<'_, T>,
        z: MatRef<'_, T>,
        v: MatRef<'_, T>,
        out: MatMut<'_, T>,
        par: Par,
    ) -> Result<()> {
        super::matmul_into(self, x, z, v, out, par)
    }

    /// Gradients of Σ W ∘ K(X, X): see [`gram_vjp`](super::gram_vjp).
    ///
    /// # Errors
    ///
    /// As [`gram_vjp`](super::gram_vjp).
    fn gram_vjp(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>, wanted: Wanted) -> Result<Gradients<T>> {
        super::gram_vjp(self, x, cotangent, wanted, Par::rayon(0))
    }

    /// Gradients of Σ W ∘ K(X, Z): see [`cross_vjp`](super::cross_vjp).
    ///
    /// # Errors
    ///
    /// As [`cross_vjp`](super::cross_vjp).
    fn cross_vjp(
        &self,
        x: MatRef<'_, T>,
        z: MatRef<'_, T>,
        cotangent: MatRef<'_, T>,
        wanted: Wanted,
    ) -> Result<Gradients<T>> {
        super::cross_vjp(self, x, z, cotangent, wanted, Par::rayon(0))
    }
}

impl<T: Scalar, K: Kernel<T>> KernelExt<T> for K {}
