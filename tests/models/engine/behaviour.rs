//! What users see of engines.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Data, Engine, ExactGp, Standardization};
use mercer::linalg::Jitter;
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

fn series(n: usize) -> Data<f64> {
    let times: Vec<f64> = (0..n).map(|row| 0.05 * row as f64 + 0.01 * (row as f64).sin()).collect();
    let y: Vec<f64> = times.iter().map(|&t| 3.0 + 0.2 * t + (6.0 * t).sin() + 0.1 * (40.0 * t).cos()).collect();
    Data::new(times, y)
}

fn gp() -> ExactGp<DynKernel> {
    let kernel = (Matern32::new(3.0) + 0.5 * DampedOscillator::new(1.0, 20.0) + White::new(0.01)).dynamic();
    ExactGp::new(kernel).with_noise(0.05).unwrap().with_mean(ConstantMean::new(2.0))
}

fn both() -> [ExactGp<DynKernel>; 2] {
    [Engine::markov(), Engine::Dense].map(|engine| gp().with_engine(engine))
}

#[test]
fn the_quickest_is_found() {
    let (few, many) = (series(100), series(600));
    assert_eq!(gp().explain(&few).unwrap().chosen(), "Dense");
    assert_eq!(gp().explain(&many).unwrap().chosen(), "Markov");
    assert_eq!(gp().condition(&many).unwrap().engine(), "Markov");
    let smooth = ExactGp::new(Rbf::new(1.0) + Matern32::new(1.0));
    let found = smooth.explain(&many).unwrap();
    assert_ne!(found.chosen(), "Markov");
    assert!(found.to_string().contains("`rbf(lengthscale=1)` is not known to be a Markov process"), "{found}");
    // Of two columns, one is time.
    let x = Mat::from_fn(600, 2, |row, col| if col == 0 { (row as f64).cos() } else { row as f64 });
    let data = Data::new(&x, vec![0.5; 600]);
    assert_eq!(ExactGp::new(Matern32::new(9.0).on([1])).explain(&data).unwrap().chosen(), "Markov");
    let both = ExactGp::new(Matern32::new(9.0).on([1]) + Matern12::new(1.0).on([0])).explain(&data).unwrap();
    assert!(both.to_string().contains("reads more than one column of the inputs"), "{both}");
}

#[test]
fn refusals_say_what_to_do() {
    let data = series(20);
    let refused = |kernel: DynKernel, engine: Engine| {
        ExactGp::new(kernel).allow_indefinite().with_engine(engine).objective(&data).unwrap_err().to_string()
    };
    let error = refused((Matern32::new(1.0) * Rbf::new(2.0)).dynamic(), Engine::markov());
    assert!(error.contains("`rbf(lengthscale=2)`") && error.contains("Engine::Dense"), "{error}");
    let error = refused((Matern32::new(1.0) - 0.5 * Matern12::new(2.0)).dynamic(), Engine::markov());
    assert!(error.contains("`0.5 * matern12(lengthscale=2)`") || error.contains("no"), "{error}");
    let error = refused(Matern::new(1.0, 2.5).dynamic(), Engine::markov());
    assert!(error.contains("freeze `nu`"), "{error}");
    for tolerance in [0.0, -1.0, 0.5, f64::NAN] {
        let error = refused(Periodic::new(1.0, 1.0).dynamic(), Engine::Markov { tolerance: Some(tolerance) });
        assert!(error.contains("must be between 1e-15 and 0.1"), "{error}");
    }
    let times = Data::new([0.0, f64::INFINITY], [0.1, 0.2]);
    assert!(gp().with_engine(Engine::markov()).objective(&times).is_err());
    let nothing = Data::new([0.0, 1.0], [f64::NAN, f64::NAN]);
    for gp in both() {
        let error = gp.objective(&nothing).unwrap_err().to_string();
        assert!(error.contains("observed"), "{error}");
        let infinite = Data::new([0.0, 1.0], [f64::INFINITY, 0.0]);
        assert!(gp.objective(&infinite).unwrap_err().to_string().contains('y'));
    }
}

