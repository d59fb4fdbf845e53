//! Whether intervals of new counts hold the share that they are for.
#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use mercer::data::column;
use mercer::data::metrics::{Calibration, interval_coverage};
use mercer::gp::{Conformal, Posterior, Predict, Svgp};
use mercer::likelihood::{Likelihood, NegativeBinomial};
use mercer::mean::ConstantMean;
use mercer::optim::{NaturalGradient, Train};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// Counts of so many hours with a daily and a weekly cycle about a level, of dispersion 0.3.
fn hourly(hours: usize, level: f64) -> (Mat<f64>, Vec<f64>) {
    let t = Mat::from_fn(hours, 1, |hour, _| hour as f64);
    let log_mean = |hour: usize| {
        let (day, week) = (TAU * hour as f64 / 24.0, TAU * hour as f64 / 168.0);
        level + 0.9 * day.sin() + 0.3 * (2.0 * day).cos() + 0.4 * (week + 1.0).sin()
    };
    let f: Vec<f64> = (0..hours).map(log_mean).collect();
    (t, NegativeBinomial::new(0.3).draw(&f, &mut Pcg64::seed_from_u64(2024)).unwrap())
}

/// A periodic kernel whose period is known.
fn cycle(hours: f64) -> Periodic {
    let mut kernel = Periodic::new(1.0, hours);
    kernel.freeze("periodic.period").unwrap();
    kernel
}

/// The model of the hours that leave one of these remainders modulo 5, which meet all hours of a week.
fn model_of_hours(t: &Mat<f64>, y: &[f64], remainders: &[usize], steps: usize) -> Posterior<f64> {
    let z = Mat::from_fn(42, 1, |i, _| 4.0 * i as f64);
    let mut gp = Svgp::new(0.5 * cycle(24.0) + 0.5 * cycle(168.0), z.as_ref())
        .unwrap()
        .with_mean(ConstantMean::new((y.iter().sum::<f64>() / y.len() as f64).ln()))
        .with_likelihood(NegativeBinomial::new(1.0));
    gp.freeze("inducing").unwrap();
    let (x, y) = rows_of(t, y, remainders);
    let natural = NaturalGradient { rate: 0.3, ..NaturalGradient::default() };
    let train = Train::new(steps).with_batch(400).with_rate(0.05).with_natural_gradients(natural);
    gp.train(&Data::new(&x, &y), &train, &mut Pcg64::seed_from_u64(5)).unwrap();
    println!("dispersion {:.4}", gp.get("likelihood.negative_binomial.dispersion").unwrap());
    gp.posterior().unwrap()
}

fn rows_of(t: &Mat<f64>, y: &[f64], remainders: &[usize]) -> (Mat<f64>, Vec<f64>) {
    let rows: Vec<usize> = (0..y.len()).filter(|hour| remainders.contains(&(hour % 5))).collect();
    (Mat::from_fn(rows.len(), 1, |i, _| t[(rows[i], 0)]), rows.iter().map(|&row| y[row]).collect())
}

/// The share of counts in central intervals of 95 %, which is what the model says of them, and calibrated transforms: to within
/// what the number of counts allows.
fn share_of_calibrated(posterior: &Posterior<f64>, x: &Mat<f64>, y: &[f64]) -> f64 {
    let bounds = posterior.quantiles(x.as_ref(), &[0.025, 0.975]).unwrap();
    let (lower, upper) = (bounds[0].col_as_slice(0), bounds[1].col_as_slice(0));
    let share = interval_coverage(y, lower, upper).unwrap();
    let before = |y: &[f64]| y.iter().map(|y| y - 1.0).collect::<Vec<_>>();
    let cumulative = |y: &[f64]| posterior.cumulative(x.as_ref(), column(y)).unwrap().col_as_slice(0).to_vec();
    // P(Y ≤ upper) − P(Y ≤ lower − 1), which is above 95 %, as counts cannot be left out in part.
    let stated: f64 = cumulative(upper).iter().zip(cumulative(&before(lower))).map(|(to, from)| to - from).sum();
    let stated = stated / y.len() as f64;
    let calibration = Calibration::of_counts(&cumulative(&before(y)), &cumulative(y), 3).unwrap();
    println!("intervals of 95 % hold {:.2} %, and {:.2} % as stated\n{calibration}", 100.0 * share, 100.0 * stated);
    let error = |level: f64| (level * (1.0 - level) / y.len() as f64).sqrt();
    assert!((share - stated).abs() < 3.0 * error(0.95), "{share} {stated}");
    for (level, found) in calibration.coverage() {
        // The model is fitted too: two standard errors more.
        assert!((found - level).abs() < 5.0 * error(level), "{calibration}");
    }
    share
}

