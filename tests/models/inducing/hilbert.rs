//! The Hilbert-space approximation against stored values, the process that it stands for, and finite differences.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::gp::{Approximation, ExactGp, Sgpr, Svgp, Variational};
use mercer::inducing::{HilbertFeatures, InducingFeatures};
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::optim::NaturalGradient;
use mercer::prelude::*;
use mercer::tape::Tape;

use crate::common::data::wave;
use crate::common::dense::{log_normal, noisy};
use crate::common::gradients::check_model;
use crate::common::stored::{matrix, read, vector};

/// diag K_uu, and K_uf.
fn covariances(kernel: &dyn Kernel<f64>, features: &HilbertFeatures, x: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
    let tape = Tape::new(Par::Seq);
    let kernel = tape.fixed_kernel(kernel);
    let prior = features.prior(&tape, kernel, features.parameter(&tape), Jitter::default()).unwrap();
    let k_uf = features.cross(&tape, kernel, &prior, tape.constant(x.as_ref())).unwrap();
    let variances = tape.value(prior.variances().unwrap()).unwrap().as_mat().col(0).iter().copied().collect();
    (variances, tape.value(k_uf).unwrap().as_mat().to_owned())
}

/// Σ S φ(x) φ(y)
fn reduced(kernel: &dyn Kernel<f64>, features: &HilbertFeatures, x: &Mat<f64>) -> Mat<f64> {
    let (variances, k_uf) = covariances(kernel, features, x);
    let a = Mat::from_fn(k_uf.nrows(), k_uf.ncols(), |i, j| k_uf[(i, j)] / variances[i].sqrt());
    a.transpose() * &a
}

#[test]
fn stored_values() {
    let stored = read("hilbert.json");
    let close = |found: f64, expected: f64| (found - expected).abs() <= 1e-10 * expected.abs().max(1e-5);
    for (case, kernel) in [("RBF_ls0.5", Rbf::new(0.5).dynamic()), ("Matern32_ls0.5", Matern32::new(0.5).dynamic())] {
        let case = &stored[case];
        let (half, count) = (case["L"].as_f64().unwrap(), case["M"].as_u64().unwrap() as usize);
        let features = HilbertFeatures::new(&[(-half, half)], &[count]).unwrap();
        let (variances, k_uf) = covariances(&kernel, &features, &matrix(&case["x"]));
        let (frequencies, k_ux) = (features.frequencies(), matrix(&case["k_ux"]));
        let (eigenvalues, densities) = (vector(&case["eigenvalues"]), vector(&case["spectral_density"]));
        for j in 0..count {
            assert!(close(frequencies[(j, 0)].powi(2), eigenvalues[j]));
            assert!(close(variances[j], densities[j]));
            for i in 0..k_ux.nrows() {
                assert!(close(k_uf[(j, i)], k_ux[(i, j)]), "{} {}", k_uf[(j, i)], k_ux[(i, j)]);
            }
        }
    }
}

#[test]
fn the_approximation_tends_to_the_kernel() {
    let x = mat![[-0.9, 0.2], [0.1, 0.4], [0.3, -0.8], [1.0, 1.0]];
    let box_of = |half: f64| [(-half, half), (-half, half)];
    let kernel = 0.7 * Rbf::new([0.6, 0.9]) + 1.1 * Rbf::new(0.8);
    let error =
        |features: HilbertFeatures| (kernel.gram(x.as_ref()).unwrap() - reduced(&kernel, &features, &x)).norm_max();
    let wide = error(HilbertFeatures::new(&box_of(5.0), &[40, 40]).unwrap());
    let tight = error(HilbertFeatures::new(&box_of(1.5), &[30, 30]).unwrap());
    let few = error(HilbertFeatures::new(&box_of(5.0), &[8, 8]).unwrap());
    println!("{wide:.1e} {tight:.1e} {few:.1e}");
    assert!(wide < 1e-9 && tight > 0.1 && few > 0.01);
}

