//! Sets that values live in.
#![allow(clippy::unwrap_used)]

use mercer::gp::ExactGp;
use mercer::mean::LinearMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;

/// A value is checked against its own constraint, also after parameters of other constraints.
#[test]
fn all_values_must_obey_their_constraints() {
    let mut q = mercer::gp::Variational::diagonal(&[0.5, 0.6], &[1.0, 2.0]).unwrap();
    q.set_values(&[-0.5, -0.6, 1.5, 2.5]).unwrap();
    assert_eq!(q.values(), [-0.5, -0.6, 1.5, 2.5]);
    let error = q.set_values(&[-0.5, -0.6, 1.5, -2.5]).unwrap_err();
    assert!(matches!(&error, Error::Parameter { path, value: -2.5, .. } if path == "deviation[1]"), "{error}");
}

/// Each value meets the constraint of its own parameter, past arrays and parameters of other constraints.
#[test]
fn all_values_are_checked_one_by_one() {
    let mean = LinearMean::new([0.1, -0.2]).with_intercept(-0.5);
    let mut gp = ExactGp::new(Rbf::new([1.0, 2.0]) + Periodic::new(1.0, 3.0)).with_mean(mean);
    let values = gp.values();
    gp.set_values(&values).unwrap();
    let positive = |path: &str| !path.starts_with("mean.");
    for (index, entry) in gp.parameters().into_iter().enumerate() {
        let mut moved = values.clone();
        moved[index] = -1.0;
        match gp.set_values(&moved) {
            Ok(()) => assert!(!positive(&entry.path), "{}", entry.path),
            Err(Error::Parameter { path, value, .. }) => assert_eq!((path, value), (entry.path, -1.0)),
            Err(other) => unreachable!("{other}"),
        }
    }
}

/// γ = 2 is the largest exponent, and no place to stay: from there a fit gets where it gets from below.
#[test]
fn a_fit_leaves_the_bound_of_an_exponent() {
    let mut state = 12345u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let mut y = vec![normal()];
    for i in 1..200 {
        y.push(0.6 * y[i - 1] + 0.8 * normal());
    }
    let x = Mat::from_fn(200, 1, |i, _| i as f64);
    for start in [1.9, 2.0] {
        let mut gp = ExactGp::new(1.0 * GammaExponential::new(2.0, start)).with_noise(1e-4).unwrap();
        gp.freeze("likelihood").unwrap();
        gp.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap();
        approx::assert_abs_diff_eq!(gp.objective(&Data::new(x.as_ref(), &y)).unwrap(), -241.473, epsilon = 1e-3);
        approx::assert_abs_diff_eq!(gp.get("kernel.scaled.gamma_exponential.gamma").unwrap(), 0.997, epsilon = 1e-3);
    }
}
