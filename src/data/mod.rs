//! Data on the way into a model, and predictions on the way out: checks, scaling, splits, scores.

mod basis;
mod checks;
mod column;
mod from_rows;
mod left_out;
pub mod metrics;
mod pca;
#[cfg(feature = "serde")]
mod saved;
mod split;
mod standardizer;

pub use basis::{Basis, Residuals};
pub use checks::check_finite;
pub(crate) use checks::check_taken;
pub use column::column;
pub use from_rows::from_rows;
pub use pca::{Components, Pca, PcaSettings};
pub use split::{Split, rows, split};
pub use standardizer::Standardizer;
