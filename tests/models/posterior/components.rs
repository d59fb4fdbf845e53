//! Terms of a sum: they add up, and each is what dense algebra has for it.
#![allow(clippy::unwrap_used)]

use faer::linalg::solvers::Solve;
use mercer::gp::{BatchGp, Components, ExactGp, MeanBasis, Sgpr, Standardization, Svgp};
use mercer::inducing::{FourierFeatures, HilbertFeatures, SphericalHarmonicFeatures};
use mercer::kernel::gram_into;
use mercer::likelihood::Softmax;
use mercer::mean::{ConstantMean, LinearMean};
use mercer::optim::NaturalGradient;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::data::{line, on_sphere, single, uniform};
use crate::common::moments::assert_moments;

/// A sum at some depth, in two columns.
fn kernel() -> DynKernel {
    let smooth = (2.0 * Rbf::new(0.8) + 0.3 * Linear::new(1.0)).ard([0.7, 1.9]);
    let kernel = Constant::new(0.5) * (smooth + Periodic::new(1.1, 1.3).on([0])) + Rbf::new(0.4).additive([0.3, 0.2]);
    (kernel + 0.4 * (Rbf::new(2.0) * Matern32::new(1.0)) + White::new(0.05)).dynamic()
}

fn data(n: usize) -> Data<f64> {
    let x = 1.5 * uniform(n, 2, 3);
    let y: Vec<f64> = (0..n).map(|i| (3.0 * x[(i, 0)]).sin() + x[(i, 1)] * 0.7 + 2.0).collect();
    Data::new(x, y)
}

/// Means, covariances and those between terms add up to those of one function.
fn assert_add_up(parts: &Components<f64>, whole: &dyn Predict<f64>, function: usize, x: &Mat<f64>, within: f64) {
    let (each, all) = (parts.predict(x.as_ref()).unwrap(), whole.predict(x.as_ref()).unwrap());
    let (n, terms) = (x.nrows(), parts.len());
    let size = all.variance.norm_max() + all.mean.norm_max();
    let mut covariance = Mat::<f64>::zeros(n, n);
    for (i, j) in (0..terms).flat_map(|i| (0..terms).map(move |j| (i, j))) {
        let between = parts.covariance_between(x.as_ref(), i, j).unwrap();
        if i == j {
            for row in 0..n {
                assert!((between[(row, row)] - each.variance[(row, i)]).abs() < within * size);
            }
        }
        covariance += between;
    }
    for row in 0..n {
        let sum: f64 = each.mean.row(row).iter().sum();
        assert!((sum - all.mean[(row, function)]).abs() < within * size, "{sum} {:?}", all.mean);
    }
    let expected = whole.covariance(x.as_ref(), function).unwrap();
    assert!((&covariance - &expected).norm_max() < within * size, "{covariance:?} {expected:?}");
}

#[test]
fn of_exact_processes() {
    let (data, at) = (data(60), 2.0 * uniform(7, 2, 4));
    let gp = ExactGp::new(kernel()).with_noise(0.1).unwrap().with_mean(ConstantMean::new(2.0));
    let posterior = gp.condition(&data).unwrap();
    let parts = posterior.components(0).unwrap();
    let texts: Vec<&str> = parts.iter().map(|term| term.path()).collect();
    assert_eq!(parts.len(), 9, "{texts:?}");
    assert_add_up(&parts, &posterior, 0, &at, 1e-12);

    // One term by the textbook.
    let (x, n) = (data.x(), data.x().nrows());
    let term = parts.get("periodic").unwrap();
    let part = 0.5 * Periodic::new(1.1, 1.3).on([0]);
    let mut all = Mat::zeros(n, n);
    gram_into(gp.kernel(), x, all.as_mut(), Par::Seq).unwrap();
    (0..n).for_each(|i| all[(i, i)] += 0.1);
    let cross = Mat::from_fn(7, n, |i, j| {
        let row = |m: faer::MatRef<'_, f64>, i: usize| [m[(i, 0)], m[(i, 1)]];
        part.eval(&row(at.as_ref(), i), &row(x, j)).unwrap()
    });
    let residual = Mat::from_fn(n, 1, |i, _| data.y()[(i, 0)] - 2.0);
    let factor = all.llt(faer::Side::Lower).unwrap();
    let mean = &cross * factor.solve(&residual);
    let explained = &cross * factor.solve(cross.transpose());
    let found = term.predict(at.as_ref()).unwrap();
    for i in 0..7 {
        assert!((found.mean[(i, 0)] - mean[(i, 0)]).abs() < 1e-12);
        assert!((found.variance[(i, 0)] - (0.5 - explained[(i, i)])).abs() < 1e-12);
    }
}

