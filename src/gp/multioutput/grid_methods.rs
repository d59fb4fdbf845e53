//! What the exact models of full grids have in common.

use crate::tape::Var;

/// A log evidence on a tape, and what gets the gradients, in visiting order.
pub(super) struct Recorded {
    pub(super) evidence: Var,
    pub(super) parameters: Vec<Var>,
}

/// Mean functions, evidence and fit, for a model of type `K` with a field `mean`, the numbers of its `outputs()`, a `check`
/// of data and a `record` of its evidence.
macro_rules! grid_methods {
    () => {
        /// The same with a mean function, of all outputs.
        #[must_use]
        pub fn with_mean(mut self, mean: impl crate::mean::AnyMean + 'static) -> Self {
            self.mean = crate::gp::latents::PerLatent::one(crate::mean::DynMean::new(mean));
            self
        }

        /// The same with a mean function for each output.
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

        /// The log evidence log p(Y) of values N × P, a column for each output.
        ///
        /// # Errors
        ///
        /// [`Error::Setting`] for a value that is missing (NaN), by its place; [`Error::Empty`], [`Error::NonFinite`] and
        /// [`Error::Shape`] for data that does not fit; [`Error::Dimension`] if a kernel cannot read the points;
        /// [`Error::Indefinite`] for a kernel that is not guaranteed positive semi-definite;
        /// [`Error::NotPositiveDefinite`] if no jitter that the policy allows is enough.
        pub fn log_evidence<T: Scalar>(&self, x: faer::MatRef<'_, T>, y: faer::MatRef<'_, T>) -> Result<f64>
        where
            K: Kernel<T>,
        {
            self.check(x, y)?;
            let tape = crate::tape::Tape::new(self.par);
            let recorded = self.record(&tape, x, y, false)?;
            tape.scalar(recorded.evidence)
        }

        /// The log evidence, and its gradient in all natural parameters in visiting order.
        ///
        /// # Errors
        ///
        /// As [`log_evidence`](Self::log_evidence), and [`Error::NotDifferentiable`] for a kernel without gradients.
        pub fn log_evidence_gradient<T: Scalar>(
            &self,
            x: faer::MatRef<'_, T>,
            y: faer::MatRef<'_, T>,
        ) -> Result<(f64, Vec<f64>)>
        where
            K: Kernel<T>,
        {
            self.check(x, y)?;
            let tape = crate::tape::Tape::new(self.par);
            let recorded = self.record(&tape, x, y, true)?;
            let gradients = tape.backward(recorded.evidence)?;
            Ok((tape.scalar(recorded.evidence)?, crate::gp::terms::gather(&gradients, &tape, &recorded.parameters)?))
        }

        /// Maximises the log evidence over the free parameters; with [priors](crate::params::Prior), its sum with their
        /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
        ///
        /// # Errors
        ///
        /// As [`log_evidence_gradient`](Self::log_evidence_gradient) at the start; later failures end the search at the best
        /// parameters found.
        pub fn fit<T: Scalar>(
            &mut self,
            x: faer::MatRef<'_, T>,
            y: faer::MatRef<'_, T>,
            minimizer: &dyn crate::optim::Minimizer,
        ) -> Result<crate::optim::Minimum>
        where
            K: Kernel<T>,
        {
            self.check(x, y)?;
            let units = self.units(x, y);
            crate::optim::fit_in_units(self, &units, minimizer, |model| {
                let (evidence, mut gradient) = model.log_evidence_gradient(x, y)?;
                gradient.iter_mut().for_each(|entry| *entry = -*entry);
                Ok((-evidence, gradient))
            })
        }
    };
}

pub(super) use grid_methods;
