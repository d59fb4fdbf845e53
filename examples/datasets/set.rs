//! A table, split and brought to the scale of the models.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use mercer::data::column;
use mercer::data::metrics::{accuracy, rmse};
use mercer::data::{Split, Standardizer, rows, split};
use mercer::gp::Posterior;
use mercer::prelude::*;
use rand_pcg::Pcg64;

use crate::support::{self, Table};

/// Where a set comes from, and what its columns are.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    target: Target,
    /// Whether all inputs share a unit, and so a scale.
    one_unit: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Number,
    LogarithmOfNumber,
    Class,
}

impl Source {
    pub(crate) fn regression(name: &'static str) -> Self {
        Self { name, target: Target::Number, one_unit: false }
    }

    pub(crate) fn classes(name: &'static str) -> Self {
        Self { name, target: Target::Class, one_unit: false }
    }

    /// The same, with the logarithm of the last column as the target.
    pub(crate) fn of_logarithms(self) -> Self {
        Self { target: Target::LogarithmOfNumber, ..self }
    }

    /// The same, with one scale for all inputs: columns that hardly vary stay unimportant.
    pub(crate) fn in_one_unit(self) -> Self {
        Self { one_unit: true, ..self }
    }

    /// Reads at most so many rows, and holds out a fifth of them; to validate, one of five folds of those left.
    pub(crate) fn read(
        &self,
        path: &Path,
        largest: usize,
        validate: Option<usize>,
        rng: &mut Pcg64,
    ) -> Result<Set, Box<dyn Error>> {
        let Table { x, mut y } = support::read_csv(File::open(path)?)?;
        if self.target == Target::LogarithmOfNumber {
            if let Some(row) = y.iter().position(|&y| y <= 0.0) {
                return Err(format!("row {}: the target, {}, has no logarithm", row + 1, y[row]).into());
            }
            y.iter_mut().for_each(|y| *y = y.ln());
        }
        let n = y.len();
        let mut parts = split(n, n / 5, rng)?;
        if let Some(fold) = validate {
            // The rows learned from are in random order.
            let (held, rest) = parts.train.iter().enumerate().partition::<Vec<_>, _>(|(row, _)| row % 5 + 1 == fold);
            let indices = |rows: Vec<(usize, &usize)>| rows.into_iter().map(|(_, &index)| index).collect();
            parts = Split { train: indices(rest), test: indices(held) };
        }
        parts.train.truncate(largest);
        parts.test.truncate(largest);
        self.scaled(x.as_ref(), &y, parts)
    }

    /// To means of 0 and deviations of 1 on the rows learned from; classes stay what they are.
    fn scaled(&self, x: MatRef<'_, f64>, y: &[f64], split: Split) -> Result<Set, Box<dyn Error>> {
        let (mut train, mut test) = (rows(x, &split.train)?, rows(x, &split.test)?);
        if self.one_unit {
            let (n, dim) = (train.nrows(), train.ncols());
            let all = Mat::from_fn(n * dim, 1, |i, _| train[(i % n, i / n)]);
            let of_all = Standardizer::fit(all.as_ref(), 0)?;
            let scale =
                |x: &Mat<f64>| Mat::from_fn(x.nrows(), dim, |i, j| (x[(i, j)] - of_all.mean()[0]) / of_all.scale()[0]);
            (train, test) = (scale(&train), scale(&test));
        } else {
            let of_x = Standardizer::fit(train.as_ref(), 0)?;
            (train, test) = (of_x.transform(train.as_ref())?, of_x.transform(test.as_ref())?);
        }
        let y = MatRef::from_column_major_slice(y, y.len(), 1);
        let (mut y, mut y_test) = (rows(y, &split.train)?, rows(y, &split.test)?);
        let mut units = None;
        if self.target != Target::Class {
            let of_y = Standardizer::fit(y.as_ref(), 0)?;
            (y, y_test) = (of_y.transform(y.as_ref())?, of_y.transform(y_test.as_ref())?);
            units = Some(of_y);
        }
        let column = |y: Mat<f64>| y.col_as_slice(0).to_vec();
        Ok(Set { x: train, y: column(y), x_test: test, y_test: column(y_test), units, split })
    }
}

/// What a model learns from and is asked, on its scale.
pub(crate) struct Set {
    pub(crate) x: Mat<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) x_test: Mat<f64>,
    pub(crate) y_test: Vec<f64>,
    /// The scale of the targets, unless they are classes.
    units: Option<Standardizer>,
    pub(crate) split: Split,
}

/// How good predictions of the rows held out are, in units of the data.
pub(crate) struct Scores {
    pub(crate) rmse: Option<f64>,
    pub(crate) nlpd: f64,
    pub(crate) accuracy: Option<f64>,
}

impl Set {
    pub(crate) fn score(&self, posterior: &Posterior<f64>) -> mercer::Result<Scores> {
        let (x, y) = (self.x_test.as_ref(), self.y_test.as_slice());
        let predicted = posterior.predict_observations(x)?.mean;
        let mean: Vec<f64> = predicted.col_iter().flat_map(|column| column.iter().copied()).collect();
        let mut log_density = posterior.log_predictive_density(x, column(y))?;
        let (mut of_numbers, mut of_classes) = (None, None);
        match &self.units {
            Some(units) => {
                log_density = units.inverse_log_density(column(&log_density))?.col_as_slice(0).to_vec();
                of_numbers = Some(units.scale()[0] * rmse(y, &mean)?);
            }
            None => of_classes = Some(accuracy(y, &mean)?),
        }
        let nlpd = -log_density.iter().sum::<f64>() / y.len() as f64;
        Ok(Scores { rmse: of_numbers, nlpd, accuracy: of_classes })
    }
}
