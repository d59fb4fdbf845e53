//! Noise that is next to nothing, jitter, and coincident inputs.
#![allow(clippy::unwrap_used)]

use faer::Side;
use mercer::gp::{Approximation, ExactGp, Sgpr, Variational};
use mercer::linalg::Jitter;
use mercer::prelude::*;

use super::{ALL, kernel};
use crate::common::data::{observed_apart, single, singles};

/// σ² some 10⁻¹³ of the covariances: I + AAᵀ/σ² has a condition of 10¹⁵, and the fit is still a sum of squares.
#[test]
fn tiny_noise_loses_no_digits_of_a_good_fit() {
    let x = Mat::from_fn(12, 1, |row, _| row as f64);
    let kernel = Matern12::new(1.0).dynamic();
    // Targets in the span of the inducing variables: what noise there is, is all there is to the misfit.
    let z = x.subrows(0, 4).to_owned();
    let y: Vec<f64> = kernel
        .cross(x.as_ref(), z.as_ref())
        .unwrap()
        .col_iter()
        .fold(vec![0.0; 12], |sum, column| sum.iter().zip(column.iter()).map(|(sum, value)| sum + value).collect());
    let model = |noise| {
        Sgpr::new(kernel.clone(), z.as_ref()).unwrap().with_noise(noise).unwrap().with_approximation(Approximation::Dtc)
    };
    // As σ² → 0, yᵀ(Q + σ²I)⁻¹y → wᵀK(Z, Z)w = 1ᵀK(Z, Z)1, and |Q + σ²I| → σ^2(N − M) |AAᵀ|.
    let limit = |noise: f64| {
        let gram = kernel.gram(z.as_ref()).unwrap();
        let cross = kernel.cross(z.as_ref(), x.as_ref()).unwrap();
        let log_det = |matrix: &Mat<f64>| -> f64 {
            let llt = matrix.llt(Side::Lower).unwrap();
            (0..matrix.nrows()).map(|i| 2.0 * llt.L()[(i, i)].ln()).sum()
        };
        let volume = log_det(&(&cross * cross.transpose())) - log_det(&gram) + 8.0 * noise.ln();
        -0.5 * (gram.sum() + volume + 12.0 * std::f64::consts::TAU.ln())
    };
    let noise = 1e-13;
    let found = model(noise).objective(&Data::new(x.as_ref(), &y)).unwrap();
    assert!((found.value - limit(noise)).abs() < 1e-3, "{} is not {}", found.value, limit(noise));
}

/// Where rounding leaves nothing of the noise, there is an error and no number.
#[test]
fn noise_below_rounding_is_refused_where_it_counts() {
    let (x, y) = observed_apart(12);
    let data = Data::new(x.as_ref(), &y);
    let model = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(1e-20).unwrap();
    assert!(matches!(model.leave_one_out(&data), Err(Error::NegativeVariance { .. })));
    let fitc = model.with_approximation(Approximation::Fitc);
    assert!(matches!(fitc.objective(&data), Err(Error::NegativeVariance { .. })));
    assert!(matches!(fitc.condition(&data), Err(Error::NegativeVariance { .. })));
}

/// With fewer data than inducing inputs, I + AAᵀ/σ² is 1 in some directions and k/σ² in others: in single
/// precision it soon takes jitter, which is reported, and the bound stays one.
#[test]
fn jitter_of_the_precision_is_reported() {
    let (x, y) = (mat![[0.0], [1.0], [2.5]], [0.3, -0.5, 0.8]);
    let data = Data::new(x.as_ref(), y);
    let z = Mat::from_fn(6, 1, |row, _| row as f64 * 0.5 - 0.2);
    let model = Sgpr::new(Matern12::new(1.0), z.as_ref()).unwrap().with_noise(1e-9).unwrap();
    let (x32, y32) = (single(&x), singles(&y));
    let found = model.objective(&Data::new(x32.as_ref(), &y32)).unwrap();
    assert!(found.precision_jitter > 0.0 && found.jitter == 0.0, "{found:?}");
    let exact = ExactGp::new(Matern12::new(1.0)).with_noise(1e-9).unwrap().objective(&data).unwrap();
    assert!(found.value.is_finite() && found.value < exact, "{found:?} {exact}");
    assert_eq!(model.objective(&data).unwrap().precision_jitter, 0.0);
}

/// More inducing inputs than data, and equal ones, are legal; the jitter is reported, and the equal
/// ones by name.
#[test]
fn duplicate_and_many_inducing_inputs_work() {
    let (x, y) = observed_apart(10);
    let z = Mat::from_fn(25, 2, |row, col| x[(row % 10, col)]);
    let exact = ExactGp::new(kernel()).with_noise(0.1).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap();
    for approximation in ALL {
        let model = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap().with_approximation(approximation);
        let (evidence, gradient) = model.gradient(&Data::new(x.as_ref(), &y)).unwrap();
        assert!(evidence.jitter > 0.0 && (evidence.value - exact).abs() < 1e-8, "{evidence:?} {exact}");
        assert!(gradient.iter().all(|entry| entry.is_finite()));
        assert!(model.condition(&Data::new(x.as_ref(), &y)).unwrap().jitter() > 0.0);
    }
    let model = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap();
    let q = Variational::prior(25).unwrap();
    let found = model.diagnose(&Data::new(x.as_ref(), &y), Some(&q)).unwrap();
    assert_eq!((found.inducing, found.pile_ups.len()), (25, 20));
    assert!(found.pile_ups.iter().all(|pair| pair.second % 10 == pair.first % 10 && pair.distance == 0.0));
    assert!(found.jitter > 0.0 && found.condition > 1e14 && found.effective_rank < 10.0);
    let bounds = found.bounds.unwrap();
    assert!(bounds.lower <= exact + 1e-8 && exact <= bounds.upper + 1e-8 && bounds.gap.unwrap() > 1.0);
    let report = found.to_string();
    assert!(report.contains("inputs 0 and 10 pile up") && report.contains("and 15 more pairs do"), "{report}");

    let strict = model.with_jitter(Jitter::Fixed(0.0));
    assert!(matches!(strict.objective(&Data::new(x.as_ref(), &y)), Err(Error::NotPositiveDefinite { .. })));
    assert!(matches!(strict.condition(&Data::new(x.as_ref(), &y)), Err(Error::NotPositiveDefinite { .. })));
}
