//! Matrices from whatever holds one.

use std::sync::Arc;

use faer::{Mat, MatRef};

use crate::Scalar;

/// What [`Data`](super::Data) are made of: a matrix, a view of one; numbers, which are one column; or rows of as many numbers
/// each. With the features `ndarray` and `nalgebra`, arrays and matrices of these libraries. Rows whose lengths are not known
/// before are for [`data::from_rows`](crate::data::from_rows).
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let rows = vec![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
/// let data = Data::new(rows, [0.3, 0.1, 0.7]);
/// assert_eq!(data.x(), mat![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]);
/// ```
///
/// Those of other libraries, with their features; `predict` takes a view, which `mercer::faer_ext` makes without a copy:
///
/// ```
/// # #[cfg(feature = "ndarray")] {
/// use mercer::faer_ext::{IntoFaer, IntoNdarray};
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
///
/// let (x, y) = (ndarray::array![[0.0], [1.0]], ndarray::array![0.3, 1.0]);
/// let posterior = ExactGp::new(Rbf::new(1.0)).condition(&Data::new(&x, &y))?;
/// let found = posterior.predict(x.view().into_faer())?;
/// let means: ndarray::ArrayView2<'_, f64> = found.mean.as_ref().into_ndarray();
/// assert_eq!(means[[1, 0]], found.mean[(1, 0)]);
/// # }
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait IntoMatrix<T: Scalar> {
    /// The matrix: an owned or shared one as it is, a view as a copy.
    fn into_matrix(self) -> Arc<Mat<T>>;
}

impl<T: Scalar> IntoMatrix<T> for Arc<Mat<T>> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self
    }
}

impl<T: Scalar> IntoMatrix<T> for Mat<T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.into()
    }
}

impl<T: Scalar> IntoMatrix<T> for MatRef<'_, T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.to_owned().into()
    }
}

impl<T: Scalar> IntoMatrix<T> for &Mat<T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.clone().into()
    }
}

impl<T: Scalar> IntoMatrix<T> for &[T] {
    fn into_matrix(self) -> Arc<Mat<T>> {
        crate::data::column(self).into_matrix()
    }
}

impl<T: Scalar, const N: usize> IntoMatrix<T> for &[T; N] {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.as_slice().into_matrix()
    }
}

impl<T: Scalar, const N: usize> IntoMatrix<T> for [T; N] {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.as_slice().into_matrix()
    }
}

impl<T: Scalar> IntoMatrix<T> for &Vec<T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.as_slice().into_matrix()
    }
}

impl<T: Scalar> IntoMatrix<T> for Vec<T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.as_slice().into_matrix()
    }
}

impl<T: Scalar, const D: usize> IntoMatrix<T> for &[[T; D]] {
    fn into_matrix(self) -> Arc<Mat<T>> {
        Mat::from_fn(self.len(), D, |row, col| self[row][col]).into()
    }
}

impl<T: Scalar, const D: usize> IntoMatrix<T> for &Vec<[T; D]> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.as_slice().into_matrix()
    }
}

impl<T: Scalar, const D: usize> IntoMatrix<T> for Vec<[T; D]> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.as_slice().into_matrix()
    }
}

#[cfg(feature = "ndarray")]
impl<T: Scalar> IntoMatrix<T> for ndarray::ArrayView2<'_, T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        Mat::from_fn(self.nrows(), self.ncols(), |row, col| self[[row, col]]).into()
    }
}

#[cfg(feature = "ndarray")]
impl<T: Scalar> IntoMatrix<T> for ndarray::ArrayView1<'_, T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        Mat::from_fn(self.len(), 1, |row, _| self[row]).into()
    }
}

#[cfg(feature = "ndarray")]
impl<T: Scalar> IntoMatrix<T> for &ndarray::Array2<T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.view().into_matrix()
    }
}

#[cfg(feature = "ndarray")]
impl<T: Scalar> IntoMatrix<T> for &ndarray::Array1<T> {
    fn into_matrix(self) -> Arc<Mat<T>> {
        self.view().into_matrix()
    }
}

#[cfg(feature = "nalgebra")]
impl<T: Scalar, R, C, S> IntoMatrix<T> for &nalgebra::Matrix<T, R, C, S>
where
    R: nalgebra::Dim,
    C: nalgebra::Dim,
    S: nalgebra::RawStorage<T, R, C>,
{
    fn into_matrix(self) -> Arc<Mat<T>> {
        Mat::from_fn(self.nrows(), self.ncols(), |row, col| self[(row, col)]).into()
    }
}
