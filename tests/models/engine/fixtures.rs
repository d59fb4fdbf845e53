//! `tests/data/markov.json`: log marginal likelihoods, gradients and predictions in 70 digits.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Data, Engine, ExactGp, Memory};
use mercer::prelude::*;
use serde_json::Value;

use crate::common::stored::{number, read, vector};

/// Of kernels that draw from a state, beside the values of dense matrices, some of which were lost far from the origin.
#[test]
fn values_in_many_digits() {
    let file = read("markov.json");
    for case in file["cases"].as_array().unwrap() {
        check(case);
    }
}

fn check(case: &Value) {
    let text = case["kernel"].as_str().unwrap();
    let kernel: DynKernel = text.parse().unwrap();
    let gp = ExactGp::new(kernel).with_noise(number(&case["noise"])).unwrap().with_engine(Engine::markov());
    let column = |name: &str| vector(&case[name]);
    // Missing observations are null.
    let y: Vec<f64> = case["y"].as_array().unwrap().iter().map(|y| y.as_f64().unwrap_or(f64::NAN)).collect();
    let data = Data::new(column("t"), y);
    let expected = &case["expected"];

    let (value, gradient) = gp.evaluate(&data, &Memory::default()).unwrap();
    // Rounding of the observations alone costs so much of the evidence where noise is small.
    let conditioned = 1e-15 * number(&case["pivot_ratio"]);
    let likelihood = number(&expected["log_marginal_likelihood"]);
    let close = (value - likelihood).abs() <= 1e-9f64.max(conditioned) * likelihood.abs();
    assert!(close, "{text}: {value} and not {likelihood}");

    let paths: Vec<String> = gp.parameters().into_iter().map(|entry| entry.path).collect();
    let gradients: Vec<f64> = paths.iter().map(|path| number(&expected["gradient"][path])).collect();
    let largest = gradients.iter().fold(0.0f64, |most, of| most.max(of.abs()));
    for ((path, found), of) in paths.iter().zip(&gradient).zip(&gradients) {
        let close = (found - of).abs() <= 1e-7f64.max(conditioned) * (of.abs() + 1e-3 * largest);
        assert!(close, "{text}: {found} in {path} and not {of}");
    }

    let new = column("t_new");
    let at = MatRef::from_column_major_slice(&new, new.len(), 1);
    let seen = gp.condition(&data).unwrap().predict(at).unwrap();
    let prior = gp.prior::<f64>().predict(at).unwrap().variance;
    let (means, variances) = (vector(&expected["mean"]), vector(&expected["variance"]));
    let spread = means.iter().fold(0.0f64, |most, mean| most.max(mean.abs()));
    for row in 0..new.len() {
        let (mean, variance) = (seen.mean[(row, 0)], seen.variance[(row, 0)]);
        // A variance is a difference from that a priori.
        let tolerance = 1e-8f64.max(conditioned);
        assert!(
            (mean - means[row]).abs() <= tolerance * (means[row].abs() + 1e-3 * spread),
            "{text}: mean {mean} at {row}, {}",
            means[row]
        );
        assert!(
            (variance - variances[row]).abs() <= tolerance * variances[row] + 1e-12 * prior[(row, 0)],
            "{text}: variance {variance} at {row}, {}",
            variances[row]
        );
    }
}
