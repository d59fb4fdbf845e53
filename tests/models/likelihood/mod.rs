//! Likelihoods: expectations, and models of them.

mod coverage;
mod distributions;
mod fixed_noise;
mod latent_integrals;
mod models;
