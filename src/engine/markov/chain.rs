//! Observations in the order of time, and the passes over them.
//!
//! Steps are taken in chunks. The forward pass keeps the state at the start of each, and the backward pass goes through a chunk
//! forward again before it goes back: what it reads is then in the cache, and memory is that of one state for a chunk.

use std::fmt::Debug;
use std::sync::OnceLock;

use super::query::{Found, Queries, Query, Transitions};
use super::recursion::{
    Dense, Layout, Record, Rows, Sparse, State, axpy, cotangents, dot, predict, predict_back, update, update_back,
};
use super::system::{Matrices, Pattern, System, lower};
use crate::Scalar;
use crate::kernel::{Column, STEPS, Steps};
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
    fn steps(&self, at: usize, steps: &mut Steps) -> usize {
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

/// What the reverse gives for each observation: u, of which −u is the derivative of the log density in it, and D, where ½ (u² − D)
/// is that in the variance of its noise. In terms of A = K + noise, u = A⁻¹ y and D = (A⁻¹)_ii.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) u: Vec<f64>,
    pub(crate) d: Vec<f64>,
}

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

#[derive(Debug)]
struct Filter<L, const W: usize> {
    layout: L,
    /// The state before each chunk.
    starts: Vec<State<W>>,
    /// What later observations say at the end of each chunk.
    ends: OnceLock<Vec<End<W>>>,
}

/// The derivatives in the state at the last observation of a chunk, given it, and in that at the next before it is given.
#[derive(Clone, Copy, Debug)]
struct End<const W: usize> {
    last: State<W>,
    next: State<W>,
}

impl<const W: usize> End<W> {
    fn zero() -> Self {
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
fn record<L: Layout<W>, const W: usize, const FMA: bool>(
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

struct Gradient<'a, L, const W: usize> {
    filter: &'a Filter<L, W>,
    system: &'a System,
    data: &'a Observations<'a>,
    numbers: &'a mut [f64],
}

impl<L: Layout<W>, const W: usize> Pass for Gradient<'_, L, W> {
    type Output = Weights;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Weights {
        let Self { filter: Filter { layout, starts, .. }, system, data, numbers } = self;
        let n = data.times.len();
        let mut weights = Weights { u: vec![0.0; n], d: vec![0.0; n] };
        let mut matrices = system.matrices();
        let zeros = |like: &[Column]| vec![[0.0; STEPS]; like.len()];
        let (mut in_a, mut in_q) = (zeros(&matrices.a), zeros(&matrices.q));
        let mut records = vec![Record::zero(); STEPS];
        let mut state = State::zero();
        for (chunk, start) in starts.iter().enumerate().rev() {
            let at = chunk * STEPS;
            let count = data.steps(at, &mut matrices.steps);
            system.fill(&mut matrices);
            record::<L, W, FMA>(layout, &matrices, data, [at, count], *start, &mut records, None);
            state.symmetrise();
            for step in (0..count).rev() {
                let record = &records[step];
                if record.inverse > 0.0 {
                    let (u, d) = update_back::<L, W, FMA>(layout, record, &mut state);
                    (weights.u[at + step], weights.d[at + step]) = (u, d);
                }
                if at + step > 0 {
                    let before = if step > 0 { &records[step - 1].m } else { &start.m };
                    cotangents::<L, W, FMA>(layout, record, before, &state, step, [&mut in_a, &mut in_q]);
                    predict_back::<L, W, FMA>(layout, &matrices.a, step, &mut state);
                } else {
                    // No step leads to the first observation.
                    in_a.iter_mut().chain(&mut in_q).for_each(|column| column[0] = 0.0);
                }
            }
            for column in in_a.iter_mut().chain(&mut in_q) {
                column[count..].fill(0.0);
            }
            system.pull(&matrices, [&in_a, &in_q], numbers);
        }
        let states = system.states();
        let mut of_start = vec![0.0; states * (states + 1) / 2];
        for row in 0..states {
            for col in 0..=row {
                let curvature = state.m[row] * state.m[col] - state.p[row][col];
                of_start[lower(row, col)] = if row == col { 0.5 * curvature } else { curvature };
            }
        }
        system.start_vjp(data.times[0], &of_start, numbers);
        weights
    }
}

/// The matrices of steps that lead to queries and away from them, of some consecutive ones.
struct Around {
    to: Matrices,
    from: Matrices,
    first: usize,
}

impl Around {
    fn new(system: &System) -> Self {
        Self { to: system.matrices(), from: system.matrices(), first: usize::MAX }
    }

