//! Inducing variables: few values that stand for a whole function.

pub mod start;
