//! What data must fulfil before a model looks at it.

use faer::MatRef;

use crate::kernel::{Expr, Kernel, diag_into, text};
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

/// Refuses points that a kernel gives no value: an infinity in a column that it reads, and a NaN there that no mask takes. What it
/// does not read may be anything.
pub(crate) fn check_taken<T: Scalar>(what: &str, x: MatRef<'_, T>, kernel: &dyn Kernel<T>) -> Result<()> {
    fn masks(node: &dyn Expr) -> bool {
        node.name() == "masked" || node.children().into_iter().any(|child| masks(child))
    }
    let inputs = kernel.inputs(x.ncols())?;
    let read = |row: usize| (0..x.ncols()).filter(|&col| inputs.read(col)).map(move |col| (row, col));
    let refused = |row: usize, col: usize| {
        Err(Error::NonFinite { what: what.to_owned(), row, col, value: x[(row, col)].as_f64() })
    };
    let mut missing = Vec::new();
    for row in 0..x.nrows() {
        if let Some((row, col)) = read(row).find(|&at| x[at].as_f64().is_infinite()) {
            return refused(row, col);
        }
        missing.extend(read(row).find(|&at| x[at].is_nan()));
    }
    if missing.is_empty() {
        return Ok(());
    }
    // A mask gives such a point a variance: that is how it is told.
    let mut variances = vec![T::from_f64(0.0); x.nrows()];
    diag_into(kernel, x, &mut variances)?;
    match missing.into_iter().find(|&(row, _)| !variances[row].as_f64().is_finite()) {
        None => Ok(()),
        Some((row, col)) if masks(kernel) => {
            let expected = format!(
                "`{}` has no value there: mask all that reads the column, with `isolate` or `zero`, or remove the row",
                text(kernel)
            );
            Err(Error::setting(&format!("{what}[{row}, {col}]"), "NaN", &expected))
        }
        Some((row, col)) => refused(row, col),
    }
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
