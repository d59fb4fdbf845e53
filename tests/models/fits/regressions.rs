//! Default fits of small regressions: constant, linear, a step, next to no signal, no noise, extreme units, duplicates, one
//! observation. The values to reach are the best that were seen of this model, by this crate and by scikit-learn 1.9.1.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Data, ExactGp, Fit, Report, Restarts, Standardization, Warning};
use mercer::prelude::*;

/// Case, part, y, and the columns of x.
const ROWS: &str = include_str!("../../data/small_regressions.csv");

struct Part {
    x: Mat<f64>,
    y: Vec<f64>,
}

fn part(case: &str, which: &str) -> Part {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(ROWS.as_bytes());
    let records = reader.records().map(Result::unwrap).filter(|record| &record[0] == case && &record[1] == which);
    let rows: Vec<Vec<f64>> =
        records.map(|record| record.iter().skip(2).map(|cell| cell.parse().unwrap()).collect()).collect();
    Part {
        x: Mat::from_fn(rows.len(), rows[0].len() - 1, |i, j| rows[i][j + 1]),
        y: rows.iter().map(|r| r[0]).collect(),
    }
}

const RESTARTS: Restarts = Restarts { count: 5, seed: 0 };

fn rmse(posterior: &dyn Predict<f64>, test: &Part) -> f64 {
    let mean = posterior.predict(test.x.as_ref()).unwrap().mean;
    let squares: f64 = test.y.iter().enumerate().map(|(i, y)| (y - mean[(i, 0)]).powi(2)).sum();
    (squares / test.y.len() as f64).sqrt()
}

/// A default fit, and the RMSE of its mean.
fn fitted(train: &Part, test: &Part) -> (Report, f64) {
    let data = Data::new(&train.x, &train.y);
    let mut gp = ExactGp::new(1.0 * Rbf::new(1.0));
    let report = gp.fit(&data, Fit::default().with_restarts(RESTARTS)).unwrap();
    (report, rmse(&gp.condition(&data).unwrap(), test))
}

#[test]
fn defaults_reach_the_best_that_is_known() {
    // NaN where the value depends on the floor of the noise, or is not told.
    for (case, value, error) in [
        ("constant", f64::NAN, 1e-6),
        ("linear", 13.850, 0.0509),
        ("step", 8.886, 0.234),
        ("very noisy", -267.62, 0.459),
        ("y 1e6", -409.615, 3.41e4),
        ("y 1e-6", 425.012, 4.14e-8),
        ("x 1e6", 6.556, 0.0436),
        ("n=10 D=20", -31.388, 4.85),
        ("duplicates, same y", f64::NAN, 0.0057),
        ("duplicates, noisy y", 7.190, 0.238),
        ("no noise", f64::NAN, 4.5e-4),
        ("fast sine", -45.257, 0.0823),
        ("n=1", -2.112, f64::NAN),
    ] {
        let (report, rmse) = fitted(&part(case, "train"), &part(case, "test"));
        assert!(value.is_nan() || report.objective >= value - 0.1, "{case}: {report}");
        assert!(error.is_nan() || rmse <= 1.1 * error, "{case}: {rmse}, {report}");
        // One observation says nothing of lengthscales.
        assert_eq!(report.converged, case != "n=1", "{case}: {report}");
        let at_floor = report.warnings.iter().any(|warning| matches!(warning, Warning::NoiseAtFloor { .. }));
        let noiseless = ["constant", "duplicates, same y", "no noise", "n=10 D=20"];
        assert!(case == "n=1" || at_floor == noiseless.contains(&case), "{case}: {report}");
    }
}

/// Without units, as the searches start from the data.
#[test]
fn extreme_inputs_are_as_those_in_units() {
    let scaled = |case: &str, which: &str, unit: f64| {
        let Part { x, y } = part(case, which);
        Part { x: Mat::from_fn(x.nrows(), x.ncols(), |i, j| unit * x[(i, j)]), y }
    };
    let (small, _) = fitted(&part("x 1e-6", "train"), &part("x 1e-6", "test"));
    let (plain, _) = fitted(&scaled("x 1e-6", "train", 1e6), &scaled("x 1e-6", "test", 1e6));
    assert!((small.objective - plain.objective).abs() < 1e-6, "{small}\n{plain}");
}

/// The log marginal likelihood, normalised, and the means at the test points in deviations of y.
fn standardised(case: &str, [a, b, c, d]: [f64; 4]) -> (f64, Vec<f64>) {
    let units = |which: &str| {
        let Part { x, y } = part(case, which);
        let x = Mat::from_fn(x.nrows(), x.ncols(), |i, j| a * x[(i, j)] + b);
        Part { x, y: y.iter().map(|y| c * y + d).collect() }
    };
    let (train, test) = (units("train"), units("test"));
    let data = Data::new(&train.x, &train.y);
    let mut gp = Standardization::of(&data).unwrap().around(ExactGp::new(1.0 * Rbf::new(1.0)));
    let report = gp.fit(&data, Fit::default().with_restarts(RESTARTS)).unwrap();
    let mean = gp.condition(&data).unwrap().predict(test.x.as_ref()).unwrap().mean;
    let of_y = gp.standardization().of_outputs();
    let means = mean.col(0).iter().map(|mean| (mean - of_y.mean()[0]) / of_y.scale()[0]).collect();
    (report.objective + train.y.len() as f64 * c.ln(), means)
}

#[test]
fn copies_in_other_units_have_the_same_answers() {
    let cases = ["step", "very noisy", "n=10 D=20", "duplicates, noisy y", "fast sine", "no noise", "linear"];
    for case in cases {
        let (value, means) = standardised(case, [1.0, 0.0, 1.0, 0.0]);
        for units in [[1e6, 0.0, 1.0, 0.0], [3e-7, 0.0, 1e5, 0.0], [1.0, 1e4, 1.0, 300.0], [0.3, -70.0, 1e-6, 1e-4]] {
            let (found, others) = standardised(case, units);
            assert!((found - value).abs() < 1e-6 * value.abs().max(1.0), "{case}, {units:?}: {found} {value}");
            for (a, b) in means.iter().zip(&others) {
                assert!((a - b).abs() < 1e-6, "{case}, {units:?}: {a} {b}");
            }
        }
    }
}

/// Far from zero, the model without a mean function needs one, or to be standardised; it says so.
#[test]
fn an_offset_is_told_and_taken_out() {
    let train = part("y + 1e6", "train");
    let data = Data::new(&train.x, &train.y);
    let mut plain = ExactGp::new(1.0 * Rbf::new(1.0));
    let report = plain.fit(&data, Fit::default().with_restarts(RESTARTS)).unwrap();
    assert!(report.warnings.iter().any(|warning| matches!(warning, Warning::Offset { .. })), "{report}");
    let (offset, _) = standardised("y + 1e6", [1.0, 0.0, 1.0, 0.0]);
    let (without, _) = standardised("y + 1e6", [1.0, 0.0, 1.0, -1e6]);
    assert!((offset - without).abs() < 1e-6 && offset > report.objective, "{offset} {without}");
}
