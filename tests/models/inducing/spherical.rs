//! Spherical-harmonic features against stored values of an independent implementation, the exact process, and
//! finite differences.
#![allow(clippy::unwrap_used)]

use mercer::Error;
use mercer::gp::{ExactGp, Sgpr, Svgp};
use mercer::inducing::{InducingFeatures, SphericalHarmonicFeatures};
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::optim::{Lbfgs, NaturalGradient};
use mercer::prelude::*;
use mercer::sphere::SphericalHarmonics;
use mercer::tape::Tape;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use serde_json::Value;

use crate::common::close::assert_vector_close;
use crate::common::data::{on_sphere, single, singles};
use crate::common::gradients::{check_matrix, check_model};
use crate::common::stored::{read, vector};

fn notebook() -> Value {
    read("sphere_notebook.json")
}

fn points(value: &Value) -> Mat<f64> {
    let values = vector(value);
    Mat::from_fn(values.len() / 3, 3, |row, col| values[3 * row + col])
}

/// Points on the sphere in so many dimensions, and what a process might be there.
fn data(n: usize, dim: usize, seed: u64) -> (Mat<f64>, Vec<f64>) {
    let x = on_sphere(n, dim, seed);
    let y = (0..n).map(|row| x[(row, 0)] - 2.0 * x[(row, 0)] * x[(row, 1)] + 0.1 * (7.0 * x[(row, 1)]).sin()).collect();
    (x, y)
}

struct Start {
    kernel: Scaled<Rbf>,
    features: SphericalHarmonicFeatures,
    noise: f64,
}

fn start(notebook: &Value, nugget: f64) -> Start {
    let exp = |name: &str| notebook[name].as_f64().unwrap().exp();
    let features = SphericalHarmonicFeatures::new(3, notebook["l_max"].as_u64().unwrap() as usize).unwrap();
    Start {
        kernel: exp("log_variance") * Rbf::new(exp("log_lengthscale")),
        features: features.with_nugget(nugget).unwrap(),
        noise: exp("log_noise_var"),
    }
}

fn collapsed(Start { kernel, features, noise }: Start) -> Sgpr<Scaled<Rbf>, SphericalHarmonicFeatures> {
    Sgpr::with_features(kernel, features).unwrap().with_noise(noise).unwrap()
}

#[test]
fn the_sphere_notebook_s_start_matches() {
    let notebook = notebook();
    let number = |name: &str| notebook[name].as_f64().unwrap();
    let (x, y) = (points(&notebook["X"]), vector(&notebook["y"]));
    let Start { kernel, features, noise } = start(&notebook, number("jitter"));
    let model = Svgp::with_features(kernel, features).unwrap().with_likelihood(Gaussian::new(noise));
    let (elbo, natural) = model.gradient(&Data::new(x.as_ref(), &y).part_of(y.len())).unwrap();
    assert!((elbo.value + number("neg_elbo")).abs() < 1e-10 * number("neg_elbo"));
    assert!((elbo.expected_log_likelihood - number("expected_loglik")).abs() < 1e-10 * number("neg_elbo"));
    assert!((elbo.kl - number("kl")).abs() < 1e-10);
    assert_eq!(elbo.jitter, 0.0);

    let found: Vec<f64> = model.unconstrained_gradient(&natural).unwrap().iter().map(|entry| -entry).collect();
    let grads = &notebook["grads"];
    let hyper: Vec<f64> =
        ["log_variance", "log_lengthscale", "log_noise_var"].map(|name| grads[name].as_f64().unwrap()).to_vec();
    let (mean, factor) = (vector(&grads["mean"]), vector(&grads["factor"]));
    assert_eq!(found.len(), 3 + 81 + factor.len());
    for (name, found, expected) in
        [("hyperparameters", &found[..3], &hyper), ("mean", &found[3..84], &mean), ("factor", &found[84..], &factor)]
    {
        assert_vector_close(name, found, expected, 1e-7);
    }

    let posterior = model.posterior().unwrap();
    let train = posterior.predict(x.as_ref()).unwrap();
    assert!(train.mean.col(0).iter().all(|mean| *mean == number("train_f_mean")));
    assert!(train.variance.col(0).iter().all(|variance| (variance - number("train_f_var")).abs() < 1e-10));
    let test = posterior.predict(points(&notebook["X_test"]).as_ref()).unwrap();
    let stored = vector(&notebook["test_f_mean"]).into_iter().zip(vector(&notebook["test_f_var"]));
    for (row, (mean, variance)) in stored.enumerate() {
        assert!((test.mean[(row, 0)] - mean).abs() < 1e-10 && (test.variance[(row, 0)] - variance).abs() < 1e-10);
    }
}

