//! How often intervals hold what they are for.

use super::check;
use crate::{Error, Result};

/// The fraction of observations between a lower and an upper bound, bounds included. Observations that are NaN do not count.
///
/// # Errors
///
/// [`Error::Empty`] without observations; [`Error::Shape`] for slices of different lengths; [`Error::Setting`] for a lower
/// bound that is not at most the upper one.
///
/// # Examples
///
/// ```
/// use mercer::data::metrics::interval_coverage;
///
/// let (lower, upper) = ([0.0, 0.0, 0.0, 0.0], [2.0, 2.0, f64::INFINITY, 2.0]);
/// assert_eq!(interval_coverage(&[0.0, 3.0, 9.0, f64::NAN], &lower, &upper)?, 2.0 / 3.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn interval_coverage(y: &[f64], lower: &[f64], upper: &[f64]) -> Result<f64> {
    check(y, &[("the lower bounds", lower), ("the upper bounds", upper)])?;
    if let Some(row) =
        (0..y.len()).find(|&row| !matches!(lower[row].partial_cmp(&upper[row]), Some(order) if order.is_le()))
    {
        let expected = format!("must be at most the upper bound, which is {}", upper[row]);
        return Err(Error::setting(&format!("the lower bound of row {row}"), lower[row], &expected));
    }
    let seen = || (0..y.len()).filter(|&row| !y[row].is_nan());
    let inside = seen().filter(|&row| lower[row] <= y[row] && y[row] <= upper[row]).count();
    match seen().count() {
        0 => Err(Error::Empty { what: "the observations".to_owned() }),
        count => Ok(inside as f64 / count as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(interval_coverage(&[], &[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(interval_coverage(&[f64::NAN], &[0.0], &[0.0]), Err(Error::Empty { .. })));
        assert!(matches!(interval_coverage(&[0.0], &[0.0], &[0.0, 1.0]), Err(Error::Shape { .. })));
        for (lower, upper) in [(1.0, 0.0), (f64::NAN, 0.0), (0.0, f64::NAN)] {
            assert!(matches!(interval_coverage(&[0.0], &[lower], &[upper]), Err(Error::Setting { .. })));
        }
        assert_eq!(interval_coverage(&[1.0], &[1.0], &[1.0]), Ok(1.0));
    }
}
