//! Models with Gaussian noise from statistics of the data, against the same models on the data.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Approximation, Sgpr, Statistics, Svgp, Variational};
use mercer::inducing::{FourierFeatures, HilbertFeatures, InducingFeatures, InducingPrior, SphericalHarmonicFeatures};
use mercer::likelihood::{Bernoulli, Gaussian};
use mercer::linalg::Jitter;
use mercer::mean::ConstantMean;
use mercer::optim::{Lbfgs, NaturalGradient, Train};
use mercer::prelude::*;
use mercer::tape::{KernelVar, Tape, Var};
use mercer::{Error, Expr, Scalar};
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use crate::common::close::assert_vector_close;
use crate::common::data::on_sphere;

fn data(n: usize, noise: f64) -> (Mat<f64>, Vec<f64>) {
    let (x, mut rng) = (on_sphere(n, 3, n as u64), Pcg64::seed_from_u64(7));
    let y = (0..n)
        .map(|row| {
            let clean = 1.0 + x[(row, 0)] - 2.0 * x[(row, 1)] * x[(row, 2)];
            clean + noise * rng.sample::<f64, _>(StandardNormal)
        })
        .collect();
    (x, y)
}

fn kernels() -> [DynKernel; 3] {
    [
        (1.5 * Rbf::new(0.8)).dynamic(),
        (0.7 * Matern32::new(0.9)).dynamic(),
        (Linear::new(0.5) + 0.2 * Matern52::new(1.1)).dynamic(),
    ]
}

fn features() -> SphericalHarmonicFeatures {
    SphericalHarmonicFeatures::new(3, 5).unwrap()
}

fn collapsed(kernel: DynKernel, noise: f64) -> Sgpr<DynKernel, SphericalHarmonicFeatures> {
    let mut model = Sgpr::with_features(kernel, features()).unwrap().with_noise(noise).unwrap();
    model = model.with_mean(ConstantMean::new(0.3));
    model.freeze("mean").unwrap();
    model
}

/// Without what the plain gradient says of the mean function, which statistics do not know.
fn but_mean(mut gradient: Vec<f64>, kernel: &DynKernel) -> Vec<f64> {
    gradient.remove(kernel.num_params());
    gradient
}

