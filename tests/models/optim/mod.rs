//! Minimisation, and training.

mod lbfgs;
mod training;
