//! A deep kernel: a neural network in front of a squared exponential, trained with it.
//!
//! `cargo run --release --example deep_kernel`, or with `-- --quick` for a rough run in seconds.
//!
//! The field is sin(2π(x₁² − x₂)) on [−1, 1]², seen with noise of standard deviation 0.1: waves whose direction and
//! length change from place to place, so that no lengthscales are right everywhere. A sparse process with a squared exponential
//! kernel of a lengthscale each learns it, and one whose kernel sees the points through a network, with the same
//! number of inducing inputs. Both are scored on a grid. A network of a thousand weights can fold the plane where few points
//! are: then what is learned of the points seen does not hold between them, though the bound is above that of the
//! plain kernel. A normal prior of the weights keeps the map smooth. Then the trained kernel is written as text, read
//! back, and put into another process, which predicts the same.

mod support;

use std::error::Error;
use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use mercer::data::metrics::{nlpd, rmse};
use mercer::gp::{Prediction, Svgp};
use mercer::inducing::start::kmeans_plus_plus;
use mercer::likelihood::Gaussian;
use mercer::optim::{Adam, Schedule, Train};
use mercer::params::Prior;
use mercer::prelude::*;
use mercer::warp::{Activation, Mlp};
use plotters::coord::Shift;
use plotters::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

/// A deep kernel: a neural network in front of a squared exponential, trained with it.
#[derive(Parser)]
struct Arguments {
    /// Few rows, inducing inputs and steps: shows that all is well, not how good it gets
    #[arg(long)]
    quick: bool,
    /// Steps of Adam [default: 3000, or 60 if quick]
    #[arg(long)]
    steps: Option<usize>,
    /// Seed of the data, the network's weights and the batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const NOISE: f64 = 0.1;
/// Standard deviation of the weights of the network a priori: some twice that of those that it starts from.
const WEIGHTS: f64 = 0.5;

fn truth(x1: f64, x2: f64) -> f64 {
    (TAU * (x1 * x1 - x2)).sin()
}

struct Size {
    rows: usize,
    inducing: usize,
    /// Width of each of the two hidden layers
    hidden: usize,
    steps: usize,
    batch: usize,
    /// Points of the grid along each side.
    side: usize,
}

struct Data {
    x: Mat<f64>,
    y: Vec<f64>,
    grid: Mat<f64>,
    /// Without noise, and seen anew.
    grid_truth: Vec<f64>,
    grid_seen: Vec<f64>,
}

impl Data {
    fn draw(size: &Size, rng: &mut Pcg64) -> Self {
        let x = Mat::from_fn(size.rows, 2, |_, _| rng.random_range(-1.0..1.0));
        let at = |side: usize| -1.0 + 2.0 * (side as f64 + 0.5) / size.side as f64;
        let grid =
            Mat::from_fn(size.side * size.side, 2, |i, d| at(if d == 0 { i % size.side } else { i / size.side }));
        let of = |points: &Mat<f64>| -> Vec<f64> {
            (0..points.nrows()).map(|i| truth(points[(i, 0)], points[(i, 1)])).collect()
        };
        let (y, grid_truth) = (of(&x), of(&grid));
        let mut seen = |values: &[f64]| -> Vec<f64> {
            values.iter().map(|f| f + NOISE * rng.sample::<f64, _>(StandardNormal)).collect()
        };
        let (y, grid_seen) = (seen(&y), seen(&grid_truth));
        Self { x, y, grid, grid_truth, grid_seen }
    }
}

struct Report {
    name: &'static str,
    model: Svgp,
    on_grid: Prediction<f64>,
    rmse: f64,
    nlpd: f64,
    bound: f64,
    seconds: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, steps, seed } = Arguments::parse();
    let mut size = if quick {
        Size { rows: 150, inducing: 20, hidden: 8, steps: 60, batch: 50, side: 15 }
    } else {
        Size { rows: 1000, inducing: 60, hidden: 32, steps: 3000, batch: 250, side: 41 }
    };
    size.steps = steps.unwrap_or(size.steps);
    let mut rng = Pcg64::seed_from_u64(seed);
    let data = Data::draw(&size, &mut rng);

    let plain = 1.0 * Rbf::new([0.3, 0.3]);
    let widths = [2, size.hidden, size.hidden, 2];
    let mut deep = 1.0 * Rbf::new(1.0).mlp(Mlp::random(&widths, Activation::Tanh, &mut rng)?);
    for layer in 0..widths.len() - 1 {
        deep.set_prior(&format!("scaled.mlp[{layer}].layer.weights"), Prior::normal(0.0, WEIGHTS)?)?;
    }
    let reports = [
        learn("squared exponential", plain.dynamic(), &data, &size, &mut rng)?,
        learn("deep kernel", deep.dynamic(), &data, &size, &mut rng)?,
    ];
    println!("{:<22}{:>12}{:>10}{:>14}{:>10}", "", "parameters", "RMSE", "NLPD (nats)", "seconds");
    for Report { name, model, rmse, nlpd, seconds, .. } in &reports {
        println!("{name:<22}{:>12}{rmse:>10.4}{nlpd:>14.3}{seconds:>10.2}", model.kernel().num_params());
    }
    println!("bounds: {:.1} and {:.1} nats", reports[0].bound, reports[1].bound);

    let (bytes, same) = read_back(&reports[1], &data)?;
    println!("trained kernel: {bytes} bytes of text; read back, the same predictions: {same}");
    println!("plot: {}", plot(&data, &size, &reports)?.display());
    Ok(())
}

