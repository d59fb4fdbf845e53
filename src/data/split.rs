//! Rows for training and rows for testing.

use faer::{Mat, MatRef};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::{Error, Result, Scalar};

/// Indices of rows, in two parts without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The rows to train on, in random order.
    pub train: Vec<usize>,
    /// The rows to test on, in random order.
    pub test: Vec<usize>,
}

/// Splits `n` rows at random, `test` of them for testing.
///
/// # Errors
///
/// [`Error::Setting`] if more rows are to be tested on than there are.
///
/// # Examples
///
/// ```
/// use mercer::data::{rows, split};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let x = Mat::from_fn(5, 1, |row, _| row as f64);
/// let parts = split(5, 2, &mut rand_pcg::Pcg64::seed_from_u64(0))?;
/// let (train, test) = (rows(x.as_ref(), &parts.train)?, rows(x.as_ref(), &parts.test)?);
/// assert_eq!((train.nrows(), test.nrows()), (3, 2));
/// assert_eq!(train.sum() + test.sum(), 10.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn split(n: usize, test: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Split> {
    if test > n {
        return Err(Error::setting("test", test, &format!("must be at most the number of rows, {n}")));
    }
    let mut train: Vec<usize> = (0..n).collect();
    train.shuffle(rng);
    let test = train.split_off(n - test);
    Ok(Split { train, test })
}

/// The rows of an array with these indices, in their order.
///
/// # Errors
///
/// [`Error::Rows`] for an index outside the array.
pub fn rows<T: Scalar>(x: MatRef<'_, T>, indices: &[usize]) -> Result<Mat<T>> {
    if let Some(&row) = indices.iter().find(|&&row| row >= x.nrows()) {
        return Err(Error::rows("the array", row..row + 1, x.nrows()));
    }
    Ok(Mat::from_fn(indices.len(), x.ncols(), |row, col| x[(indices[row], col)]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn parts_are_disjoint_and_complete() {
        let parts = split(100, 30, &mut Pcg64::seed_from_u64(1)).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (70, 30));
        let mut all = [parts.train.clone(), parts.test.clone()].concat();
        assert_ne!(all, (0..100).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert_eq!(parts, split(100, 30, &mut Pcg64::seed_from_u64(1)).unwrap());
        assert_ne!(parts, split(100, 30, &mut Pcg64::seed_from_u64(2)).unwrap());
    }

    #[test]
    fn limits() {
        let mut rng = Pcg64::seed_from_u64(1);
        assert!(split(3, 3, &mut rng).unwrap().train.is_empty());
        assert!(matches!(split(3, 4, &mut rng), Err(Error::Setting { .. })));
        let x = Mat::<f64>::zeros(3, 1);
        assert!(matches!(rows(x.as_ref(), &[0, 3]), Err(Error::Rows { start: 3, len: 3, .. })));
    }
}
