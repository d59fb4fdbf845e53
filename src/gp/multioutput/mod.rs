//! Several correlated outputs.

mod grid;
mod grid_methods;
mod icm;
mod icm_posterior;
mod noise;
mod oilmm;
mod oilmm_posterior;
mod orthogonal;
mod prediction;
#[cfg(feature = "serde")]
mod saved;
mod stacked;

pub use icm::IcmGp;
pub use icm_posterior::IcmPosterior;
pub use oilmm::Oilmm;
pub use oilmm_posterior::OilmmPosterior;
pub use prediction::JointPrediction;
pub use stacked::Stacked;
