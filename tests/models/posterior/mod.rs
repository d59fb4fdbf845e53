//! Predictions and draws of posteriors.

mod certain;
mod components;
mod few;
mod pathwise;
mod predict;
mod predictions;
mod updates;
