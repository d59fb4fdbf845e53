//! The reverse pass: see the [module](super).

use faer::prelude::ReborrowMut;
use faer::{Accum, MatMut, Par};

use super::factor::{Factor, Take};
use super::squares::Squares;
use super::{Plan, Projection};
use crate::Scalar;
use crate::linalg::panels::{Combination, Packing, Rows, RowsMut, Use, combine, multiply, scatter, solve};
use crate::linalg::{column, column_mut};
use crate::tape::Pullback;

/// The reverse pass.
pub(super) struct Backward<'a, T> {
    pub(super) plan: &'a Plan,
    /// Positions of the panels of A and of the PᵀA.
    pub(super) a: usize,
    pub(super) projections: usize,
    /// Cotangents of the sums.
    pub(super) stats: &'a [T],
}

impl<T: Scalar> Backward<'_, T> {
    pub(super) fn run(&self, pull: &mut Pullback<'_, T>) {
        if pull.wants(self.plan.k) {
            self.give_k(pull);
        }
        let operands = self.plan.operands();
        if operands[1..].iter().any(|&operand| pull.wants(operand)) {
            Squares::new(self.plan, pull).give(pull, self.a, self.stats);
        }
    }

    /// K̄ = L⁻ᵀĀ
    fn give_k(&self, pull: &mut Pullback<'_, T>) {
        let plan = self.plan;
        let (layout, par) = (plan.layout, pull.par);
        let take: Take<'_, T> = &|len| pull.take(len, 1);
        let l = plan.whitening.map(|whitening| {
            Factor::pack(Packing::lower(Use::Solve, true, plan.inducing), pull.value(whitening.lower), take)
        });
        let means = plan.means(&|mean| pull.value(mean), take);
        let roots = plan.roots(&|root| pull.value(root), false, take);
        // One thread uses the same two buffers for all blocks.
        let len = layout.room::<T>(plan.rows, par) * plan.rows * layout.width();
        let mut buffers = [take(len), take(len)];
        let (a, projections) = (column(pull.value(self.a), 0), column(pull.value(self.projections), 0));
        let cotangents = Cotangents { plan, a, projections, stats: self.stats, l, means, roots, par };
        let [out, work] = &mut buffers;
        let (out, work) = (column_mut(out.as_mut(), 0), column_mut(work.as_mut(), 0));
        pull.add(plan.k, |to, accum| cotangents.run(0, to, accum, out, work));
        let Cotangents { l, means, roots, .. } = cotangents;
        let factors = l.into_iter().chain(means.into_iter().flatten());
        let factors = factors.chain(roots.into_iter().map(|(_, factor)| factor));
        factors.for_each(|factor| pull.recycle(factor.into_buffer()));
        buffers.into_iter().for_each(|buffer| pull.recycle(buffer));
    }
}

/// Ā and K̄, panel by panel.
struct Cotangents<'a, T: Scalar> {
    plan: &'a Plan,
    a: &'a [T],
    projections: &'a [T],
    stats: &'a [T],
    l: Option<Factor<T>>,
    means: Vec<Option<Factor<T>>>,
    roots: Vec<(Projection, Factor<T>)>,
    par: Par,
}

impl<T: Scalar> Cotangents<'_, T> {
    /// Of the panels from this one on, for as many columns as `to` has.
    fn run(&self, first: usize, mut to: MatMut<'_, T>, accum: Accum, out: &mut [T], work: &mut [T]) {
        let Self { plan, .. } = self;
        let (layout, rows, step) = (plan.layout, plan.rows, plan.block::<T>());
        let (width, panels) = (layout.width(), to.ncols().div_ceil(layout.width()));
        if let Some(half) = layout.middle::<T>(panels, rows, self.par) {
            let (left, right) = to.split_at_col_mut(half * width);
            let (out_left, out) = out.split_at_mut(half * rows * width);
            let (work_left, work) = work.split_at_mut(half * rows * width);
            rayon::join(
                || self.run(first, left, accum, out_left, work_left),
                || self.run(first + half, right, accum, out, work),
            );
            return;
        }
        for start in (0..panels).step_by(step) {
            let count = step.min(panels - start);
            let part = (first + start) * width..(first + start + count) * width;
            let (out, work) = (&mut out[..count * rows * width], &mut work[..count * rows * width]);
            self.of_whitened(part, out, work);
            if let Some(l) = self.l.as_ref().and_then(Factor::coefficients) {
                solve(layout, &l, RowsMut::all(out, rows), None);
            }
            let columns = (count * width).min(to.ncols() - start * width);
            scatter(layout, out, rows, to.rb_mut().subcols_mut(start * width, columns), accum);
        }
    }

    /// Ā of some points.
    fn of_whitened(&self, points: std::ops::Range<usize>, out: &mut [T], work: &mut [T]) {
        let Self { plan, .. } = self;
        let (layout, rows) = (plan.layout, plan.rows);
        let of = |rows: usize| points.start * rows..points.end * rows;
        let a = Rows::all(&self.a[of(rows)], rows);
        let of_points = Rows::all(&self.stats[of(plan.stats())], plan.stats());
        let nothing = Combination { onto: true, x: None, a: None, outer: None, of_points };
        let outer = |head: usize| {
            let mean = self.means.get(head)?.as_ref()?;
            Some((mean.numbers(), 1 + 2 * head))
        };
        // What is known of all points goes with the first product.
        let mut next = Combination { onto: false, a: Some((a, None, 0)), outer: outer(0), ..nothing };
        let mut add = |next: Combination<'_, T>| combine(layout, next, rows, RowsMut::all(out, rows));
        for (Projection { head, first, .. }, factor) in self.roots.iter().filter(|(of, _)| of.has_columns()) {
            let row = 2 + 2 * head;
            match factor.coefficients() {
                Some(p) => {
                    let from =
                        Rows { numbers: &self.projections[of(plan.projections)], of: plan.projections, first: *first };
                    multiply(layout, &p, from, RowsMut::all(work, rows), None);
                    add(Combination { x: Some((Rows::all(work, rows), row)), ..next });
                }
                None => {
                    add(next);
                    add(Combination { a: Some((a, Some(factor.numbers()), row)), ..nothing });
                }
            }
            next = nothing;
        }
        add(next);
        for head in 1..self.means.len() {
            add(Combination { outer: outer(head), ..nothing });
        }
    }
}
