//! The weights of an emulator as functions of its parameters.

use faer::{Mat, MatRef, Par};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::Posterior;
use super::structure::is_diagonal;
use crate::Result;
use crate::gp::{JointPrediction, Predict, Prediction, Samples, check_observations, missing_function};
use crate::linalg::{product, semidefinite_root};

impl Predict<f64> for Posterior {
    fn functions(&self) -> usize {
        self.solved.ncols()
    }

    fn predict(&self, theta: MatRef<'_, f64>) -> Result<Prediction<f64>> {
        let weights = self.weights(theta)?;
        let variance = |row: usize, col: usize| weights.covariance[row][(col, col)];
        let variance = Mat::from_fn(theta.nrows(), self.functions(), variance);
        Ok(Prediction::new(weights.mean, variance, weights.clamped))
    }

    fn predict_observations(&self, theta: MatRef<'_, f64>) -> Result<Prediction<f64>> {
        let mut predicted = self.predict(theta)?;
        let noise = self.noise();
        for (component, variances) in predicted.variance.col_iter_mut().enumerate() {
            variances.iter_mut().for_each(|variance| *variance += noise[(component, component)]);
        }
        Ok(predicted)
    }

    fn covariance(&self, theta: MatRef<'_, f64>, component: usize) -> Result<Mat<f64>> {
        let n = theta.nrows();
        if component >= self.functions() {
            return Err(missing_function("the component", component, self.functions()));
        }
        let joint = self.joint_weights(theta)?.covariance;
        Ok(joint.as_ref().submatrix(component * n, component * n, n, n).to_owned())
    }

    /// As the trait's, but jointly where components are not orthogonal.
    fn sample(&self, theta: MatRef<'_, f64>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<f64>> {
        let joint = self.joint_weights(theta)?;
        let (n, m) = (theta.nrows(), self.functions());
        let orthogonal = is_diagonal(self.spectra.inverse_gram().as_ref());
        let (groups, size) = if orthogonal { (m, n) } else { (1, m * n) };
        let mut values = Mat::from_fn(m * n, draws, |row, _| joint.mean[row]);
        // Rounding is of the size of the variances a priori.
        let units = self.prior(theta)?.concat();
        let mut jitter = 0.0f64;
        for first in (0..groups).map(|group| group * size) {
            let covariance = joint.covariance.as_ref().submatrix(first, first, size, size);
            let (root, left) = semidefinite_root(covariance, &units[first..first + size], Par::Seq)?;
            jitter = jitter.max(left);
            // As many numbers whatever the rank: that of one component does not move the draws of the next.
            let normal = Mat::<f64>::from_fn(size, draws, |_, _| rng.sample(StandardNormal));
            let mut part = values.as_mut().subrows_mut(first, size);
            part += product(root.as_ref(), normal.as_ref().subrows(0, root.ncols()));
        }
        Ok(Samples { values, jitter })
    }

    fn sample_observations(&self, theta: MatRef<'_, f64>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<f64>> {
        self.sample(theta, draws, rng)?.with_correlated_noise(self.noise().as_ref(), rng)
    }

    /// As the trait's, but jointly for the weights of a row, whose errors are correlated.
    fn log_predictive_density(&self, theta: MatRef<'_, f64>, weights: MatRef<'_, f64>) -> Result<Vec<f64>> {
        check_observations(theta, weights, self.functions())?;
        let predicted = self.weights(theta)?;
        let noise = self.noise();
        let density = |(row, covariance): (usize, Mat<f64>)| {
            let of_row = JointPrediction {
                mean: predicted.mean.as_ref().subrows(row, 1).to_owned(),
                mixing: Mat::zeros(self.functions(), 0),
                latent_variance: Mat::zeros(1, 0),
                noise: covariance + &noise,
                clamped: 0,
            };
            Ok(of_row.log_density(weights.subrows(row, 1))?.into_iter().sum())
        };
        predicted.covariance.into_iter().enumerate().map(density).collect()
    }
}

impl Posterior {
    /// G⁻¹/λ, the covariance of the weights of a spectrum by least squares given the weights of its components.
    fn noise(&self) -> Mat<f64> {
        self.spectra.inverse_gram() * faer::Scale(1.0 / self.precision)
    }
}
