//! The Matérn kernels.

mod any;
mod half_integer;
mod mixture;
mod table;

pub use any::Matern;
pub use half_integer::{Matern12, Matern32, Matern52};
