//! Inducing variables: few values that stand for a whole function.

mod greedy;
mod points;
pub mod start;

pub use points::InducingPoints;
