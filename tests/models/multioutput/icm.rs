//! Outputs that are all seen at all inputs.
#![allow(clippy::unwrap_used, clippy::panic)]

use faer::linalg::solvers::Solve;
use mercer::algebra::icm;
use mercer::gp::{ExactGp, IcmGp, IcmPosterior, JointPrediction, Stacked};
use mercer::mean::{ConstantMean, DynMean};
use mercer::prelude::*;

use super::inputs;
use crate::common::close::assert_close;
use crate::common::data::{single, uniform};
use crate::common::dense::log_normal;
use crate::common::entries::by_columns;
use crate::common::gradients::check_model;

#[test]
fn predictions_of_shapes_that_do_not_fit_are_refused() {
    let good = JointPrediction {
        mean: Mat::<f64>::zeros(3, 2),
        mixing: Mat::zeros(2, 1),
        latent_variance: Mat::zeros(3, 1),
        noise: Mat::identity(2, 2),
        clamped: 0,
    };
    assert!(good.marginals().is_ok() && good.covariance(2).is_ok() && good.log_density(good.mean.as_ref()).is_ok());
    for last in [2, usize::MAX] {
        assert!(matches!(good.covariance(last.max(3)), Err(Error::Rows { .. })));
    }
    let bad = [
        JointPrediction { noise: Mat::identity(3, 3), ..good.clone() },
        JointPrediction { mixing: Mat::zeros(1, 1), ..good.clone() },
        JointPrediction { mixing: Mat::zeros(2, 2), ..good.clone() },
        JointPrediction { latent_variance: Mat::zeros(2, 1), ..good.clone() },
        JointPrediction { mean: Mat::zeros(3, 1), ..good },
    ];
    for predicted in bad {
        assert!(matches!(predicted.marginals(), Err(Error::Shape { .. })));
        assert!(matches!(predicted.covariance(2), Err(Error::Shape { .. })));
        assert!(matches!(predicted.log_density(predicted.mean.as_ref()), Err(Error::Shape { .. })));
    }
    let [grid, _] = on_a_grid();
    let (x, y) = (inputs(), uniform(7, grid.outputs(), 2));
    let posterior = grid.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    assert!(matches!(posterior.cross_covariance(x.as_ref(), 0, usize::MAX), Err(Error::Rows { .. })));
}

fn outputs() -> Coregionalization {
    Coregionalization::new(mat![[1.0, 0.2], [-0.5, 0.4], [2.0, -0.3]], [0.1, 0.2, 0.3])
}

/// Independent noise, and correlated noise.
fn on_a_grid() -> [IcmGp<Matern52>; 2] {
    let means = [0.3, -0.2, 0.1].map(|level| DynMean::new(ConstantMean::new(level))).to_vec();
    let gp = IcmGp::new(Matern52::new(1.4), outputs()).with_means(means).unwrap();
    let correlated = Coregionalization::new(mat![[0.3], [0.2], [-0.1]], [0.1, 0.2, 0.05]);
    [gp.clone().with_noise(&[0.1, 0.3, 0.2]).unwrap(), gp.with_correlated_noise(correlated).unwrap()]
}

/// Σ of either.
fn noise_covariances() -> [Mat<f64>; 2] {
    let v = [0.3, 0.2, -0.1];
    let diagonal = |values: [f64; 3]| Mat::from_fn(3, 3, |i, j| if i == j { values[i] } else { 0.0 });
    [diagonal([0.1, 0.3, 0.2]), diagonal([0.1, 0.2, 0.05]) + Mat::from_fn(3, 3, |i, j| v[i] * v[j])]
}

