//! The coordinates that a search moves in.

use crate::params::{Parameterized, ParameterizedExt, floors_at, units_at};

/// What a search goes by, of all scalars in visiting order; none of either for all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measures<'a> {
    /// Units of what may be any finite number.
    pub(crate) units: &'a [f64],
    /// What positive ones are not to fall to; 0 for those that may.
    pub(crate) floors: &'a [f64],
}

/// Free parameters as a search counts them: on the real line of their constraints, in units; those with a floor by the
/// logarithm of what they are above it.
pub(super) struct Coordinates {
    /// On the real line.
    origin: Vec<f64>,
    units: Vec<f64>,
    floors: Vec<f64>,
    pub(super) start: Vec<f64>,
}

impl Coordinates {
    /// Those of a model, which is where the search starts. What is next to its floor or below starts at twice that.
    pub(super) fn of<P: Parameterized + ?Sized>(model: &P, measures: Measures<'_>) -> Self {
        let units = units_at(model, measures.units);
        let floors = floors_at(model, measures.floors);
        let mut origin = model.unconstrained();
        let start = (origin.iter_mut().zip(&units).zip(&floors))
            .map(|((x, unit), &floor)| {
                if floor == 0.0 {
                    return *x / unit;
                }
                let above = x.exp() - floor;
                // From next to it, a search would not see the gradient.
                if above > 0.1 * floor {
                    return above.ln();
                }
                *x = (2.0 * floor).ln();
                floor.ln()
            })
            .collect();
        Self { origin, units, floors, start }
    }

    /// The point on the real line.
    pub(super) fn on_the_line(&self, at: &[f64]) -> Vec<f64> {
        // The start comes back to the last bit.
        let point = |index: usize| {
            let (at, floor) = (at[index], self.floors[index]);
            if at == self.start[index] {
                self.origin[index]
            } else if floor == 0.0 {
                at * self.units[index]
            } else {
                (floor + at.exp()).ln()
            }
        };
        (0..at.len()).map(point).collect()
    }

    /// From a gradient on the real line to that in the coordinates.
    pub(super) fn pull(&self, at: &[f64], gradient: &mut [f64]) {
        for (index, entry) in gradient.iter_mut().enumerate() {
            let floor = self.floors[index];
            *entry *= if floor == 0.0 { self.units[index] } else { 1.0 / (1.0 + floor * (-at[index]).exp()) };
        }
    }
}
