//! A sum of Markov processes as one whose first state is what is observed.
//!
//! The states of the terms, one after the other, are s, and what is observed is f = hᵀs, the sum of the first state of each. In
//! z = T s, where T is the identity with hᵀ for its first row, f is the first state: an update then needs no difference that is
//! not the model's own, and a sum keeps its digits at small noise. With b the place of the first state of a later term,
//!
//! A′ = T A T⁻¹: its first row is hᵀA, less A₀₀ of the first term at each b; row r of the first term has −A_{r0} at each b; the
//! rest is that of the terms.
//!
//! So rows are full in the first term alone, which is the smallest.

use super::product::Product;
use crate::kernel::{Column, MarkovTerm, STEPS, StateSpace, Steps};

/// A process that is observed, at given parameters.
#[derive(Debug)]
pub(crate) struct System {
    terms: Vec<Term>,
    states: usize,
    pattern: Pattern,
}

/// Which entries of A′ may be other than 0.
#[derive(Debug)]
pub(super) struct Pattern {
    /// For each row, the columns.
    pub(super) rows: Vec<Vec<usize>>,
    /// For each row, the place of its first entry among all.
    pub(super) places: Vec<usize>,
}

impl Pattern {
    /// So many states are taken as one block.
    pub(super) const DENSE: usize = 4;

    /// Of blocks of so many states.
    fn new(blocks: &[usize]) -> Self {
        let states = blocks.iter().sum();
        let firsts: Vec<usize> = blocks.iter().scan(0, |next, d| Some(std::mem::replace(next, *next + d))).collect();
        let mut rows: Vec<Vec<usize>> = Vec::with_capacity(states);
        for (place, (&first, &d)) in firsts.iter().zip(blocks).enumerate() {
            for row in first..first + d {
                rows.push(match (place, row) {
                    _ if states <= Self::DENSE => (0..states).collect(),
                    (0, 0) => (0..states).collect(),
                    (0, _) => (0..d).chain(firsts[1..].iter().copied()).collect(),
                    _ => (first..first + d).collect(),
                });
            }
        }
        let places = rows.iter().scan(0, |next, row| Some(std::mem::replace(next, *next + row.len()))).collect();
        Self { rows, places }
    }

    fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// The place of an entry that is in the pattern.
    fn at(&self, row: usize, col: usize) -> usize {
        let within = self.rows[row].iter().position(|&of| of == col).unwrap_or(0);
        self.places[row] + within
    }
}

#[derive(Debug)]
struct Term {
    variance: f64,
    process: Box<dyn StateSpace>,
    /// Where its numbers start: the variance, then those of each factor.
    numbers: usize,
    count: usize,
    /// Which of the terms that were given it is.
    index: usize,
    /// Where its states start.
    first: usize,
}

/// The matrices of some steps, in the system and of each term.
#[derive(Debug)]
pub(super) struct Matrices {
    pub(super) steps: Steps,
    /// The entries of A′ that are in the pattern, row by row.
    pub(super) a: Vec<Column>,
    /// Q′, as a lower triangle.
    pub(super) q: Vec<Column>,
    of_terms: Vec<[Vec<Column>; 2]>,
}

/// Places in a lower triangle.
#[inline(always)]
pub(super) fn lower(row: usize, col: usize) -> usize {
    if row >= col { row * (row + 1) / 2 + col } else { col * (col + 1) / 2 + row }
}

fn columns(count: usize) -> Vec<Column> {
    vec![[0.0; STEPS]; count]
}

impl System {
    /// Of terms, of which there is at least one.
    pub(crate) fn new(terms: &[MarkovTerm]) -> Self {
        let mut numbers = 0;
        let mut all: Vec<Term> = terms
            .iter()
            .enumerate()
            .map(|(index, term)| {
                let process = Product::of(&term.factors);
                let count = 1 + term.factors.iter().map(|factor| factor.numbers.len()).sum::<usize>();
                numbers += count;
                let numbers = numbers - count;
                Term { variance: term.variance.value, process, numbers, count, index, first: 0 }
            })
            .collect();
        all.sort_by_key(|term| term.process.states());
        let mut states = 0;
        for term in &mut all {
            term.first = states;
            states += term.process.states();
        }
        let pattern = Pattern::new(&all.iter().map(|term| term.process.states()).collect::<Vec<_>>());
        Self { terms: all, states, pattern }
    }

    pub(crate) fn states(&self) -> usize {
        self.states
    }

    /// How many numbers there are: for each term, in the order in which they were given, the variance and those of its factors.
    pub(crate) fn numbers(&self) -> usize {
        self.terms.iter().map(|term| term.count).sum()
    }

    pub(crate) fn is_stationary(&self) -> bool {
        self.terms.iter().all(|term| term.process.is_stationary())
    }

    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// What of the states is the sum of some terms, which are told by their places among those that were given.
    pub(crate) fn functional(&self, wanted: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut out = vec![0.0; self.states];
        for (place, term) in self.terms.iter().enumerate() {
            let sign = f64::from(wanted(term.index));
            if place == 0 {
                // The first state is the sum of all.
                out[0] += sign;
                self.terms[1..].iter().for_each(|other| out[other.first] -= sign);
            } else {
                out[term.first] += sign;
            }
        }
        out
    }

    /// The covariance of the states at a time, as a lower triangle.
    pub(crate) fn start(&self, time: f64) -> Vec<f64> {
        let mut all = vec![0.0; self.states * (self.states + 1) / 2];
        for (place, term) in self.terms.iter().enumerate() {
            let (d, first) = (term.process.states(), term.first);
            let mut own = vec![0.0; d * (d + 1) / 2];
            term.process.start(time, &mut own);
            for (row, col) in (0..d).flat_map(|row| (0..=row).map(move |col| (row, col))) {
                all[lower(first + row, first + col)] = term.variance * own[lower(row, col)];
            }
            if place > 0 {
                all[0] += term.variance * own[0];
                (0..d).for_each(|row| all[lower(first + row, 0)] = term.variance * own[lower(row, 0)]);
            }
        }
        all
    }