fn learn(name: &'static str, kernel: DynKernel, data: &Data, size: &Size, rng: &mut Pcg64) -> mercer::Result<Report> {
    let clock = Instant::now();
    let x = data.x.as_ref();
    let z = kmeans_plus_plus(x, size.inducing, 20, rng)?;
    let mut model = Svgp::new(kernel, z.as_ref())?.with_likelihood(Gaussian::new(0.05));
    let train = Train::new(size.steps)
        .with_batch(size.batch)
        .with_adam(Adam { rate: 0.01, clip: Some(1e4), ..Adam::default() })
        .with_schedule(Schedule::Cosine { steps: size.steps.max(1), last: 0.01 })
        .with_record_every(size.steps.max(1));
    model.train(&mercer::gp::Data::new(x, &data.y), &train, rng)?;
    let seconds = clock.elapsed().as_secs_f64();
    let on_grid = model.posterior()?.predict_observations(data.grid.as_ref())?;
    Ok(Report {
        name,
        rmse: rmse(&data.grid_truth, on_grid.mean.col_as_slice(0))?,
        nlpd: nlpd(&data.grid_seen, on_grid.mean.col_as_slice(0), on_grid.variance.col_as_slice(0))?,
        bound: model.objective(&mercer::gp::Data::new(x, &data.y))?.value,
        on_grid,
        model,
        seconds,
    })
}

/// The kernel through text into another process with the same q: the length of the text, and whether predictions
/// are the same to the bit.
fn read_back(report: &Report, data: &Data) -> Result<(usize, bool), Box<dyn Error>> {
    let model = &report.model;
    let saved = serde_json::to_string(model.kernel())?;

    let kernel: DynKernel = serde_json::from_str(&saved)?;
    let other = Svgp::with_features(kernel, model.inducing().clone())?;
    let other = other.with_likelihood(Gaussian::new(1.0)).with_variational(model.variational().clone())?;
    let (again, before) = (other.posterior()?, model.posterior()?);
    Ok((saved.len(), again.predict(data.grid.as_ref())? == before.predict(data.grid.as_ref())?))
}

/// Above, the field and what is learned of it; below, where it was seen, and the standard deviations.
fn plot(data: &Data, size: &Size, reports: &[Report]) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join("deep_kernel.svg");
    let root = SVGBackend::new(&path, (1200, 820)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((2, 1 + reports.len()));
    panel(&areas[0], "sin 2π(x₁² − x₂)", size, Some((&data.grid_truth, -1.2, 1.2)), &[])?;
    let seen: Vec<(f64, f64)> = (0..data.y.len()).map(|i| (data.x[(i, 0)], data.x[(i, 1)])).collect();
    panel(&areas[1 + reports.len()], &format!("{} points seen", seen.len()), size, None, &seen)?;
    for (index, report) in reports.iter().enumerate() {
        let Report { name, model, on_grid, rmse, .. } = report;
        let z = model.inducing().inputs();
        let z: Vec<(f64, f64)> = (0..z.nrows()).map(|i| (z[(i, 0)], z[(i, 1)])).collect();
        let title = format!("{name}: RMSE {rmse:.3}");
        panel(&areas[1 + index], &title, size, Some((on_grid.mean.col_as_slice(0), -1.2, 1.2)), &[])?;
        let deviation: Vec<f64> = on_grid.variance.col(0).iter().map(|v| v.sqrt()).collect();
        let title = "standard deviation of an observation";
        panel(&areas[2 + reports.len() + index], title, size, Some((&deviation, 0.0, 1.0)), &z)?;
    }
    root.present()?;
    drop((root, areas));
    Ok(path)
}

/// Values on the grid as colours, between two ends, and points.
fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    size: &Size,
    values: Option<(&[f64], f64, f64)>,
    points: &[(f64, f64)],
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(28)
        .y_label_area_size(34)
        .build_cartesian_2d(-1.0..1.0, -1.0..1.0)?;
    chart.configure_mesh().disable_mesh().x_labels(5).y_labels(5).draw()?;
    if let Some((values, least, most)) = values {
        let width = 2.0 / size.side as f64;
        let tile = |(i, value): (usize, &f64)| {
            let (left, low) = (-1.0 + width * (i % size.side) as f64, -1.0 + width * (i / size.side) as f64);
            let colour = colour(((value - least) / (most - least)).clamp(0.0, 1.0));
            Rectangle::new([(left, low), (left + width, low + width)], colour.filled())
        };
        chart.draw_series(values.iter().enumerate().map(tile))?;
    }
    let inside = points.iter().filter(|(x, y)| x.abs() <= 1.0 && y.abs() <= 1.0);
    chart.draw_series(inside.map(|&point| Circle::new(point, 2, BLACK.mix(0.6).filled())))?;
    Ok(())
}

/// From blue over near-white to red.
fn colour(share: f64) -> RGBColor {
    let ends = if share < 0.5 {
        [(31.0, 245.0), (92.0, 245.0), (153.0, 240.0)]
    } else {
        [(245.0, 200.0), (245.0, 70.0), (240.0, 30.0)]
    };
    let within = if share < 0.5 { 2.0 * share } else { 2.0 * share - 1.0 };
    let [red, green, blue] = ends.map(|(from, to): (f64, f64)| (from + within * (to - from)) as u8);
    RGBColor(red, green, blue)
}
