//! Kernels: laws, oracles and values of other libraries. One program, so that what they share is compiled once.

#[path = "../common"]
mod common {
    pub(crate) mod entries;
    pub(crate) mod examples;
    pub(crate) mod stored;
}

mod batch;
mod combine;
mod house;
mod kernax;
mod kernel;
mod mask;
mod testkit;
