//! What drivers, training and grids of outputs allocate: nothing at the second call with a workspace, for leaves on the
//! points themselves; for the others a number that does not grow with the number of points; a Gram matrix into the
//! caller's memory takes little memory beside it; a step of training the same, whatever the number of rows of the data.

use mercer::gp::{ExactGp, IcmGp, Prediction, Sgpr, Standardization, Svgp};
use mercer::kernel::{Workspace, cross_into_with, gram_into, gram_into_with};
use mercer::likelihood::Gaussian;
use mercer::optim::{NaturalGradient, Train};
use mercer::prelude::*;
use mercer::testkit::points;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::{calls, peak, peak_since, reset_peak};

/// Allocations of a second Gram matrix and a second cross-covariance of n points.
fn second<T: Scalar>(kernel: &dyn Kernel<T>, n: usize) -> (usize, usize) {
    let (x, z) = (points::<T>(n, 3, 1), points::<T>(n / 2, 3, 2));
    let (mut gram, mut cross) = (Mat::zeros(n, n), Mat::zeros(n, n / 2));
    let (mut of_gram, mut of_cross) = (Workspace::new(), Workspace::new());
    let mut counts = (0, 0);
    for _ in 0..2 {
        let (x, z) = (x.as_ref(), z.as_ref());
        counts.0 = calls(|| gram_into_with(kernel, x, gram.as_mut(), &mut of_gram).unwrap_or_default());
        counts.1 = calls(|| cross_into_with(kernel, x, z, cross.as_mut(), &mut of_cross).unwrap_or_default());
    }
    assert!(gram[(n - 1, 0)] > T::from_f64(0.0) && cross[(n - 1, 0)] > T::from_f64(0.0));
    counts
}

const STEPS: usize = 4;
const BATCH: usize = 64;
const INDUCING: usize = 16;
/// Allocations of a step.
const MOST_A_STEP: usize = 180;

/// The most memory in use after the first step of training on n rows, beyond what was in use then: it is the
/// same in each step, as tapes take their matrices from a pool.
fn of_steps(n: usize, natural: bool) -> usize {
    let mut rng = Pcg64::seed_from_u64(1);
    let x = points::<f64>(n, 2, 1);
    let y: Vec<f64> = (0..n).map(|row| x[(row, 0)].sin()).collect();
    let model = Svgp::new(1.0 * Rbf::new(1.0), x.subrows(0, INDUCING)).map(|gp| gp.with_par(Par::Seq));
    let Ok(mut model) = model.map(|gp| gp.with_likelihood(Gaussian::new(0.1))) else { return 0 };
    let train = Train::new(STEPS).with_batch(BATCH).with_record_every(STEPS);
    let rule = NaturalGradient::default();
    let train = if natural { train.with_natural_gradients(rule) } else { train };
    let (mut before, mut peak, mut steps) = (0, 0, 0);
    let data = Data::new(x.as_ref(), &y);
    let Ok(mut run) = model.run(&data, &train) else { return 0 };
    while let Ok(Some(progress)) = run.step(&mut rng) {
        if progress.step == 0 {
            before = reset_peak();
        }
        peak = peak_since(before);
        steps += 1;
    }
    assert_eq!(steps, STEPS);
    peak
}

pub(crate) fn steps_take_no_more_for_more_rows() {
    for natural in [false, true] {
        let [few, many] = [10_000, 1_000_000].map(|n| of_steps(n, natural));
        // The harness has a thread of its own.
        assert!(few.abs_diff(many) < 1 << 12, "{few} bytes, then {many}");
        let entries = BATCH * INDUCING + INDUCING * INDUCING;
        assert!(many < 30 * 8 * entries, "{many} bytes for {entries} entries");
    }
}

/// Allocations of a step of training on so many rows, after the first steps.
fn of_a_step(n: usize, batch: Option<usize>) -> usize {
    let mut rng = Pcg64::seed_from_u64(1);
    let x = points::<f64>(n, 2, 1);
    let y: Vec<f64> = (0..n).map(|row| x[(row, 0)].sin()).collect();
    let mut model = Svgp::new(1.0 * Rbf::new(1.0), x.subrows(0, INDUCING)).unwrap().with_par(Par::Seq);
    let train = Train::new(STEPS).with_record_every(STEPS);
    let train = batch.map_or(train.clone(), |batch| train.with_batch(batch));
    let data = Data::new(x.as_ref(), &y);
    let mut run = model.run(&data, &train).unwrap();
    let mut counts = Vec::new();
    for _ in 0..STEPS {
        counts.push(calls(|| assert!(run.step(&mut rng).unwrap().is_some())));
    }
    assert!(counts[STEPS - 1] < counts[0] && counts[STEPS - 1] == counts[STEPS - 2], "{counts:?}");
    counts[STEPS - 1]
}