/// More data than are seen at a time, little noise, almost none, and fewer data than features.
///
/// The trace term is the difference of Σ k(x, x) and tr AAᵀ by 2σ². The factor c/√a of a feature is rounded alike for all
/// points, so some units of rounding of Σ k(x, x)/2σ² are in neither way of computing it.
#[test]
fn collapsed_bounds_are_those_of_the_data() {
    for (n, noise) in [(2500, 0.1), (700, 1e-2), (300, 1e-5), (20, 0.1)] {
        let (x, y) = data(n, noise);
        for kernel in kernels() {
            let variance = kernel.eval(&[0.0, 0.0, 1.0], &[0.0, 0.0, 1.0]).unwrap();
            let rounding = 24.0 * f64::EPSILON * n as f64 * variance / (2.0 * noise * noise);
            let model = collapsed(kernel.clone(), noise * noise);
            let statistics: Statistics = model.statistics(&Data::new(x.as_ref(), &y)).unwrap();
            assert_eq!((statistics.observations(), statistics.len()), (n, 36));
            for approximation in [Approximation::Vfe, Approximation::Dtc] {
                let model = model.clone().with_approximation(approximation);
                let (plain, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
                let (fast, same) = model.gradient(&statistics).unwrap();
                println!("{n} {kernel} {approximation:?}: {} off by {:e}", plain.value, fast.value - plain.value);
                let allowed = 1e-12 * plain.value.abs() + rounding;
                assert!((fast.value - plain.value).abs() < allowed, "{fast:?} {plain:?}");
                assert!((fast.log_density - plain.log_density).abs() < 1e-12 * plain.log_density.abs(), "{fast:?}");
                assert_eq!(model.objective(&statistics).unwrap(), fast);
                assert_eq!(same[kernel.num_params()], 0.0);
                assert_vector_close("gradient", &but_mean(same, &kernel), &but_mean(gradient, &kernel), 1e-9);
            }
        }
    }
}

/// Waves on an interval and on a box, with a remainder and without.
#[test]
fn waves_are_a_fixed_basis() {
    fn check<F: InducingFeatures>(kernel: DynKernel, features: F) {
        let (sphere, y) = data(1200, 0.3);
        let x = sphere.subcols(0, features.dim());
        let model = Sgpr::with_features(kernel.clone(), features.clone()).unwrap().with_noise(0.1).unwrap();
        let statistics = model.statistics(&Data::new(x, &y)).unwrap();
        for approximation in [Approximation::Vfe, Approximation::Dtc] {
            let model = model.clone().with_approximation(approximation);
            let (plain, gradient) = model.gradient(&Data::new(x, &y)).unwrap();
            let (fast, same) = model.gradient(&statistics).unwrap();
            assert!((fast.value - plain.value).abs() < 1e-11 * plain.value.abs(), "{kernel}: {fast:?} {plain:?}");
            assert_vector_close("gradient", &same, &gradient, 1e-9);
        }
        let model = Svgp::with_features(kernel, features).unwrap().with_likelihood(Gaussian::new(0.1));
        let (plain, gradient) = model.gradient(&Data::new(x, &y).part_of(1200)).unwrap();
        let (fast, same) = model.gradient(&model.statistics(&Data::new(x, &y)).unwrap()).unwrap();
        assert!((fast.value - plain.value).abs() < 1e-12 * plain.value.abs(), "{fast:?} {plain:?}");
        assert_vector_close("gradient", &same, &gradient, 1e-9);
    }
    let interval = [(-2.0, 2.0), (-1.7, 1.9)];
    check((1.3 * Matern32::new(0.6)).dynamic(), FourierFeatures::new(-2.0, 2.0, 12).unwrap());
    let product = (0.8 * Matern12::new(0.7).on([0]) * Matern52::new(0.9).on([1])).dynamic();
    check(product, FourierFeatures::product(&interval, &[3, 4]).unwrap());
    check((1.3 * Rbf::new([0.6, 0.8])).dynamic(), HilbertFeatures::new(&interval, &[6, 5]).unwrap());
}

#[test]
fn posteriors_are_those_of_the_data() {
    let ((x, y), (at, _)) = (data(1500, 0.1), data(20, 0.1));
    for kernel in kernels() {
        let model = collapsed(kernel, 0.01);
        let statistics = model.statistics(&Data::new(x.as_ref(), &y)).unwrap();
        let plain = model.condition(&Data::new(x.as_ref(), &y)).unwrap();
        let fast = model.condition(&statistics).unwrap();
        let means = [&fast, &plain].map(|posterior| posterior.mean(at.as_ref()).unwrap());
        assert_vector_close("mean", means[0].col_as_slice(0), means[1].col_as_slice(0), 1e-12);
        let covariances = [fast, plain].map(|posterior| posterior.covariance(at.as_ref(), 0).unwrap());
        assert!((&covariances[0] - &covariances[1]).norm_max() < 1e-13);
    }
}

/// Whatever the form of q.
#[test]
fn bounds_of_a_q_are_those_of_the_data() {
    let (x, y) = data(1300, 0.2);
    let m = features().len();
    let mut rng = Pcg64::seed_from_u64(1);
    let mean: Vec<f64> = (0..m).map(|_| rng.sample::<f64, _>(StandardNormal)).collect();
    let mut draw = |_: usize, _: usize| 0.1 * rng.sample::<f64, _>(StandardNormal);
    let full = Mat::from_fn(m, m, |row, col| {
        if row == col {
            0.4
        } else if row > col {
            draw(row, col)
        } else {
            0.0
        }
    });
    let forms = [
        Variational::prior(m).unwrap(),
        Variational::new(&mean, full.as_ref()).unwrap(),
        Variational::new(&mean, full.as_ref()).unwrap().unwhitened(),
        Variational::diagonal(&mean, &vec![0.3; m]).unwrap(),
        Variational::low_rank(&mean, &vec![0.3; m], full.subcols(0, 4)).unwrap(),
    ];
    for kernel in kernels() {
        for (form, q) in forms.iter().enumerate() {
            let mut model = Svgp::with_features(kernel.clone(), features()).unwrap();
            model = model.with_likelihood(Gaussian::new(0.04)).with_mean(ConstantMean::new(0.3));
            // Unwhitened, a kernel that lacks degrees has no density.
            model = model.with_variational(q.clone()).unwrap();
            model.freeze("mean").unwrap();
            let statistics = model.statistics(&Data::new(x.as_ref(), &y)).unwrap();
            let (plain, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(y.len())).unwrap();
            let (fast, same) = model.gradient(&statistics).unwrap();
            assert!((fast.value - plain.value).abs() < 1e-12 * plain.value.abs(), "{form}: {fast:?} {plain:?}");
            assert!((fast.kl - plain.kl).abs() <= 1e-12 * plain.kl.abs(), "{form}: {fast:?} {plain:?}");
            assert_vector_close("gradient", &but_mean(same, &kernel), &but_mean(gradient, &kernel), 1e-10);
            assert_eq!(model.objective(&statistics).unwrap(), fast);
        }
    }
}

#[test]
fn fits_find_the_same() {
    let (x, y) = data(400, 0.1);
    let mut plain = collapsed((1.0 * Rbf::new(1.0)).dynamic(), 0.1);
    let mut fast = plain.clone();
    let statistics = fast.statistics(&Data::new(x.as_ref(), &y)).unwrap();
    let found = fast.fit(&statistics, &Lbfgs::default()).unwrap();
    let expected = plain.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap();
    assert!((found.value - expected.value).abs() < 1e-6, "{found:?} {expected:?}");
    let mut svgp = fast.clone().into_svgp(&Data::new(x.as_ref(), &y)).unwrap();
    let after = svgp.fit(&statistics, &Lbfgs { max_steps: 3, ..Lbfgs::default() }).unwrap();
    assert!((after.value - found.value).abs() < 1e-6, "{after:?}");
}

/// Steps on the statistics are those on all data.
#[test]
fn steps_are_those_on_the_data() {
    let (x, y) = data(700, 0.2);
    let mut start = Svgp::with_features((1.0 * Rbf::new(1.0)).dynamic(), features()).unwrap();
    start = start.with_likelihood(Gaussian::new(0.04)).with_mean(ConstantMean::new(0.3));
    start.freeze("mean").unwrap();
    let statistics = start.statistics(&Data::new(x.as_ref(), &y)).unwrap();
    let rule = NaturalGradient { rate: 0.3, ..NaturalGradient::default() };
    let (mut plain, mut fast) = (start.clone(), start.clone());
    for _ in 0..3 {
        let expected = plain.natural_step(&Data::new(x.as_ref(), &y).part_of(700), &rule).unwrap();
        let found = fast.natural_step(&statistics, &rule).unwrap();
        assert_eq!(found.rate, expected.rate);
        assert!((found.elbo.value - expected.elbo.value).abs() < 1e-12 * expected.elbo.value.abs());
    }
    assert_vector_close("natural steps", &fast.values(), &plain.values(), 1e-11);

    let train = Train::new(20);
    let rng = &mut Pcg64::seed_from_u64(2);
    plain.train(&Data::new(x.as_ref(), &y), &train, rng).unwrap();
    fast.train(&statistics, &train, &mut rand_pcg::Pcg64::seed_from_u64(0)).unwrap();
    assert_vector_close("steps of Adam", &fast.values(), &plain.values(), 1e-8);
    plain.train(&Data::new(x.as_ref(), &y), &train.clone().with_natural_gradients(rule.clone()), rng).unwrap();
    fast.train(
        &statistics,
        &train.clone().with_natural_gradients(rule.clone()),
        &mut rand_pcg::Pcg64::seed_from_u64(0),
    )
    .unwrap();
    assert_vector_close("steps of both", &fast.values(), &plain.values(), 1e-8);
    assert!(fast.parameters().iter().filter(|entry| entry.path.starts_with("variational")).all(|entry| entry.free));
    assert!(fast.values()[0] != start.values()[0]);

    let batches = train.with_batch(50);
    for error in [
        fast.train(&statistics, &batches, &mut rand_pcg::Pcg64::seed_from_u64(0)),
        fast.train(
            &statistics,
            &batches.clone().with_natural_gradients(rule.clone()),
            &mut rand_pcg::Pcg64::seed_from_u64(0),
        ),
    ]
    .map(Result::unwrap_err)
    {
        assert!(matches!(&error, Error::Setting { name, .. } if name == "the batch"), "{error}");
    }
    let mut diagonal = start.with_variational(Variational::diagonal_prior(36).unwrap()).unwrap();
    assert!(diagonal.natural_step(&statistics, &rule).is_err());
    diagonal.unfreeze("mean").unwrap();
    assert!(diagonal.train(&statistics, &Train::default(), &mut rand_pcg::Pcg64::seed_from_u64(0)).is_err());
}

/// Values of a linear function in some directions, as a fixed basis with a dense covariance.
#[derive(Clone, Debug)]
struct Directions(Mat<f64>);
mercer::parameterized!(Directions as "directions", parameters: []);

impl Directions {
    fn times<T: Scalar>(&self, x: MatRef<'_, T>) -> Mat<T> {
        Mat::from_fn(self.0.nrows(), 3, |row, col| T::from_f64(self.0[(row, col)])) * x.transpose()
    }
}

impl InducingFeatures for Directions {
    fn len(&self) -> usize {
        self.0.nrows()
    }
    fn dim(&self) -> usize {
        3
    }
    fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
        kernel.inputs(3).map(drop)
    }
    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        jitter: Jitter,
    ) -> Result<InducingPrior<'t, T>, Error> {
        let inputs = Mat::from_fn(self.len(), 3, |row, col| T::from_f64(self.0[(row, col)]));
        let ones = tape.constant_owned(Mat::from_fn(self.len(), 1, |_, _| T::from_f64(1.0)));
        let scale = ones * kernel.theta();
        let prior = InducingPrior::dense(parameter, kernel.gram(tape.constant_owned(inputs))?, jitter)?;
        Ok(prior.with_basis_scale(scale))
    }
    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>, Error> {
        Ok(Some(self.times(x)))
    }
}

