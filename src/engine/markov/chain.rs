//! Observations in the order of time, and the passes over them.
//!
//! Steps are taken in chunks. The forward pass keeps the state at the start of each, and the backward pass goes through a chunk
//! forward again before it goes back: what it reads is then in the cache, and memory is that of one state for a chunk.

use std::fmt::Debug;
use std::sync::OnceLock;

use super::ask::Ask;
use super::carry::Carry;
use super::gradient::Gradient;
use super::query::{Found, Queries, Query, Transitions};
use super::recursion::{Dense, Layout, Record, Sparse, State, predict, update};
use super::system::{Matrices, Pattern, System};
use crate::Scalar;
use crate::engine::Weights;
use crate::kernel::{STEPS, Steps};
use crate::simd::{Pass, dispatch};

/// The largest number of states.
pub(crate) const MOST_STATES: usize = 64;

/// Observations of the first state of a system, by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observations<'a> {
    /// Not descending; times may repeat. There is at least one.
    pub(crate) times: &'a [f64],
    /// What the mean leaves of each; NaN where nothing was observed.
    pub(crate) values: &'a [f64],
    /// The variance of the noise of each,
    pub(crate) noise: &'a [f64],
    /// and that which all have beside.
    pub(crate) white: f64,
}

impl Observations<'_> {
    /// Writes the steps to the observations from `at` on, and gives their number.
    pub(super) fn steps(&self, at: usize, steps: &mut Steps) -> usize {
        let count = (self.times.len() - at).min(STEPS);
        for index in 0..STEPS {
            let to = at + index.min(count - 1);
            let from = if index < count { to.saturating_sub(1) } else { to };
            steps.set(index, self.times[from], self.times[to]);
        }
        count
    }
}

/// An observation of this index whose variance, given those before, is not positive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indefinite(pub(crate) usize);

/// The passes for a width that is known when this is compiled.
pub(crate) trait Passes: Debug + Send + Sync {
    /// The log density of the observations; the states at the starts of chunks are kept where `keep` says so.
    fn density(&mut self, system: &System, data: &Observations<'_>, keep: bool) -> Result<f64, Indefinite>;

    /// After a density that kept the states: weights, and the gradient in the numbers of the system is added.
    fn gradient(&self, system: &System, data: &Observations<'_>, numbers: &mut [f64]) -> Weights;

    /// After a density that kept the states: what is known at other times.
    fn ask(&self, system: &System, data: &Observations<'_>, queries: &Queries<'_>) -> Found;

    /// What carries the covariance of the state from each query to the next.
    fn transitions(&self, system: &System, data: &Observations<'_>, queries: &[Query]) -> Transitions;
}

/// The passes over a system.
pub(crate) fn passes(system: &System) -> Box<dyn Passes> {
    fn of<L: Layout<W> + Debug + Send + Sync + 'static, const W: usize>(layout: L) -> Box<dyn Passes> {
        Box::new(Filter::<L, W> { layout, starts: Vec::new(), ends: OnceLock::new() })
    }
    let sparse = || Sparse::new(system.pattern());
    const { assert!(Pattern::DENSE == 4) };
    match system.states() {
        1 => of::<_, 1>(Dense),
        2 => of::<_, 2>(Dense),
        3 => of::<_, 3>(Dense),
        4 => of::<_, 4>(Dense),
        5..=8 => of::<_, 8>(sparse()),
        9..=16 => of::<_, 16>(sparse()),
        17..=32 => of::<_, 32>(sparse()),
        _ => of::<_, MOST_STATES>(sparse()),
    }
}

/// The passes over a system of this layout, and what they have found.
#[derive(Debug)]
pub(super) struct Filter<L, const W: usize> {
    pub(super) layout: L,
    /// The state before each chunk.
    pub(super) starts: Vec<State<W>>,
    /// What later observations say at the end of each chunk.
    pub(super) ends: OnceLock<Vec<End<W>>>,
}

/// The derivatives in the state at the last observation of a chunk, given it, and in that at the next before it is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<const W: usize> {
    pub(super) last: State<W>,
    pub(super) next: State<W>,
}

impl<const W: usize> End<W> {
    pub(super) fn zero() -> Self {
        Self { last: State::zero(), next: State::zero() }
    }
}

impl<L: Layout<W> + Debug + Send + Sync, const W: usize> Passes for Filter<L, W> {
    fn density(&mut self, system: &System, data: &Observations<'_>, keep: bool) -> Result<f64, Indefinite> {
        self.starts.clear();
        self.ends = OnceLock::new();
        let starts = keep.then_some(&mut self.starts);
        dispatch(Density { layout: &self.layout, system, data, starts })
    }

