//! Samples of posteriors as functions.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Approximation, ExactGp, PathwiseSamples, Posterior, Sgpr, Svgp, Variational};
use mercer::inducing::{InducingFeatures, InducingPrior};
use mercer::likelihood::{Gaussian, Heteroscedastic};
use mercer::linalg::Jitter;
use mercer::mean::LinearMean;
use mercer::prelude::*;
use mercer::tape::{KernelVar, Tape, Var};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::{plane, single, singles, uniform, uniform_from};
use crate::common::gradients::check_matrix;
use crate::common::moments::assert_moments;

fn kernel() -> DynKernel {
    (1.3 * Matern32::new([1.2, 0.8]) + 0.4 * Rbf::new(0.9).on([1]) * Cosine::new(3.0).on([0])).dynamic()
}

fn mean() -> LinearMean {
    LinearMean::new([0.4, -1.0]).with_intercept(0.3)
}

fn inducing() -> Mat<f64> {
    uniform(5, 2, 2) * 2.0
}

/// Factor and mean of a q away from the prior.
fn q() -> (Vec<f64>, Mat<f64>) {
    let mut rng = Pcg64::seed_from_u64(3);
    let mean = (0..5).map(|_| rng.random_range(-1.0..1.0)).collect();
    let noise = uniform_from(&mut rng, 5, 5);
    (mean, Mat::from_fn(5, 5, |i, j| if i > j { 0.3 * noise[(i, j)] } else { f64::from(u8::from(i == j)) * 0.6 }))
}

fn draw(posterior: &Posterior<f64>, draws: usize, features: usize, seed: u64) -> PathwiseSamples<f64> {
    posterior.pathwise(draws, features, &mut Pcg64::seed_from_u64(seed)).unwrap()
}

/// Means and covariances over draws against the posterior's, each within five standard errors: those of products of
/// normal variables, of which products of a sum of `features` waves have at most some 3/features more.
fn moments(posterior: &Posterior<f64>) {
    let (draws, features) = (1500, 12);
    let x = mat![[0.1, 0.2], [0.9, -0.3], [-1.4, 1.1], [5.0, 5.0]];
    let samples = draw(posterior, draws, features, 7);
    let (values, n) = (samples.values(x.as_ref()).unwrap(), 4);
    let mean = posterior.mean(x.as_ref()).unwrap();
    assert_eq!(
        (values.nrows(), values.ncols(), samples.latents()),
        (mean.nrows() * mean.ncols(), draws, posterior.latents())
    );
    for latent in 0..posterior.latents() {
        let covariance = posterior.covariance(x.as_ref(), latent).unwrap();
        let (of_latent, mean) = (values.subrows(latent * n, n), mean.col_as_slice(latent));
        assert_moments(of_latent, mean, &covariance, 3.0 / features as f64, 0.0);
    }
}

#[test]
fn exact_and_collapsed_samples_have_the_moments_of_the_posterior() {
    let (x, y) = plane(12);
    let data = Data::new(x.as_ref(), &y);
    let exact = ExactGp::new(kernel()).with_noise(0.3).unwrap().with_mean(mean());
    moments(&exact.condition(&data).unwrap());
    for approximation in [Approximation::Vfe, Approximation::Fitc] {
        let sparse = Sgpr::new(kernel(), inducing().as_ref()).unwrap().with_noise(0.3).unwrap();
        let sparse = sparse.with_mean(mean()).with_approximation(approximation);
        moments(&sparse.condition(&data).unwrap());
    }
}

#[test]
fn variational_samples_have_the_moments_of_the_posterior() {
    let (mean_of_q, factor) = q();
    let deviation = [0.5, 0.7, 0.2, 1.1, 0.9];
    for q in [
        Variational::new(&mean_of_q, factor.as_ref()).unwrap(),
        Variational::new(&mean_of_q, factor.as_ref()).unwrap().unwhitened(),
        Variational::diagonal(&mean_of_q, &deviation).unwrap(),
        Variational::low_rank(&mean_of_q, &deviation, factor.as_ref().subcols(0, 2)).unwrap(),
    ] {
        let gp = Svgp::new(kernel(), inducing().as_ref()).unwrap().with_mean(mean()).with_variational(q).unwrap();
        moments(&gp.posterior().unwrap());
    }
    // Singular: two inducing points at one place, so that jitter is a part of what the values have.
    let mut twice = inducing();
    for d in 0..2 {
        twice[(1, d)] = twice[(0, d)];
    }
    let gp = Svgp::new(kernel(), twice.as_ref()).unwrap().with_jitter(Jitter::Fixed(0.05));
    moments(&gp.with_variational(Variational::new(&mean_of_q, factor.as_ref()).unwrap()).unwrap().posterior().unwrap());
}

#[test]
fn each_latent_function_has_its_own_samples() {
    let (mean_of_q, factor) = q();
    let one = Variational::new(&mean_of_q, factor.as_ref()).unwrap();
    let other = Variational::diagonal(&[0.5; 5], &[0.3; 5]).unwrap();
    let gp = Svgp::new(kernel(), inducing().as_ref()).unwrap().with_likelihood(Heteroscedastic::new());
    let gp = gp.with_variationals(vec![one, other]).unwrap();
    moments(&gp.posterior().unwrap());
    let own = gp.with_kernels(vec![kernel(), Matern52::new(0.8).dynamic()]).unwrap();
    moments(&own.posterior().unwrap());
}

