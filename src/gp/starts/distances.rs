//! How far inputs are from each other.

use faer::{Mat, MatRef};

use crate::Scalar;

/// Some of the rows of a matrix, spread evenly.
pub(super) fn some_rows<T: Scalar>(x: MatRef<'_, T>, most: usize) -> Mat<T> {
    let count = x.nrows().min(most);
    Mat::from_fn(count, x.ncols(), |row, col| x[(row * x.nrows() / count, col)])
}

/// Rows between all of which distances are measured, at most.
const ROWS: usize = 300;

/// A distance within which nine in ten points have a neighbour, the median of those of pairs, and the greatest, of points that
/// differ in these columns, by the Euclidean norm; none if no two do. O(n) time: from some hundred points to each other, and
/// to all for the nearest.
pub(super) fn distances(x: MatRef<'_, f64>, columns: &[usize]) -> Option<[f64; 3]> {
    let some = x.nrows().min(ROWS);
    let picked = |index: usize| index * x.nrows() / some;
    let between = |row: usize, other: usize| {
        let to = |sum: f64, &col: &usize| sum.hypot(x[(row, col)] - x[(other, col)]);
        Some(columns.iter().fold(0.0, to)).filter(|distance| *distance > 0.0 && distance.is_finite())
    };
    let pairs = (1..some).flat_map(|index| (0..index).map(move |other| (index, other)));
    let mut all: Vec<f64> = pairs.filter_map(|(index, other)| between(picked(index), picked(other))).collect();
    let nearest = |index: usize| (0..x.nrows()).filter_map(|other| between(picked(index), other)).reduce(f64::min);
    let mut nearest: Vec<f64> = (0..some).filter_map(nearest).collect();
    all.sort_unstable_by(f64::total_cmp);
    nearest.sort_unstable_by(f64::total_cmp);
    Some([*nearest.get(nearest.len() * 9 / 10)?, *all.get(all.len() / 2)?, *all.last()?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::mat;

    #[test]
    fn of_points_that_differ() {
        let x = mat![[0.0, 7.0], [3.0, 7.0], [3.0, 7.0], [f64::NAN, 7.0]];
        assert_eq!(distances(x.as_ref(), &[0, 1]), Some([3.0, 3.0, 3.0]));
        assert_eq!(distances(x.as_ref(), &[1]), None);
        assert_eq!(distances(mat![[1e200], [0.0], [3e200]].as_ref(), &[0]), Some([2e200, 2e200, 3e200]));
        // Neighbours are those of all points.
        let line = Mat::from_fn(3000, 1, |row, _| row as f64);
        let [near, median, range] = distances(line.as_ref(), &[0]).unwrap();
        assert!(near == 1.0 && (median / 878.0 - 1.0).abs() < 0.02 && range == 2990.0, "{near} {median} {range}");
        assert_eq!(some_rows(line.as_ref(), 300)[(299, 0)], 2990.0);
    }
}
