//! Sparse variational regression on a table of numbers.
//!
//! `cargo run --release --example svgp_regression` learns the strength of concrete;
//! `cargo run --release --example svgp_regression -- --help` lists what can be changed. Progress goes
//! to standard error, one line of JSON to standard output:
//!
//! | key | meaning |
//! |---|---|
//! | `n`, `d`, `m` | rows learned from, inputs, inducing inputs |
//! | `elbo` | bound on the log evidence of the standardised targets, nats |
//! | `rmse` | on the rows held out, in units of the target |
//! | `nlpd` | mean negative log density of the targets held out, in units of the target, nats |
//! | `coverage95` | fraction of targets held out within the central 95 % of their prediction |
//! | `seconds`, `seconds_per_step` | of training, from the choice of inducing inputs to the last step |

mod support;

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mercer::data::{Standardizer, rows, split};
use mercer::gp::{Prediction, Svgp};
use mercer::inducing::start::kmeans_plus_plus;
use mercer::likelihood::Gaussian;
use mercer::optim::{Schedule, Train};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use support::{Scores, Table};

/// Sparse variational Gaussian-process regression on a table of numbers.
#[derive(Parser)]
struct Arguments {
    /// CSV file with one row of headings; the last column is the target [default: the concrete data]
    csv: Option<PathBuf>,
    /// Kernel, with a lengthscale for each input and a variance
    #[arg(long, value_enum, default_value_t = Menu::Rbf)]
    kernel: Menu,
    /// Number of inducing inputs, at most the number of distinct rows learned from
    #[arg(long, default_value_t = 100, value_name = "M")]
    inducing: usize,
    /// Rows a step [default: all]
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// Steps of Adam
    #[arg(long, default_value_t = 400)]
    steps: usize,
    /// Learning rate at the start; it falls along half a cosine wave
    #[arg(long, default_value_t = 0.03)]
    rate: f64,
    /// Seed of the split, the inducing inputs and the batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Fraction of the rows that is held out, in (0, 1)
    #[arg(long, default_value_t = 0.2)]
    test_fraction: f64,
    /// Compute in single precision
    #[arg(long)]
    f32: bool,
    /// At most 40 steps and 50 inducing inputs: shows that all is well, not how good it gets
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Menu {
    Rbf,
    Matern12,
    Matern32,
    Matern52,
    #[value(name = "rational_quadratic")]
    RationalQuadratic,
    #[value(name = "linear+rbf")]
    LinearPlusRbf,
}

impl Menu {
    /// For standardised inputs and targets.
    fn kernel(self, dim: usize) -> DynKernel {
        // With this, typical points are one scaled distance apart in any dimension.
        let lengthscales = vec![(dim as f64).sqrt(); dim];
        match self {
            Self::Rbf => (1.0 * Rbf::new(lengthscales)).dynamic(),
            Self::Matern12 => (1.0 * Matern12::new(lengthscales)).dynamic(),
            Self::Matern32 => (1.0 * Matern32::new(lengthscales)).dynamic(),
            Self::Matern52 => (1.0 * Matern52::new(lengthscales)).dynamic(),
            Self::RationalQuadratic => (1.0 * RationalQuadratic::new(lengthscales, 1.0)).dynamic(),
            Self::LinearPlusRbf => (Linear::new(0.5 / dim as f64) + 0.5 * Rbf::new(lengthscales)).dynamic(),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments.steps = arguments.steps.min(40);
        arguments.inducing = arguments.inducing.min(50);
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let concrete = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/concrete.csv");
    let path = arguments.csv.as_deref().unwrap_or(&concrete);
    let Table { x, y } = File::open(path)
        .map_err(Into::into)
        .and_then(support::read_csv)
        .map_err(|error| format!("{}: {error}", path.display()))?;

    let n = y.len();
    let test = (arguments.test_fraction * n as f64).round() as usize;
    if !(arguments.test_fraction > 0.0 && arguments.test_fraction < 1.0) || test == 0 || test == n {
        let fraction = arguments.test_fraction;
        return Err(format!("--test-fraction {fraction} of {n} rows leaves nothing to learn from or to test").into());
    }
    if arguments.inducing == 0 || arguments.inducing > n - test {
        let (m, rows) = (arguments.inducing, n - test);
        return Err(format!("--inducing {m}: must be at least 1 and at most the rows learned from, {rows}").into());
    }

    let mut rng = Pcg64::seed_from_u64(arguments.seed);
    let parts = split(n, test, &mut rng)?;
    let y = MatRef::from_column_major_slice(&y, n, 1);
    let (x_train, y_train) = (rows(x.as_ref(), &parts.train)?, rows(y, &parts.train)?);
    let (x_test, y_test) = (rows(x.as_ref(), &parts.test)?, rows(y, &parts.test)?);
    let (of_x, of_y) = (Standardizer::fit(x_train.as_ref(), 0)?, Standardizer::fit(y_train.as_ref(), 0)?);
    let job = Job {
        arguments,
        x: of_x.transform(x_train.as_ref())?,
        y: of_y.transform(y_train.as_ref())?,
        x_test: of_x.transform(x_test.as_ref())?,
    };
    let outcome = if arguments.f32 { job.run::<f32>(rng)? } else { job.run::<f64>(rng)? };

    let Prediction { mean, variance, clamped, .. } = outcome.predicted;
    let (mean, variance) = (of_y.inverse_mean(mean.as_ref())?, of_y.inverse_variance(variance.as_ref())?);
    let predicted = Prediction::new(mean, variance, clamped);
    let Scores { rmse, nlpd, coverage } = Scores::new(y_test.col_as_slice(0), &predicted)?;
    let line = serde_json::json!({
        "n": job.x.nrows(),
        "d": job.x.ncols(),
        "m": arguments.inducing,
        "elbo": outcome.elbo,
        "rmse": rmse,
        "nlpd": nlpd,
        "coverage95": coverage,
        "seconds": outcome.seconds,
        "seconds_per_step": outcome.seconds / arguments.steps.max(1) as f64,
    });
    println!("{line}");
    Ok(())
}

/// What a model learns from and is asked, standardised.
struct Job<'a> {
    arguments: &'a Arguments,
    x: Mat<f64>,
    y: Mat<f64>,
    x_test: Mat<f64>,
}

struct Outcome {
    elbo: f64,
    predicted: Prediction<f64>,
    seconds: f64,
}

impl Job<'_> {
    fn run<T: Scalar>(&self, mut rng: Pcg64) -> Result<Outcome, Box<dyn Error>> {
        let cast = |values: &Mat<f64>| {
            Mat::<T>::from_fn(values.nrows(), values.ncols(), |row, col| T::from_f64(values[(row, col)]))
        };
        let (x, y, x_test) = (cast(&self.x), cast(&self.y), cast(&self.x_test));
        let (x, y) = (x.as_ref(), y.col_as_slice(0));
        let Arguments { kernel, inducing, batch, steps, rate, .. } = *self.arguments;

        let start = Instant::now();
        let z = kmeans_plus_plus(self.x.as_ref(), inducing, 20, &mut rng)?;
        let mut model = Svgp::new(kernel.kernel(x.ncols()), z.as_ref())?.with_likelihood(Gaussian::new(0.1));
        let train = Train::new(steps)
            .with_batch(batch)
            .with_rate(rate)
            .with_schedule(Schedule::Cosine { steps: steps.max(1), last: 0.01 });
        let bar = ProgressBar::new(steps as u64);
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left, {msg}")?);
        let data = Data::new(x, y);
        let mut run = model.run(&data, &train)?;
        while let Some(progress) = run.step(&mut rng)? {
            bar.set_message(format!("bound {:.1}", -progress.loss));
            bar.inc(1);
        }
        bar.finish();
        let seconds = start.elapsed().as_secs_f64();

        let elbo = model.objective(&data)?.value;
        let predicted = model.posterior::<T>()?.predict_observations(x_test.as_ref())?;
        let double = |values: &Mat<T>| Mat::from_fn(values.nrows(), 1, |row, _| values[(row, 0)].as_f64());
        let predicted = Prediction::new(double(&predicted.mean), double(&predicted.variance), predicted.clamped);
        Ok(Outcome { elbo, predicted, seconds })
    }
}
