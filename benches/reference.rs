//! The work of the programs that the library is compared with, one JSON line each, in the form that they print:
//! Gram matrices and cross-covariances (W1), values and gradients (W2), batches (W3), K·v (W4), the evidence of an exact
//! process and its gradient (W5), training steps and predictions of a sparse one (W6, W8), the rows of the Kernax
//! notebook, and what dispatch costs.
//!
//! `taskset -c 0 cargo bench --bench reference -- W1_gram_rbf_n W4` for two kinds of rows on one thread;
//! `compare.py`, beside this file, runs it in turn with the other programs. Compare only figures of one session.
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Parser;
use common::forms;
use common::notebook::Data;
use common::sparse::Form;
use common::{
    OF_GRADIENTS, OF_VALUES, Work, evenly, kernels, lengthscale, points, sets, sparse, uniform, with_threads,
};
use faer::Conj;
use faer::linalg::matmul::dot::inner_prod;
use mercer::gp::{ExactGp, Memory};
use mercer::kernel::{GradientRequest, gram_into, gram_vjp};
use mercer::prelude::*;
use mercer::simd::{Level, restrict};
use mercer::testkit::Task;

/// A sample lasts at least this long: a clock reads tens of nanoseconds.
const SAMPLE: Duration = Duration::from_millis(1);
const WARM_UP: Duration = Duration::from_millis(30);
/// Samples of a row: at least and at most.
const SAMPLES: (usize, usize) = (7, 60);
const OURS: &str = "mercer";

/// Times the rows whose names contain one of the filters, or all.
#[derive(Parser)]
struct Options {
    /// Parts of names, as in W1_gram_rbf_n2000.
    filters: Vec<String>,
    /// Threads: one, or as many as the library may use.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Milliseconds that the samples of a row last, if seven are not too few.
    #[arg(long, default_value_t = 300)]
    budget: u64,
    /// The most points of a Gram matrix.
    #[arg(long, default_value_t = 8000)]
    largest: usize,
    /// The widest instruction set: avx512, avx2 or baseline.
    #[arg(long, default_value = "avx512", value_parser = level)]
    level: Level,
    /// Only rows of this precision: f32 or f64.
    #[arg(long)]
    dtype: Option<String>,
    /// Prints the names alone.
    #[arg(long)]
    list: bool,
    /// Runs every row once: to see that it works.
    #[arg(long)]
    test: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn level(name: &str) -> Result<Level, String> {
    match name {
        "avx512" => Ok(Level::Avx512),
        "avx2" => Ok(Level::Avx2),
        "baseline" => Ok(Level::Baseline),
        _ => Err("avx512, avx2 or baseline".to_owned()),
    }
}

impl Options {
    fn par(&self) -> Par {
        if self.threads == 1 { Par::Seq } else { Par::rayon(0) }
    }

    fn wants<T>(&self, name: &str) -> bool {
        self.dtype.as_deref().is_none_or(|dtype| dtype == std::any::type_name::<T>())
            && (self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str())))
    }

    /// One row, built only if it is wanted.
    fn row<'a, T>(&self, name: &str, build: impl FnOnce() -> Work<'a>) {
        self.row_of::<T>(name, OURS, build);
    }

    fn row_of<'a, T>(&self, name: &str, implementation: &str, build: impl FnOnce() -> Work<'a>) {
        if self.wants::<T>(name) {
            let work = if self.list { Work::new(|| ()) } else { build() };
            self.in_turn::<T>(vec![(name.to_owned(), implementation, work)]);
        }
    }

    /// Rows whose ratios matter: sample by sample in turn, so that what disturbs one disturbs all. `of_first` is the
    /// time of each over that of the first.
    fn in_turn<T>(&self, mut rows: Vec<(String, &str, Work<'_>)>) {
        if self.list {
            rows.iter().for_each(|(name, implementation, _)| println!("{name} {implementation}"));
            return;
        }
        let (fewest, most) = if self.test { (1, 1) } else { SAMPLES };
        let budget = Duration::from_millis(self.budget);
        let repeat: Vec<usize> = rows.iter_mut().map(|(_, _, work)| self.warm_up(work)).collect();
        let mut samples = vec![Vec::new(); rows.len()];
        let several = rows.len() > 1 && !self.test;
        let start = Instant::now();
        while samples[0].len() < fewest || (samples[0].len() < most && start.elapsed() < budget * rows.len() as u32) {
            // There and back, so that none is always after the same other.
            let backwards = samples[0].len() % 2 == 1;
            for at in 0..rows.len() {
                let at = if backwards { rows.len() - 1 - at } else { at };
                let (work, repeat) = (&mut rows[at].2, repeat[at]);
                if several {
                    // What ran before leaves its own data in the caches.
                    work.run();
                }
                let start = Instant::now();
                (0..repeat).for_each(|_| work.run());
                samples[at].push(start.elapsed().as_secs_f64() / (repeat * work.calls) as f64);
            }
        }
        let (dtype, threads, reps) = (std::any::type_name::<T>(), self.threads, samples[0].len());
        let first = samples[0].clone();
        for ((name, implementation, _), samples) in rows.iter().zip(&mut samples) {
            // By pairs of samples from the same moment: a quotient of medians moves with the neighbours.
            let mut ratios: Vec<f64> = samples.iter().zip(&first).map(|(sample, first)| sample / first).collect();
            let (median, of_first) = (median(samples), median(&mut ratios));
            let least = samples[0];
            println!(
                r#"{{"work":"{name}","impl":"{implementation}","dtype":"{dtype}","threads":{threads},"min_s":{least:.6e},"median_s":{median:.6e},"reps":{reps},"of_first":{of_first:.4}}}"#
            );
        }
    }

    /// Runs the work until caches and clock have settled; how often a sample has to.
    fn warm_up(&self, work: &mut Work<'_>) -> usize {
        if self.test {
            return 1;
        }
        let (start, mut runs) = (Instant::now(), 0);
        while runs < 2 || start.elapsed() < WARM_UP {
            work.run();
            runs += 1;
        }
        (SAMPLE.as_secs_f64() / (start.elapsed().as_secs_f64() / runs as f64)).ceil() as usize
    }
}