/// No matrix of the tape, whose pool has them all, but the nodes of the tape, features of kernels, which are made anew from
/// their parameters, and what a likelihood returns: their number hardly grows with the number of rows.
pub(crate) fn steps_allocate_few_things() {
    for (rows, batch) in [(100, None), (1000, None), (1000, Some(BATCH))] {
        let found = of_a_step(rows, batch);
        assert!(found <= MOST_A_STEP, "{found} for {rows} rows, batches {batch:?}");
    }
}

/// The evidence of many outputs with its gradient: N², P² and N·P numbers, some times over, where the covariance of all
/// values has (N·P)², 36 million here.
pub(crate) fn grids_take_no_product() {
    let (n, p) = (60, 100);
    let x = points::<f64>(n, 2, 1);
    let y = Mat::from_fn(n, p, |row, output| (x[(row, 0)] + 0.1 * output as f64).sin());
    let gp = IcmGp::new(Rbf::new(1.0), Coregionalization::new(Mat::full(p, 1, 0.7), vec![0.1; p])).with_par(Par::Seq);
    let gradient = || gp.gradient(&Data::new(x.as_ref(), y.as_ref()));
    // Once before: faer takes a buffer at the first product of a program, which it keeps.
    assert!(gradient().is_ok());
    let (peak, gradient) = peak(gradient);
    assert!(gradient.is_ok());
    let entries = n * n + p * p + n * p;
    assert!(peak < 20 * 8 * entries, "{peak} bytes for {entries} entries");
}

pub(crate) fn drivers_allocate_little() {
    for n in [5, 70, 300] {
        assert_eq!(second::<f64>(&Rbf::new(2.0), n), (0, 0), "{n}");
        assert_eq!(second::<f32>(&(1.5 * Matern52::new(2.0)), n), (0, 0));
        assert_eq!(second::<f64>(&RationalQuadratic::new(2.0, 1.0).dynamic(), n), (0, 0));
    }
    let composite = 0.5 * Rbf::new(2.0) + Matern32::new(2.0) + Periodic::new(1.2, 1.5) * Rbf::new(2.0);
    assert_eq!(second::<f64>(&composite, 70), second::<f64>(&composite, 700));

    let n = 1500;
    let x = points::<f64>(n, 4, 1);
    let mut out = Mat::zeros(n, n);
    let (beside, written) = peak(|| gram_into(&composite, x.as_ref(), out.as_mut(), Par::rayon(0)));
    assert!(written.is_ok());
    assert!(beside < 8 << 20, "{beside} bytes beside the output");
}

/// A point at a time, from the second on.
pub(crate) fn single_predictions_take_nothing() {
    let x = points::<f64>(60, 3, 1);
    let y: Vec<f64> = (0..60).map(|row| x[(row, 0)].sin()).collect();
    let data = Data::new(&x, &y);
    let kernel =
        1.3 * Rbf::new(1.0).ard([0.5, 1.0, 2.0]) + Matern32::new(1.0) * Rbf::new(2.0) + Periodic::new(1.0, 2.0).on([0]);
    let exact = ExactGp::new(kernel.clone().dynamic()).with_noise(0.1).unwrap();
    let sparse = Sgpr::new(kernel, x.subrows(0, 12)).unwrap().with_noise(0.1).unwrap();
    let posteriors: [Box<dyn Predict<f64>>; 3] = [
        Box::new(exact.condition(&data).unwrap()),
        Box::new(sparse.condition(&data).unwrap()),
        Box::new(Standardization::of(&data).unwrap().around(exact).condition(&data).unwrap()),
    ];
    for posterior in posteriors {
        let mut out = Prediction::default();
        posterior.predict_into(x.subrows(0, 1), &mut out).unwrap();
        let count = calls(|| {
            for row in 1..60 {
                posterior.predict_into(x.subrows(row, 1), &mut out).unwrap();
            }
        });
        assert_eq!(count, 0, "{posterior:?}");
    }
}
