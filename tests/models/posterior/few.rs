//! Predictions of a few points, and how predictions change with the point.
#![allow(clippy::unwrap_used)]

use mercer::combine::Missing;
use mercer::gp::{BatchGp, ExactGp, MeanBasis, Posterior, Prediction, Sgpr, Standardization, Svgp};
use mercer::inducing::HilbertFeatures;
use mercer::likelihood::Softmax;
use mercer::mean::LinearMean;
use mercer::optim::NaturalGradient;
use mercer::prelude::*;

use crate::common::data::{plane, uniform};

fn kernel() -> DynKernel {
    (1.5 * Rbf::new(0.8).ard([1.0, 1.4]) + 0.1 * Linear::new(1.0) * Periodic::new(1.0, 3.0) + White::new(0.1)).dynamic()
}

/// One memory for all: of fewer points and more, of models with other numbers of functions.
fn assert_into(posterior: &dyn Predict<f64>, out: &mut Prediction<f64>) {
    for n in [1, 3, 8, 9, 2] {
        let x = 2.0 * uniform(n, 2, n as u64);
        posterior.predict_into(x.as_ref(), out).unwrap();
        let expected = posterior.predict(x.as_ref()).unwrap();
        assert!((&out.mean - &expected.mean).norm_max() < 1e-12, "{:?} {:?}", out.mean, expected.mean);
        assert!((&out.variance - &expected.variance).norm_max() < 1e-12);
    }
    assert!(posterior.predict_into(mat![[0.0, f64::INFINITY]].as_ref(), out).is_err());
    assert!(posterior.predict_into(mat![[0.0]].as_ref(), out).is_err());
}

fn posteriors() -> Vec<Posterior<f64>> {
    let (x, y) = plane(40);
    let (data, z) = (Data::new(&x, &y), 2.0 * uniform(9, 2, 4));
    let mean = LinearMean::new([0.3, -0.2]);
    let exact = ExactGp::new(kernel()).with_noise(0.1).unwrap().with_mean(mean.clone());
    let collapsed = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap().with_mean(mean);
    let features = HilbertFeatures::new(&[(-4.0, 4.0), (-4.0, 4.0)], &[6, 6]).unwrap();
    let fixed = Sgpr::with_features(1.5 * Rbf::new(1.8), features).unwrap().with_noise(0.1).unwrap();
    let mut sparse = Svgp::new(kernel(), z.as_ref()).unwrap();
    sparse.natural_step(&data.part_of(40), &NaturalGradient::default()).unwrap();
    let wider = sparse.clone().with_mean_basis(MeanBasis::new(uniform(4, 2, 7).as_ref()).unwrap()).unwrap();
    let classes = Data::new(&x, (0..40).map(|row| f64::from(row % 3)).collect::<Vec<_>>());
    let mut several = Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(Softmax::new(3));
    several = several.with_kernels(vec![kernel(), (2.0 * Rbf::new(1.0)).dynamic(), kernel()]).unwrap();
    several.natural_step(&classes.part_of(40), &NaturalGradient::default()).unwrap();
    vec![
        exact.condition(&data).unwrap(),
        collapsed.condition(&data).unwrap(),
        fixed.condition(&data).unwrap(),
        sparse.posterior().unwrap(),
        wider.posterior().unwrap(),
        several.posterior().unwrap(),
    ]
}

#[test]
fn into_memory_that_is_there() {
    let mut out = Prediction::default();
    for posterior in posteriors() {
        assert_into(&posterior, &mut out);
    }
    let (x, y) = plane(30);
    let data = Data::new(&x, &y);
    let gp = Standardization::of(&data).unwrap().around(ExactGp::new(kernel()).with_noise(0.1).unwrap());
    assert_into(&gp.condition(&data).unwrap(), &mut out);
    let two = Data::new(&x, Mat::from_fn(30, 2, |row, col| y[row] + col as f64));
    let batch = BatchGp::new(Rbf::new(1.0).ard([1.0, 2.0]).batched(2).unwrap());
    assert_into(&batch.condition(&two).unwrap(), &mut out);

    // A coordinate that is missing, of a kernel that knows what to do.
    let gp = ExactGp::new(Rbf::new(1.0).masked(Missing::Isolate)).with_noise(0.1).unwrap();
    let posterior = gp.condition(&Data::new(&x, &y)).unwrap();
    let at = mat![[f64::NAN, 0.3]];
    posterior.predict_into(at.as_ref(), &mut out).unwrap();
    assert_eq!(out, posterior.predict(at.as_ref()).unwrap());
}

#[test]
fn slopes_are_differences() {
    let h = 1e-5;
    for posterior in posteriors() {
        for function in 0..posterior.latents() {
            let x = 1.5 * uniform(5, 2, 11);
            let found = posterior.slopes(x.as_ref(), function).unwrap();
            for (row, col) in (0..5).flat_map(|row| [(row, 0), (row, 1)]) {
                let moved = |h: f64| {
                    let at = Mat::from_fn(1, 2, |_, c| x[(row, c)] + if c == col { h } else { 0.0 });
                    let predicted = posterior.predict(at.as_ref()).unwrap();
                    (predicted.mean[(0, function)], predicted.variance[(0, function)])
                };
                let (above, below) = (moved(h), moved(-h));
                let mean = (above.0 - below.0) / (2.0 * h);
                let variance = (above.1 - below.1) / (2.0 * h);
                assert!((found.mean[(row, col)] - mean).abs() < 1e-7 * (1.0 + mean.abs()), "{found:?} {mean}");
                assert!((found.variance[(row, col)] - variance).abs() < 1e-7 * (1.0 + variance.abs()), "{variance}");
            }
        }
        assert!(posterior.slopes(mat![[0.0, 0.0]].as_ref(), 9).is_err());
    }
}

/// Many threads share one posterior, and find what one does.
#[test]
fn threads_share_a_posterior() {
    let posterior = std::sync::Arc::new(posteriors().remove(1));
    let x = 2.0 * uniform(64, 2, 12);
    let expected = posterior.predict(x.as_ref()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (posterior, x, expected) = (posterior.clone(), &x, &expected);
            scope.spawn(move || {
                let mut out = Prediction::default();
                for row in (thread..64).step_by(4) {
                    posterior.predict_into(x.subrows(row, 1), &mut out).unwrap();
                    assert!((out.mean[(0, 0)] - expected.mean[(row, 0)]).abs() < 1e-12);
                    assert!((out.variance[(0, 0)] - expected.variance[(row, 0)]).abs() < 1e-12);
                }
            });
        }
    });
}
