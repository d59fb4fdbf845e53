//! From one query to the next: what covariances between them take.

use super::chain::{Filter, Observations, record};
use super::query::{Around, Query, Transitions};
use super::recursion::{Layout, Record, Rows, axpy};
use super::system::System;
use crate::kernel::STEPS;
use crate::simd::Pass;

/// What carries the state from each query to the next.
pub(super) struct Carry<'a, L, const W: usize> {
    pub(super) filter: &'a Filter<L, W>,
    pub(super) system: &'a System,
    pub(super) data: &'a Observations<'a>,
    pub(super) queries: &'a [Query],
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
