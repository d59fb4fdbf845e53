//! Known numbers of which each observation has its own.

use crate::params::Constraint;
use crate::{Error, Result};

/// A known positive number of each observation: an exposure, a noise variance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PerObservation {
    /// "exposure"
    what: &'static str,
    pub(super) values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Same(f64),
    /// Of the data; new observations have others.
    Data(Vec<f64>),
    /// Of new observations.
    New(Vec<f64>),
}

impl PerObservation {
    pub(super) fn same(what: &'static str, value: f64) -> Result<Self> {
        check(what, &[value])?;
        Ok(Self { what, values: Values::Same(value) })
    }

    pub(super) fn of_data(what: &'static str, values: &[f64]) -> Result<Self> {
        check(what, values)?;
        Ok(Self { what, values: Values::Data(values.to_vec()) })
    }

    pub(super) fn of_new(what: &'static str, values: &[f64]) -> Result<Self> {
        check(what, values)?;
        Ok(Self { what, values: Values::New(values.to_vec()) })
    }

    pub(super) fn get(&self, row: usize) -> f64 {
        match &self.values {
            Values::Same(value) => *value,
            Values::Data(values) | Values::New(values) => values[row],
        }
    }

    /// Refuses a number of observations that there are not as many values for.
    pub(super) fn check_count(&self, count: usize) -> Result<()> {
        let len = match &self.values {
            Values::Same(_) => return Ok(()),
            Values::Data(values) | Values::New(values) => values.len(),
        };
        if len == count {
            return Ok(());
        }
        let expected = format!("{len} value(s), one for each {}; `rows` gives the likelihood of some rows", self.what);
        Err(Error::shape("the observations", expected, (count, 1)))
    }

    /// Refuses to predict new observations with the values of the data, or with too many or too few.
    pub(super) fn check_new(&self, count: usize) -> Result<()> {
        if let Values::Data(_) = self.values {
            let name = format!("the {} of new observations", self.what);
            let expected = "a prediction needs it: predict with the likelihood that `for_new` makes";
            return Err(Error::setting(&name, "unknown", expected));
        }
        self.check_count(count)
    }

    /// The values of these rows; `None` if there is one for all.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Option<Self>> {
        let pick = |values: &[f64]| -> Result<Vec<f64>> {
            let value = |&row: &usize| values.get(row).copied().ok_or_else(|| self.outside(row, values.len()));
            rows.iter().map(value).collect()
        };
        let values = match &self.values {
            Values::Same(_) => return Ok(None),
            Values::Data(values) => Values::Data(pick(values)?),
            Values::New(values) => Values::New(pick(values)?),
        };
        Ok(Some(Self { what: self.what, values }))
    }

    fn outside(&self, row: usize, len: usize) -> Error {
        Error::rows(&format!("the list of each observation's {}", self.what), row..row + 1, len)
    }
}

fn check(what: &str, values: &[f64]) -> Result<()> {
    let constraint = Constraint::Positive;
    match values.iter().position(|&value| !constraint.admits(value)) {
        None => Ok(()),
        Some(row) => {
            let path = if values.len() == 1 { what.to_owned() } else { format!("{what}[{row}]") };
            Err(Error::Parameter { path, value: values[row], expected: constraint.to_string() })
        }
    }
}
