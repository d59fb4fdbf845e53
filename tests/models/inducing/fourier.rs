//! Variational Fourier features against the exact kernel, exact evidences and finite differences.
#![allow(clippy::unwrap_used)]

use mercer::combine::{MetricRadial, Norm};
use mercer::gp::{ExactGp, Svgp};
use mercer::inducing::{FourierFeatures, InducingFeatures};
use mercer::kernels::Matern;
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::optim::NaturalGradient;
use mercer::prelude::*;
use mercer::tape::Tape;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::data::{forms_of_q, line, single, singles, wave};
use crate::common::gradients::check_model;

/// K_fu K_uu⁻¹ K_uf
fn projected(kernel: &dyn Kernel<f64>, features: &FourierFeatures, x: &Mat<f64>) -> Mat<f64> {
    let tape = Tape::new(Par::Seq);
    let kernel = tape.fixed_kernel(kernel);
    let prior = features.prior(&tape, kernel, features.parameter(&tape), Jitter::default()).unwrap();
    let k_uf = features.cross(&tape, kernel, &prior, tape.constant(x.as_ref())).unwrap();
    let a = tape.value(prior.whiten(k_uf)).unwrap();
    a.as_mat().transpose() * a.as_mat()
}

fn materns(lengthscale: f64) -> [DynKernel; 3] {
    [
        (1.7 * Matern12::new(lengthscale)).dynamic(),
        (1.7 * Matern32::new(lengthscale)).dynamic(),
        (1.7 * Matern52::new(lengthscale)).dynamic(),
    ]
}

/// The variance that is left, far from the ends, is the weight of the frequencies that are left out: m^(−2p−1).
#[test]
fn what_is_left_falls_as_the_spectrum_does() {
    let x = line(9, -1.0, 1.0);
    for (p, kernel) in materns(0.25).iter().enumerate() {
        let exact = kernel.gram(x.as_ref()).unwrap();
        let left = |frequencies: usize| {
            let features = FourierFeatures::new(-3.0, 3.0, frequencies).unwrap();
            let left = &exact - projected(kernel, &features, &x);
            let smallest = left.self_adjoint_eigenvalues(faer::Side::Lower).unwrap()[0];
            assert!(smallest > -1e-12, "{p}: a remainder is a covariance, but has the eigenvalue {smallest:e}");
            (0..9).map(|row| left[(row, row)]).sum::<f64>() / 9.0
        };
        let (coarse, fine) = (left(40), left(160));
        let rate = (coarse / fine).log(4.0);
        println!("order {p}: {coarse:.1e} {fine:.1e} rate {rate:.3}");
        assert!((rate - (2 * p + 1) as f64).abs() < 0.1, "{p}: {rate}");
    }
}

#[test]
fn the_form_of_the_expression_does_not_matter() {
    let x = line(7, 0.0, 1.0);
    let features = FourierFeatures::new(-1.0, 2.0, 12).unwrap();
    let expected = projected(&(1.5 * Matern32::new(0.6)), &features, &x);
    let forms: Vec<DynKernel> = vec![
        "1.5 * matern32(lengthscale=0.6)".parse().unwrap(),
        (0.5 * (3.0 * Matern32::new([0.6]))).dynamic(),
        (1.5 * Matern32::new(0.3).stretch(2.0)).dynamic(),
        (1.5 * Matern::new(0.6, 1.5)).dynamic(),
        (1.5 * Matern32::new(0.6)).on([0]).dynamic(),
        (1.5 * Matern32::new(0.6) + White::new(0.3)).dynamic(),
        (0.5 * Matern32::new(0.6) + Matern32::new(0.6)).dynamic(),
        Matern32::new(0.6).additive([1.5]).dynamic(),
        (1.5 * MetricRadial::new(Norm::Chebyshev, Matern32::new(0.6))).dynamic(),
    ];
    for kernel in forms {
        let found = projected(&kernel, &features, &x);
        assert!((&found - &expected).norm_max() < 1e-12, "{kernel}: {:e}", (&found - &expected).norm_max());
    }
}

