//! How far inputs are from each other.

use faer::{Mat, MatRef};

use crate::Scalar;

/// Rows that distances are told from, at most.
const ROWS: usize = 300;

/// Some of the rows, spread evenly.
pub(super) fn some_rows<T: Scalar>(x: MatRef<'_, T>) -> Mat<f64> {
    let count = x.nrows().min(ROWS);
    Mat::from_fn(count, x.ncols(), |row, col| x[(row * x.nrows() / count, col)].as_f64())
}

/// A distance within which nine in ten points have a neighbour, the median of those of all pairs, and the greatest, of points that
/// differ in these columns, by the Euclidean norm; none if no two do.
pub(super) fn distances(x: MatRef<'_, f64>, columns: &[usize]) -> Option<[f64; 3]> {
    let (mut all, mut nearest) = (Vec::new(), vec![f64::INFINITY; x.nrows()]);
    for row in 1..x.nrows() {
        for other in 0..row {
            let to = |sum: f64, &col: &usize| sum.hypot(x[(row, col)] - x[(other, col)]);
            let distance = columns.iter().fold(0.0, to);
            if distance > 0.0 && distance.is_finite() {
                all.push(distance);
                nearest[row] = nearest[row].min(distance);
                nearest[other] = nearest[other].min(distance);
            }
        }
    }
    nearest.retain(|distance| distance.is_finite());
    all.sort_unstable_by(f64::total_cmp);
    nearest.sort_unstable_by(f64::total_cmp);
    Some([*nearest.get(nearest.len() * 9 / 10)?, *all.get(all.len() / 2)?, *all.last()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn of_points_that_differ() {
        let x = mat![[0.0, 7.0], [3.0, 7.0], [3.0, 7.0], [f64::NAN, 7.0]];
        assert_eq!(distances(x.as_ref(), &[0, 1]), Some([3.0, 3.0, 3.0]));
        assert_eq!(distances(x.as_ref(), &[1]), None);
        assert_eq!(distances(mat![[1e200], [0.0], [3e200]].as_ref(), &[0]), Some([2e200, 2e200, 3e200]));
        assert_eq!(some_rows(Mat::from_fn(1000, 1, |row, _| row as f64).as_ref())[(299, 0)], 996.0);
    }
}
