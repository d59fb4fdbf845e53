//! Columns of mean 0 and standard deviation 1.

use faer::{Mat, MatRef};

use super::check_finite;
use crate::{Error, Result};

/// Shifts and scales the columns of an array to mean 0 and standard deviation 1, and back.
///
/// With `ddof` degrees of freedom taken off, the standard deviation of a column is
/// √(Σᵢ (xᵢ − x̄)² / (N − ddof)): 0 for that of the sample, 1 for the unbiased variance. Columns that
/// are constant, up to the rounding of their mean, keep the scale 1.
///
/// # Examples
///
/// ```
/// use mercer::data::Standardizer;
/// use mercer::prelude::*;
///
/// let x = mat![[1.0, 7.0], [5.0, 7.0]];
/// let standardizer = Standardizer::fit(x.as_ref(), 0)?;
/// assert_eq!(standardizer.transform(x.as_ref())?, mat![[-1.0, 0.0], [1.0, 0.0]]);
///
/// // Predictions in standardised units, back in those of the data:
/// assert_eq!(standardizer.inverse_mean(mat![[0.5, 1.0]].as_ref())?, mat![[4.0, 8.0]]);
/// assert_eq!(standardizer.inverse_variance(mat![[0.5, 1.0]].as_ref())?, mat![[2.0, 1.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardizer {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Standardizer {
    /// The means and standard deviations of the columns.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for such data; [`Error::Setting`] unless `ddof` is
    /// less than the number of rows.
    pub fn fit(x: MatRef<'_, f64>, ddof: usize) -> Result<Self> {
        check_finite("the data", x)?;
        let n = x.nrows();
        if ddof >= n {
            return Err(Error::setting("ddof", ddof, &format!("must be less than the number of rows, {n}")));
        }
        let (mut mean, mut scale) = (Vec::new(), Vec::new());
        for column in x.col_iter() {
            // Divided before the sum, which could overflow; then corrected for its rounding.
            let rough: f64 = column.iter().map(|x| x / n as f64).sum();
            let centre = rough + column.iter().map(|x| (x - rough) / n as f64).sum::<f64>();
            let largest = column.iter().fold(0.0, |largest: f64, x| largest.max((x - centre).abs()));
            let constant = largest <= 4.0 * f64::EPSILON * centre.abs();
            // Relative to the largest deviation, so that squares neither overflow nor vanish.
            let squares: f64 = column.iter().map(|x| ((x - centre) / largest).powi(2)).sum();
            mean.push(centre);
            scale.push(if constant { 1.0 } else { largest * (squares / (n - ddof) as f64).sqrt() });
        }
        Ok(Self { mean, scale })
    }

    /// One of given means and scales.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without columns; [`Error::Shape`] unless there is one scale for each mean;
    /// [`Error::NonFinite`] for a mean that is not finite; [`Error::Parameter`] for a scale that is not positive
    /// and finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Standardizer;
    /// use mercer::prelude::*;
    ///
    /// let standardizer = Standardizer::new(vec![1.0], vec![4.0])?;
    /// assert_eq!(standardizer.transform(mat![[9.0]].as_ref())?, mat![[2.0]]);
    /// assert!(Standardizer::new(vec![1.0], vec![0.0]).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new(mean: Vec<f64>, scale: Vec<f64>) -> Result<Self> {
        check_finite("the means", MatRef::from_row_major_slice(&mean, 1, mean.len()))?;
        if scale.len() != mean.len() {
            return Err(Error::shape("the scales", format!("{} column(s)", mean.len()), (1, scale.len())));
        }
        if let Some((col, &value)) = scale.iter().enumerate().find(|(_, s)| !(s.is_finite() && **s > 0.0)) {
            let expected = "positive and finite".to_owned();
            return Err(Error::Parameter { path: format!("scale[{col}]"), value, expected });
        }
        Ok(Self { mean, scale })
    }

    /// The same, but for columns that it leaves as they are.
    pub(crate) fn without(&self, columns: &[usize]) -> Self {
        let left = |of: &[f64], value: f64| {
            of.iter().enumerate().map(|(col, &old)| if columns.contains(&col) { value } else { old }).collect()
        };
        Self { mean: left(&self.mean, 0.0), scale: left(&self.scale, 1.0) }
    }

    /// The mean of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// What each column is divided by.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// (x − mean) / scale, column by column.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of columns.
    pub fn transform(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        self.map(x, |x, mean, scale| (x - mean) / scale)
    }

    /// scale · x + mean, column by column: the inverse of [`transform`](Self::transform).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of columns.
    pub fn inverse_mean(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        self.map(x, |x, mean, scale| scale * x + mean)
    }

    /// scale² · v, column by column: variances in the units of the data.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of columns.
    pub fn inverse_variance(&self, variance: MatRef<'_, f64>) -> Result<Mat<f64>> {
        self.map(variance, |v, _, scale| scale * (scale * v))
    }

    /// d − log scale, column by column: log densities of the data, from those of what
    /// [`transform`](Self::transform) makes of them. For any likelihood; each column is one target.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of columns.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Standardizer;
    /// use mercer::prelude::*;
    ///
    /// // Half the density of the standardised value, for data of twice its width.
    /// let standardizer = Standardizer::fit(mat![[1.0], [5.0]].as_ref(), 0)?;
    /// let log_density = standardizer.inverse_log_density(mat![[0.3f64.ln()]].as_ref())?;
    /// assert!((log_density[(0, 0)] - 0.15f64.ln()).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn inverse_log_density(&self, log_density: MatRef<'_, f64>) -> Result<Mat<f64>> {
        self.map(log_density, |d, _, scale| d - scale.ln())
    }

    fn map(&self, x: MatRef<'_, f64>, f: impl Fn(f64, f64, f64) -> f64) -> Result<Mat<f64>> {
        if x.ncols() != self.mean.len() {
            let expected = format!("{} column(s)", self.mean.len());
            return Err(Error::shape("the data", expected, (x.nrows(), x.ncols())));
        }
        Ok(Mat::from_fn(x.nrows(), x.ncols(), |row, col| f(x[(row, col)], self.mean[col], self.scale[col])))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::mat;

    #[test]
    fn degrees_of_freedom() {
        // Squared deviations from the mean 4: 9 + 1 + 1 + 9.
        let x = mat![[1.0], [3.0], [5.0], [7.0]];
        let scale = |ddof| Standardizer::fit(x.as_ref(), ddof).unwrap().scale()[0];
        assert!((scale(0) - 5f64.sqrt()).abs() < 1e-15);
        assert!((scale(1) - (20.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!(matches!(Standardizer::fit(x.as_ref(), 4), Err(Error::Setting { .. })));
    }

    #[test]
    fn inverse_undoes_transform_at_any_scale() {
        for size in [1e-180, 1.0, 1e180] {
            let x = Mat::from_fn(5, 2, |i, j| size * (0.3 + (i * i) as f64 - 2.0 * (i * j) as f64));
            let standardizer = Standardizer::fit(x.as_ref(), 1).unwrap();
            let there = standardizer.transform(x.as_ref()).unwrap();
            for col in 0..2 {
                let mean = there.col(col).iter().sum::<f64>() / 5.0;
                let variance = there.col(col).iter().map(|z| z * z).sum::<f64>() / 4.0;
                assert!(mean.abs() < 1e-15 && (variance - 1.0).abs() < 1e-14);
            }
            let back = standardizer.inverse_mean(there.as_ref()).unwrap();
            let close = |i, j| ((back[(i, j)] - x[(i, j)]) / size).abs() < 1e-13;
            assert!((0..5).all(|i| close(i, 0) && close(i, 1)));
        }
    }

    #[test]
    fn log_densities_are_those_of_the_units_of_the_data() {
        use crate::data::metrics::nlpd;
        let y = mat![[3.0], [7.0], [20.0]];
        let standardizer = Standardizer::fit(y.as_ref(), 0).unwrap();
        let z = standardizer.transform(y.as_ref()).unwrap();
        let (mean, variance) = (mat![[0.1], [-0.4], [2.0]], mat![[0.3], [1.0], [2.5]]);
        let there = Mat::from_fn(3, 1, |i, _| -nlpd(&[z[(i, 0)]], &[mean[(i, 0)]], &[variance[(i, 0)]]).unwrap());
        let log_density = standardizer.inverse_log_density(there.as_ref()).unwrap();
        let mean = standardizer.inverse_mean(mean.as_ref()).unwrap();
        let variance = standardizer.inverse_variance(variance.as_ref()).unwrap();
        for i in 0..3 {
            let expected = -nlpd(&[y[(i, 0)]], &[mean[(i, 0)]], &[variance[(i, 0)]]).unwrap();
            assert!((log_density[(i, 0)] - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn constant_columns_keep_their_scale() {
        // 0.1 has no exact sum: the mean is off by rounding.
        let x = Mat::from_fn(7, 1, |_, _| 0.1);
        let standardizer = Standardizer::fit(x.as_ref(), 1).unwrap();
        assert_eq!(standardizer.scale(), [1.0]);
        assert!(standardizer.transform(x.as_ref()).unwrap().norm_max() < 1e-15);
    }

    #[test]
    fn data_are_checked() {
        let standardizer = Standardizer::fit(mat![[1.0], [2.0]].as_ref(), 0).unwrap();
        assert!(matches!(standardizer.transform(mat![[1.0, 2.0]].as_ref()), Err(Error::Shape { .. })));
        assert!(matches!(Standardizer::fit(mat![[f64::NAN]].as_ref(), 0), Err(Error::NonFinite { .. })));
    }
}
