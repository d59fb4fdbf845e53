//! What fits say of themselves: starts, ends, floors, warnings.
#![allow(clippy::unwrap_used)]

use mercer::gp::{BatchGp, Data, ExactGp, Fit, IcmGp, Restarts, Sgpr, Start, Svgp, Warning, kernel_from_data};
use mercer::kernels::Coregionalization;
use mercer::likelihood::Gaussian;
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::params::Prior;
use mercer::prelude::*;

fn wave() -> Data<f64> {
    let x = Mat::from_fn(40, 1, |i, _| 0.2 * i as f64);
    Data::new(&x, (0..40).map(|i| 10.0 + (0.3 * i as f64).sin() + 0.05 * ((i * i) as f64).sin()).collect::<Vec<_>>())
}

fn five(seed: u64) -> Fit<'static> {
    Fit::default().with_restarts(Restarts { count: 5, seed })
}

/// The same seed gives the same fit to the bit, the first start is that of one search, and no end is better than the kept one.
#[test]
fn starts_are_those_that_were_asked_for() {
    let model = ExactGp::new(1.0 * Rbf::new(1.0)).with_mean(ConstantMean::new(0.0)).with_noise(0.1).unwrap();
    let fitted = |fit: Fit<'_>| {
        let mut gp = model.clone();
        (gp.fit(&wave(), fit).unwrap(), gp.values())
    };
    let ((a, values), (b, same)) = (fitted(five(3)), fitted(five(3)));
    assert_eq!((&a, &values), (&b, &same));
    let starts: Vec<Start> = a.ends.iter().map(|end| end.start).collect();
    assert_eq!(starts, [Start::AsGiven, Start::FromData, Start::Drawn, Start::Drawn, Start::Drawn]);
    let (alone, _) = fitted(Fit::default());
    assert_eq!(a.ends[0], alone.ends[0]);
    let value = |end: usize| a.ends[end].outcome.clone().unwrap().value;
    assert!((0..5).all(|end| value(a.best) <= value(end)) && a.value == value(a.best));
    assert_ne!(a.ends[2..], fitted(five(4)).0.ends[2..]);
    assert_eq!(a.evaluations, (0..5).map(|end| a.ends[end].outcome.clone().unwrap().evaluations).sum::<usize>());
    // A minimiser alone is a fit of one search.
    let mut gp = model.clone();
    assert_eq!(gp.fit(&wave(), &Lbfgs::default()).unwrap(), alone);
    assert!(gp.fit(&wave(), Fit::default().with_restarts(Restarts { count: 0, seed: 0 })).is_err());
}

/// What is frozen or tied stays so in every start; what has a prior is drawn from it, and not started where it has none.
#[test]
fn starts_keep_freezes_ties_and_priors() {
    let mut gp = ExactGp::new(1.0 * Rbf::new(1.0) + 2.0 * Matern32::new(1.0)).with_noise(0.006).unwrap();
    gp.freeze("kernel.sum[0].scaled.factor").unwrap();
    gp.tie(&["kernel.sum[0].scaled.rbf.lengthscale", "kernel.sum[1].scaled.matern32.lengthscale"]).unwrap();
    gp.set_prior("likelihood.gaussian.variance", Prior::log_normal(-5.0, 0.1).unwrap()).unwrap();
    gp.set_prior("kernel.sum[1].scaled.factor", Prior::uniform(1.9, 2.1).unwrap()).unwrap();
    let stay = Lbfgs { max_steps: 0, ..Lbfgs::default() };
    let report = gp.clone().fit(&wave(), five(1).with_minimizer(&stay)).unwrap();
    for end in &report.ends {
        let mut there = gp.clone();
        there.set_unconstrained(&end.outcome.clone().unwrap().x).unwrap();
        assert_eq!(there.get("kernel.sum[0].scaled.factor").unwrap(), 1.0);
        assert!((1.9..2.1).contains(&there.get("kernel.sum[1].scaled.factor").unwrap()));
        let lengthscales = ["kernel.sum[0].scaled.rbf.lengthscale", "kernel.sum[1].scaled.matern32.lengthscale"];
        assert_eq!(there.get(lengthscales[0]), there.get(lengthscales[1]));
        let noise = there.get("likelihood.gaussian.variance").unwrap();
        assert!(end.start == Start::FromData || (noise.ln() + 5.0).abs() < 0.4, "{end:?}");
    }
    // All of the suggestion at once, ties and all.
    let suggested = gp.suggest(&wave()).unwrap().values;
    assert_eq!(gp.with_params(&suggested).unwrap().get("kernel.sum[0].scaled.factor").unwrap(), 1.0);
}

