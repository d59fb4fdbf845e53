//! The structures of an emulator's covariance against the dense one.
#![allow(clippy::unwrap_used)]

use mercer::data::Basis;
use mercer::emulator::{Emulator, Evidence, Spectra, Structure};
use mercer::linalg::{Jitter, NoisyKronecker, Operator};
use mercer::optim::{Minimizer, Minimum};
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::uniform;

const M: usize = 3;

/// Three components of eight pixels, orthogonal or not.
fn basis(orthogonal: bool) -> Basis {
    let component = |i: usize, pixel: usize| if pixel / 2 == i { 1.0 + (pixel % 2) as f64 } else { 0.0 };
    let mixed = |i: usize, pixel: usize| component(i, pixel) + 0.8 * component((i + 1) % M, pixel);
    Basis::new(Mat::from_fn(M, 8, |i, pixel| if orthogonal { component(i, pixel) } else { mixed(i, pixel) })).unwrap()
}

/// An emulator, of the density of the weights, and its spectra.
fn emulator(theta: &Mat<f64>, orthogonal: bool, kernels: Vec<DynKernel>) -> (Emulator, Spectra) {
    let mut rng = Pcg64::seed_from_u64(2);
    let fluxes = Mat::from_fn(theta.nrows(), 8, |_, _| rng.random_range(-1.0..1.0));
    let spectra = Spectra::new(theta, &fluxes, basis(orthogonal)).unwrap();
    let emulator = Emulator::new(&spectra)
        .and_then(|emulator| emulator.with_precision(5.0)?.with_nugget(&[0.1, 0.2, 0.05])?.with_kernels(kernels))
        .unwrap();
    (emulator.with_evidence(Evidence::Weights), spectra)
}

/// The structure that is taken if none is asked for.
fn chosen((emulator, spectra): &(Emulator, Spectra)) -> Structure {
    let structure = emulator.condition(spectra).unwrap().structure();
    assert_eq!(emulator.objective(spectra).unwrap().structure, structure);
    structure
}

/// The error for a structure that does not hold.
fn refused((emulator, spectra): (Emulator, Spectra), structure: Structure) -> Error {
    emulator.with_structure(structure).condition(&spectra).unwrap_err()
}

fn scattered(rows: usize, dims: usize, seed: u64) -> Mat<f64> {
    uniform(rows, dims, seed) + Mat::full(rows, dims, 1.0)
}

/// A 4 × 5 grid whose rows are out of order, with a column that does not vary.
fn grid() -> Mat<f64> {
    let place = |row: usize| (7 * row + 3) % 20;
    Mat::from_fn(20, 3, |row, dim| match dim {
        0 => 0.3 * (place(row) / 5) as f64,
        1 => 4.0,
        _ => [0.0, 0.2, 0.7, 1.1, 1.9][place(row) % 5],
    })
}

/// Value, gradient and predictions, against those of the dense structure.
fn agrees((emulator, spectra): &(Emulator, Spectra), structure: Structure, tolerance: f64) {
    let (found, dense) =
        (emulator.clone().with_structure(structure), emulator.clone().with_structure(Structure::Dense));
    for evidence in [Evidence::Weights, Evidence::Fluxes] {
        let of = |emulator: &Emulator| emulator.clone().with_evidence(evidence).gradient(spectra).unwrap();
        let ((value, gradient), (expected, by_dense)) = (of(&found), of(&dense));
        let (value, expected) = (value.value, expected.value);
        assert!((value - expected).abs() < tolerance * expected.abs(), "{structure:?}: {value} is not {expected}");
        assert_eq!(gradient.len(), by_dense.len());
        for (index, (found, expected)) in gradient.iter().zip(&by_dense).enumerate() {
            let error = (found - expected).abs();
            assert!(error < tolerance * expected.abs().max(1.0), "{structure:?} {index}: {found} is not {expected}");
        }
    }
    predicts(spectra, [&found, &dense], structure, tolerance);
}

