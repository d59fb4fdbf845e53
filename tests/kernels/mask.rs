//! Masked kernels against the same kernel on the points that are there.

#![allow(clippy::unwrap_used)]

use mercer::combine::Missing;
use mercer::kernel::{GradientRequest, cross_vjp, diag_vjp, gram_vjp, matmul_vjp};
use mercer::prelude::*;
use mercer::testkit::points;

const POLICIES: [Missing; 3] = [Missing::Propagate, Missing::Isolate, Missing::Zero];

/// Expressions, the dimension of their points, and the dimensions that they read.
fn expressions() -> Vec<(DynKernel, usize, Vec<usize>)> {
    vec![
        (Rbf::new(0.7).dynamic(), 1, vec![0]),
        ((Rbf::new(0.7) + White::new(0.3)).dynamic(), 2, vec![0, 1]),
        ((Matern52::new([0.7, 2.0]).on([0, 2]) * Linear::new(0.5) + 0.3).on([3, 1, 0]).dynamic(), 4, vec![0, 1, 3]),
        ((1.5 * Periodic::new(0.8, 2.3) - Linear::new(0.2)).ard([0.5, 2.0]).dynamic(), 2, vec![0, 1]),
        ((Rbf::new(1.0).on([1]) + Constant::new(0.5)).exp().dynamic(), 3, vec![1]),
    ]
}

/// Points with some rows missing, NaN in one coordinate that is read; and NaN here and there in those
/// that are not read.
fn with_gaps(n: usize, dim: usize, read: &[usize], seed: u64) -> (Mat<f64>, Vec<usize>) {
    let mut x = points::<f64>(n, dim, seed);
    let missing = |row: usize| row % 7 == 2 || (64..128).contains(&row) || row == n - 1;
    for row in 0..n {
        if missing(row) {
            x[(row, read[row % read.len()])] = f64::NAN;
        } else {
            (0..dim).filter(|d| !read.contains(d) && row % 2 == 0).for_each(|d| x[(row, d)] = f64::NAN);
        }
    }
    (x, (0..n).filter(|&row| !missing(row)).collect())
}

fn rows(x: &Mat<f64>, rows: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)])
}

/// What has to stand at an entry where a point is missing.
fn stands_in(policy: Missing, diagonal: bool) -> f64 {
    match policy {
        Missing::Propagate => f64::NAN,
        Missing::Isolate if diagonal => 1.0,
        _ => 0.0,
    }
}

fn expected(
    policy: Missing,
    few: &Mat<f64>,
    n: usize,
    m: usize,
    rows: &[usize],
    cols: &[usize],
    gram: bool,
) -> Mat<f64> {
    Mat::from_fn(n, m, |i, j| match (rows.binary_search(&i), cols.binary_search(&j)) {
        (Ok(i), Ok(j)) => few[(i, j)],
        _ => stands_in(policy, gram && i == j),
    })
}

fn same(a: &Mat<f64>, b: &Mat<f64>) {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    for col in 0..a.ncols() {
        for row in 0..a.nrows() {
            let (a, b) = (a[(row, col)], b[(row, col)]);
            assert!(a == b || (a.is_nan() && b.is_nan()), "({row}, {col}): {a} and {b}");
        }
    }
}

#[test]
fn values_are_those_of_the_points_that_are_there() {
    for (kernel, dim, read) in expressions() {
        let ((x, there), (z, there_z)) = (with_gaps(150, dim, &read, 1), with_gaps(41, dim, &read, 2));
        let (few, few_z) = (rows(&x, &there), rows(&z, &there_z));
        for policy in POLICIES {
            let masked = kernel.clone().masked(policy);
            let gram: Mat<f64> = masked.gram(x.as_ref()).unwrap();
            let few_gram: Mat<f64> = kernel.gram(few.as_ref()).unwrap();
            same(&gram, &expected(policy, &few_gram, 150, 150, &there, &there, true));

            let cross: Mat<f64> = masked.cross(x.as_ref(), z.as_ref()).unwrap();
            let few_cross: Mat<f64> = kernel.cross(few.as_ref(), few_z.as_ref()).unwrap();
            same(&cross, &expected(policy, &few_cross, 150, 41, &there, &there_z, false));

            let diag: Vec<f64> = masked.diag(x.as_ref()).unwrap();
            let few_diag: Vec<f64> = kernel.diag(few.as_ref()).unwrap();
            for (row, &value) in diag.iter().enumerate() {
                let expected = there.binary_search(&row).map_or(stands_in(policy, true), |row| few_diag[row]);
                assert!(value == expected || (value.is_nan() && expected.is_nan()));
            }
            let row = |i: usize| -> Vec<f64> { (0..dim).map(|d| x[(i, d)]).collect() };
            for (i, j) in [(0, 1), (2, 0), (2, 2), (149, 3)] {
                let value = masked.eval(&row(i), &row(j)).unwrap();
                assert!((value - cross_entry(&masked, &x, i, j)).abs() < 1e-14 || value.is_nan());
            }
        }
    }
}