/// The model is the process of finite rank: its bound is reached, and so are its variances, where the
/// approximation is poor too.
#[test]
fn the_model_is_the_process_of_the_approximation() {
    let (x, y) = wave(15, 1, 1);
    let at = mat![[-0.8], [0.1], [1.15]];
    for kernel in [(1.3 * Matern12::new(0.5)).dynamic(), (1.3 * Rbf::new(0.9)).dynamic()] {
        let features = HilbertFeatures::new(&[(-1.2, 1.2)], &[6]).unwrap();
        let mut model =
            Svgp::with_features(kernel.clone(), features.clone()).unwrap().with_likelihood(Gaussian::new(0.2));
        let prior_bound = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        model.natural_step(&Data::new(x.as_ref(), &y).part_of(15), &NaturalGradient::default()).unwrap();

        let all = Mat::from_fn(18, 1, |row, _| if row < 15 { x[(row, 0)] } else { at[(row - 15, 0)] });
        let gram = reduced(&kernel, &features, &all);
        let covariance = noisy(&gram.submatrix(0, 0, 15, 15).to_owned(), |_| 0.2);
        let evidence = log_normal(&y, &covariance);
        let bound = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        assert!((bound - evidence).abs() < 1e-10 * evidence.abs() && prior_bound < evidence, "{bound} {evidence}");

        let inverse = faer::linalg::solvers::DenseSolveCore::inverse(&covariance.partial_piv_lu());
        let cross = gram.submatrix(15, 0, 3, 15);
        let expected = gram.submatrix(15, 15, 3, 3) - cross * &inverse * cross.transpose();
        let posterior = model.posterior().unwrap();
        let found = posterior.covariance(at.as_ref(), 0).unwrap();
        assert!((&found - &expected).norm_max() < 1e-12);
        let predicted = posterior.predict(at.as_ref()).unwrap();
        let mean = cross * &inverse * MatRef::from_column_major_slice(&y, 15, 1);
        assert!((0..3).all(|row| (predicted.mean[(row, 0)] - mean[(row, 0)]).abs() < 1e-12));
        assert!((0..3).all(|row| (predicted.variance[(row, 0)] - expected[(row, row)]).abs() < 1e-12));
    }
}

/// Nothing is left for a trace, an upper bound or a diagonal, where the approximation is poor too.
#[test]
fn collapsed_models_are_the_process_of_the_approximation() {
    let ((x, y), noise) = (wave(15, 1, 1), 0.2);
    for kernel in [(1.3 * Matern12::new(0.5)).dynamic(), (1.3 * Rbf::new(0.9)).dynamic()] {
        let features = HilbertFeatures::new(&[(-1.2, 1.2)], &[6]).unwrap();
        let gram = reduced(&kernel, &features, &x);
        let evidence = log_normal(&y, &noisy(&gram, |_| noise));
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-10 * expected.abs();
        for approximation in [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc] {
            let model = Sgpr::with_features(kernel.clone(), features.clone()).unwrap();
            let model = model.with_noise(noise).unwrap().with_approximation(approximation);
            let found = model.objective(&Data::new(x.as_ref(), &y)).unwrap();
            assert!(found.trace == 0.0 && close(found.value, evidence), "{approximation:?}: {found:?} {evidence}");
            assert!(close(model.upper_bound(&Data::new(x.as_ref(), &y)).unwrap(), evidence));

            let left_out = model.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap();
            for row in 0..15 {
                let others: Vec<usize> = (0..15).filter(|&other| other != row).collect();
                let rest = Mat::from_fn(14, 14, |i, j| gram[(others[i], others[j])]);
                let values: Vec<f64> = others.iter().map(|&other| y[other]).collect();
                assert!(close(left_out.log_density[row], evidence - log_normal(&values, &noisy(&rest, |_| noise))));
            }
        }
        let model = Sgpr::with_features(kernel.clone(), features.clone()).unwrap().with_noise(noise).unwrap();
        let statistics = model.statistics(&Data::new(x.as_ref(), &y)).unwrap();
        let found = model.objective(&statistics).unwrap();
        assert!(found.trace == 0.0 && close(found.value, evidence), "{found:?} {evidence}");
    }
}

