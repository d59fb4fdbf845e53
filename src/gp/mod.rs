//! Gaussian-process models: kernels, means and likelihoods joined, fitted and asked.
//!
//! Each model states its objective once, forward, on a [`Tape`](crate::tape::Tape); gradients in all
//! parameters follow from there. A model holds its parameters in `f64`; the precision of a
//! computation is that of the data it is given.

mod checks;
mod conditional;
mod exact;
mod latents;
mod posterior;
mod process;
mod settings;
mod svgp;
mod terms;
mod variational;

pub use exact::ExactGp;
pub use posterior::{Posterior, Prediction, Samples};
pub use svgp::{Elbo, NaturalStep, Svgp};
pub use variational::Variational;
