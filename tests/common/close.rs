//! Comparisons of numbers.

use std::fmt::Display;

use approx::abs_diff_eq;

/// To a tolerance relative to the larger of 1 and the expected number.
#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let close = abs_diff_eq!(found, expected, epsilon = tolerance * expected.abs().max(1.0));
    assert!(close, "{found} is not {expected}");
}

/// Each to a tolerance relative to the larger of 1 and the expected number.
#[track_caller]
pub(crate) fn assert_each_close(what: impl Display, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let close = abs_diff_eq!(found, expected, epsilon = tolerance * expected.abs().max(1.0));
        assert!(close, "{what}[{index}]: {found} is not {expected}");
    }
}

/// To a tolerance relative to the largest of the expected numbers.
#[track_caller]
pub(crate) fn assert_vector_close(what: impl Display, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0f64, |size, number| size.max(number.abs()));
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            abs_diff_eq!(found, expected, epsilon = tolerance * size),
            "{what}[{index}]: {found} is not {expected}"
        );
    }
}
