//! Points to check laws at: the same on every machine and in every version.

use faer::{Mat, MatRef};

use crate::kernel::Inputs;
use crate::{Expr, Scalar};

/// SplitMix64: equal seeds, equal points, without a dependency whose stream may change.
pub(super) struct Stream(u64);

impl Stream {
    pub(super) fn new(seed: u64) -> Self {
        // Mixed: from states a step apart, the second stream would be the first without its first number.
        Self(mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Uniform between −1 and 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub(super) fn matrix<T: Scalar>(&mut self, rows: usize, cols: usize) -> Mat<T> {
        Mat::from_fn(rows, cols, |_, _| T::from_f64(self.next()))
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// So many points, uniform between −2 and 2 in each dimension; the same for equal seeds.
///
/// # Examples
///
/// ```
/// use mercer::testkit::points;
///
/// let x = points::<f64>(10, 3, 7);
/// assert_eq!((x.nrows(), x.ncols()), (10, 3));
/// assert_eq!(x, points::<f64>(10, 3, 7));
/// assert_ne!(x, points::<f64>(10, 3, 8));
/// ```
pub fn points<T: Scalar>(len: usize, dim: usize, seed: u64) -> Mat<T> {
    let mut stream = Stream::new(seed);
    Mat::from_fn(len, dim, |_, _| T::from_f64(2.0 * stream.next()))
}

/// So many points that a kernel can read: as [`points`], with an index, uniform in its range, where the
/// kernel reads one.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::points_for;
///
/// let kernel = Rbf::new(1.0).on([0]) * Categorical::new(3, 0.5).on([1]);
/// let x = points_for::<f64>(&kernel, 10, 2, 7);
/// assert!((0..10).all(|row| [0.0, 1.0, 2.0].contains(&x[(row, 1)])));
/// ```
pub fn points_for<T: Scalar>(kernel: &dyn Expr, len: usize, dim: usize, seed: u64) -> Mat<T> {
    let mut points = points(len, dim, seed);
    let mut stream = Stream::new(seed.wrapping_add(1 << 32));
    for (column, count) in index_counts(kernel, dim).into_iter().enumerate() {
        let Some(count) = count else { continue };
        for row in 0..len {
            points[(row, column)] = T::from_f64((0.5 * (stream.next() + 1.0) * count as f64).floor());
        }
    }
    points
}

/// A small dimension that the kernel reads: 2 if it can, else the smallest up to 8, else 2 after all.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::few_dims;
///
/// assert_eq!(few_dims(&Rbf::new(1.0)), 2);
/// assert_eq!(few_dims(&Rbf::new([1.0, 2.0, 3.0])), 3);
/// ```
pub fn few_dims(kernel: &dyn Expr) -> usize {
    [2].into_iter().chain(1..=8).find(|&dim| kernel.inputs(dim).is_ok()).unwrap_or(2)
}

/// As [`points_for`], moved by `offset` in every dimension without index, every third of them replaced by
/// a copy of the one before.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::coincident_points_for;
///
/// let kernel = Rbf::new(1.0).on([0]) * Categorical::new(3, 0.5).on([1]);
/// let x = coincident_points_for::<f64>(&kernel, 10, 2, 7, 1e8);
/// assert_eq!((x[(2, 0)], x[(2, 1)]), (x[(1, 0)], x[(1, 1)]));
/// assert!(x[(0, 0)] > 1e7 && x[(0, 1)] < 3.0);
/// ```
pub fn coincident_points_for<T: Scalar>(kernel: &dyn Expr, len: usize, dim: usize, seed: u64, offset: f64) -> Mat<T> {
    let here = with_coincident_points(points_for::<T>(kernel, len, dim, seed), 0.0);
    moved_for(kernel, here.as_ref(), |_| offset)
}

/// The points moved in every dimension without index.
pub(super) fn moved_for<T: Scalar>(kernel: &dyn Expr, points: MatRef<'_, T>, by: impl Fn(usize) -> f64) -> Mat<T> {
    let indices = index_counts(kernel, points.ncols());
    let moved = |row, dim| points[(row, dim)] + T::from_f64(if indices[dim].is_some() { 0.0 } else { by(dim) });
    Mat::from_fn(points.nrows(), points.ncols(), moved)
}

/// For each dimension, how many indices there are, if the kernel reads one.
pub(super) fn index_counts(kernel: &dyn Expr, dim: usize) -> Vec<Option<usize>> {
    let mut counts: Vec<Option<usize>> = vec![None; dim];
    for index in kernel.inputs(dim).map(Inputs::into_indices).unwrap_or_default() {
        if let Some(count) = counts.get_mut(index.column()) {
            *count = Some(count.map_or(index.count(), |known| known.min(index.count())));
        }
    }
    counts
}

/// The points moved by `offset` in every dimension, every third of them replaced by a copy of the one
/// before.
///
/// # Examples
///
/// ```
/// use mercer::testkit::{points, with_coincident_points};
///
/// let x = with_coincident_points(points::<f64>(10, 1, 7), 1e8);
/// assert_eq!(x[(2, 0)], x[(1, 0)]);
/// assert!(x[(0, 0)] > 1e7);
/// ```
pub fn with_coincident_points<T: Scalar>(points: Mat<T>, offset: f64) -> Mat<T> {
    let source = |row: usize| if row % 3 == 2 { row - 1 } else { row };
    Mat::from_fn(points.nrows(), points.ncols(), |row, col| points[(source(row), col)] + T::from_f64(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_beside_each_other_share_no_points() {
        let (x, z) = (points::<f64>(100, 1, 1), points::<f64>(100, 1, 2));
        assert!(x.col(0).iter().all(|x| z.col(0).iter().all(|z| x != z)));
    }
}