    /// Makes those of this query, of some, be there, and gives their place.
    fn at(&mut self, system: &System, data: &Observations<'_>, queries: &[Query], index: usize) -> usize {
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

struct Ask<'a, L, const W: usize> {
    filter: &'a Filter<L, W>,
    system: &'a System,
    data: &'a Observations<'a>,
    queries: &'a Queries<'a>,
}

/// The states that queries between observations are answered from.
struct Sides<'a, const W: usize> {
    /// Given the observations before, as far as the last of them, or to the query where there is none.
    before: State<W>,
    /// The derivatives in the state at the next observation, before it is given.
    next: &'a State<W>,
}

impl<L: Layout<W>, const W: usize> Ask<'_, L, W> {
    /// Answers a query by the functional g of the state.
    #[inline(always)]
    fn answer<const FMA: bool>(
        &self,
        around: &mut Around,
        index: usize,
        Sides { mut before, next }: Sides<'_, W>,
        functional: &[f64; W],
        found: &mut Found,
    ) {
        let Self { filter: Filter { layout, .. }, system, data, queries } = self;
        let place = around.at(system, data, queries.all, index);
        let mut x = [[0.0; W]; W];
        if queries.all[index].after.is_some() {
            predict::<L, W, FMA>(layout, [&around.to.a, &around.to.q], place, &mut before, &mut x);
        }
        let mut spread = [0.0; W];
        for row in 0..layout.rows() {
            spread[row] = dot::<W, FMA>(&before.p[row], functional);
        }
        let carried = layout.times_vector::<FMA>(&around.from.a, place, &spread);
        let mut explained = [0.0; W];
        for row in 0..layout.rows() {
            explained[row] = dot::<W, FMA>(&next.p[row], &carried);
        }
        found.mean[index] = dot::<W, FMA>(functional, &before.m) + dot::<W, FMA>(&carried, &next.m);
        found.variance[index] = dot::<W, FMA>(functional, &spread) - dot::<W, FMA>(&carried, &explained);
        if queries.joint {
            let back = layout.transposed_times_vector::<FMA>(&around.from.a, place, &explained);
            let states = layout.rows();
            found.spread[index * states..][..states].copy_from_slice(&spread[..states]);
            for row in 0..states {
                found.left[index * states + row] = functional[row] - back[row];
            }
        }
    }
}