fn predicts(spectra: &Spectra, emulators: [&Emulator; 2], structure: Structure, tolerance: f64) {
    let at = scattered(70, spectra.theta().ncols(), 9);
    let [found, dense] = emulators.map(|emulator| emulator.condition(spectra).unwrap());
    assert_eq!((found.structure(), dense.structure()), (structure, Structure::Dense));
    assert_eq!(found.jitter(), 0.0);
    let (x, y) = (found.weights(at.as_ref()).unwrap(), dense.weights(at.as_ref()).unwrap());
    assert!((&x.mean - &y.mean).norm_max() < tolerance, "{structure:?}");
    for (x, y) in x.covariance.iter().zip(&y.covariance) {
        assert!((x - y).norm_max() < tolerance, "{structure:?}: {:e}", (x - y).norm_max());
    }
    let (x, y) = (found.joint_weights(at.as_ref()).unwrap(), dense.joint_weights(at.as_ref()).unwrap());
    assert!((&x.covariance - &y.covariance).norm_max() < tolerance, "{structure:?}");
}

fn multiples(kernel: impl Fn() -> DynKernel) -> Vec<DynKernel> {
    vec![(0.5 * kernel()).dynamic(), (2.0 * (1.5 * kernel())).dynamic(), (0.02 * kernel()).dynamic()]
}

#[test]
fn one_correlation_takes_one_eigendecomposition() {
    let kernels = multiples(|| (Matern52::new([0.7, 1.3]) + 0.1 * Linear::new(0.5).on([1])).dynamic());
    for orthogonal in [true, false] {
        let emulator = emulator(&scattered(25, 2, 1), orthogonal, kernels.clone());
        agrees(&emulator, Structure::SharedCorrelation, 1e-11);
        let expected = if orthogonal { Structure::Independent } else { Structure::SharedCorrelation };
        assert_eq!(chosen(&emulator), expected);
    }
}

/// Stationary and not: the point at which each axis is 1 matters only for the second.
#[test]
fn a_grid_takes_an_eigendecomposition_for_each_axis() {
    let product =
        || (Rbf::new([0.7, 1.0, 1.3]) * (0.4 + Linear::new(0.5)).on([2]) * Matern32::new(0.5).on([0])).dynamic();
    agrees(&emulator(&grid(), false, multiples(product)), Structure::Grid, 1e-11);
    let different = vec![
        (0.5 * Rbf::new([0.7, 1.0, 1.3])).dynamic(),
        (2.0 * (Periodic::new(1.2, 3.0) * Rbf::new(0.9)).normalized()).dynamic(),
        (Rbf::new([0.3, 0.4]).on([2, 0]) * (1.0 + 0.3 * Linear::new(1.0)).on([2])).dynamic(),
    ];
    agrees(&emulator(&grid(), true, different.clone()), Structure::Grid, 1e-11);
    let refused = refused(emulator(&grid(), false, different), Structure::Grid);
    assert!(refused.to_string().contains("differ"), "{refused}");
}

#[test]
fn a_large_grid_is_found() {
    let theta = Mat::from_fn(300, 2, |row, dim| if dim == 0 { row % 20 } else { row / 20 } as f64);
    let kernels: Vec<DynKernel> = (0..M).map(|i| (1.3 * Rbf::new(1.0 + i as f64)).dynamic()).collect();
    let on_grid = emulator(&theta, true, kernels);
    assert_eq!(chosen(&on_grid), Structure::Grid);
    let (emulator_on_grid, spectra) = &on_grid;
    let by = |structure| emulator_on_grid.clone().with_structure(structure).gradient(spectra).unwrap();
    let ((found, gradient), (expected, by_blocks)) = (by(Structure::Grid), by(Structure::Independent));
    let (found, expected) = (found.value, expected.value);
    assert!((found - expected).abs() < 1e-11 * expected.abs());
    assert!(gradient.iter().zip(&by_blocks).all(|(x, y)| (x - y).abs() < 1e-9 * y.abs().max(1.0)));
    let mut moved = theta;
    moved[(17, 0)] += 0.5;
    let moved = emulator(&moved, true, emulator_on_grid.kernels().to_vec());
    assert_eq!(chosen(&moved), Structure::Independent);
}

