//! What tests of likelihoods ask: numbers that are close, and observations that are refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::Likelihood;
use crate::Error;

/// Both are the same, to within a part of the larger of 1 and the size of what is expected.
#[track_caller]
pub(super) fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

/// Every method that takes observations refuses this one, by its row.
pub(super) fn assert_refused(likelihood: &dyn Likelihood, good: &[f64], bad: f64) {
    let mut y = good.to_vec();
    y.push(bad);
    let latent = vec![0.1; y.len() * likelihood.latents()];
    let refused = [
        likelihood.log_density(&y, &latent).map(|_| ()),
        likelihood.variational_expectations(&y, &latent, &latent).map(|_| ()),
        likelihood.log_predictive_density(&y, &latent, &latent).map(|_| ()),
    ];
    for result in refused {
        match result {
            Err(Error::Observation { row, value, .. }) => {
                assert!(row == good.len() && value.to_bits() == bad.to_bits());
            }
            other => panic!("{bad} gave {other:?}"),
        }
    }
}
