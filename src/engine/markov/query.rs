//! What is asked of a process at other times than those of its observations.

use faer::Mat;

use super::chain::Observations;
use super::system::{Matrices, System};
use crate::kernel::STEPS;

/// A time that is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) time: f64,
    /// The last observation that is not later.
    pub(crate) after: Option<usize>,
}

impl Query {
    /// The queries for times that do not descend.
    pub(crate) fn all(times: &[f64], data: &[f64]) -> Vec<Self> {
        let mut next = 0;
        let of = |&time: &f64| {
            // In steps that double: the next is near where there are many.
            let mut step = 1;
            while next + step <= data.len() && data[next + step - 1] <= time {
                next += step;
                step *= 2;
            }
            next += data[next..(next + step).min(data.len())].partition_point(|&at| at <= time);
            Self { time, after: next.checked_sub(1) }
        };
        times.iter().map(of).collect()
    }
}

/// The matrices of steps that lead to queries and away from them, of some consecutive ones.
pub(super) struct Around {
    pub(super) to: Matrices,
    pub(super) from: Matrices,
    first: usize,
}

impl Around {
    pub(super) fn new(system: &System) -> Self {
        Self { to: system.matrices(), from: system.matrices(), first: usize::MAX }
    }

    /// Makes those of this query, of some, be there, and gives their place.
    pub(super) fn at(&mut self, system: &System, data: &Observations<'_>, queries: &[Query], index: usize) -> usize {
        let first = index - index % STEPS;
        if first != self.first {
            self.first = first;
            for place in 0..STEPS {
                let query = &queries[(first + place).min(queries.len() - 1)];
                let time = query.time;
                let before = query.after.map_or(time, |after| data.times[after]);
                let next = data.times.get(query.after.map_or(0, |after| after + 1)).copied().unwrap_or(time);
                self.to.steps.set(place, before, time);
                self.from.steps.set(place, time, next);
            }
            system.fill(&mut self.to);
            system.fill(&mut self.from);
        }
        index - first
    }
}

/// Queries by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queries<'a> {
    pub(crate) all: &'a [Query],
    /// What is asked of the state: a weight for each of its numbers.
    pub(crate) functional: &'a [f64],
    /// Whether what covariances between queries take is found too.
    pub(crate) joint: bool,
}

/// The answers.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
    /// P g for each, given the observations before.
    pub(super) spread: Vec<f64>,
    /// g − N P g, for the N of the observations after.
    pub(super) left: Vec<f64>,
}

impl Found {
    /// For so many queries, with so many states where they are joint.
    pub(super) fn new(count: usize, states: usize) -> Self {
        let zeros = |len| vec![0.0; len];
        Self { mean: zeros(count), variance: zeros(count), spread: zeros(count * states), left: zeros(count * states) }
    }

    /// The covariance of the queries: that of i and a later j is (P_i g)ᵀ Ψᵀ (g − N_j P_j g), for the Ψ that carries the state
    /// from the one to the other (de Jong 1989, "Smoothing and interpolation with the state-space model").
    pub(crate) fn covariance(&self, transitions: &Transitions) -> Mat<f64> {
        let (count, states) = (self.mean.len(), transitions.states);
        let mut out = Mat::zeros(count, count);
        let mut next = vec![0.0; states];
        for first in 0..count {
            let mut carried = self.spread[first * states..][..states].to_vec();
            out[(first, first)] = self.variance[first];
            for second in first + 1..count {
                for (row, next) in next.iter_mut().enumerate() {
                    *next = transitions.row(second - 1, row).iter().zip(&carried).map(|(a, b)| a * b).sum();
                }
                carried.copy_from_slice(&next);
                let left = &self.left[second * states..][..states];
                let covariance = left.iter().zip(&carried).map(|(a, b)| a * b).sum();
                out[(first, second)] = covariance;
                out[(second, first)] = covariance;
            }
        }
        out
    }
}

/// A square matrix from each query to the next.
#[derive(Debug)]
pub(crate) struct Transitions {
    states: usize,
    entries: Vec<f64>,
}

impl Transitions {
    pub(super) fn new(states: usize) -> Self {
        Self { states, entries: Vec::new() }
    }

    /// Adds the first rows and columns of a matrix with rows of this length.
    pub(super) fn push(&mut self, rows: &[f64], width: usize) {
        for row in rows.chunks_exact(width).take(self.states) {
            self.entries.extend(&row[..self.states]);
        }
    }

    fn row(&self, pair: usize, row: usize) -> &[f64] {
        &self.entries[(pair * self.states + row) * self.states..][..self.states]
    }
}
