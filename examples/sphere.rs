//! The Earth's magnetic field from noisy stations, by spherical harmonics as inducing features.
//!
//! `cargo run --release --example sphere`, or with `-- --quick` for fewer harmonics and steps.
//!
//! The radial field of the IGRF-14 model at 2000 points is seen at 400 of them, with noise, and nowhere within 30° of a
//! place in the South Pacific. Three kernels of the distance through the Earth, with lengthscale, variance and noise to
//! learn, compete by their collapsed bounds; the data are looked at once, and no step of the fits depends on their
//! number. The best draws the maps: the truth, the mean and the standard deviation, in Mollweide's equal-area projection,
//! with the power of each degree that the prior expects, before and after the fit, beside that of the field.
//!
//! The prior knows nothing of the dipole, which stands above all other degrees, so the lengthscale that it learns is a
//! compromise.

mod support;

use std::error::Error;
use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mercer::data::{rows, split};
use mercer::gp::{ExactGp, Prediction, Sgpr};
use mercer::inducing::SphericalHarmonicFeatures;
use mercer::linalg::{Cholesky, Jitter};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use mercer::sphere::SphericalHarmonics;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use support::{Scores, Table};

const STATIONS: usize = 400;
/// Standard deviation of the noise, µT.
const NOISE: f64 = 0.5;
/// Latitude, longitude and radius of the part of the sphere without stations, degrees.
const GAP: [f64; 3] = [-25.0, -125.0, 30.0];
/// The highest degree of the IGRF.
const IGRF_DEGREE: usize = 13;

type Model = Sgpr<DynKernel, SphericalHarmonicFeatures>;

struct Data {
    /// On the unit sphere.
    x: Mat<f64>,
    y: Vec<f64>,
    x_test: Mat<f64>,
    /// Without noise.
    y_test: Vec<f64>,
    truth: Truth,
}

/// The field as a sum of harmonics, which is what the IGRF is: by least squares, to the digits of the table.
struct Truth {
    harmonics: SphericalHarmonics,
    coefficients: Mat<f64>,
}

struct Fitted {
    model: Model,
    /// Expected power by degree, µT², before and after the fit.
    power: [Vec<f64>; 2],
    bound: f64,
    scores: Scores,
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (l_max, max_steps) = if quick { (10, 12) } else { (20, 100) };
    let data = load()?;
    println!(
        "{} stations with noise of {NOISE} µT, {} points held out, harmonics to degree {l_max}: {} features{}",
        data.y.len(),
        data.y_test.len(),
        (l_max + 1) * (l_max + 1),
        if quick { " (quick run)" } else { "" }
    );

    let search = Lbfgs { max_steps, ..Lbfgs::default() };
    println!(
        "\n{:<10}{:>12}{:>12}{:>12}{:>12}{:>12}{:>10}{:>8}{:>8}",
        "kernel", "at start", "bound", "exact", "upper", "lengthscale", "noise", "RMSE", "95 %"
    );
    let mut best: Option<Fitted> = None;
    for (name, kernel) in [
        ("rbf", Rbf::new(1.0).dynamic()),
        ("matern52", Matern52::new(1.0).dynamic()),
        ("matern32", Matern32::new(1.0).dynamic()),
    ] {
        let fitted = learn(name, &data, kernel, l_max, &search)?;
        if best.as_ref().is_none_or(|best| fitted.bound > best.bound) {
            best = Some(fitted);
        }
    }
    let best = best.ok_or("no kernels")?;
    println!("\nthe best by its bound: {}", best.model.kernel());
    println!("plot: {}", plot(&data, &best)?.display());
    Ok(())
}

