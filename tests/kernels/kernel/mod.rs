//! The contract of kernels: drivers, formulas and indices.

mod declared;
mod drivers;
mod far;
mod formula;
mod indices;
mod views;
