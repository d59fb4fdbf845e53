//! Inducing variables: few values that stand for a whole function.
//!
//! [`InducingFeatures`] is what a model asks of them, [`InducingPrior`] the form of their covariance.
//! [`InducingPoints`] are values at points, for any kernel; [`SphericalHarmonicFeatures`] coefficients on a sphere, for
//! zonal kernels.

mod features;
mod greedy;
mod points;
mod prior;
mod spherical;
pub mod start;

pub use features::InducingFeatures;
pub use points::InducingPoints;
pub use prior::InducingPrior;
pub(crate) use prior::StoredPrior;
pub use spherical::SphericalHarmonicFeatures;
