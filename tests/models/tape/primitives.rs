//! Every primitive against central differences.
#![allow(clippy::unwrap_used)]

use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::tape::{Tape, Var};

use super::{Formula, check, check_to, covariance, factor, positive};
use crate::common::data::uniform;

const SHAPES: [(usize, usize); 5] = [(1, 1), (3, 2), (1, 5), (7, 1), (19, 11)];

#[test]
fn products() {
    for (m, n) in SHAPES {
        for k in [1, 4] {
            let (a, b) = (uniform(m, k, 1), uniform(k, n, 2));
            let (at, bt) = (a.transpose().to_owned(), b.transpose().to_owned());
            check("matmul", &|_, v| v[0] * v[1], &[a.clone(), b.clone()]);
            check("matmul_tn", &|_, v| v[0].matmul_tn(v[1]), &[at, b]);
            check("matmul_nt", &|_, v| v[0].matmul_nt(v[1]), &[a, bt]);
        }
        check("transpose", &|_, v| v[0].transpose(), &[uniform(m, n, 3)]);
        check("weighted_outer", &|_, v| v[0].weighted_outer(v[1]), &[uniform(m, n, 1), uniform(n, 1, 2)]);
    }
}

#[test]
fn elementwise() {
    for (m, n) in SHAPES {
        let pair = [uniform(m, n, 1), uniform(m, n, 2)];
        check("add", &|_, v| v[0] + v[1], &pair);
        check("sub", &|_, v| v[0] - v[1], &pair);
        check("hadamard", &|_, v| v[0].hadamard(v[1]), &pair);
        let a = &pair[..1];
        check("neg", &|_, v| -v[0], a);
        check("scale", &|_, v| -2.5 * v[0], a);
        check("scale from the right", &|_, v| v[0] * 0.5, a);
        check("add a number", &|_, v| v[0].square() + 3.0, a);
        check("exp", &|_, v| v[0].exp(), a);
        check("square", &|_, v| v[0].square(), a);
        check("map", &|_, v| v[0].map(|x| x.sin() + x, |x, _| x.cos() + 1.0), a);
        let p = [positive(3, m, n)];
        check("ln", &|_, v| v[0].ln(), &p);
        check("sqrt", &|_, v| v[0].sqrt(), &p);
        check("recip", &|_, v| v[0].recip(), &p);
    }
}

#[test]
fn scalars_with_matrices() {
    for (m, n) in SHAPES {
        let operands = [uniform(m, n, 1), uniform(1, 1, 2)];
        check("scale_by", &|_, v| v[0].scale_by(v[1]), &operands);
        check("add_scalar", &|_, v| v[0].add_scalar(v[1]), &operands);
    }
    for n in [1, 6, 19] {
        check("add_identity", &|_, v| v[0].square().add_identity(2.0), &[uniform(n, n, 1)]);
        check("add_to_diagonal", &|_, v| v[0].add_to_diagonal(v[1]), &[uniform(n, n, 1), uniform(1, 1, 2)]);
    }
}

#[test]
fn reductions() {
    for (m, n) in SHAPES {
        let pair = [uniform(m, n, 1), uniform(m, n, 2)];
        check("inner", &|_, v| v[0].inner(v[1]), &pair);
        check("sum", &|_, v| v[0].sum(), &pair[..1]);
        check("sum_of_squares", &|_, v| v[0].sum_of_squares(), &pair[..1]);
        check("column_sums_of_squares", &|_, v| v[0].column_sums_of_squares(), &pair[..1]);
    }
    for n in [1, 6, 19] {
        check("diagonal", &|_, v| v[0].diagonal(), &[uniform(n, n, 1)]);
        check("trace", &|_, v| v[0].trace(), &[uniform(n, n, 1)]);
        check("log_diagonal_sum", &|_, v| v[0].log_diagonal_sum(), &[factor(1, n)]);
        check("log_diagonal_sum, negative", &|_, v| v[0].log_diagonal_sum(), &[-factor(1, n)]);
    }
}

