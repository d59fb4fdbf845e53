//! Structured operators, and solves by products.

mod iterative;
mod operators;
