//! Predictions and draws of posteriors.

mod certain;
mod components;
mod pathwise;
mod predict;
mod predictions;