#[test]
fn structure() {
    for n in [1, 6, 13] {
        check("add_diagonal", &|_, v| v[0].add_diagonal(v[1]), &[uniform(n, n, 1), uniform(n, 1, 2)]);
        check("lower_triangle", &|_, v| v[0].lower_triangle(n), &[uniform(n * (n + 1) / 2, 1, 1)]);
    }
    for (m, n) in SHAPES {
        check("scale_rows", &|_, v| v[0].scale_rows(v[1]), &[uniform(m, n, 1), uniform(m, 1, 2)]);
        check("divide_rows_by_root", &|_, v| v[0].divide_rows_by_root(v[1]), &[uniform(m, n, 1), positive(2, m, 1)]);
        check("rows", &|_, v| v[0].rows(m / 2..m), &[uniform(m, n, 1)]);
    }
}

#[test]
fn triangular() {
    for n in [1, 2, 7, 21] {
        for k in [1, 3] {
            let operands = [factor(1, n), uniform(n, k, 2)];
            check("solve_lower", &|_, v| v[0].solve_lower(v[1]), &operands);
            check("solve_lower_transpose", &|_, v| v[0].solve_lower_transpose(v[1]), &operands);
            check("lower_matmul", &|_, v| v[0].lower_matmul(v[1]), &operands);
            check("lower_matmul_tn", &|_, v| v[0].lower_matmul_tn(v[1]), &operands);
        }
    }
}

#[test]
fn cholesky() {
    for n in [1, 2, 7, 15] {
        let b = [uniform(n, n, 1)];
        check("cholesky", &|_, v| covariance(v[0]).cholesky(Jitter::default()).unwrap().0, &b);
        check("cholesky, fixed", &|_, v| covariance(v[0]).cholesky(Jitter::Fixed(0.5)).unwrap().0, &b);
    }
    // Across the blocks of the factorisation: the gradient of ln det is the inverse.
    let n = 150;
    let b = uniform(n, n, 3);
    let tape = Tape::new(Par::Seq);
    let a = tape.parameter(&b * b.transpose() + Mat::<f64>::identity(n, n));
    let (l, jitter) = a.cholesky(Jitter::default()).unwrap();
    assert_eq!(jitter, 0.0);
    let log_det = 2.0 * l.log_diagonal_sum();
    let gradients = tape.backward(log_det).unwrap();
    let identity = tape.value(a).unwrap().as_mat() * gradients.get(a).unwrap();
    assert!((identity - Mat::<f64>::identity(n, n)).norm_max() < 1e-10);
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_refused() {
    let tape = Tape::new(Par::Seq);
    let a = tape.parameter(mat![[1.0, 2.0], [2.0, 1.0]]);
    assert!(matches!(a.cholesky(Jitter::default()), Err(Error::NotPositiveDefinite { pivot: 1, .. })));
    let zero = tape.parameter(mat![[1.0, 0.0], [2.0, 0.0]]);
    let half = tape.scalar(zero.log_diagonal_sum());
    assert!(matches!(half, Err(Error::NotPositiveDefinite { pivot: 1, .. })));
}

#[test]
fn custom() {
    // The first operand's exponential, by hand.
    let formula: &Formula<'_> = &|tape, v| {
        let value = tape.value(v[0]).unwrap();
        let exp = value.as_mat().map(|x: &f64| x.exp());
        let kept = exp.clone();
        let backward = move |c: MatRef<'_, f64>| {
            vec![Some(Mat::from_fn(c.nrows(), c.ncols(), |i, j| c[(i, j)] * kept[(i, j)])), None]
        };
        tape.custom(&[v[0], v[1]], exp, Box::new(backward))
    };
    check("custom", formula, &[uniform(4, 3, 1), uniform(1, 1, 2)]);

    let tape = Tape::new(Par::Seq);
    let a = tape.parameter(mat![[1.0, 2.0]]);
    let short = tape.custom(&[a], mat![[1.0]], Box::new(|_| vec![]));
    assert!(matches!(tape.backward(short), Err(Error::Shape { .. })));
    let wrong = tape.custom(&[a], mat![[1.0]], Box::new(|_| vec![Some(mat![[1.0]])]));
    assert!(matches!(tape.backward(wrong), Err(Error::Shape { .. })));
}