    /// Adds to the gradient in the numbers.
    pub(super) fn start_vjp(&self, time: f64, cotangent: &[f64], numbers: &mut [f64]) {
        for (place, term) in self.terms.iter().enumerate() {
            let (d, first) = (term.process.states(), term.first);
            let mut value = vec![0.0; d * (d + 1) / 2];
            term.process.start(time, &mut value);
            let mut own = vec![0.0; value.len()];
            for (row, col) in (0..d).flat_map(|row| (0..=row).map(move |col| (row, col))) {
                own[lower(row, col)] = cotangent[lower(first + row, first + col)];
            }
            if place > 0 {
                own[0] += cotangent[0];
                (0..d).for_each(|row| own[lower(row, 0)] += cotangent[lower(first + row, 0)]);
            }
            let (in_variance, rest) = numbers[term.numbers..][..term.count].split_at_mut(1);
            in_variance[0] += value.iter().zip(&own).map(|(value, own)| value * own).sum::<f64>();
            own.iter_mut().for_each(|own| *own *= term.variance);
            term.process.start_vjp(time, &own, rest);
        }
    }

    pub(super) fn matrices(&self) -> Matrices {
        let of_terms = self.terms.iter().map(|term| {
            let d = term.process.states();
            [columns(d * d), columns(d * (d + 1) / 2)]
        });
        let (entries, triangle) = (self.pattern.len(), self.states * (self.states + 1) / 2);
        Matrices { steps: Steps::none(), a: columns(entries), q: columns(triangle), of_terms: of_terms.collect() }
    }

    /// The matrices of the steps that are there.
    pub(super) fn fill(&self, matrices: &mut Matrices) {
        let Matrices { steps, a, q, of_terms } = matrices;
        for (term, [own_a, own_q]) in self.terms.iter().zip(&mut *of_terms) {
            term.process.steps(steps, own_a, own_q);
        }
        for (place, (term, [own_a, own_q])) in self.terms.iter().zip(&*of_terms).enumerate() {
            let (d, first) = (term.process.states(), term.first);
            for row in 0..d {
                for col in 0..d {
                    a[self.pattern.at(first + row, first + col)] = own_a[row * d + col];
                }
                for col in 0..=row {
                    scale(&mut q[lower(first + row, first + col)], &own_q[lower(row, col)], term.variance);
                }
                if place > 0 {
                    scale(&mut q[lower(first + row, 0)], &own_q[lower(row, 0)], term.variance);
                }
            }
            if place > 0 {
                add_scaled(&mut q[0], &own_q[0], term.variance);
            }
        }
        let Some((smallest, later)) = self.terms.split_first() else { return };
        let (d, of_smallest) = (smallest.process.states(), &of_terms[0][0]);
        for (term, [own_a, _]) in later.iter().zip(&of_terms[1..]) {
            for col in 0..term.process.states() {
                a[self.pattern.at(0, term.first + col)] = own_a[col];
            }
            subtract(&mut a[self.pattern.at(0, term.first)], &of_smallest[0]);
            for row in 1..d {
                let out = &mut a[self.pattern.at(row, term.first)];
                out.fill(0.0);
                subtract(out, &of_smallest[row * d]);
            }
        }
    }

    /// Adds to the gradient in the numbers that of what [`fill`](Self::fill) gave.
    pub(super) fn pull(&self, matrices: &Matrices, [in_a, in_q]: [&[Column]; 2], numbers: &mut [f64]) {
        let Matrices { steps, of_terms, .. } = matrices;
        for (place, (term, [own_a, own_q])) in self.terms.iter().zip(of_terms).enumerate() {
            let (d, first) = (term.process.states(), term.first);
            let (mut of_a, mut of_q) = (columns(d * d), columns(d * (d + 1) / 2));
            for row in 0..d {
                for col in 0..d {
                    of_a[row * d + col] = in_a[self.pattern.at(first + row, first + col)];
                }
                for col in 0..=row {
                    of_q[lower(row, col)] = in_q[lower(first + row, first + col)];
                }
            }
            if place == 0 {
                for later in &self.terms[1..] {
                    for row in 0..d {
                        subtract(&mut of_a[row * d], &in_a[self.pattern.at(row, later.first)]);
                    }
                }
            } else {
                add_scaled(&mut of_q[0], &in_q[0], 1.0);
                for col in 0..d {
                    add_scaled(&mut of_a[col], &in_a[self.pattern.at(0, first + col)], 1.0);
                    add_scaled(&mut of_q[lower(col, 0)], &in_q[lower(first + col, 0)], 1.0);
                }
            }
            let (in_variance, rest) = numbers[term.numbers..][..term.count].split_at_mut(1);
            for (value, cotangent) in own_q.iter().zip(&mut of_q) {
                for (value, cotangent) in value.iter().zip(cotangent) {
                    in_variance[0] += value * *cotangent;
                    *cotangent *= term.variance;
                }
            }
            term.process.steps_vjp(steps, [own_a, own_q], [&of_a, &of_q], rest);
        }
    }
}

fn scale(out: &mut Column, from: &Column, by: f64) {
    out.iter_mut().zip(from).for_each(|(out, from)| *out = by * from);
}

fn add_scaled(out: &mut Column, from: &Column, by: f64) {
    out.iter_mut().zip(from).for_each(|(out, from)| *out += by * from);
}

fn subtract(out: &mut Column, from: &Column) {
    out.iter_mut().zip(from).for_each(|(out, from)| *out -= from);
}
