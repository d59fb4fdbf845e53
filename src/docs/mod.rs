//! Design notes, notation, models of several outputs, and references.
//!
//! | page | what it holds |
//! |---|---|
//! | [`design`] | why the crate is cut the way it is: the contract of a kernel, and a list of whys |
//! | [`notation`] | symbols, shapes, conventions that define values, the order of parameters |
//! | [`outputs`] | several outputs: which model when, and why scaling one process is no emulator |
//! | [`references`] | the papers and books that the documentation cites |

#[doc = include_str!("design.md")]
pub mod design {}

#[doc = include_str!("notation.md")]
pub mod notation {}

#[doc = include_str!("outputs.md")]
pub mod outputs {}

#[doc = include_str!("references.md")]
pub mod references {}
