//! Observations of which some are missing.

use std::borrow::Cow;

use faer::{Mat, MatRef};

use crate::gp::checks::check_count;
use crate::gp::data::Data;
use crate::mean::{DynMean, Mean, MeanExpr};
use crate::{Error, Result, Scalar};

/// The rows that were observed, where some were not.
pub(super) struct Observed<'a, T: Scalar> {
    rows: Option<Rows<T>>,
    all: (MatRef<'a, T>, &'a [T]),
}

struct Rows<T: Scalar> {
    which: Vec<usize>,
    x: Mat<T>,
    y: Vec<T>,
}

impl<'a, T: Scalar> Observed<'a, T> {
    /// Those where y is not NaN.
    pub(super) fn of(x: MatRef<'a, T>, y: &'a [T]) -> Self {
        let all = (x, y);
        if !y.iter().any(|y| y.is_nan()) {
            return Self { rows: None, all };
        }
        let which: Vec<usize> = (0..y.len()).filter(|&row| !y[row].is_nan()).collect();
        let x = Mat::from_fn(which.len(), x.ncols(), |row, col| x[(which[row], col)]);
        let y = which.iter().map(|&row| y[row]).collect();
        Self { rows: Some(Rows { which, x, y }), all }
    }

    pub(super) fn x(&self) -> MatRef<'_, T> {
        self.rows.as_ref().map_or(self.all.0, |rows| rows.x.as_ref())
    }

    pub(super) fn y(&self) -> &[T] {
        self.rows.as_ref().map_or(self.all.1, |rows| &rows.y)
    }

    /// Which rows they are, if they are not all.
    pub(super) fn rows(&self) -> Option<&[usize]> {
        self.rows.as_ref().map(|rows| &*rows.which)
    }

    /// How many rows there are, with those that were not.
    pub(super) fn of_all(&self) -> usize {
        self.all.1.len()
    }

    /// What there is for these rows, of something for each.
    pub(super) fn take<V: Copy>(&self, of_all: Vec<V>) -> Vec<V> {
        match self.rows() {
            None => of_all,
            Some(rows) => rows.iter().map(|&row| of_all[row]).collect(),
        }
    }
}

/// The rows of data that were observed.
pub(super) fn observed<T: Scalar>(data: &Data<T>) -> Result<Cow<'_, Data<T>>> {
    let y = data.stacked(1)?;
    let seen = Observed::of(data.x(), &y);
    Ok(match seen.rows() {
        None => Cow::Borrowed(data),
        Some(_) => Cow::Owned(Data::new(seen.x(), seen.y())),
    })
}

/// Refuses another number of observations than there are inputs, infinite ones, and none at all.
pub(super) fn check<T: Scalar>(x: MatRef<'_, T>, y: &[T]) -> Result<()> {
    check_count(x, y, 1)?;
    if let Some(row) = y.iter().position(|y| y.is_infinite()) {
        return Err(Error::NonFinite { what: "y".to_owned(), row, col: 0, value: y[row].as_f64() });
    }
    match y.iter().all(|y| y.is_nan()) {
        true => Err(Error::Empty { what: "what was observed, where y is not NaN,".to_owned() }),
        false => Ok(()),
    }
}

/// What the mean leaves of observations.
pub(in crate::gp) fn residuals<T: Scalar>(mean: &DynMean, x: MatRef<'_, T>, y: &[T]) -> Vec<f64> {
    if mean.is_zero() {
        return y.iter().map(|y| y.as_f64()).collect();
    }
    let mut means = vec![T::from_f64(0.0); y.len()];
    mean.mean_into(x, &mut means);
    y.iter().zip(means).map(|(&y, mean)| (y - mean).as_f64()).collect()
}
