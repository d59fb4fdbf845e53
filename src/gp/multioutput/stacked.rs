//! Several outputs as the rows of one table.

use faer::{Mat, MatRef};

use crate::data::check_finite;
use crate::gp::Prediction;
use crate::{Error, Result, Scalar};

/// Observations of several outputs as rows (x, p) with one value each, p the index of the output: what kernels of
/// indices, such as [`icm`](crate::algebra::icm), read, and what any model of one output takes.
///
/// Outputs may be observed at inputs of their own, or at shared inputs with some values missing: a row that was not
/// observed is not there. The order is that of the outputs, all points of the first output first.
///
/// # Examples
///
/// Two outputs that are one function and its double, the second seen at two inputs alone:
///
/// ```
/// use mercer::algebra::icm;
/// use mercer::gp::{ExactGp, Stacked};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(9, 1, |i, _| 0.5 * i as f64);
/// let seen = |i: usize, p: usize| p == 0 || i == 0 || i == 8;
/// let f = |i: usize, p: usize| (1.0 + p as f64) * x[(i, 0)].sin();
/// let y = Mat::from_fn(9, 2, |i, p| if seen(i, p) { f(i, p) } else { f64::NAN });
///
/// let stacked = Stacked::with_missing(x.as_ref(), y.as_ref())?;
/// assert_eq!((stacked.y().len(), stacked.outputs()), (11, 2));
///
/// let outputs = Coregionalization::new(mat![[1.0], [2.0]], [1e-6, 1e-6]);
/// let gp = ExactGp::new(icm(Rbf::new(1.0), 1, outputs)).with_noise(1e-4)?;
/// let posterior = gp.condition(&Data::new(stacked.x(), stacked.y()))?;
/// let at = mat![[2.2]];
/// let predicted = stacked.unstack(&posterior.predict(stacked.points(at.as_ref()).as_ref())?)?;
/// assert!((predicted.mean[(0, 1)] - 2.0 * 2.2f64.sin()).abs() < 0.01);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Stacked<T: Scalar> {
    x: Mat<T>,
    y: Vec<T>,
    outputs: usize,
}

impl<T: Scalar> Stacked<T> {
    /// Outputs at inputs of their own: for each its inputs, one a row, and its values.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without outputs or points; [`Error::Shape`] for inputs of different dimensions, and for another
    /// number of values than of inputs; [`Error::NonFinite`] for a NaN or an infinity, under the name `x of output 1`.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Stacked;
    /// use mercer::prelude::*;
    ///
    /// let (first, second) = (mat![[0.1], [0.2]], mat![[0.7]]);
    /// let stacked = Stacked::separate(&[(first.as_ref(), &[1.0, 2.0]), (second.as_ref(), &[3.0])])?;
    /// assert_eq!(stacked.x(), mat![[0.1, 0.0], [0.2, 0.0], [0.7, 1.0]]);
    /// assert_eq!(stacked.y(), [1.0, 2.0, 3.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn separate(outputs: &[(MatRef<'_, T>, &[T])]) -> Result<Self> {
        let Some((first, _)) = outputs.first() else {
            return Err(Error::Empty { what: "the list of outputs".to_owned() });
        };
        let dim = first.ncols();
        let (mut places, mut y) = (Vec::new(), Vec::new());
        for (output, (x, values)) in outputs.iter().enumerate() {
            let name = |array| format!("{array} of output {output}");
            check_not_empty(&name("x"), *x)?;
            if x.ncols() != dim {
                let expected = format!("{dim} column(s), as that of output 0 has");
                return Err(Error::shape(&name("x"), expected, x.shape()));
            }
            if values.len() != x.nrows() {
                let expected = format!("{} value(s), one for each row of x", x.nrows());
                return Err(Error::shape(&name("y"), expected, (values.len(), 1)));
            }
            check_finite(&name("y"), MatRef::from_column_major_slice(values, values.len(), 1))?;
            places.extend((0..x.nrows()).map(|row| (output, row)));
            y.extend_from_slice(values);
        }
        let x = Mat::from_fn(places.len(), dim + 1, |row, col| {
            let (output, point) = places[row];
            if col < dim { outputs[output].0[(point, col)] } else { index(output) }
        });
        Ok(Self { x, y, outputs: outputs.len() })
    }

    /// Outputs at shared inputs, N × P, where a NaN stands for a value that was not observed.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without inputs or without a single value; [`Error::Shape`] for another number of rows than of
    /// inputs; [`Error::NonFinite`] for an infinite value.
    pub fn with_missing(x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Self> {
        check_not_empty("x", x)?;
        check_values(x, y)?;
        let dim = x.ncols();
        let places: Vec<(usize, usize)> = (0..y.ncols())
            .flat_map(|output| (0..y.nrows()).map(move |row| (output, row)))
            .filter(|&(output, row)| !y[(row, output)].as_f64().is_nan())
            .collect();
        if places.is_empty() {
            return Err(Error::Empty { what: "y, but for missing values,".to_owned() });
        }
        Ok(Self {
            x: Mat::from_fn(places.len(), dim + 1, |row, col| {
                let (output, point) = places[row];
                if col < dim { x[(point, col)] } else { index(output) }
            }),
            y: places.iter().map(|&(output, row)| y[(row, output)]).collect(),
            outputs: y.ncols(),
        })
    }

    /// The points (x, p), one a row.
    pub fn x(&self) -> MatRef<'_, T> {
        self.x.as_ref()
    }

    /// The value of each row.
    pub fn y(&self) -> &[T] {
        &self.y
    }

    /// P, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The points (x, p) of all outputs at the same inputs, N·P × (D + 1): where to predict.
    pub fn points(&self, x: MatRef<'_, T>) -> Mat<T> {
        let (n, dim) = x.shape();
        Mat::from_fn(n * self.outputs, dim + 1, |row, col| if col < dim { x[(row % n, col)] } else { index(row / n) })
    }

    /// What was predicted at [`points`](Self::points), a column for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of means or variances than a multiple of the number of outputs.
    pub fn unstack(&self, prediction: &Prediction<T>) -> Result<Prediction<T>> {
        let ((all, cols), p) = (prediction.mean.shape(), self.outputs);
        if all == 0 || cols != 1 || !all.is_multiple_of(p) || prediction.variance.shape() != (all, cols) {
            let expected = format!("a multiple of {p} means in one column, one for each output, and as many variances");
            return Err(Error::shape("the prediction", expected, (all, cols)));
        }
        let n = all / p;
        let columns = |values: &Mat<T>| Mat::from_fn(n, p, |row, col| values[(col * n + row, 0)]);
        Ok(Prediction::new(columns(&prediction.mean), columns(&prediction.variance), prediction.clamped))
    }
}

