//! A sparse process against the exact one on real data: the strength of concrete, eight inputs.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/support/mod.rs"]
mod support;

use std::time::Instant;

use mercer::data::{Standardizer, rows, split};
use mercer::gp::{ExactGp, Sgpr};
use mercer::inducing::start::greedy_variance;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use support::{Scores, read_csv};

const NOISE: f64 = 0.1;

fn kernel() -> DynKernel {
    (1.0 * Rbf::new([1.0; 8])).dynamic()
}

/// Both start from the same hyperparameters and are fitted by L-BFGS, each by its own objective; the
/// sparse one with its q integrated out, which it then gets for its predictions.
#[test]
fn three_hundred_inducing_inputs_do_as_well_as_all_data() {
    let table = read_csv(include_str!("../../examples/data/concrete.csv").as_bytes()).unwrap();
    let mut rng = Pcg64::seed_from_u64(0);
    let n = table.y.len();
    let parts = split(n, n / 5, &mut rng).unwrap();
    let y = MatRef::from_column_major_slice(&table.y, n, 1);
    let (x_train, y_train) = (rows(table.x.as_ref(), &parts.train).unwrap(), rows(y, &parts.train).unwrap());
    let (x_test, y_test) = (rows(table.x.as_ref(), &parts.test).unwrap(), rows(y, &parts.test).unwrap());
    let of_x = Standardizer::fit(x_train.as_ref(), 0).unwrap();
    let of_y = Standardizer::fit(y_train.as_ref(), 0).unwrap();
    let (x, x_test) = (of_x.transform(x_train.as_ref()).unwrap(), of_x.transform(x_test.as_ref()).unwrap());
    let (y, y_test) = (of_y.transform(y_train.as_ref()).unwrap(), of_y.transform(y_test.as_ref()).unwrap());
    let (y, y_test) = (y.col_as_slice(0), y_test.col_as_slice(0));
    let search = Lbfgs { max_steps: 100, cost_tolerance: 1e-6, ..Lbfgs::default() };

    let start = Instant::now();
    let mut exact = ExactGp::new(kernel()).with_noise(NOISE).unwrap();
    let minimum = exact.fit(&Data::new(x.as_ref(), y), &search).unwrap();
    let posterior = exact.condition(&Data::new(x.as_ref(), y)).unwrap();
    let by_exact = Scores::new(y_test, &posterior.predict_observations(x_test.as_ref()).unwrap()).unwrap();
    let report = |name: &str, scores: &Scores, objective: f64, steps: usize, seconds: f64| {
        let Scores { rmse, nlpd, coverage } = scores;
        println!(
            "{name}: RMSE {rmse:.4}, NLPD {nlpd:.4}, coverage {coverage:.3}, objective {objective:.2}, {steps} steps, {seconds:.1} s"
        );
    };
    report("exact", &by_exact, -minimum.value, minimum.steps, start.elapsed().as_secs_f64());

    let (start, mut steps) = (Instant::now(), 0);
    let mut sparse = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(NOISE).unwrap();
    // Twice at the rows that are least known under the hyperparameters so far, then moved freely.
    for (free, max_steps) in [(false, 10), (false, 10), (true, 50)] {
        if free {
            sparse.unfreeze("inducing").unwrap();
        } else {
            let z = greedy_variance(sparse.kernel(), x.as_ref(), 300).unwrap();
            sparse = sparse.with_inducing_inputs(z.as_ref()).unwrap();
            sparse.freeze("inducing").unwrap();
        }
        steps += sparse.fit(&Data::new(x.as_ref(), y), &Lbfgs { max_steps, memory: 40, ..search }).unwrap().steps;
    }
    let sparse = sparse.into_svgp(&Data::new(x.as_ref(), y)).unwrap();
    let bound = sparse.objective(&Data::new(x.as_ref(), y)).unwrap().value;
    let posterior = sparse.posterior().unwrap();
    let by_sparse = Scores::new(y_test, &posterior.predict_observations(x_test.as_ref()).unwrap()).unwrap();
    report("SVGP", &by_sparse, bound, steps, start.elapsed().as_secs_f64());

    assert!((by_sparse.rmse / by_exact.rmse - 1.0).abs() < 0.05, "{} {}", by_sparse.rmse, by_exact.rmse);
    assert!((by_sparse.nlpd - by_exact.nlpd).abs() < 0.05, "{} {}", by_sparse.nlpd, by_exact.nlpd);
}
