//! Precisions, threads and pools, and what does not fit.
#![allow(clippy::unwrap_used)]

use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::tape::{Pool, Tape};

use crate::common::data::uniform;

#[test]
fn what_does_not_fit_is_an_error_that_names_the_operation() {
    let tape = Tape::<f64>::new(Par::Seq);
    let (a, b) = (tape.parameter(Mat::zeros(2, 3)), tape.parameter(Mat::zeros(2, 2)));
    let three = tape.parameter(Mat::zeros(3, 1));
    let refusals = [
        ("`matmul`", tape.matmul(a, b)),
        ("`matmul_tn`", tape.matmul_tn(a, three)),
        ("`matmul_nt`", tape.matmul_nt(a, b)),
        ("`add`", tape.add(a, b)),
        ("`sub`", tape.sub(a, b)),
        ("`hadamard`", tape.hadamard(a, b)),
        ("`scale_by`", tape.scale_by(a, b)),
        ("`add_scalar`", tape.add_scalar(a, b)),
        ("`add_to_diagonal`", tape.add_to_diagonal(a, tape.scalar_parameter(1.0))),
        ("`add_to_diagonal`", tape.add_to_diagonal(b, b)),
        ("`inner`", tape.inner(a, b)),
        ("`diagonal`", tape.diagonal(a)),
        ("`trace`", tape.trace(a)),
        ("`log_diagonal_sum`", tape.log_diagonal_sum(a)),
        ("`add_diagonal`", tape.add_diagonal(b, b)),
        ("`scale_rows`", tape.scale_rows(b, a)),
        ("`weighted_outer`", tape.weighted_outer(a, b)),
        ("`divide_rows_by_root`", tape.divide_rows_by_root(b, a)),
        ("`lower_triangle`", tape.lower_triangle(a, 2)),
        ("`solve_lower`", tape.solve_lower(a, b)),
        ("`solve_lower_transpose`", tape.solve_lower_transpose(b, three)),
        ("`lower_matmul`", tape.lower_matmul(a, b)),
        ("`lower_matmul_tn`", tape.lower_matmul_tn(b, three)),
        ("`cholesky`", tape.cholesky(a, Jitter::default()).map(|(l, _)| l)),
    ];
    for (name, refusal) in refusals {
        match refusal {
            Err(error @ Error::Shape { .. }) => assert!(error.to_string().contains(name), "{name}: {error}"),
            other => unreachable!("{name}: {other:?}"),
        }
    }
    assert!(matches!(tape.rows(a, 1..3), Err(Error::Rows { .. })));
    assert!(matches!(tape.backward(a), Err(Error::Shape { .. })));
    assert!(matches!(tape.scalar(a), Err(Error::Shape { .. })));
    assert!(matches!(tape.pull_back(a, Mat::zeros(2, 2).as_ref()), Err(Error::Shape { .. })));
}

#[test]
fn variables_of_another_tape_are_refused() {
    let kernel = Rbf::new(1.0);
    let (first, second) = (Tape::<f64>::new(Par::Seq), Tape::<f64>::new(Par::Seq));
    let (own, foreign) = (first.scalar_parameter(1.0), second.scalar_parameter(2.0));
    let foreign_kernel = second.kernel(&kernel).unwrap();
    for refusal in [
        first.add(own, foreign),
        first.exp(foreign),
        first.custom(&[foreign], Mat::zeros(1, 1), Box::new(|_| vec![None])),
        first.gram(foreign_kernel, own),
    ] {
        assert!(matches!(refusal, Err(Error::Setting { .. })), "{refusal:?}");
    }
    assert!(matches!(first.backward(foreign), Err(Error::Setting { .. })));
    let gradients = first.backward(own).unwrap();
    assert_eq!(gradients.scalar(own), Some(1.0));
    assert!(gradients.get(foreign).is_none());
}

#[test]
fn constants_and_parameters_out_of_reach_have_no_gradient() {
    let data = mat![[1.0, 2.0], [3.0, 4.0]];
    let tape = Tape::new(Par::Seq);
    let constant = tape.constant(data.transpose());
    assert_eq!(tape.value(constant).unwrap().as_mat(), data.transpose());
    let (used, unused) = (tape.parameter_ref(data.transpose()), tape.parameter(mat![[1.0]]));
    let gradients = tape.backward(tape.inner(used, constant).unwrap()).unwrap();
    assert_eq!(gradients.get(used).unwrap(), data.transpose());
    assert!(gradients.get(unused).is_none() && gradients.get(constant).is_none());
    let fixed = tape.sum(constant).unwrap();
    assert!(tape.backward(fixed).unwrap().get(used).is_none());
}

