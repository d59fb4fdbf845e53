//! Irises, wines and handwritten digits in few latent dimensions, found without their labels.
//!
//! `cargo run --release --example gplvm`, or with `-- --quick` for fewer steps, and digits, than it takes.
//!
//! Each table is standardised (digits, whose pixels share a unit, are only centred and scaled as a whole), and a Bayesian
//! latent-variable model with a lengthscale for each latent dimension is fitted from the principal components. The table
//! that is printed has the bound of the log evidence, the lengthscales, and how many rows have a nearest neighbour of
//! another class: among their latent means, among those in units of the lengthscales, and among as many principal
//! components. The plot shows the two most relevant dimensions of each, with the labels that the model has not seen.

mod support;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mercer::data::{Standardizer, rows};
use mercer::gp::BayesianGplvm;
use mercer::gp::gplvm::principal_latents;
use mercer::inducing::start::kmeans_plus_plus;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use plotters::coord::Shift;
use plotters::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use support::Table;

type Model = BayesianGplvm<DynKernel>;

/// A set of rows with labels, and the model that it gets.
struct Case {
    name: &'static str,
    classes: &'static [&'static str],
    /// Whether columns have units of their own.
    standardised: bool,
    dim: usize,
    inducing: usize,
    steps: usize,
    /// Rows that are used, from the first.
    rows: usize,
}

struct Found {
    name: &'static str,
    classes: &'static [&'static str],
    model: Model,
    y: Mat<f64>,
    labels: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    println!(
        "{:<8}{:>6}{:>5}{:>4}{:>5}{:>14}{:>8}{:>10}{:>10}{:>10}  lengthscales{}",
        "data",
        "rows",
        "D",
        "Q",
        "M",
        "bound",
        "s",
        "errors",
        "scaled",
        "by PCA",
        if quick { " (quick run)" } else { "" }
    );
    let found = cases(quick).iter().map(learn).collect::<Result<Vec<Found>, _>>()?;
    println!("plot: {}", plot(&found)?.display());
    Ok(())
}

fn cases(quick: bool) -> [Case; 3] {
    let all = |rows: usize, some: usize| if quick { some } else { rows };
    [
        Case {
            name: "iris",
            classes: &["setosa", "versicolor", "virginica"],
            standardised: true,
            dim: 2,
            inducing: all(20, 8),
            steps: all(1000, 10),
            rows: 150,
        },
        Case {
            name: "wine",
            classes: &["cultivar 0", "cultivar 1", "cultivar 2"],
            standardised: true,
            dim: 2,
            inducing: all(20, 8),
            steps: all(1000, 8),
            rows: 178,
        },
        Case {
            name: "digits",
            classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            standardised: false,
            dim: 5,
            inducing: all(50, 8),
            steps: all(200, 6),
            rows: all(1797, 150),
        },
    ]
}

/// Fits a model without looking at the labels, and prints what it found.
fn learn(case: &Case) -> Result<Found, Box<dyn Error>> {
    let (y, labels) = load(case)?;
    let start = Instant::now();
    let principal = principal_latents(y.as_ref(), case.dim)?;
    let spread = Mat::full(y.nrows(), case.dim, 0.1);
    let z = kmeans_plus_plus(principal.as_ref(), case.inducing, 10, &mut Pcg64::seed_from_u64(1))?;
    // Standard normal points are as far apart, in units of this, as with 1 in two dimensions.
    let lengthscale = (0.5 * case.dim as f64).sqrt();
    let kernel = (1.0 * Rbf::new(vec![lengthscale; case.dim])).dynamic();
    let mut model = Model::new(kernel, principal.as_ref(), spread.as_ref(), z.as_ref())?.with_noise(0.1)?;
    let minimum = model.fit(&y, &Lbfgs { max_steps: case.steps, ..Lbfgs::default() })?;
    eprintln!("{}: {} after {} steps", case.name, minimum.reason, minimum.steps);
    let seconds = start.elapsed().as_secs_f64();
    let means = model.latents(y.as_ref())?.mean;
    let lengthscales = lengthscales(&model);
    let scaled = Mat::from_fn(means.nrows(), case.dim, |row, q| means[(row, q)] / lengthscales[q]);
    println!(
        "{:<8}{:>6}{:>5}{:>4}{:>5}{:>14.2}{:>8.1}{:>10}{:>10}{:>10}  {}",
        case.name,
        y.nrows(),
        y.ncols(),
        case.dim,
        case.inducing,
        model.objective(&y)?.value,
        seconds,
        errors(means.as_ref(), &labels),
        errors(scaled.as_ref(), &labels),
        errors(principal.as_ref(), &labels),
        lengthscales.iter().map(|l| format!("{l:.2}")).collect::<Vec<_>>().join(" "),
    );
    Ok(Found { name: case.name, classes: case.classes, model, y, labels })
}