/// Products of exponential kernels of one coordinate, norms and additive kernels that are Matérn kernels of each.
fn disguised() -> Vec<(DynKernel, DynKernel, FourierFeatures)> {
    let (boxes, counts) = ([(-1.5, 1.5), (-1.2, 2.0)], [2, 1]);
    let one = || FourierFeatures::new(-1.5, 1.5, 2).unwrap();
    let sum = || FourierFeatures::additive(&boxes, &counts).unwrap();
    let product = || FourierFeatures::product(&boxes, &counts).unwrap();
    let exponential = |variance: f64, lengthscale: f64| variance * Matern12::new(lengthscale);
    let of_both = |k: DynKernel, l: DynKernel| k.on([0]) * l.on([1]);
    vec![
        (exponential(2.0, 0.6).dynamic(), (2.0 * (Matern12::new(1.0) * Matern12::new(1.5))).dynamic(), one()),
        (exponential(0.6, 0.4).dynamic(), (1.2 * Matern12::new(1.2).pow(3) * 0.5).dynamic(), one()),
        (
            of_both(exponential(0.7, 0.6).dynamic(), exponential(2.0, 0.5).dynamic()).dynamic(),
            (1.4 * (Matern12::new(1.0).on([0]) * Matern12::new(0.5).on([1]) * Matern12::new(1.5).on([0]))).dynamic(),
            product(),
        ),
        (
            of_both(exponential(0.8, 0.7).dynamic(), exponential(1.0, 0.7).dynamic()).dynamic(),
            (0.4 * MetricRadial::new(Norm::Manhattan, 2.0 * Matern12::new(0.7)) + White::new(0.3)).dynamic(),
            product(),
        ),
        (
            (0.6 * Matern52::new(0.7)).on([0]).dynamic() + (0.6 * Matern52::new(0.7)).on([1]).dynamic(),
            (2.0 * Matern52::new(0.7).additive([0.3])).dynamic(),
            sum(),
        ),
    ]
}

#[test]
fn kernels_that_are_matern_kernels_are_taken_for_them() {
    let wide = line(7, 0.0, 1.0);
    for (plain, disguised, features) in disguised() {
        let x = Mat::from_fn(7, features.dim(), |row, col| wide[(row, 0)] * (0.3 + col as f64) - 0.4 * col as f64);
        let (expected, found) = (projected(&plain, &features, &x), projected(&disguised, &features, &x));
        assert!((&found - &expected).norm_max() < 1e-12, "{disguised}: {:e}", (&found - &expected).norm_max());
    }
    let other = Matern12::new(0.5) * Matern32::new(0.5);
    let features = FourierFeatures::new(-1.0, 2.0, 12).unwrap();
    let tape = Tape::<f64>::new(Par::Seq);
    let error = features.prior(&tape, tape.fixed_kernel(&other), features.parameter(&tape), Jitter::default());
    assert!(error.unwrap_err().to_string().contains("must be a sum of Matérn kernels"));
    let noise = Matern32::new(0.5).on([0]) * Matern32::new(0.5).on([1]) * White::new(1.0);
    let features = FourierFeatures::product(&[(-1.0, 2.0); 2], &[2, 2]).unwrap();
    let tape = Tape::<f64>::new(Par::Seq);
    let error = features.prior(&tape, tape.fixed_kernel(&noise), features.parameter(&tape), Jitter::default());
    assert!(error.unwrap_err().to_string().contains("must be a product of Matérn kernels"));
}

/// Remainders in 50 digits, of the variance 1.7 at 1.074 from the end of an interval of length 3, with 10 frequencies.
#[test]
fn extreme_lengthscales() {
    let x = mat![[0.074]];
    let features = FourierFeatures::new(-1.0, 2.0, 10).unwrap();
    let stored = [(10.0, 0.3104970978), (100.0, 0.2005547074), (1000.0, 0.1900485716), (1e4, 0.1890047864)];
    for (lengthscale, expected) in stored {
        let left = 1.7 - projected(&(1.7 * Matern52::new(lengthscale)), &features, &x)[(0, 0)];
        assert!((left - expected).abs() < 1e-9, "{lengthscale}: {left}");
    }
    for kernel in materns(1e-4) {
        let left = 1.7 - projected(&kernel, &features, &x)[(0, 0)];
        assert!(left > 1.6 && left < 1.7, "{kernel}: {left}");
    }
}

/// Additive and product kernels with features for them.
fn several() -> [(DynKernel, FourierFeatures); 2] {
    let (boxes, counts) = ([(-1.5, 1.5), (-1.2, 2.0)], [2, 1]);
    let sum = 0.8 * Matern52::new(0.7).on([0]) + 1.3 * Matern12::new(1.2).on([1]);
    let product = 1.4 * (Matern52::new(0.7).on([0]) * Matern32::new(1.2).on([1]));
    [
        (sum.dynamic(), FourierFeatures::additive(&boxes, &counts).unwrap()),
        (product.dynamic(), FourierFeatures::product(&boxes, &counts).unwrap()),
    ]
}

