//! Precisions, threads and pools, and what does not fit.
#![allow(clippy::unwrap_used)]

use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::tape::{Pool, Tape, Var};

use crate::common::data::uniform;

#[test]
fn what_does_not_fit_is_an_error_that_names_the_operation() {
    type Formula = for<'t> fn([Var<'t, f64>; 4]) -> Var<'t, f64>;
    let refusals: [(&str, Formula); 25] = [
        ("`matmul`", |[a, b, ..]| a * b),
        ("`matmul_tn`", |[a, _, three, _]| a.matmul_tn(three)),
        ("`matmul_nt`", |[a, b, ..]| a.matmul_nt(b)),
        ("`add`", |[a, b, ..]| a + b),
        ("`sub`", |[a, b, ..]| a - b),
        ("`hadamard`", |[a, b, ..]| a.hadamard(b)),
        ("`scale_by`", |[a, b, ..]| a.scale_by(b)),
        ("`add_scalar`", |[a, b, ..]| a.add_scalar(b)),
        ("`add_to_diagonal`", |[a, _, _, one]| a.add_to_diagonal(one)),
        ("`add_to_diagonal`", |[_, b, ..]| b.add_to_diagonal(b)),
        ("`add_identity`", |[a, ..]| a.add_identity(1.0)),
        ("`inner`", |[a, b, ..]| a.inner(b)),
        ("`diagonal`", |[a, ..]| a.diagonal()),
        ("`trace`", |[a, ..]| a.trace()),
        ("`log_diagonal_sum`", |[a, ..]| a.log_diagonal_sum()),
        ("`add_diagonal`", |[_, b, ..]| b.add_diagonal(b)),
        ("`scale_rows`", |[a, b, ..]| b.scale_rows(a)),
        ("`weighted_outer`", |[a, b, ..]| a.weighted_outer(b)),
        ("`divide_rows_by_root`", |[a, b, ..]| b.divide_rows_by_root(a)),
        ("`lower_triangle`", |[a, ..]| a.lower_triangle(2)),
        ("`solve_lower`", |[a, b, ..]| a.solve_lower(b)),
        ("`solve_lower_transpose`", |[_, b, three, _]| b.solve_lower_transpose(three)),
        ("`lower_matmul`", |[a, b, ..]| a.lower_matmul(b)),
        ("`lower_matmul_tn`", |[_, b, three, _]| b.lower_matmul_tn(three)),
        ("`rows`", |[a, ..]| a.rows(1..3)),
    ];
    for (name, formula) in refusals {
        let tape = Tape::<f64>::new(Par::Seq);
        let [a, b, three] = [(2, 3), (2, 2), (3, 1)].map(|(rows, cols)| tape.parameter(Mat::zeros(rows, cols)));
        let result = formula([a, b, three, tape.scalar_parameter(1.0)]);
        match tape.value(result) {
            Err(error @ (Error::Shape { .. } | Error::Rows { .. })) => {
                assert_eq!(matches!(error, Error::Rows { .. }), name == "`rows`", "{name}: {error}");
                assert!(error.to_string().contains(name), "{name}: {error}");
            }
            other => unreachable!("{name}: {other:?}"),
        }
    }
    let tape = Tape::<f64>::new(Par::Seq);
    let a = tape.parameter(Mat::zeros(2, 3));
    match a.cholesky(Jitter::default()) {
        Err(error @ Error::Shape { .. }) => assert!(error.to_string().contains("`cholesky`"), "{error}"),
        other => unreachable!("{other:?}"),
    }
    assert!(matches!(tape.backward(a), Err(Error::Shape { .. })));
    assert!(matches!(tape.scalar(a), Err(Error::Shape { .. })));
    assert!(matches!(tape.pull_back(a, Mat::zeros(2, 2).as_ref()), Err(Error::Shape { .. })));
    // None of these is kept: the caller has it.
    assert_eq!(tape.scalar(a.sum()), Ok(0.0));
}