/// Sorts the numbers.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// W1: Gram matrices and cross-covariances, each into one buffer.
fn matrices<T: Scalar>(options: &Options) {
    for n in [100, 500, 2000, 4000, 8000].into_iter().filter(|&n| n <= options.largest) {
        for dim in if n == 8000 { &[4][..] } else { &[1, 4, 16] } {
            let (x, z) = (points::<T>(n, *dim), uniform::<T>(n, *dim, -2.0..2.0, 2));
            let (x, z) = (x.as_ref(), z.as_ref());
            for (name, kernel) in &kernels::<T>(*dim, &OF_VALUES) {
                for task in [Task::Gram, Task::Cross] {
                    let row = format!("W1_{}_{name}_n{n}_D{dim}", task.name());
                    options.row::<T>(&row, || Work::task(task, &**kernel, x, z, options.par()));
                }
                if n >= 2000 {
                    // Beside those that return a new matrix at each call, as most libraries do.
                    let row = format!("W1_gram_{name}_n{n}_D{dim}");
                    options.row_of::<T>(&row, "mercer_fresh_out", || fresh_gram(&**kernel, x, options.par()));
                }
            }
        }
    }
}

fn fresh_gram<'a, T: Scalar>(kernel: &'a dyn Kernel<T>, x: MatRef<'a, T>, par: Par) -> Work<'a> {
    Work::new(move || {
        let mut out = Mat::zeros(x.nrows(), x.nrows());
        gram_into(kernel, black_box(x), out.as_mut(), par).unwrap();
        black_box(out);
    })
}

/// W2: Σ W ∘ K(X, X) and its gradient, in the hyperparameters or in the points (and, with those, the
/// hyperparameters too).
fn gradients<T: Scalar>(options: &Options) {
    let n = 2000;
    for dim in [4, 1, 16] {
        let (x, weights) = (points::<T>(n, dim), uniform::<T>(n, n, -1.0..1.0, 2));
        let (x, weights) = (x.as_ref(), weights.as_ref());
        let tail = if dim == 4 { String::new() } else { format!("_D{dim}") };
        for (name, kernel) in &kernels::<T>(dim, &OF_GRADIENTS) {
            for (inputs, wanted) in [("hyp", GradientRequest::PARAMETERS), ("x", GradientRequest::ALL)] {
                let row = format!("W2_{name}_{inputs}{tail}");
                options.row::<T>(&row, || value_and_gradient(&**kernel, x, weights, wanted, options.par()));
                // What a model needs that has the matrix already.
                options.row_of::<T>(&row, "mercer_gradient_alone", || {
                    Work::new(|| {
                        black_box(gram_vjp(&**kernel, black_box(x), weights, wanted, options.par()).unwrap());
                    })
                });
            }
        }
    }
}

fn value_and_gradient<'a, T: Scalar>(
    kernel: &'a dyn Kernel<T>,
    x: MatRef<'a, T>,
    weights: MatRef<'a, T>,
    wanted: GradientRequest,
    par: Par,
) -> Work<'a> {
    let mut gram = Mat::zeros(x.nrows(), x.nrows());
    Work::new(move || {
        gram_into(kernel, black_box(x), gram.as_mut(), par).unwrap();
        let columns = gram.col_iter().zip(weights.col_iter());
        let value: T = columns.map(|(k, w)| inner_prod(w.transpose(), Conj::No, k, Conj::No)).sum();
        black_box((value, gram_vjp(kernel, x, weights, wanted, par).unwrap()));
    })
}

