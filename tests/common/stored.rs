//! Numbers of the files in `tests/data`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use faer::Mat;
use serde_json::Value;

/// A file in `tests/data`.
pub(crate) fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What is not finite is stored by its name.
pub(crate) fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some(name) => name.parse().unwrap(),
        None => value.as_f64().unwrap(),
    }
}

pub(crate) fn vector(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Stored by rows.
pub(crate) fn matrix(value: &Value) -> Mat<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(vector).collect();
    Mat::from_fn(rows.len(), rows[0].len(), |row, col| rows[row][col])
}