#[test]
fn gradients_match_finite_differences() {
    let mut cases: Vec<_> =
        materns(0.6).into_iter().map(|kernel| (kernel, FourierFeatures::new(-1.5, 1.5, 2).unwrap())).collect();
    cases.extend(several());
    cases.extend(disguised().into_iter().map(|(_, kernel, features)| (kernel, features)));
    for (kernel, features) in cases {
        let (x, y) = wave(12, features.dim(), 3);
        for q in forms_of_q(features.len(), 4) {
            for q in [q.clone(), q.unwhitened()] {
                let model = Svgp::with_features(kernel.clone(), features.clone()).unwrap().with_variational(q).unwrap();
                let model = model.with_likelihood(Gaussian::new(0.2));
                let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(30)).unwrap();
                let value = |model: &Svgp<_, _>| model.objective(&Data::new(x.as_ref(), &y).part_of(30)).unwrap().value;
                check_model(&kernel, &model, &gradient, 1e-6, value);
            }
        }
    }
}

#[test]
fn several_coordinates_tend_to_the_kernel() {
    let (x, _) = wave(6, 2, 5);
    let boxes = [(-6.0, 6.0), (-6.0, 6.0)];
    let [(sum, _), (product, _)] = several();
    let left = |kernel: &DynKernel, features: FourierFeatures| {
        (kernel.gram(x.as_ref()).unwrap() - projected(kernel, &features, &x)).norm_max()
    };
    let additive = [20, 80].map(|m| left(&sum, FourierFeatures::additive(&boxes, &[m, 4 * m]).unwrap()));
    let products = [4, 9].map(|m| left(&product, FourierFeatures::product(&boxes, &[m, m]).unwrap()));
    println!("{additive:?} {products:?}");
    assert!(additive[1] < 0.01 && additive[1] < 0.3 * additive[0]);
    assert!(products[1] < 0.1 && products[1] < 0.25 * products[0]);
}

