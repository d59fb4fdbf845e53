//! Points far from the origin, lengthscales of every size, and short lengthscales on circles.

#![allow(clippy::unwrap_used, clippy::panic)]

use approx::assert_relative_eq;
use mercer::algebra::registry;
use mercer::kernel::GradientRequest;
use mercer::prelude::*;
use mercer::testkit::{
    coincident_points_for, conforms, few_dims, gradients, matrices, points, points_for, seed, translation, trials,
};
use rand::{RngExt, SeedableRng};

/// Kernels that are read from text beside the registry's: maps over maps, lists over lists.
const OTHERS: [(&str, usize); 14] = [
    ("stretch(rbf(lengthscale=1), lengthscale=1.3)", 1),
    ("stretch(rbf(lengthscale=[0.9, 1.6]) * cosine(period=2.3), lengthscale=1.3)", 2),
    ("stretch(ard(matern52(lengthscale=[0.9, 1.6]), lengthscale=[0.7, 1.4]), lengthscale=1.3)", 2),
    ("ard(periodic(lengthscale=0.9, period=[2.3, 3.1]) + white(variance=0.2), lengthscale=[0.7, 1.4])", 2),
    ("linear_map(locally_periodic(lengthscale=0.9, period=2.3, decay=1.9), matrix=[[0.6, -0.3], [0.2, 0.7]])", 2),
    ("linear_map(on(rbf(lengthscale=[0.8]), [1]), matrix=[[0.6, -0.3], [0.2, 0.7]])", 2),
    ("ard(additive(rbf(lengthscale=0.9), variances=[0.5, 0.3]), lengthscale=[0.7, 1.4])", 2),
    ("additive(stretch(matern32(lengthscale=1), lengthscale=0.8), variances=[0.5, 0.3])", 2),
    ("masked(stretch(rbf(lengthscale=1), lengthscale=1.3), isolate)", 1),
    ("normalized(2 * rbf(lengthscale=[0.9, 1.6]) + white(variance=0.2))", 2),
    ("exp(rbf(lengthscale=[0.9, 1.6]))", 2),
    ("circle(matern32(lengthscale=0.8), period=1.22)", 1),
    ("circle(rbf(lengthscale=0.7) + 0.5, period=[2.3, 3.1])", 2),
    ("stretch(circle(matern52(lengthscale=0.8), period=3), lengthscale=1.3)", 1),
];

fn others() -> impl Iterator<Item = (DynKernel, usize)> {
    OTHERS.iter().map(|(text, dim)| (text.parse().unwrap(), *dim))
}

#[test]
fn far_from_the_origin() {
    let of_registry = registry::all().into_iter().filter(|(_, kernel)| kernel.properties().stationary);
    let of_registry = of_registry.map(|(_, kernel)| {
        let dim = few_dims(&kernel);
        (kernel, dim)
    });
    let mut tried = 0;
    for (kernel, dim) in of_registry.chain(others()) {
        for trial in 0..trials(2) as u64 {
            let seed = seed(2 * trial);
            let (x, z) = (points::<f32>(9, dim, seed), points::<f32>(7, dim, seed + 1));
            // A sample of the move: the same to its last digit would be a coincidence of binary digits.
            for by in [1958.0, -45_123.0] {
                translation::moved::<f32>(&kernel, x.as_ref(), z.as_ref(), by).unwrap();
            }
            let (x, z) = (points::<f64>(9, dim, seed), points::<f64>(7, dim, seed + 1));
            for by in [1.7e9, -2.4e6] {
                translation::moved::<f64>(&kernel, x.as_ref(), z.as_ref(), by).unwrap();
            }
            tried += 4;
        }
    }
    assert!(tried > 400, "{tried}");
}

