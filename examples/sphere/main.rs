//! Fields on the sphere from noisy observations, by spherical harmonics as inducing features.
//!
//! `cargo run --release --example sphere`, or with `-- --quick` for fewer harmonics and steps, or with `-- --field` for
//! one of the fields alone:
//!
//! - `igrf`: the radial field of the IGRF-14 model of the Earth's magnetism at 2000 points is seen at 400 of them, with
//!   noise, and nowhere within 30° of a place in the South Pacific. The prior knows nothing of the dipole, which stands
//!   above all other degrees, so the lengthscale that it learns is a compromise.
//! - `bumps`: two bumps and a hollow, seen with noise at 1000 points all over the sphere.
//!
//! Three kernels of the distance through the ball, with lengthscale, variance and noise to learn, compete by their
//! collapsed bounds; the data are looked at once, and no step of the fits depends on their number. The best draws the maps:
//! the truth, the mean and the standard deviation, in Mollweide's equal-area projection, with the power of each degree that
//! the prior expects, before and after the fit, beside that of the field.

mod field;
mod plot;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::f64::consts::PI;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use mercer::gp::{ExactGp, Sgpr};
use mercer::inducing::SphericalHarmonicFeatures;
use mercer::optim::Lbfgs;
use mercer::prelude::*;

use field::{Field, Name};
use support::Scores;

/// Fields on the sphere, by spherical harmonics as inducing features.
#[derive(Parser)]
struct Arguments {
    /// Only this field [default: all]
    #[arg(long, value_enum, value_name = "NAME")]
    field: Option<Name>,
    /// Fewer harmonics and steps
    #[arg(long)]
    quick: bool,
}

type Model = Sgpr<DynKernel, SphericalHarmonicFeatures>;

struct Fitted {
    model: Model,
    /// Expected mean square by degree, before and after the fit.
    power: [Vec<f64>; 2],
    bound: f64,
    scores: Scores,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { field, quick } = Arguments::parse();
    for name in Name::value_variants() {
        if field.is_none_or(|only| only == *name) {
            run(&Field::load(*name)?, quick)?;
        }
    }
    Ok(())
}

fn run(field: &Field, quick: bool) -> Result<(), Box<dyn Error>> {
    let (l_max, max_steps) = if quick { (field.degrees[0], 12) } else { (field.degrees[1], 100) };
    println!(
        "{}: {} observations, {} points held out, harmonics to degree {l_max}: {} features{}",
        field.name,
        field.y.len(),
        field.y_test.len(),
        (l_max + 1) * (l_max + 1),
        if quick { " (quick run)" } else { "" }
    );

    let search = Lbfgs { max_steps, ..Lbfgs::default() };
    println!(
        "\n{:<10}{:>12}{:>12}{:>12}{:>12}{:>12}{:>10}{:>9}{:>8}",
        "kernel", "at start", "bound", "exact", "upper", "lengthscale", "noise", "RMSE", "95 %"
    );
    let mut best: Option<Fitted> = None;
    let lengthscale = field.start[1];
    for (name, kernel) in [
        ("rbf", Rbf::new(lengthscale).dynamic()),
        ("matern52", Matern52::new(lengthscale).dynamic()),
        ("matern32", Matern32::new(lengthscale).dynamic()),
    ] {
        let fitted = learn(name, field, kernel, l_max, &search)?;
        if best.as_ref().is_none_or(|best| fitted.bound > best.bound) {
            best = Some(fitted);
        }
    }
    let best = best.ok_or("no kernels")?;
    println!("\nthe best by its bound: {}", best.model.kernel());
    println!("plot: {}\n", plot::plot(field, &best)?.display());
    Ok(())
}

/// The mean square that a kernel expects of each degree: (2l + 1) a_l/4π.
fn expected_power(model: &Model) -> mercer::Result<Vec<f64>> {
    let coefficients = model.inducing().coefficients(model.kernel())?;
    Ok(coefficients.iter().enumerate().map(|(l, a)| (2 * l + 1) as f64 * a / (4.0 * PI)).collect())
}

fn learn(name: &str, field: &Field, kernel: DynKernel, l_max: usize, search: &Lbfgs) -> mercer::Result<Fitted> {
    let (x, y, [variance, _, deviation]) = (field.x.as_ref(), &field.y, field.start);
    let features = SphericalHarmonicFeatures::new(3, l_max)?;
    let mut model: Model =
        Sgpr::with_features((variance * kernel).dynamic(), features)?.with_noise(deviation * deviation)?;
    let before = expected_power(&model)?;

    let start = Instant::now();
    let statistics = model.statistics(&Data::new(x, y))?;
    let at_start = model.objective(&statistics)?.value;
    let minimum = model.fit(&statistics, search)?;
    let seconds = start.elapsed().as_secs_f64();
    let bound = model.objective(&statistics)?.value;

    let noise = model.likelihood().variance();
    let exact = ExactGp::new(model.kernel().clone()).with_noise(noise)?.objective(&Data::new(x, y))?;
    let predicted = model.condition(&statistics)?.predict(field.x_test.as_ref())?;
    let scores = Scores::new(&field.y_test, &predicted)?;
    let lengthscale = model.values()[1];
    println!(
        "{name:<10}{at_start:>12.1}{bound:>12.1}{exact:>12.1}{:>12.1}{lengthscale:>12.3}{:>10.3}{:>9.4}{:>7.1}%",
        model.upper_bound(&Data::new(x, y))?,
        noise.sqrt(),
        scores.rmse,
        100.0 * scores.coverage,
    );
    println!("{:<10}{} evaluations in {seconds:.2} s", "", minimum.evaluations);
    Ok(Fitted { power: [before, expected_power(&model)?], model, bound, scores })
}
