//! Spherical harmonics: orthonormal, of the right degree, stable, and with the right gradients.
#![allow(clippy::unwrap_used)]

use faer::prelude::*;
use mercer::prelude::*;
use mercer::sphere::{SphericalHarmonics, area, harmonics_of_degree};
use rand::{RngExt, SeedableRng};

use crate::common::gradients::check_matrix;
use crate::common::stored::read;

/// Directions, some of them close to the axes.
fn directions(dim: usize, count: usize, seed: u64) -> Mat<f64> {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
    let mut x = Mat::from_fn(count, dim, |_, _| rng.random_range(-1.0..1.0));
    for row in 0..count {
        if row % 3 == 1 {
            // Within 10⁻¹ to 10⁻⁸ of an axis.
            let small = 10f64.powi(-(1 + (row / 3 % 8) as i32));
            (0..dim).filter(|&col| col != row % dim).for_each(|col| x[(row, col)] *= small);
        }
        let norm = (0..dim).map(|col| x[(row, col)].powi(2)).sum::<f64>().sqrt();
        (0..dim).for_each(|col| x[(row, col)] /= norm);
    }
    x
}

/// C_l(t)/C_l(1) in d dimensions, from both ends so that t = ±1 lose no digits.
fn gegenbauer(dim: usize, degree: usize, x: RowRef<'_, f64>, y: RowRef<'_, f64>) -> f64 {
    let distance = |sign: f64| 0.5 * (0..dim).map(|d| (x[d] - sign * y[d]).powi(2)).sum::<f64>();
    let (near, far) = (distance(1.0), distance(-1.0));
    let (h, sign) = if near <= far { (near, 1.0) } else { (far, if degree.is_multiple_of(2) { 1.0 } else { -1.0 }) };
    let twice = dim as f64 - 2.0;
    let (mut value, mut difference) = (1.0, 0.0);
    for n in 0..degree {
        let order = n as f64;
        difference =
            if n == 0 { -h } else { (order * difference - (2.0 * order + twice) * h * value) / (order + twice) };
        value += difference;
    }
    sign * value
}

#[test]
fn stored_values_on_the_sphere() {
    let stored = read("sphere.json");
    let rows = |name: &str| -> Vec<Vec<f64>> { serde_json::from_value(stored["harmonics"][name].clone()).unwrap() };
    let (x, expected) = (rows("x"), rows("y"));
    let x = Mat::from_fn(x.len(), 3, |row, col| x[row][col]);
    let y = SphericalHarmonics::new(3, 8).unwrap().values(x.as_ref()).unwrap();
    assert_eq!(y.shape(), (81, 20));
    for (point, expected) in expected.iter().enumerate() {
        for (row, expected) in expected.iter().enumerate() {
            let error = (y[(row, point)] - expected).abs();
            assert!(error < 1e-14, "Y[{row}] at point {point}: off by {error:e}");
        }
    }
}

/// Nodes and weights of the Gauss rule for the weight (1 − t²)^(λ − ½): eigenvalues of the Jacobi matrix.
fn gauss_gegenbauer(n: usize, lambda: f64, mass: f64) -> Vec<(f64, f64)> {
    let b = |k: f64| (k * (k + 2.0 * lambda - 1.0) / (4.0 * (k + lambda) * (k + lambda - 1.0))).sqrt();
    let jacobi = Mat::from_fn(n, n, |i, j| if i.abs_diff(j) == 1 { b(i.max(j) as f64) } else { 0.0 });
    let eigen = jacobi.self_adjoint_eigen(faer::Side::Lower).unwrap();
    (0..n).map(|k| (eigen.S()[k], mass * eigen.U()[(0, k)].powi(2))).collect()
}

/// A product rule on the sphere that is exact for polynomials of degree 2n − 1.
fn product_rule(dim: usize, n: usize) -> Vec<(Vec<f64>, f64)> {
    let angles = (0..2 * n).map(|k| std::f64::consts::PI * (k as f64 + 0.3) / n as f64);
    let mut rule: Vec<_> = angles.map(|phi| (vec![phi.cos(), phi.sin()], std::f64::consts::PI / n as f64)).collect();
    for dim in 3..=dim {
        let polar = gauss_gegenbauer(n, (dim as f64 - 2.0) / 2.0, area(dim) / area(dim - 1));
        let with = |(t, weight): &(f64, f64), (x, rest): &(Vec<f64>, f64)| {
            let sine = (1.0 - t * t).sqrt();
            (x.iter().map(|x| sine * x).chain([*t]).collect(), weight * rest)
        };
        rule = polar.iter().flat_map(|node| rule.iter().map(move |other| with(node, other))).collect();
    }
    rule
}