fn cross_entry(kernel: &impl KernelExt<f64>, x: &Mat<f64>, i: usize, j: usize) -> f64 {
    kernel.cross(x.as_ref().subrows(i, 1), x.as_ref().subrows(j, 1)).unwrap()[(0, 0)]
}

#[test]
fn gradients_are_those_of_the_points_that_are_there() {
    for (kernel, dim, read) in expressions() {
        let ((x, there), (z, there_z)) = (with_gaps(150, dim, &read, 1), with_gaps(41, dim, &read, 2));
        let (few, few_z) = (rows(&x, &there), rows(&z, &there_z));
        let weights = |n: usize, m: usize| Mat::from_fn(n, m, |i, j| (0.7 * i as f64 - 1.3 * j as f64).sin());
        let (w, v) = (weights(150, 150), weights(150, 41));
        let few_w = Mat::from_fn(there.len(), there.len(), |i, j| w[(there[i], there[j])]);
        let few_v = Mat::from_fn(there.len(), there_z.len(), |i, j| v[(there[i], there_z[j])]);
        for policy in POLICIES {
            let masked = kernel.clone().masked(policy);
            let close = |a: &[f64], b: &[f64]| {
                let size = b.iter().fold(1.0f64, |size, b| size.max(b.abs()));
                a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-11 * size, "{a} and {b}"));
            };
            let points_close = |all: Option<Mat<f64>>, few: Option<Mat<f64>>, there: &[usize]| {
                let (all, few) = (all.unwrap(), few.unwrap());
                for row in 0..all.nrows() {
                    for col in 0..dim {
                        let expected = there.binary_search(&row).map_or(0.0, |row| few[(row, col)]);
                        // NaN in a coordinate that is not read is no reason for a NaN in the gradient.
                        assert!((all[(row, col)] - expected).abs() < 1e-11 * (1.0 + expected.abs()));
                    }
                }
            };
            let all = gram_vjp(&masked, x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
            let part = gram_vjp(&kernel, few.as_ref(), few_w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
            close(&all.theta, &part.theta);
            points_close(all.x, part.x, &there);

            let all =
                cross_vjp(&masked, x.as_ref(), z.as_ref(), v.as_ref(), GradientRequest::ALL, Par::rayon(0)).unwrap();
            let part = cross_vjp(&kernel, few.as_ref(), few_z.as_ref(), few_v.as_ref(), GradientRequest::ALL, Par::Seq)
                .unwrap();
            close(&all.theta, &part.theta);
            points_close(all.x, part.x, &there);
            points_close(all.z, part.z, &there_z);

            let c: Vec<f64> = (0..150).map(|i| (i as f64).cos()).collect();
            let few_c: Vec<f64> = there.iter().map(|&i| c[i]).collect();
            let all = diag_vjp(&masked, x.as_ref(), &c, GradientRequest::ALL).unwrap();
            let part = diag_vjp(&kernel, few.as_ref(), &few_c, GradientRequest::ALL).unwrap();
            close(&all.theta, &part.theta);
            points_close(all.x, part.x, &there);

            let (a, b) = (weights(41, 3), weights(150, 3));
            let (few_a, few_b) = (rows(&a, &there_z), rows(&b, &there));
            let wanted = GradientRequest::PARAMETERS;
            let all = matmul_vjp(&masked, x.as_ref(), z.as_ref(), a.as_ref(), b.as_ref(), wanted, Par::Seq).unwrap();
            let (fx, fz) = (few.as_ref(), few_z.as_ref());
            let part = matmul_vjp(&kernel, fx, fz, few_a.as_ref(), few_b.as_ref(), wanted, Par::Seq).unwrap();
            close(&all.theta, &part.theta);
        }
    }
}

