//! What data must fulfil before a model looks at it.

use faer::MatRef;

use crate::{Error, Result, Scalar};

/// Refuses an array with nothing in it, or with a NaN or an infinity.
///
/// # Errors
///
/// [`Error::Empty`], or [`Error::NonFinite`] with the first such entry, row by row; both under the
/// name given.
///
/// # Examples
///
/// ```
/// use mercer::data::check_finite;
/// use mercer::prelude::*;
///
/// let x = mat![[1.0, 2.0], [f64::NAN, f64::INFINITY]];
/// assert!(matches!(check_finite("x", x.as_ref()), Err(Error::NonFinite { row: 1, col: 0, .. })));
/// assert!(check_finite("x", x.as_ref().subrows(0, 1)).is_ok());
/// ```
pub fn check_finite<T: Scalar>(what: &str, array: MatRef<'_, T>) -> Result<()> {
    if array.nrows() == 0 || array.ncols() == 0 {
        return Err(Error::Empty { what: what.to_owned() });
    }
    for row in 0..array.nrows() {
        for col in 0..array.ncols() {
            let value = array[(row, col)].as_f64();
            if !value.is_finite() {
                return Err(Error::NonFinite { what: what.to_owned(), row, col, value });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    #[test]
    fn the_first_entry_is_by_rows() {
        let mut x = Mat::<f32>::zeros(3, 2);
        x[(2, 0)] = f32::NAN;
        x[(1, 1)] = f32::NEG_INFINITY;
        let expected = Error::NonFinite { what: "x".into(), row: 1, col: 1, value: f64::NEG_INFINITY };
        assert_eq!(check_finite("x", x.as_ref()), Err(expected));
    }

    #[test]
    fn nothing_is_empty() {
        for (rows, cols) in [(0, 2), (2, 0)] {
            let x = Mat::<f64>::zeros(rows, cols);
            assert_eq!(check_finite("x", x.as_ref()), Err(Error::Empty { what: "x".into() }));
        }
    }
}