#[test]
fn orthonormal_in_every_dimension() {
    for (dim, l_max) in [(2, 12), (3, 12), (4, 7), (5, 4), (6, 3), (7, 2), (9, 2)] {
        let rule = product_rule(dim, l_max + 1);
        let harmonics = SphericalHarmonics::new(dim, l_max).unwrap();
        let x = Mat::from_fn(rule.len(), dim, |row, col| rule[row].0[col]);
        let y = harmonics.values(x.as_ref()).unwrap();
        let weighted = Mat::from_fn(harmonics.len(), rule.len(), |row, col| y[(row, col)] * rule[col].1);
        let gram = &weighted * y.transpose();
        let error = (gram - Mat::<f64>::identity(harmonics.len(), harmonics.len())).norm_max();
        assert!(error < 1e-13, "dimension {dim}: off by {error:e}");
    }
}

/// Σ_i Y_{l,i}(x) Y_{l,i}(y) = N(d, l)/|S| C_l(xᵀy)/C_l(1)
fn addition_theorem(dim: usize, degrees: &[usize], tolerance: f64) {
    let harmonics = SphericalHarmonics::with_degrees(dim, degrees).unwrap();
    let x = directions(dim, 30, 7);
    let y = harmonics.values(x.as_ref()).unwrap();
    for &degree in degrees {
        let rows = harmonics.rows(degree);
        let count = harmonics_of_degree(dim, degree).unwrap();
        assert_eq!(rows.len(), count);
        let part = y.subrows(rows.start, rows.len());
        let kernel = part.transpose() * part;
        let unit = count as f64 / area(dim);
        for i in 0..30 {
            for j in 0..30 {
                let expected = gegenbauer(dim, degree, x.row(i), x.row(j));
                let error = (kernel[(i, j)] / unit - expected).abs();
                assert!(error < tolerance, "S^{}, degree {degree}, points {i} and {j}: off by {error:e}", dim - 1);
            }
        }
    }
}

#[test]
fn addition_theorem_in_every_dimension() {
    for (dim, l_max) in [(2, 60), (3, 40), (4, 16), (5, 10), (6, 8), (7, 6), (8, 5), (9, 5), (11, 4)] {
        addition_theorem(dim, &(0..=l_max).collect::<Vec<usize>>(), 2e-13);
    }
}

#[test]
fn degree_200_on_the_sphere() {
    addition_theorem(3, &[100, 150, 199, 200], 2e-12);
    addition_theorem(2, &[200, 1000], 1e-11);
}

/// At high degree the power of the sine underflows where the polynomial it is multiplied by is huge.
#[test]
fn high_degrees_do_not_underflow() {
    let harmonics = SphericalHarmonics::with_degrees(3, &[1000]).unwrap();
    for polar in [1e-6f64, 1e-2, 0.1, 0.3, 0.5, 1.2] {
        let x = mat![[polar.sin() * 0.6, polar.sin() * 0.8, polar.cos()]];
        let y = harmonics.values(x.as_ref()).unwrap();
        let squares: f64 = (0..harmonics.len()).map(|row| y[(row, 0)].powi(2)).sum();
        let expected = harmonics.len() as f64 / area(3);
        // The last coordinate rounded: l²/2 units of rounding near the poles.
        let tolerance = 0.5e6 * f64::EPSILON;
        assert!((squares / expected - 1.0).abs() < tolerance, "{polar}: {squares} for {expected}");
    }
}

#[test]
fn gradients_against_central_differences() {
    for (dim, l_max) in [(2, 9), (3, 9), (4, 6), (5, 4), (7, 3), (9, 2)] {
        let harmonics = SphericalHarmonics::new(dim, l_max).unwrap();
        let mut x = directions(dim, 21, 3);
        // Off the sphere, where the function is that of the direction.
        (0..21).for_each(|row| (0..dim).for_each(|col| x[(row, col)] *= 0.5 + 0.1 * row as f64));
        let w = Mat::from_fn(harmonics.len(), 21, |row, col| ((row * 31 + col * 17) % 23) as f64 / 11.0 - 1.0);
        let gradient = harmonics.vjp(x.as_ref(), w.as_ref()).unwrap();
        let loss = |x: &Mat<f64>, row: usize| -> f64 {
            let y = harmonics.values(x.as_ref()).unwrap();
            (0..harmonics.len()).map(|i| w[(i, row)] * y[(i, 0)]).sum()
        };
        for row in 0..21 {
            let [x, gradient] = [&x, &gradient].map(|matrix| matrix.subrows(row, 1).to_owned());
            check_matrix(format!("{dim} dimensions, row {row}"), &x, &gradient, 2e-8, |x| loss(x, row));
        }
    }
}

