//! Graphs.

mod laplacian;

pub use laplacian::Laplacian;
