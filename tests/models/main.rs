//! Models and what they are made of: likelihoods, inducing features, the tape, optimisers. One program, so that what they
//! share is compiled once.

#[path = "../common"]
mod common {
    pub(crate) mod close;
    pub(crate) mod data;
    pub(crate) mod dense;
    pub(crate) mod entries;
    pub(crate) mod gradients;
    pub(crate) mod moments;
    pub(crate) mod stored;
    pub(crate) mod twofold;
}

mod batch_gp;
mod bounds_rounding;
mod certain_draws;
mod coincident;
mod collapsed;
mod concrete;
mod coregionalization;
mod divergences;
mod emulator;
mod emulator_structures;
mod equivalences;
mod fixed_noise;
mod fourier_features;
mod gplvm;
mod graph_features;
mod hilbert_features;
mod iterative;
mod latent_integrals;
mod latents;
mod likelihoods_reference;
mod mean_basis;
mod missing_inputs;
mod natural_gradients;
mod operators;
mod optim;
mod overflow;
mod parameters;
mod pathwise;
mod posterior;
mod pyro;
mod sphere_harmonics;
mod statistics;
mod svgp;
mod svgp_reference;
mod tape;
mod training;
mod units;
mod vish;
mod zonal_spectrum;
