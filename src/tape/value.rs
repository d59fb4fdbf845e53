//! What a tape holds: owned results and borrowed data.

use std::fmt;
use std::rc::Rc;

use faer::{Mat, MatRef};

use crate::Scalar;

enum Storage<'a, T: Scalar> {
    Owned(Mat<T>),
    Borrowed(MatRef<'a, T>),
}

/// The value of a variable: a shared handle, valid for as long as it is kept.
pub struct Value<'a, T: Scalar>(Rc<Storage<'a, T>>);

impl<'a, T: Scalar> Value<'a, T> {
    pub(super) fn owned(matrix: Mat<T>) -> Self {
        Self(Rc::new(Storage::Owned(matrix)))
    }

    pub(super) fn borrowed(matrix: MatRef<'a, T>) -> Self {
        Self(Rc::new(Storage::Borrowed(matrix)))
    }

    /// The matrix.
    pub fn as_mat(&self) -> MatRef<'_, T> {
        match &*self.0 {
            Storage::Owned(matrix) => matrix.as_ref(),
            Storage::Borrowed(matrix) => *matrix,
        }
    }

    /// The matrix itself, if it is owned and no other handle shows it.
    pub(super) fn into_owned(self) -> Option<Mat<T>> {
        match Rc::try_unwrap(self.0) {
            Ok(Storage::Owned(matrix)) => Some(matrix),
            _ => None,
        }
    }
}

impl<T: Scalar> Clone for Value<'_, T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: Scalar> fmt::Debug for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_mat().fmt(f)
    }
}