#[test]
fn posteriors_do_what_those_of_matrices_do() {
    let data = series(60);
    let at = mat![[0.5], [-1.0], [1.5], [1.5], [4.0], [data.x()[(7, 0)]]];
    let [markov, dense] = both().map(|gp| gp.condition(&data).unwrap());
    let close = |a: &Mat<f64>, b: &Mat<f64>| assert!((a - b).norm_max() < 1e-11, "{a:?} {b:?}");
    close(&markov.mean(at.as_ref()).unwrap(), &dense.mean(at.as_ref()).unwrap());
    let of = |posterior: &mercer::gp::Posterior<f64>| posterior.predict_observations(at.as_ref()).unwrap();
    close(&of(&markov).variance, &of(&dense).variance);
    let covariance =
        |posterior: &mercer::gp::Posterior<f64>| posterior.covariance_of_observations(at.as_ref()).unwrap();
    close(&covariance(&markov), &covariance(&dense));
    let draw = |posterior: &mercer::gp::Posterior<f64>| {
        posterior.sample(at.as_ref(), 3, &mut Pcg64::seed_from_u64(1)).unwrap().values
    };
    // White noise keeps the two rows that are one from being singular.
    assert!((&draw(&markov) - &draw(&dense)).norm_max() < 1e-7);

    // More observations, and fewer.
    let more = Data::new([0.7, 10.0], [2.0, 3.0]);
    let [a, b] = [&markov, &dense].map(|posterior| posterior.observe(&more).unwrap().predict(at.as_ref()).unwrap());
    close(&a.mean, &b.mean);
    close(&a.variance, &b.variance);
    let [a, b] =
        [&markov, &dense].map(|posterior| posterior.forget_rows(&[3, 50]).unwrap().predict(at.as_ref()).unwrap());
    close(&a.mean, &b.mean);
    for rows in [&[60][..], &[1, 1]] {
        assert_eq!(markov.forget_rows(rows).unwrap_err().to_string(), dense.forget_rows(rows).unwrap_err().to_string());
    }

    // Terms.
    let [a, b] = [&markov, &dense].map(|posterior| posterior.components(0).unwrap());
    assert_eq!(
        a.iter().map(|term| term.text().to_owned()).collect::<Vec<_>>(),
        b.iter().map(|term| term.text().to_owned()).collect::<Vec<_>>()
    );
    let [of_a, of_b] = [&a, &b].map(|terms| terms.predict(at.as_ref()).unwrap());
    close(&of_a.mean, &of_b.mean);
    close(&of_a.variance, &of_b.variance);
    for term in 0..4 {
        close(&a.covariance(at.as_ref(), term).unwrap(), &b.covariance(at.as_ref(), term).unwrap());
    }

    // What there is not is an error that says what to do.
    let error = markov.slopes(at.as_ref(), 0).unwrap_err().to_string();
    assert!(error.contains("Engine::Dense"), "{error}");
    assert!(markov.predict(mat![[f64::NAN]].as_ref()).is_err() && markov.predict(mat![[0.0, 1.0]].as_ref()).is_err());
}

#[test]
fn fits_are_the_same() {
    let data = series(80);
    let fitted = both().map(|mut gp| {
        gp.fit(&data, &Lbfgs::default()).unwrap();
        gp.objective(&data).unwrap()
    });
    assert!((fitted[0] - fitted[1]).abs() < 1e-5 * fitted[1].abs(), "{fitted:?}");
    let freedom = both().map(|gp| gp.degrees_of_freedom(&data).unwrap().unwrap());
    assert!((freedom[0] - freedom[1]).abs() < 1e-9, "{freedom:?}");
    let found = both().map(|gp| {
        let gp = Standardization::of(&data).unwrap().around(gp);
        gp.condition(&data).unwrap().predict(mat![[2.2]].as_ref()).unwrap().mean[(0, 0)]
    });
    assert!((found[0] - found[1]).abs() < 1e-11, "{found:?}");
}

