//! Spectra with their bands, and components.

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mercer::data::Basis;
use mercer::data::metrics::CENTRAL_95;
use mercer::emulator::FluxDistribution;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::root_mean_square;
use super::stars::Stars;

const LINE: RGBColor = RGBColor(31, 92, 153);
const SEEN: RGBColor = RGBColor(60, 60, 60);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Something against the wavelength: a line, and perhaps a band and points.
struct Curves {
    line: Vec<f64>,
    band: Option<(Vec<f64>, Vec<f64>)>,
    points: Vec<f64>,
}

/// The held-out stars with the least, the median and the largest error.
pub(crate) fn spectra(test: &Stars, predicted: &[FluxDistribution]) -> Result<PathBuf, Box<dyn Error>> {
    let residuals = |star: usize| -> Vec<f64> {
        predicted[star].mean().iter().enumerate().map(|(pixel, mean)| test.flux[(star, pixel)] - mean).collect()
    };
    let error = |star: usize| root_mean_square(residuals(star).into_iter());
    let mut order: Vec<usize> = (0..test.len()).collect();
    order.sort_by(|&a, &b| error(a).total_cmp(&error(b)));
    let shown = [order[0], order[order.len() / 2], order[order.len() - 1]];

    draw("emulator_spectra.svg", (1500, 1200), |root| {
        for (area, star) in root.split_evenly((shown.len(), 1)).iter().zip(shown) {
            let [teff, logg, feh] = [0, 1, 2].map(|dim| test.labels[(star, dim)]);
            let title = format!("{teff:.0} K, logg {logg}, [Fe/H] {feh}: RMS error {:.4}", error(star));
            let (above, below) = area.titled(&title, ("sans-serif", 20))?.split_vertically(230);
            let half: Vec<f64> = predicted[star].variance().iter().map(|v| CENTRAL_95 * v.sqrt()).collect();
            let mean = predicted[star].mean().to_vec();
            let edge = |sign: f64| mean.iter().zip(&half).map(|(mean, half)| mean + sign * half).collect();
            let flux = Curves {
                band: Some((edge(-1.0), edge(1.0))),
                line: mean.clone(),
                points: (0..mean.len()).map(|pixel| test.flux[(star, pixel)]).collect(),
            };
            windows(&above, &test.wavelengths, &flux, "flux")?;
            let negative = half.iter().map(|half| -half).collect();
            let residual =
                Curves { line: vec![0.0; mean.len()], band: Some((negative, half)), points: residuals(star) };
            windows(&below, &test.wavelengths, &residual, "residual")?;
        }
        Ok(())
    })
}

/// The first components.
pub(crate) fn components(wavelengths: &[f64], basis: &Basis) -> Result<PathBuf, Box<dyn Error>> {
    let shown = basis.len().min(4);
    draw("emulator_components.svg", (1500, 220 * shown as u32), |root| {
        for (component, area) in root.split_evenly((shown, 1)).iter().enumerate() {
            let line = basis.components().row(component).iter().copied().collect();
            let name = format!("component {}", component + 1);
            windows(area, wavelengths, &Curves { line, band: None, points: Vec::new() }, &name)?;
        }
        Ok(())
    })
}

fn draw(
    name: &str,
    size: (u32, u32),
    content: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    let root = SVGBackend::new(&path, size).into_drawing_area();
    root.fill(&WHITE)?;
    content(&root)?;
    root.present()?;
    drop(root);
    Ok(path)
}

/// A panel for each line, which is where the pixels lie close; all with one vertical axis.
fn windows(area: &Area<'_>, wavelengths: &[f64], curves: &Curves, name: &str) -> Result<(), Box<dyn Error>> {
    let mut starts = vec![0];
    starts.extend((1..wavelengths.len()).filter(|&pixel| wavelengths[pixel] - wavelengths[pixel - 1] > 5.0));
    let ends = starts[1..].iter().copied().chain([wavelengths.len()]);
    let all =
        || curves.line.iter().chain(&curves.points).chain(curves.band.iter().flat_map(|(a, b)| a.iter().chain(b)));
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &y| (low.min(y), high.max(y)));
    let margin = 0.06 * (high - low).max(1e-9);
    for ((area, start), end) in area.split_evenly((1, starts.len())).iter().zip(&starts).zip(ends) {
        let far = (end - start) / 6;
        panel(area, wavelengths, curves, start + far..end - far, low - margin..high + margin, name)?;
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    wavelengths: &[f64],
    curves: &Curves,
    pixels: Range<usize>,
    range: Range<f64>,
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(16)
        .x_label_area_size(24)
        .y_label_area_size(58)
        .build_cartesian_2d(wavelengths[pixels.start]..wavelengths[pixels.end - 1], range)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(6)
        .y_labels(5)
        .y_desc(name)
        .label_style(("sans-serif", 13))
        .draw()?;
    let at = |values: &[f64]| pixels.clone().map(|pixel| (wavelengths[pixel], values[pixel])).collect::<Vec<_>>();
    if let Some((lower, upper)) = &curves.band {
        let outline: Vec<_> = at(upper).into_iter().chain(at(lower).into_iter().rev()).collect();
        chart.draw_series([Polygon::new(outline, LINE.mix(0.25).filled())])?;
    }
    chart.draw_series(LineSeries::new(at(&curves.line), LINE.stroke_width(1)))?;
    if !curves.points.is_empty() {
        chart.draw_series(at(&curves.points).into_iter().map(|point| Circle::new(point, 1, SEEN.filled())))?;
    }
    Ok(())
}
