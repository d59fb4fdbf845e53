//! A composable algebra of covariance kernels, and Gaussian-process models that take any kernel
//! through one trait.

pub mod combine;
pub mod docs;
mod error;
pub mod kernel;
pub mod kernels;
pub mod params;
pub mod prelude;
mod scalar;
pub mod simd;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod warp;

pub use error::{Error, Result};
pub use kernel::dynamic::DynKernel;
pub use kernel::{Expr, Kernel, KernelExt};
pub use scalar::Scalar;