#[test]
fn a_grid_is_the_dense_gaussian() {
    let (x, y, at, kernel) = (inputs(), uniform(7, 3, 2), uniform(4, 2, 3), Matern52::new(1.4));
    let b: Mat<f64> = outputs().gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap();
    let product = |gram: Mat<f64>| {
        let (n, m) = gram.shape();
        Mat::from_fn(3 * n, 3 * m, |i, j| b[(i / n, j / m)] * gram[(i % n, j % m)])
    };
    let cross = product(kernel.cross(at.as_ref(), x.as_ref()).unwrap());
    let (signal, prior) = (product(kernel.gram(x.as_ref()).unwrap()), product(kernel.gram(at.as_ref()).unwrap()));
    let means = [0.3, -0.2, 0.1];
    let residual: Vec<f64> = by_columns(y.as_ref()).iter().enumerate().map(|(i, y)| y - means[i / 7]).collect();
    for (gp, sigma) in on_a_grid().iter().zip(noise_covariances()) {
        let covariance =
            Mat::from_fn(21, 21, |i, j| signal[(i, j)] + if i % 7 == j % 7 { sigma[(i / 7, j / 7)] } else { 0.0 });
        assert_close(
            gp.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap(),
            log_normal(&residual, &covariance),
            1e-12,
        );

        let factor = covariance.llt(faer::Side::Lower).unwrap();
        let mean = &cross * factor.solve(Mat::from_fn(21, 1, |row, _| residual[row]));
        let left = &prior - &cross * factor.solve(cross.transpose());
        let posterior: IcmPosterior<f64> = gp.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
        let predicted = posterior.predict_joint(at.as_ref()).unwrap();
        let observed = predicted.clone().with_noise(posterior.noise().as_ref()).unwrap();
        let marginals = posterior.predict_observations(at.as_ref()).unwrap();
        for (p, q) in (0..3).flat_map(|p| (0..3).map(move |q| (p, q))) {
            let joint = posterior.cross_covariance(at.as_ref(), p, q).unwrap();
            for row in 0..4 {
                assert_close(predicted.mean[(row, p)], mean[(4 * p + row, 0)] + means[p], 1e-12);
                assert_close(predicted.covariance(row).unwrap()[(p, q)], left[(4 * p + row, 4 * q + row)], 1e-12);
                let with_noise = left[(4 * p + row, 4 * q + row)] + sigma[(p, q)];
                assert_close(observed.covariance(row).unwrap()[(p, q)], with_noise, 1e-12);
                if p == q {
                    assert_close(marginals.variance[(row, p)], with_noise, 1e-12);
                }
                (0..4).for_each(|col| assert_close(joint[(row, col)], left[(4 * p + row, 4 * q + col)], 1e-12));
            }
        }
        let next = Mat::from_fn(4, 3, |row, p| predicted.mean[(row, p)] + 0.1 * (row + p) as f64);
        let miss: Vec<f64> = (0..3).map(|p| 0.1 * (2 + p) as f64).collect();
        let expected = log_normal(&miss, &Mat::from_fn(3, 3, |p, q| left[(4 * p + 2, 4 * q + 2)] + sigma[(p, q)]));
        assert_close(observed.log_density(next.as_ref()).unwrap()[2], expected, 1e-11);
        assert_close(posterior.log_predictive_density(at.as_ref(), next.as_ref()).unwrap()[2], expected, 1e-11);
    }
}

#[test]
fn gradients_on_a_grid() {
    let (x, y) = (inputs(), uniform(7, 3, 2));
    let data = Data::new(x.as_ref(), y.as_ref());
    for gp in on_a_grid() {
        let (value, gradient) = gp.gradient(&data).unwrap();
        let evidence = |gp: &IcmGp<Matern52>| gp.objective(&data).unwrap();
        assert_eq!(value, evidence(&gp));
        check_model("a grid", &gp, &gradient, 1e-7, evidence);
    }
}

/// The same model by rows (x, p), dense.
#[test]
fn a_grid_is_its_stacked_rows() {
    let (x, y, at) = (inputs(), uniform(7, 3, 2), uniform(4, 2, 3));
    let grid = IcmGp::new(Matern52::new(1.4), outputs()).with_noise(&[0.1, 0.3, 0.2]).unwrap();
    let own = BlockDiagonal::new([0.05, 0.25, 0.15].map(White::new));
    let rows = ExactGp::new(icm(Matern52::new(1.4), 2, outputs()) + own).with_noise(0.05).unwrap();
    let stacked = Stacked::with_missing(x.as_ref(), y.as_ref()).unwrap();
    let evidence = rows.objective(&Data::new(stacked.x(), stacked.y())).unwrap();
    assert_close(grid.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap(), evidence, 1e-12);
    let posterior = rows.condition(&Data::new(stacked.x(), stacked.y())).unwrap();
    let functions = posterior.predict(stacked.points(at.as_ref()).as_ref()).unwrap();
    let of_grid = grid.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap().predict(at.as_ref()).unwrap();
    let functions = stacked.unstack(&functions).unwrap();
    for (row, (p, own)) in (0..4).flat_map(|row| [0.05, 0.25, 0.15].into_iter().enumerate().map(move |p| (row, p))) {
        assert_close(functions.variance[(row, p)], of_grid.variance[(row, p)] + own, 1e-12);
    }
    let by_rows = posterior.predict_observations(stacked.points(at.as_ref()).as_ref()).unwrap();
    let by_rows = stacked.unstack(&by_rows).unwrap();
    let by_grid =
        grid.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap().predict_observations(at.as_ref()).unwrap();
    assert!(
        (by_grid.mean - by_rows.mean).norm_max() < 1e-12 && (by_grid.variance - by_rows.variance).norm_max() < 1e-12
    );
}

