//! Likelihoods: expectations, and models of them.

mod fixed_noise;
mod latent_integrals;
mod models;