#[test]
fn what_does_not_hold_is_refused_with_a_reason() {
    let reason = |(emulator, spectra): (Emulator, Spectra), structure| {
        let error = emulator.with_structure(structure).objective(&spectra).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error:?}");
        error.to_string()
    };
    let rbf = || Rbf::new(1.0).dynamic();
    let not_a_grid = reason(emulator(&scattered(20, 2, 1), true, multiples(rbf)), Structure::Grid);
    assert!(not_a_grid.contains("20 x 20"), "{not_a_grid}");
    let sum = || (Rbf::new(1.0) + Rbf::new(2.0)).dynamic();
    let no_product = reason(emulator(&grid(), true, multiples(sum)), Structure::Grid);
    assert!(no_product.contains("rbf(lengthscale=1) + rbf(lengthscale=2)"), "{no_product}");
    let different = vec![rbf(), rbf(), Rbf::new(1.1).dynamic()];
    let different = reason(emulator(&grid(), true, different), Structure::SharedCorrelation);
    assert!(different.contains("rbf(lengthscale=1.1)"), "{different}");
}

fn different() -> Vec<DynKernel> {
    let kernel = |i: usize| (0.5 * (1.0 + i as f64) * Matern52::new([0.5 + 0.3 * i as f64, 1.0])).dynamic();
    (0..M).map(kernel).collect()
}

#[test]
fn iterations_are_exact_for_orthogonal_components() {
    let emulator = emulator(&scattered(20, 2, 1), true, different());
    agrees(&emulator, Structure::Iterative { probes: 2, seed: 3 }, 1e-8);
}

/// Predictions to the tolerance of the solver; evidence and gradient as estimates that scatter around the dense ones as
/// they should.
#[test]
fn iterations_estimate_the_dense_evidence() {
    let (emulator, spectra) = emulator(&scattered(20, 2, 1), false, different());
    let emulator = emulator.with_evidence(Evidence::Fluxes);
    let dense = emulator.clone().with_structure(Structure::Dense);
    let (expected, by_dense) = dense.gradient(&spectra).unwrap();
    assert_eq!(expected.standard_error, 0.0);
    let expected = expected.value;
    let runs = 10;
    let mut found = Vec::new();
    for seed in 0..runs {
        let structure = Structure::Iterative { probes: 40, seed };
        let iterative = emulator.clone().with_structure(structure);
        let (evidence, gradient) = iterative.gradient(&spectra).unwrap();
        let (value, error) = (evidence.value, evidence.standard_error);
        assert!(error > 0.0 && error < 0.5 && (value - expected).abs() < 6.0 * error, "{value}, {expected}, {error}");
        found.push(gradient);
        if seed == 0 {
            predicts(&spectra, [&iterative, &dense], structure, 1e-8);
            assert_eq!(iterative.objective(&spectra).unwrap(), evidence);
        }
    }
    for (index, expected) in by_dense.iter().enumerate() {
        let values: Vec<f64> = found.iter().map(|gradient| gradient[index]).collect();
        let mean = values.iter().sum::<f64>() / runs as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (runs - 1) as f64;
        let error = (variance / runs as f64).sqrt();
        assert!((mean - expected).abs() < 4.0 * error + 1e-8, "{index}: {mean} ± {error} is not {expected}");
        assert!(variance.sqrt() < 0.05 * expected.abs().max(1.0), "{index}: {variance} about {expected}");
    }
}

/// White kernels are of the diagonal, so that they are in V and not in what new parameters have in common with the old.
#[test]
fn white_kernels_are_part_of_a_shared_correlation() {
    let kernels = multiples(|| (Rbf::new([0.7, 1.3]) + White::new(0.2)).dynamic());
    let emulator = emulator(&scattered(25, 2, 1), false, kernels);
    assert_eq!(chosen(&emulator), Structure::SharedCorrelation);
    agrees(&emulator, Structure::SharedCorrelation, 1e-11);
}

fn large_grid() -> Mat<f64> {
    Mat::from_fn(256, 2, |row, dim| 0.1 * if dim == 0 { row % 16 } else { row / 16 } as f64)
}