#[test]
fn the_first_failure_is_kept_and_nothing_is_recorded_after_it() {
    let kernel = Rbf::new(1.0);
    let tape = Tape::<f64>::new(Par::Seq);
    let (a, b) = (tape.parameter(mat![[4.0, 0.0], [0.0, 4.0]]), tape.parameter(Mat::zeros(2, 3)));
    let on_tape = tape.kernel(&kernel).unwrap();
    let len = tape.len();
    let first = tape.value((a + b) - a.hadamard(b)).map(drop).unwrap_err();
    assert!(first.to_string().contains("`add`"), "{first}");
    let later = -((2.0 * a * a + 1.0) * b).sum_of_squares() + a.trace();
    assert_eq!(tape.len(), len);

    // Whatever is read, also what was there before.
    for found in [
        tape.value(a).map(drop),
        tape.scalar(later).map(drop),
        tape.shape(a).map(drop),
        tape.needs_gradient(a).map(drop),
        tape.backward(later).map(drop),
        tape.pull_back(a, Mat::zeros(2, 2).as_ref()).map(drop),
        a.cholesky(Jitter::default()).map(drop),
        b.gaussian_log_density(a, Jitter::default()).map(drop),
        b.kronecker_log_density(a, a, &[a]).map(drop),
        on_tape.gram(b).map(drop),
        on_tape.cross(b, b).map(drop),
        on_tape.diag(b).map(drop),
        tape.value(tape.custom(&[a], mat![[1.0]], Box::new(|_| vec![None]))).map(drop),
    ] {
        assert_eq!(found, Err(first.clone()));
    }
    assert_eq!(tape.len(), len);
    // The next tape is a new one.
    let next = Tape::<f64>::with_pool(Par::Seq, tape.into_pool());
    assert_eq!(next.scalar(next.scalar_constant(2.0).square()), Ok(4.0));
}

#[test]
fn variables_of_another_tape_are_refused() {
    let kernel = Rbf::new(1.0);
    type Formula = for<'t, 'a> fn(&'t Tape<'a, f64>, Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let formulas: [Formula; 5] = [
        |_, own, foreign| own + foreign,
        |_, own, foreign| foreign + own,
        |_, own, foreign| own * foreign.exp(),
        |_, _, foreign| foreign.exp(),
        |tape, _, foreign| tape.custom(&[foreign], Mat::zeros(1, 1), Box::new(|_| vec![None])),
    ];
    for formula in formulas {
        let (first, second) = (Tape::<f64>::new(Par::Seq), Tape::<f64>::new(Par::Seq));
        let result = formula(&first, first.scalar_parameter(1.0), second.scalar_parameter(2.0));
        assert!(matches!(first.value(result), Err(Error::Setting { .. })), "{result:?}");
        assert!(matches!(first.backward(result), Err(Error::Setting { .. })), "{result:?}");
    }

    let (first, second) = (Tape::<f64>::new(Par::Seq), Tape::<f64>::new(Par::Seq));
    let (own, foreign) = (first.scalar_parameter(1.0), second.scalar_parameter(2.0));
    let foreign_kernel = second.kernel(&kernel).unwrap();
    let one = foreign_kernel.gram(own);
    assert!(matches!(one, Err(Error::Setting { .. })), "{one:?}");
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
    let gradients = tape.backward(used.inner(constant)).unwrap();
    assert_eq!(gradients.get(used).unwrap(), data.transpose());
    assert!(gradients.get(unused).is_none() && gradients.get(constant).is_none());
    let fixed = constant.sum();
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
    let covariance = kernel.gram(x).unwrap().add_to_diagonal(noise);
    let (l, _) = covariance.cholesky(Jitter::default()).unwrap();
    let fit = l.solve_lower(y).sum_of_squares();
    let loss = 0.5 * fit + l.log_diagonal_sum();
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
        a.exp();
    }
    assert_eq!(tape.len(), 101);
    assert_eq!(tape.into_pool().len(), 100);
    assert_eq!(value.as_mat(), mat![[2.0]]);
}
