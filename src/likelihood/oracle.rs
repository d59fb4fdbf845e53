//! Brute force for the tests of likelihoods: the trapezoid rule over f and over y, and central differences.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::f64::consts::TAU;

use super::Likelihood;
use crate::Error;
use crate::params::ParameterizedExt;

/// What a likelihood of one latent value gives for some observations, against brute force from its log
/// density and nothing else.
pub(super) struct Oracle<'a> {
    likelihood: &'a dyn Likelihood,
    y: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    tolerance: f64,
}

/// Values of f and their weights under N(mean, variance).
fn grid(mean: f64, variance: f64) -> (Vec<f64>, Vec<f64>) {
    const STEPS: i32 = 4000;
    let h = 12.0 / f64::from(STEPS);
    let z = (-STEPS..=STEPS).map(|i| h * f64::from(i));
    z.map(|z| (mean + variance.sqrt() * z, h * (-0.5 * z * z).exp() / TAU.sqrt())).unzip()
}

pub(super) fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

impl<'a> Oracle<'a> {
    pub(super) fn of(likelihood: &'a dyn Likelihood) -> Self {
        Self { likelihood, y: Vec::new(), mean: Vec::new(), variance: Vec::new(), tolerance: 1e-9 }
    }

    pub(super) fn at(mut self, y: &[f64], mean: &[f64], variance: &[f64]) -> Self {
        (self.y, self.mean, self.variance) = (y.to_vec(), mean.to_vec(), variance.to_vec());
        self
    }

