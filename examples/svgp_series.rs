//! A noisy series: inducing inputs that find their places, on all rows and on minibatches.
//!
//! `cargo run --release --example svgp_series`, or with `-- --quick` for a rough run in seconds.
//!
//! y = sin 3x + 0.6 sin(12x) for x > 0, with noise of standard deviation 0.15. All inducing inputs start crowded
//! into a tenth of the interval; the crosses in the plot follow them from there. Training on
//! minibatches is stopped half-way, saved in a file with its random generator, and goes on from there to the
//! bits that it reaches without a stop.

mod support;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use mercer::data::metrics::rmse;
use mercer::gp::{Prediction, Svgp};
use mercer::likelihood::Gaussian;
use mercer::optim::{Checkpoint, History, Schedule, Train};
use mercer::prelude::*;
use mercer::save::{Save, from_bytes};
use plotters::coord::Shift;
use plotters::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

/// A noisy series: inducing inputs that find their places, on all rows and on minibatches.
#[derive(Parser)]
struct Arguments {
    /// 60 steps on 200 rows: shows that all is well, not how good it gets
    #[arg(long)]
    quick: bool,
}

const NOISE: f64 = 0.15;
const INDUCING: usize = 16;

fn truth(x: f64) -> f64 {
    (3.0 * x).sin() + if x > 0.0 { 0.6 * (12.0 * x).sin() } else { 0.0 }
}

/// One model, trained.
struct Report {
    name: &'static str,
    model: Svgp,
    history: History,
    /// Steps and the inducing inputs after them.
    places: Vec<(usize, Vec<f64>)>,
    seconds: f64,
}

struct Data {
    x: Mat<f64>,
    y: Vec<f64>,
    grid: Mat<f64>,
}

impl Data {
    fn seen(&self) -> mercer::gp::Data<f64> {
        mercer::gp::Data::new(&self.x, &self.y)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = Arguments::parse().quick;
    let (n, steps) = if quick { (200, 60) } else { (2000, 1500) };
    let mut rng = Pcg64::seed_from_u64(0);
    let x = Mat::from_fn(n, 1, |_, _| rng.random_range(-1.0..1.0));
    let y = (0..n).map(|i| truth(x[(i, 0)]) + NOISE * rng.sample::<f64, _>(StandardNormal)).collect();
    let data = Data { x, y, grid: Mat::from_fn(401, 1, |i, _| -1.0 + i as f64 / 200.0) };

    let z = Mat::from_fn(INDUCING, 1, |i, _| -0.1 + 0.2 * i as f64 / (INDUCING - 1) as f64);
    let start = Svgp::new((1.0 * Rbf::new(0.3)).dynamic(), z.as_ref())?.with_likelihood(Gaussian::new(0.1));
    let all = Train::new(steps)
        .with_rate(0.02)
        .with_rate_of("inducing", 0.01)
        .with_schedule(Schedule::Cosine { steps, last: 0.02 });
    let some = all.clone().with_batch(n / 10);
    let reports = [run("all rows", &start, &data, &all)?, run("a tenth a step", &start, &data, &some)?];

    let grid_truth: Vec<f64> = data.grid.col_as_slice(0).iter().map(|&x| truth(x)).collect();
    println!("{:<16}{:>12}{:>10}{:>24}{:>10}", "", "bound (nats)", "RMSE", "inducing inputs span", "seconds");
    for Report { name, model, seconds, .. } in &reports {
        let bound = model.objective(&data.seen())?.value;
        let error = rmse(&grid_truth, model.posterior()?.mean(data.grid.as_ref())?.col_as_slice(0))?;
        let (least, most) = span(model.inducing().inputs().col(0).iter().copied());
        println!("{name:<16}{bound:>12.1}{error:>10.4}{:>24}{seconds:>10.2}", format!("{least:.2} to {most:.2}"));
    }
    let (bytes, same) = stop_and_resume(&start, &data, &some, &reports[1])?;
    println!("stopped after {} steps, saved in {bytes} bytes, resumed: the same bits: {same}", steps / 2);
    println!("plot: {}", plot(&data, &reports, steps)?.display());
    Ok(())
}

fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
}

fn run(name: &'static str, start: &Svgp, data: &Data, train: &Train) -> mercer::Result<Report> {
    let clock = Instant::now();
    let (mut model, mut places) = (start.clone(), Vec::new());
    let (data, mut rng) = (data.seen(), Pcg64::seed_from_u64(1));
    let mut run = model.run(&data, train)?;
    while let Some(progress) = run.step(&mut rng)? {
        if progress.step.is_multiple_of((progress.steps / 30).max(1)) {
            places.push((progress.step, run.model().inducing().inputs().col(0).iter().copied().collect()));
        }
    }
    let history = run.history();
    Ok(Report { name, model, history, places, seconds: clock.elapsed().as_secs_f64() })
}

