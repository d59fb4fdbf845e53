//! The units that terms are predicted in.

use std::sync::Arc;

use faer::{Mat, MatRef};

use crate::gp::standardized::{Standardization, StandardizedPosterior};
use crate::{Result, Scalar};

/// What maps inputs to those of the model, and functions of the model back.
#[derive(Clone, Debug)]
pub(super) struct Units {
    pub(super) inputs: Option<Arc<Standardization>>,
    pub(super) scale: f64,
    /// What is added to the mean function, times the scale.
    pub(super) offset: f64,
}

impl Units {
    /// Those of the model.
    pub(super) fn none() -> Self {
        Self { inputs: None, scale: 1.0, offset: 0.0 }
    }

    pub(super) fn of<P>(posterior: &StandardizedPosterior<P>, function: usize) -> Self {
        let (offset, scale) = posterior.units(function);
        Self { inputs: Some(posterior.standardization.clone()), scale, offset }
    }

    /// The inputs of the model, unless they are these.
    pub(super) fn inputs<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        self.inputs.as_ref().map(|units| units.inputs(x)).transpose()
    }

    /// Multiplies variances and covariances by the square of the scale.
    pub(super) fn widen<T: Scalar>(&self, mut variances: Mat<T>) -> Mat<T> {
        if self.scale != 1.0 {
            for col in 0..variances.ncols() {
                let wider = |value: &mut T| *value = T::from_f64(self.scale * (self.scale * value.as_f64()));
                variances.col_as_slice_mut(col).iter_mut().for_each(wider);
            }
        }
        variances
    }
}