/// A floor holds in every model, also where a variance starts below it, and not for what is frozen.
#[test]
fn no_noise_falls_below_the_floor() {
    let x = Mat::from_fn(25, 1, |i, _| 0.2 * i as f64);
    let waves = Mat::from_fn(25, 2, |i, col| [1.0, 1e4][col] * (0.2 * i as f64).sin());
    let data = Data::new(&x, waves.col_as_slice(0));
    let variance = 0.5; // or so
    let fit = || Fit::default().with_noise_floor(1e-3).unwrap();
    let kernel = || 1.0 * Rbf::new(1.0);
    let low = |noise: f64| (1e-3 * variance * 0.5..1e-3 * variance * 2.0).contains(&noise);
    let z = x.subrows(0, 20);

    // One that starts at it, or next to it, leaves it where there is noise.
    let noisy: Vec<f64> = (0..25).map(|i| (0.2 * i as f64).sin() + 0.3 * (9.0 * (i * i) as f64).sin()).collect();
    let level = noisy.iter().map(|y| y * y).sum::<f64>() / 25.0 - (noisy.iter().sum::<f64>() / 25.0).powi(2);
    for start in [1e-3 * level, 1e-3 * level * (1.0 + 1e-15), 1e-3 * level * (1.0 - 1e-15)] {
        let mut exact = ExactGp::new(kernel()).with_noise(start).unwrap();
        exact.fit(&Data::new(&x, &noisy), fit()).unwrap();
        assert!(exact.likelihood().variance() > 0.02, "{}", exact.likelihood().variance());
    }
    let mut tied = ExactGp::new(kernel() + White::new(0.1)).with_noise(0.1).unwrap();
    tied.tie(&["kernel.sum[1].white.variance", "likelihood.gaussian.variance"]).unwrap();
    tied.fit(&data, fit()).unwrap();
    assert!(low(tied.likelihood().variance()));

    for start in [0.1, 1e-12] {
        let mut exact = ExactGp::new(kernel()).with_noise(start).unwrap();
        let report = exact.fit(&data, fit()).unwrap();
        assert!(low(exact.likelihood().variance()), "{report}");
        let told = |warning: &Warning| matches!(warning, Warning::NoiseAtFloor { path, floor } if path == "likelihood.gaussian.variance" && low(*floor));
        assert!(report.warnings.iter().any(told), "{report}");
    }
    let mut sparse = Sgpr::new(kernel(), z).unwrap().with_noise(0.1).unwrap();
    sparse.fit(&data, fit()).unwrap();
    assert!(low(sparse.likelihood().variance()));
    let mut variational = Svgp::new(kernel(), z).unwrap().with_likelihood(Gaussian::new(0.1));
    variational.fit(&data, fit().with_minimizer(&Lbfgs { max_steps: 200, ..Lbfgs::default() })).unwrap();
    assert!(variational.get("likelihood.gaussian.variance").unwrap() > 0.5e-3 * variance);
    // Each output by its own variance.
    let kernels = kernel().batched(2).unwrap();
    let mut batch = BatchGp::new(kernels).with_noises(&[0.1, 0.1]).unwrap();
    batch.fit(&Data::new(&x, &waves), fit()).unwrap();
    let noise: Vec<f64> =
        batch.parameters().into_iter().filter(|e| e.path.contains("variance")).map(|e| e.value).collect();
    assert!(noise.len() == 2 && noise[1] >= 0.9e-3 * variance * 1e8 && low(noise[0]), "{noise:?}");

    let mut frozen = ExactGp::new(kernel()).with_noise(1e-6).unwrap();
    frozen.freeze("likelihood.gaussian.variance").unwrap();
    frozen.fit(&data, fit()).unwrap();
    assert_eq!(frozen.likelihood().variance(), 1e-6);
    assert!(Fit::default().with_noise_floor(f64::NAN).is_err());
}

