//! Data on the way into a model, and predictions on the way out: checks, scaling, splits, scores.

mod checks;
pub mod metrics;
mod split;
mod standardizer;

pub use checks::check_finite;
pub use split::{Split, rows, split};
pub use standardizer::Standardizer;
