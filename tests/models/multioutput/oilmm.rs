//! Orthogonal mixtures of processes.
#![allow(clippy::unwrap_used, clippy::panic)]

use faer::linalg::solvers::{DenseSolveCore, Solve};
use mercer::data::column;
use mercer::gp::Oilmm;
use mercer::prelude::*;
use rand::SeedableRng;

use super::{inputs, kernels, mixed_covariance, oilmm, orthogonal};
use crate::common::close::assert_close;
use crate::common::data::{single, uniform};
use crate::common::dense::log_normal;
use crate::common::entries::by_columns;
use crate::common::gradients::check_model;
use crate::common::moments::assert_moments;

#[test]
fn an_orthogonal_mixture_is_the_dense_gaussian() {
    let (x, y, at) = (inputs(), uniform(7, 4, 2), uniform(3, 2, 3));
    let (h, gp) = (orthogonal(), oilmm());
    let grams: Vec<Mat<f64>> = kernels().iter().map(|kernel| kernel.gram(x.as_ref()).unwrap()).collect();
    let mut covariance = mixed_covariance(&h, &grams);
    (0..28).for_each(|i| covariance[(i, i)] += 0.2);
    let means = [0.3, -0.2, 0.1, 0.0];
    let residual: Vec<f64> = by_columns(y.as_ref()).iter().enumerate().map(|(i, y)| y - means[i / 7]).collect();
    assert_close(gp.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap(), log_normal(&residual, &covariance), 1e-12);

    let crosses: Vec<Mat<f64>> = kernels().iter().map(|k| k.cross(at.as_ref(), x.as_ref()).unwrap()).collect();
    let priors: Vec<Mat<f64>> = kernels().iter().map(|k| k.gram(at.as_ref()).unwrap()).collect();
    let (cross, prior) = (mixed_covariance(&h, &crosses), mixed_covariance(&h, &priors));
    let factor = covariance.llt(faer::Side::Lower).unwrap();
    let mean = &cross * factor.solve(Mat::from_fn(28, 1, |row, _| residual[row]));
    let left = &prior - &cross * factor.solve(cross.transpose());
    let posterior = gp.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    let predicted = posterior.predict_joint(at.as_ref()).unwrap();
    let observed = posterior.predict_observations(at.as_ref()).unwrap();
    for row in 0..3 {
        let found = predicted.covariance(row).unwrap();
        for p in 0..4 {
            assert_close(predicted.mean[(row, p)], mean[(3 * p + row, 0)] + means[p], 1e-12);
            assert_close(observed.variance[(row, p)], left[(3 * p + row, 3 * p + row)] + 0.2, 1e-12);
            (0..4).for_each(|q| assert_close(found[(p, q)], left[(3 * p + row, 3 * q + row)], 1e-12));
        }
    }

    let inverse = factor.inverse();
    let solved = &inverse * Mat::from_fn(28, 1, |row, _| residual[row]);
    let left_out = gp.leave_one_out(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    for i in 0..28 {
        let (found, row) = (&left_out[i / 7], i % 7);
        assert_close(found.variance[row], 1.0 / inverse[(i, i)], 1e-12);
        assert_close(found.mean[row], y[(row, i / 7)] - solved[(i, 0)] / inverse[(i, i)], 1e-11);
    }
}

#[test]
fn draws_of_an_orthogonal_mixture_have_its_moments() {
    let (x, y, at, gp) = (inputs(), uniform(7, 4, 2), uniform(2, 2, 3), oilmm());
    let posterior = gp.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    let predicted = posterior.predict_joint(at.as_ref()).unwrap();
    let draws = 40_000;
    let values = posterior.sample(at.as_ref(), draws, &mut rand_pcg::Pcg64::seed_from_u64(7)).unwrap().values;
    let of_last = Mat::from_fn(4, draws, |p, draw| values[(2 * p + 1, draw)]);
    let mean: Vec<f64> = (0..4).map(|p| predicted.mean[(1, p)]).collect();
    assert_moments(of_last.as_ref(), &mean, &predicted.covariance(1).unwrap(), 0.0, 0.0);
}

#[test]
fn gradients_of_an_orthogonal_mixture() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let data = Data::new(x.as_ref(), y.as_ref());
    let evidence = |gp: &Oilmm| gp.objective(&data).unwrap();
    let (value, gradient) = oilmm().gradient(&data).unwrap();
    assert_eq!(value, evidence(&oilmm()));
    check_model("two processes", &oilmm(), &gradient, 1e-7, evidence);
    // As many processes as outputs, of one kernel; away from the orthonormal start.
    let mut square = Oilmm::new(vec![kernels().remove(0)], Mat::<f64>::identity(4, 4).as_ref()).unwrap();
    square.set("mixing.basis[2, 1]", 0.7).unwrap();
    square.set("mixing.basis[0, 3]", -0.4).unwrap();
    let (_, gradient) = square.gradient(&data).unwrap();
    check_model("four processes", &square, &gradient, 1e-7, evidence);
}

