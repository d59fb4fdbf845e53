//! Every kernel against every law, and the laws against kernels that break them.

mod broken_kernels;
mod conformance;
mod random_expressions;
