//! What all models can be told.

/// The builder methods that every model has, for a struct with the fields `jitter`, `par` and
/// `allow_indefinite`.
macro_rules! model_settings {
    () => {
        /// Sets the jitter policy.
        #[must_use]
        pub fn with_jitter(mut self, jitter: crate::linalg::Jitter) -> Self {
            self.jitter = jitter;
            self
        }

        crate::gp::settings::plain_settings!();
    };
}

/// The builder of a model with noise of one variance, for a struct with the field `likelihood`.
macro_rules! noise_setting {
    () => {
        /// Sets the noise variance σ².
        ///
        /// # Errors
        ///
        /// [`Error::Parameter`](crate::Error::Parameter) if it is not positive and finite.
        pub fn with_noise(mut self, variance: f64) -> Result<Self> {
            self.likelihood = Gaussian::try_new(variance)?;
            Ok(self)
        }
    };
}

/// The same for a model that adds nothing to any diagonal: one without the field `jitter`.
macro_rules! plain_settings {
    () => {
        /// Sets the parallelism; by default, all threads of the rayon pool.
        #[must_use]
        pub fn with_par(mut self, par: faer::Par) -> Self {
            self.par = par;
            self
        }

        /// Accepts kernels that are not guaranteed positive semi-definite. The
        /// factorisation may then fail.
        #[must_use]
        pub fn allow_indefinite(mut self) -> Self {
            self.allow_indefinite = true;
            self
        }
    };
}

/// The methods of models of one latent function, for a struct with the fields `kernel` and `mean`.
macro_rules! one_kernel {
    ($kernel:ty) => {
        /// Sets the mean function.
        #[must_use]
        pub fn with_mean(mut self, mean: impl crate::mean::AnyMean + 'static) -> Self {
            self.mean = crate::mean::DynMean::new(mean);
            self
        }

        /// The kernel.
        pub fn kernel(&self) -> &$kernel {
            &self.kernel
        }
    };
}

pub(crate) use {model_settings, plain_settings};
pub(super) use {noise_setting, one_kernel};
