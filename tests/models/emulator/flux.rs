//! Distributions of fluxes.
#![allow(clippy::unwrap_used)]

use mercer::emulator::FluxDistribution;
use mercer::prelude::*;
use rand::SeedableRng;

use crate::common::dense::log_normal;
use crate::common::moments::assert_moments;

/// Solves and densities by the factor are those of the matrix; draws have its moments.
#[test]
fn flux_distributions_are_gaussians_of_low_rank() {
    let pixels = 25;
    let factor = Mat::from_fn(pixels, 3, |p, i| ((1 + i) as f64 * p as f64 * 0.3).sin() * 10f64.powi(i as i32 - 1));
    let own: Vec<f64> = (0..pixels).map(|p| 0.01 + 0.001 * p as f64).collect();
    let mean: Vec<f64> = (0..pixels).map(|p| 1.0 + 0.1 * p as f64).collect();
    let flux = FluxDistribution::new(mean.clone(), factor.clone(), own.clone()).unwrap();
    let covariance = flux.covariance();
    let expected =
        Mat::from_fn(pixels, pixels, |p, q| if p == q { own[p] } else { 0.0 }) + &factor * factor.transpose();
    assert!((&covariance - &expected).norm_max() < 1e-13);
    for (p, variance) in flux.variance().into_iter().enumerate() {
        assert!((variance / expected[(p, p)] - 1.0).abs() < 1e-14);
    }

    let b = Mat::from_fn(pixels, 2, |p, col| ((p + 5 * col) as f64).cos());
    let solved = flux.solve(b.as_ref()).unwrap();
    assert!((&covariance * &solved - &b).norm_max() < 1e-10);
    let spectrum: Vec<f64> = (0..pixels).map(|p| mean[p] + 0.3 * (p as f64).cos()).collect();
    let residual: Vec<f64> = spectrum.iter().zip(&mean).map(|(flux, mean)| flux - mean).collect();
    let expected = log_normal(&residual, &covariance);
    assert!((flux.log_density(&spectrum).unwrap() / expected - 1.0).abs() < 1e-11);

    let draws = flux.sample(20_000, &mut rand_pcg::Pcg64::seed_from_u64(3));
    assert_eq!(draws, flux.sample(20_000, &mut rand_pcg::Pcg64::seed_from_u64(3)));
    assert_moments(draws.as_ref(), &mean, &covariance, 0.0, 0.0);

    let certain = FluxDistribution::new(mean, factor, vec![0.0; pixels]).unwrap();
    assert!(matches!(certain.log_density(&spectrum), Err(Error::Parameter { .. })));
    let noisy = certain.with_noise(&own).unwrap();
    assert_eq!(noisy, flux);
}

#[test]
fn fluxes_without_finite_numbers_are_refused() {
    let flux = FluxDistribution::new(vec![1.0, 2.0], mat![[1.0], [2.0]], vec![0.5, 0.0]).unwrap();
    let certain = flux.solve(mat![[1.0], [1.0]].as_ref());
    assert!(matches!(certain, Err(Error::Parameter { .. })), "{certain:?}");
    let noisy = flux.with_noise(&[0.5, 0.5]).unwrap();
    let holed = noisy.solve(mat![[1.0, 1.0], [1.0, f64::NAN]].as_ref());
    assert!(matches!(holed, Err(Error::NonFinite { row: 1, col: 1, .. })), "{holed:?}");
    assert!(noisy.log_density(&[1.0, f64::INFINITY]).is_err());
    let far = noisy.log_density(&[1e300, -1e300]);
    assert!(matches!(far, Err(Error::NonFinite { .. })), "{far:?}");
    assert!(noisy.clone().scaled(1e308).is_err() && noisy.clone().scaled(1e200).is_err());
    let full = noisy.clone().with_noise(&[f64::MAX, 1.0]).unwrap().with_noise(&[f64::MAX, 1.0]);
    assert!(matches!(full, Err(Error::Parameter { .. })), "{full:?}");
    // A variance that is none stays none, however large the multiple.
    let exact = FluxDistribution::new(vec![1.0], mat![[1.0]], vec![0.0]).unwrap().scaled(1e200).unwrap();
    assert_eq!(exact.own_variance(), [0.0]);
}
