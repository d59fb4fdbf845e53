//! What parameters carry beside their values.
#![allow(clippy::unwrap_used)]

mod constraints;
mod priors;
mod ties;

use mercer::params::Prior;
use mercer::prelude::*;

use crate::common::data::line;

fn prior() -> Prior {
    Prior::gamma(2.0, 3.0).unwrap()
}

fn kernel() -> DynKernel {
    (2.0 * Rbf::new([0.7, 1.3]) + RationalQuadratic::new(0.4, 2.5)).dynamic()
}

fn priors(root: &impl Parameterized) -> Vec<bool> {
    root.parameters().iter().map(|entry| entry.prior.is_some()).collect()
}

fn data() -> (Mat<f64>, Vec<f64>) {
    let x = line(30, 0.0, 6.0);
    let y = (0..30).map(|row| x[(row, 0)].sin() + 0.1 * f64::from(row as i32 * 31 % 17 - 8)).collect();
    (x, y)
}