    fn gradient(&self, system: &System, data: &Observations<'_>, numbers: &mut [f64]) -> Weights {
        dispatch(Gradient { filter: self, system, data, numbers })
    }

    fn ask(&self, system: &System, data: &Observations<'_>, queries: &Queries<'_>) -> Found {
        dispatch(Ask { filter: self, system, data, queries })
    }

    fn transitions(&self, system: &System, data: &Observations<'_>, queries: &[Query]) -> Transitions {
        dispatch(Carry { filter: self, system, data, queries })
    }
}

struct Density<'a, L, const W: usize> {
    layout: &'a L,
    system: &'a System,
    data: &'a Observations<'a>,
    starts: Option<&'a mut Vec<State<W>>>,
}

impl<L: Layout<W>, const W: usize> Pass for Density<'_, L, W> {
    type Output = Result<f64, Indefinite>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let Self { layout, system, data, mut starts } = self;
        let mut matrices = system.matrices();
        let mut state = State::of(&system.start(data.times[0]), system.states());
        let mut x = [[0.0; W]; W];
        let (mut log_det, mut squares, mut seen) = (0.0, 0.0, 0usize);
        for at in (0..data.times.len()).step_by(STEPS) {
            let count = data.steps(at, &mut matrices.steps);
            system.fill(&mut matrices);
            state.symmetrise();
            if let Some(starts) = &mut starts {
                starts.push(state);
            }
            let mut spreads = [1.0; STEPS];
            for step in 0..count {
                predict::<L, W, FMA>(layout, [&matrices.a, &matrices.q], step, &mut state, &mut x);
                let y = data.values[at + step];
                if y.is_nan() {
                    continue;
                }
                let noise = data.noise[at + step] + data.white;
                let ([spread, inverse, v], _) = update::<L, W, FMA>(layout, &mut state, y, noise);
                spreads[step] = spread;
                squares = (v * v).lane_mul_add::<FMA>(inverse, squares);
                seen += 1;
            }
            let mut logs = 0.0;
            for step in 0..STEPS {
                if !(spreads[step] > 0.0 && spreads[step] < f64::INFINITY) {
                    return Err(Indefinite(at + step));
                }
                logs += spreads[step].lane_ln::<FMA>();
            }
            log_det += logs;
        }
        Ok(-0.5 * (log_det + squares + seen as f64 * std::f64::consts::TAU.ln()))
    }
}

/// Goes through a chunk again: records and, where they are wanted, the states given what was seen.
#[inline(always)]
pub(super) fn record<L: Layout<W>, const W: usize, const FMA: bool>(
    layout: &L,
    matrices: &Matrices,
    data: &Observations<'_>,
    [at, count]: [usize; 2],
    mut state: State<W>,
    records: &mut [Record<W>],
    mut states: Option<&mut [State<W>]>,
) {
    for step in 0..count {
        let record = &mut records[step];
        predict::<L, W, FMA>(layout, [&matrices.a, &matrices.q], step, &mut state, &mut record.x);
        let y = data.values[at + step];
        if y.is_nan() {
            *record = Record { x: record.x, ..Record::zero() };
        } else {
            let noise = data.noise[at + step] + data.white;
            let ([_, inverse, v], k) = update::<L, W, FMA>(layout, &mut state, y, noise);
            (record.k, record.left, record.inverse, record.scaled) = (k, noise * inverse, inverse, v * inverse);
        }
        record.m = state.m;
        if let Some(states) = &mut states {
            states[step] = state;
        }
    }
}