/// The negative log evidence up to a constant, with its gradient in all that moves.
fn evidence<T: Scalar>(pool: Pool<T>, par: Par, n: usize) -> (f64, Vec<f64>, Pool<T>) {
    let cast = |matrix: Mat<f64>| Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| T::from_f64(matrix[(i, j)]));
    let (x, y) = (cast(uniform(n, 2, 1)), cast(uniform(n, 1, 2)));
    let kernel = 1.5 * Rbf::new(0.7);
    let tape = Tape::with_pool(par, pool);
    let (x, y) = (tape.parameter_ref(x.as_ref()), tape.constant(y.as_ref()));
    let kernel = tape.kernel(&kernel).unwrap();
    let noise = tape.scalar_parameter(0.3);
    let covariance = tape.add_to_diagonal(tape.gram(kernel, x).unwrap(), noise).unwrap();
    let (l, _) = tape.cholesky(covariance, Jitter::default()).unwrap();
    let fit = tape.sum_of_squares(tape.solve_lower(l, y).unwrap()).unwrap();
    let loss = tape.add(tape.scale(fit, 0.5).unwrap(), tape.log_diagonal_sum(l).unwrap()).unwrap();
    let gradients = tape.backward(loss).unwrap();
    let mut flat = Vec::new();
    for var in [kernel.theta(), noise, x] {
        flat.extend(gradients.get(var).unwrap().col_iter().flat_map(|col| col.iter()).map(|&g| Scalar::as_f64(g)));
    }
    let value = tape.scalar(loss).unwrap();
    tape.recycle(gradients);
    (value, flat, tape.into_pool())
}

#[test]
fn single_precision_agrees_with_double() {
    let (wide, in_wide, _) = evidence::<f64>(Pool::new(), Par::Seq, 40);
    let (narrow, in_narrow, _) = evidence::<f32>(Pool::new(), Par::Seq, 40);
    assert!((wide - narrow).abs() < 1e-4 * wide.abs(), "{wide} against {narrow}");
    for (wide, narrow) in in_wide.iter().zip(&in_narrow) {
        assert!((wide - narrow).abs() < 1e-4 * (1.0 + wide.abs()), "{wide} against {narrow}");
    }
}

#[test]
fn a_pool_changes_no_bits_and_does_not_grow() {
    let (value, gradient, pool) = evidence::<f64>(Pool::new(), Par::Seq, 65);
    let (_, _, mut pool) = evidence::<f64>(pool, Par::Seq, 65);
    let size = pool.len();
    assert!(size > 0);
    for _ in 0..3 {
        let (again, gradient_again, used) = evidence::<f64>(pool, Par::Seq, 65);
        assert_eq!((again, &gradient_again), (value, &gradient));
        assert_eq!(used.len(), size);
        pool = used;
    }
    // Shapes of the past are let go.
    let (_, _, pool) = evidence::<f64>(pool, Par::Seq, 3);
    assert!(pool.len() <= size, "{} against {size}", pool.len());
}

#[test]
fn threads_agree_with_one() {
    let (value, gradient, _) = evidence::<f64>(Pool::new(), Par::Seq, 200);
    let (parallel, in_parallel, _) = evidence::<f64>(Pool::new(), Par::rayon(2), 200);
    assert!((value - parallel).abs() < 1e-10 * value.abs());
    for (a, b) in gradient.iter().zip(&in_parallel) {
        assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{a} against {b}");
    }
}

#[test]
fn values_outlive_the_tape() {
    let tape = Tape::new(Par::Seq);
    let a = tape.parameter(mat![[2.0]]);
    let value = tape.value(a).unwrap();
    for _ in 0..100 {
        tape.exp(a).unwrap();
    }
    assert_eq!(tape.len(), 101);
    assert_eq!(tape.into_pool().len(), 100);
    assert_eq!(value.as_mat(), mat![[2.0]]);
}
