//! What priors and posteriors of all models have in common.
#![allow(clippy::unwrap_used)]

use mercer::data::{Basis, column};
use mercer::emulator::{Emulator, Spectra};
use mercer::gp::{BatchGp, BayesianGplvm, ExactGp, Gplvm, IcmGp, Oilmm, Prior, Sgpr, Svgp};
use mercer::mean::{ConstantMean, DynMean, LinearMean};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::close::assert_close;
use crate::common::data::{plane, single, uniform};
use crate::common::dense::log_normal;
use crate::common::moments::assert_moments;

fn kernel() -> DynKernel {
    (1.3 * Matern52::new([0.9, 1.4]) + 0.2 * Linear::new(1.0)).dynamic()
}

fn noises() -> [f64; 3] {
    [0.1, 0.3, 0.2]
}

fn outputs() -> Coregionalization {
    Coregionalization::new(mat![[1.0, 0.2], [-0.5, 0.4], [2.0, -0.3]], [0.1, 0.2, 0.3])
}

fn mixing() -> Mat<f64> {
    mat![[1.0, 1.0], [1.0, -1.0], [0.5, 0.0]]
}

fn icm() -> IcmGp {
    let means = [0.3, -0.2, 0.1].map(|level| DynMean::new(ConstantMean::new(level))).to_vec();
    IcmGp::new(kernel(), outputs()).with_means(means).unwrap().with_noise(&noises()).unwrap()
}

fn oilmm() -> Oilmm {
    let kernels = vec![kernel(), Rbf::new(0.7).dynamic()];
    Oilmm::new(kernels, mixing().as_ref()).unwrap().with_noise(0.2).unwrap().with_mean(ConstantMean::new(0.4))
}

fn batch() -> BatchGp {
    let members = [1.0, 0.7, 1.3].map(|level| (level * kernel()).dynamic()).to_vec();
    let kernels = mercer::batch::Batched::of(members, &[]).unwrap();
    BatchGp::new(kernels).with_mean(LinearMean::new([0.5, -1.0])).with_noises(&noises()).unwrap()
}

/// Of three components that are not orthogonal, whose weights have nuggets.
fn spectra() -> mercer::emulator::Posterior {
    let basis = Basis::new(mat![[1.0, 0.2, 0.0, 0.1], [0.0, 1.0, -0.3, 0.0], [0.4, 0.0, 1.0, 0.2]]).unwrap();
    let spectra = Spectra::new(plane(12).0, uniform(12, 4, 8), basis).unwrap();
    let kernels = vec![kernel(), Rbf::new(0.7).dynamic(), (0.8 * kernel()).dynamic()];
    let emulator = Emulator::new(&spectra).unwrap().with_kernels(kernels).unwrap();
    emulator.with_precision(2.0).unwrap().with_nugget(&[0.1, 0.2, 0.3]).unwrap().condition(&spectra).unwrap()
}

/// A prior and a posterior of each model.
fn all() -> Vec<(&'static str, Box<dyn Predict<f64>>)> {
    let (x, y) = plane(12);
    let (x, many, z) = (x.as_ref(), uniform(12, 3, 4), uniform(5, 2, 5));
    let exact = ExactGp::new(kernel()).with_noise(0.3).unwrap().with_mean(ConstantMean::new(0.7));
    let sparse = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.3).unwrap();
    let variational = Svgp::new(kernel(), z.as_ref()).unwrap();
    let latent = Gplvm::new(kernel(), x).unwrap().with_noise(0.3).unwrap();
    let bayesian = BayesianGplvm::new(Rbf::new(1.0), x, Mat::full(12, 2, 0.1).as_ref(), z.as_ref()).unwrap();
    vec![
        ("exact prior", Box::new(exact.prior()) as Box<dyn Predict<f64>>),
        ("exact", Box::new(exact.condition(&Data::new(x, &y)).unwrap())),
        ("collapsed prior", Box::new(sparse.prior())),
        ("collapsed", Box::new(sparse.condition(&Data::new(x, &y)).unwrap())),
        ("variational prior", Box::new(variational.prior())),
        ("variational", Box::new(variational.posterior().unwrap())),
        ("batch prior", Box::new(batch().prior())),
        ("batch", Box::new(batch().condition(&Data::new(x, many.as_ref())).unwrap())),
        ("grid prior", Box::new(icm().prior())),
        ("grid", Box::new(icm().condition(&Data::new(x, many.as_ref())).unwrap())),
        ("mixture prior", Box::new(oilmm().prior().unwrap())),
        ("mixture", Box::new(oilmm().condition(&Data::new(x, many.as_ref())).unwrap())),
        ("latents prior", Box::new(latent.prior(3))),
        ("latents", Box::new(latent.condition(&many).unwrap())),
        ("uncertain latents prior", Box::new(bayesian.prior(3))),
        ("uncertain latents", Box::new(bayesian.condition(&many).unwrap())),
        ("spectra", Box::new(spectra())),
    ]
}

