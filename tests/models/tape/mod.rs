//! The tape: every primitive against central differences, and what it refuses.
#![allow(clippy::unwrap_used)]

mod evaluation;
mod kernels;
mod primitives;

use mercer::prelude::*;
use mercer::tape::{Tape, Var};

use crate::common::data::uniform;
use crate::common::gradients::check_matrix;

type Formula<'f> = dyn for<'t, 'a> Fn(&'t Tape<'a, f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'f;

/// Elements between ½ and 3/2.
fn positive(seed: u64, nrows: usize, ncols: usize) -> Mat<f64> {
    let matrix = uniform(nrows, ncols, seed);
    Mat::from_fn(nrows, ncols, |i, j| 1.0 + matrix[(i, j)] / 2.0)
}

/// A matrix whose lower triangle is well conditioned and whose upper triangle is not zero.
fn factor(seed: u64, n: usize) -> Mat<f64> {
    let matrix = uniform(n, n, seed);
    Mat::from_fn(n, n, |i, j| if i == j { 2.0 + matrix[(i, j)] } else { matrix[(i, j)] / (1.0 + n as f64 / 4.0) })
}

/// Σ W ∘ formula, with weights W that depend on the shape alone.
fn weighted(formula: &Formula<'_>, operands: &[Mat<f64>]) -> f64 {
    let tape = Tape::new(Par::Seq);
    let vars: Vec<_> = operands.iter().map(|matrix| tape.parameter(matrix.clone())).collect();
    let result = tape.value(formula(&tape, &vars)).unwrap();
    let weights = uniform(result.as_mat().nrows(), result.as_mat().ncols(), 99);
    weights.col_iter().zip(result.as_mat().col_iter()).map(|(w, c)| w.transpose() * c).sum()
}

/// The gradients of Σ W ∘ formula in the operands, of which some are parameters.
fn gradients(formula: &Formula<'_>, operands: &[Mat<f64>], wanted: &[bool]) -> Vec<Option<Mat<f64>>> {
    let tape = Tape::new(Par::Seq);
    let var = |(matrix, &wanted): (&Mat<f64>, &bool)| match wanted {
        true => tape.parameter(matrix.clone()),
        false => tape.constant_owned(matrix.clone()),
    };
    let vars: Vec<_> = operands.iter().zip(wanted).map(var).collect();
    let result = formula(&tape, &vars);
    let (nrows, ncols) = tape.shape(result).unwrap();
    let mut gradients = tape.pull_back(result, uniform(nrows, ncols, 99).as_ref()).unwrap();
    vars.iter().map(|&var| gradients.take(var)).collect()
}

/// Checks the gradient of Σ W ∘ formula in every element of every operand, and that the gradient in
/// any one of them is the same when the others are constants.
fn check(name: &str, formula: &Formula<'_>, operands: &[Mat<f64>]) {
    check_to(1e-7, name, formula, operands);
}

/// As [`check`], for sums large enough that differences lose digits.
fn check_to(tolerance: f64, name: &str, formula: &Formula<'_>, operands: &[Mat<f64>]) {
    let all = gradients(formula, operands, &vec![true; operands.len()]);
    for (index, operand) in operands.iter().enumerate() {
        let gradient = all[index].clone().unwrap_or_else(|| Mat::zeros(operand.nrows(), operand.ncols()));
        let mut moved = operands.to_vec();
        check_matrix(format!("{name}: operand {index}"), operand, &gradient, tolerance, |operand| {
            moved[index].copy_from(operand);
            weighted(formula, &moved)
        });
        let wanted: Vec<bool> = (0..operands.len()).map(|other| other == index).collect();
        let alone = gradients(formula, operands, &wanted);
        for (other, found) in alone.iter().enumerate() {
            assert!(other == index || found.is_none(), "{name}: constant {other} has a gradient");
        }
        assert_eq!(alone[index], all[index], "{name}: operand {index} alone");
    }
}

/// B Bᵀ + I, so that perturbations stay symmetric.
fn covariance(b: Var<'_, f64>) -> Var<'_, f64> {
    b.matmul_nt(b).add_identity(1.0)
}