fn on_sphere(latitude: f64, longitude: f64) -> [f64; 3] {
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

fn load() -> Result<Data, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/igrf14_2025_fibonacci2000.csv");
    // The last column, of which the table makes its target, is the eastward field.
    let Table { x: columns, .. } = support::read_csv(File::open(path)?)?;
    let n = columns.nrows();
    let x = Mat::from_fn(n, 3, |row, d| on_sphere(columns[(row, 0)].to_radians(), columns[(row, 1)].to_radians())[d]);
    let field = Mat::from_fn(n, 1, |row, _| 1e-3 * columns[(row, 2)]);

    let gap = on_sphere(GAP[0].to_radians(), GAP[1].to_radians());
    let cosine = |row: usize| (0..3).map(|d| x[(row, d)] * gap[d]).sum::<f64>();
    let outside: Vec<usize> = (0..n).filter(|&row| cosine(row) < GAP[2].to_radians().cos()).collect();
    let mut rng = Pcg64::seed_from_u64(0);
    let parts = split(outside.len(), STATIONS, &mut rng)?;
    let stations: Vec<usize> = parts.test.iter().map(|&index| outside[index]).collect();
    let others: Vec<usize> = (0..n).filter(|row| !stations.contains(row)).collect();
    let y = stations.iter().map(|&row| field[(row, 0)] + NOISE * rng.sample::<f64, _>(StandardNormal)).collect();
    Ok(Data {
        y,
        y_test: others.iter().map(|&row| field[(row, 0)]).collect(),
        truth: Truth::new(&x, &field)?,
        x_test: rows(x.as_ref(), &others)?,
        x: rows(x.as_ref(), &stations)?,
    })
}

impl Truth {
    fn new(x: &Mat<f64>, field: &Mat<f64>) -> Result<Self, Box<dyn Error>> {
        let harmonics = SphericalHarmonics::new(3, IGRF_DEGREE)?;
        let values = harmonics.values(x.as_ref())?;
        let mut coefficients = &values * field;
        let normal = Cholesky::new((&values * values.transpose()).as_ref(), Jitter::Fixed(0.0), Par::Seq)?;
        normal.solve_in_place(coefficients.as_mut(), Par::Seq)?;
        let left = (values.transpose() * &coefficients - field).norm_max();
        println!("the field is a sum of harmonics to degree {IGRF_DEGREE}, to {:.0e} nT", 1e3 * left);
        Ok(Self { harmonics, coefficients })
    }

    fn at(&self, x: &Mat<f64>) -> mercer::Result<Vec<f64>> {
        let field = self.harmonics.values(x.as_ref())?.transpose() * &self.coefficients;
        Ok(field.col_as_slice(0).to_vec())
    }

    /// The mean square over the sphere, by degree, µT².
    fn power(&self) -> Vec<f64> {
        let square = |row: usize| self.coefficients[(row, 0)].powi(2) / (4.0 * PI);
        (0..=IGRF_DEGREE).map(|l| self.harmonics.rows(l).map(square).sum()).collect()
    }
}

/// The mean square that a kernel expects of each degree: (2l + 1) a_l/4π.
fn expected_power(model: &Model) -> mercer::Result<Vec<f64>> {
    let coefficients = model.inducing().coefficients(model.kernel())?;
    Ok(coefficients.iter().enumerate().map(|(l, a)| (2 * l + 1) as f64 * a / (4.0 * PI)).collect())
}

fn learn(name: &str, data: &Data, kernel: DynKernel, l_max: usize, search: &Lbfgs) -> mercer::Result<Fitted> {
    let (x, y) = (data.x.as_ref(), &data.y);
    let features = SphericalHarmonicFeatures::new(3, l_max)?;
    let mut model: Model = Sgpr::with_features((1000.0 * kernel).dynamic(), features)?.with_noise(1.0)?;
    let before = expected_power(&model)?;

    let start = Instant::now();
    let statistics = model.statistics(x, y)?;
    let at_start = model.log_evidence_on(&statistics)?.value;
    let minimum = model.fit_on(&statistics, search)?;
    let seconds = start.elapsed().as_secs_f64();
    let bound = model.log_evidence_on(&statistics)?.value;

    let noise = model.likelihood().variance();
    let exact = ExactGp::new(model.kernel().clone()).with_noise(noise)?.log_evidence(x, y)?;
    let predicted = model.condition_on(&statistics)?.predict(data.x_test.as_ref())?;
    let scores = Scores::new(&data.y_test, &predicted)?;
    let lengthscale = model.values()[1];
    println!(
        "{name:<10}{at_start:>12.1}{bound:>12.1}{exact:>12.1}{:>12.1}{lengthscale:>12.3}{:>10.3}{:>8.3}{:>7.1}%",
        model.upper_bound(x, y)?,
        noise.sqrt(),
        scores.rmse,
        100.0 * scores.coverage,
    );
    println!("{:<10}{} evaluations in {seconds:.2} s", "", minimum.evaluations);
    Ok(Fitted { power: [before, expected_power(&model)?], model, bound, scores })
}

