//! The check of gradients: against central differences of fourth order.
#![allow(clippy::unwrap_used)]

use std::fmt::Display;

use approx::abs_diff_eq;
use mercer::prelude::*;
use mercer::testkit::directional_difference;

/// Of the differences, relative to a coordinate, or to 0.1 where that is larger. They are off by step⁴ times the fifth
/// derivative, and by a rounding of ε |f|/step.
const STEP: f64 = 1e-4;

/// In every coordinate, to a tolerance relative to the larger of 1 and the derivative.
#[track_caller]
pub(crate) fn check(
    what: impl Display,
    at: &[f64],
    found: &[f64],
    tolerance: f64,
    mut value: impl FnMut(&[f64]) -> f64,
) {
    assert_eq!(found.len(), at.len(), "{what}");
    for (index, &found) in found.iter().enumerate() {
        check_coordinate(format_args!("{what}, [{index}]"), at, index, found, tolerance, &mut value);
    }
}

/// In every entry of a matrix.
#[track_caller]
pub(crate) fn check_matrix(
    what: impl Display,
    at: &Mat<f64>,
    found: &Mat<f64>,
    tolerance: f64,
    mut value: impl FnMut(&Mat<f64>) -> f64,
) {
    assert_eq!(found.shape(), at.shape(), "{what}");
    let entries: Vec<f64> = at.col_iter().flat_map(|column| column.iter().copied()).collect();
    let rows = at.nrows();
    let mut of_entries = |entries: &[f64]| value(&Mat::from_fn(rows, at.ncols(), |i, j| entries[i + j * rows]));
    for (index, &found) in found.col_iter().flat_map(|column| column.iter()).enumerate() {
        let place = format_args!("{what}, [{}, {}]", index % rows, index / rows);
        check_coordinate(place, &entries, index, found, tolerance, &mut of_entries);
    }
}

/// In every free parameter of a model.
#[track_caller]
pub(crate) fn check_model<M: Parameterized + Clone>(
    what: impl Display,
    model: &M,
    found: &[f64],
    tolerance: f64,
    value: impl Fn(&M) -> f64,
) {
    let (values, entries) = (model.values(), model.parameters());
    assert_eq!(found.len(), values.len(), "{what}");
    assert!(entries.iter().any(|entry| entry.free), "{what}: nothing is free");
    let mut of_values = |values: &[f64]| value(&model.with_params(values).unwrap());
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.free) {
        let place = format_args!("{what}, {}", entry.path);
        check_coordinate(place, &values, index, found[index], tolerance, &mut of_values);
    }
}

#[track_caller]
fn check_coordinate(
    place: impl Display,
    at: &[f64],
    index: usize,
    found: f64,
    tolerance: f64,
    value: &mut dyn FnMut(&[f64]) -> f64,
) {
    let mut moved = at.to_vec();
    let expected = directional_difference(STEP * at[index].abs().max(0.1), |by| {
        moved[index] = at[index] + by;
        value(&moved)
    });
    let close = abs_diff_eq!(found, expected, epsilon = tolerance * expected.abs().max(1.0));
    assert!(close, "{place}: {found} is not {expected}");
}

#[test]
#[should_panic(expected = "the energy, [1]: 4.00001 is not")]
fn a_wrong_derivative_is_named() {
    let energy = |x: &[f64]| x[0] * x[0] + x[1] * x[1];
    check("the energy", &[1.0, 2.0], &[2.0, 4.0], 1e-10, energy);
    check("the energy", &[1.0, 2.0], &[2.0, 4.00001], 1e-6, energy);
}
