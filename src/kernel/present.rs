//! Which points of a set are there.

use std::ops::Range;

use faer::Mat;

use crate::Scalar;
use crate::kernel::Points;

/// Which points of a set are there, and their numbers among those that are.
#[derive(Debug)]
pub(crate) struct Present {
    /// How many points are there before each, and in the end.
    before: Vec<usize>,
}

impl Present {
    /// The points without a NaN in these dimensions; `None` if all are there.
    pub(crate) fn of<T: Scalar>(points: &Points<'_, T>, dims: impl Iterator<Item = usize>) -> Option<Self> {
        let mut missing = vec![false; points.len()];
        for dim in dims {
            for (missing, x) in missing.iter_mut().zip(points.column(dim)) {
                *missing |= x.is_nan();
            }
        }
        if !missing.contains(&true) {
            return None;
        }
        let mut before = Vec::with_capacity(missing.len() + 1);
        before.push(0);
        let mut count = 0;
        for missing in missing {
            count += usize::from(!missing);
            before.push(count);
        }
        Some(Self { before })
    }

    /// Whether a point is there.
    #[inline]
    pub(crate) fn has(&self, point: usize) -> bool {
        self.before[point + 1] > self.before[point]
    }

    /// The numbers of the points of a range that are there.
    #[inline]
    pub(crate) fn within(&self, points: Range<usize>) -> Range<usize> {
        self.before[points.start]..self.before[points.end]
    }

    /// The points of a range that are there.
    pub(crate) fn indices(&self, points: Range<usize>) -> impl Iterator<Item = usize> {
        points.filter(|&point| self.has(point))
    }

    /// The points that are there, as a set of their own.
    pub(crate) fn compact<'a, T: Scalar>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        let rows: Vec<usize> = self.indices(0..points.len()).collect();
        let made = Mat::from_fn(rows.len(), points.dim(), |row, col| points.column(col)[rows[row]]);
        Points::made(made).with_gradient(points.needs_gradient()).against(points.span().cloned())
    }
}
