//! Means, variances, covariances and draws of posteriors.
#![allow(clippy::unwrap_used)]

use approx::assert_relative_eq;
use mercer::gp::gplvm::GplvmPosterior;
use mercer::gp::{BatchPosterior, ExactGp, IcmPosterior, OilmmPosterior, Posterior, Svgp, Variational};
use mercer::inducing::InducingPoints;
use mercer::mean::ConstantMean;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::moments::assert_moments;

use crate::common::data::line;

fn data() -> (Mat<f64>, Vec<f64>) {
    let x = line(12, 0.0, 4.8);
    let y = x.col(0).iter().map(|x| x.sin()).collect();
    (x, y)
}

fn sparse() -> Svgp<Scaled<Rbf>> {
    let z = mat![[0.0], [1.5], [3.0]];
    let factor = mat![[0.4, 0.0, 0.0], [0.2, 0.3, 0.0], [-0.1, 0.1, 0.5]];
    Svgp::new(1.3 * Rbf::new(0.9), z.as_ref())
        .unwrap()
        .with_mean(ConstantMean::new(0.7))
        .with_variational(Variational::new(&[0.3, -0.4, 1.0], factor.as_ref()).unwrap())
        .unwrap()
}

/// Mean and covariance of many draws.
fn draws_have_moments(posterior: &Posterior<f64>, at: &Mat<f64>) {
    let (mean, covariance) = (posterior.mean(at.as_ref()).unwrap(), posterior.covariance(at.as_ref(), 0).unwrap());
    let samples = posterior.sample(at.as_ref(), 20_000, &mut Pcg64::seed_from_u64(5)).unwrap();
    assert_moments(samples.values.as_ref(), mean.col_as_slice(0), &covariance, 0.0, 1e-9);
}

#[test]
fn draws_have_the_moments_of_the_posterior() {
    let at = mat![[0.3], [1.0], [1.1], [6.0]];
    draws_have_moments(&sparse().posterior().unwrap(), &at);
    let (x, y) = data();
    let exact = ExactGp::new(Rbf::new(1.0)).with_noise(0.1).unwrap();
    draws_have_moments(&exact.condition(&Data::new(x.as_ref(), &y)).unwrap(), &at);
}

/// Close points that were seen with little noise: a covariance of size 1e-8 that is singular. Draws are
/// smooth and near the data all the same, and the jitter is told.
#[test]
fn draws_of_what_is_as_good_as_known() {
    let (x, y) = data();
    let exact = ExactGp::new(Rbf::new(1.0)).with_noise(1e-8).unwrap();
    let posterior = exact.condition(&Data::new(x.as_ref(), &y)).unwrap();
    let at = Mat::from_fn(200, 1, |i, _| 1.0 + 0.01 * i as f64);
    let samples = posterior.sample(at.as_ref(), 3, &mut Pcg64::seed_from_u64(5)).unwrap();
    assert!(samples.jitter > 0.0 && samples.jitter < 1e-6, "{}", samples.jitter);
    for draw in 0..3 {
        assert!((0..200).all(|i| (samples.values[(i, draw)] - at[(i, 0)].sin()).abs() < 1e-2));
    }
    let again = posterior.sample(at.as_ref(), 3, &mut Pcg64::seed_from_u64(5)).unwrap();
    assert_eq!(samples, again);
}

/// They own what they need, whatever becomes of model and data.
#[test]
fn posteriors_go_to_other_threads() {
    fn owned<P: Predict<f64> + Clone + Send + Sync + 'static>() {}
    owned::<Posterior<f64>>();
    owned::<BatchPosterior<f64>>();
    owned::<IcmPosterior<f64>>();
    owned::<OilmmPosterior<f64>>();
    owned::<GplvmPosterior>();
    owned::<mercer::emulator::Posterior>();
    let posterior = sparse().posterior::<f64>().unwrap();
    let at = mat![[0.3], [1.0]];
    let (copy, there) = (posterior.clone(), at.clone());
    let found = std::thread::spawn(move || copy.predict(there.as_ref()).unwrap()).join().unwrap();
    assert_eq!(found, posterior.predict(at.as_ref()).unwrap());
}

