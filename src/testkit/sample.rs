//! Points to check laws at: the same on every machine and in every version.

use faer::Mat;

use crate::Scalar;

/// SplitMix64: equal seeds, equal points, without a dependency whose stream may change.
pub(super) struct Stream(u64);

impl Stream {
    pub(super) fn new(seed: u64) -> Self {
        // Not the increment below: with that, the stream of one seed is the next one's, moved by one.
        Self(seed.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// Uniform between −1 and 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub(super) fn matrix<T: Scalar>(&mut self, rows: usize, cols: usize) -> Mat<T> {
        Mat::from_fn(rows, cols, |_, _| T::from_f64(self.next()))
    }
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