#[test]
fn a_structure_that_values_refuse_is_not_chosen() {
    // A white kernel reads no parameter, but is no product.
    let white = || (Rbf::new(1.0).on([0]) + White::new(0.5)).dynamic();
    let on_grid = emulator(&large_grid(), true, multiples(white));
    assert_eq!(chosen(&on_grid), Structure::Independent);
    let error = refused(on_grid, Structure::Grid);
    assert!(error.to_string().contains("white"), "{error}");
    // A linear kernel is 0 in the whole column of the reference but at itself.
    let corners = Mat::from_fn(4, 2, |row, dim| if dim == 0 { row / 2 } else { row % 2 } as f64);
    let linear = || (Linear::new(1.0).on([0]) + White::new(0.5)).dynamic();
    refused(emulator(&corners, true, multiples(linear)), Structure::Grid);

    // Indefinite, but not with the noise.
    let indefinite = || (0.05 * (Rbf::new(1.0) - 0.9 * Rbf::new(0.1))).dynamic();
    let (emulator, spectra) = emulator(&scattered(12, 2, 3), false, multiples(indefinite));
    let allowed = (emulator.allow_indefinite(), spectra);
    assert_eq!(chosen(&allowed), Structure::Dense);
    refused(allowed, Structure::SharedCorrelation);
}

#[test]
fn one_axis_is_no_grid() {
    let line = Mat::from_fn(256, 1, |row, _| 0.1 * row as f64);
    let kernels = multiples(|| Rbf::new(1.0).dynamic());
    let on_line = |orthogonal| chosen(&emulator(&line, orthogonal, kernels.clone()));
    assert_eq!((on_line(true), on_line(false)), (Structure::Independent, Structure::SharedCorrelation));
}

/// A search that begins where untied kernels are equal takes the steps of one by the dense structure.
#[test]
fn a_fit_keeps_its_structure() {
    struct Watch;
    impl Minimizer for Watch {
        fn minimize(&self, objective: &mut mercer::optim::Minimized<'_>, start: &[f64]) -> mercer::Result<Minimum> {
            let (value, gradient) = objective(start)?;
            let reason = String::new();
            Ok(Minimum { x: gradient, value, gradient_norm: 0.0, steps: 0, evaluations: 1, converged: true, reason })
        }
    }
    let kernels: Vec<DynKernel> = (1..=M).map(|i| (i as f64 * Rbf::new(1.0)).dynamic()).collect();
    let (equal, spectra) = emulator(&scattered(12, 2, 1), false, kernels);
    let start = |emulator: &mut Emulator, structure: Option<Structure>| {
        *emulator = emulator.clone().with_structure(structure);
        let minimum = emulator.fit(&spectra, &Watch).unwrap();
        let after = emulator.condition(&spectra).unwrap().structure();
        assert_eq!(after, structure.unwrap_or(Structure::SharedCorrelation));
        (minimum.value, minimum.ends[0].outcome.clone().unwrap().x)
    };
    // To the bit, as the structures agree but up to rounding.
    let mut untied = equal.clone();
    assert_eq!(start(&mut untied, None), start(&mut untied, Some(Structure::Dense)));
    let lengthscales = [0, 1, 2].map(|i| format!("kernel[{i}].scaled.rbf.lengthscale"));
    let lengthscales = lengthscales.each_ref().map(String::as_str);
    let mut tied = equal.clone();
    tied.tie(&lengthscales).unwrap();
    assert_eq!(start(&mut tied, None), start(&mut tied, Some(Structure::SharedCorrelation)));
    assert_ne!(start(&mut tied, None), start(&mut tied, Some(Structure::Dense)));
    let mut frozen = equal.clone();
    lengthscales.iter().for_each(|path| frozen.freeze(path).unwrap());
    assert_eq!(start(&mut frozen, None), start(&mut frozen, Some(Structure::SharedCorrelation)));
}

