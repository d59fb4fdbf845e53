//! Solves for the columns of a matrix.

use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, Par};

use super::{Coefficients, Layout, RowsMut, gather, scatter, solve};
use crate::Scalar;

/// What the panels of a block may take of the second-level cache.
const BLOCK: usize = 128 << 10;

/// What they may take of the first-level cache, if a packed triangle is there at the same time.
const SMALL: usize = 12 << 10;

/// Bytes of panels that are worth a second thread.
const TASK: usize = 64 << 10;

impl Layout {
    /// Panels with so many rows in a block: what passes one after the other find in the cache.
    pub(crate) fn block<T>(self, rows: usize) -> usize {
        let triangle = rows * rows / 2 * size_of::<T>();
        self.panels_of::<T>(if triangle <= SMALL / 2 { SMALL } else { BLOCK }, rows)
    }

    /// Panels with so many rows that take so many bytes.
    fn panels_of<T>(self, bytes: usize, rows: usize) -> usize {
        (bytes / (rows * self.width() * size_of::<T>()).max(1)).clamp(1, 64)
    }

    /// How many of so many panels go to the first of two threads; `None` where they are worked on in turn.
    pub(crate) fn middle<T>(self, panels: usize, rows: usize, par: Par) -> Option<usize> {
        let step = self.panels_of::<T>(TASK, rows);
        (!matches!(par, Par::Seq) && panels > step).then(|| panels.div_ceil(2))
    }

    /// How many panels with so many rows there has to be room for, if one thread uses the same for all blocks.
    pub(crate) fn room<T>(self, rows: usize, par: Par) -> usize {
        if matches!(par, Par::Seq) { self.block::<T>(rows).min(self.panels()) } else { self.panels() }
    }
}

/// Solves for the columns of a matrix in their place, given [room](Layout::room) for panels. The bits of a column depend
/// on nothing else.
pub(crate) fn solve_columns<T: Scalar>(
    layout: Layout,
    l: &Coefficients<'_, T>,
    mut columns: MatMut<'_, T>,
    room: &mut [T],
    par: Par,
) {
    let (rows, width) = (l.inputs(), layout.width());
    let (panels, step) = (columns.ncols().div_ceil(width), layout.block::<T>(rows));
    if let Some(half) = layout.middle::<T>(panels, rows, par) {
        let (left, right) = columns.split_at_col_mut(half * width);
        let (room_left, room_right) = room.split_at_mut(half * rows * width);
        rayon::join(
            || solve_columns(layout, l, left, room_left, par),
            || solve_columns(layout, l, right, room_right, par),
        );
        return;
    }
    for first in (0..panels).step_by(step) {
        let count = step.min(panels - first);
        let points = (count * width).min(columns.ncols() - first * width);
        let mut columns = columns.rb_mut().subcols_mut(first * width, points);
        let room = &mut room[..count * rows * width];
        gather(layout, columns.rb(), 0, room, rows);
        solve(layout, l, RowsMut::all(room, rows), None);
        scatter(layout, room, rows, columns.rb_mut(), Accum::Replace);
    }
}
