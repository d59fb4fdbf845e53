//! A model in standardised units against one of data that were standardised by hand.
#![allow(clippy::unwrap_used)]

use mercer::gp::{BatchGp, Data, ExactGp, IcmGp, Objective, Sgpr, Standardization, Svgp};
use mercer::kernels::Coregionalization;
use mercer::likelihood::{Bernoulli, Gaussian};
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

const SHIFT: [f64; 2] = [300.0, -7.0];
const SCALE: [f64; 2] = [20.0, 0.3];

fn x() -> Mat<f64> {
    Mat::from_fn(12, 2, |i, col| 5.0 + 100.0 * col as f64 + ((i * [5, 7][col]) % 12) as f64)
}

fn y() -> Mat<f64> {
    Mat::from_fn(12, 2, |i, col| SHIFT[col] + SCALE[col] * (0.7 * (i * (col + 2)) as f64).sin())
}

fn by_hand(values: &Mat<f64>) -> (Mat<f64>, Vec<f64>, Vec<f64>) {
    let n = values.nrows() as f64;
    let mean: Vec<f64> = values.col_iter().map(|column| column.iter().sum::<f64>() / n).collect();
    let scale = (0..values.ncols())
        .map(|col| (values.col(col).iter().map(|value| (value - mean[col]).powi(2)).sum::<f64>() / n).sqrt());
    let scale: Vec<f64> = scale.collect();
    let there = |i, col: usize| (values[(i, col)] - mean[col]) / scale[col];
    (Mat::from_fn(values.nrows(), values.ncols(), there), mean, scale)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * (1.0 + a.abs())
}

/// All that a model and its posterior say, of one output or of two.
fn agrees<M>(model: M, outputs: usize)
where
    M: Model<Data<f64>> + Clone,
    M::Posterior: Predict<f64>,
{
    let (x, y) = (x(), y().subcols(0, outputs).to_owned());
    let data = Data::new(&x, &y);
    let ((z, _, _), (v, mean, scale)) = (by_hand(&x), by_hand(&y));
    let there = Data::new(&z, &v);
    let around = Standardization::of(&data).unwrap().around(model.clone());

    let widths: f64 = scale.iter().map(|scale| 12.0 * scale.ln()).sum();
    let (objective, gradient) = around.gradient(&data).unwrap();
    let (expected, slopes) = model.gradient(&there).unwrap();
    assert!(close(objective.value(), expected.value() - widths));
    assert!(gradient.iter().zip(&slopes).all(|(a, b)| close(*a, *b)));
    assert_eq!(around.parameters(), model.parameters());

    let (found, expected) = (around.condition(&data).unwrap(), model.condition(&there).unwrap());
    let (at, at_z) = (x.subrows(3, 4), z.subrows(3, 4));
    for (a, b) in [
        (found.predict(at).unwrap(), expected.predict(at_z).unwrap()),
        (found.predict_observations(at).unwrap(), expected.predict_observations(at_z).unwrap()),
    ] {
        for (row, col) in (0..4).flat_map(|row| (0..outputs).map(move |col| (row, col))) {
            assert!(close(a.mean[(row, col)], mean[col] + scale[col] * b.mean[(row, col)]));
            assert!(close(a.variance[(row, col)], scale[col].powi(2) * b.variance[(row, col)]));
        }
    }
    let last = outputs - 1;
    let (a, b) = (found.covariance(at, last).unwrap(), expected.covariance(at_z, last).unwrap());
    assert!(close(a[(1, 2)], scale[last].powi(2) * b[(1, 2)]));
    let draw = |posterior: &dyn Predict<f64>, at| posterior.sample(at, 2, &mut Pcg64::seed_from_u64(3)).unwrap().values;
    let (a, b) = (draw(&found, at), draw(&expected, at_z));
    assert!((0..4 * outputs).all(|row| close(a[(row, 1)], mean[row / 4] + scale[row / 4] * b[(row, 1)])));
    let (a, b) = (
        found.log_predictive_density(at, y.subrows(3, 4)).unwrap(),
        expected.log_predictive_density(at_z, v.subrows(3, 4)).unwrap(),
    );
    assert!(a.iter().zip(&b).all(|(a, b)| close(*a, b - widths / 12.0)));
}

#[test]
fn models_agree_with_those_of_data_standardised_by_hand() {
    let kernel = || 0.9 * Rbf::new([1.2, 0.8]);
    let z = by_hand(&x()).0.subrows(0, 5).to_owned();
    agrees(ExactGp::new(kernel()).with_noise(0.2).unwrap(), 1);
    agrees(Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.2).unwrap(), 1);
    agrees(Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(Gaussian::new(0.2)), 1);
    agrees(BatchGp::new(kernel().batched(2).unwrap()).with_noise(0.2).unwrap(), 2);
    agrees(IcmGp::new(kernel(), Coregionalization::new(mat![[0.4], [0.9]], [0.5, 0.3])), 2);
}

#[test]
fn constant_missing_and_exempt_columns() {
    let x = mat![[1.0, 2.0, f64::NAN], [5.0, 2.0, 4.0], [9.0, 2.0, 0.0]];
    let data = Data::new(&x, [3.0, 3.0, 3.0]);
    let units = Standardization::of(&data).unwrap();
    let there = units.inputs(x.as_ref()).unwrap();
    assert_eq!((there[(0, 1)], there[(1, 2)], there[(2, 2)]), (0.0, 1.0, -1.0));
    assert!(there[(0, 2)].is_nan());
    // What does not vary is divided by its size.
    assert_eq!((units.of_inputs().scale()[1], units.of_outputs().scale()[0]), (2.0, 3.0));
    assert_eq!(units.outputs(mat![[6.0]].as_ref()).unwrap(), mat![[1.0]]);
    assert!(units.clone().without_inputs(&[3]).unwrap_err().to_string().contains("there are 3"));
    let error = units.inputs(mat![[1.0]].as_ref()).unwrap_err().to_string();
    assert!(error.contains("3 column(s)"), "{error}");
    assert!(Standardization::of(&Data::new(mat![[f64::NAN]], [1.0])).is_err());
}

/// Inputs alone for classes, in single precision; the functions are those of the model.
#[test]
fn classes_keep_their_outputs() {
    let x = Mat::from_fn(10, 1, |i, _| 1e3f32 + 50.0 * i as f32);
    let data = Data::new(&x, (0..10).map(|i| f32::from(i > 4)).collect::<Vec<_>>());
    let units = Standardization::of(&data).unwrap().without_outputs();
    let z = Mat::from_fn(10, 1, |i, _| f64::from(units.inputs(x.as_ref()).unwrap()[(i, 0)]));
    let inner = Svgp::new(Rbf::new(1.0), z.as_ref()).unwrap().with_likelihood(Bernoulli::logit());
    let around = units.around(inner.clone());
    let there = Data::new(around.standardization().inputs(x.as_ref()).unwrap(), data.y());
    assert_eq!(around.objective(&data).unwrap().value(), inner.objective(&there).unwrap().value);
    let predicted = around.condition(&data).unwrap().predict_observations(x.as_ref()).unwrap();
    assert_eq!(predicted, inner.condition(&there).unwrap().predict_observations(there.x()).unwrap());
}
