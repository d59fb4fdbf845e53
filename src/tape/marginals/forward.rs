//! A, the PᵀA, and their sums by point.

use faer::{MatRef, Par};

use super::factor::Factor;
use super::{Plan, Projection};
use crate::Scalar;
use crate::linalg::panels::{Rows, RowsMut, Sum, add_sum, gather, multiply, solve};

/// Some panels, from the number of the first, with what is computed from them.
pub(super) struct Block<'a, T: Scalar> {
    pub(super) first: usize,
    pub(super) panels: usize,
    /// A, and the PᵀA one below the other.
    pub(super) a: &'a mut [T],
    pub(super) projections: &'a mut [T],
    pub(super) stats: &'a mut [T],
}

/// What the forward pass reads.
pub(super) struct Forward<'a, T: Scalar> {
    pub(super) plan: &'a Plan,
    pub(super) k: MatRef<'a, T>,
    pub(super) l: Option<Factor<T>>,
    /// m by head.
    pub(super) means: Vec<Option<Factor<T>>>,
    /// The P, for PᵀA.
    pub(super) roots: Vec<(Projection, Factor<T>)>,
    pub(super) par: Par,
    /// Whether A and the PᵀA of all blocks are kept, or there is room for those of one.
    pub(super) keeps: bool,
}

impl<T: Scalar> Forward<'_, T> {
    pub(super) fn run(&self, block: Block<'_, T>) {
        let Self { plan, .. } = self;
        let (layout, rows) = (plan.layout, plan.rows);
        let (width, step) = (layout.width(), plan.block::<T>());
        let Block { first, panels, a, projections, stats } = block;
        if let Some(half) = layout.middle::<T>(panels, rows, self.par) {
            let (a_left, a) = a.split_at_mut(half * rows * width);
            let (p_left, projections) = projections.split_at_mut(half * plan.projections * width);
            let (s_left, stats) = stats.split_at_mut(half * plan.stats() * width);
            let left = Block { first, panels: half, a: a_left, projections: p_left, stats: s_left };
            let right = Block { first: first + half, panels: panels - half, a, projections, stats };
            rayon::join(|| self.run(left), || self.run(right));
            return;
        }
        for start in (0..panels).step_by(step) {
            let part = start * width..panels.min(start + step) * width;
            let of = |rows: usize| part.start * rows..part.end * rows;
            // What nobody reads again takes the place of what was there for the block before.
            let kept = |rows: usize| if self.keeps { of(rows) } else { 0..part.len() * rows };
            let a = &mut a[kept(rows)];
            gather(layout, self.k, first + start, a, rows);
            if let Some(l) = self.l.as_ref().and_then(Factor::coefficients) {
                solve(layout, &l, RowsMut::all(a, rows), None);
            }
            let (a, stats) = (Rows::all(a, rows), &mut stats[of(plan.stats())]);
            stats.fill(T::from_f64(0.0));
            let mut add = |sum: Sum<'_, T>, x: Rows<'_, T>, rows: usize, row: usize| {
                add_sum(layout, sum, x, rows, (RowsMut::all(stats, plan.stats()), row));
            };
            add(Sum::Squares(None), a, rows, 0);
            for (head, mean) in self.means.iter().enumerate() {
                if let Some(mean) = mean {
                    add(Sum::Dots(mean.numbers()), a, rows, 1 + 2 * head);
                }
            }
            let projections = &mut projections[kept(plan.projections)];
            let roots = self.roots.iter().filter(|(of, _)| of.has_columns());
            for (Projection { head, first, count, .. }, factor) in roots {
                let row = 2 + 2 * head;
                match factor.coefficients() {
                    None => add(Sum::Squares(Some(factor.numbers())), a, rows, row),
                    Some(p) => {
                        let to = RowsMut { numbers: &mut *projections, of: plan.projections, first: *first };
                        multiply(layout, &p, a, to, None);
                        let x = Rows { numbers: projections, of: plan.projections, first: *first };
                        add(Sum::Squares(None), x, *count, row);
                    }
                }
            }
        }
    }
}
