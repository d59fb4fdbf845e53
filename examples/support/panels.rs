//! Plots of series, one panel below the other.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use mercer::gp::Prediction;
use plotters::prelude::*;

const LINE: RGBColor = RGBColor(31, 92, 153);
const SEEN: RGBColor = RGBColor(60, 60, 60);

/// A column of a prediction at some times, and what was observed.
pub(crate) struct Panel<'a> {
    pub(crate) title: String,
    pub(crate) times: &'a [f64],
    pub(crate) prediction: &'a Prediction<f64>,
    pub(crate) column: usize,
    /// Times and values.
    pub(crate) seen: Vec<(f64, f64)>,
}

/// Draws the panels to `target/NAME.svg`, with bands of two standard deviations.
pub(crate) fn draw(name: &str, panels: &[Panel<'_>]) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.svg"));
    let root = SVGBackend::new(&path, (1200, 260 * panels.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        let Panel { title, times, prediction, column, seen } = panel;
        let edge = |sign: f64| {
            move |row: usize| {
                let width = 2.0 * prediction.variance[(row, *column)].sqrt();
                (times[row], prediction.mean[(row, *column)] + sign * width)
            }
        };
        let rows = 0..times.len();
        let band: Vec<(f64, f64)> = rows.clone().map(edge(1.0)).chain(rows.clone().rev().map(edge(-1.0))).collect();
        let all = band.iter().chain(seen).map(|point| point.1);
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 18))
            .margin(8)
            .margin_right(24)
            .x_label_area_size(26)
            .y_label_area_size(54)
            .build_cartesian_2d(times[0]..times[times.len() - 1], low..high)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.08))
            .y_labels(5)
            .label_style(("sans-serif", 13))
            .draw()?;
        chart.draw_series([Polygon::new(band, LINE.mix(0.25).filled())])?;
        chart.draw_series(seen.iter().map(|&point| Circle::new(point, 1, SEEN.filled())))?;
        chart.draw_series(LineSeries::new(rows.map(edge(0.0)), LINE.stroke_width(1)))?;
    }
    root.present()?;
    drop(root);
    Ok(path)
}
