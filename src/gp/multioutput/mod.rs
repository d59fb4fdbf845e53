//! Several correlated outputs.

mod grid;
mod oilmm;
mod oilmm_posterior;
mod orthogonal;
mod prediction;
mod stacked;

pub use oilmm::Oilmm;
pub use oilmm_posterior::OilmmPosterior;
pub use prediction::JointPrediction;
pub use stacked::Stacked;