/// A q that knows u: each sample has it at Z, to the solve's accuracy, however few the waves.
#[test]
fn samples_go_through_the_inducing_variables() {
    let (u, _) = q();
    let tiny = Mat::<f64>::identity(5, 5) * 1e-14;
    let known = Variational::new(&u, tiny.as_ref()).unwrap().unwhitened();
    let z = inducing();
    let gp = Svgp::new(kernel(), z.as_ref()).unwrap().with_jitter(Jitter::Fixed(0.0)).with_variational(known).unwrap();
    let values = draw(&gp.posterior().unwrap(), 20, 4, 1).values(z.as_ref()).unwrap();
    for sample in values.col_iter() {
        assert!(sample.iter().zip(&u).all(|(f, u)| (f - u).abs() < 1e-11), "{sample:?}");
    }
}

#[test]
fn samples_are_functions() {
    let (x, y) = plane(12);
    let gp = ExactGp::new(kernel()).with_noise(0.1).unwrap().with_mean(mean());
    let samples = draw(&gp.condition(&Data::new(x.as_ref(), &y)).unwrap(), 3, 40, 5);
    let at = uniform(1500, 2, 9) * 3.0;
    let all = samples.values(at.as_ref()).unwrap();
    assert_eq!(samples.values(at.as_ref()).unwrap(), all);
    assert_eq!(draw(&gp.condition(&Data::new(x.as_ref(), &y)).unwrap(), 3, 40, 5).values(at.as_ref()).unwrap(), all);
    assert_ne!(draw(&gp.condition(&Data::new(x.as_ref(), &y)).unwrap(), 3, 40, 6).values(at.as_ref()).unwrap(), all);
    for row in [0, 1030, 1499] {
        let one = samples.values(at.subrows(row, 1)).unwrap();
        assert!((0..3).all(|draw| (one[(0, draw)] - all[(row, draw)]).abs() < 1e-12));
    }
    let x32 = single(&x);
    let posterior = gp.condition(&Data::new(x32.as_ref(), singles(&y))).unwrap();
    let values = posterior.pathwise(2, 40, &mut Pcg64::seed_from_u64(5)).unwrap().values(x32.as_ref()).unwrap();
    assert!(values.col_iter().all(|sample| sample.iter().all(|f| f.is_finite())));
}

#[test]
fn gradients_are_those_of_the_samples() {
    let (mean_of_q, factor) = q();
    let one = Variational::new(&mean_of_q, factor.as_ref()).unwrap();
    let gp = Svgp::new(kernel(), inducing().as_ref()).unwrap().with_likelihood(Heteroscedastic::new());
    let gp = gp.with_variationals(vec![one.clone(), one]).unwrap().with_mean(mean());
    let gp = gp.with_kernels(vec![kernel(), Matern52::new(0.8).dynamic()]).unwrap();
    let samples = draw(&gp.posterior().unwrap(), 2, 30, 5);
    let at = mat![[0.3, -0.4], [1.2, 0.8], [-7.0, 0.1]];
    for (latent, draw) in [(0, 1), (1, 0), (1, 1)] {
        let gradient = samples.gradient(at.as_ref(), latent, draw).unwrap();
        // The values of the rows do not depend on each other.
        let sum = |at: &Mat<f64>| {
            let values = samples.values(at.as_ref()).unwrap();
            values.subrows(3 * latent, 3).col(draw).sum()
        };
        check_matrix(format!("function {latent}, draw {draw}"), &at, &gradient, 1e-7, sum);
    }
    assert!(matches!(samples.gradient(at.as_ref(), 2, 0), Err(Error::Setting { .. })));
    assert!(matches!(samples.gradient(at.as_ref(), 0, 2), Err(Error::Setting { .. })));
    assert!(matches!(samples.values(mat![[0.0]].as_ref()), Err(Error::Shape { .. })));
}

/// The function at the origin, by features that do not say so.
#[derive(Clone, Debug)]
struct Origin;

mercer::parameterized!(Origin as "origin", parameters: []);

impl InducingFeatures for Origin {
    fn len(&self) -> usize {
        1
    }

    fn dim(&self) -> usize {
        2
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
        kernel.inputs(2).map(drop)
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        jitter: Jitter,
    ) -> Result<InducingPrior<'t, T>, Error> {
        InducingPrior::dense(parameter, kernel.gram(tape.constant_owned(Mat::zeros(1, 2)))?, jitter)
    }

    fn cross<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        _: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>, Error> {
        kernel.cross(tape.constant_owned(Mat::zeros(1, 2)), x)
    }
}

#[test]
fn what_has_no_samples_is_named() {
    let refused = |posterior: Posterior<f64>, features| {
        posterior.pathwise(1, features, &mut Pcg64::seed_from_u64(0)).unwrap_err().to_string()
    };
    let periodic = Svgp::new((Rbf::new(1.0) + 2.0 * Periodic::new(1.0, 3.0)).dynamic(), inducing().as_ref()).unwrap();
    assert!(refused(periodic.posterior().unwrap(), 9).contains("`periodic("));
    let few = Svgp::new(kernel(), inducing().as_ref()).unwrap().with_likelihood(Gaussian::new(0.1));
    assert!(refused(few.posterior().unwrap(), 1).contains("at least 2"));
    let other = Svgp::with_features(kernel(), Origin).unwrap();
    assert!(refused(other.posterior().unwrap(), 9).contains("values of the function at points"));
}