/// Of some 55 counts an hour.
#[test]
fn intervals_of_hourly_counts_hold_their_share() {
    let (t, y) = hourly(10_000, 4.0);
    let (x, held) = rows_of(&t, &y, &[2]);
    let share = share_of_calibrated(&model_of_hours(&t, &y, &[0], 120), &x, &held);
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// Of some 12 counts an hour and few at night, 0 has more than 2.5 % by itself, and nothing lies below the intervals.
#[test]
fn intervals_of_small_counts_hold_what_they_say() {
    let (t, y) = hourly(10_000, 2.5);
    let (x, held) = rows_of(&t, &y, &[2]);
    let share = share_of_calibrated(&model_of_hours(&t, &y, &[0], 120), &x, &held);
    assert!(share > 0.95, "{share}");
}

#[test]
#[ignore = "trains on three times the hours of the test of hourly counts, which is enough for each run of the suite"]
fn intervals_of_all_hourly_counts_hold_their_share() {
    let (t, y) = hourly(10_000, 4.0);
    let (x, held) = rows_of(&t, &y, &[2, 4]);
    let share = share_of_calibrated(&model_of_hours(&t, &y, &[0, 1, 3], 300), &x, &held);
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// A model whose dispersion is a hundredth of the true one, and bands about it.
#[test]
fn conformal_bands_mend_a_wrong_dispersion() {
    let (t, y) = hourly(4000, 2.5);
    let posterior = model_of_hours(&t, &y, &[0], 120).with_likelihood(NegativeBinomial::new(0.003)).unwrap();
    let (x, calibrating) = rows_of(&t, &y, &[1]);
    let (new, held) = rows_of(&t, &y, &[2, 3]);
    let own = posterior.quantiles(new.as_ref(), &[0.05, 0.95]).unwrap();
    let of_own = interval_coverage(&held, own[0].col_as_slice(0), own[1].col_as_slice(0)).unwrap();
    let bands = Conformal::new(posterior, x.as_ref(), column(&calibrating), 0.9).unwrap();
    let band = bands.band(new.as_ref()).unwrap();
    let share = interval_coverage(&held, band.lower.col_as_slice(0), band.upper.col_as_slice(0)).unwrap();
    // Counts that are equal to the margin are all inside: at least 90 %, less three standard errors of both shares.
    let error = (0.09 * (1.0 / held.len() as f64 + 1.0 / calibrating.len() as f64)).sqrt();
    println!("own {of_own:.3}, conformal {share:.3}, margin {}", bands.margins()[0]);
    assert!(of_own < 0.75 && share > 0.9 - 3.0 * error && share < 0.95, "{of_own} {share}");
}

/// Monthly deaths from lung diseases in the United Kingdom, each sixth of the months held out in turn.
#[test]
fn intervals_of_monthly_deaths_hold_their_share() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/uk_lung_deaths.csv");
    let Ok(text) = fs::read_to_string(path) else { return };
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|field| field.parse().unwrap()).collect()).collect();
    let (mut held, mut lower, mut upper) = (Vec::new(), Vec::new(), Vec::new());
    for series in [1, 2] {
        for fold in 0..6 {
            let part = |test: bool| -> (Mat<f64>, Vec<f64>) {
                let of_part = (0..rows.len()).filter(|row| (row % 6 == fold) == test);
                let (x, y): (Vec<f64>, Vec<f64>) =
                    of_part.map(|row| (rows[row][0] - 1974.0, rows[row][series])).unzip();
                (column(&x).to_owned(), y)
            };
            let ((x, y), (new, counts)) = (part(false), part(true));
            let z = Mat::from_fn(24, 1, |i, _| 0.25 * i as f64);
            let level = (y.iter().sum::<f64>() / y.len() as f64).ln();
            let mut season = Periodic::new(1.0, 1.0);
            season.freeze("periodic.period").unwrap();
            let mut gp = Svgp::new(0.1 * season + 0.01 * Matern32::new(0.5), z.as_ref())
                .unwrap()
                .with_mean(ConstantMean::new(level))
                .with_likelihood(NegativeBinomial::new(0.01));
            gp.freeze("inducing").unwrap();
            let natural = NaturalGradient { rate: 0.3, ..NaturalGradient::default() };
            let train = Train::new(150).with_rate(0.03).with_natural_gradients(natural);
            gp.train(&Data::new(&x, &y), &train, &mut Pcg64::seed_from_u64(1)).unwrap();
            let bounds = gp.posterior().unwrap().quantiles(new.as_ref(), &[0.025, 0.975]).unwrap();
            lower.extend_from_slice(bounds[0].col_as_slice(0));
            upper.extend_from_slice(bounds[1].col_as_slice(0));
            held.extend(counts);
        }
    }
    let share = interval_coverage(&held, &lower, &upper).unwrap();
    println!("{} months held out: {share:.3}", held.len());
    assert_eq!(held.len(), 144);
    assert!((0.93..=0.97).contains(&share), "{share}");
}