/// The processes' noise is σ²/Sᵢ, which the outputs' likelihood does not know.
#[test]
fn observations_are_of_outputs_and_not_of_processes() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let single = Oilmm::new(vec![kernels().remove(0)], orthogonal().subcols(0, 1)).unwrap();
    for (gp, processes) in [(oilmm(), 2), (single, 1)] {
        let posterior = gp.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
        let latents = posterior.latents();
        assert_eq!(latents.predict(x.as_ref()).unwrap().variance.shape(), (7, processes));
        let error = latents.predict_observations(x.as_ref()).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        let error = latents.log_predictive_density(x.as_ref(), column(&[0.0; 7])).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }
}

/// Columns of W at an angle of 1e-6, or of 1/1024 in single precision: one pass of Gram–Schmidt by a Cholesky
/// decomposition would leave U orthogonal to no more than the precision times the square of the inverse.
#[test]
fn nearly_parallel_columns_make_an_orthonormal_basis() {
    let (x, y) = (inputs(), uniform(7, 4, 2));
    let start = Mat::<f64>::identity(4, 2);
    let at_an_angle = |angle: f64| {
        let mut gp = Oilmm::new(kernels(), start.as_ref()).unwrap().with_noise(0.2).unwrap();
        for (row, (first, other)) in [(1.0, 0.5), (0.5, -1.0), (-0.75, 0.25), (0.25, 1.0)].into_iter().enumerate() {
            gp.set(&format!("mixing.basis[{row}, 0]"), first).unwrap();
            gp.set(&format!("mixing.basis[{row}, 1]"), first + angle * other).unwrap();
        }
        gp
    };
    let gp = at_an_angle(1e-6);
    let h = gp.mixing().unwrap();
    assert!((h.transpose() * &h - Mat::<f64>::identity(2, 2)).norm_max() < 1e-14);
    let grams: Vec<Mat<f64>> = kernels().iter().map(|kernel| kernel.gram(x.as_ref()).unwrap()).collect();
    let mut covariance = mixed_covariance(&h, &grams);
    (0..28).for_each(|i| covariance[(i, i)] += 0.2);
    // The two make the same U, but for ε/1e-6.
    assert_close(
        gp.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap(),
        log_normal(&by_columns(y.as_ref()), &covariance),
        1e-9,
    );

    let gp = at_an_angle(1.0 / 1024.0);
    let (x32, y32) = (single(&x), single(&y));
    let expected = gp.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    assert_close(gp.objective(&Data::new(x32.as_ref(), y32.as_ref())).unwrap(), expected, 1e-5);
}

#[test]
fn principal_components_start_an_orthogonal_mixture() {
    let (x, h) = (inputs(), orthogonal());
    let y = Mat::from_fn(7, 4, |row, p| {
        (0..2).map(|l| h[(p, l)] * (x[(row, l)] + l as f64).sin()).sum::<f64>() + 0.1 * uniform(7, 4, 6)[(row, p)]
    });
    let start = Oilmm::principal(kernels(), y.as_ref(), 2).unwrap();
    let found = start.mixing().unwrap();
    // The columns of H are in its span, to the noise.
    let along = &found * (found.transpose() * &found).partial_piv_lu().solve(found.transpose() * &h);
    assert!((along - &h).norm_max() < 0.3, "{found:?}");
    let arbitrary = Oilmm::new(kernels(), Mat::<f64>::identity(4, 2).as_ref()).unwrap().with_noise(0.5).unwrap();
    let evidence = |gp: &Oilmm| gp.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    assert!(evidence(&start) > evidence(&arbitrary) + 10.0);
    for processes in [0, 4] {
        assert!(matches!(Oilmm::principal(kernels(), y.as_ref(), processes), Err(Error::Setting { .. })));
    }
    // Values of one process leave no variance.
    for (outputs, seed) in (2..6).flat_map(|outputs| (0..20).map(move |seed| (outputs, seed))) {
        let slopes = uniform(outputs, 1, seed);
        let line = Mat::from_fn(7, outputs, |row, p| slopes[(p, 0)] * x[(row, 0)]);
        let of_one = Oilmm::principal(vec![kernels().remove(0)], line.as_ref(), 1);
        assert!(matches!(of_one, Err(Error::Setting { .. })), "{outputs} {seed}");
    }
}

#[test]
fn a_missing_value_of_a_grid_is_named() {
    let (x, mut y) = (inputs(), uniform(7, 4, 2));
    y[(5, 2)] = f64::NAN;
    let error = oilmm().objective(&Data::new(x.as_ref(), y.as_ref())).unwrap_err();
    assert!(error.to_string().starts_with("y[5, 2] is missing"), "{error}");
}
