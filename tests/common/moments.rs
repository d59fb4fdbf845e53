//! Moments of draws.

use mercer::prelude::*;

/// Mean and covariance of draws, one a column, are those stated: within five standard errors of normal variables, of whose
/// products the fourth moments may be this much more, and rounding.
#[track_caller]
pub(crate) fn assert_moments(draws: MatRef<'_, f64>, mean: &[f64], covariance: &Mat<f64>, excess: f64, rounding: f64) {
    let (rows, count) = (draws.nrows(), draws.ncols() as f64);
    assert_eq!((mean.len(), covariance.shape()), (rows, (rows, rows)));
    let centred = |row: usize, draw: usize| draws[(row, draw)] - mean[row];
    for i in 0..rows {
        let miss = (0..draws.ncols()).map(|draw| centred(i, draw)).sum::<f64>() / count;
        let error = (covariance[(i, i)].max(0.0) / count).sqrt();
        assert!(miss.abs() <= 5.0 * error + rounding, "mean {i}: off by {miss} for {error}");
        for j in 0..=i {
            let found = (0..draws.ncols()).map(|draw| centred(i, draw) * centred(j, draw)).sum::<f64>() / count;
            let of_normal = covariance[(i, i)] * covariance[(j, j)] + covariance[(i, j)].powi(2);
            let error = (of_normal.max(0.0) * (1.0 + excess) / count).sqrt();
            let miss = found - covariance[(i, j)];
            assert!(miss.abs() <= 5.0 * error + rounding, "covariance {i}, {j}: off by {miss} for {error}");
        }
    }
}