fn load(case: &Case) -> Result<(Mat<f64>, Vec<f64>), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(format!("{}.csv", case.name));
    let Table { x, y: labels } = support::read_csv(File::open(path)?)?;
    let count = case.rows.min(labels.len());
    let x = rows(x.as_ref(), &(0..count).collect::<Vec<_>>())?;
    let standardizer = Standardizer::fit(x.as_ref(), 0)?;
    let y = if case.standardised {
        standardizer.transform(x.as_ref())?
    } else {
        let centred = Mat::from_fn(count, x.ncols(), |row, col| x[(row, col)] - standardizer.mean()[col]);
        let scale = (centred.squared_norm_l2() / (count * x.ncols()) as f64).sqrt();
        centred / scale
    };
    Ok((y, labels[..count].to_vec()))
}

fn lengthscales(model: &Model) -> Vec<f64> {
    let entries = model.kernel().parameters();
    entries.into_iter().filter(|entry| entry.path.contains("lengthscale")).map(|entry| entry.value).collect()
}

/// Rows whose nearest neighbour has another label.
fn errors(x: MatRef<'_, f64>, labels: &[f64]) -> usize {
    let distance = |a: usize, b: usize| (0..x.ncols()).map(|q| (x[(a, q)] - x[(b, q)]).powi(2)).sum::<f64>();
    let nearest = |row: usize| {
        let others = (0..labels.len()).filter(|&other| other != row);
        others.min_by(|&a, &b| distance(row, a).total_cmp(&distance(row, b)))
    };
    (0..labels.len()).filter(|&row| nearest(row).is_some_and(|other| labels[other] != labels[row])).count()
}

fn plot(found: &[Found]) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::create_dir_all(&folder)?;
    let path = folder.join("gplvm.svg");
    let root = SVGBackend::new(&path, (560 * found.len() as u32, 580)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, found) in root.split_evenly((1, found.len())).iter().zip(found) {
        panel(area, found)?;
    }
    root.present()?;
    drop(root);
    Ok(path)
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, found: &Found) -> Result<(), Box<dyn Error>> {
    let latents = found.model.latents(found.y.as_ref())?;
    let lengthscales = lengthscales(&found.model);
    let mut order: Vec<usize> = (0..lengthscales.len()).collect();
    order.sort_by(|&a, &b| lengthscales[a].total_cmp(&lengthscales[b]));
    let (first, second) = (order[0], order[1]);
    let range = |q: usize| {
        let (low, high) = latents.mean.col(q).iter().fold((0.0f64, 0.0f64), |(a, b), &x| (a.min(x), b.max(x)));
        let margin = 0.08 * (high - low);
        low - margin..high + margin
    };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {} rows", found.name, found.labels.len()), ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(54)
        .build_cartesian_2d(range(first), range(second))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc(format!("latent dimension {first}, lengthscale {:.2}", lengthscales[first]))
        .y_desc(format!("latent dimension {second}, lengthscale {:.2}", lengthscales[second]))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .draw()?;
    for (class, name) in found.classes.iter().enumerate() {
        let colour = Palette99::pick(class).to_rgba();
        let members = (0..found.labels.len()).filter(|&row| found.labels[row] == class as f64);
        let place = |row: usize| (latents.mean[(row, first)], latents.mean[(row, second)]);
        chart
            .draw_series(members.map(|row| Circle::new(place(row), 3, colour.mix(0.75).filled())))?
            .label(*name)
            .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.85))
        .draw()?;
    Ok(())
}
