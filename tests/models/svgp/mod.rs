//! The sparse variational process.

mod divergence;
mod forms;
mod latents;
mod mean_basis;
mod natural;
mod overflow;
mod reference;
