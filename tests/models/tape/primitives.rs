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
            check("matmul", &|t, v| t.matmul(v[0], v[1]), &[a.clone(), b.clone()]);
            check("matmul_tn", &|t, v| t.matmul_tn(v[0], v[1]), &[at, b]);
            check("matmul_nt", &|t, v| t.matmul_nt(v[0], v[1]), &[a, bt]);
        }
        check("transpose", &|t, v| t.transpose(v[0]), &[uniform(m, n, 3)]);
        check("weighted_outer", &|t, v| t.weighted_outer(v[0], v[1]), &[uniform(m, n, 1), uniform(n, 1, 2)]);
    }
}

#[test]
fn elementwise() {
    for (m, n) in SHAPES {
        let pair = [uniform(m, n, 1), uniform(m, n, 2)];
        check("add", &|t, v| t.add(v[0], v[1]), &pair);
        check("sub", &|t, v| t.sub(v[0], v[1]), &pair);
        check("hadamard", &|t, v| t.hadamard(v[0], v[1]), &pair);
        let a = &pair[..1];
        check("neg", &|t, v| t.neg(v[0]), a);
        check("scale", &|t, v| t.scale(v[0], -2.5), a);
        check("exp", &|t, v| t.exp(v[0]), a);
        check("square", &|t, v| t.square(v[0]), a);
        check("map", &|t, v| t.map(v[0], |x| x.sin() + x, |x, _| x.cos() + 1.0), a);
        let p = [positive(3, m, n)];
        check("ln", &|t, v| t.ln(v[0]), &p);
        check("sqrt", &|t, v| t.sqrt(v[0]), &p);
        check("recip", &|t, v| t.recip(v[0]), &p);
    }
}

#[test]
fn scalars_with_matrices() {
    for (m, n) in SHAPES {
        let operands = [uniform(m, n, 1), uniform(1, 1, 2)];
        check("scale_by", &|t, v| t.scale_by(v[0], v[1]), &operands);
        check("add_scalar", &|t, v| t.add_scalar(v[0], v[1]), &operands);
    }
    for n in [1, 6, 19] {
        check("add_to_diagonal", &|t, v| t.add_to_diagonal(v[0], v[1]), &[uniform(n, n, 1), uniform(1, 1, 2)]);
    }
}

#[test]
fn reductions() {
    for (m, n) in SHAPES {
        let pair = [uniform(m, n, 1), uniform(m, n, 2)];
        check("inner", &|t, v| t.inner(v[0], v[1]), &pair);
        check("sum", &|t, v| t.sum(v[0]), &pair[..1]);
        check("sum_of_squares", &|t, v| t.sum_of_squares(v[0]), &pair[..1]);
        check("column_sums_of_squares", &|t, v| t.column_sums_of_squares(v[0]), &pair[..1]);
    }
    for n in [1, 6, 19] {
        check("diagonal", &|t, v| t.diagonal(v[0]), &[uniform(n, n, 1)]);
        check("trace", &|t, v| t.trace(v[0]), &[uniform(n, n, 1)]);
        check("log_diagonal_sum", &|t, v| t.log_diagonal_sum(v[0]), &[factor(1, n)]);
        check("log_diagonal_sum, negative", &|t, v| t.log_diagonal_sum(v[0]), &[-factor(1, n)]);
    }
}

#[test]
fn structure() {
    for n in [1, 6, 13] {
        check("add_diagonal", &|t, v| t.add_diagonal(v[0], v[1]), &[uniform(n, n, 1), uniform(n, 1, 2)]);
        check("lower_triangle", &|t, v| t.lower_triangle(v[0], n), &[uniform(n * (n + 1) / 2, 1, 1)]);
    }
    for (m, n) in SHAPES {
        check("scale_rows", &|t, v| t.scale_rows(v[0], v[1]), &[uniform(m, n, 1), uniform(m, 1, 2)]);
        check("divide_rows_by_root", &|t, v| t.divide_rows_by_root(v[0], v[1]), &[uniform(m, n, 1), positive(2, m, 1)]);
        check("rows", &|t, v| t.rows(v[0], m / 2..m), &[uniform(m, n, 1)]);
    }
}

#[test]
fn triangular() {
    for n in [1, 2, 7, 21] {
        for k in [1, 3] {
            let operands = [factor(1, n), uniform(n, k, 2)];
            check("solve_lower", &|t, v| t.solve_lower(v[0], v[1]), &operands);
            check("solve_lower_transpose", &|t, v| t.solve_lower_transpose(v[0], v[1]), &operands);
            check("lower_matmul", &|t, v| t.lower_matmul(v[0], v[1]), &operands);
            check("lower_matmul_tn", &|t, v| t.lower_matmul_tn(v[0], v[1]), &operands);
        }
    }
}