/// At the stored start, and after L-BFGS: with q integrated out, three numbers are left to learn.
#[test]
fn the_collapsed_bound_on_the_sphere_notebook() {
    let notebook = notebook();
    let number = |name: &str| notebook[name].as_f64().unwrap();
    let (x, y) = (points(&notebook["X"]), vector(&notebook["y"]));
    let data = Data::new(x.as_ref(), &y);
    let with_nugget = collapsed(start(&notebook, number("jitter")));
    let (bound, stored) = (with_nugget.objective(&data).unwrap(), number("collapsed_elbo_same_hypers"));
    assert!((bound.value - stored).abs() < 1e-10 * stored, "{} is not {stored}", bound.value);
    assert!(bound.value <= with_nugget.upper_bound(&data).unwrap());

    let mut model = collapsed(start(&notebook, 0.0));
    assert!(model.objective(&data).unwrap().value > bound.value);
    let optimum = model.fit(&data, &Lbfgs::default()).unwrap();
    println!("-bound {:.4} after {} evaluations, {}", optimum.value, optimum.evaluations, model.kernel());
    assert!(optimum.converged && optimum.value <= -1318.66, "{}", optimum.value);

    let svgp = model.clone().into_svgp(&data).unwrap();
    let elbo = svgp.objective(&data).unwrap().value;
    assert!((elbo + optimum.value).abs() < 1e-9 * elbo, "{elbo} {}", optimum.value);
    let (of_q, given) = (svgp.posterior().unwrap(), model.condition(&data).unwrap());
    let at = points(&notebook["X_test"]);
    let (of_q, given) = (of_q.predict(at.as_ref()).unwrap(), given.predict(at.as_ref()).unwrap());
    for row in 0..at.nrows() {
        assert!((of_q.mean[(row, 0)] - given.mean[(row, 0)]).abs() < 1e-12);
        assert!((of_q.variance[(row, 0)] - given.variance[(row, 0)]).abs() < 1e-12);
    }
}

/// Natural gradients: one step of rate 1 from the prior is the collapsed bound.
#[test]
fn one_natural_step_is_the_collapsed_bound() {
    let (x, y) = data(60, 4, 5);
    let (kernel, features) = (1.3 * Matern32::new(0.8), SphericalHarmonicFeatures::new(4, 4).unwrap());
    let best = Sgpr::with_features(kernel.clone(), features.clone()).unwrap().with_noise(0.05).unwrap();
    let best = best.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    let mut model = Svgp::with_features(kernel, features).unwrap().with_likelihood(Gaussian::new(0.05));
    model.natural_step(&Data::new(x.as_ref(), &y).part_of(60), &NaturalGradient::default()).unwrap();
    let found = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    assert!((found - best).abs() < 1e-9 * best.abs(), "{found} is not {best}");
}

