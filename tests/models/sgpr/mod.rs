//! Collapsed sparse models against dense formulas, the exact process, the variational one, and refits.
#![allow(clippy::unwrap_used)]

mod bounds;
mod dense;
mod model;
mod precision;

use mercer::gp::Approximation;
use mercer::prelude::*;

const ALL: [Approximation; 3] = [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc];

/// Inducing inputs that are no data.
fn between(m: usize) -> Mat<f64> {
    Mat::from_fn(m, 2, |row, col| ((row * (3 + 2 * col)) % m) as f64 * 9.0 / m as f64 + 0.05 * row as f64)
}

fn kernel() -> DynKernel {
    (1.5 * Matern32::new([1.2, 2.0]) + 0.3 * Linear::new(0.5)).dynamic()
}