#[test]
fn bounds_tend_to_the_evidence() {
    let (x, y) = wave(25, 1, 6);
    for (kernel, frequencies) in materns(0.4).into_iter().zip([300, 60, 30]) {
        let exact = ExactGp::new(kernel.clone()).with_noise(0.1).unwrap();
        let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let sparse = |frequencies| {
            let features = FourierFeatures::new(-3.0, 3.0, frequencies).unwrap();
            let mut sparse = Svgp::with_features(kernel.clone(), features).unwrap().with_likelihood(Gaussian::new(0.1));
            sparse.natural_step(&Data::new(x.as_ref(), &y).part_of(25), &NaturalGradient::default()).unwrap();
            sparse
        };
        let gap = |frequencies| evidence - sparse(frequencies).objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        let (coarse, fine) = (gap(frequencies / 4), gap(frequencies));
        println!("{kernel}: {coarse} {fine}");
        assert!(fine > 0.0 && fine < 1.0 && fine < 0.3 * coarse, "{kernel}: {coarse} {fine}");
        let sparse = sparse(frequencies);
        let (exact, sparse) = (exact.condition(&Data::new(x.as_ref(), &y)).unwrap(), sparse.posterior().unwrap());
        let at = line(8, -1.0, 1.0);
        let (a, b) = (exact.predict(at.as_ref()).unwrap(), sparse.predict(at.as_ref()).unwrap());
        assert!((0..8).all(|row| (a.mean[(row, 0)] - b.mean[(row, 0)]).abs() < 0.05
            && (a.variance[(row, 0)] - b.variance[(row, 0)]).abs() < 0.02));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: mercer::testkit::trials(64) as u32,
        rng_seed: RngSeed::Fixed(mercer::testkit::seed(22)),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bound_exceeds_the_evidence(
        order in 0..3usize,
        frequencies in 0..8usize,
        lengthscale in 0.05..20.0f64,
        margin in 0.0..2.0f64,
        noise in 0.01..1.0f64,
        seed in 0..1000u64,
        steps in 0..2usize,
    ) {
        let (x, y) = wave(10, 1, seed);
        let kernel = materns(lengthscale)[order].clone();
        let features = FourierFeatures::new(-1.0 - margin, 1.0 + margin, frequencies).unwrap();
        let exact = ExactGp::new(kernel.clone()).with_noise(noise).unwrap();
        let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let [q, diagonal, _] = forms_of_q(features.len().max(2), seed);
        let forms = if steps == 0 { vec![q.clone(), q.unwhitened(), diagonal.unwhitened()] } else { vec![q.clone(), q.unwhitened()] };
        for q in forms {
            let mut model = Svgp::with_features(kernel.clone(), features.clone()).unwrap();
            if features.len() > 1 {
                model = model.with_variational(q).unwrap();
            }
            let mut model = model.with_likelihood(Gaussian::new(noise));
            for _ in 0..steps {
                model.natural_step(&Data::new(x.as_ref(), &y).part_of(10), &NaturalGradient::default()).unwrap();
            }
            let bound = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
            prop_assert!(bound < evidence + 1e-9 * evidence.abs(), "{} {}", bound, evidence);
        }
    }
}

#[test]
fn single_precision_agrees() {
    let (x, y) = wave(20, 1, 8);
    let data = Data::new(x.as_ref(), &y);
    let (x32, y32) = (single(&x), singles(&y));
    for kernel in materns(0.6) {
        let features = FourierFeatures::new(-1.5, 1.5, 8).unwrap();
        let mut model = Svgp::with_features(kernel, features).unwrap().with_likelihood(Gaussian::new(0.2));
        model.natural_step(&data.part_of(20), &NaturalGradient::default()).unwrap();
        let (double, gradient) = model.gradient(&data.part_of(20)).unwrap();
        let (single, gradient32) = model.gradient(&Data::new(x32.as_ref(), &y32).part_of(20)).unwrap();
        assert!((double.value - single.value).abs() < 1e-4 * double.value.abs(), "{double:?} {single:?}");
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 2e-3 * a.abs().max(1.0);
        assert!(gradient.iter().zip(&gradient32).all(close));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (x, y) = wave(5, 1, 9);
    let data = Data::new(x.as_ref(), &y);
    let features = FourierFeatures::new(-1.0, 1.0, 3).unwrap();
    let elbo =
        |kernel: DynKernel| Svgp::with_features(kernel, features.clone()).and_then(|model| model.objective(&data));
    for kernel in [
        Rbf::new(0.5).dynamic(),
        Periodic::new(1.0, 1.0).dynamic(),
        Matern::new(0.5, 1.6).dynamic(),
        (Matern32::new(0.5) + 0.2).dynamic(),
        (Matern32::new(0.5) + Matern12::new(0.5)).dynamic(),
        (Matern32::new(0.5) + Matern32::new(0.6)).dynamic(),
        Constant::new(1.0).dynamic(),
        (0.0 * Matern32::new(1.0)).dynamic(),
    ] {
        let error = elbo(kernel.clone()).unwrap_err().to_string();
        assert!(error.contains("must be a sum of Matérn kernels"), "{kernel}: {error}");
    }
    let not_stationary = Svgp::with_features(Linear::new(1.0), features.clone());
    assert!(matches!(not_stationary, Err(Error::Setting { .. })));
    let of_two = Svgp::with_features(Matern32::new([0.5, 0.6]), features.clone());
    assert!(matches!(of_two, Err(Error::Dimension { .. })));

    // Values of a general kernel at ν = 3/2 fit, its gradient in ν does not, unless it is not asked for.
    let mut general = Svgp::with_features(Matern::new(0.5, 1.5), features.clone()).unwrap();
    assert!(general.objective(&data).is_ok());
    let error = general.gradient(&data.part_of(5)).unwrap_err().to_string();
    assert!(error.contains("matern.nu"), "{error}");
    general.freeze("kernel.matern.nu").unwrap();
    assert!(general.gradient(&data.part_of(5)).is_ok());

    assert!(FourierFeatures::new(1.0, 1.0, 3).is_err());
    assert!(FourierFeatures::new(0.0, f64::NAN, 3).is_err());
    assert!(FourierFeatures::product(&[(0.0, 1.0); 3], &[1000; 3]).is_err());
    assert!(FourierFeatures::additive(&[(0.0, 1.0); 3], &[3]).is_err());
    assert!(FourierFeatures::additive(&[], &[]).is_err());
    let model = Svgp::with_features(Matern32::new(0.5), features).unwrap();
    let error =
        model.objective(&Data::new(mat![[0.0], [1.0], [1.0 + 1e-9]].as_ref(), [0.0; 3])).unwrap_err().to_string();
    assert!(error.starts_with("x[2, 0] is 1.000000001, but the inducing features cover the interval from -1 to 1"));
}