#[test]
fn more_degrees_tend_to_the_exact_process() {
    let (x, y) = data(50, 3, 1);
    let (at, _) = data(20, 3, 2);
    // The spectrum of a squared exponential falls like that of an analytic function, Matérn's by a power.
    for (kernel, degrees, gap, apart) in [
        ((1.5 * Rbf::new(0.8)).dynamic(), [2, 5, 10, 20], 1e-9, 1e-10),
        ((0.7 * Matern52::new(0.9)).dynamic(), [2, 6, 14, 30], 0.05, 1e-4),
        ((Polynomial::new(2, 0.3, 1.0) * Rbf::new(1.2)).dynamic(), [2, 5, 10, 20], 1e-9, 1e-10),
    ] {
        let exact = ExactGp::new(kernel.clone()).with_noise(0.01).unwrap();
        let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let expected = exact.condition(&Data::new(x.as_ref(), &y)).unwrap().predict(at.as_ref()).unwrap();
        let mut gaps = Vec::new();
        for l_max in degrees {
            let features = SphericalHarmonicFeatures::new(3, l_max).unwrap();
            let sparse = Sgpr::with_features(kernel.clone(), features).unwrap().with_noise(0.01).unwrap();
            gaps.push(evidence - sparse.objective(&Data::new(x.as_ref(), &y)).unwrap().value);
            if l_max == degrees[3] {
                let found = sparse.condition(&Data::new(x.as_ref(), &y)).unwrap().predict(at.as_ref()).unwrap();
                let far = |a: &Mat<f64>, b: &Mat<f64>| (a - b).norm_max();
                assert!(far(&found.mean, &expected.mean) < apart, "{kernel}: {}", far(&found.mean, &expected.mean));
                assert!(far(&found.variance, &expected.variance) < apart, "{kernel}");
                let upper = sparse.upper_bound(&Data::new(x.as_ref(), &y)).unwrap();
                assert!(upper >= evidence - 1e-9 && upper - evidence < gap, "{kernel}: {upper} {evidence}");
            }
        }
        println!("{kernel}: {gaps:?}");
        assert!(gaps.windows(2).all(|pair| pair[1] < pair[0]), "{kernel}: {gaps:?}");
        assert!(gaps[3].abs() < gap, "{kernel}: {gaps:?}");
    }
}

/// Gradients of the collapsed bound, from closed forms and from quadrature, against central differences.
#[test]
fn gradients_in_hyperparameters_are_the_differences() {
    let (x, y) = data(40, 3, 3);
    for kernel in [(1.5 * Rbf::new(0.8)).dynamic(), (0.7 * Matern32::new(0.9) * Polynomial::new(1, 0.5, 1.0)).dynamic()]
    {
        let features = SphericalHarmonicFeatures::new(3, 4).unwrap().with_nugget(1e-3).unwrap();
        let model = Sgpr::with_features(kernel, features).unwrap().with_noise(0.1).unwrap();
        let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        let value = |model: &Sgpr<_, _>| model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        check_model(model.kernel(), &model, &gradient, 1e-6, value);
    }
}

/// K_uf on a tape, as a function of x: its gradient is tangent, and the difference along the sphere.
#[test]
fn gradients_in_points_are_the_differences() {
    let (x, _) = data(5, 4, 4);
    let features = SphericalHarmonicFeatures::new(4, 3).unwrap();
    let (kernel, m) = (2.0 * Matern52::new(0.7), features.len());
    let weights = Mat::from_fn(m, 5, |row, col| ((3 * row + 5 * col) % 7) as f64 - 3.0);
    let run = |x: &Mat<f64>| {
        let tape = Tape::new(Par::Seq);
        let (kernel, x) = (tape.fixed_kernel(&kernel), tape.parameter(x.clone()));
        let none = features.parameter(&tape);
        let prior = features.prior(&tape, kernel, none, Jitter::default()).unwrap();
        let k_uf = features.cross(&tape, kernel, &prior, x).unwrap();
        let loss = k_uf.inner(tape.constant(weights.as_ref()));
        let gradient = tape.backward(loss).unwrap().get(x).unwrap().to_owned();
        (tape.scalar(loss).unwrap(), gradient)
    };
    let (_, gradient) = run(&x);
    check_matrix("x", &x, &gradient, 1e-8, |x| run(x).0);
}

