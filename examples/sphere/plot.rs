//! Maps of a sphere and spectra, drawn.

use std::error::Error;
use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mercer::gp::Prediction;
use mercer::prelude::*;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::Fitted;
use super::field::{Field, on_sphere};

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

pub(crate) fn plot(field: &Field, best: &Fitted) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("sphere_{}.svg", field.name));
    let root = SVGBackend::new(&path, (1400, 920)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((2, 2));

    let (cells, unit) = (Cells::new(), field.unit);
    let truth = field.truth.at(&cells.x)?;
    let Prediction { mean, variance, .. } =
        best.model.condition(&Data::new(field.x.as_ref(), &field.y))?.predict(cells.x.as_ref())?;
    let deviation: Vec<f64> = variance.col(0).iter().map(|v| v.sqrt()).collect();
    let largest = truth.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    map(&areas[0], &format!("{}{}", field.title, bracketed(unit)), &cells, &truth, -largest..largest, diverging)?;
    let title = format!("Mean from {} observations: RMSE {:.3}{unit}", field.y.len(), best.scores.rmse);
    map(&areas[1], &title, &cells, mean.col_as_slice(0), -largest..largest, diverging)?;
    let largest = deviation.iter().fold(0.0f64, |largest, &value| largest.max(value));
    let title = format!("Standard deviation{}, and observations", bracketed(unit));
    let chart = map(&areas[2], &title, &cells, &deviation, 0.0..largest, sequential)?;
    let seen = (0..field.x.nrows()).map(|row| projected([field.x[(row, 0)], field.x[(row, 1)], field.x[(row, 2)]]));
    for place in seen {
        chart.plotting_area().draw(&Circle::new(place, 1, BLACK.filled()))?;
    }
    spectrum(&areas[3], field, &best.power)?;
    root.present()?;
    drop((chart, areas, root));
    Ok(path)
}

/// " (µT)" from " µT".
fn bracketed(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" ({})", unit.trim()) }
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn map<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    title: &str,
    cells: &Cells,
    values: &[f64],
    range: Range<f64>,
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
    field: &Field,
    [before, after]: &[Vec<f64>; 2],
) -> Result<(), Box<dyn Error>> {
    let (highest, powers, unit) = (before.len() as f64 - 0.5, field.powers.clone(), field.unit);
    let title = if unit.is_empty() { String::new() } else { format!(" ({}²)", unit.trim()) };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("Mean square of each degree{title}"), ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(-0.5..highest, powers.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc("degree l")
        .y_label_formatter(&|power| format!("{power:.0e}"))
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 17))
        .draw()?;
    // Of a logarithmic axis, what has next to none is left out: the monopole of a magnetic field, degrees beyond its own.
    let shown = |of: &[f64]| -> Vec<(f64, f64)> {
        let places = of.iter().enumerate().map(|(l, &power)| (l as f64, power));
        places.filter(|(l, power)| *l < highest && *power > powers.start).collect()
    };
    for (of, colour, label) in
        [(before, RGBColor(150, 150, 150), "prior at the start"), (after, RGBColor(31, 92, 153), "prior after the fit")]
    {
        chart
            .draw_series(LineSeries::new(shown(of), colour.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    let colour = RGBColor(200, 70, 30);
    chart
        .draw_series(shown(&field.truth.power()).into_iter().map(|point| Circle::new(point, 4, colour.filled())))?
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