#[test]
fn gradients_match_finite_differences() {
    let (x, y) = wave(12, 1, 1);
    let data = Data::new(x.as_ref(), &y);
    let kernel = (0.8 * Matern52::new(0.5) + 0.4 * (Rbf::new(0.9) + 1.5 * Matern12::new(0.3))).dynamic();
    let features = HilbertFeatures::new(&[(-1.2, 1.5)], &[5]).unwrap();
    let (mean, deviation) = ([0.3, -0.5, 0.2, 0.9, -0.1], [0.7, 0.4, 1.1, 0.9, 0.8]);
    for q in [Variational::diagonal(&mean, &deviation).unwrap(), Variational::prior(5).unwrap()] {
        for q in [q.clone(), q.unwhitened()] {
            let model = Svgp::with_features(kernel.clone(), features.clone()).unwrap().with_variational(q).unwrap();
            let (_, gradient) = model.gradient(&data.part_of(30)).unwrap();
            let value = |model: &Svgp<_, _>| model.objective(&data.part_of(30)).unwrap().value;
            check_model("waves", &model, &gradient, 1e-6, value);
        }
    }
}

/// Every expression with a density, in one dimension and in two.
#[test]
fn gradients_of_densities_match_finite_differences() {
    let kernels: Vec<DynKernel> = vec![
        Rbf::new(0.7).dynamic(),
        Rbf::new([0.7, 1.3]).dynamic(),
        Matern12::new([0.7, 1.3]).dynamic(),
        Matern32::new(0.4).dynamic(),
        Matern52::new([0.7, 1.3]).dynamic(),
        (1.4 * Matern52::new(0.6) - 0.3 * (Rbf::new(0.5) + Matern12::new(0.8))).dynamic(),
        "rbf(lengthscale=0.3) + 2 * matern32(lengthscale=1.5) + matern12(lengthscale=2)".parse().unwrap(),
    ];
    for kernel in kernels {
        for frequency in [vec![0.0, 0.0], vec![0.4, -1.7], vec![2.0], vec![30.0]] {
            if kernel.inputs(frequency.len()).is_err() {
                continue;
            }
            // A weight that makes the smallest of the derivatives count.
            let weight = 20.0;
            let mut theta = vec![0.0; kernel.num_params()];
            mercer::views::spectral_density_vjp(&kernel, &frequency, weight, &mut theta);
            check_model(format!("{kernel} at {frequency:?}"), &kernel, &theta, 1e-8, |kernel| {
                weight * mercer::views::spectral_density(kernel, &frequency).unwrap()
            });
        }
    }
}

#[test]
fn the_evidence_is_approached_and_may_be_exceeded() {
    let (x, y) = wave(15, 1, 1);
    let data = Data::new(x.as_ref(), &y);
    let kernel = 1.3 * Rbf::new(0.9);
    let evidence = ExactGp::new(kernel.clone()).with_noise(0.2).unwrap().objective(&data).unwrap();
    let value = |half: f64, count: usize| {
        let features = HilbertFeatures::new(&[(-half, half)], &[count]).unwrap();
        let mut model = Svgp::with_features(kernel.clone(), features).unwrap().with_likelihood(Gaussian::new(0.2));
        model.natural_step(&data.part_of(15), &NaturalGradient::default()).unwrap();
        model.objective(&data).unwrap().value
    };
    assert!((value(5.0, 30) - evidence).abs() < 1e-7);
    assert!(value(1.1, 30) > evidence + 1.0, "{}", value(1.1, 30));
}

#[test]
fn what_does_not_fit_is_refused() {
    let features = HilbertFeatures::new(&[(-1.0, 1.0)], &[3]).unwrap();
    for kernel in
        [Linear::new(1.0).dynamic(), Periodic::new(1.0, 1.0).dynamic(), (Rbf::new(1.0) * Rbf::new(2.0)).dynamic()]
    {
        let error = Svgp::with_features(kernel, features.clone()).unwrap_err();
        assert!(error.to_string().contains("must have a spectral density"));
    }
    assert!(matches!(Svgp::with_features(Rbf::new([1.0, 2.0]), features.clone()), Err(Error::Dimension { .. })));
    let model = Svgp::with_features(Rbf::new(1.0), features).unwrap();
    let error = model.objective(&Data::new(mat![[0.0], [-1.5]].as_ref(), [0.0; 2])).unwrap_err().to_string();
    assert!(error.starts_with("x[1, 0] is -1.5"), "{error}");
    assert!(HilbertFeatures::new(&[(0.0, 1.0)], &[0]).is_err());
}
