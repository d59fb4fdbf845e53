//! Models and what they are made of: likelihoods, inducing features, the tape, optimisers. One program, so that what they
//! share is compiled once.

#[path = "../common"]
mod common {
    pub(crate) mod close;
    pub(crate) mod data;
    pub(crate) mod dense;
    pub(crate) mod entries;
    pub(crate) mod gradients;
    pub(crate) mod kernels;
    pub(crate) mod moments;
    pub(crate) mod stored;
    pub(crate) mod twofold;
}

mod batch;
mod coincident;
mod concrete;
mod emulator;
mod engine;
mod equivalences;
mod fits;
mod gplvm;
mod inducing;
mod likelihood;
mod linalg;
mod missing_inputs;
mod multioutput;
mod optim;
mod params;
mod posterior;
mod pyro;
mod rounding;
mod sgpr;
mod sphere;
mod statistics;
mod svgp;
mod tape;
mod units;