/// K_uu need not be diagonal: with two directions of three it explains a part.
#[test]
fn a_dense_covariance_works_as_well() {
    let (x, y) = data(200, 0.3);
    let directions = mat![[1.0, 0.2, 0.0], [0.3, 1.0, -0.4]];
    let points = Sgpr::new(Linear::new(0.7), directions.as_ref()).unwrap().with_noise(0.5).unwrap();
    let (expected, gradient) = points.gradient(&Data::new(x.as_ref(), &y)).unwrap();
    let model = Sgpr::with_features(Linear::new(0.7), Directions(directions)).unwrap().with_noise(0.5).unwrap();
    let plain = model.objective(&Data::new(x.as_ref(), &y)).unwrap();
    let (fast, same) = model.gradient(&model.statistics(&Data::new(x.as_ref(), &y)).unwrap()).unwrap();
    for found in [plain, fast] {
        assert!((found.value - expected.value).abs() < 1e-12 * expected.value.abs(), "{found:?} {expected:?}");
    }
    assert_vector_close("gradient", &same, &gradient[..2], 1e-11);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (x, y) = data(30, 0.1);
    let kernel = || (1.0 * Rbf::new(1.0)).dynamic();
    let model = collapsed(kernel(), 0.1);
    let statistics = model.statistics(&Data::new(x.as_ref(), &y)).unwrap();
    let named = |error: Error, expected: &str| {
        assert!(matches!(&error, Error::Setting { name, .. } if name == expected), "{error}");
    };

    let points = Sgpr::new(kernel(), x.subrows(0, 5)).unwrap();
    named(points.statistics(&Data::new(x.as_ref(), &y)).unwrap_err(), "the basis of the features");
    let fitc = model.clone().with_approximation(Approximation::Fitc);
    named(fitc.objective(&statistics).unwrap_err(), "the approximation");
    let other = Sgpr::with_features(kernel(), SphericalHarmonicFeatures::new(3, 4).unwrap()).unwrap();
    named(other.objective(&statistics).unwrap_err(), "the statistics");
    // As many features, but others.
    let capped = mercer::sphere::SphericalHarmonics::with_degrees(3, &[2, 3, 4, 7]).unwrap();
    let capped = Sgpr::with_features(kernel(), SphericalHarmonicFeatures::of(capped).unwrap()).unwrap();
    assert_eq!(capped.inducing().len(), 36);
    named(capped.objective(&statistics).unwrap_err(), "the statistics");
    // Waves that are the same in the middle of both intervals, where the first point is.
    let line = Mat::from_fn(9, 1, |row, _| 0.1 * row as f64);
    let on = |half: f64| {
        let features = FourierFeatures::new(-half, half, 5).unwrap();
        Sgpr::with_features((1.0 * Matern32::new(1.0)).dynamic(), features).unwrap()
    };
    let of_line = on(2.0).statistics(&Data::new(line.as_ref(), [0.3; 9])).unwrap();
    assert!(on(2.0).objective(&of_line).is_ok());
    named(on(3.0).objective(&of_line).unwrap_err(), "the statistics");
    named(model.clone().with_mean(ConstantMean::new(0.4)).objective(&statistics).unwrap_err(), "the statistics");

    let free = Sgpr::with_features(kernel(), features()).unwrap().with_mean(ConstantMean::new(0.3));
    assert!(free.objective(&statistics).is_ok());
    named(free.gradient(&statistics).unwrap_err(), "the mean function");
    let bernoulli = Svgp::with_features(kernel(), features()).unwrap().with_likelihood(Bernoulli::logit());
    named(bernoulli.statistics(&Data::new(x.as_ref(), &y)).unwrap_err(), "the likelihood");

    let off = mat![[0.5, 0.0, 0.0]];
    named(model.statistics(&Data::new(off.as_ref(), [1.0])).unwrap_err(), "the length of x[0]");
}