/// Cells of the maps along and across.
const CELLS: [usize; 2] = [140, 70];

/// A map: cells of a rectangle about Mollweide's ellipse, whose half axes are 2√2 and √2.
struct Cells {
    /// The middle of each cell on the map.
    places: Vec<[f64; 2]>,
    x: Mat<f64>,
}

impl Cells {
    fn new() -> Self {
        let [across, up] = CELLS;
        let (mut places, mut points) = (Vec::new(), Vec::new());
        for cell in 0..across * up {
            let (i, j) = ((cell % across) as f64 + 0.5, (cell / across) as f64 + 0.5);
            let place = [(2.0 * i / across as f64 - 1.0) * 2.0 * SQRT_2, (2.0 * j / up as f64 - 1.0) * SQRT_2];
            // Mollweide backwards: sin θ = v/√2, π sin(latitude) = 2θ + sin 2θ.
            let theta = (place[1] / SQRT_2).asin();
            let longitude = PI * place[0] / (2.0 * SQRT_2 * theta.cos());
            if longitude.abs() < PI {
                places.push(place);
                points.push(on_sphere(((2.0 * theta + (2.0 * theta).sin()) / PI).asin(), longitude));
            }
        }
        Self { x: Mat::from_fn(points.len(), 3, |row, d| points[row][d]), places }
    }
}

/// Mollweide's projection, by Newton's method from a start that is exact at the poles and at the equator.
fn projected(point: [f64; 3]) -> (f64, f64) {
    let (target, longitude) = (PI * point[2], point[1].atan2(point[0]));
    let mut theta = FRAC_PI_2 * point[2];
    for _ in 0..40 {
        let slope = 2.0 + 2.0 * (2.0 * theta).cos();
        if slope > 1e-12 {
            theta -= (2.0 * theta + (2.0 * theta).sin() - target) / slope;
        }
    }
    (2.0 * SQRT_2 / PI * longitude * theta.cos(), SQRT_2 * theta.sin())
}