impl<L: Layout<W>, const W: usize> Pass for Ask<'_, L, W> {
    type Output = Found;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Found {
        let Self { filter: Filter { layout, starts, ends }, system, data, queries } = &self;
        let all = queries.all;
        let states = system.states();
        let mut found = Found::new(all.len(), if queries.joint { states } else { 0 });
        let mut functional = [0.0; W];
        functional[..states].copy_from_slice(queries.functional);
        let known = ends.get();
        let mut kept = vec![End::zero(); if known.is_none() { starts.len() } else { 0 }];
        let mut matrices = system.matrices();
        let mut around = Around::new(system);
        let mut records = vec![Record::zero(); STEPS];
        let mut filtered = vec![State::zero(); STEPS];
        let mut end = End::zero();
        let mut left = all.len();
        for (chunk, start) in starts.iter().enumerate().rev() {
            let at = chunk * STEPS;
            let first = all[..left].partition_point(|query| query.after.is_none_or(|after| after < at));
            let before_all = chunk == 0 && first > 0;
            if let Some(known) = known {
                if first == left && !before_all {
                    continue;
                }
                end = known[chunk];
            } else {
                kept[chunk] = end;
            }
            let count = data.steps(at, &mut matrices.steps);
            system.fill(&mut matrices);
            let states = (first < left).then_some(&mut filtered[..]);
            record::<L, W, FMA>(layout, &matrices, data, [at, count], *start, &mut records, states);
            let End { last: mut state, mut next } = end;
            state.symmetrise();
            for step in (0..count).rev() {
                while left > first && all[left - 1].after == Some(at + step) {
                    left -= 1;
                    let given = &filtered[step];
                    if all[left].time == data.times[at + step] && !queries.joint {
                        // No step leads to it.
                        let mut spread = [0.0; W];
                        for row in 0..layout.rows() {
                            spread[row] = dot::<W, FMA>(&given.p[row], &functional);
                        }
                        let mut explained = [0.0; W];
                        for row in 0..layout.rows() {
                            explained[row] = dot::<W, FMA>(&state.p[row], &spread);
                        }
                        found.mean[left] = dot::<W, FMA>(&functional, &given.m) + dot::<W, FMA>(&spread, &state.m);
                        found.variance[left] = dot::<W, FMA>(&functional, &spread) - dot::<W, FMA>(&spread, &explained);
                        continue;
                    }
                    let sides = Sides { before: *given, next: &next };
                    self.answer::<FMA>(&mut around, left, sides, &functional, &mut found);
                }
                if records[step].inverse > 0.0 {
                    update_back::<L, W, FMA>(layout, &records[step], &mut state);
                }
                next = state;
                if at + step > 0 {
                    predict_back::<L, W, FMA>(layout, &matrices.a, step, &mut state);
                }
            }
            end = End { last: state, next };
        }
        // Before the first observation: from the prior.
        for index in 0..left {
            let before = State::of(&system.start(all[index].time), system.states());
            self.answer::<FMA>(&mut around, index, Sides { before, next: &end.next }, &functional, &mut found);
        }
        if known.is_none() {
            // Another thread may have been quicker, with the same.
            let _ = ends.set(kept);
        }
        found
    }
}

struct Carry<'a, L, const W: usize> {
    filter: &'a Filter<L, W>,
    system: &'a System,
    data: &'a Observations<'a>,
    queries: &'a [Query],
}

impl<L: Layout<W>, const W: usize> Pass for Carry<'_, L, W> {
    type Output = Transitions;

    /// From each query to the next by A, and at observations by 1 − k e₀ᵀ.
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Transitions {
        let Self { filter: Filter { layout, starts, .. }, system, data, queries } = self;
        let states = system.states();
        let mut transitions = Transitions::new(states);
        let mut around = Around::new(system);
        let mut direct = system.matrices();
        let mut matrices = system.matrices();
        let mut records = vec![Record::zero(); STEPS];
        let mut current = usize::MAX;
        for pair in 1..queries.len() {
            let (from, to) = (&queries[pair - 1], &queries[pair]);
            let mut carried: Rows<W> = [[0.0; W]; W];
            (0..W).for_each(|row| carried[row][row] = 1.0);
            let mut x = [[0.0; W]; W];
            if from.after == to.after {
                direct.steps.set(0, from.time, to.time);
                system.fill(&mut direct);
                layout.add_times::<FMA>(&direct.a, 0, &carried, &mut x);
                transitions.push(x.as_flattened(), W);
                continue;
            }
            let place = around.at(system, data, queries, pair - 1);
            layout.add_times::<FMA>(&around.from.a, place, &carried, &mut x);
            carried = std::mem::replace(&mut x, [[0.0; W]; W]);
            let first = from.after.map_or(0, |after| after + 1);
            for index in first..=to.after.unwrap_or(first) {
                let (chunk, step) = (index / STEPS, index % STEPS);
                if chunk != current {
                    current = chunk;
                    let count = data.steps(chunk * STEPS, &mut matrices.steps);
                    system.fill(&mut matrices);
                    let place = [chunk * STEPS, count];
                    record::<L, W, FMA>(layout, &matrices, data, place, starts[chunk], &mut records, None);
                }
                if index > first {
                    layout.add_times::<FMA>(&matrices.a, step, &carried, &mut x);
                    carried = std::mem::replace(&mut x, [[0.0; W]; W]);
                }
                let observed = carried[0];
                for row in 0..layout.rows() {
                    axpy::<W, FMA>(-records[step].k[row], &observed, &mut carried[row]);
                }
            }
            let place = around.at(system, data, queries, pair);
            layout.add_times::<FMA>(&around.to.a, place, &carried, &mut x);
            transitions.push(x.as_flattened(), W);
        }
        transitions
    }
}
