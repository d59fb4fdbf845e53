//! Algebras that a model may do with in place of dense matrices: see [`Engine`](crate::gp::Engine).

pub(crate) mod markov;
mod order;

pub(crate) use order::Order;

use crate::Error;

/// What the reverse of a log density gives for each observation, in terms of A = K + noise: α = A⁻¹r, of which −α is the derivative
/// in r, and (A⁻¹)_ii, where ½ (α_i² − (A⁻¹)_ii) is that in the variance of the noise. Both are 0 where nothing was observed.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) solved: Vec<f64>,
    pub(crate) precisions: Vec<f64>,
}

/// The error for an engine that does not apply, with the reason.
pub(crate) fn refusal(engine: &str, why: &str) -> Error {
    let expected = format!("does not apply: {why}; take `Engine::Auto` or `Engine::Dense`");
    Error::setting("the engine", engine, &expected)
}
