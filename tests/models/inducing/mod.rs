//! Inducing features.

mod compositions;
mod fourier;
mod graph;
mod hilbert;
mod spherical;
