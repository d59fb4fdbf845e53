//! From the loss of a model to what an optimiser minimises.

use crate::Result;
use crate::params::{Parameterized, gradient_at, subtract_log_prior};

/// A loss less the log prior, and its gradient in the free unconstrained parameters at this point, to which they were set, from
/// a loss and its gradient in all natural ones, from which the prior's is subtracted. Every optimiser of models goes through here, so that a prior
/// counts once, whatever the loss is.
pub(super) fn penalised<M: Parameterized + ?Sized>(
    model: &M,
    point: &[f64],
    loss: f64,
    natural: &mut [f64],
) -> Result<(f64, Vec<f64>)> {
    let value = subtract_log_prior(model, loss, natural)?;
    Ok((value, gradient_at(model, point, natural)?))
}
