//! Random expressions of every kernel and combinator: they print, parse and evaluate.
//!
//! `MERCER_TRIALS=300 cargo test --release --test kernels random_expressions -- --nocapture` tries a million.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use faer::Side;
use mercer::algebra::registry;
use mercer::combine::Missing;
use mercer::prelude::*;
use mercer::testkit::{expressions, seed, trials};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

const DIM: usize = 3;
const POINTS: usize = 7;
/// In a plain `cargo test`.
const FEW: usize = 3000;

/// The examples of the registry that read points of three dimensions.
fn pool() -> Vec<DynKernel> {
    registry::all().into_iter().map(|(_, kernel)| kernel).filter(|kernel| kernel.inputs(DIM).is_ok()).collect()
}

/// An example with other hyperparameters: moved on the unconstrained scale.
fn leaf(pool: &[DynKernel], rng: &mut impl Rng) -> DynKernel {
    let mut kernel = pool[rng.random_range(0..pool.len())].clone();
    let moved: Vec<f64> = kernel.unconstrained().iter().map(|u| u + rng.random_range(-0.5..0.5)).collect();
    kernel.set_unconstrained(&moved).unwrap();
    kernel
}

fn expression(pool: &[DynKernel], depth: usize, rng: &mut impl Rng) -> DynKernel {
    if depth == 0 || rng.random_bool(0.2) {
        return leaf(pool, rng);
    }
    let mut part = || expression(pool, depth - 1, rng);
    let (a, b) = (part(), part());
    let value: f64 = rng.random_range(0.3..2.0);
    match rng.random_range(0..16) {
        0..3 => a + b,
        3..6 => a * b,
        6 => a - b,
        7 => -a,
        8 => value * a,
        9 => a + value - 1.0,
        10 => a.pow(2).dynamic(),
        11 => (a.normalized() * value).exp().dynamic(),
        12 => a.normalized().dynamic(),
        13 if a.inputs(2).is_ok() => a.on([2, 0]).dynamic(),
        13 | 14 if a.inputs(DIM).unwrap().indices().is_empty() => a.ard([value, 1.0, 0.5]).dynamic(),
        _ => a.masked([Missing::Propagate, Missing::Isolate, Missing::Zero][rng.random_range(0..3)]).dynamic(),
    }
}

/// A bound of the rounding errors of an entry, relative to the largest: each node rounds a few times, and a
/// product or a power multiplies the errors of its parts.
fn operations(kernel: &dyn Expr) -> f64 {
    let below: f64 = kernel.children().into_iter().map(|child| operations(child)).sum();
    if kernel.name() == "power" { 2.0 * below + 2.0 } else { below + 4.0 }
}

#[test]
fn random_expressions_print_parse_and_evaluate() {
    let count = trials(FEW);
    let pool = pool();
    let mut rng = Pcg64::seed_from_u64(seed(2024));
    let (mut claimed, mut unbounded) = (0, 0);
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for index in 0..count {
        let kernel = expression(&pool, 1 + index % 5, &mut rng);
        let x = mercer::testkit::points_for::<f64>(&kernel, POINTS, DIM, index as u64);
        let fail = |what: String| panic!("expression {index}, {kernel}: {what}");
        if let Err(violation) = expressions::reads_back(&kernel) {
            fail(violation.to_string());
        }
        count_names(&kernel, &mut names);

        let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        let read: DynKernel = kernel.to_string().parse().unwrap();
        let again: Mat<f64> = read.gram(x.as_ref()).unwrap();
        let bits = |matrix: &Mat<f64>| {
            matrix.col_iter().flat_map(|col| col.iter().map(|v| v.to_bits()).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        if bits(&gram) != bits(&again) {
            fail("other values after reading back".to_owned());
        }
        if bits(&gram) != bits(&gram.transpose().to_owned()) {
            fail("not symmetric".to_owned());
        }
        // Logarithms of negative values are NaN, and powers of powers overflow.
        if !gram.col_iter().all(|col| col.iter().all(|v| v.is_finite())) {
            unbounded += 1;
            continue;
        }
        if kernel.properties().psd.holds_in(DIM) {
            claimed += 1;
            let eigenvalues = gram.self_adjoint_eigenvalues(Side::Lower).unwrap();
            let largest_diagonal = (0..POINTS).map(|i| gram[(i, i)].abs()).fold(0.0, f64::max);
            let bound = POINTS as f64 * f64::EPSILON * largest_diagonal * operations(&kernel);
            if eigenvalues[0] < -bound {
                fail(format!(
                    "claims to be positive semi-definite, but has the eigenvalue {:e} (bound {bound:e})",
                    eigenvalues[0]
                ));
            }
        }
    }
    println!(
        "{count} expressions, {claimed} that claim to be positive semi-definite, {unbounded} with infinite values"
    );
    println!("{names:?}");
    assert!(claimed > count / 4 && unbounded < count / 10, "{claimed} and {unbounded} of {count}");
}

fn count_names(kernel: &dyn Expr, names: &mut BTreeMap<String, usize>) {
    *names.entry(kernel.name().to_owned()).or_default() += 1;
    kernel.children().into_iter().for_each(|child| count_names(child, names));
}
