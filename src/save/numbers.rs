//! Numbers in rows and columns, in the head of a file or beside it.

use std::borrow::Cow;

use faer::{Mat, MatRef};
use safetensors::{Dtype, View};

use crate::Scalar;
use crate::scalar::ByPrecision;

/// Numbers of one precision by rows, as the files of others have them.
#[derive(Clone, Debug)]
pub struct Array {
    /// One number for a list, two for a matrix.
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

#[derive(Clone, Debug)]
pub(super) enum Values {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Array {
    pub(super) fn list(values: &[f64]) -> Self {
        Self { shape: vec![values.len()], values: Values::Double(values.to_vec()) }
    }

    pub(super) fn matrix<T: Scalar>(matrix: MatRef<'_, T>) -> Self {
        let rows = (0..matrix.nrows()).flat_map(|row| (0..matrix.ncols()).map(move |col| matrix[(row, col)]));
        Self { shape: vec![matrix.nrows(), matrix.ncols()], values: Values::of(rows.collect()) }
    }

    /// The lower half of a square matrix by columns.
    pub(super) fn lower<T: Scalar>(matrix: MatRef<'_, T>) -> Self {
        let n = matrix.nrows();
        let columns = (0..n).flat_map(|col| (col..n).map(move |row| matrix[(row, col)]));
        Self { shape: vec![n * (n + 1) / 2], values: Values::of(columns.collect()) }
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Single(values) => values.len(),
            Values::Double(values) => values.len(),
        }
    }

    fn kind(&self) -> Dtype {
        match self.values {
            Values::Single(_) => Dtype::F32,
            Values::Double(_) => Dtype::F64,
        }
    }

    /// From the bytes of a tensor; `None` for other numbers than floating-point ones, or too few.
    pub(super) fn of_bytes(dtype: Dtype, shape: Vec<usize>, bytes: &[u8]) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?;
        let values = match dtype {
            Dtype::F32 => Values::Single(numbers(bytes, f32::from_le_bytes)),
            Dtype::F64 => Values::Double(numbers(bytes, f64::from_le_bytes)),
            _ => return None,
        };
        let array = Self { shape, values };
        (array.len() == count && bytes.len() == count * array.kind().bitsize() / 8).then_some(array)
    }

    /// All numbers in double precision, in which none changes.
    pub(super) fn doubles(&self) -> Cow<'_, [f64]> {
        match &self.values {
            Values::Single(values) => values.iter().copied().map(f64::from).collect(),
            Values::Double(values) => Cow::Borrowed(values),
        }
    }

    /// The same of what is not needed any more.
    pub(super) fn into_doubles(self) -> Vec<f64> {
        match self.values {
            Values::Single(values) => values.into_iter().map(f64::from).collect(),
            Values::Double(values) => values,
        }
    }
}

/// Its bytes are made one array at a time.
impl View for &Array {
    fn dtype(&self) -> Dtype {
        self.kind()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.values {
            Values::Single(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Double(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn data_len(&self) -> usize {
        self.len() * self.kind().bitsize() / 8
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().copied().map(number).collect()
}

impl Values {
    fn of<T: Scalar>(values: Vec<T>) -> Self {
        T::select::<OfPrecision>(values)
    }
}

struct OfPrecision;

impl ByPrecision for OfPrecision {
    type Input<T: Scalar> = Vec<T>;
    type Output<T: Scalar> = Values;

    fn f32(values: Vec<f32>) -> Values {
        Values::Single(values)
    }

    fn f64(values: Vec<f64>) -> Values {
        Values::Double(values)
    }
}

/// The name of a precision in files.
pub(super) fn precision<T: Scalar>() -> &'static str {
    struct Name;
    impl ByPrecision for Name {
        type Input<T: Scalar> = ();
        type Output<T: Scalar> = &'static str;

        fn f32((): ()) -> &'static str {
            "f32"
        }

        fn f64((): ()) -> &'static str {
            "f64"
        }
    }
    T::select::<Name>(())
}

/// A matrix from its rows.
pub(super) fn from_rows<T: Scalar>(values: &[T], rows: usize, cols: usize) -> Mat<T> {
    Mat::from_fn(rows, cols, |row, col| values[row * cols + col])
}

/// A lower triangle from its columns; `None` if they are too many or too few for one.
pub(super) fn from_lower<T: Scalar>(values: &[T]) -> Option<Mat<T>> {
    let n = ((8.0 * values.len() as f64 + 1.0).sqrt() / 2.0 - 0.5).round() as usize;
    if n.checked_mul(n + 1)? / 2 != values.len() {
        return None;
    }
    let mut matrix = crate::linalg::padded(n, n);
    let mut rest = values.iter();
    for col in 0..n {
        let entries = crate::linalg::column_mut(matrix.as_mut(), col);
        entries[col..].iter_mut().zip(&mut rest).for_each(|(entry, &value)| *entry = value);
    }
    Some(matrix)
}
