//! Harmonics of the sphere, and the coefficients of kernels in them.

mod harmonics;
mod spectrum;
