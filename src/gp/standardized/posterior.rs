//! Predictions in the units of the data.

use std::sync::Arc;

use faer::{Mat, MatRef};
use rand::Rng;

use super::Standardization;
use crate::gp::predict::{Predict, check_observations, missing_function};
use crate::gp::prediction::{Prediction, Samples};
use crate::{Error, Result, Scalar};

/// The posterior of a [`Standardized`](super::Standardized) model: inputs and predictions are in the units of the data.
///
/// Functions are in the units of the outputs that they are; where several functions make an output, only
/// inputs can be standardised.
///
/// # Examples
///
/// Far from the data, predictions return to the mean of the observations and to their variance.
///
/// ```
/// use mercer::gp::{Data, ExactGp, Standardization};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [1.0], [2.0]], [90.0, 110.0, 100.0]);
/// let gp = Standardization::of(&data)?.around(ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?);
/// let far = gp.condition(&data)?.predict(mat![[1e3]].as_ref())?;
/// assert!((far.mean[(0, 0)] - 100.0).abs() < 1e-9);
/// assert!((far.variance[(0, 0)] - 200.0 / 3.0).abs() < 1e-9);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StandardizedPosterior<P> {
    pub(super) posterior: P,
    pub(in crate::gp) standardization: Arc<Standardization>,
}

impl<P> StandardizedPosterior<P> {
    pub(super) fn new<T: Scalar>(posterior: P, standardization: Arc<Standardization>) -> Result<Self>
    where
        P: Predict<T>,
    {
        let outputs = standardization.of_outputs();
        let as_they_are = outputs.scale().iter().all(|&scale| scale == 1.0) && outputs.mean().iter().all(|&m| m == 0.0);
        let (found, expected) = (posterior.functions(), outputs.mean().len());
        if !as_they_are && (found != expected || posterior.outputs() != found) {
            let expected = format!(
                "must be {expected}, one for each output, for these to be standardised: leave them as they are, by \
                 `Standardization::without_outputs`"
            );
            return Err(Error::setting("the number of functions of the model", found, &expected));
        }
        Ok(Self { posterior, standardization })
    }

    /// The posterior of the model, which is in standardised units.
    pub fn posterior(&self) -> &P {
        &self.posterior
    }

    /// The units.
    pub fn standardization(&self) -> &Standardization {
        &self.standardization
    }

    /// The mean and the deviation of an output; of more of them than were standardised, as of classes, nothing.
    pub(in crate::gp) fn units(&self, output: usize) -> (f64, f64) {
        let outputs = self.standardization.of_outputs();
        let (mean, scale) = (outputs.mean().get(output), outputs.scale().get(output));
        (mean.copied().unwrap_or(0.0), scale.copied().unwrap_or(1.0))
    }

    /// Values of an output in the units of the data.
    fn back<T: Scalar>(&self, output: usize, values: &mut [T]) {
        let (mean, scale) = self.units(output);
        values.iter_mut().for_each(|value| *value = T::from_f64(mean + scale * value.as_f64()));
    }

    fn samples_in_units<T: Scalar>(&self, samples: Samples<T>, points: usize) -> Samples<T> {
        let Samples { mut values, jitter } = samples;
        let outputs = values.nrows() / points;
        for draw in 0..values.ncols() {
            let by_output = values.col_as_slice_mut(draw).chunks_exact_mut(points);
            by_output.enumerate().for_each(|(output, values)| self.back(output, values));
        }
        let widest = (0..outputs).map(|output| self.units(output).1).fold(0.0, f64::max);
        Samples::new(values, jitter * widest * widest)
    }

    fn in_units<T: Scalar>(&self, mut predicted: Prediction<T>) -> Prediction<T> {
        self.to_units(&mut predicted);
        predicted
    }

    fn to_units<T: Scalar>(&self, predicted: &mut Prediction<T>) {
        for output in 0..predicted.mean.ncols() {
            self.back(output, predicted.mean.col_as_slice_mut(output));
            widen(predicted.variance.col_as_slice_mut(output), self.units(output).1);
        }
    }
}

impl<T: Scalar, P: Predict<T>> Predict<T> for StandardizedPosterior<P> {
    fn functions(&self) -> usize {
        self.posterior.functions()
    }

    fn outputs(&self) -> usize {
        self.posterior.outputs()
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let predicted = self.posterior.predict(self.standardization.inputs(x)?.as_ref())?;
        Ok(self.in_units(predicted))
    }

    fn predict_into(&self, x: MatRef<'_, T>, out: &mut Prediction<T>) -> Result<()> {
        let mut inputs = std::mem::replace(&mut out.room.inputs, Mat::new());
        self.standardization.inputs_into(x, &mut inputs)?;
        let predicted = self.posterior.predict_into(inputs.as_ref(), out);
        out.room.inputs = inputs;
        predicted.map(|()| self.to_units(out))
    }

    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let predicted = self.posterior.predict_observations(self.standardization.inputs(x)?.as_ref())?;
        Ok(self.in_units(predicted))
    }

    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>> {
        if function >= self.posterior.functions() {
            return Err(missing_function("the function", function, self.posterior.functions()));
        }
        let mut covariance = self.posterior.covariance(self.standardization.inputs(x)?.as_ref(), function)?;
        let (_, scale) = self.units(function);
        for col in 0..covariance.ncols() {
            widen(covariance.col_as_slice_mut(col), scale);
        }
        Ok(covariance)
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let drawn = self.posterior.sample(self.standardization.inputs(x)?.as_ref(), draws, rng)?;
        Ok(self.samples_in_units(drawn, x.nrows()))
    }

    fn quantiles(&self, x: MatRef<'_, T>, probabilities: &[f64]) -> Result<Vec<Mat<T>>> {
        let mut found = self.posterior.quantiles(self.standardization.inputs(x)?.as_ref(), probabilities)?;
        for quantiles in &mut found {
            (0..quantiles.ncols()).for_each(|output| self.back(output, quantiles.col_as_slice_mut(output)));
        }
        Ok(found)
    }

    fn cumulative(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Mat<T>> {
        check_observations(x, y, self.posterior.outputs())?;
        let (z, v) = (self.standardization.inputs(x)?, self.standardization.outputs(y)?);
        self.posterior.cumulative(z.as_ref(), v.as_ref())
    }

    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let drawn = self.posterior.sample_observations(self.standardization.inputs(x)?.as_ref(), draws, rng)?;
        Ok(self.samples_in_units(drawn, x.nrows()))
    }

    fn log_predictive_density(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        check_observations(x, y, self.posterior.outputs())?;
        let (z, v) = (self.standardization.inputs(x)?, self.standardization.outputs(y)?);
        let mut density = self.posterior.log_predictive_density(z.as_ref(), v.as_ref())?;
        for (row, density) in density.iter_mut().enumerate() {
            *density -= self.standardization.log_widths(y.subrows(row, 1));
        }
        Ok(density)
    }
}

/// Variances of values that are multiplied by a scale.
fn widen<T: Scalar>(variances: &mut [T], scale: f64) {
    variances.iter_mut().for_each(|value| *value = T::from_f64(scale * (scale * value.as_f64())));
}
