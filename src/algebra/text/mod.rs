//! Kernels from text: names, the tree that a text describes, and the formats of serde.

mod aliases;
mod build;
mod names;
mod prior;
#[cfg(feature = "serde")]
mod saved;
#[cfg(feature = "serde")]
mod serde;
mod template;

pub use names::{Constructor, register, register_function};
pub(super) use names::{constructor, vertical};
pub(crate) use template::read_template;