/// Each warning where it is due, and none on plain data.
#[test]
fn warnings_name_what_is_wrong() {
    let of = |data: &Data<f64>, gp: &ExactGp<Scaled<Rbf>>| gp.examine(data).unwrap();
    let gp = |lengthscale: f64| ExactGp::new(1.0 * Rbf::new(lengthscale)).with_noise(0.1).unwrap();
    let x = Mat::from_fn(30, 2, |i, col| ((i * [7, 11][col]) % 30) as f64 * [0.1, 0.07][col]);
    let y: Vec<f64> = (0..30).map(|i| (i as f64).sin()).collect();
    assert_eq!(of(&Data::new(&x, &y), &gp(1.0)), []);

    let wide = Mat::from_fn(30, 2, |i, col| x[(i, col)] * [1.0, 5e4][col]);
    assert!(
        matches!(of(&Data::new(&wide, &y), &gp(1e3))[0], Warning::Unscaled { columns: [0, 1], ratio, .. } if ratio > 1e4)
    );
    let flat = Mat::from_fn(30, 2, |i, col| if col == 1 { 4.0 } else { x[(i, 0)] });
    assert_eq!(of(&Data::new(&flat, &y), &gp(1.0))[0], Warning::ConstantColumn { column: 1 });
    let twice = Mat::from_fn(30, 2, |i, col| x[(i.min(27), col)]);
    assert_eq!(of(&Data::new(&twice, &y), &gp(1.0)), [Warning::DuplicateRows { count: 2, row: 28 }]);
    let far: Vec<f64> = y.iter().map(|y| y + 1e3).collect();
    assert!(matches!(of(&Data::new(&x, &far), &gp(1.0))[..], [Warning::Offset { .. }]));
    assert!(of(&Data::new(&x, &far), &gp(1.0).with_mean(ConstantMean::new(0.0))).is_empty());
    assert!(matches!(of(&Data::new(&x, &y), &gp(1e4))[..], [Warning::LongLengthscale { .. }]));
    assert!(matches!(of(&Data::new(&x, &y), &gp(1e-3))[..], [Warning::ShortLengthscale { .. }]));
    let near = ExactGp::new(1e8 * Rbf::new(1e2)).with_noise(1e-12).unwrap();
    assert!(of(&Data::new(&x, &y), &near).iter().any(|warning| matches!(warning, Warning::Jitter { .. })));
}

/// Lengthscales are judged by the distances of all inputs, however many there are, and not by those of output indices.
#[test]
fn distances_are_those_of_all_inputs() {
    let x = Mat::from_fn(3000, 1, |i, _| i as f64);
    let y: Vec<f64> = (0..3000).map(|i| (0.1 * i as f64).sin()).collect();
    let gp = Sgpr::new(1.0 * Rbf::new(2.0), x.subrows(0, 5)).unwrap().with_noise(0.1).unwrap();
    assert_eq!(gp.examine(&Data::new(&x, &y)).unwrap(), []);

    let stacked = Mat::from_fn(40, 2, |i, col| if col == 0 { 1e4 * (i / 2) as f64 } else { (i % 2) as f64 });
    let y: Vec<f64> = (0..40).map(|i| (0.3 * i as f64).sin()).collect();
    let gp = ExactGp::new(1.0 * BlockDiagonal::new([Rbf::new(1e4), Rbf::new(1e4)])).with_noise(0.1).unwrap();
    let data = Data::new(&stacked, &y);
    assert_eq!(gp.examine(&data).unwrap(), []);
    assert!(gp.suggest(&data).unwrap().values[1] > 1e4);
}