/// Shapes, the diagonal of the covariance, the noise, and the density of each row of observations.
#[test]
fn answers_fit_together() {
    let at = uniform(4, 2, 6);
    for (name, model) in all() {
        let (functions, seen) = (model.predict(at.as_ref()).unwrap(), model.predict_observations(at.as_ref()).unwrap());
        assert_eq!(functions.mean.shape(), (4, model.functions()), "{name}");
        assert_eq!(seen.variance.shape(), (4, model.outputs()), "{name}");
        assert_eq!(functions.mean, seen.mean, "{name}");
        for function in 0..model.functions() {
            let covariance = model.covariance(at.as_ref(), function).unwrap();
            for row in 0..4 {
                assert_close(covariance[(row, row)], functions.variance[(row, function)], 1e-12);
                assert!(seen.variance[(row, function)] > functions.variance[(row, function)] + 0.05, "{name}");
            }
        }
        assert!(matches!(model.covariance(at.as_ref(), 3), Err(Error::Setting { .. })), "{name}");
        let y = uniform(4, model.outputs(), 7);
        assert_eq!(model.log_predictive_density(at.as_ref(), y.as_ref()).unwrap().len(), 4, "{name}");
        let more = uniform(4, model.outputs() + 1, 7);
        let error = model.log_predictive_density(at.as_ref(), more.as_ref()).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{name}: {error}");
    }
}

/// All points of all functions jointly, against the covariance of each function.
#[test]
fn draws_have_the_moments_that_are_predicted() {
    let at = mat![[0.3, -0.2], [0.5, 0.1], [-1.5, 1.0]];
    for (name, model) in all() {
        let draws = model.sample(at.as_ref(), 4000, &mut Pcg64::seed_from_u64(11)).unwrap().values;
        assert_eq!(draws.nrows(), 3 * model.functions(), "{name}");
        let mean = model.predict(at.as_ref()).unwrap().mean;
        for function in 0..model.functions() {
            let covariance = model.covariance(at.as_ref(), function).unwrap();
            assert_moments(draws.subrows(3 * function, 3), mean.col_as_slice(function), &covariance, 0.0, 1e-9);
        }
    }
}

/// Draws of outputs that belong together do so: at one point, of all outputs.
#[test]
fn draws_of_several_outputs_have_their_covariance() {
    let ((x, _), at) = (plane(12), mat![[0.3, -0.2]]);
    let y = uniform(12, 3, 4);
    let data = Data::new(x.as_ref(), y.as_ref());
    let k = kernel().eval(&[0.3, -0.2], &[0.3, -0.2]).unwrap();
    let b: Mat<f64> = outputs().gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap();
    let grid = icm().condition(&data).unwrap();
    let mixture = oilmm().condition(&data).unwrap();
    let of_mixture =
        &mixing() * Mat::from_fn(2, 2, |i, j| if i == j { [k, 1.0][i] } else { 0.0 }) * mixing().transpose();
    let weights = spectra().weights(at.as_ref()).unwrap().covariance.remove(0);
    let cases: [(Box<dyn Predict<f64>>, Mat<f64>); 5] = [
        (Box::new(icm().prior()), faer::Scale(k) * b),
        (Box::new(grid.clone()), grid.predict_joint(at.as_ref()).unwrap().covariance(0).unwrap()),
        (Box::new(oilmm().prior().unwrap()), of_mixture),
        (Box::new(mixture.clone()), mixture.predict_joint(at.as_ref()).unwrap().covariance(0).unwrap()),
        (Box::new(spectra()), weights),
    ];
    for (model, covariance) in cases {
        let draws = model.sample(at.as_ref(), 4000, &mut Pcg64::seed_from_u64(12)).unwrap().values;
        let mean: Vec<f64> = model.predict(at.as_ref()).unwrap().mean.row(0).iter().copied().collect();
        assert_moments(draws.as_ref(), &mean, &covariance, 0.0, 1e-9);
    }
}

