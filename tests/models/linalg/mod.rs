//! Structured operators, and solves by products.
#![allow(clippy::unwrap_used)]

mod iterative;
mod operators;

use mercer::Scalar;
use mercer::linalg::{Dense, Jitter};
use mercer::prelude::{Mat, Par};

fn dense<T: Scalar>(a: &Mat<T>) -> Dense<T> {
    Dense::new(a.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap()
}
