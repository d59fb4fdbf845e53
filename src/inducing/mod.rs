//! Inducing variables: few values that stand for a whole function.
//!
//! [`InducingFeatures`] is what a model asks of them, [`InducingPrior`] the form of their covariance.
//! [`InducingPoints`] are values at points, for any kernel; [`SphericalHarmonicFeatures`] coefficients on a sphere, for
//! zonal kernels.

mod features;
mod fourier;
mod graph;
mod greedy;
mod hilbert;
mod points;
mod prior;
mod spherical;
pub mod start;
mod waves;

pub use features::InducingFeatures;
pub use fourier::FourierFeatures;
pub use graph::GraphFeatures;
pub use hilbert::HilbertFeatures;
pub use points::InducingPoints;
pub use prior::InducingPrior;
pub(crate) use prior::StoredPrior;
pub use spherical::SphericalHarmonicFeatures;