/// Spectra at the same parameters with next to no noise: V is singular but for the jitter, which the dense structure adds
/// too.
#[test]
fn a_singular_covariance_takes_the_jitter_of_the_policy() {
    let theta = scattered(10, 2, 1);
    let repeated = Mat::from_fn(20, 2, |row, dim| theta[(row / 2, dim)]);
    let kernels = multiples(|| Rbf::new(0.5).dynamic());
    let singular = |precision: f64| {
        let mut rng = Pcg64::seed_from_u64(2);
        let fluxes = Mat::from_fn(20, 8, |_, _| rng.random_range(-1.0..1.0));
        let spectra = Spectra::new(&repeated, &fluxes, basis(false)).unwrap();
        let emulator = Emulator::new(&spectra).unwrap().with_kernels(kernels.clone());
        (emulator.and_then(|emulator| emulator.with_precision(precision)).unwrap(), spectra)
    };
    let both = |(emulator, spectra): &(Emulator, Spectra), at: &Mat<f64>| {
        [Structure::SharedCorrelation, Structure::Dense].map(|structure| {
            let emulator = emulator.clone().with_structure(structure);
            let posterior = emulator.condition(spectra).unwrap();
            assert_eq!(emulator.objective(spectra).unwrap().jitter, posterior.jitter());
            (posterior.jitter(), posterior.weights(at.as_ref()).unwrap().covariance)
        })
    };
    let [(shared, found), (dense, expected)] = both(&singular(1e18), &scattered(5, 2, 4));
    assert!(shared > 0.0 && dense > 0.0 && shared <= 1e3 * dense && dense <= 1e3 * shared, "{shared:e} {dense:e}");
    for (found, expected) in found.iter().zip(&expected) {
        let error = (found - expected).norm_max();
        assert!(error < 1e-6, "{error:e}");
    }
    let [(shared, _), (dense, _)] = both(&singular(1e6), &scattered(5, 2, 4));
    assert_eq!((shared, dense), (0.0, 0.0));

    // A fixed jitter is noise.
    let (emulator, spectra) = singular(10.0);
    let fixed = (emulator.with_jitter(Jitter::Fixed(0.5)), spectra);
    let [(shared, found), (dense, expected)] = both(&fixed, &scattered(5, 2, 4));
    assert_eq!((shared, dense), (0.5, 0.5));
    assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).norm_max() < 1e-11));

    // None that is allowed is enough.
    let none = Jitter::Adaptive { first: 64.0, growth: 10.0, largest: 0.0 };
    for structure in [Structure::SharedCorrelation, Structure::Dense] {
        let (emulator, spectra) = singular(1e18);
        let error = refused((emulator.with_jitter(none), spectra), structure);
        assert!(matches!(error, Error::NotPositiveDefinite { .. }), "{structure:?}: {error}");
    }
}

#[test]
fn more_probes_than_weights_are_refused() {
    let (emulator, spectra) = emulator(&scattered(4, 2, 1), false, different());
    let probed = |probes| {
        let emulator = emulator.clone().with_structure(Structure::Iterative { probes, seed: 0 });
        emulator.objective(&spectra)
    };
    assert!(probed(12).is_ok());
    for probes in [0, 1, 13, 1 << 20] {
        let refused = probed(probes).unwrap_err();
        assert!(matches!(refused, Error::Setting { .. }) && refused.to_string().contains("probes"), "{refused}");
    }
}

/// A product with one vector of a matrix this large would be split over threads.
#[test]
fn one_vector_gives_the_same_bits_on_any_number_of_threads() {
    let theta = scattered(300, 2, 1);
    let kernels = multiples(|| Rbf::new(0.5).dynamic());
    for structure in [Structure::SharedCorrelation, Structure::Iterative { probes: 2, seed: 0 }, Structure::Dense] {
        let (emulator, spectra) = emulator(&theta, false, kernels.clone());
        let emulator = emulator.with_structure(structure);
        let mean = |par| {
            let emulator = emulator.clone().with_par(par);
            let posterior = emulator.condition(&spectra).unwrap();
            posterior.weights(scattered(3, 2, 4).as_ref()).unwrap().mean
        };
        assert_eq!(mean(Par::Seq), mean(Par::rayon(3)), "{structure:?}");
    }
    let operator = |par| {
        let axis = Mat::from_fn(400, 400, |i, j| (-0.01 * (i as f64 - j as f64).powi(2)).exp());
        let (signal, noise) = (mat![[2.0]], mat![[0.1]]);
        let operator = NoisyKronecker::new(signal.as_ref(), noise.as_ref(), &[axis.as_ref()], par).unwrap();
        let y = Mat::from_fn(400, 1, |i, _| ((7 * i) % 11) as f64 - 5.0);
        let gradient = operator.log_density_gradient(y.as_ref(), par).unwrap();
        (operator.solve(y.as_ref(), par).unwrap(), gradient.value, gradient.y, gradient.axes)
    };
    assert_eq!(operator(Par::Seq), operator(Par::rayon(3)));
}
