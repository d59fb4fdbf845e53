//! Which outputs were observed in which rows.

use crate::likelihood::{Likelihood, check_len};
use crate::{Error, Result};

/// The rows in which an output was observed.
pub(super) struct Observed<'a> {
    pub(super) output: usize,
    pub(super) rows: Vec<usize>,
    pub(super) y: Vec<f64>,
    all: &'a dyn Likelihood,
    /// If it is another one for these rows.
    own: Option<Box<dyn Likelihood>>,
}

impl Observed<'_> {
    pub(super) fn likelihood(&self) -> &dyn Likelihood {
        self.own.as_deref().unwrap_or(self.all)
    }

    /// An error with the place of the observation among all.
    pub(super) fn placed<V>(&self, result: Result<V>, n: usize) -> Result<V> {
        result.map_err(|error| match error {
            Error::Observation { row, value, expected } => {
                Error::Observation { row: self.output * n + self.rows.get(row).unwrap_or(&row), value, expected }
            }
            other => other,
        })
    }
}

/// The outputs with at least one observation among N rows.
pub(super) fn observed<'a>(outputs: &'a [Box<dyn Likelihood>], y: &[f64], n: usize) -> Result<Vec<Observed<'a>>> {
    check_len(n * outputs.len(), &[("the observations", y)])?;
    let mut all = Vec::with_capacity(outputs.len());
    for (output, (y, likelihood)) in y.chunks_exact(n.max(1)).zip(outputs).enumerate() {
        let rows: Vec<usize> = (0..n).filter(|&row| !y[row].is_nan()).collect();
        if rows.is_empty() {
            continue;
        }
        let own = if rows.len() == n { None } else { likelihood.rows(&rows)? };
        if own.is_some() {
            check_rows(&**likelihood, output, n)?;
        }
        let y = rows.iter().map(|&row| y[row]).collect();
        all.push(Observed { output, rows, y, all: &**likelihood, own });
    }
    Ok(all)
}

/// Refuses a likelihood with something for each row of other data than N rows: of those that were observed it would give
/// what is another row's.
fn check_rows(likelihood: &dyn Likelihood, output: usize, n: usize) -> Result<()> {
    likelihood.rows(&[n - 1])?;
    if likelihood.rows(&[n]).is_err() {
        return Ok(());
    }
    let expected =
        format!("as many rows as the likelihood of output {output} has; `rows` gives the likelihood of some rows");
    Err(Error::shape("the observations", expected, (n, 1)))
}