/// Against the trace of K (K + Σ)⁻¹ and, of a sparse model, of Q (Q + Σ)⁻¹.
#[test]
fn degrees_of_freedom_are_a_trace() {
    let x = Mat::from_fn(20, 1, |i, _| 0.3 * i as f64);
    let y: Vec<f64> = (0..20).map(|i| (0.3 * i as f64).sin()).collect();
    let (data, noise) = (Data::new(&x, &y), 0.05);
    let trace = |q: Mat<f64>| {
        let mut a = q.clone();
        (0..20).for_each(|i| a[(i, i)] += noise);
        let inverse = mercer::linalg::Cholesky::new(a.as_ref(), Default::default(), Par::Seq).unwrap();
        let mut solved = q;
        inverse.solve_in_place(solved.as_mut(), Par::Seq).unwrap();
        (0..20).map(|i| solved[(i, i)]).sum::<f64>()
    };
    let kernel = Rbf::new(0.7) + White::new(0.4);
    let exact = ExactGp::new(kernel.clone()).with_noise(noise).unwrap();
    let found = exact.degrees_of_freedom(&data).unwrap().unwrap();
    assert!((found - trace(kernel.gram(&x).unwrap())).abs() < 1e-9, "{found}");

    let (kernel, z) = (Rbf::new(0.7), x.subrows(3, 4));
    let sparse = Sgpr::new(kernel.clone(), z).unwrap().with_noise(noise).unwrap();
    let (k_uu, k_uf) = (kernel.gram(z).unwrap(), kernel.cross(z, &x).unwrap());
    let mut solved = k_uf.clone();
    let factor = mercer::linalg::Cholesky::new(k_uu.as_ref(), Default::default(), Par::Seq).unwrap();
    factor.solve_in_place(solved.as_mut(), Par::Seq).unwrap();
    let expected = trace(k_uf.transpose() * solved);
    let found = sparse.degrees_of_freedom(&data).unwrap().unwrap();
    assert!((found - expected).abs() < 1e-9 && found < 4.0, "{found} {expected}");
    let mut variational = Svgp::new(kernel, z).unwrap().with_likelihood(Gaussian::new(noise));
    variational.natural_step(&data, &mercer::optim::NaturalGradient::default()).unwrap();
    assert!((variational.degrees_of_freedom(&data).unwrap().unwrap() - expected).abs() < 1e-6);
}

/// In a batch, each output by its own data, and what is shared by all.
#[test]
fn suggestions_for_several_outputs() {
    let x = Mat::from_fn(50, 1, |i, _| 0.1 * i as f64);
    let waves = Mat::from_fn(50, 2, |i, col| [1.0, 100.0][col] * (1.0 + (0.5 * i as f64).sin()));
    let data = Data::new(&x, &waves);
    let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 0.1, "{found} {expected}");
    let of = |gp: &dyn Parameterized, path: &str| gp.get(path).unwrap();

    let batch = BatchGp::new((1.0 * Rbf::new(9.0)).batched(2).unwrap()).with_mean(ConstantMean::new(0.0));
    let suggested = batch.with_params(&batch.suggest(&data).unwrap().values).unwrap();
    let median = 5.0 * (1.0 - 0.5f64.sqrt());
    near(of(&suggested, "kernel.batch.scaled.rbf.lengthscale"), median);
    near(of(&suggested, "mean.batch.constant.value"), 50.5);
    near(of(&suggested, "kernel.batch.scaled.factor"), 0.5 * (0.5 + 0.5e4));

    let icm = IcmGp::new(1.0 * Rbf::new(9.0), Coregionalization::new(mat![[1.0], [1.0]], [1.0, 1.0]));
    let suggested = icm.with_params(&icm.suggest(&data).unwrap().values).unwrap();
    near(of(&suggested, "kernel.scaled.rbf.lengthscale"), median);
    near(of(&suggested, "noise.variance[1]"), 0.1 * 0.5e4);
    assert!(matches!(icm.examine(&data).unwrap()[..], []));
}