/// Values in single precision are those in double precision, of the same points, over spans of a thousand lengthscales too.
#[test]
fn single_precision_over_long_spans() {
    let kernels = [
        "rbf(lengthscale=[1.3])",
        "matern12(lengthscale=[1.3])",
        "rational_quadratic(lengthscale=[1.3], alpha=0.7)",
        "matern(lengthscale=[1.3], nu=1.7)",
        "stretch(rbf(lengthscale=1), lengthscale=1.3)",
        "ard(matern32(lengthscale=1) + 0.3 * rbf(lengthscale=0.2), lengthscale=[1.3])",
        "linear_map(matern52(lengthscale=1), matrix=[[0.7], [0.3]])",
        "spectral_mixture(weights=[1], means=[[0.3]], variances=[[0.02]])",
        "locally_periodic(lengthscale=0.9, period=3.1, decay=1.3)",
        "2 * rbf(lengthscale=[1.3]) + stretch(matern32(lengthscale=1), lengthscale=0.6)",
    ];
    for text in kernels {
        let kernel: DynKernel = text.parse().unwrap();
        for (start, step) in [(1850.0, 0.37), (0.0, 3.3), (-900.0, 7.1), (45_000.0, 1.0)] {
            let x = Mat::from_fn(180, 1, |row, _| (start + step * row as f64) as f32);
            let wide = Mat::from_fn(180, 1, |row, _| f64::from(x[(row, 0)]));
            let w = Mat::from_fn(180, 180, |i, j| ((i * 37 + j * 11) % 13) as f32 / 13.0);
            let wide_w = Mat::from_fn(180, 180, |i, j| f64::from(w[(i, j)]));
            let (found, expected): (Mat<f32>, Mat<f64>) =
                (kernel.gram(x.as_ref()).unwrap(), kernel.gram(wide.as_ref()).unwrap());
            for (found, expected) in found.col_iter().zip(expected.col_iter()) {
                for (&found, &expected) in found.iter().zip(expected.iter()) {
                    // A few units, and what the bound on prepared features allows.
                    assert!(
                        (f64::from(found) - expected).abs() < 2e-6 * 2.0,
                        "{text} from {start}: {found} {expected}"
                    );
                }
            }
            let found = kernel.gram_vjp(x.as_ref(), w.as_ref(), GradientRequest::ALL).unwrap();
            let expected = kernel.gram_vjp(wide.as_ref(), wide_w.as_ref(), GradientRequest::ALL).unwrap();
            let largest = expected.theta.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.theta.iter().zip(&expected.theta) {
                assert!((found - expected).abs() < 3e-5 * largest, "{text} from {start}: {found} {expected}");
            }
        }
    }
}

/// A distant point in the second set changes how pairs are prepared, and no gradient that its cotangent of 0 is not part of.
#[test]
fn differences_pair_by_pair_have_the_same_gradients() {
    let linear = others().filter(|(kernel, _)| kernel.properties().stationary);
    let lists = ["matern32(lengthscale=[0.9, 1.7])", "rational_quadratic(lengthscale=[0.9, 1.7], alpha=0.6)"];
    let lists = lists.into_iter().chain([
        "matern(lengthscale=[0.9, 1.7], nu=1.3)",
        "locally_periodic(lengthscale=0.9, period=2.3, decay=[1.9, 2.7])",
    ]);
    let kernels = linear.chain(lists.map(|text| (text.parse().unwrap(), 2)));
    for (kernel, dim) in kernels {
        let (x, z) = (points::<f64>(70, dim, 1), points::<f64>(33, dim, 2));
        let more = Mat::from_fn(34, dim, |row, dim| if row < 33 { z[(row, dim)] } else { 5e4 + dim as f64 });
        let w = Mat::from_fn(70, 34, |i, j| if j < 33 { ((i * 37 + j * 11) % 13) as f64 / 13.0 - 0.4 } else { 0.0 });
        let few = w.as_ref().subcols(0, 33);
        let (near, far): (Mat<f64>, Mat<f64>) =
            (kernel.cross(x.as_ref(), z.as_ref()).unwrap(), kernel.cross(x.as_ref(), more.as_ref()).unwrap());
        assert!((near - far.as_ref().subcols(0, 33)).norm_max() < 1e-12, "{kernel}");
        for wanted in [
            GradientRequest::ALL,
            GradientRequest::PARAMETERS,
            GradientRequest { x: true, z: false },
            GradientRequest { x: false, z: true },
        ] {
            let expected = kernel.cross_vjp(x.as_ref(), z.as_ref(), few, wanted).unwrap();
            let found = kernel.cross_vjp(x.as_ref(), more.as_ref(), w.as_ref(), wanted).unwrap();
            let largest = expected.theta.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.theta.iter().zip(&expected.theta) {
                assert!((found - expected).abs() < 1e-11 * largest, "{kernel}, {wanted:?}: {found} {expected}");
            }
            assert_eq!((found.x.is_some(), found.z.is_some()), (wanted.x, wanted.z));
            if let (Some(found), Some(expected)) = (found.x, expected.x) {
                assert!((&found - &expected).norm_max() < 1e-11 * (1.0 + expected.norm_max()), "{kernel}, {wanted:?}");
            }
            if let (Some(found), Some(expected)) = (found.z, expected.z) {
                let found = found.as_ref().subrows(0, 33);
                assert!((found - &expected).norm_max() < 1e-11 * (1.0 + expected.norm_max()), "{kernel}, {wanted:?}");
            }
        }
    }
}