/// Refuses inputs without rows or columns. What stands in them is checked with a kernel, which may mask it.
fn check_not_empty<T: Scalar>(what: &str, x: MatRef<'_, T>) -> Result<()> {
    if x.nrows() == 0 || x.ncols() == 0 {
        return Err(Error::Empty { what: what.to_owned() });
    }
    Ok(())
}

/// Refuses values of outputs, N × P, that do not fit the inputs, or are infinite: a NaN is a missing one.
pub(super) fn check_values<T: Scalar>(x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<()> {
    if y.ncols() == 0 {
        return Err(Error::Empty { what: "y".to_owned() });
    }
    if y.nrows() != x.nrows() {
        return Err(Error::shape("y", format!("{} row(s), one for each row of x", x.nrows()), y.shape()));
    }
    for row in 0..y.nrows() {
        for col in 0..y.ncols() {
            let value = y[(row, col)].as_f64();
            if value.is_infinite() {
                return Err(Error::NonFinite { what: "y".to_owned(), row, col, value });
            }
        }
    }
    Ok(())
}

fn index<T: Scalar>(output: usize) -> T {
    T::from_f64(output as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::column;
    use faer::mat;

    #[test]
    fn shared_inputs_are_separate_ones() {
        let (x, nan) = (mat![[0.1, 5.0], [0.2, 6.0]], f64::NAN);
        let missing = Stacked::with_missing(x.as_ref(), mat![[1.0, nan, 3.0], [nan, 2.0, 4.0]].as_ref()).unwrap();
        let rows = |row| x.as_ref().subrows(row, 1);
        let separate = [(rows(0), [1.0].as_slice()), (rows(1), &[2.0]), (x.as_ref(), &[3.0, 4.0])];
        assert_eq!(missing, Stacked::separate(&separate).unwrap());
    }

    #[test]
    fn points_come_back_as_outputs() {
        let x = mat![[0.1], [0.2]];
        let stacked = Stacked::with_missing(x.as_ref(), mat![[1.0, 3.0], [2.0, 4.0]].as_ref()).unwrap();
        assert_eq!(stacked.points(x.as_ref()), stacked.x());
        let all = Prediction::new(column(stacked.y()).to_owned(), Mat::zeros(4, 1), 0);
        assert_eq!(stacked.unstack(&all).unwrap().mean, mat![[1.0, 3.0], [2.0, 4.0]]);
        let odd = Prediction::new(Mat::zeros(3, 1), Mat::zeros(3, 1), 0);
        assert!(matches!(stacked.unstack(&odd), Err(Error::Shape { .. })));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (x, y) = (mat![[0.1], [0.2]], mat![[1.0], [f64::INFINITY]]);
        let infinite = Stacked::with_missing(x.as_ref(), y.as_ref());
        assert!(matches!(infinite, Err(Error::NonFinite { row: 1, col: 0, .. })));
        let nothing = Stacked::with_missing(x.as_ref(), Mat::full(2, 2, f64::NAN).as_ref());
        assert!(matches!(nothing, Err(Error::Empty { .. })));
        let short = Stacked::separate(&[(x.as_ref(), &[1.0])]).unwrap_err();
        assert!(short.to_string().starts_with("y of output 0"), "{short}");
        let wide = mat![[0.1, 0.2]];
        assert!(Stacked::separate(&[(x.as_ref(), &[1.0, 2.0]), (wide.as_ref(), &[1.0])]).is_err());
        assert!(matches!(Stacked::<f64>::separate(&[]), Err(Error::Empty { .. })));
    }
}