/// Lengthscales in columns, of warps and of each dimension, periods, and variances, from the data.
#[test]
fn suggestions_are_of_the_data() {
    let x = Mat::from_fn(200, 2, |i, col| if col == 0 { 1e-3 * i as f64 } else { 1e3 * ((i * 37) % 200) as f64 });
    let y: Vec<f64> = (0..200).map(|i| 7.0 * (std::f64::consts::TAU * i as f64 / 25.0).sin()).collect();
    let data = Data::new(&x, &y);
    let median = 200.0 * (1.0 - 0.5f64.sqrt()); // of all distances of 0, 1, …, 199
    let at = |kernel: &DynKernel, path: &str| kernel.get(path).unwrap();
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.05;
    let near_to = |found: f64, expected: f64| assert!(near(found, expected), "{found} {expected}");

    let kernel = kernel_from_data("on(rbf, [1]) + on(periodic, [0]) * linear(variance=3)", &data).unwrap();
    assert!(near(at(&kernel, "sum[0].scaled.on.rbf.lengthscale"), 1e3 * median), "{kernel}");
    assert!(near(at(&kernel, "sum[1].product[0].on.periodic.period"), 0.025), "{kernel}");
    assert!(near(at(&kernel, "sum[0].scaled.factor"), 0.25 * 49.0), "{kernel}");
    assert_eq!(at(&kernel, "sum[1].product[1].linear.variance"), 3.0);

    let gp =
        ExactGp::new(1.0 * Rbf::new([1.0, 1.0]) + Matern32::new(5.0).ard([2.0, 2.0])).with_mean(ConstantMean::new(3.0));
    let gp = gp.with_params(&gp.suggest(&data).unwrap().values).unwrap();
    let root = 2f64.sqrt();
    for (path, expected) in [
        ("kernel.sum[0].scaled.rbf.lengthscale[0]", root * 1e-3 * median),
        ("kernel.sum[0].scaled.rbf.lengthscale[1]", root * 1e3 * median),
        ("kernel.sum[1].ard.lengthscale[1]", root * 1e3 * median),
        ("kernel.sum[0].scaled.factor", 0.5 * 24.5),
        ("likelihood.gaussian.variance", 0.1 * 24.5),
    ] {
        assert!(near(gp.get(path).unwrap(), expected), "{path}: {} {expected}", gp.get(path).unwrap());
    }
    // Behind its warp, points are some one unit apart.
    assert!((0.7..1.5).contains(&gp.get("kernel.sum[1].ard.matern32.lengthscale").unwrap()));
    assert!(gp.get("mean.constant.value").unwrap().abs() < 1e-12);
    // A variance is that of the values, also of a leaf alone; and an additive kernel shares it among all its products.
    let far = Mat::from_fn(200, 1, |i, _| 1e6 + i as f64);
    let linear = ExactGp::new(Linear::new(1.0));
    near_to(linear.suggest(&Data::new(&far, &y)).unwrap().values[0], 24.5e-12);
    let additive = ExactGp::new(Rbf::new(1.0).additive([1.0, 1.0]));
    let values = additive.suggest(&data).unwrap().values;
    near_to(values[0], 24.5 / 4.0);
    near_to(values[1], 24.5 / 2.0);
    assert!(kernel_from_data("rbff", &data).is_err() && kernel_from_data("on(rbf, [2])", &data).is_err());
}
