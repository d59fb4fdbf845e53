//! Guides, design notes, notation, performance, and references.
//!
//! | page | what it holds |
//! |---|---|
//! | [`guides`] | short pages, code first: a quickstart, which kernel, parts of your own, troubleshooting |
//! | [`design`] | why the crate is cut the way it is: the contract of a kernel, and a list of whys |
//! | [`notation`] | symbols, shapes, conventions that define values, the order of parameters |
//! | [`outputs`] | several outputs: which model when, and why scaling one process is no emulator |
//! | [`performance`] | measured times, beside other libraries and a C program; figures on real data |
//! | [`references`] | the papers and books that the documentation cites |

pub mod guides;

#[doc = include_str!("design.md")]
pub mod design {}

#[doc = include_str!("notation.md")]
pub mod notation {}

#[doc = include_str!("outputs.md")]
pub mod outputs {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("references.md")]
pub mod references {}
