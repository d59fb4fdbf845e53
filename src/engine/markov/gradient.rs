//! The gradient of the log density.

use super::chain::{Filter, Observations, record};
use super::recursion::{Layout, Record, State, cotangents, predict_back, update_back};
use super::system::{System, lower};
use crate::engine::Weights;
use crate::kernel::{Column, STEPS};
use crate::simd::Pass;

/// The weights of the observations; the gradient in the numbers of the system is added.
pub(super) struct Gradient<'a, L, const W: usize> {
    pub(super) filter: &'a Filter<L, W>,
    pub(super) system: &'a System,
    pub(super) data: &'a Observations<'a>,
    pub(super) numbers: &'a mut [f64],
}

impl<L: Layout<W>, const W: usize> Pass for Gradient<'_, L, W> {
    type Output = Weights;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Weights {
        let Self { filter: Filter { layout, starts, .. }, system, data, numbers } = self;
        let n = data.times.len();
        let mut weights = Weights { solved: vec![0.0; n], precisions: vec![0.0; n] };
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
                    (weights.solved[at + step], weights.precisions[at + step]) = (u, d);
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
