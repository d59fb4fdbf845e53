//! Kernels: laws, oracles and values of other libraries. One program, so that what they share is compiled once.

mod batch;
mod broken_kernels;
mod combinators;
mod conformance;
mod drivers;
mod far;
mod formula;
mod indices;
mod kernax;
mod mask;
mod random_expressions;
