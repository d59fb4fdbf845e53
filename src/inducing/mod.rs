//! Inducing variables for sparse Gaussian processes.
//!
//! [`InducingFeatures`] is what a model asks of them, [`InducingPrior`] the form of their covariance. Features of your own:
//! the [guide](crate::docs::guides::own_inducing_features).
//!
//! | features | of a process on | kernels |
//! |---|---|---|
//! | [`InducingPoints`]: values at points | anything | all |
//! | [`FourierFeatures`]: projections on waves | a box | Matérn, of one coordinate each |
//! | [`HilbertFeatures`]: coefficients of sines | a box | stationary, of known spectral density |
//! | [`SphericalHarmonicFeatures`]: coefficients of harmonics | a sphere | zonal |
//! | [`GraphFeatures`]: coefficients of eigenvectors | the nodes of a graph | of the Laplacian |

mod basis;
mod box_basis;
mod features;
mod fourier;
mod graph;
mod greedy;
mod hilbert;
mod points;
mod prior;
#[cfg(feature = "serde")]
mod saved;
mod spherical;
pub mod start;
mod variances;

pub(crate) use basis::{Basis, PartPrior};
pub use features::InducingFeatures;
pub use fourier::FourierFeatures;
pub use graph::GraphFeatures;
pub use hilbert::HilbertFeatures;
pub use points::InducingPoints;
pub use prior::InducingPrior;
pub(crate) use prior::StoredPrior;
#[cfg(feature = "serde")]
pub use saved::register;
pub use spherical::SphericalHarmonicFeatures;