#[test]
fn one_output_is_a_process() {
    let (x, y) = (inputs(), uniform(7, 1, 2));
    let grid = IcmGp::new(Rbf::new(1.3), Coregionalization::new(mat![[0.0]], [1.7])).with_noise(&[0.2]).unwrap();
    let exact = ExactGp::new(1.7 * Rbf::new(1.3)).with_noise(0.2).unwrap();
    let evidence = exact.objective(&Data::new(x.as_ref(), by_columns(y.as_ref()))).unwrap();
    assert_close(grid.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap(), evidence, 1e-13);
    assert_close(grid.objective(&Data::new(single(&x).as_ref(), single(&y).as_ref())).unwrap(), evidence, 1e-5);
}

/// A dense covariance of these 20,000 values would take 3.2 GB.
#[test]
fn many_outputs_take_no_dense_covariance() {
    let x = Mat::from_fn(100, 1, |row, _| 0.1 * row as f64);
    let y = Mat::from_fn(100, 200, |row, p| (0.1 * row as f64 + 0.01 * p as f64).sin());
    let weights = Mat::from_fn(200, 2, |p, r| [f64::cos, f64::sin][r](0.01 * p as f64));
    let gp = IcmGp::new(Rbf::new(1.0), Coregionalization::new(weights, vec![0.01; 200]));
    let gp = gp.with_noise(&[0.01; 200]).unwrap();
    let (_, gradient) = gp.gradient(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    assert!(gradient.iter().all(|entry| entry.is_finite()));
    let predicted = gp.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap().predict(mat![[3.33]].as_ref()).unwrap();
    (0..200).for_each(|p| assert_close(predicted.mean[(0, p)], (3.33 + 0.01 * p as f64).sin(), 0.01));
}

#[test]
fn what_does_not_fit_a_grid_is_refused() {
    let (x, mut y, [gp, _]) = (inputs(), uniform(7, 3, 2), on_a_grid());
    assert!(matches!(gp.objective(&Data::new(x.as_ref(), y.as_ref().subcols(0, 2))), Err(Error::Shape { .. })));
    assert!(matches!(gp.objective(&Data::new(x.as_ref().subrows(0, 6), y.as_ref())), Err(Error::Shape { .. })));
    assert!(matches!(gp.clone().with_noise(&[0.1]), Err(Error::Shape { .. })));
    assert!(matches!(gp.clone().with_means(vec![DynMean::new(ConstantMean::new(0.0))]), Err(Error::Setting { .. })));
    let minus = IcmGp::new(-Rbf::new(1.0), outputs());
    assert!(matches!(minus.objective(&Data::new(x.as_ref(), y.as_ref())), Err(Error::Indefinite { .. })));
    assert!(minus.allow_indefinite().objective(&Data::new(x.as_ref(), y.as_ref())).is_err());
    y[(1, 2)] = f64::NAN;
    let error = gp.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap_err();
    assert!(error.to_string().starts_with("y[1, 2] is missing"), "{error}");
}

/// One value after the other taken out of the dense covariance, with noise of either kind.
#[test]
fn left_out_values_are_those_of_dense_algebra() {
    for gp in on_a_grid() {
        let (x, n) = (inputs(), inputs().nrows());
        let y = uniform(n, gp.outputs(), 5);
        let left_out = gp.leave_one_out(&Data::new(x.as_ref(), y.as_ref())).unwrap();
        let prior = gp.prior::<f64>();
        let (gram, b) =
            (gp.kernel().gram(&x).unwrap(), gp.outputs_kernel().gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap());
        let noise = gp.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap().noise();
        let size = n * gp.outputs();
        let covariance = Mat::from_fn(size, size, |i, j| {
            let same = if i % n == j % n { noise[(i / n, j / n)] } else { 0.0 };
            b[(i / n, j / n)] * gram[(i % n, j % n)] + same
        });
        let mean = prior.predict(x.as_ref()).unwrap().mean;
        for at in [0, 3, n, size - 1] {
            let others: Vec<usize> = (0..size).filter(|&i| i != at).collect();
            let own = Mat::from_fn(size - 1, size - 1, |i, j| covariance[(others[i], others[j])]);
            let cross = Mat::from_fn(size - 1, 1, |i, _| covariance[(others[i], at)]);
            let residual = Mat::from_fn(size - 1, 1, |i, _| {
                y[(others[i] % n, others[i] / n)] - mean[(others[i] % n, others[i] / n)]
            });
            let solved = own.llt(faer::Side::Lower).unwrap().solve(&cross);
            let expected = mean[(at % n, at / n)] + (solved.transpose() * residual)[(0, 0)];
            let variance = covariance[(at, at)] - (solved.transpose() * cross)[(0, 0)];
            let (found, row) = (&left_out[at / n], at % n);
            assert!((found.mean[row] - expected).abs() < 1e-12 && (found.variance[row] - variance).abs() < 1e-12);
        }
    }
}