/// Lengthscales from the least subnormal to the largest finite number: k(x, x) is what it is at any, nothing is NaN, and
/// gradients are finite.
#[test]
fn lengthscales_of_every_size() {
    let kernels = registry::all().into_iter().map(|(_, kernel)| kernel).filter(|kernel| kernel.properties().stationary);
    let mut tried = 0;
    for mut kernel in kernels.chain(others().map(|(kernel, _)| kernel)) {
        let dim = few_dims(&kernel);
        let x = coincident_points_for::<f64>(&kernel, 12, dim, 1, 0.0);
        let single = coincident_points_for::<f32>(&kernel, 12, dim, 1, 0.0);
        let right: Vec<f64> = kernel.diag(x.as_ref()).unwrap();
        // The height of these follows the lengthscale, or overflows with it.
        let text = kernel.to_string();
        if ["multiquadric"].iter().any(|name| text.contains(name)) {
            continue;
        }
        let scales = ["lengthscale", "period", "decay"];
        let paths =
            kernel.parameters().into_iter().filter(|entry| scales.iter().any(|scale| entry.path.contains(scale)));
        for entry in paths.collect::<Vec<_>>() {
            // The gradient in a period p grows as 1/p², as that in a lengthscale that a periodic kernel is behind, and that
            // of random features as their frequencies: it may have no value.
            let behind = entry.path.starts_with("ard.l") || entry.path.starts_with("stretch.l");
            let oscillates = entry.path.contains("period") || text.contains("random_fourier");
            let gradients = !(oscillates || behind && ["period", "cosine"].iter().any(|name| text.contains(name)));
            for extreme in [5e-324, 1e-310, 1e-200, 1e-46, 1e-30, 1e-12, 1e12, 1e30, 1e200, f64::MAX] {
                kernel.set(&entry.path, extreme).unwrap();
                if gradients {
                    matrices::finite::<f64>(&kernel, x.as_ref(), x.as_ref()).unwrap();
                    matrices::finite::<f32>(&kernel, single.as_ref(), single.as_ref()).unwrap();
                }
                let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
                let narrow: Mat<f32> = kernel.gram(single.as_ref()).unwrap();
                assert!(gram.col_iter().all(|column| column.iter().all(|value| value.is_finite())), "{kernel}");
                assert!(narrow.col_iter().all(|column| column.iter().all(|value| value.is_finite())), "{kernel}");
                for (point, &right) in right.iter().enumerate() {
                    assert_relative_eq!(gram[(point, point)], right, max_relative = 1e-14);
                    assert_relative_eq!(f64::from(narrow[(point, point)]), right, max_relative = 1e-6);
                    let row: Vec<f64> = (0..dim).map(|dim| x[(point, dim)]).collect();
                    assert!(!kernel.eval(&row, &row).unwrap().is_nan(), "{kernel}");
                }
                tried += 1;
            }
            kernel.set(&entry.path, entry.value).unwrap();
        }
    }
    assert!(tried > 500, "{tried}");
}

/// Angles between points of a circle that are as close as a short lengthscale, over whole turns and at their ends.
#[test]
fn short_lengthscales_on_circles() {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed(5));
    for _ in 0..trials(300) {
        let lengthscale = 10f64.powf(rng.random_range(-6.5..0.3));
        let period = 10f64.powf(rng.random_range(-2.0..5.0));
        // A distance of some lengthscales, and any number of turns.
        let y = (rng.random_range(-2.0..2.0) * period) as f32;
        let turns = f64::from(rng.random_range(-30..=30i32));
        let moved = rng.random_range(-3.0..3.0) * lengthscale.min(1.0) / std::f64::consts::TAU;
        let x = (f64::from(y) + period * (turns + moved)) as f32;
        // The difference of two numbers in single precision is exact in double, or nearly.
        let delta = f64::from(x) - f64::from(y);
        let left = delta - (delta / period).round() * period;
        let sine = (std::f64::consts::PI * left / period).sin();
        let s = 4.0 * sine * sine / (lengthscale * lengthscale);
        let matern = (1.0 + (3.0 * s).sqrt()) * (-(3.0 * s).sqrt()).exp();
        let expected = [(-0.5 * s).exp(), (-0.5 * s).exp(), (-0.5 * s).exp(), matern, (-0.5 * s).exp()];
        let texts = [
            format!("periodic(lengthscale={lengthscale:?}, period={period:?})"),
            format!("periodic(lengthscale=[{lengthscale:?}], period=[{period:?}])"),
            format!("circle(rbf(lengthscale={lengthscale:?}), period={period:?})"),
            format!("circle(matern32(lengthscale={lengthscale:?}), period={period:?})"),
            format!("circle(rbf(lengthscale=[{lengthscale:?}, {lengthscale:?}]), period=[{period:?}])"),
        ];
        // δk is the slope of the kernel times the error of the chord: one of ε relative to it, and of ε/ℓ absolute where it
        // is taken between points of the circle, which is where ε/ℓ is at most ε^(3/4)/8.
        let epsilon = f64::from(f32::EPSILON);
        let chord = epsilon.powf(0.75) / 4.0;
        for (text, expected) in texts.iter().zip(expected) {
            let kernel: DynKernel = text.parse().unwrap();
            let (points, others) = (mat![[x], [y]], mat![[y]]);
            let cross: Mat<f32> = kernel.cross(points.as_ref(), others.as_ref()).unwrap();
            let value: f32 = kernel.eval(&[x], &[y]).unwrap();
            // Two numbers that cancel in double precision too are off by its ε over the lengthscale.
            let own = 2f64.powi(-50) * delta.abs() / period / lengthscale;
            let tolerance = 16.0 * epsilon * (1.0 + s) * expected + chord + 4.0 * own;
            assert!(
                (f64::from(cross[(0, 0)]) - expected).abs() < tolerance,
                "{text} at {x}, {y}: {} {expected}",
                cross[(0, 0)]
            );
            assert!((f64::from(value) - expected).abs() < tolerance, "{text} at {x}, {y}: eval {value} {expected}");
            assert_eq!(cross[(1, 0)], 1.0);
        }
    }
}