#[test]
fn gradients_at_the_poles_are_finite_and_tangential() {
    let harmonics = SphericalHarmonics::new(3, 200).unwrap();
    let x = mat![[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1e-9, 0.0, 1.0], [1.0, 0.0, 0.0]];
    let w = Mat::full(harmonics.len(), 4, 1.0);
    let gradient = harmonics.vjp(x.as_ref(), w.as_ref()).unwrap();
    let largest: f64 = gradient.norm_max();
    assert!(largest.is_finite() && largest > 1.0);
    for row in 0..4 {
        let radial: f64 = (0..3).map(|col| x[(row, col)] * gradient[(row, col)]).sum();
        assert!(radial.abs() < 1e-13 * largest);
    }
    // dY_{l,1}/dx at the north pole, in closed form.
    let w = Mat::from_fn(harmonics.len(), 4, |row, _| if row == 2 * 2 + 2 + 1 { 1.0 } else { 0.0 });
    let gradient = harmonics.vjp(x.as_ref(), w.as_ref()).unwrap();
    let expected = -(15.0 / (4.0 * std::f64::consts::PI)).sqrt(); // Y₂₁ = −√(15/4π) x z
    assert!((gradient[(0, 0)] - expected).abs() < 1e-14 && gradient[(0, 1)] == 0.0);
}

#[test]
fn part_of_the_degrees_are_rows_of_all() {
    for dim in [2, 3, 4, 6] {
        let x = directions(dim, 11, 5);
        let all = SphericalHarmonics::new(dim, 5).unwrap();
        let values = all.values(x.as_ref()).unwrap();
        let some = SphericalHarmonics::with_at_most(dim, &[5, 1, 3, 3], 4).unwrap();
        let part = some.values(x.as_ref()).unwrap();
        let w = Mat::from_fn(some.len(), 11, |row, col| ((row * 7 + col) % 5) as f64 - 2.0);
        let mut spread = Mat::zeros(all.len(), 11);
        assert_eq!(some.rows(2).len(), 0);
        for degree in [1, 3, 5] {
            let (from, to) = (some.rows(degree), all.rows(degree));
            let first = if dim == 3 { (to.len() - from.len()).div_ceil(2) } else { 0 };
            for (index, row) in from.enumerate() {
                assert_eq!(some.degrees()[row], degree);
                for col in 0..11 {
                    assert_eq!(part[(row, col)], values[(to.start + first + index, col)]);
                    spread[(to.start + first + index, col)] = w[(row, col)];
                }
            }
        }
        let (a, b) = (some.vjp(x.as_ref(), w.as_ref()).unwrap(), all.vjp(x.as_ref(), spread.as_ref()).unwrap());
        assert!((a - b).norm_max() < 1e-13);
    }
}

#[test]
fn points_without_direction_are_refused() {
    let harmonics = SphericalHarmonics::new(3, 2).unwrap();
    let message = |x: Mat<f64>| harmonics.values(x.as_ref()).unwrap_err().to_string();
    assert!(message(mat![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).contains("x[1] is the zero vector"));
    assert!(message(mat![[1.0, f64::NAN, 0.0]]).contains("x[0, 1] is NaN"));
    assert!(message(mat![[1.0, 0.0]]).contains("3 column(s)"));
    // Neither squares that overflow nor squares that vanish are in the way.
    let x = mat![[3e300, 4e300, 0.0], [3e-300, 4e-300, 0.0], [0.6, 0.8, 0.0]];
    let y = harmonics.values(x.as_ref()).unwrap();
    for row in 0..9 {
        assert!((y[(row, 0)] - y[(row, 2)]).abs() < 1e-15 && (y[(row, 1)] - y[(row, 2)]).abs() < 1e-15);
    }
    assert!(SphericalHarmonics::new(1, 2).is_err() && SphericalHarmonics::new(3, 1001).is_err());
    assert!(SphericalHarmonics::new(60, 900).is_err() && SphericalHarmonics::with_degrees(3, &[]).is_err());
}

/// Both precisions run the same recurrences.
#[test]
fn single_precision_is_rounded_double() {
    let (harmonics, x) = (SphericalHarmonics::new(3, 60).unwrap(), directions(3, 9, 1));
    let single = Mat::from_fn(9, 3, |row, col| x[(row, col)] as f32);
    let back = Mat::from_fn(9, 3, |row, col| f64::from(single[(row, col)]));
    let (y, expected) = (harmonics.values(single.as_ref()).unwrap(), harmonics.values(back.as_ref()).unwrap());
    assert!((0..9).all(|col| (0..harmonics.len()).all(|row| y[(row, col)] == expected[(row, col)] as f32)));
}