#[test]
fn of_sparse_processes() {
    let (data, at) = (data(80), 2.0 * uniform(6, 2, 5));
    let z = 1.5 * uniform(15, 2, 6);
    let mean = LinearMean::new([0.7, -0.3]) + ConstantMean::new(0.4);
    let collapsed = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap().with_mean(mean.clone());
    let posterior = collapsed.condition(&data).unwrap();
    assert_add_up(&posterior.components(0).unwrap(), &posterior, 0, &at, 1e-11);

    let mut sparse = Svgp::new(kernel(), z.as_ref()).unwrap().with_mean(mean);
    sparse.natural_step(&data.part_of(80), &NaturalGradient::default()).unwrap();
    let posterior = sparse.posterior().unwrap();
    assert_add_up(&posterior.components(0).unwrap(), &posterior, 0, &at, 1e-11);

    // The mean has functions of its own.
    let basis = MeanBasis::new(uniform(5, 2, 7).as_ref()).unwrap();
    let sparse = sparse.with_mean_basis(basis).unwrap();
    let posterior = sparse.posterior().unwrap();
    assert_add_up(&posterior.components(0).unwrap(), &posterior, 0, &at, 1e-11);
}

/// Features of a fixed basis, with and without a remainder.
#[test]
fn of_fixed_features() {
    let x = line(50, -1.0, 1.0);
    let y: Vec<f64> = (0..50).map(|i| (4.0 * x[(i, 0)]).sin()).collect();
    let (data, at) = (Data::new(&x, y), uniform(6, 1, 9));
    let sum = 2.0 * Rbf::new(0.3) + 0.5 * Matern52::new(0.8) + White::new(0.1);
    let features = HilbertFeatures::new(&[(-2.0, 2.0)], &[25]).unwrap();
    let posterior = Sgpr::with_features(sum, features).unwrap().with_noise(0.1).unwrap().condition(&data).unwrap();
    let parts = posterior.components(0).unwrap();
    assert_add_up(&parts, &posterior, 0, &at, 1e-11);
    // The term is what its own features approximate, before data: far more noise than signal.
    let sum = 2.0 * Rbf::new(0.3) + 0.5 * Matern52::new(0.8);
    let features = HilbertFeatures::new(&[(-2.0, 2.0)], &[25]).unwrap();
    let vague = Sgpr::with_features(sum, features).unwrap().with_noise(1e12).unwrap().condition(&data).unwrap();
    let part = vague.components(0).unwrap().get("rbf").unwrap().predict(at.as_ref()).unwrap();
    assert!(part.variance.col(0).iter().all(|v| (v - 2.0).abs() < 1e-6), "{:?}", part.variance);

    let sphere = on_sphere(40, 3, 14);
    let y: Vec<f64> = (0..40).map(|i| sphere[(i, 0)] * sphere[(i, 1)]).collect();
    let features = SphericalHarmonicFeatures::new(3, 4).unwrap();
    let gp = Sgpr::with_features(0.7 * Matern32::new(0.5) + 0.2 * Rbf::new(1.0), features).unwrap();
    let posterior = gp.with_noise(0.05).unwrap().condition(&Data::new(&sphere, y)).unwrap();
    assert_add_up(&posterior.components(0).unwrap(), &posterior, 0, &sphere, 1e-11);

    // Those of an interval have a covariance that is not diagonal.
    let features = FourierFeatures::new(-2.0, 2.0, 8).unwrap();
    let posterior = Svgp::with_features(Matern32::new(1.0), features).unwrap().posterior::<f64>().unwrap();
    let error = posterior.components(0).unwrap_err().to_string();
    assert!(error.contains("take inducing points"), "{error}");
}

#[test]
fn of_several_functions_and_outputs() {
    let (data, at) = (data(30), 2.0 * uniform(5, 2, 10));
    let z = 1.5 * uniform(8, 2, 11);
    let kernels: Vec<DynKernel> =
        (0..3).map(|i| (f64::from(i + 1) * Rbf::new(1.0) + Linear::new(1.0)).dynamic()).collect();
    let classes = Data::new(data.x(), (0..30).map(|i| f64::from(i % 3)).collect::<Vec<_>>());
    let mut gp = Svgp::new(Rbf::new(1.0).dynamic(), z.as_ref()).unwrap().with_likelihood(Softmax::new(3));
    gp = gp.with_kernels(kernels).unwrap();
    gp.natural_step(&classes.part_of(30), &NaturalGradient::default()).unwrap();
    let posterior = gp.posterior().unwrap();
    for function in 0..3 {
        let parts = posterior.components(function).unwrap();
        assert_add_up(&parts, &posterior, function, &at, 1e-11);
        assert_eq!(parts.iter().next().unwrap().text(), kernels_text(function));
    }
    assert!(posterior.components(3).is_err());

    let two = Data::new(
        data.x(),
        Mat::from_fn(30, 2, |i, j| if i == 3 && j == 1 { f64::NAN } else { data.y()[(i, 0)] + j as f64 }),
    );
    let gp = BatchGp::new((Rbf::new(1.0) + 0.5 * Linear::new(1.0)).batched(2).unwrap());
    let posterior = gp.condition(&two).unwrap();
    assert_add_up(&posterior.components(1).unwrap(), &posterior, 1, &at, 1e-12);

    let gp = Standardization::of(&data).unwrap().around(ExactGp::new(kernel()).with_mean(ConstantMean::new(0.3)));
    let posterior = gp.condition(&data).unwrap();
    let parts = posterior.components(0).unwrap();
    assert_add_up(&parts, &posterior, 0, &at, 1e-12);
}