/// Far from everything the posterior is the prior; chunks do not show.
#[test]
fn means_alone_and_with_variances_are_the_same() {
    let model = sparse();
    let posterior = model.posterior().unwrap();
    let at = Mat::from_fn(2500, 1, |i, _| 0.01 * i as f64);
    let predicted = posterior.predict(at.as_ref()).unwrap();
    assert!((posterior.mean(at.as_ref()).unwrap() - &predicted.mean).norm_max() < 1e-14);
    assert!((predicted.variance[(2499, 0)] - 1.3).abs() < 1e-12 && (predicted.mean[(2499, 0)] - 0.7).abs() < 1e-12);
    for row in [0, 1023, 1024, 2049, 2499] {
        let alone = posterior.predict(at.subrows(row, 1)).unwrap();
        assert!((alone.mean[(0, 0)] - predicted.mean[(row, 0)]).abs() < 1e-14);
        assert!((alone.variance[(0, 0)] - predicted.variance[(row, 0)]).abs() < 1e-14);
    }
    let covariance = posterior.covariance(at.subrows(0, 300), 0).unwrap();
    for row in 0..300 {
        assert!((covariance[(row, row)] - predicted.variance[(row, 0)]).abs() < 1e-14);
        assert!((0..row).all(|col| covariance[(row, col)] == covariance[(col, row)]));
    }
}

/// Features that cannot multiply by K_fu without storing it: the default.
#[test]
fn means_by_stored_covariances_agree() {
    use mercer::inducing::{InducingFeatures, InducingPrior};
    use mercer::linalg::Jitter;
    use mercer::tape::{KernelVar, Tape, Var};

    #[derive(Clone, Debug)]
    struct Plain(InducingPoints);
    impl Parameterized for Plain {
        fn name(&self) -> &str {
            ""
        }
        fn visit(&self, visitor: &mut dyn mercer::params::Visitor) {
            self.0.visit(visitor);
        }
        fn visit_mut(&mut self, visitor: &mut dyn mercer::params::VisitorMut) {
            self.0.visit_mut(visitor);
        }
    }
    impl InducingFeatures for Plain {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn dim(&self) -> usize {
            self.0.dim()
        }
        fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
            self.0.check_kernel(kernel)
        }
        fn prior<'t, 'a, T: Scalar>(
            &'a self,
            tape: &'t Tape<'a, T>,
            kernel: KernelVar<'t, 'a, T>,
            parameter: Var<'t, T>,
            jitter: Jitter,
        ) -> Result<InducingPrior<'t, T>, Error> {
            // From the default, a column, to a matrix again.
            let m = self.0.len();
            let rows = parameter.rows(0..m);
            self.0.prior(tape, kernel, rows, jitter)
        }
        fn cross<'t, 'a, T: Scalar>(
            &'a self,
            tape: &'t Tape<'a, T>,
            kernel: KernelVar<'t, 'a, T>,
            prior: &InducingPrior<'t, T>,
            x: Var<'t, T>,
        ) -> Result<Var<'t, T>, Error> {
            self.0.cross(tape, kernel, prior, x)
        }
    }

    let points = sparse();
    let plain = Svgp::with_features(points.kernel().clone(), Plain(points.inducing().clone()))
        .unwrap()
        .with_mean(ConstantMean::new(0.7))
        .with_variational(points.variational().clone())
        .unwrap();
    let at = Mat::from_fn(2500, 1, |i, _| 0.01 * i as f64);
    let (a, b) = (points.posterior().unwrap(), plain.posterior().unwrap());
    let (a, b) = (a.predict(at.as_ref()).unwrap(), b.predict(at.as_ref()).unwrap());
    assert!((&a.mean - &b.mean).norm_max() < 1e-14);
    assert_eq!(a.variance, b.variance);
    let (x, y) = data();
    let (mut a, b) = (
        points.gradient(&Data::new(x.as_ref(), &y).part_of(12)).unwrap(),
        plain.gradient(&Data::new(x.as_ref(), &y).part_of(12)).unwrap(),
    );
    // The rounding error is estimated along another way.
    assert_relative_eq!(a.0.rounding, b.0.rounding, max_relative = 0.5);
    a.0.rounding = b.0.rounding;
    assert_eq!(a, b);
}
