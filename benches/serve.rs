//! Latency of predictions as a service has them: one row and 1000 rows, of an exact and of a sparse posterior; and the gain of a
//! second thread. `taskset -c 0,1 cargo bench --bench serve`; with `-- small`, of smaller models.
//!
//! Beside one row stands what it cannot do without: its row of the kernel and the triangular solve.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use mercer::gp::{ExactGp, Posterior, Prediction, Svgp};
use mercer::kernel::{Workspace, cross_into_with};
use mercer::linalg::{Cholesky, Jitter};
use mercer::prelude::*;
use mercer::testkit::points;

const DIM: usize = 4;

fn kernel() -> Scaled<Rbf> {
    1.3 * Rbf::new([1.0, 1.5, 2.0, 2.5])
}

/// A sum of four terms.
fn sum() -> DynKernel {
    let smooth = kernel() + 0.5 * Matern52::new([1.0, 2.0, 1.0, 2.0]);
    (smooth + 0.3 * Periodic::new(1.0, 2.0) + 0.2 * Linear::new(1.0)).dynamic()
}

fn exact<K: Kernel<f64> + Clone>(kernel: K, n: usize) -> Posterior<f64> {
    let x = points::<f64>(n, DIM, 1);
    let y: Vec<f64> = (0..n).map(|row| x[(row, 0)].sin()).collect();
    let gp = ExactGp::new(kernel).with_noise(0.05).unwrap().with_par(Par::Seq);
    gp.condition(&Data::new(&x, y)).unwrap()
}

fn sparse<K: Kernel<f64> + Clone>(kernel: K, m: usize) -> Posterior<f64> {
    let x = points::<f64>(4 * m, DIM, 1);
    let y: Vec<f64> = (0..4 * m).map(|row| x[(row, 0)].sin()).collect();
    let mut gp = Svgp::new(kernel, points::<f64>(m, DIM, 2).as_ref()).unwrap().with_par(Par::Seq);
    gp.natural_step(&Data::new(&x, y).part_of(4 * m), &mercer::optim::NaturalGradient::default()).unwrap();
    gp.posterior().unwrap()
}

/// The median and the 99th percentile of so many runs, in microseconds.
fn latencies(runs: usize, mut run: impl FnMut(usize)) -> (f64, f64) {
    (0..runs / 10 + 1).for_each(&mut run);
    let timed = |index| {
        let start = Instant::now();
        run(index);
        1e6 * start.elapsed().as_secs_f64()
    };
    let mut times: Vec<f64> = (0..runs).map(timed).collect();
    times.sort_by(f64::total_cmp);
    (times[runs / 2], times[runs * 99 / 100])
}

/// A row of the kernel between a point and n others, and a solve with a factor of their covariance.
fn least(n: usize, at: &Mat<f64>, runs: usize) -> (f64, f64) {
    let x = points::<f64>(n, DIM, 1);
    let mut gram = kernel().gram(&x).unwrap();
    (0..n).for_each(|row| gram[(row, row)] += 0.05);
    let factor = Cholesky::new(gram.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let (mut row, mut workspace) = (Mat::zeros(n, 1), Workspace::new());
    latencies(runs, |index| {
        let point = at.subrows(index % at.nrows(), 1);
        cross_into_with(&kernel(), x.as_ref(), point, row.as_mut(), &mut workspace).unwrap();
        factor.solve_lower_in_place(row.as_mut(), Par::Seq).unwrap();
        black_box(&row);
    })
}

/// Predictions a second of so many threads, each of which predicts one row after the other.
fn throughput(posterior: &Posterior<f64>, at: &Mat<f64>, threads: usize, runs: usize) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut out = Prediction::default();
                (0..runs)
                    .for_each(|index| posterior.predict_into(at.subrows(index % at.nrows(), 1), &mut out).unwrap());
                black_box(out);
            });
        }
    });
    (threads * runs) as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let small = std::env::args().any(|argument| argument == "small");
    let (n, m, runs) = if small { (200, 64, 50) } else { (2000, 512, 400) };
    let at = points::<f64>(1000, DIM, 3);
    println!("{:<44}{:>12}{:>12}", "microseconds", "median", "99 %");
    let print = |name: &str, (median, most): (f64, f64)| println!("{name:<44}{median:>12.1}{most:>12.1}");
    let of_sums = [exact(sum(), n), sparse(sum(), m)];
    let (exact, sparse) = (exact(kernel(), n), sparse(kernel(), m));
    for ((name, size, posterior), of_sum) in [("exact", n, &exact), ("sparse", m, &sparse)].into_iter().zip(&of_sums) {
        let mut out = Prediction::default();
        let one = latencies(runs, |index| posterior.predict_into(at.subrows(index % 1000, 1), &mut out).unwrap());
        print(&format!("{name} {size}, one row"), one);
        let bound = least(size, &at, runs);
        print("  its row of the kernel and a solve", bound);
        println!("  ratio of medians {:.2}", one.0 / bound.0);
        print(
            &format!("{name} {size}, one row, `predict`"),
            latencies(runs, |index| {
                black_box(posterior.predict(at.subrows(index % 1000, 1)).unwrap());
            }),
        );
        print(
            &format!("{name} {size}, 1000 rows"),
            latencies(runs / 40 + 5, |_| {
                black_box(posterior.predict(at.as_ref()).unwrap());
            }),
        );
        let parts = of_sum.components(0).unwrap();
        let whole = latencies(7, |_| drop(black_box(of_sum.predict(at.as_ref()).unwrap())));
        let terms = latencies(7, |_| drop(black_box(parts.predict(at.as_ref()).unwrap())));
        print("  1000 rows of a sum of four terms", whole);
        print("  each of its terms", terms);
        println!("  ratio over the number of terms {:.2}", terms.0 / whole.0 / parts.len() as f64);
        let best = |threads| (0..5).map(|_| throughput(posterior, &at, threads, runs)).fold(0.0, f64::max);
        println!("  two threads / one, rows a second: {:.2}", best(2) / best(1));
    }
}