/// W3: Gram matrices of 250 sets of 100 points.
fn batches<T: Scalar>(options: &Options) {
    let (members, n) = (250, 100);
    for dim in [1, 4] {
        let points: Vec<Mat<T>> = (0..members as u64).map(|member| uniform(n, dim, 0.0..10.0, member)).collect();
        let lengthscales = evenly(0.3, 1.5, members);
        let shared = || Rbf::new(lengthscales[7]).batched(members).unwrap();
        let distinct = || shared().per_batch("rbf.lengthscale", &lengthscales).unwrap();
        options.row::<T>(&format!("W3_rbf_shared_D{dim}"), || Work::batch(shared(), sets(&points)));
        options.row::<T>(&format!("W3_rbf_distinct_D{dim}"), || Work::batch(distinct(), sets(&points)));
    }
}

/// W4: K(X, X) v without storing K.
fn products<T: Scalar>(options: &Options) {
    let (n, dim) = (20_000, 4);
    let x = points::<T>(n, dim);
    let kernel = Rbf::new(lengthscale(dim));
    let x = x.as_ref();
    options.row::<T>(&format!("W4_matvec_rbf_n{n}"), || Work::task(Task::Matmul, &kernel, x, x, options.par()));
}

/// W5, W6 and W8: an exact process, and a sparse one.
fn models<T: Scalar>(options: &Options) {
    for n in [1000, 2000] {
        let row = format!("W5_lml_grad_n{n}");
        if options.wants::<T>(&row) {
            let factor = (format!("W5_llt_n{n}"), "faer", factor::<T>(n, options.par()));
            options.in_turn::<T>(vec![factor, (row, OURS, evidence::<T>(n, options.par()))]);
        }
    }
    for size in sparse::SIZES {
        let (total, batch, inducing, dim) = size;
        for (form, name) in [(Form::Gaussian, ""), (Form::Bernoulli, "_bernoulli"), (Form::Diagonal, "_diagonal")] {
            let row = format!("W6_svgp_step_N{total}_b{batch}_M{inducing}_D{dim}{name}");
            options.row::<T>(&row, || sparse::step::<T>(size, form, options.par()));
        }
    }
    options.row::<T>("W8_predict_10000_M512_D8", || sparse::prediction::<T>(512, 8, options.par()));
}

/// A Cholesky factor of the size that the evidence needs, by faer alone.
fn factor<'a, T: Scalar>(n: usize, par: Par) -> Work<'a> {
    use faer::dyn_stack::{MemBuffer, MemStack};
    use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
    let kernel = 1.3 * Rbf::new(evenly(1.0, 2.0, 4));
    let mut matrix = kernel.gram(points::<T>(n, 4).as_ref()).unwrap();
    (0..n).for_each(|i| matrix[(i, i)] += T::from_f64(0.05));
    let mut out = mercer::linalg::padded::<T>(n, n);
    let mut stack = MemBuffer::new(cholesky_in_place_scratch::<T>(n, par, Default::default()));
    Work::new(move || {
        out.copy_from(&matrix);
        let stack = MemStack::new(&mut stack);
        cholesky_in_place(out.as_mut(), Default::default(), par, stack, Default::default()).unwrap();
        black_box(&out);
    })
}

/// The evidence and its gradient, as a fit asks for them: in the memory of the one before.
fn evidence<'a, T: Scalar>(n: usize, par: Par) -> Work<'a> {
    let x = points::<T>(n, 4);
    let y: Vec<T> = (0..n).map(|row| T::from_f64((0..4).map(|d| x[(row, d)].as_f64()).sum::<f64>().sin())).collect();
    let data = mercer::gp::Data::new(x, y);
    let kernel = 1.3 * Rbf::new(evenly(1.0, 2.0, 4));
    let model = ExactGp::new(kernel).with_noise(0.05).unwrap().with_par(par);
    let memory = Memory::default();
    Work::new(move || {
        black_box(model.evaluate(black_box(&data), &memory).unwrap());
    })
}

fn notebook(options: &Options) {
    let data = Data::new();
    for row in data.rows(options.par()) {
        options.row::<f64>(&row.name, row.build);
    }
}

/// One expression in several forms, in turn.
fn dispatch(options: &Options) {
    for dim in forms::DIMS {
        let points = forms::Points::new(dim);
        for forms in forms::all(&points) {
            let (task, expression, n) = (forms.task, forms.expression, forms::N);
            let name = |form| match task {
                "pairwise" => format!("pairwise_{form}_{expression}_D{dim}"),
                _ => format!("dispatch_{form}_{task}_{expression}_n{n}_D{dim}"),
            };
            let rows = forms.works.into_iter().map(|(form, work)| (name(form), OURS, work));
            let rows: Vec<_> = rows.filter(|(name, ..)| options.wants::<f64>(name)).collect();
            if !rows.is_empty() {
                options.in_turn::<f64>(rows);
            }
        }
    }
}

fn main() {
    let options = Options::parse();
    restrict(options.level);
    with_threads(options.threads, || {
        matrices::<f64>(&options);
        matrices::<f32>(&options);
        gradients::<f64>(&options);
        gradients::<f32>(&options);
        batches::<f64>(&options);
        batches::<f32>(&options);
        products::<f64>(&options);
        products::<f32>(&options);
        models::<f64>(&options);
        models::<f32>(&options);
        notebook(&options);
        dispatch(&options);
    });
}
