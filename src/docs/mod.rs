//! Design notes, notation and references.

#[doc = include_str!("design.md")]
pub mod design {}