#[test]
fn an_index_may_be_missing() {
    let kernel = Rbf::new(1.0).on([0]) * Categorical::new(3, 0.2).on([1]);
    let x = mat![[0.5, 2.0], [1.0, f64::NAN], [f64::NAN, 1.0], [0.5, 0.0]];
    assert!(kernel.gram(x.as_ref()).is_err());
    let gram: Mat<f64> = kernel.masked(Missing::Zero).gram(x.as_ref()).unwrap();
    assert_eq!((gram[(0, 3)], gram[(1, 1)], gram[(2, 0)]), (0.2, 0.0, 0.0));
    let wrong = mat![[0.5, 3.0]];
    let kernel = Categorical::new(3, 0.2).on([1]).masked(Missing::Zero);
    assert!(kernel.gram(wrong.as_ref()).unwrap_err().to_string().contains("below 3"));
}

#[test]
fn masks_compose() {
    let (x, there) = with_gaps(100, 2, &[0, 1], 3);
    let few = rows(&x, &there);
    // In a sum with a kernel that reads the first dimension only, which is masked by itself.
    let kernel = Rbf::new(0.8).masked(Missing::Zero) + Matern32::new(1.0).on([0]).masked(Missing::Zero);
    let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
    let first: Mat<f64> = (Rbf::new(0.8) + Matern32::new(1.0).on([0])).gram(few.as_ref()).unwrap();
    for (i, &row) in there.iter().enumerate() {
        for (j, &col) in there.iter().enumerate() {
            assert!((gram[(row, col)] - first[(i, j)]).abs() < 1e-15);
        }
    }
    // A mask in a mask, and the log-determinant of padded points.
    let twice = (Rbf::new(0.8) + White::new(0.1)).masked(Missing::Isolate).masked(Missing::Isolate);
    let log_det = |gram: Mat<f64>| {
        gram.llt(faer::Side::Lower).unwrap().L().diagonal().column_vector().iter().map(|l| l.ln()).sum::<f64>()
    };
    let padded = log_det(twice.gram(x.as_ref()).unwrap());
    let plain = log_det((Rbf::new(0.8) + White::new(0.1)).gram(few.as_ref()).unwrap());
    assert!((padded - plain).abs() < 1e-10 * plain.abs());
    // All points missing.
    let none = Mat::full(70, 2, f64::NAN);
    let gram: Mat<f64> = twice.gram(none.as_ref()).unwrap();
    assert_eq!(gram, Mat::<f64>::identity(70, 70));
    let w = Mat::full(70, 70, 1.0);
    let gradients = gram_vjp(&twice, none.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
    assert_eq!(gradients.theta, [0.0, 0.0]);
    assert_eq!(gradients.x.unwrap(), Mat::<f64>::zeros(70, 2));
}

#[test]
fn a_mask_sees_what_a_combinator_reads_by_itself() {
    let gram = |text: &str, x: Mat<f64>| -> Mat<f64> { text.parse::<DynKernel>().unwrap().gram(x.as_ref()).unwrap() };
    let gated = "masked(change_point(on(rbf(1),[0]), on(rbf(2),[0]), dim=1, location=0, width=1), isolate)";
    let found = gram(gated, mat![[0.0, f64::NAN], [1.0, 0.5]]);
    let s = 1.0 / (1.0 + (-0.5f64).exp());
    approx::assert_relative_eq!(found[(1, 1)], s * s + (1.0 - s) * (1.0 - s), max_relative = 1e-15);
    assert_eq!((found[(0, 0)], found[(0, 1)], found[(1, 0)]), (1.0, 0.0, 0.0));
    // The index is missing, of a point that is there otherwise.
    let blocks = "masked(block_diagonal(on(rbf(1),[0]), outputs=2), isolate)";
    assert_eq!(gram(blocks, mat![[0.0, f64::NAN], [1.0, 0.0]]), Mat::<f64>::identity(2, 2));
    // Not masked, a NaN is NaN wherever it stands, in directions too.
    let zonal = gram("zonal([0.3,0.4])", mat![[f64::NAN, 0.0], [1.0, 1.0]]);
    assert!(zonal[(0, 0)].is_nan() && zonal[(0, 1)].is_nan() && (zonal[(1, 1)] - 0.7f64).abs() < 1e-15);
}
