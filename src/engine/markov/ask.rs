//! Means and variances at other times than those of the observations.

use super::chain::{End, Filter, Observations, record};
use super::query::{Around, Found, Queries};
use super::recursion::{Layout, Record, State, dot, predict, predict_back, times, update_back};
use super::system::System;
use crate::kernel::STEPS;
use crate::simd::Pass;

/// What is known at the queries.
pub(super) struct Ask<'a, L, const W: usize> {
    pub(super) filter: &'a Filter<L, W>,
    pub(super) system: &'a System,
    pub(super) data: &'a Observations<'a>,
    pub(super) queries: &'a Queries<'a>,
}

/// What the states on both sides of a query say of gᵀs, for a functional g.
struct Moments<const W: usize> {
    mean: f64,
    variance: f64,
    /// N A P g, for the N of the later side and the A that leads there.
    explained: [f64; W],
}

impl<L: Layout<W>, const W: usize> Ask<'_, L, W> {
    /// Given P g on the earlier side, A P g, and the derivatives in the state on the later side.
    #[inline(always)]
    fn moments<const FMA: bool>(
        &self,
        functional: &[f64; W],
        earlier: &State<W>,
        [spread, carried]: [&[f64; W]; 2],
        later: &State<W>,
    ) -> Moments<W> {
        let explained = times::<W, FMA>(&later.p, carried, self.filter.layout.rows());
        Moments {
            mean: dot::<W, FMA>(functional, &earlier.m) + dot::<W, FMA>(carried, &later.m),
            variance: dot::<W, FMA>(functional, spread) - dot::<W, FMA>(carried, &explained),
            explained,
        }
    }

    /// Answers a query between observations, by the state given those before, as far as the last of them, or to the query
    /// where there is none, and the derivatives in the state at the next, before it is given.
    #[inline(always)]
    fn between<const FMA: bool>(
        &self,
        around: &mut Around,
        index: usize,
        (mut before, next): (State<W>, &State<W>),
        functional: &[f64; W],
        found: &mut Found,
    ) {
        let Self { filter: Filter { layout, .. }, system, data, queries } = self;
        let place = around.at(system, data, queries.all, index);
        if queries.all[index].after.is_some() {
            predict::<L, W, FMA>(layout, [&around.to.a, &around.to.q], place, &mut before, &mut [[0.0; W]; W]);
        }
        let spread = times::<W, FMA>(&before.p, functional, layout.rows());
        let carried = layout.times_vector::<FMA>(&around.from.a, place, &spread);
        let moments = self.moments::<FMA>(functional, &before, [&spread, &carried], next);
        (found.mean[index], found.variance[index]) = (moments.mean, moments.variance);
        if queries.joint {
            let back = layout.transposed_times_vector::<FMA>(&around.from.a, place, &moments.explained);
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
                        let spread = times::<W, FMA>(&given.p, &functional, layout.rows());
                        let moments = self.moments::<FMA>(&functional, given, [&spread, &spread], &state);
                        (found.mean[left], found.variance[left]) = (moments.mean, moments.variance);
                        continue;
                    }
                    self.between::<FMA>(&mut around, left, (*given, &next), &functional, &mut found);
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
            self.between::<FMA>(&mut around, index, (before, &end.next), &functional, &mut found);
        }
        if known.is_none() {
            // Another thread may have been quicker, with the same.
            let _ = ends.set(kept);
        }
        found
    }
}
