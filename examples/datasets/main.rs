//! Sparse models on real data.
//!
//! `cargo run --release --example datasets` fits each set below on four fifths of its rows and prints, as
//! Markdown on standard output, how well the rest is predicted; `-- --help` lists what can be changed.
//!
//! | set | what is learned |
//! |---|---|
//! | `concrete` | compressive strength, MPa |
//! | `diabetes` | progression of the disease after a year |
//! | `diamonds` | logarithm of the price in US dollars; of a folder that `--data` names |
//! | `breast_cancer` | benign (1) or malignant (0) |
//! | `digits` | which of ten digits 8 × 8 grey pixels show |
//! | `mcycle` | acceleration of a head in an impact, in g, whose scatter changes with time |
//!
//! Columns of the table: RMSE in the units above; NLPD, the mean negative log predictive density of the
//! held-out targets in these units (of classes, their mean negative log probability), nats; the fraction of
//! classes that are right; seconds of training, from the choice of inducing inputs to the last step.

mod models;
mod set;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use models::{Effort, Row};
use set::{Set, Source};

/// Sparse Gaussian-process models on real data: what they predict of the rows that they have not seen.
#[derive(Parser)]
struct Arguments {
    /// Folder to look for data in first; with diamonds.csv, which is too large to come along: the 53,940 rows of the
    /// data set `diamonds` of the R package ggplot2, with headings and in this order carat, cut, color, clarity, depth, table, x, y, z,
    /// price; cut, color and clarity as whole numbers from 0, the worst, upwards
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only these sets [default: all]
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Name>,
    /// Few rows, steps and inducing inputs: shows that all is well, not how good it gets
    #[arg(long)]
    quick: bool,
    /// Epochs, or steps of L-BFGS, in place of those that each model has
    #[arg(long, value_name = "E")]
    epochs: Option<usize>,
    /// Score on this fold, of five, of the rows learned from, and learn from the others: for the choice of
    /// settings, which must not see the rows of the test
    #[arg(long, value_name = "1-5", value_parser = clap::value_parser!(u8).range(1..=5))]
    validate: Option<u8>,
    /// Seed of the split, the inducing inputs and the batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write which rows, from 0, were learned from and held out, as DIR/NAME.json
    #[arg(long, value_name = "DIR")]
    splits: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Name {
    Concrete,
    Diabetes,
    Diamonds,
    BreastCancer,
    Digits,
    Mcycle,
}

impl Name {
    fn source(self) -> Source {
        match self {
            Self::Concrete => Source::regression("concrete"),
            Self::Diabetes => Source::regression("diabetes"),
            Self::Diamonds => Source::regression("diamonds").of_logarithms(),
            Self::BreastCancer => Source::classes("breast_cancer"),
            Self::Digits => Source::classes("digits").in_one_unit(),
            Self::Mcycle => Source::regression("mcycle"),
        }
    }

    fn fit(self, set: &Set, effort: Effort, rng: &mut Pcg64) -> Result<Vec<Row>, Box<dyn Error>> {
        match self {
            Self::Concrete => models::regression(set, 300, effort, rng),
            Self::Diabetes => models::regression(set, 100, effort, rng),
            Self::Diamonds => models::large_regression(set, effort, rng),
            Self::BreastCancer => models::two_classes(set, effort, rng),
            Self::Digits => models::ten_classes(set, effort, rng),
            Self::Mcycle => models::changing_noise(set, effort, rng),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    println!("| data | N + held out | D | model | M | settings | RMSE | NLPD | accuracy | seconds |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &name in Name::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(&name) {
            continue;
        }
        let source = name.source();
        let Some(path) = path(&source, arguments.data.as_deref()) else {
            eprintln!("{}: skipped, as it needs --data DIR, a folder with {0}.csv (see --help)", source.name);
            continue;
        };
        let rows = evaluate(name, &source, &path, arguments).map_err(|error| format!("{}: {error}", path.display()))?;
        for line in rows {
            println!("{line}");
        }
    }
    Ok(())
}

/// Where a set is: in the folder given, or among those that come along.
fn path(source: &Source, data: Option<&Path>) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let folders = data.into_iter().chain([own.as_path()]);
    folders.map(|folder| folder.join(format!("{}.csv", source.name))).find(|path| path.exists())
}

/// The lines of the table for one set.
fn evaluate(name: Name, source: &Source, path: &Path, arguments: &Arguments) -> Result<Vec<String>, Box<dyn Error>> {
    // Each set has its own generator, so that `--only` changes nothing.
    let mut rng = Pcg64::seed_from_u64(arguments.seed);
    let largest = if arguments.quick { 400 } else { usize::MAX };
    let set = source.read(path, largest, arguments.validate.map(usize::from), &mut rng)?;
    if let Some(folder) = &arguments.splits {
        fs::create_dir_all(folder)?;
        let split = serde_json::json!({ "train": set.split.train, "test": set.split.test });
        fs::write(folder.join(format!("{}.json", source.name)), split.to_string())?;
    }
    let effort = Effort { quick: arguments.quick, epochs: arguments.epochs };
    let rows = name.fit(&set, effort, &mut rng)?;
    let of_set = format!("{} | {} + {} | {}", source.name, set.y.len(), set.y_test.len(), set.x.ncols());
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let line = |row: Row| {
        let Row { model, inducing, settings, seconds, scores } = row;
        let inducing = inducing.map_or("–".to_owned(), |m| m.to_string());
        let (rmse, nlpd, accuracy) = (number(scores.rmse), number(Some(scores.nlpd)), number(scores.accuracy));
        format!("| {of_set} | {model} | {inducing} | {settings} | {rmse} | {nlpd} | {accuracy} | {seconds:.1} |")
    };
    Ok(rows.into_iter().map(line).collect())
}