#[test]
fn operands_used_twice_add_up() {
    let operand = [factor(1, 5)];
    check("add", &|_, v| v[0] + v[0], &operand);
    check("sub", &|_, v| v[0].square() - v[0], &operand);
    check("hadamard", &|_, v| v[0].hadamard(v[0]), &operand);
    check("matmul", &|_, v| v[0] * v[0], &operand);
    check("matmul_tn", &|_, v| v[0].matmul_tn(v[0]), &operand);
    check("matmul_nt", &|_, v| v[0].matmul_nt(v[0]), &operand);
    check("inner", &|_, v| v[0].inner(v[0]), &operand);
    check("solve_lower", &|_, v| v[0].solve_lower(v[0]), &operand);
    check("lower_matmul", &|_, v| v[0].lower_matmul(v[0]), &operand);
    check("scale_by", &|_, v| v[0].trace().scale_by(v[0].trace()), &operand);
}

/// Each reverse after another has written to the same cotangent, and before: a formula that uses
/// everything on the same operands, in one order and in the other.
#[test]
fn cotangents_accumulate() {
    let parts: [&Formula<'_>; 23] = [
        &|_, v| v[0].sum(),
        &|_, v| v[0].diagonal().sum_of_squares(),
        &|_, v| v[0].trace(),
        &|_, v| v[0].log_diagonal_sum(),
        &|_, v| v[0].column_sums_of_squares().sum_of_squares(),
        &|_, v| v[0].solve_lower(v[1]).sum_of_squares(),
        &|_, v| v[0].solve_lower_transpose(v[1]).sum_of_squares(),
        &|_, v| v[0].lower_matmul(v[1]).sum_of_squares(),
        &|_, v| v[0].lower_matmul_tn(v[1]).sum_of_squares(),
        &|_, v| v[1].rows(1..3).sum_of_squares(),
        &|_, v| v[1].transpose().sum_of_squares(),
        &|_, v| v[1].divide_rows_by_root(v[2].square()).sum_of_squares(),
        &|_, v| v[1].scale_rows(v[2]).sum_of_squares(),
        &|_, v| v[0].weighted_outer(v[2]).sum_of_squares(),
        &|_, v| v[0].add_diagonal(v[2]).sum_of_squares(),
        &|_, v| v[3].lower_triangle(6).sum_of_squares(),
        &|_, v| (v[3].lower_triangle(6) * v[1]).sum_of_squares(),
        &|_, v| v[2].exp().sum(),
        &|_, v| v[1].scale_by(v[0].trace()).sum_of_squares(),
        &|_, v| v[0].hadamard(v[0].square()).sum(),
        &|_, v| (v[0].square() - v[0]).sum(),
        &|_, v| v[0].inner(v[0].matmul_tn(v[0])),
        &|_, v| covariance(v[0]).cholesky(Jitter::default()).unwrap().0.log_diagonal_sum(),
    ];
    fn sum<'t>(parts: &[&Formula<'_>], t: &'t Tape<'_, f64>, v: &[Var<'t, f64>], reversed: bool) -> Var<'t, f64> {
        let order = (0..parts.len()).map(|at| if reversed { parts.len() - 1 - at } else { at });
        order.map(|at| parts[at](t, v)).fold(t.scalar_constant(0.0), |sum, part| sum + part)
    }
    let operands = [factor(1, 6), uniform(6, 3, 2), uniform(6, 1, 3), uniform(21, 1, 4)];
    check_to(1e-6, "one order", &|t, v| sum(&parts, t, v, false), &operands);
    check_to(1e-6, "the other order", &|t, v| sum(&parts, t, v, true), &operands);
}
