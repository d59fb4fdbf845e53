//! The priors of all parameters together.

use std::collections::HashSet;

use rand::Rng;

use super::Parameterized;
use super::entry::entries;
use super::visits::{for_each, for_each_at};
use crate::{Error, Result};

/// Draws from one prior after which a constraint is taken to refuse all that it gives.
const DRAWS: usize = 1000;

/// Σ log p over the parameters that have a prior, once for all that are tied. `see` gets position and
/// derivative of each.
pub(super) fn log_prior<P: Parameterized + ?Sized>(root: &P, see: &mut dyn FnMut(usize, f64)) -> f64 {
    let (mut sum, mut position) = (0.0, 0);
    let mut groups = HashSet::new();
    for_each(root, &mut |parameter| {
        for (element, note) in parameter.notes.iter().enumerate() {
            let is_first = note.tie.is_none_or(|tie| groups.insert(tie));
            if let Some(prior) = note.prior.filter(|_| is_first) {
                let value = parameter.values[element];
                sum += prior.log_density(value);
                see(position + element, prior.gradient(value));
            }
        }
        position += parameter.values.len();
    });
    sum
}

/// The objective of a fit by maximum a posteriori: subtracts the log prior from a loss, and its
/// gradient from that of the loss in all natural parameters.
///
/// # Errors
///
/// [`Error::Parameter`] for a value at which its prior has no finite log density.
pub(crate) fn subtract_log_prior<P: Parameterized + ?Sized>(root: &P, loss: f64, natural: &mut [f64]) -> Result<f64> {
    let log_prior = log_prior(root, &mut |position, derivative| {
        if let Some(entry) = natural.get_mut(position) {
            *entry -= derivative;
        }
    });
    if log_prior.is_finite() {
        return Ok(loss - log_prior);
    }
    for entry in entries(root) {
        if let Some(prior) = entry.prior.filter(|prior| !prior.log_density(entry.value).is_finite()) {
            let expected = format!("where its prior {prior} has a finite log density");
            return Err(Error::Parameter { path: entry.path, value: entry.value, expected });
        }
    }
    // Each is finite, the sum is not.
    Ok(loss - log_prior)
}

/// Sets each free parameter that has a prior to a draw.
pub(super) fn sample_priors<P: Parameterized + ?Sized>(root: &mut P, rng: &mut (impl Rng + ?Sized)) -> Result<()> {
    let mut positions = Vec::new();
    let entries = entries(root);
    let mut values: Vec<f64> = entries.iter().map(|entry| entry.value).collect();
    for (position, entry) in entries.into_iter().enumerate() {
        let Some(prior) = entry.prior.filter(|_| entry.free) else { continue };
        positions.push(position);
        if let Some(first) = entry.tie.filter(|&first| first < position) {
            values[position] = values[first];
            continue;
        }
        let mut draw = prior.sample(rng);
        for _ in 1..DRAWS {
            if entry.constraint.admits(draw) {
                break;
            }
            draw = prior.sample(rng);
        }
        if !entry.constraint.admits(draw) {
            let expected = format!("{}, which {DRAWS} draws from {prior} were not", entry.constraint);
            return Err(Error::Parameter { path: entry.path, value: draw, expected });
        }
        values[position] = draw;
    }
    let mut draws = positions.iter().map(|&position| values[position]);
    for_each_at(root, &positions, &mut |parameter, element| {
        if let Some(draw) = draws.next() {
            parameter.values[element] = draw;
        }
    });
    Ok(())
}
