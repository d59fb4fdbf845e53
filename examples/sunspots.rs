//! Three hundred years of sunspots: an oscillator that is driven by noise, a slow trend and short memory, told apart.
//!
//! `cargo run --release --example sunspots`, or with `-- --quick` for a rough run.
//!
//! The square root of the yearly number of sunspots, whose noise is about the same at all heights, is a sum of processes that
//! all have a state-space form, so that the model takes the Markov engine: time grows with the number of years, not its cube.

#[path = "support/panels.rs"]
mod panels;
mod support;

use std::error::Error;
use std::fs::File;
use std::path::Path;

use mercer::gp::{Data, Engine, ExactGp};
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use panels::Panel;
use support::Table;

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/sunspots_yearly.csv");
    let Table { x, y } = support::read_csv(File::open(path)?)?;
    let roots: Vec<f64> = y.iter().map(|number| number.sqrt()).collect();
    let data = Data::new(&x, &roots);

    // Variances are in sunspots, periods and lengthscales in years.
    let trend = 2.0 * Matern32::new(60.0);
    let cycle = 8.0 * DampedOscillator::new(11.0, 8.0);
    let memory = 0.5 * Matern12::new(2.0);
    let mean = ConstantMean::new(roots.iter().sum::<f64>() / roots.len() as f64);
    let mut model =
        ExactGp::new((trend + cycle + memory).dynamic()).with_noise(0.3)?.with_mean(mean).with_engine(Engine::markov());
    print!("{}", model.explain(&data)?);
    let report = model.fit(&data, &Lbfgs { max_steps: if quick { 20 } else { 200 }, ..Lbfgs::default() })?;
    println!("log marginal likelihood {:.3} after {} steps", model.objective(&data)?, report.steps);
    println!("{}", model.table());

    let posterior = model.condition(&data)?;
    let times: Vec<f64> = (0..=330 * 4).map(|quarter| 1700.0 + 0.25 * f64::from(quarter)).collect();
    let at = MatRef::from_column_major_slice(&times, times.len(), 1);
    let parts = posterior.components(0)?.labelled(["trend", "cycle", "memory"])?;
    let (whole, each) = (posterior.predict(at)?, parts.predict(at)?);
    let miss = |row| (each.mean.row(row).iter().sum::<f64>() - whole.mean[(row, 0)]).abs();
    let largest = (0..times.len()).map(miss).fold(0.0, f64::max);
    assert!(largest < 1e-9, "the terms do not add up: {largest}");

    let seen: Vec<(f64, f64)> = (0..roots.len()).map(|row| (x[(row, 0)], roots[row])).collect();
    let mut drawn = vec![Panel {
        title: "square root of the yearly number of sunspots".to_owned(),
        times: &times,
        prediction: &whole,
        column: 0,
        seen,
    }];
    // The mean function, which comes last, is a number.
    for (column, term) in parts.iter().enumerate().take(3) {
        let title = format!("{}: {}", term.label(), term.text());
        drawn.push(Panel { title, times: &times, prediction: &each, column, seen: Vec::new() });
    }
    println!("plot: {}", panels::draw("sunspots", &drawn)?.display());
    Ok(())
}