/// The same training by way of a file: how long it is, and whether it reaches the same bits.
fn stop_and_resume(start: &Svgp, data: &Data, train: &Train, whole: &Report) -> Result<(usize, bool), Box<dyn Error>> {
    let (mut model, mut rng, data) = (start.clone(), Pcg64::seed_from_u64(1), data.seen());
    let mut run = model.run(&data, train)?;
    while run.step(&mut rng)?.is_some_and(|progress| progress.step + 1 < progress.steps / 2) {}
    let saved = (run.checkpoint(), rng).to_bytes()?;

    let (checkpoint, mut rng): (Checkpoint, Pcg64) = from_bytes(&saved)?;
    let mut model = start.clone();
    let history = model.run(&data, train)?.resume(&checkpoint)?.finish(&mut rng)?;
    Ok((saved.len(), history == whole.history && model.values() == whole.model.values()))
}

const LINE: RGBColor = RGBColor(31, 92, 153);
const SEEN: RGBColor = RGBColor(60, 60, 60);
const MOVING: RGBColor = RGBColor(200, 70, 30);

/// A row for each model: the prediction, and the way of the inducing inputs; then the bounds.
fn plot(data: &Data, reports: &[Report], steps: usize) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join("svgp_series.svg");
    let root = SVGBackend::new(&path, (1200, 1050)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((reports.len() + 1, 2));
    for (report, area) in reports.iter().zip(areas.chunks_exact(2)) {
        prediction(&area[0], data, report)?;
        migration(&area[1], report, steps)?;
    }
    for (report, area) in reports.iter().zip(&areas[2 * reports.len()..]) {
        bound(area, report, steps)?;
    }
    root.present()?;
    drop((root, areas));
    Ok(path)
}

fn prediction(area: &DrawingArea<SVGBackend<'_>, Shift>, data: &Data, report: &Report) -> Result<(), Box<dyn Error>> {
    let Prediction { mean, variance, .. } = report.model.posterior::<f64>()?.predict(data.grid.as_ref())?;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: mean and 95 % band", report.name), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d(-1.0..1.0, -2.2..2.2)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(5)
        .y_labels(5)
        .draw()?;
    let seen = (0..data.y.len()).map(|i| Circle::new((data.x[(i, 0)], data.y[i]), 1, SEEN.mix(0.25).filled()));
    chart.draw_series(seen)?;
    let grid = data.grid.col_as_slice(0);
    let edge = |sign: f64| (0..grid.len()).map(move |i| (i, sign));
    let at = |(i, sign): (usize, f64)| (grid[i], mean[(i, 0)] + sign * 1.96 * variance[(i, 0)].sqrt());
    let band: Vec<(f64, f64)> = edge(1.0).chain(edge(-1.0).rev()).map(at).collect();
    chart.draw_series([Polygon::new(band, LINE.mix(0.25).filled())])?;
    chart.draw_series(LineSeries::new(grid.iter().copied().zip(mean.col(0).iter().copied()), LINE.stroke_width(2)))?;
    let truth = LineSeries::new(grid.iter().map(|&x| (x, truth(x))), BLACK.mix(0.6).stroke_width(1));
    chart.draw_series(truth)?;
    let z = report.model.inducing().inputs();
    chart.draw_series((0..z.nrows()).map(|i| Cross::new((z[(i, 0)], -2.0), 4, MOVING.stroke_width(2))))?;
    Ok(())
}

fn migration(area: &DrawingArea<SVGBackend<'_>, Shift>, report: &Report, steps: usize) -> Result<(), Box<dyn Error>> {
    let (least, most) = span(report.places.iter().flat_map(|(_, places)| places).copied());
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: inducing inputs by step", report.name), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d(least.min(-1.0)..most.max(1.0), 0..steps)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(5)
        .y_labels(5)
        .draw()?;
    for point in 0..INDUCING {
        let way = report.places.iter().map(|(step, places)| (places[point], *step));
        chart.draw_series(LineSeries::new(way.clone(), MOVING.mix(0.6)))?;
        chart.draw_series(way.map(|place| Cross::new(place, 2, MOVING)))?;
    }
    Ok(())
}

fn bound(area: &DrawingArea<SVGBackend<'_>, Shift>, report: &Report, steps: usize) -> Result<(), Box<dyn Error>> {
    // The first tenth of the steps would leave no room for the rest.
    let shown = || report.history.records.iter().filter(|record| record.step >= steps / 10);
    let (least, most) = span(shown().map(|record| -record.loss));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: bound, as the step saw it", report.name), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0..steps, least..most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(5)
        .y_labels(5)
        .draw()?;
    chart.draw_series(LineSeries::new(shown().map(|record| (record.step, -record.loss)), LINE))?;
    Ok(())
}