/// Of all outputs jointly, missing ones left out.
#[test]
fn densities_under_a_prior_are_those_of_its_normal_distribution() {
    let (at, y) = (mat![[0.3, -0.2], [1.0, 0.5]], mat![[0.5, -0.3, 1.0], [0.2, f64::NAN, -1.0]]);
    let found = icm().prior().log_predictive_density(at.as_ref(), y.as_ref()).unwrap();
    let b: Mat<f64> = outputs().gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap();
    for (row, seen) in [vec![0, 1, 2], vec![0, 2]].into_iter().enumerate() {
        let k = kernel().eval(&[at[(row, 0)], at[(row, 1)]], &[at[(row, 0)], at[(row, 1)]]).unwrap();
        let noise = |i: usize, j: usize| if i == j { noises()[i] } else { 0.0 };
        let covariance =
            Mat::from_fn(seen.len(), seen.len(), |i, j| b[(seen[i], seen[j])] * k + noise(seen[i], seen[j]));
        let miss: Vec<f64> = seen.iter().map(|&p| y[(row, p)] - [0.3, -0.2, 0.1][p]).collect();
        assert_close(found[row], log_normal(&miss, &covariance), 1e-13);
    }
    let gp = ExactGp::new(kernel()).with_noise(0.3).unwrap();
    let found = gp.prior().log_predictive_density(at.as_ref(), column(&[0.4, 0.1])).unwrap();
    let k = kernel().eval(&[0.3, -0.2], &[0.3, -0.2]).unwrap();
    assert_close(found[0], log_normal(&[0.4], &mat![[k + 0.3]]), 1e-13);
}

/// A posterior outlives its model and goes to other threads; what it says is the same there, in either precision.
#[test]
fn posteriors_own_what_they_need() {
    let ((x, y), at) = (plane(12), uniform(4, 2, 6));
    let posterior = ExactGp::new(kernel()).with_noise(0.3).unwrap().condition(&Data::new(x.as_ref(), &y)).unwrap();
    let here = posterior.predict(at.as_ref()).unwrap();
    let threads = (0..3).map(|_| {
        let (posterior, at) = (posterior.clone(), at.clone());
        std::thread::spawn(move || posterior.predict(at.as_ref()).unwrap())
    });
    for thread in threads.collect::<Vec<_>>() {
        assert_eq!(thread.join().unwrap(), here);
    }
    let prior: Prior<f32> = ExactGp::new(kernel()).prior();
    let found = prior.predict(single(&at).as_ref()).unwrap().variance;
    assert_close(
        f64::from(found[(0, 0)]),
        kernel().eval(&[at[(0, 0)], at[(0, 1)]], &[at[(0, 0)], at[(0, 1)]]).unwrap(),
        1e-6,
    );
}

#[test]
fn a_prior_refuses_what_is_no_covariance() {
    let at = mat![[0.0], [1.0]];
    let gp = ExactGp::new(-1.0 * Rbf::new(1.0));
    let prior = gp.prior();
    let predicted: Result<_, Error> = prior.predict(at.as_ref());
    assert!(matches!(predicted, Err(Error::Indefinite { .. })), "{predicted:?}");
    let drawn = prior.sample(at.as_ref(), 3, &mut Pcg64::seed_from_u64(1));
    assert!(matches!(drawn, Err(Error::Indefinite { .. })));
    assert!(matches!(prior.covariance(at.as_ref(), 0), Err(Error::Indefinite { .. })));
    let seen = Svgp::new(-1.0 * Rbf::new(1.0), at.as_ref()).unwrap().prior();
    assert!(matches!(seen.predict_observations(at.as_ref()), Err(Error::Indefinite { .. })));

    let difference = ExactGp::new(Rbf::new(1.0) - 0.5 * Rbf::new(1.0)).allow_indefinite().prior();
    assert_eq!(difference.predict(at.as_ref()).unwrap().variance[(0, 0)], 0.5);
}

