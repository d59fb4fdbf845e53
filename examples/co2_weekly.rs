//! Carbon dioxide at Mauna Loa week by week, with gaps: the same numbers by two algebras.
//!
//! `cargo run --release --example co2_weekly`, or with `-- --quick` for a rough run of some hundred weeks.
//!
//! 2284 weeks, of which 59 were not observed. The trend is an integrated Brownian motion and a Matérn process; the season is a
//! pair of cosines whose phase drifts with the years. Hyperparameters are learned by the Markov engine; then it and that of
//! dense matrices say what the log marginal likelihood, its gradient and the predictions are, and how long that took.

#[path = "support/panels.rs"]
mod panels;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use mercer::gp::{Data, Engine, ExactGp, Memory};
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use panels::Panel;

/// Years, and parts per million; NaN where nothing was observed.
fn load(weeks: usize) -> Result<(Vec<f64>, Vec<f64>), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mauna_loa_co2_weekly.csv");
    let (mut years, mut values) = (Vec::new(), Vec::new());
    for record in csv::Reader::from_path(path)?.records().take(weeks) {
        let record = record?;
        years.push(record[0].parse()?);
        values.push(record[1].parse()?);
    }
    Ok((years, values))
}

fn kernel() -> DynKernel {
    // Time counts from 1958.
    let trend = 1.0 * IntegratedBrownian::new(0.2) + 4.0 * Matern32::new(2.0);
    let year = 9.0 * (Cosine::new(1.0) * Matern32::new(40.0));
    let half = 1.0 * (Cosine::new(0.5) * Matern32::new(40.0));
    (trend + year + half + 0.1 * Matern12::new(0.1)).dynamic()
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (years, values) = load(if quick { 500 } else { usize::MAX })?;
    let since: Vec<f64> = years.iter().map(|year| year - 1958.0).collect();
    let missing = values.iter().filter(|value| value.is_nan()).count();
    println!("{} weeks, {missing} of them not observed", years.len());
    let data = Data::new(&since, &values);

    let mut model =
        ExactGp::new(kernel()).with_noise(0.05)?.with_mean(ConstantMean::new(314.0)).with_engine(Engine::markov());
    for path in ["kernel.sum[2].scaled.product[0].cosine.period", "kernel.sum[3].scaled.product[0].cosine.period"] {
        model.freeze(path)?;
    }
    print!("{}", model.explain(&data)?);
    let start = Instant::now();
    let report = model.fit(&data, &Lbfgs { max_steps: if quick { 5 } else { 100 }, ..Lbfgs::default() })?;
    println!("{} steps in {:.1} s\n{}", report.steps, start.elapsed().as_secs_f64(), model.table());

    let last = since[since.len() - 1];
    let at: Vec<f64> = (0..600).map(|step| (last + 1.0) * f64::from(step) / 599.0).collect();
    let points = MatRef::from_column_major_slice(&at, at.len(), 1);
    let mut found = Vec::new();
    for engine in [Engine::markov(), Engine::Dense] {
        let gp = model.clone().with_engine(engine);
        let start = Instant::now();
        let (value, gradient) = gp.evaluate(&data, &Memory::default())?;
        let evaluated = start.elapsed();
        let prediction = gp.condition(&data)?.predict(points)?;
        let predicted = start.elapsed() - evaluated;
        let milliseconds = |time: std::time::Duration| 1e3 * time.as_secs_f64();
        println!(
            "{:<8} log marginal likelihood {value:.9}: {:.1} ms with its gradient, {:.1} ms for predictions",
            gp.explain(&data)?.chosen(),
            milliseconds(evaluated),
            milliseconds(predicted),
        );
        found.push((value, gradient, prediction));
    }
    let [(a, in_a, at_a), (b, in_b, at_b)] = &found[..] else { unreachable!() };
    let size = in_b.iter().fold(1.0, |most: f64, of| most.max(of.abs()));
    let slopes = in_a.iter().zip(in_b).map(|(a, b)| (a - b).abs() / size).fold(0.0, f64::max);
    let means = (&at_a.mean - &at_b.mean).norm_max();
    println!("differences: {:.1e} of it, {slopes:.1e} of the gradient, {means:.1e} ppm", (a - b).abs() / b.abs());
    assert!((a - b).abs() < 1e-8 * b.abs() && slopes < 1e-6 && means < 1e-6);

    let times: Vec<f64> = at.iter().map(|time| time + 1958.0).collect();
    let seen = years.iter().copied().zip(values).filter(|(_, value)| !value.is_nan()).collect();
    let title = "carbon dioxide at Mauna Loa (ppm)".to_owned();
    let drawn = [Panel { title, times: &times, prediction: at_a, column: 0, seen }];
    println!("plot: {}", panels::draw("co2_weekly", &drawn)?.display());
    Ok(())
}