#[test]
fn cholesky() {
    for n in [1, 2, 7, 15] {
        let b = [uniform(n, n, 1)];
        check("cholesky", &|t, v| Ok(t.cholesky(covariance(t, v[0])?, Jitter::default())?.0), &b);
        check("cholesky, fixed", &|t, v| Ok(t.cholesky(covariance(t, v[0])?, Jitter::Fixed(0.5))?.0), &b);
    }
    // Across the blocks of the factorisation: the gradient of ln det is the inverse.
    let n = 150;
    let b = uniform(n, n, 3);
    let tape = Tape::new(Par::Seq);
    let a = tape.parameter(&b * b.transpose() + Mat::<f64>::identity(n, n));
    let (l, jitter) = tape.cholesky(a, Jitter::default()).unwrap();
    assert_eq!(jitter, 0.0);
    let log_det = tape.scale(tape.log_diagonal_sum(l).unwrap(), 2.0).unwrap();
    let gradients = tape.backward(log_det).unwrap();
    let identity = tape.value(a).unwrap().as_mat() * gradients.get(a).unwrap();
    assert!((identity - Mat::<f64>::identity(n, n)).norm_max() < 1e-10);
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_refused() {
    let tape = Tape::new(Par::Seq);
    let a = tape.parameter(mat![[1.0, 2.0], [2.0, 1.0]]);
    assert!(matches!(tape.cholesky(a, Jitter::default()), Err(Error::NotPositiveDefinite { pivot: 1, .. })));
    let zero = tape.parameter(mat![[1.0, 0.0], [2.0, 0.0]]);
    assert!(matches!(tape.log_diagonal_sum(zero), Err(Error::NotPositiveDefinite { pivot: 1, .. })));
}

#[test]
fn custom() {
    // The first operand's exponential, by hand.
    let formula: &Formula<'_> = &|tape, v| {
        let value = tape.value(v[0])?;
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
    let short = tape.custom(&[a], mat![[1.0]], Box::new(|_| vec![])).unwrap();
    assert!(matches!(tape.backward(short), Err(Error::Shape { .. })));
    let wrong = tape.custom(&[a], mat![[1.0]], Box::new(|_| vec![Some(mat![[1.0]])])).unwrap();
    assert!(matches!(tape.backward(wrong), Err(Error::Shape { .. })));
}

#[test]
fn operands_used_twice_add_up() {
    let operand = [factor(1, 5)];
    check("add", &|t, v| t.add(v[0], v[0]), &operand);
    check("sub", &|t, v| t.sub(t.square(v[0])?, v[0]), &operand);
    check("hadamard", &|t, v| t.hadamard(v[0], v[0]), &operand);
    check("matmul", &|t, v| t.matmul(v[0], v[0]), &operand);
    check("matmul_tn", &|t, v| t.matmul_tn(v[0], v[0]), &operand);
    check("matmul_nt", &|t, v| t.matmul_nt(v[0], v[0]), &operand);
    check("inner", &|t, v| t.inner(v[0], v[0]), &operand);
    check("solve_lower", &|t, v| t.solve_lower(v[0], v[0]), &operand);
    check("lower_matmul", &|t, v| t.lower_matmul(v[0], v[0]), &operand);
    check("scale_by", &|t, v| t.scale_by(t.trace(v[0])?, t.trace(v[0])?), &operand);
}

/// Each reverse after another has written to the same cotangent, and before: a formula that uses
/// everything on the same operands, in one order and in the other.
#[test]
fn cotangents_accumulate() {
    let parts: [&Formula<'_>; 23] = [
        &|t, v| t.sum(v[0]),
        &|t, v| t.sum_of_squares(t.diagonal(v[0])?),
        &|t, v| t.trace(v[0]),
        &|t, v| t.log_diagonal_sum(v[0]),
        &|t, v| t.sum_of_squares(t.column_sums_of_squares(v[0])?),
        &|t, v| t.sum_of_squares(t.solve_lower(v[0], v[1])?),
        &|t, v| t.sum_of_squares(t.solve_lower_transpose(v[0], v[1])?),
        &|t, v| t.sum_of_squares(t.lower_matmul(v[0], v[1])?),
        &|t, v| t.sum_of_squares(t.lower_matmul_tn(v[0], v[1])?),
        &|t, v| t.sum_of_squares(t.rows(v[1], 1..3)?),
        &|t, v| t.sum_of_squares(t.transpose(v[1])?),
        &|t, v| t.sum_of_squares(t.divide_rows_by_root(v[1], t.square(v[2])?)?),
        &|t, v| t.sum_of_squares(t.scale_rows(v[1], v[2])?),
        &|t, v| t.sum_of_squares(t.weighted_outer(v[0], v[2])?),
        &|t, v| t.sum_of_squares(t.add_diagonal(v[0], v[2])?),
        &|t, v| t.sum_of_squares(t.lower_triangle(v[3], 6)?),
        &|t, v| t.sum_of_squares(t.matmul(t.lower_triangle(v[3], 6)?, v[1])?),
        &|t, v| t.sum(t.exp(v[2])?),
        &|t, v| t.sum_of_squares(t.scale_by(v[1], t.trace(v[0])?)?),
        &|t, v| t.sum(t.hadamard(v[0], t.square(v[0])?)?),
        &|t, v| t.sum(t.sub(t.square(v[0])?, v[0])?),
        &|t, v| t.inner(v[0], t.matmul_tn(v[0], v[0])?),
        &|t, v| t.log_diagonal_sum(t.cholesky(covariance(t, v[0])?, Jitter::default())?.0),
    ];
    let sum = |t: &Tape<'_, f64>, v: &[Var], reversed: bool| {
        let order = (0..parts.len()).map(|at| if reversed { parts.len() - 1 - at } else { at });
        order.map(|at| parts[at](t, v)).try_fold(t.scalar_constant(0.0), |sum, part| t.add(sum, part?))
    };
    let operands = [factor(1, 6), uniform(6, 3, 2), uniform(6, 1, 3), uniform(21, 1, 4)];
    check_to(1e-6, "one order", &|t, v| sum(t, v, false), &operands);
    check_to(1e-6, "the other order", &|t, v| sum(t, v, true), &operands);
}
