//! A posterior as a service: JSON lines in, JSON lines out.
//!
//! `cargo run --release --example serve -- MODEL` loads a saved posterior and answers each line of standard input; with
//! `--demo`, one that it makes: the monthly means of carbon dioxide at Mauna Loa, in years and ppm.
//!
//! ```text
//! $ echo '{"id": 7, "x": [[1975.5]]}' | cargo run --release --example serve -- --demo
//! {"deviation":[[0.083]],"id":7,"mean":[[332.705]]}
//! ```
//!
//! A request has the points `x`, one a row, and may have an `id`, which comes back. An answer has the mean and the standard
//! deviation of the functions, a row for each point, or an `error`, after which the service goes on. A single point goes
//! through `predict_into`, which allocates nothing.
#![allow(clippy::print_stdout)]

mod support;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use mercer::data::from_rows;
use mercer::gp::{Data, ExactGp, Posterior, Prediction, Standardization, StandardizedPosterior};
use mercer::prelude::*;
use mercer::save::{Save, load};
use serde_json::{Value, json};

type Served = Box<dyn Predict<f64>>;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(argument) = std::env::args().nth(1) else {
        return Err("name the file of a saved posterior, or --demo".into());
    };
    let posterior = open(&if argument == "--demo" { demo()? } else { argument.into() })?;
    let mut out = std::io::stdout().lock();
    let mut room = Prediction::default();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&*posterior, &line?, &mut room);
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// A posterior, in the units of the data or in standardised ones.
fn open(path: &Path) -> mercer::Result<Served> {
    match load::<StandardizedPosterior<Posterior<f64>>>(path) {
        Ok(posterior) => Ok(Box::new(posterior)),
        Err(_) => Ok(Box::new(load::<Posterior<f64>>(path)?)),
    }
}

fn answer(posterior: &dyn Predict<f64>, line: &str, room: &mut Prediction<f64>) -> Value {
    let request: Value = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return json!({ "error": format!("the request is not JSON: {error}") }),
    };
    let mut answer = match predict(posterior, &request, room) {
        Ok(()) => json!({ "mean": by_rows(&room.mean, |mean| mean), "deviation": by_rows(&room.variance, f64::sqrt) }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    if let Some(id) = request.get("id") {
        answer["id"] = id.clone();
    }
    answer
}

fn predict(posterior: &dyn Predict<f64>, request: &Value, room: &mut Prediction<f64>) -> Result<(), Box<dyn Error>> {
    let x: Vec<Vec<f64>> = serde_json::from_value(request.get("x").cloned().unwrap_or_default())
        .map_err(|error| format!("`x` must be a list of points, each a list of numbers: {error}"))?;
    Ok(posterior.predict_into(from_rows(x)?.as_ref(), room)?)
}

fn by_rows(values: &Mat<f64>, of: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    values.row_iter().map(|row| row.iter().map(|&value| of(value)).collect()).collect()
}

/// Fits a small model, saves its posterior, and says where.
fn demo() -> Result<PathBuf, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mauna_loa_co2_monthly.csv");
    let table = support::read_csv(File::open(path)?)?;
    let data = Data::new(table.x, table.y);
    // In deviations of the years: a season is one year.
    let units = Standardization::of(&data)?;
    let year = 1.0 / units.of_inputs().scale()[0];
    let kernel = 2.0 * Rbf::new(1.0) + 0.1 * (Periodic::new(1.0, year) * Rbf::new(2.0)) + 1e-3 * Matern32::new(0.1);
    let model = units.around(ExactGp::new(kernel).with_noise(1e-4)?);
    let file = std::env::temp_dir().join(format!("mercer-demo-{}.mercer", std::process::id()));
    model.condition(&data)?.save(&file)?;
    eprintln!("the posterior of {} months is in {}", data.x().nrows(), file.display());
    Ok(file)
}
