//! Every primitive of the tape against central finite differences.
#![allow(clippy::unwrap_used)]

use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::tape::{Pool, Tape, Var};

use crate::common::data::uniform;
use crate::common::gradients::check_matrix;

type Formula<'f> = dyn for<'t> Fn(&Tape<'t, f64>, &[Var]) -> Result<Var, Error> + 'f;

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
    let vars: Vec<Var> = operands.iter().map(|matrix| tape.parameter(matrix.clone())).collect();
    let result = tape.value(formula(&tape, &vars).unwrap()).unwrap();
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
    let vars: Vec<Var> = operands.iter().zip(wanted).map(var).collect();
    let result = formula(&tape, &vars).unwrap();
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

/// B Bᵀ + I, so that perturbations stay symmetric.
fn covariance(tape: &Tape<'_, f64>, b: Var) -> Result<Var, Error> {
    tape.add_to_diagonal(tape.matmul_nt(b, b)?, tape.scalar_constant(1.0))
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

/// A loss through all three drivers, with its gradients in hyperparameters, X and Z.
fn through_a_kernel(theta: &[f64], x: &Mat<f64>, z: &Mat<f64>) -> (f64, [Mat<f64>; 3]) {
    let kernel = (2.0 * Matern52::new(1.0) + Linear::new(1.0) + White::new(1.0)).with_params(theta).unwrap();
    let tape = Tape::new(Par::Seq);
    let k = tape.kernel(&kernel).unwrap();
    let (x, z) = (tape.parameter(x.clone()), tape.parameter(z.clone()));
    let parts = [tape.gram(k, x), tape.cross(k, x, z), tape.cross(k, z, z), tape.diag(k, x)];
    let parts = parts.map(|part| tape.sum_of_squares(part.unwrap()).unwrap());
    let loss = parts.into_iter().reduce(|a, b| tape.add(a, b).unwrap()).unwrap();
    let gradients = tape.backward(loss).unwrap();
    (tape.scalar(loss).unwrap(), [k.theta(), x, z].map(|var| gradients.get(var).unwrap().to_owned()))
}

#[test]
fn kernels() {
    let operands = [mat![[1.5], [0.8], [0.4], [0.3]], uniform(9, 2, 1), uniform(5, 2, 2)];
    let evaluate = |operands: &[Mat<f64>; 3]| {
        let [theta, x, z] = operands;
        through_a_kernel(theta.col_as_slice(0), x, z)
    };
    let (_, gradients) = evaluate(&operands);
    for (index, gradient) in gradients.iter().enumerate() {
        let mut moved = operands.clone();
        check_matrix(format!("operand {index}"), &operands[index], gradient, 1e-7, |operand| {
            moved[index].copy_from(operand);
            evaluate(&moved).0
        });
    }
}

/// A kernel without vector-Jacobian products.
#[derive(Clone, Debug)]
struct Wiener;
mercer::parameterized!(Wiener as "wiener", parameters: []);
mercer::kernel_ops!(Wiener);
impl Expr for Wiener {}
impl<T: Scalar> Kernel<T> for Wiener {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        if x[0] < y[0] { x[0] } else { y[0] }
    }
}

#[test]
fn kernels_without_gradients_are_refused_where_one_is_needed() {
    let kernel = Wiener + Rbf::new(1.0);
    let tape = Tape::<f64>::new(Par::Seq);
    match tape.kernel(&kernel) {
        Err(Error::NotDifferentiable { path }) => assert_eq!(path, "sum[0].wiener"),
        other => unreachable!("{other:?}"),
    }
    let fixed = tape.fixed_kernel(&kernel);
    let (x, moving) = (tape.constant_owned(mat![[1.0], [2.0]]), tape.parameter(mat![[1.0]]));
    let gram = tape.gram(fixed, x).unwrap();
    assert!(!tape.needs_gradient(gram).unwrap());
    for refusal in [tape.gram(fixed, moving), tape.cross(fixed, x, moving), tape.diag(fixed, moving)] {
        assert!(matches!(refusal, Err(Error::NotDifferentiable { .. })), "{refusal:?}");
    }
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