    pub(super) fn within(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// log p(y | f) of one row at many f.
    fn log_density(&self, row: usize, y: f64, f: &[f64]) -> Vec<f64> {
        let replicated = self.likelihood.rows(&vec![row; f.len()]).unwrap();
        replicated.as_deref().unwrap_or(self.likelihood).log_density(&vec![y; f.len()], f).unwrap()
    }

    /// E p(y | f)
    fn marginal(&self, row: usize, y: f64) -> f64 {
        let (f, weights) = grid(self.mean[row], self.variance[row]);
        self.log_density(row, y, &f).iter().zip(weights).map(|(l, w)| w * l.exp()).sum()
    }

    /// Expectations and densities of new observations.
    pub(super) fn check_values(&self) {
        let expected = self.likelihood.variational_expectations(&self.y, &self.mean, &self.variance).unwrap();
        for row in 0..self.y.len() {
            let (f, weights) = grid(self.mean[row], self.variance[row]);
            let log_density = self.log_density(row, self.y[row], &f);
            let value: f64 = log_density.iter().zip(weights).map(|(l, w)| w * l).sum();
            close(&format!("expectation {row}"), expected.values[row], value, self.tolerance);
        }
        self.check_predictive();
    }

    /// Densities of new observations.
    pub(super) fn check_predictive(&self) {
        let predictive = self.likelihood.log_predictive_density(&self.y, &self.mean, &self.variance).unwrap();
        for (row, found) in predictive.into_iter().enumerate() {
            let marginal = self.marginal(row, self.y[row]);
            close(&format!("predictive density {row}"), found, marginal.ln(), self.tolerance);
        }
    }

    /// Derivatives against central differences of what they are derivatives of.
    pub(super) fn check_slopes(&self) {
        let found = self.likelihood.variational_expectations(&self.y, &self.mean, &self.variance).unwrap();
        let value = |likelihood: &dyn Likelihood, mean: &[f64], variance: &[f64]| -> f64 {
            likelihood.variational_expectations(&self.y, mean, variance).unwrap().values.iter().sum()
        };
        let difference = |at: f64, by: &dyn Fn(f64) -> f64| {
            let step = 1e-5 * at.abs().max(0.01);
            (by(at + step) - by(at - step)) / (2.0 * step)
        };
        let moved = |array: &[f64], index: usize, to: f64| {
            let mut array = array.to_vec();
            array[index] = to;
            array
        };
        for i in 0..self.mean.len() {
            let by_mean = |to: f64| value(self.likelihood, &moved(&self.mean, i, to), &self.variance);
            close(&format!("d_mean {i}"), found.d_mean[i], difference(self.mean[i], &by_mean), 1e-6);
            let by_variance = |to: f64| value(self.likelihood, &self.mean, &moved(&self.variance, i, to));
            close(&format!("d_variance {i}"), found.d_variance[i], difference(self.variance[i], &by_variance), 1e-6);
        }
        let params = self.likelihood.values();
        assert_eq!(found.d_params.len(), params.len());
        for i in 0..params.len() {
            let by_param = |to: f64| {
                let mut likelihood = dyn_clone::clone_box(self.likelihood);
                likelihood.set_values(&moved(&params, i, to)).unwrap();
                value(&*likelihood, &self.mean, &self.variance)
            };
            close(&format!("d_params {i}"), found.d_params[i], difference(params[i], &by_param), 1e-6);
        }
    }

    /// The same, and the derivative in the variance is continuous down to 0.
    pub(super) fn check_derivatives(&self) {
        self.check_slopes();
        let still = self.likelihood.variational_expectations(&self.y, &self.mean, &vec![0.0; self.mean.len()]).unwrap();
        let small = vec![2e-8; self.mean.len()];
        let small = self.likelihood.variational_expectations(&self.y, &self.mean, &small).unwrap();
        for i in 0..self.mean.len() {
            close(&format!("d_variance {i} near 0"), small.d_variance[i], still.d_variance[i], 1e-5);
        }
    }

    /// Values and derivatives.
    pub(super) fn check(&self) {
        self.check_values();
        self.check_derivatives();
    }

    /// All observations that have probability sum to 1, given f and predicted; and the prediction's mean and
    /// variance are the sums that define them.
    pub(super) fn sums_to_one(mut self, support: &[f64]) {
        (self.mean, self.variance) = (vec![0.7], vec![0.4]);
        self.integrates_to_one(&support.iter().map(|&y| (y, 1.0)).collect::<Vec<_>>());
    }

    /// The same with weights: pairs of an observation and its share of an integral, for the first row.
    pub(super) fn integrates_to_one(mut self, weighted: &[(f64, f64)]) {
        if self.mean.is_empty() {
            (self.mean, self.variance) = (vec![0.7], vec![0.4]);
        }
        let (mean, variance, tolerance) = (self.mean[0], self.variance[0], self.tolerance);
        let conditional: f64 = weighted.iter().map(|&(y, w)| w * self.log_density(0, y, &[mean])[0].exp()).sum();
        close("sum of densities given f", conditional, 1.0, tolerance);
        let predictive = |y: f64| self.likelihood.log_predictive_density(&[y], &[mean], &[variance]).unwrap()[0].exp();
        let densities: Vec<f64> = weighted.iter().map(|&(y, w)| w * predictive(y)).collect();
        let moment = |power: i32, about: f64| -> f64 {
            densities.iter().zip(weighted).map(|(p, (y, _))| p * (y - about).powi(power)).sum()
        };
        close("sum of predictive densities", moment(0, 0.0), 1.0, tolerance);
        let predicted = self.likelihood.predict(&[mean], &[variance]).unwrap();
        close("predictive mean", predicted.mean[0], moment(1, 0.0), tolerance);
        close("predictive variance", predicted.variance[0], moment(2, predicted.mean[0]), tolerance);
    }
}

/// Every method that takes observations refuses this one, by its row.
pub(super) fn assert_refused(likelihood: &dyn Likelihood, good: &[f64], bad: f64) {
    let mut y = good.to_vec();
    y.push(bad);
    let latent = vec![0.1; y.len() * likelihood.latents()];
    let refused = [
        likelihood.log_density(&y, &latent).map(|_| ()),
        likelihood.variational_expectations(&y, &latent, &latent).map(|_| ()),
        likelihood.log_predictive_density(&y, &latent, &latent).map(|_| ()),
    ];
    for result in refused {
        match result {
            Err(Error::Observation { row, value, .. }) => {
                assert!(row == good.len() && value.to_bits() == bad.to_bits());
            }
            other => panic!("{bad} gave {other:?}"),
        }
    }
}
