//! Draws where the covariance is singular: of what is certain, and of values that determine each other.
#![allow(clippy::unwrap_used)]

use approx::assert_abs_diff_eq;
use mercer::gp::{BatchGp, ExactGp, Oilmm, Svgp, Variational};
use mercer::mean::ConstantMean;
use mercer::prelude::*;
use mercer::testkit::{seed, trials};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::{single, uniform_from};
use crate::common::moments::assert_moments;

fn generator() -> Pcg64 {
    Pcg64::seed_from_u64(seed(41))
}

/// f(0) = 0 for a linear function, whatever is known of it, alone and among other points.
#[test]
fn what_is_certain_is_drawn_as_it_is() {
    let gp = ExactGp::new(Linear::new(1.0)).with_noise(0.1).unwrap().with_mean(ConstantMean::new(0.7));
    for at in [mat![[0.0]], mat![[0.0], [0.0]], mat![[3.0], [0.0], [-2.0], [0.0]]] {
        let posterior = gp.condition(&Data::new(mat![[1.0]].as_ref(), [2.0])).unwrap();
        let draws = posterior.sample(at.as_ref(), 5, &mut generator()).unwrap();
        let narrow = gp.condition(&Data::new(mat![[1.0f32]].as_ref(), [2.0])).unwrap();
        let narrow = narrow.sample(single(&at).as_ref(), 5, &mut generator()).unwrap();
        for row in (0..at.nrows()).filter(|&row| at[(row, 0)] == 0.0) {
            assert!(draws.values.row(row).iter().all(|&f| f == 0.7), "{:?}", draws.values);
            assert!(narrow.values.row(row).iter().all(|&f| f == 0.7), "{:?}", narrow.values);
        }
    }
}

/// q of which nothing, or one direction, is uncertain.
#[test]
fn a_singular_q_is_drawn_in_its_range() {
    let z = mat![[0.0], [1.0], [2.5]];
    let mean = [0.3, -1.0, 2.0];
    for q in [
        Variational::new(&mean, Mat::zeros(3, 3).as_ref()).unwrap(),
        Variational::new(&mean, mat![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-2.0, 0.0, 0.0]].as_ref()).unwrap(),
    ] {
        let one_direction = q.covariance().norm_max() > 0.0;
        let gp = Svgp::new(Rbf::new(1.0), z.as_ref()).unwrap().with_variational(q.unwhitened()).unwrap();
        let posterior = gp.posterior().unwrap();
        let draws = posterior.sample(z.as_ref(), 4, &mut generator()).unwrap().values;
        let paths = posterior.pathwise(4, 50, &mut generator()).unwrap().values(z.as_ref()).unwrap();
        for draws in [draws, paths] {
            for draw in draws.col_iter() {
                // f(z) = m + (0, 1, −2) t, to the root of the rounding error where a variance is its rounding.
                let t = draw[1] - mean[1];
                assert_abs_diff_eq!(draw[0], mean[0], epsilon = 1e-7);
                assert_abs_diff_eq!(draw[2] - mean[2], -2.0 * t, epsilon = 1e-7);
                assert_eq!(t.abs() > 1e-6, one_direction, "{t}");
            }
        }
    }
}

/// Functions of few parameters at many points: covariances of low rank, at points that repeat, of known and unknown
/// functions. Draws have the moments, and lie in the range: they are functions of few parameters as well.
#[test]
fn draws_of_functions_of_few_parameters_have_their_moments() {
    let mut rng = generator();
    for _ in 0..trials(12) {
        let (dim, n) = (rng.random_range(1..4), rng.random_range(2..12));
        let scale = 10f64.powf(rng.random_range(-3.0..3.0));
        let kernel = scale * (Linear::new(1.0) + 0.5);
        let data = rng.random_range(1..8);
        let noise = scale * 10f64.powf(rng.random_range(-6.0..0.0));
        let x = uniform_from(&mut rng, data, dim) * 2.0;
        let y: Vec<f64> = (0..data).map(|row| scale.sqrt() * (1.0 + x[(row, 0)])).collect();
        let gp = ExactGp::new(kernel).with_noise(noise).unwrap();
        let posterior = gp.condition(&Data::new(x.as_ref(), &y)).unwrap();
        let mut at = uniform_from(&mut rng, n, dim) * 2.0;
        let first = at.row(0).to_owned();
        at.row_mut(n - 1).copy_from(&first);
        let (mean, covariance) = (posterior.mean(at.as_ref()).unwrap(), posterior.covariance(at.as_ref(), 0).unwrap());
        let draws = posterior.sample(at.as_ref(), 3000, &mut rng).unwrap().values;
        assert_moments(draws.as_ref(), mean.col_as_slice(0), &covariance, 0.0, 1e-9 * (1.0 + covariance.norm_max()));

        let few = posterior.sample(at.as_ref(), 3, &mut rng).unwrap().values;
        // Where variances are cancelled to rounding, what is left of them has its root.
        let loss = 1e-6 * scale.sqrt();
        for draw in 0..3 {
            assert_abs_diff_eq!(few[(0, draw)], few[(n - 1, draw)], epsilon = loss);
        }
    }
}

/// Of several outputs, some are certain.
#[test]
fn several_outputs_are_drawn_where_they_are_certain() {
    let (x, y) = (mat![[1.0], [2.0]], mat![[3.0, -1.0], [5.0, 2.0]]);
    let at = mat![[0.0], [1.0], [0.0]];
    let batch = BatchGp::new(Linear::new(1.0).batched(2).unwrap()).with_noise(0.2).unwrap();
    let draws =
        batch.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap().sample(at.as_ref(), 4, &mut generator()).unwrap();
    for output in 0..2 {
        let values = draws.values.subrows(3 * output, 3);
        assert!([0, 2].iter().all(|&row| values.row(row).iter().all(|&f| f == 0.0)));
        assert!(values.row(1).iter().all(|&f| f != 0.0));
    }
    let mixing = mat![[1.0, 1.0], [1.0, -1.0]];
    let mixed = Oilmm::new(vec![Linear::new(1.0)], mixing.as_ref()).unwrap().with_noise(0.5).unwrap();
    let draws =
        mixed.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap().sample(at.as_ref(), 4, &mut generator()).unwrap();
    assert!([0, 2, 3, 5].iter().all(|&row| draws.values.row(row).iter().all(|&f| f == 0.0)), "{:?}", draws.values);
}

#[test]
fn what_is_no_covariance_is_refused() {
    let gp = ExactGp::new(Rbf::new(1.0) - 2.0 * Rbf::new(0.5)).allow_indefinite().with_noise(10.0).unwrap();
    let posterior = gp.condition(&Data::new(mat![[50.0]].as_ref(), [2.0])).unwrap();
    let error = posterior.sample(mat![[0.0], [1.0]].as_ref(), 1, &mut generator()).unwrap_err();
    assert!(matches!(error, Error::NotPositiveDefinite { .. }), "{error}");
}
