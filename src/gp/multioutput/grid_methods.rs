//! What the exact models of full grids have in common.

use crate::Scalar;
use crate::tape::Var;

/// A log evidence on a tape, and what gets the gradients, in visiting order.
pub(super) struct Recorded<'t, T: Scalar> {
    pub(super) evidence: Var<'t, T>,
    pub(super) parameters: Vec<Var<'t, T>>,
}

/// Mean functions, for a model with a field `mean` and the number of its `outputs()`.
macro_rules! grid_methods {
    () => {
        /// Sets the mean function of all outputs.
        #[must_use]
        pub fn with_mean(mut self, mean: impl crate::mean::AnyMean + 'static) -> Self {
            self.mean = crate::gp::latents::PerLatent::one(crate::mean::DynMean::new(mean));
            self
        }

        /// Sets a mean function for each output.
        ///
        /// # Errors
        ///
        /// [`Error::Setting`] if there is not one for each.
        pub fn with_means(mut self, means: Vec<crate::mean::DynMean>) -> Result<Self> {
            let outputs = self.outputs();
            if means.len() != outputs {
                let expected = format!("must be {outputs}, the number of outputs");
                return Err(Error::setting("the number of mean functions", means.len(), &expected));
            }
            self.mean = crate::gp::latents::PerLatent::try_new("mean functions", means)?;
            Ok(self)
        }
    };
}

/// [`Model`](crate::gp::Model) of a full grid, for a model with an inherent `check`, `units`, `expressions`, `record` and
/// `posterior`; `seen` says whether outputs are values of the functions of the kernels.
macro_rules! grid_model {
    ($model:ident, $posterior:ident, seen: $seen:expr) => {
        impl<T: Scalar, K: Kernel<T> + Clone> crate::gp::Model<crate::gp::Data<T>> for $model<K> {
            type Objective = f64;
            type Posterior = $posterior<T>;

            fn objective(&self, data: &crate::gp::Data<T>) -> Result<f64> {
                self.check(data.x(), data.y())?;
                let tape = crate::tape::Tape::new(self.par);
                let recorded = self.record(&tape, data.x(), data.y(), false)?;
                tape.scalar(recorded.evidence)
            }

            fn evaluate(&self, data: &crate::gp::Data<T>, memory: &crate::gp::Memory) -> Result<(f64, Vec<f64>)> {
                self.check(data.x(), data.y())?;
                memory.on_tape(self.par, |tape| {
                    let recorded = self.record(tape, data.x(), data.y(), true)?;
                    let gradients = tape.backward(recorded.evidence)?;
                    let gradient = crate::gp::terms::gather(&gradients, tape, &recorded.parameters)?;
                    Ok((tape.scalar(recorded.evidence)?, gradient))
                })
            }

            fn condition(&self, data: &crate::gp::Data<T>) -> Result<$posterior<T>> {
                self.posterior(data.x(), data.y())
            }

            fn scales(&self, data: &crate::gp::Data<T>) -> Result<crate::gp::Scales> {
                self.check(data.x(), data.y())?;
                let noise = crate::gp::starts::noise_units(self, &crate::gp::starts::variances(data.y()));
                Ok(crate::gp::Scales { parameters: self.units(data.x(), data.y()), columns: Vec::new(), noise })
            }

            fn suggest(&self, data: &crate::gp::Data<T>) -> Result<crate::gp::Suggested> {
                self.check(data.x(), data.y())?;
                let (kernels, y) = (self.kernels_at(), $seen.then_some(data.y()));
                Ok(crate::gp::starts::suggested(self, &kernels, self.mean.all(), data.x(), y))
            }

            fn examine(&self, data: &crate::gp::Data<T>) -> Result<Vec<crate::gp::Warning>> {
                self.check(data.x(), data.y())?;
                let zero = self.mean.all().iter().all(crate::mean::MeanExpr::is_zero);
                let (model, kernels) = (self as &dyn crate::params::Parameterized, &*self.expressions());
                let of_zero_mean = zero.then_some(data.y());
                let examined =
                    crate::gp::fit::Examined { model, kernels, x: data.x(), of_zero_mean, noise: None, jitter: 0.0 };
                Ok(examined.warnings())
            }
        }
    };
}

pub(super) use {grid_methods, grid_model};
