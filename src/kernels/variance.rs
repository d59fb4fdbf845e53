//! What kernels with a variance and nothing else share.

/// Parameters, operators and constructors of a kernel whose one field is `variance`.
macro_rules! variance_kernel {
    ($type:ident as $name:literal) => {
        crate::parameterized!($type as $name, parameters: [variance]);
        crate::kernel_ops!($type);
        crate::construct!($type: try_new(variance: f64));

        impl $type {
            /// The kernel with a variance.
            ///
            /// # Panics
            ///
            /// If the variance is not positive and finite; the checked form is
            /// [`try_new`](Self::try_new).
            #[track_caller]
            pub fn new(variance: f64) -> Self {
                crate::error::literal(Self::try_new(variance))
            }

            /// The kernel with a variance.
            ///
            /// # Errors
            ///
            /// [`Error::Parameter`](crate::Error::Parameter) if the variance is not positive and
            /// finite.
            pub fn try_new(variance: f64) -> crate::Result<Self> {
                let constraint = crate::params::Constraint::Positive;
                Ok(Self { variance: Parameter::new("variance", variance, constraint)? })
            }

            /// The variance σ².
            pub fn variance(&self) -> f64 {
                self.variance.value()
            }
        }
    };
}

pub(super) use variance_kernel;
