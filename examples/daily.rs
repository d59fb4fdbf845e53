//! Two hundred and seventy years, day by day: a trend, a year and a week, of 100,000 observations, some of which are missing.
//!
//! `cargo run --release --example daily`, or with `-- --quick` for some thousand days.
//!
//! The series is made here, from a known trend, year and week. One evaluation of the exact log marginal likelihood of all days,
//! with its gradient, takes a fraction of a second; a dense matrix of them would have 80 gigabytes.

#[path = "support/panels.rs"]
mod panels;

use std::error::Error;
use std::f64::consts::TAU;
use std::time::Instant;

use mercer::gp::{Data, ExactGp};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use panels::Panel;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

const YEAR: f64 = 365.25;

/// What is observed on a day, without noise: the trend, the year and the week.
fn truth(day: f64) -> [f64; 3] {
    let years = day / YEAR;
    let trend = 1.5 * (TAU * years / 60.0).sin() + 0.02 * years;
    let year = 2.0 * (TAU * years).cos() + 0.5 * (2.0 * TAU * years + 0.3).cos();
    let week = 0.6 * (TAU * day / 7.0).cos();
    [trend, year, week]
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let n = if quick { 3000 } else { 100_000 };
    let mut rng = rand_pcg::Pcg64::seed_from_u64(0);
    let days: Vec<f64> = (0..n).map(f64::from).collect();
    let mut noisy = |day: f64| {
        let noise: f64 = rng.sample(StandardNormal);
        if rng.random_bool(0.03) { f64::NAN } else { truth(day).iter().sum::<f64>() + 0.5 * noise }
    };
    let y: Vec<f64> = days.iter().map(|&day| noisy(day)).collect();
    let data = Data::new(&days, &y);

    let trend = 1.0 * Matern52::new(20.0 * YEAR);
    let year = 1.0 * (Cosine::new(YEAR) * Matern32::new(50.0 * YEAR))
        + 0.3 * (Cosine::new(YEAR / 2.0) * Matern32::new(50.0 * YEAR));
    let week = 0.3 * (Cosine::new(7.0) * Matern32::new(50.0 * YEAR));
    let mut model = ExactGp::new((trend + year + week).dynamic()).with_noise(0.5)?;
    for path in model.parameters().into_iter().map(|entry| entry.path).filter(|path| path.ends_with("period")) {
        model.freeze(&path)?;
    }
    print!("{}", model.explain(&data)?);
    let start = Instant::now();
    let value = model.objective(&data)?;
    println!("log marginal likelihood {value:.3} in {:.3} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let report = model.fit(&data, &Lbfgs { max_steps: if quick { 5 } else { 15 }, ..Lbfgs::default() })?;
    println!("{} steps in {:.1} s: {:.3}", report.steps, start.elapsed().as_secs_f64(), model.objective(&data)?);

    let posterior = model.condition(&data)?;
    let from = (f64::from(n) - 4.0 * YEAR).max(0.0);
    let times: Vec<f64> =
        (0..2000).map(|step| from + (f64::from(n) + 60.0 - from) * f64::from(step) / 1999.0).collect();
    let at = MatRef::from_column_major_slice(&times, times.len(), 1);
    let (whole, parts) = (posterior.predict(at)?, posterior.components(0)?);
    let each = parts.predict(at)?;
    let rms =
        (0..times.len()).map(|row| (whole.mean[(row, 0)] - truth(times[row]).iter().sum::<f64>()).powi(2)).sum::<f64>();
    println!("root mean square error of the function over the last years: {:.3}", (rms / times.len() as f64).sqrt());

    let seen = days.iter().copied().zip(y).filter(|(day, value)| *day > from && !value.is_nan()).collect();
    let title = "the last four years, in days".to_owned();
    let mut drawn = vec![Panel { title, times: &times, prediction: &whole, column: 0, seen }];
    for (column, term) in parts.iter().enumerate() {
        let title = term.text().to_owned();
        drawn.push(Panel { title, times: &times, prediction: &each, column, seen: Vec::new() });
    }
    println!("plot: {}", panels::draw("daily", &drawn)?.display());
    Ok(())
}
