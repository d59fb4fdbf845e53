//! Inducing features.

mod fourier;
mod graph;
mod hilbert;
mod spherical;