/// A linear kernel has degree 1 alone: the features of the others change nothing, even with a q of their own.
#[test]
fn degrees_that_the_kernel_lacks_are_harmless() {
    let (x, y) = data(12, 3, 6);
    let model = |l_max| {
        let features = SphericalHarmonicFeatures::new(3, l_max).unwrap();
        Sgpr::with_features(Linear::new(2.0), features).unwrap().with_noise(0.1).unwrap()
    };
    let (one, many) = (model(1), model(6));
    let exact = ExactGp::new(Linear::new(2.0)).with_noise(0.1).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap();
    for model in [&one, &many] {
        let (found, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        assert!((found.value - exact).abs() < 1e-12 * exact.abs(), "{} {exact}", found.value);
        assert!(gradient.iter().all(|entry| entry.is_finite()));
    }
    let (few, all) =
        (one.gradient(&Data::new(x.as_ref(), &y)).unwrap().1, many.gradient(&Data::new(x.as_ref(), &y)).unwrap().1);
    assert!((few[0] - all[0]).abs() < 1e-11 * few[0].abs());
    let svgp = many.into_svgp(&Data::new(x.as_ref(), &y)).unwrap();
    assert!((svgp.objective(&Data::new(x.as_ref(), &y)).unwrap().value - exact).abs() < 1e-11 * exact.abs());
}

#[test]
fn a_part_of_the_harmonics_is_a_coarser_model() {
    let (x, y) = data(40, 9, 7);
    let bound = |harmonics: SphericalHarmonics| {
        let features = SphericalHarmonicFeatures::of(harmonics).unwrap();
        let model = Sgpr::with_features(Matern52::new(1.0), features).unwrap().with_noise(0.05).unwrap();
        model.objective(&Data::new(x.as_ref(), &y)).unwrap().value
    };
    let all = bound(SphericalHarmonics::new(9, 3).unwrap());
    let capped = bound(SphericalHarmonics::with_at_most(9, &[0, 1, 2, 3], 12).unwrap());
    let lower = bound(SphericalHarmonics::new(9, 2).unwrap());
    let exact =
        ExactGp::new(Matern52::new(1.0)).with_noise(0.05).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap();
    assert!(capped < all && lower < all && all < exact, "{capped} {lower} {all} {exact}");
}

/// As conditioning on all others does, one by one.
#[test]
fn leaving_one_out_is_conditioning_on_the_others() {
    let (x, y) = data(14, 3, 11);
    let features = SphericalHarmonicFeatures::new(3, 3).unwrap();
    let model = Sgpr::with_features(1.2 * Matern32::new(0.9), features).unwrap().with_noise(0.1).unwrap();
    let found = model.leave_one_out(&Data::new(x.as_ref(), &y)).unwrap();
    for left_out in 0..14 {
        let others: Vec<usize> = (0..14).filter(|&row| row != left_out).collect();
        let seen = mercer::data::rows(x.as_ref(), &others).unwrap();
        let of_y: Vec<f64> = others.iter().map(|&row| y[row]).collect();
        let posterior = model.condition(&Data::new(seen.as_ref(), &of_y)).unwrap();
        let expected = posterior.predict_observations(x.subrows(left_out, 1)).unwrap();
        assert!((found.mean[left_out] - expected.mean[(0, 0)]).abs() < 1e-11);
        assert!((found.variance[left_out] - expected.variance[(0, 0)]).abs() < 1e-11);
    }
}

#[test]
fn single_precision_agrees() {
    let (x, y) = data(60, 3, 8);
    for kernel in [(1.5 * Rbf::new(0.8)).dynamic(), (0.7 * Matern32::new(0.9)).dynamic()] {
        let features = SphericalHarmonicFeatures::new(3, 5).unwrap();
        let model = Sgpr::with_features(kernel, features).unwrap().with_noise(0.1).unwrap();
        let (expected, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        let (x32, y32) = (single(&x), singles(&y));
        let (found, gradient32) = model.gradient(&Data::new(x32.as_ref(), &y32)).unwrap();
        assert!(
            (found.value - expected.value).abs() < 1e-4 * expected.value.abs(),
            "{} {}",
            found.value,
            expected.value
        );
        for (found, expected) in gradient32.iter().zip(&gradient) {
            assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{gradient32:?} {gradient:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let features = || SphericalHarmonicFeatures::new(3, 4).unwrap();
    let model = Sgpr::with_features(Rbf::new(1.0), features()).unwrap();
    let off = mat![[0.0, 0.6, 0.8], [0.0, 0.6, 0.81]];
    let error = model.objective(&Data::new(off.as_ref(), [0.0, 1.0])).unwrap_err();
    assert!(matches!(&error, Error::Setting { name, .. } if name == "the length of x[1]"), "{error}");
    let posterior = Svgp::with_features(Rbf::new(1.0), features()).unwrap();
    assert!(posterior.posterior::<f64>().unwrap().predict(off.as_ref()).is_err());
    assert!(model.objective(&Data::new(mat![[0.6, 0.8]].as_ref(), [0.0])).is_err());

    // By the culprit, not the whole.
    let error = Sgpr::with_features(Rbf::new(1.0) + Rbf::new(0.5).on([0, 1]), features()).unwrap_err();
    assert!(matches!(&error, Error::NotZonal { kernel, .. } if !kernel.contains('+')), "{error}");
    assert!(matches!(Sgpr::with_features(Rbf::new([1.0, 2.0]), features()), Err(Error::Dimension { .. })));
    for nugget in [-1e-9, f64::NAN, f64::INFINITY] {
        assert!(matches!(features().with_nugget(nugget), Err(Error::Setting { .. })));
    }

    // Equal lengthscales are zonal; their gradient, one by one, is not.
    let equal = Sgpr::with_features(Rbf::new([0.7, 0.7, 0.7]), features()).unwrap();
    let (x, y) = data(10, 3, 9);
    let same = Sgpr::with_features(Rbf::new(0.7), features()).unwrap();
    let (found, expected) =
        (equal.objective(&Data::new(x.as_ref(), &y)).unwrap(), same.objective(&Data::new(x.as_ref(), &y)).unwrap());
    assert!((found.value - expected.value).abs() < 1e-10);
    assert!(matches!(equal.gradient(&Data::new(x.as_ref(), &y)), Err(Error::NotZonal { .. })));
}

/// Zonal kernels of several kinds.
fn zonal_kernels() -> impl Strategy<Value = DynKernel> {
    let lengthscale = || 0.3f64..3.0;
    let leaf = prop_oneof![
        lengthscale().prop_map(|l| Rbf::new(l).dynamic()),
        lengthscale().prop_map(|l| Matern12::new(l).dynamic()),
        lengthscale().prop_map(|l| Matern52::new(l).dynamic()),
        (0.1f64..2.0).prop_map(|v| Linear::new(v).dynamic()),
        (lengthscale(), 0.2f64..3.0).prop_map(|(l, a)| RationalQuadratic::new(l, a).dynamic()),
    ];
    (leaf.clone(), leaf, 0.1f64..3.0, any::<bool>())
        .prop_map(|(a, b, v, product)| if product { v * a * b } else { v * a + b })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: mercer::testkit::trials(48) as u32,
        rng_seed: RngSeed::Fixed(mercer::testkit::seed(23)),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the kernel, the degrees, the noise, the nugget and q.
    #[test]
    fn no_bound_exceeds_the_evidence(
        kernel in zonal_kernels(),
        dim in 2usize..6,
        l_max in 0usize..6,
        nugget in prop_oneof![Just(0.0), 1e-6f64..0.1],
        noise in 1e-3f64..1.0,
        seed in 0u64..1000,
    ) {
        let (x, y) = data(25, dim, seed);
        let features = SphericalHarmonicFeatures::new(dim, l_max).unwrap().with_nugget(nugget).unwrap();
        let m = features.len();
        let exact = ExactGp::new(kernel.clone()).with_noise(noise).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap();
        let collapsed = Sgpr::with_features(kernel.clone(), features.clone()).unwrap().with_noise(noise).unwrap();
        let best = collapsed.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        let rounding = 1e-9 * exact.abs().max(1.0);
        prop_assert!(best <= exact + rounding, "{} {}", best, exact);
        prop_assert!(exact <= collapsed.upper_bound(&Data::new(x.as_ref(), &y)).unwrap() + rounding);

        let mut rng = Pcg64::seed_from_u64(seed);
        let mean: Vec<f64> = (0..m).map(|_| rng.sample::<f64, _>(StandardNormal)).collect();
        let factor = Mat::from_fn(m, m, |row, col| match row.cmp(&col) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => rng.random_range(0.1..1.5),
            std::cmp::Ordering::Greater => rng.random_range(-0.2..0.2),
        });
        let q = mercer::gp::Variational::new(&mean, factor.as_ref()).unwrap();
        let gap = collapsed.gap(&Data::new(x.as_ref(), &y), &q).unwrap();
        let svgp = Svgp::with_features(kernel, features).unwrap().with_likelihood(Gaussian::new(noise));
        let elbo = svgp.with_variational(q).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        prop_assert!((best - elbo - gap).abs() <= 1e-9 * gap.abs().max(exact.abs()), "{} {} {}", best, elbo, gap);
    }
}
