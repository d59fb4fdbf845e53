//! A matrix from its rows.

use faer::Mat;

use crate::{Error, Result, Scalar};

/// The matrix of these rows, from slices, vectors or what else has numbers in order, one after the other: from a file, or a
/// queue. No rows give a matrix without rows or columns.
///
/// # Errors
///
/// [`Error::Shape`] for a row that is longer or shorter than the first.
///
/// # Examples
///
/// ```
/// use mercer::data::from_rows;
/// use mercer::prelude::*;
///
/// let text = "0.5 1\n2 -3";
/// let parsed = text.lines().map(|line| line.split(' ').map(|word| word.parse().unwrap_or(f64::NAN)).collect::<Vec<_>>());
/// assert_eq!(from_rows(parsed)?, mat![[0.5, 1.0], [2.0, -3.0]]);
/// assert!(from_rows([vec![1.0, 2.0], vec![1.0]]).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn from_rows<T: Scalar, R: AsRef<[T]>>(rows: impl IntoIterator<Item = R>) -> Result<Mat<T>> {
    let (mut values, mut width, mut count) = (Vec::new(), 0, 0);
    for row in rows {
        let row = row.as_ref();
        if count == 0 {
            width = row.len();
        }
        if row.len() != width {
            return Err(Error::shape(
                &format!("row {count}"),
                format!("{width} value(s), as row 0 has"),
                (1, row.len()),
            ));
        }
        values.extend_from_slice(row);
        count += 1;
    }
    Ok(Mat::from_fn(count, width, |row, col| values[row * width + col]))
}
