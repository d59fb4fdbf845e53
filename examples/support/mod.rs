//! What the examples share: tables from CSV, scores, and the best q of a sparse process under
//! Gaussian noise.
#![allow(dead_code, reason = "each example uses a part")]

use std::error::Error;
use std::io::Read;

use mercer::data::metrics::{CENTRAL_95, coverage, nlpd, rmse};
use mercer::gp::{Prediction, Svgp, Variational};
use mercer::linalg::{Cholesky, Jitter};
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
        let Prediction { mean, variance, .. } = predicted;
        Ok(Self {
            rmse: rmse(y, mean)?,
            nlpd: nlpd(y, mean, variance)?,
            coverage: coverage(y, mean, variance, CENTRAL_95)?,
        })
    }
}

/// The same model with the best q there is for its hyperparameters and inducing inputs, under
/// Gaussian noise of variance σ². With K(Z, Z) = LLᵀ and A = L⁻¹ K(Z, X), for targets without mean,
///
/// S⁻¹ = I + AAᵀ/σ² and m = S A y/σ² (Titsias 2009, eq. 10, in whitened coordinates).
///
/// The bound then depends on the hyperparameters and inducing inputs alone, and because it is
/// stationary in q its gradient in them is the partial one: some hundred coordinates to search
/// rather than some ten thousand that are badly scaled against each other.
pub(crate) fn with_best_q<K: Kernel<f64> + Clone>(
    model: &Svgp<K>,
    x: MatRef<'_, f64>,
    y: &[f64],
) -> mercer::Result<Svgp<K>> {
    let (kernel, z, par) = (model.kernel(), model.inducing().inputs(), Par::rayon(0));
    let noise = model.get("likelihood.gaussian.variance")?;
    let factor = Cholesky::new(kernel.gram(z)?.as_ref(), Jitter::default(), par)?;
    let mut a = kernel.cross(z, x)?;
    factor.half_solve_in_place(a.as_mut(), par)?;
    let precision = Mat::<f64>::identity(z.nrows(), z.nrows()) + &a * a.transpose() / noise;
    let covariance = Cholesky::new(precision.as_ref(), Jitter::default(), par)?.inverse(par);
    let mean = &covariance * (&a * MatRef::from_column_major_slice(y, y.len(), 1)) / noise;
    let root = Cholesky::new(covariance.as_ref(), Jitter::default(), par)?;
    model.clone().with_variational(Variational::new(mean.col_as_slice(0), root.factor())?)
}

/// The M rows of the data that leave the least variance: each is where the process, given the ones
/// before it, is the least known. This is the pivot order of a Cholesky factorisation of K(X, X)
/// (Burt, Rasmussen & van der Wilk 2020, JMLR 21, section 6.2), in O(N·M²).
pub(crate) fn least_known(kernel: &impl Kernel<f64>, x: MatRef<'_, f64>, m: usize) -> mercer::Result<Mat<f64>> {
    let mut left = kernel.diag(x)?;
    let mut factor: Vec<Vec<f64>> = Vec::new();
    let mut chosen = Vec::new();
    while chosen.len() < m.min(x.nrows()) {
        let Some(pivot) = (0..x.nrows()).max_by(|&a, &b| left[a].total_cmp(&left[b])) else { break };
        let mut column = kernel.cross(x, x.subrows(pivot, 1))?.col_as_slice(0).to_vec();
        for earlier in &factor {
            column.iter_mut().zip(earlier).for_each(|(entry, e)| *entry -= e * earlier[pivot]);
        }
        let scale = left[pivot].sqrt();
        for (entry, left) in column.iter_mut().zip(&mut left) {
            *entry /= scale;
            *left -= *entry * *entry;
        }
        left[pivot] = f64::NEG_INFINITY;
        factor.push(column);
        chosen.push(pivot);
    }
    mercer::data::rows(x, &chosen)
}