/// Quantiles, probabilities and draws of observations have the means and the variances that are predicted: outputs are
/// normal.
#[test]
fn observations_are_of_one_distribution() {
    let at = mat![[0.3, -0.2], [0.5, 0.1], [-1.5, 1.0]];
    for (name, model) in all() {
        let seen = model.predict_observations(at.as_ref()).unwrap();
        let quantiles = model.quantiles(at.as_ref(), &[0.025, 0.5, 0.8]).unwrap();
        assert_eq!(quantiles.len(), 3, "{name}");
        for (found, (p, z)) in
            quantiles.iter().zip([(0.025, -1.959_963_984_540_054), (0.5, 0.0), (0.8, 0.841_621_233_572_914_3)])
        {
            let back = model.cumulative(at.as_ref(), found.as_ref()).unwrap();
            for row in 0..3 {
                for output in 0..model.outputs() {
                    let expected = seen.mean[(row, output)] + z * seen.variance[(row, output)].sqrt();
                    assert_close(found[(row, output)], expected, 1e-12);
                    assert_close(back[(row, output)], p, 1e-12);
                }
            }
        }
        let draws = model.sample_observations(at.as_ref(), 4000, &mut Pcg64::seed_from_u64(12)).unwrap().values;
        assert_eq!(draws.shape(), (3 * model.outputs(), 4000), "{name}");
        for (row, draws) in draws.row_iter().enumerate() {
            let (point, output) = (row % 3, row / 3);
            let (mean, variance) = (seen.mean[(point, output)], seen.variance[(point, output)]);
            let of = |power: i32| draws.iter().map(|y| (y - mean).powi(power)).sum::<f64>() / 4000.0;
            // Five standard errors, of the variance of a normal variable √(2/n) of itself.
            assert!(of(1).abs() < 5.0 * (variance / 4000.0).sqrt(), "{name}: {}", of(1));
            assert!((of(2) / variance - 1.0).abs() < 5.0 * (2.0f64 / 4000.0).sqrt(), "{name}: {} {variance}", of(2));
        }
        let missing = Mat::full(3, model.outputs(), f64::NAN);
        let found = model.cumulative(at.as_ref(), missing.as_ref()).unwrap();
        assert!(found.col_iter().all(|column| column.iter().all(|p| p.is_nan())), "{name}");
        for bad in [-0.1, 1.5, f64::NAN] {
            assert!(matches!(model.quantiles(at.as_ref(), &[0.5, bad]), Err(Error::Setting { .. })), "{name}");
        }
        assert!(matches!(model.cumulative(at.as_ref(), at.subrows(0, 2)), Err(Error::Shape { .. })), "{name}");
        assert!(model.quantiles(at.as_ref(), &[]).unwrap().is_empty(), "{name}");
    }
}

/// Noise that is correlated between outputs is so in draws.
#[test]
fn draws_of_observations_have_the_covariance_of_the_noise() {
    let (x, many) = (plane(12).0, uniform(12, 3, 4));
    let noise = Coregionalization::new(mat![[0.5], [0.6], [-0.4]], [0.1, 0.2, 0.1]);
    let gp = IcmGp::new(kernel(), outputs()).with_correlated_noise(noise).unwrap();
    let posterior = gp.condition(&Data::new(x.as_ref(), many.as_ref())).unwrap();
    let at = mat![[0.3, -0.2]];
    let noise = posterior.noise();
    assert!(noise[(0, 1)] > 0.2);
    let joint = posterior.predict_joint(at.as_ref()).unwrap().with_noise(noise.as_ref()).unwrap();
    let mean: Vec<f64> = joint.mean.row(0).iter().copied().collect();
    let draws = posterior.sample_observations(at.as_ref(), 8000, &mut Pcg64::seed_from_u64(3)).unwrap().values;
    assert_moments(draws.as_ref(), &mean, &joint.covariance(0).unwrap(), 0.0, 1e-9);
}

