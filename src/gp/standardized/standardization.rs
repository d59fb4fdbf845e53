//! The units that data are standardised by.

use faer::{Mat, MatRef};

use super::Standardized;
use crate::data::Standardizer;
use crate::gp::data::Data;
use crate::gp::units::spread;
use crate::{Error, Result, Scalar};

/// Means and deviations of the columns of inputs and of outputs, to standardise them by.
///
/// A column that does not vary is divided by its size, and by 1 if that is 0. What is not finite counts for neither mean nor
/// deviation, and stays.
///
/// # Examples
///
/// Angles and categories keep their values:
///
/// ```
/// use mercer::gp::{Data, Standardization};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[1e6, 0.0], [3e6, 1.0]], [5.0, 7.0]);
/// let units = Standardization::of(&data)?.without_inputs(&[1])?;
/// assert_eq!(units.inputs(data.x())?, mat![[-1.0, 0.0], [1.0, 1.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardization {
    inputs: Standardizer,
    outputs: Standardizer,
}

impl Standardization {
    /// That of these data.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for data without rows or columns, or a column without a finite value.
    pub fn of<T: Scalar>(data: &Data<T>) -> Result<Self> {
        Ok(Self { inputs: of_columns("x", data.x())?, outputs: of_columns("y", data.y())? })
    }

    /// One of given means and deviations.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Standardizer;
    /// use mercer::gp::Standardization;
    /// use mercer::prelude::*;
    ///
    /// let units = Standardization::new(Standardizer::new(vec![2.0], vec![4.0])?, Standardizer::new(vec![0.0], vec![1.0])?);
    /// assert_eq!(units.inputs(mat![[10.0f32]].as_ref())?, mat![[2.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new(inputs: Standardizer, outputs: Standardizer) -> Self {
        Self { inputs, outputs }
    }

    /// Leaves these columns of the inputs as they are: angles, categories, what has a natural unit.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a column that there is not.
    pub fn without_inputs(mut self, columns: &[usize]) -> Result<Self> {
        let count = self.inputs.mean().len();
        if let Some(&col) = columns.iter().find(|&&col| col >= count) {
            return Err(Error::setting("the column", col, &format!("there are {count}, counted from 0")));
        }
        self.inputs = self.inputs.without(columns);
        Ok(self)
    }

    /// Leaves the outputs as they are: classes, counts, and what else has a likelihood that takes no others.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Standardization, Svgp};
    /// use mercer::likelihood::Bernoulli;
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[1e6], [3e6]], [0.0, 1.0]);
    /// let units = Standardization::of(&data)?.without_outputs();
    /// let z = units.inputs(data.x())?;
    /// let gp = units.around(Svgp::new(Rbf::new(1.0), z.as_ref())?.with_likelihood(Bernoulli::logit()));
    /// assert!(gp.objective(&data).is_ok());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn without_outputs(mut self) -> Self {
        self.outputs = self.outputs.without((0..self.outputs.mean().len()).collect::<Vec<_>>().as_slice());
        self
    }

    /// A model in these units.
    pub fn around<M>(self, model: M) -> Standardized<M> {
        Standardized::new(model, self)
    }

    /// Means and deviations of the inputs.
    pub fn of_inputs(&self) -> &Standardizer {
        &self.inputs
    }

    /// Means and deviations of the outputs.
    pub fn of_outputs(&self) -> &Standardizer {
        &self.outputs
    }

    /// The same in place of what was there.
    pub(super) fn inputs_into<T: Scalar>(&self, x: MatRef<'_, T>, out: &mut Mat<T>) -> Result<()> {
        standardize_into("x", &self.inputs, x, out)
    }

    /// Inputs in these units.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of columns.
    pub fn inputs<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        standardized("x", &self.inputs, x)
    }

    /// Observations in these units.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of outputs.
    pub fn outputs<T: Scalar>(&self, y: MatRef<'_, T>) -> Result<Mat<T>> {
        standardized("y", &self.outputs, y)
    }

    /// Inputs and observations in these units.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of columns or outputs.
    pub fn data<T: Scalar>(&self, data: &Data<T>) -> Result<Data<T>> {
        Ok(Data::new(self.inputs(data.x())?, self.outputs(data.y())?))
    }

    /// Σ log b over all observations that there are.
    pub(super) fn log_widths<T: Scalar>(&self, y: MatRef<'_, T>) -> f64 {
        let seen = |col: usize| y.col(col).iter().filter(|value| value.as_f64().is_finite()).count();
        self.outputs.scale().iter().enumerate().map(|(col, scale)| seen(col) as f64 * scale.ln()).sum()
    }
}

fn of_columns<T: Scalar>(what: &str, values: MatRef<'_, T>) -> Result<Standardizer> {
    let mut means = Vec::new();
    let mut scales = Vec::new();
    for (col, column) in values.col_iter().enumerate() {
        let finite = column.iter().map(|value| value.as_f64()).filter(|value| value.is_finite());
        let seen: Vec<f64> = finite.collect();
        if seen.is_empty() {
            return Err(Error::Empty { what: format!("column {col} of {what}") });
        }
        let count = seen.len() as f64;
        let rough: f64 = seen.iter().map(|value| value / count).sum();
        let centre = rough + seen.iter().map(|value| (value - rough) / count).sum::<f64>();
        let largest = seen.iter().fold(0.0, |largest: f64, value| largest.max((value - centre).abs()));
        let varies = largest > 4.0 * f64::EPSILON * centre.abs();
        means.push(centre);
        scales.push(spread(seen.into_iter().map(|value| if varies { value - centre } else { value })));
    }
    Standardizer::new(means, scales)
}

fn standardized<T: Scalar>(what: &str, units: &Standardizer, values: MatRef<'_, T>) -> Result<Mat<T>> {
    let mut out = Mat::new();
    standardize_into(what, units, values, &mut out)?;
    Ok(out)
}

fn standardize_into<T: Scalar>(
    what: &str,
    units: &Standardizer,
    values: MatRef<'_, T>,
    out: &mut Mat<T>,
) -> Result<()> {
    let columns = units.mean().len();
    if values.ncols() != columns {
        return Err(Error::shape(what, format!("{columns} column(s), as were standardised"), values.shape()));
    }
    let entry =
        |row: usize, col: usize| T::from_f64((values[(row, col)].as_f64() - units.mean()[col]) / units.scale()[col]);
    out.resize_with(values.nrows(), columns, |_, _| T::from_f64(0.0));
    for col in 0..columns {
        out.col_as_slice_mut(col).iter_mut().enumerate().for_each(|(row, value)| *value = entry(row, col));
    }
    Ok(())
}