#[test]
fn a_fixed_jitter_is_there_for_all() {
    let data = series(30);
    let [a, b] = both().map(|gp| gp.with_jitter(Jitter::Fixed(0.3)));
    assert!((a.objective(&data).unwrap() - b.objective(&data).unwrap()).abs() < 1e-11);
    assert_eq!(a.condition(&data).unwrap().jitter(), 0.3);
}

#[test]
fn in_single_precision() {
    let data = series(40);
    let single = Data::<f32>::new(
        (0..40).map(|row| data.x()[(row, 0)] as f32).collect::<Vec<_>>(),
        (0..40).map(|row| data.y()[(row, 0)] as f32).collect::<Vec<_>>(),
    );
    let gp = gp().with_engine(Engine::markov());
    let (a, b) = (gp.objective(&single).unwrap(), gp.objective(&data).unwrap());
    assert!((a - b).abs() < 1e-4 * b.abs(), "{a} {b}");
    let at = gp.condition(&single).unwrap().predict(mat![[0.5f32]].as_ref()).unwrap();
    let expected = gp.condition(&data).unwrap().predict(mat![[0.5]].as_ref()).unwrap();
    assert!((f64::from(at.mean[(0, 0)]) - expected.mean[(0, 0)]).abs() < 1e-5);
}

fn on_a_grid(n: usize) -> Data<f64> {
    // In no order.
    let times: Vec<f64> = (0..n).map(|row| 0.1 * ((row * 7) % n) as f64 + 3.0).collect();
    let y: Vec<f64> = times.iter().map(|&t| (2.0 * t).sin() + 0.1 * (40.0 * t).cos()).collect();
    Data::new(times, y)
}

#[test]
fn grids_give_what_matrices_give() {
    let data = on_a_grid(61);
    let kernel = 1.5 * Rbf::new(0.4) + 0.3 * Matern12::new(1.0) * Periodic::new(1.0, 2.0) + White::new(0.02);
    let gp = ExactGp::new(kernel.dynamic()).with_noise(0.05).unwrap().with_mean(ConstantMean::new(0.3));
    let [toeplitz, dense] = [Engine::Toeplitz, Engine::Dense].map(|engine| gp.clone().with_engine(engine));
    let of = |gp: &ExactGp| gp.evaluate(&data, &mercer::gp::Memory::default()).unwrap();
    let ((value, gradient), (expected, gradients)) = (of(&toeplitz), of(&dense));
    assert!((value - expected).abs() < 1e-11 * expected.abs(), "{value} {expected}");
    for (a, b) in gradient.iter().zip(&gradients) {
        assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{a} {b}");
    }
    // At the data, on the grid beside them, and between.
    let at = mat![[3.0], [4.2], [9.1], [3.05], [-1.0], [8.95]];
    let [a, b] = [&toeplitz, &dense].map(|gp| gp.condition(&data).unwrap());
    assert_eq!(a.engine(), "Toeplitz");
    let [in_a, in_b] = [&a, &b].map(|posterior| posterior.predict(at.as_ref()).unwrap());
    let close = |a: &Mat<f64>, b: &Mat<f64>| assert!((a - b).norm_max() < 1e-12, "{a:?} {b:?}");
    close(&in_a.mean, &in_b.mean);
    close(&in_a.variance, &in_b.variance);
    close(&a.covariance(at.as_ref(), 0).unwrap(), &b.covariance(at.as_ref(), 0).unwrap());
    let [in_a, in_b] = [&a, &b].map(|posterior| posterior.components(0).unwrap().predict(at.as_ref()).unwrap());
    close(&in_a.mean, &in_b.mean);
    close(&in_a.variance, &in_b.variance);
    let [in_a, in_b] = [&toeplitz, &dense].map(|gp| gp.leave_one_out(&data).unwrap());
    (0..61).for_each(|row| assert!((in_a.mean[row] - in_b.mean[row]).abs() < 1e-11));
    // One more at the end, one less there.
    let more = Data::new([9.1], [0.5]);
    let [in_a, in_b] = [&a, &b].map(|posterior| posterior.observe(&more).unwrap().predict(at.as_ref()).unwrap());
    close(&in_a.mean, &in_b.mean);
    let error = a.observe(&Data::new([9.13], [0.5])).unwrap_err().to_string();
    assert!(error.contains("no regular grid"), "{error}");
}

