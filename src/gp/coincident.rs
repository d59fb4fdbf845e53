//! Inducing inputs that start where others are.

use crate::Result;
use crate::params::{Label, ParameterMut, Parameterized, Shape, VisitorMut};

/// Inputs that are as close as this, in spreads of their columns, count as one.
const CLOSE: f64 = 1e-6;
/// How far one of them is moved at most, in the same unit.
const SHIFT: f64 = 0.1;

/// Moves free inducing inputs off those that they coincide with, unless that raises the loss.
///
/// Two that coincide are one, and stay so: by symmetry the gradient has nothing that parts them, or only rounding, which a
/// factor of K(Z, Z) enlarges by the inverse of its last pivot, the jitter. What the second is good for shows at a distance of
/// the root of the jitter, a step in the loss that no search from its gradient sees. A bound is not lowered by
/// the move, since what the inputs spanned is still spanned by the first of them.
pub(super) fn part<M: Parameterized + Clone>(
    model: &mut M,
    columns: &[f64],
    loss: &mut impl FnMut(&M) -> Result<(f64, Vec<f64>)>,
) {
    let mut moved = model.clone();
    let mut inducing = Inducing { columns, inside: false, moved: false };
    moved.visit_mut(&mut inducing);
    if !inducing.moved {
        return;
    }
    let Ok((after, gradient)) = loss(&moved) else { return };
    let before = loss(model).map_or(f64::INFINITY, |(before, _)| before);
    if after <= before && gradient.iter().all(|entry| entry.is_finite()) {
        *model = moved;
    }
}

struct Inducing<'a> {
    columns: &'a [f64],
    /// Whether this is a part of the inducing features.
    inside: bool,
    moved: bool,
}

impl VisitorMut for Inducing<'_> {
    fn parameter(&mut self, mut parameter: ParameterMut<'_>) {
        let (view, columns) = (parameter.as_ref(), self.columns);
        let Shape::Matrix(rows, cols) = view.shape() else { return };
        if !self.inside || view.name() != "inputs" || cols != columns.len() {
            return;
        }
        let (inputs, free) = (view.values().to_vec(), view.free().to_vec());
        let at = |row: usize, col: usize| col * rows + row;
        let close = |a: usize, b: usize| {
            (0..cols).all(|col| (inputs[at(a, col)] - inputs[at(b, col)]).abs() <= CLOSE * columns[col])
        };
        for row in 1..rows {
            if !(0..row).any(|other| close(row, other)) {
                continue;
            }
            for col in (0..cols).filter(|&col| free[at(row, col)]) {
                // A Weyl sequence for each column: no two rows go the same way.
                let wave = (0.5 + (row as f64) * ((col + 1) as f64 * 0.618_033_988_749_894_9).fract()).fract() - 0.5;
                let element = at(row, col);
                self.moved |= parameter.set(element, inputs[element] + 2.0 * SHIFT * wave * columns[col]).is_ok();
            }
        }
    }

    fn child(&mut self, label: Label, child: &mut dyn Parameterized) {
        let outside = self.inside;
        self.inside |= label == Label::Part("inducing");
        child.visit_mut(self);
        self.inside = outside;
    }
}