fn plot(data: &Data, best: &Fitted) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join("sphere.svg");
    let root = SVGBackend::new(&path, (1400, 920)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((2, 2));

    let cells = Cells::new();
    let truth = data.truth.at(&cells.x)?;
    let Prediction { mean, variance, .. } =
        best.model.condition(data.x.as_ref(), &data.y)?.predict(cells.x.as_ref())?;
    let deviation: Vec<f64> = variance.iter().map(|v| v.sqrt()).collect();
    let largest = truth.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let title = "Radial field (µT), outward";
    map(&areas[0], title, &cells, &truth, -largest..largest, diverging)?;
    let title = format!("Mean from {} stations: RMSE {:.2} µT", data.y.len(), best.scores.rmse);
    map(&areas[1], &title, &cells, &mean, -largest..largest, diverging)?;
    let largest = deviation.iter().fold(0.0f64, |largest, &value| largest.max(value));
    let chart = map(&areas[2], "Standard deviation (µT), and stations", &cells, &deviation, 0.0..largest, sequential)?;
    let stations = (0..data.x.nrows()).map(|row| projected([data.x[(row, 0)], data.x[(row, 1)], data.x[(row, 2)]]));
    for station in stations {
        chart.plotting_area().draw(&Circle::new(station, 1, BLACK.filled()))?;
    }
    spectrum(&areas[3], &data.truth.power(), &best.power)?;
    root.present()?;
    drop((chart, areas, root));
    Ok(path)
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn map<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    title: &str,
    cells: &Cells,
    values: &[f64],
    range: std::ops::Range<f64>,
    colour: fn(f64) -> RGBColor,
) -> Result<Chart<'a>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22))
        .margin(12)
        .build_cartesian_2d(-2.95..2.95, -1.95..1.5)?;
    let half = [2.0 * SQRT_2 / CELLS[0] as f64, SQRT_2 / CELLS[1] as f64];
    let share = |value: f64| (value - range.start) / (range.end - range.start);
    chart.draw_series(cells.places.iter().zip(values).map(|([u, v], &value)| {
        let corners = [(u - half[0], v - half[1]), (u + half[0], v + half[1])];
        Rectangle::new(corners, colour(share(value)).filled())
    }))?;
    let rim = (0..=180).map(|i| f64::from(i) * PI / 90.0).map(|t| (2.0 * SQRT_2 * t.cos(), SQRT_2 * t.sin()));
    chart.draw_series([PathElement::new(rim.collect::<Vec<_>>(), BLACK.mix(0.6))])?;
    // The scale.
    let at = |share: f64| 3.0 * share - 1.5;
    chart.draw_series((0..60).map(|i| {
        let corners = [(at(f64::from(i) / 60.0), -1.72), (at(f64::from(i + 1) / 60.0), -1.6)];
        Rectangle::new(corners, colour((f64::from(i) + 0.5) / 60.0).filled())
    }))?;
    let labels = [0.0, 0.5, 1.0].map(|share| (range.start + share * (range.end - range.start), at(share) - 0.12));
    chart.draw_series(
        labels.map(|(value, place)| Text::new(format!("{value:.2}"), (place, -1.77), ("sans-serif", 15).into_font())),
    )?;
    Ok(chart)
}

fn spectrum(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    truth: &[f64],
    [before, after]: &[Vec<f64>; 2],
) -> Result<(), Box<dyn Error>> {
    let highest = before.len() as f64 - 0.5;
    let mut chart = ChartBuilder::on(area)
        .caption("Mean square of each degree (µT²)", ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(-0.5..highest, (1e-7..1e4).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc("degree l")
        .y_label_formatter(&|power| format!("{power:.0e}"))
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 17))
        .draw()?;
    // Of a logarithmic axis, what has none is left out: the field's monopole and degrees beyond its own.
    let shown = |powers: &[f64]| -> Vec<(f64, f64)> {
        powers.iter().enumerate().filter(|(_, power)| **power > 1e-7).map(|(l, &power)| (l as f64, power)).collect()
    };
    for (powers, colour, label) in
        [(before, RGBColor(150, 150, 150), "prior at the start"), (after, RGBColor(31, 92, 153), "prior after the fit")]
    {
        chart
            .draw_series(LineSeries::new(shown(powers), colour.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    let colour = RGBColor(200, 70, 30);
    chart
        .draw_series(shown(truth).into_iter().map(|point| Circle::new(point, 4, colour.filled())))?
        .label("the field")
        .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .label_font(("sans-serif", 16))
        .background_style(WHITE.mix(0.85))
        .draw()?;
    Ok(())
}

/// Between colours at equal distances in [0, 1].
fn between(stops: &[[f64; 3]], share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let below = (place as usize).min(stops.len() - 2);
    let [r, g, b] = [0, 1, 2].map(|c| {
        let (from, to) = (stops[below][c], stops[below + 1][c]);
        (from + (place - below as f64) * (to - from)).round() as u8
    });
    RGBColor(r, g, b)
}

/// Blue, white, red.
fn diverging(share: f64) -> RGBColor {
    between(
        &[[33.0, 70.0, 150.0], [146.0, 184.0, 222.0], [247.0; 3], [235.0, 160.0, 130.0], [160.0, 30.0, 45.0]],
        share,
    )
}

/// White to dark green.
fn sequential(share: f64) -> RGBColor {
    between(&[[250.0, 250.0, 240.0], [160.0, 205.0, 165.0], [40.0, 130.0, 110.0], [10.0, 50.0, 70.0]], share)
}