fn kernels_text(function: usize) -> String {
    (f64::from(function as u32 + 1) * Rbf::new(1.0)).dynamic().to_string()
}

/// Joint draws have the moments of the terms, and their sums those of the function; in single precision too.
#[test]
fn draws_add_up() {
    let (data, at) = (data(25), 2.0 * uniform(2, 2, 12));
    let gp = ExactGp::new(Rbf::new(1.0) + 0.5 * Linear::new(1.0)).with_noise(0.3).unwrap();
    let posterior = gp.condition(&data).unwrap();
    let parts = posterior.components(0).unwrap();
    let mut rng = Pcg64::seed_from_u64(13);
    let draws = parts.sample(at.as_ref(), 20_000, &mut rng).unwrap().values;
    let (each, n) = (parts.predict(at.as_ref()).unwrap(), 2);
    let mut joint = Mat::zeros(4, 4);
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let block = parts.covariance_between(at.as_ref(), i, j).unwrap();
        joint.as_mut().submatrix_mut(i * n, j * n, n, n).copy_from(&block);
    }
    let mean: Vec<f64> = (0..4).map(|row| each.mean[(row % n, row / n)]).collect();
    assert_moments(draws.as_ref(), &mean, &joint, 0.0, 1e-12);

    let narrow = Data::new(single(&data.x().to_owned()), single(&data.y().to_owned()));
    let parts = gp.condition(&narrow).unwrap().components(0).unwrap();
    let found = parts.predict(single(&at).as_ref()).unwrap();
    for (row, col) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        assert!((f64::from(found.mean[(row, col)]) - each.mean[(row, col)]).abs() < 1e-4);
    }
}

#[test]
fn names() {
    let data = Data::new(mat![[0.0], [1.0], [2.0]], [0.3, 1.0, 0.2]);
    let of = |kernel: DynKernel| ExactGp::new(kernel).condition(&data).unwrap();
    let posterior = of(kernel_of_one_column());
    let parts = posterior.components(0).unwrap();
    for name in [
        "kernel.sum[1].scaled.product",
        "sum[1]",
        "sum[1].scaled",
        "2 * (periodic(lengthscale=1, period=1) * rbf(lengthscale=9))",
    ] {
        assert_eq!(parts.get(name).unwrap().path(), "sum[1].scaled.product", "{name}");
    }
    for (name, says) in [
        ("rbf", "names 2 terms"),
        ("periodic", "is a part of"),
        ("sum[1].scaled.product[0].periodic", "is a part of"),
        ("lienar", "did you mean"),
        ("", "is none of"),
    ] {
        let error = parts.get(name).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let labelled = parts.labelled(["drift", "season", "wiggles", "slope"]).unwrap();
    assert_eq!(labelled.get("season").unwrap().path(), "sum[1].scaled.product");
    assert!(labelled.get("mean").is_err());
    let error = labelled.labelled(["drift"]).unwrap_err().to_string();
    assert!(error.contains("4 label(s)"), "{error}");

    let whole = of(Rbf::new(1.0).dynamic());
    assert_eq!(whole.components(0).unwrap().get("rbf").unwrap().text(), "rbf(lengthscale=1)");
    let error =
        ExactGp::new(Rbf::new(1.0) - 0.1 * Rbf::new(2.0)).allow_indefinite().condition(&data).unwrap().components(0);
    assert!(error.unwrap_err().to_string().contains("rbf(lengthscale=2)"));
}

fn kernel_of_one_column() -> DynKernel {
    let season = 2.0 * (Periodic::new(1.0, 1.0) * Rbf::new(9.0));
    (Rbf::new(3.0) + season + 0.1 * Rbf::new(0.2) + Linear::new(1.0)).dynamic()
}
