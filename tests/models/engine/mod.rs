//! Engines of exact models: the same numbers by every algebra.

mod agreement;
mod behaviour;
mod fixtures;
