//! What users call on a kernel.

use faer::mat::AsMatRef;
use faer::{Mat, MatMut, MatRef, Par};

use super::{GradientRequest, Gradients, Kernel};
use crate::{Error, Result, Scalar};

/// What is taken for a matrix: a `Mat`, a reference to one, or a view, of any strides.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let (kernel, x) = (Linear::new(2.0), mat![[1.0], [3.0]]);
/// assert_eq!(kernel.gram(&x)?, kernel.gram(x.as_ref())?);
/// assert_eq!(kernel.gram(mat![[1.0, 2.0]])?, mat![[10.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a matrix of `{T}`",
    label = "pass `&x`, `x.as_ref()`, or a matrix like `mat![[1.0], [2.0]]`, one point a row"
)]
pub trait MatrixView<T>: AsMatRef<T = T, Rows = usize, Cols = usize> {}

impl<T, M: AsMatRef<T = T, Rows = usize, Cols = usize>> MatrixView<T> for M {}

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
/// let gram = kernel.gram(&x)?;
/// let cross = kernel.cross(&x, x.subrows(0, 1))?;
/// let diag = kernel.diag(&x)?;
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
        super::check_pair(self, x, y)?;
        Ok(self.pairwise(x, y))
    }

    /// k(x, zⱼ) for one point and every row of Z.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross_vector(&self, x: &[T], z: impl MatrixView<T>) -> Result<Vec<T>> {
        let z = z.as_mat_ref();
        let mut out = vec![T::from_f64(0.0); z.nrows()];
        self.cross_vector_into(x, z, &mut out)?;
        Ok(out)
    }

    /// Writes k(x, zⱼ) for one point and every row of Z into `out`.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross_vector_into(&self, x: &[T], z: impl MatrixView<T>, out: &mut [T]) -> Result<()> {
        let z = z.as_mat_ref();
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
    fn cross(&self, x: impl MatrixView<T>, z: impl MatrixView<T>) -> Result<Mat<T>> {
        let (x, z) = (x.as_mat_ref(), z.as_mat_ref());
        let mut out = Mat::zeros(x.nrows(), z.nrows());
        super::cross_into(self, x, z, out.as_mut(), Par::rayon(0))?;
        Ok(out)
    }

    /// Writes K(X, Z) into `out`.
    ///
    /// # Errors
    ///
    /// As [`cross_into`](super::cross_into).
    fn cross_into(&self, x: impl MatrixView<T>, z: impl MatrixView<T>, out: MatMut<'_, T>, par: Par) -> Result<()> {
        let (x, z) = (x.as_mat_ref(), z.as_mat_ref());
        super::cross_into(self, x, z, out, par)
    }

    /// K(X, X), n × n, exactly symmetric.
    ///
    /// # Errors
    ///
    /// As [`gram_into`](super::gram_into).
    fn gram(&self, x: impl MatrixView<T>) -> Result<Mat<T>> {
        let x = x.as_mat_ref();
        let mut out = Mat::zeros(x.nrows(), x.nrows());
        super::gram_into(self, x, out.as_mut(), Par::rayon(0))?;
        Ok(out)
    }

    /// Writes K(X, X) into `out`.
    ///
    /// # Errors
    ///
    /// As [`gram_into`](super::gram_into).
    fn gram_into(&self, x: impl MatrixView<T>, out: MatMut<'_, T>, par: Par) -> Result<()> {
        let x = x.as_mat_ref();
        super::gram_into(self, x, out, par)
    }

    /// The diagonal of K(X, X).
    ///
    /// # Errors
    ///
    /// As [`diag_into`](super::diag_into).
    fn diag(&self, x: impl MatrixView<T>) -> Result<Vec<T>> {
        let x = x.as_mat_ref();
        let mut out = vec![T::from_f64(0.0); x.nrows()];
        super::diag_into(self, x, &mut out)?;
        Ok(out)
    }

    /// Writes the diagonal of K(X, X) into `out`.
    ///
    /// # Errors
    ///
    /// As [`diag_into`](super::diag_into).
    fn diag_into(&self, x: impl MatrixView<T>, out: &mut [T]) -> Result<()> {
        let x = x.as_mat_ref();
        super::diag_into(self, x, out)
    }

    /// K(X, Z) V, without storing K.
    ///
    /// # Errors
    ///
    /// As [`matmul_into`](super::matmul_into).
    fn matmul(&self, x: impl MatrixView<T>, z: impl MatrixView<T>, v: impl MatrixView<T>) -> Result<Mat<T>> {
        let (x, z, v) = (x.as_mat_ref(), z.as_mat_ref(), v.as_mat_ref());
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
        x: impl MatrixView<T>,
        z: impl MatrixView<T>,
        v: impl MatrixView<T>,
        out: MatMut<'_, T>,
        par: Par,
    ) -> Result<()> {
        let (x, z, v) = (x.as_mat_ref(), z.as_mat_ref(), v.as_mat_ref());
        super::matmul_into(self, x, z, v, out, par)
    }

    /// Gradients of Σ W ∘ K(X, X): see [`gram_vjp`](super::gram_vjp).
    ///
    /// # Errors
    ///
    /// As [`gram_vjp`](super::gram_vjp).
    fn gram_vjp(
        &self,
        x: impl MatrixView<T>,
        cotangent: impl MatrixView<T>,
        wanted: GradientRequest,
    ) -> Result<Gradients<T>> {
        let (x, cotangent) = (x.as_mat_ref(), cotangent.as_mat_ref());
        super::gram_vjp(self, x, cotangent, wanted, Par::rayon(0))
    }

    /// Gradients of Σ W ∘ K(X, Z): see [`cross_vjp`](super::cross_vjp).
    ///
    /// # Errors
    ///
    /// As [`cross_vjp`](super::cross_vjp).
    fn cross_vjp(
        &self,
        x: impl MatrixView<T>,
        z: impl MatrixView<T>,
        cotangent: impl MatrixView<T>,
        wanted: GradientRequest,
    ) -> Result<Gradients<T>> {
        let (x, z, cotangent) = (x.as_mat_ref(), z.as_mat_ref(), cotangent.as_mat_ref());
        super::cross_vjp(self, x, z, cotangent, wanted, Par::rayon(0))
    }
}

impl<T: Scalar, K: Kernel<T>> KernelExt<T> for K {}