/// In the units of the data, and through a likelihood of several functions and outputs.
#[test]
fn observations_in_units_and_through_mixtures() {
    use mercer::gp::Standardization;
    use mercer::likelihood::{Gaussian, Likelihood, LinearMixing, Poisson, Softmax};
    let (x, y) = plane(12);
    let scaled: Vec<f64> = y.iter().map(|y| 90.0 + 10.0 * y).collect();
    let data = Data::new(x.as_ref(), &scaled);
    let units = Standardization::of(&data).unwrap();
    let posterior = units.around(ExactGp::new(kernel()).with_noise(0.3).unwrap()).condition(&data).unwrap();
    let at = mat![[0.3, -0.2], [0.5, 0.1]];
    let seen = posterior.predict_observations(at.as_ref()).unwrap();
    let bounds = posterior.quantiles(at.as_ref(), &[0.5, 0.975]).unwrap();
    for row in 0..2 {
        assert_close(bounds[0][(row, 0)], seen.mean[(row, 0)], 1e-12);
        let upper = seen.mean[(row, 0)] + 1.959_963_984_540_054 * seen.variance[(row, 0)].sqrt();
        assert_close(bounds[1][(row, 0)], upper, 1e-12);
    }
    assert_close(posterior.cumulative(at.as_ref(), bounds[1].as_ref()).unwrap()[(1, 0)], 0.975, 1e-12);
    let draws = posterior.sample_observations(at.as_ref(), 4000, &mut Pcg64::seed_from_u64(3)).unwrap().values;
    let mean = draws.row(0).iter().sum::<f64>() / 4000.0;
    assert!((mean - seen.mean[(0, 0)]).abs() < 5.0 * (seen.variance[(0, 0)] / 4000.0).sqrt());

    let likelihoods: Vec<Box<dyn Likelihood>> = vec![Box::new(Gaussian::new(0.3)), Box::new(Poisson::new())];
    let mixing = LinearMixing::new(mat![[1.0, 0.5], [-0.7, 0.3]].as_ref(), likelihoods).unwrap();
    let z = uniform(5, 2, 5);
    let gp = Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(mixing);
    for model in [Box::new(gp.prior::<f64>()) as Box<dyn Predict<f64>>, Box::new(gp.posterior::<f64>().unwrap())] {
        let bounds = model.quantiles(at.as_ref(), &[0.3, 0.9]).unwrap();
        assert_eq!(bounds[1].shape(), (2, 2));
        assert!(bounds[1].col(1).iter().all(|count| count.fract() == 0.0));
        let back = model.cumulative(at.as_ref(), bounds[1].as_ref()).unwrap();
        assert!((back[(0, 0)] - 0.9).abs() < 1e-10 && back[(0, 1)] >= 0.9);
        let draws = model.sample_observations(at.as_ref(), 2000, &mut Pcg64::seed_from_u64(3)).unwrap().values;
        for row in 0..4 {
            let below = draws.row(row).iter().filter(|&&y| y <= bounds[1][(row % 2, row / 2)]).count() as f64 / 2000.0;
            let p = back[(row % 2, row / 2)];
            assert!((below - p).abs() < 5.0 * (p * (1.0 - p) / 2000.0).sqrt(), "{row}: {below} {p}");
        }
        // Drawn at points next to each other, functions are nearly the same.
        let close = mat![[0.3, -0.2], [0.3, -0.2]];
        let draws = model.sample_observations(close.as_ref(), 500, &mut Pcg64::seed_from_u64(3)).unwrap().values;
        let of = |draw: usize| (draws[(0, draw)] - draws[(1, draw)]).powi(2);
        let noise = (0..500).map(of).sum::<f64>() / 500.0;
        assert!((noise / 0.6 - 1.0).abs() < 5.0 * (2.0f64 / 500.0).sqrt(), "{noise}");
    }
    let classes = Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(Softmax::new(3)).posterior::<f64>().unwrap();
    assert!(matches!(classes.quantiles(at.as_ref(), &[0.5]), Err(Error::Setting { .. })));
    let draws = classes.sample_observations(at.as_ref(), 50, &mut Pcg64::seed_from_u64(3)).unwrap().values;
    assert!(draws.nrows() == 2 && draws.col_iter().all(|draw| draw.iter().all(|&y| y == 0.0 || y == 1.0 || y == 2.0)));
    // Functions that were not observed themselves.
    let latents = oilmm().condition(&Data::new(x.as_ref(), uniform(12, 3, 4).as_ref())).unwrap().latents().clone();
    assert!(latents.quantiles(at.as_ref(), &[0.5]).is_err() && latents.cumulative(at.as_ref(), at.as_ref()).is_err());
    assert!(latents.sample_observations(at.as_ref(), 1, &mut Pcg64::seed_from_u64(3)).is_err());
}
