//! The examples of the registry, or some of them on request.

#![allow(clippy::panic)]

use mercer::algebra::registry;
use mercer::prelude::*;

/// Every example by name: with the environment variable `MERCER_ONLY=rbf`, those whose outermost node is an `rbf`.
pub(crate) fn examples() -> Vec<(&'static str, DynKernel)> {
    let all = registry::all();
    let Ok(only) = std::env::var("MERCER_ONLY") else { return all };
    let chosen: Vec<_> = all.iter().filter(|(_, kernel)| kernel.name() == only).cloned().collect();
    if chosen.is_empty() {
        let mut names: Vec<&str> = all.iter().map(|(_, kernel)| kernel.name()).collect();
        names.sort_unstable();
        names.dedup();
        panic!("MERCER_ONLY is `{only}`, which no example of the registry is; there are: {}", names.join(", "));
    }
    chosen
}