/// The period is so long, and the lengthscale so short, that the kernels are of order 1 on points of order 1.
#[test]
fn differences_on_circles_conform() {
    let period = std::f64::consts::TAU / 9e-4;
    for text in [
        format!("periodic(lengthscale=9e-4, period={period})"),
        format!("periodic(lengthscale=[9e-4, 8e-4], period={period})"),
        format!("circle(matern52(lengthscale=9e-4), period={period})"),
        format!("circle(rbf(lengthscale=[9e-4, 1e-3, 9e-4, 7e-4]), period={period})"),
        format!("locally_periodic(lengthscale=9e-4, period=[{period}, {period}], decay=1.9)"),
    ] {
        let kernel: DynKernel = text.parse().unwrap();
        conforms(&kernel, 2).unwrap();
    }
}

/// Rows have the same bits alone and together, however the pairs are prepared.
#[test]
fn rows_do_not_depend_on_other_rows() {
    let texts = ["rbf(lengthscale=[0.9, 1.7])", "locally_periodic(lengthscale=0.9, period=2.3, decay=1.9)"];
    let kernels = others().chain(texts.map(|text| (text.parse().unwrap(), 2)));
    for (kernel, dim) in kernels {
        for (offset, reach) in [(0.0, 0.0), (1958.0, 0.0), (1958.0, 300.0), (-7.0, 3000.0)] {
            let at = |points: Mat<f32>| {
                Mat::from_fn(points.nrows(), dim, |row, d| {
                    points[(row, d)] + offset + if row == 3 { reach } else { 0.0 }
                })
            };
            let (x, z) = (at(points_for(&kernel, 40, dim, 1)), at(points_for(&kernel, 37, dim, 2)));
            let all: Mat<f32> = kernel.cross(x.as_ref(), z.as_ref()).unwrap();
            for row in [0, 3, 17, 39] {
                let alone: Mat<f32> = kernel.cross(x.as_ref().subrows(row, 1), z.as_ref()).unwrap();
                assert_eq!(alone, all.as_ref().subrows(row, 1), "{kernel}");
            }
            matrices::gram_is_cross::<f32>(&kernel, z.as_ref()).unwrap();
        }
    }
}

/// Where a NaN stands, and white noise, behind differences that are taken pair by pair.
#[test]
fn diagonals_and_missing_points_behind_differences() {
    let kernel: DynKernel =
        "stretch(masked(rbf(lengthscale=1) + white(variance=0.3), isolate), lengthscale=0.9)".parse().unwrap();
    let x = mat![[0.0], [f64::NAN], [0.5], [0.0], [7e4]];
    let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
    assert_eq!([gram[(0, 0)], gram[(0, 3)], gram[(4, 4)], gram[(0, 4)]], [1.3, 1.0, 1.3, 0.0]);
    let near: Mat<f64> = kernel.gram(x.as_ref().subrows(0, 4)).unwrap();
    assert!((near[(0, 2)] - gram[(0, 2)]).abs() < 1e-12);
    assert!(
        gradients::directional(
            &"stretch(rbf(lengthscale=1) + white(variance=0.3), lengthscale=0.9)".parse::<DynKernel>().unwrap(),
            mat![[0.0], [0.5], [7e3]].as_ref(),
            mat![[0.3], [7e3 + 1.0]].as_ref()
        )
        .is_ok()
    );
}
