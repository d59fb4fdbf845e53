//! Draws of a process given its observations, at any number of times.
//!
//! A draw of the process a priori, f⁺, and of observations of it, y⁺, gives one given the observations: f⁺ plus the mean given
//! y − y⁺ (Durbin & Koopman 2002, "A simple and efficient simulation smoother for state space time series analysis",
//! [doi:10.1093/biomet/89.3.603]). Each takes as long as a log density and a prediction.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::chain::{Indefinite, Observations, passes};
use super::query::Queries;
use super::system::{Matrices, System, lower};
use crate::kernel::STEPS;

/// A draw at the queries, of what the functional takes of the state.
pub(super) fn draw(
    system: &System,
    data: &Observations<'_>,
    queries: &Queries<'_>,
    rng: &mut dyn Rng,
) -> Result<Vec<f64>, Indefinite> {
    let Prior { observed, mut asked } = Prior::draw(system, data.times, queries, rng);
    let left = |(index, of): (usize, &f64)| {
        let noise: f64 = rng.sample(StandardNormal);
        data.values[index] - of - (data.noise[index] + data.white).sqrt() * noise
    };
    let values: Vec<f64> = observed.iter().enumerate().map(left).collect();
    let data = Observations { values: &values, ..*data };
    let mut passes = passes(system);
    passes.density(system, &data, true)?;
    let found = passes.ask(system, &data, queries);
    asked.iter_mut().zip(&found.mean).for_each(|(asked, mean)| *asked += mean);
    Ok(asked)
}

/// A draw a priori.
struct Prior {
    /// Of the first state, at the observations.
    observed: Vec<f64>,
    /// Of the functional, at the queries.
    asked: Vec<f64>,
}

impl Prior {
    fn draw(system: &System, times: &[f64], queries: &Queries<'_>, rng: &mut dyn Rng) -> Self {
        let mut out = Self { observed: Vec::with_capacity(times.len()), asked: Vec::with_capacity(queries.all.len()) };
        // All times in order, and whether each is that of an observation.
        let mut order = Vec::with_capacity(times.len() + queries.all.len());
        let mut next = queries.all.iter().map(|query| query.time).peekable();
        for &time in times {
            while let Some(before) = next.next_if(|&query| query < time) {
                order.push((before, false));
            }
            order.push((time, true));
        }
        order.extend(next.map(|time| (time, false)));

        let mut matrices = system.matrices();
        let states = system.states();
        let mut state = vec![0.0; states];
        add_noise(&mut system.start(order[0].0), states, &mut state, rng);
        for (chunk, part) in order.chunks(STEPS).enumerate() {
            let mut before = if chunk == 0 { part[0].0 } else { order[chunk * STEPS - 1].0 };
            for step in 0..STEPS {
                let to = part.get(step).map_or(before, |of| of.0);
                matrices.steps.set(step, before, to);
                before = to;
            }
            system.fill(&mut matrices);
            for (step, &(_, observed)) in part.iter().enumerate() {
                advance(system, &matrices, step, &mut state, rng);
                if observed {
                    out.observed.push(state[0]);
                } else {
                    out.asked.push(state.iter().zip(queries.functional).map(|(state, weight)| state * weight).sum());
                }
            }
        }
        out
    }
}

/// A step of a state: A s + e, with e ~ N(0, Q).
fn advance(system: &System, matrices: &Matrices, step: usize, state: &mut Vec<f64>, rng: &mut dyn Rng) {
    let pattern = system.pattern();
    let mut next: Vec<f64> = (0..state.len())
        .map(|row| {
            let entries = matrices.a[pattern.places[row]..].iter().zip(&pattern.rows[row]);
            entries.map(|(a, &col)| a[step] * state[col]).sum()
        })
        .collect();
    let mut noise: Vec<f64> = matrices.q.iter().map(|q| q[step]).collect();
    add_noise(&mut noise, state.len(), &mut next, rng);
    *state = next;
}

/// Adds a draw of N(0, Q), for a lower triangle that may be singular; it becomes a root.
fn add_noise(q: &mut [f64], states: usize, state: &mut [f64], rng: &mut dyn Rng) {
    for col in 0..states {
        let own = q[lower(col, col)];
        let explained: f64 = (0..col).map(|k| q[lower(col, k)] * q[lower(col, k)]).sum();
        let left = own - explained;
        // What rounding has left of 0.
        let root = if left > 4.0 * states as f64 * f64::EPSILON * own { left.sqrt() } else { 0.0 };
        q[lower(col, col)] = root;
        for row in col + 1..states {
            let covered: f64 = (0..col).map(|k| q[lower(row, k)] * q[lower(col, k)]).sum();
            let entry = &mut q[lower(row, col)];
            *entry = if root > 0.0 { (*entry - covered) / root } else { 0.0 };
        }
    }
    for col in 0..states {
        let normal: f64 = rng.sample(StandardNormal);
        (col..states).for_each(|row| state[row] += q[lower(row, col)] * normal);
    }
}
