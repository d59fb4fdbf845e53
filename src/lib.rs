//! A composable algebra of covariance kernels, and Gaussian-process models that take any kernel
//! through one trait.

pub mod combine;
pub mod data;
pub mod docs;
mod error;
pub mod gp;
pub mod inducing;
pub mod kernel;
pub mod kernels;
pub mod likelihood;
pub mod linalg;
pub mod mean;
pub mod optim;
pub mod params;
pub mod prelude;
mod scalar;
pub mod simd;
pub mod tape;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod warp;

pub use error::{Error, Result};
pub use kernel::dynamic::DynKernel;
pub use kernel::{Expr, Kernel, KernelExt};
pub use scalar::Scalar;
