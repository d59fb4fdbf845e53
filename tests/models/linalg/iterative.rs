//! Solves and log-determinants by products, against factorisations.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use mercer::linalg::{ConjugateGradients, Diagonal, Operator, StochasticLogDet};
use mercer::prelude::{Mat, Par};
use mercer::{Error, Scalar};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::dense;

/// Positive definite, with a diagonal of very different sizes.
fn matrix<T: Scalar>(n: usize) -> Mat<T> {
    let mut rng = Pcg64::seed_from_u64(1);
    let a = Mat::<f64>::from_fn(n, n, |_, _| rng.random_range(-0.2..0.2));
    let a = &a * a.transpose();
    let size = |i: usize| 1.0 + (i * i) as f64 / 10.0;
    Mat::from_fn(n, n, |i, j| T::from_f64(a[(i.max(j), i.min(j))] + if i == j { size(i) } else { 0.0 }))
}

fn diagonal<T: Scalar>(a: &Mat<T>) -> Diagonal<T> {
    Diagonal::new((0..a.nrows()).map(|i| a[(i, i)]).collect()).unwrap()
}

fn solves<T: Scalar>(tolerance: f64) {
    let a = matrix::<T>(80);
    let mut rng = Pcg64::seed_from_u64(2);
    let mut b = Mat::from_fn(80, 4, |_, _| T::from_f64(rng.random_range(-1.0..1.0)));
    // Nothing to solve for, and what one iteration solves with the preconditioner.
    (0..80).for_each(|i| b[(i, 1)] = T::from_f64(0.0));
    (0..80).for_each(|i| b[(i, 2)] = T::from_f64(if i == 3 { 1e-20 } else { 0.0 }));
    let exact = dense(&a).solve(b.as_ref(), Par::Seq).unwrap();
    let (solver, jacobi) = (ConjugateGradients { tolerance, limit: 200 }, diagonal(&a));
    let mut taken = Vec::new();
    for preconditioner in [None, Some(&jacobi as &dyn Operator<T>), Some(&dense(&a))] {
        let found = solver.solve(|x| Ok(&a * x), b.as_ref(), preconditioner, Par::Seq).unwrap();
        assert!(found.residual <= tolerance);
        for col in 0..4 {
            // The smallest eigenvalue is at least 1: ‖x − A⁻¹b‖ ≤ ‖Ax − b‖ ≤ tolerance ‖b‖, beside rounding.
            let error = (found.solution.col(col) - exact.col(col)).norm_l2().as_f64();
            assert!(error <= 2.0 * tolerance * b.col(col).norm_l2().as_f64(), "column {col}: {error:e}");
        }
        assert!(found.solution.col(1).iter().all(|value| value.as_f64() == 0.0));
        taken.push(found.iterations);
    }
    assert!(taken[1] * 2 < taken[0] && taken[2] <= 2, "{taken:?}");
}

#[test]
fn conjugate_gradients_solve_to_their_tolerance() {
    solves::<f64>(1e-11);
    solves::<f32>(1e-5);
}

#[test]
fn what_cannot_be_solved_is_refused() {
    let b = Mat::full(3, 1, 1.0);
    let solver = ConjugateGradients::default();
    let solve = |a: Mat<f64>| solver.solve(|x| Ok(&a * x), b.as_ref(), None, Par::Seq).unwrap_err();
    let indefinite = Mat::from_fn(3, 3, |i, j| if i == j { [1.0, -1.0, -1.0][i] } else { 0.0 });
    assert!(matches!(solve(indefinite), Error::Setting { .. }));
    assert!(matches!(solve(Mat::full(3, 3, f64::NAN)), Error::Setting { .. }));
    assert!(matches!(solve(Mat::zeros(2, 3)), Error::Shape { found: (2, 1), .. }));
    let a = matrix::<f64>(80);
    let unreachable = ConjugateGradients { tolerance: 1e-30, limit: 300 };
    let refused = unreachable.solve(|x| Ok(&a * x), Mat::full(80, 1, 1.0).as_ref(), None, Par::Seq);
    assert!(matches!(refused, Err(Error::NotConverged { iterations: 300, residual, .. }) if residual < 1e-12));
    let infinite = Mat::full(3, 1, f64::INFINITY);
    let refused = solver.solve(|x| Ok(x.to_owned()), infinite.as_ref(), None, Par::Seq);
    assert!(matches!(refused, Err(Error::NonFinite { row: 0, col: 0, .. })));
    let refused =
        ConjugateGradients { tolerance: f64::NAN, limit: 1 }.solve(|x| Ok(x.to_owned()), b.as_ref(), None, Par::Seq);
    assert!(matches!(refused, Err(Error::Setting { .. })));

    let rng = &mut Pcg64::seed_from_u64(1);
    let estimate = |probes, steps, sign: f64, rng: &mut Pcg64| {
        let product = |x: faer::MatRef<'_, f64>| Ok(x * faer::Scale(sign));
        StochasticLogDet { probes, steps }.estimate(product, None, 5, rng, Par::Seq)
    };
    for (probes, steps, sign) in [(1, 10, 1.0), (5, 0, 1.0), (5, 10, -1.0)] {
        assert!(matches!(estimate(probes, steps, sign, rng), Err(Error::Setting { .. })));
    }
}

