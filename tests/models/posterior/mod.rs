//! Predictions and draws of posteriors.

mod certain;
mod pathwise;
mod predict;
mod predictions;
