//! What the examples share: tables from CSV, and scores.
#![allow(dead_code, reason = "each example uses a part")]

use std::error::Error;
use std::io::Read;

use mercer::data::metrics::{CENTRAL_95, coverage, nlpd, rmse};
use mercer::gp::Prediction;
use mercer::prelude::*;

/// Inputs, one a row, and the target.
pub(crate) struct Table {
    pub(crate) x: Mat<f64>,
    pub(crate) y: Vec<f64>,
}

/// Reads numbers below one row of headings; the last column is the target.
///
/// What is not a finite number is refused with its line in the file and the heading of its column.
pub(crate) fn read_csv(source: impl Read) -> Result<Table, Box<dyn Error>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let headings = reader.headers()?.clone();
    let columns = headings.len();
    if columns < 2 {
        return Err(format!("found {columns} column(s): need one or more inputs, then the target").into());
    }
    let mut cells: Vec<f64> = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        for (cell, heading) in record.iter().zip(&headings) {
            match cell.parse::<f64>() {
                Ok(value) if value.is_finite() => cells.push(value),
                Ok(value) => return Err(format!("line {line}, column `{heading}`: {value} is not finite").into()),
                Err(_) => return Err(format!("line {line}, column `{heading}`: `{cell}` is not a number").into()),
            }
        }
    }
    let rows = cells.len() / columns;
    if rows == 0 {
        return Err("no rows below the headings".into());
    }
    Ok(Table {
        x: Mat::from_fn(rows, columns - 1, |row, col| cells[row * columns + col]),
        y: cells.chunks_exact(columns).map(|row| row[columns - 1]).collect(),
    })
}

/// How good predictions of observations are.
pub(crate) struct Scores {
    pub(crate) rmse: f64,
    /// Mean negative log density.
    pub(crate) nlpd: f64,
    /// Fraction of observations within the central 95 % of their prediction.
    pub(crate) coverage: f64,
}

impl Scores {
    pub(crate) fn new(y: &[f64], predicted: &Prediction<f64>) -> mercer::Result<Self> {
        let (mean, variance) = (predicted.mean.col_as_slice(0), predicted.variance.col_as_slice(0));
        Ok(Self {
            rmse: rmse(y, mean)?,
            nlpd: nlpd(y, mean, variance)?,
            coverage: coverage(y, mean, variance, CENTRAL_95)?,
        })
    }
}