#[test]
fn what_is_no_grid_is_named() {
    let rbf = || ExactGp::new((1.0 * Rbf::new(1.0)).dynamic()).with_engine(Engine::Toeplitz);
    let refused = |gp: ExactGp, times: &[f64], y: &[f64]| gp.objective(&Data::new(times, y)).unwrap_err().to_string();
    let error = refused(rbf(), &[0.0, 0.1, 0.3], &[0.0; 3]);
    assert!(error.contains("row 1 is at 0.1 and not at 0.15"), "{error}");
    let error = refused(rbf(), &[0.0, 0.1, 0.1, 0.2], &[0.0; 4]);
    assert!(error.contains("row 2 has the place of row 1"), "{error}");
    let error = refused(rbf(), &[0.0, 0.1, 0.2], &[0.0, f64::NAN, 0.0]);
    assert!(error.contains("row 1 is missing"), "{error}");
    let linear = ExactGp::new((Rbf::new(1.0) + 2.0 * Linear::new(1.0)).dynamic()).with_engine(Engine::Toeplitz);
    let error = refused(linear, &[0.0, 0.1, 0.2], &[0.0; 3]);
    assert!(error.contains("`linear(variance=1)` is not stationary"), "{error}");
    let noise = mercer::likelihood::FixedNoise::new(&[0.1, 0.1, 0.2]).unwrap();
    let gp = ExactGp::new(Rbf::new(1.0)).with_likelihood(noise).with_engine(Engine::Toeplitz);
    let error = gp.objective(&Data::new([0.0, 0.1, 0.2], [0.0; 3])).unwrap_err().to_string();
    assert!(error.contains("the noise of row 2"), "{error}");
    assert!(rbf().objective(&Data::new([0.5], [0.1])).is_ok());
    let smooth = ExactGp::new((1.0 * Rbf::new(1.0)).dynamic());
    assert_eq!(smooth.explain(&on_a_grid(701)).unwrap().chosen(), "Toeplitz");
}

/// Of more points than a covariance is made of: means and variances of draws are those of predictions.
#[test]
fn draws_of_many_points() {
    let data = series(40);
    let [markov, _] = both();
    let posterior = markov.condition(&data).unwrap();
    let at = Mat::from_fn(1500, 1, |row, _| 0.002 * row as f64 - 0.3);
    let draws = 400;
    let values = posterior.sample(at.as_ref(), draws, &mut Pcg64::seed_from_u64(3)).unwrap().values;
    let known = posterior.predict(at.as_ref()).unwrap();
    for row in [0, 100, 700, 1499] {
        let mean = (0..draws).map(|draw| values[(row, draw)]).sum::<f64>() / draws as f64;
        let variance = (0..draws).map(|draw| (values[(row, draw)] - mean).powi(2)).sum::<f64>() / draws as f64;
        let (expected, deviation) = (known.mean[(row, 0)], known.variance[(row, 0)].sqrt());
        // Four standard errors.
        assert!((mean - expected).abs() < 4.0 * deviation / (draws as f64).sqrt(), "{row}: {mean} {expected}");
        assert!((variance / known.variance[(row, 0)] - 1.0).abs() < 4.0 * (2.0 / draws as f64).sqrt(), "{row}");
    }
    // Neighbours go together, but for the white noise of the kernel.
    let step: f64 =
        (0..draws).map(|draw| (values[(700, draw)] - values[(701, draw)]).powi(2)).sum::<f64>() / draws as f64;
    assert!((step / 0.02 - 1.0).abs() < 0.3, "{step}");
}