/// Columns whose squares overflow or vanish are solved as those of ordinary size are.
#[test]
fn the_size_of_a_column_does_not_matter() {
    let a = matrix::<f64>(40);
    let b = Mat::from_fn(40, 1, |i, _| (i as f64).cos());
    let solver = ConjugateGradients::default();
    let solve = |b: &Mat<f64>| solver.solve(|x| Ok(&a * x), b.as_ref(), Some(&diagonal(&a)), Par::Seq);
    let expected = solve(&b).unwrap().solution;
    let sizes = [1e200, 1e-200, 1e-290];
    let found = solve(&Mat::from_fn(40, 3, |i, col| sizes[col] * b[(i, 0)])).unwrap();
    assert!(found.residual > 0.0 && found.residual <= 1e-10);
    for (col, size) in sizes.into_iter().enumerate() {
        let left = Mat::from_fn(40, 1, |i, _| found.solution[(i, col)] / size - expected[(i, 0)]);
        // Either is within the tolerance of the solution: see above.
        assert!(left.norm_l2() <= 2e-10 * b.norm_l2(), "{size:e}: {:e}", left.norm_l2());
    }
    let steep = solver.solve(|x| Ok(x * faer::Scale(1e-20)), Mat::full(3, 1, 1e300).as_ref(), None, Par::Seq);
    assert!(matches!(steep, Err(Error::NonFinite { .. })), "{steep:?}");
}

/// A product that spoils the check of the result, and one that spoils a column beside another.
#[test]
fn a_residual_that_is_no_number_is_not_converged() {
    let calls = Cell::new(0);
    let b = Mat::from_fn(3, 2, |i, col| if col == 0 { 1.0 } else { i as f64 });
    let spoilt = |x: faer::MatRef<'_, f64>| {
        calls.set(calls.get() + 1);
        let mut out = x.to_owned();
        if calls.get() > 1 {
            out[(1, 0)] = f64::NAN;
        }
        Ok(out)
    };
    let refused = ConjugateGradients::default().solve(spoilt, b.as_ref(), None, Par::Seq);
    assert!(matches!(&refused, Err(Error::NotConverged { residual, .. }) if residual.is_nan()), "{refused:?}");
}

/// The errors, in units of the stated standard error, have the size that they should.
#[test]
fn the_standard_error_is_that_of_the_estimate() {
    let (a, runs) = (matrix::<f64>(24), 100);
    let (exact, jacobi) = (dense(&a).log_det(), diagonal(&a));
    for preconditioner in [None, Some(&jacobi as &dyn Operator<f64>)] {
        let estimator = StochasticLogDet { probes: 12, steps: 24 };
        let squares = (0..runs).map(|seed| {
            let rng = &mut Pcg64::seed_from_u64(seed);
            let found = estimator.estimate(|x| Ok(&a * x), preconditioner, 24, rng, Par::Seq).unwrap();
            ((found.value - exact) / found.standard_error).powi(2)
        });
        // Of 100 squares of Student's t with 11 degrees of freedom: 1.22 on average, ± 0.22.
        let mean = squares.sum::<f64>() / runs as f64;
        assert!((0.6..1.9).contains(&mean), "{mean}");
    }
    let estimate = |seed, preconditioner| {
        let rng = &mut Pcg64::seed_from_u64(seed);
        let estimator = StochasticLogDet { probes: 8, steps: 12 };
        estimator.estimate(|x| Ok(&a * x), preconditioner, 24, rng, Par::Seq).unwrap()
    };
    assert_eq!(estimate(3, None), estimate(3, None));
    assert_ne!(estimate(3, None), estimate(4, None));
}

fn exact_cases<T: Scalar>(tolerance: f64) {
    let a = matrix::<T>(40);
    let estimator = StochasticLogDet { probes: 3, steps: 40 };
    let rng = &mut Pcg64::seed_from_u64(5);
    // Preconditioned by itself: S = I.
    let itself = dense(&a);
    let found = estimator.estimate(|x| Ok(&a * x), Some(&itself), 40, rng, Par::Seq).unwrap();
    assert!((found.value - itself.log_det()).abs() < tolerance && found.standard_error < tolerance, "{found:?}");
    // Random signs see the trace of a diagonal matrix as it is; with a step for each row the quadrature is exact.
    let of_diagonal = diagonal(&a);
    let product = |x: faer::MatRef<'_, T>| of_diagonal.matmul(x, Par::Seq);
    let found = estimator.estimate(product, None, 40, rng, Par::Seq).unwrap();
    assert!((found.value - of_diagonal.log_det()).abs() < tolerance && found.standard_error < tolerance, "{found:?}");
}

#[test]
fn estimates_are_exact_where_nothing_is_random() {
    exact_cases::<f64>(1e-10);
    exact_cases::<f32>(1e-2);
}
