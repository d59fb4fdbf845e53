//! Inducing points where the process is the least known.

use faer::{Mat, MatRef, Par};

use crate::data::{check_finite, check_taken, rows};
use crate::kernel::{Kernel, cross_into, diag_into};
use crate::{Error, Result};

/// At most `m` rows of an N × D array, each where the process, given its values at the rows before,
/// has the largest variance: the pivots of a Cholesky factorisation of K(X, X), of which m columns are
/// computed. O(N·m²) time and O(N·m) memory, and no randomness: of equal variances, the first row.
///
/// It ends early when no variance is left above m·ε times the largest: more rows would repeat, to
/// rounding, what the others say. Points that the kernel masks are never among them, and 0 stands for what is not finite in
/// a column that it does not read. What is left when it ends, tr(K − Q), is what the
/// [trace term](crate::gp::Bounds::trace) of the variational bound takes.
///
/// # Errors
///
/// [`Error::Empty`] for such data; [`Error::NonFinite`] where the kernel reads it, and does not mask it; [`Error::Setting`] if `m` is 0 or more
/// than the number of rows; [`Error::Dimension`] and [`Error::Index`] if the kernel cannot read them.
///
/// # Examples
///
/// ```
/// use mercer::inducing::start::greedy_variance;
/// use mercer::prelude::*;
///
/// // The first; then the farthest; then the one between. Repeats add nothing.
/// let x = mat![[0.0], [0.1], [0.0], [4.0], [2.1], [4.0]];
/// let z = greedy_variance(&Rbf::new(1.0), x.as_ref(), 3)?;
/// assert_eq!(z, mat![[0.0], [4.0], [2.1]]);
/// assert_eq!(greedy_variance(&Rbf::new(1.0), x.as_ref(), 6)?.nrows(), 4);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Burt, Rasmussen & van der Wilk (2020), "Convergence of sparse variational inference in Gaussian processes
/// regression", JMLR 21.
pub fn greedy_variance(kernel: &dyn Kernel<f64>, x: MatRef<'_, f64>, m: usize) -> Result<Mat<f64>> {
    if let Err(error @ Error::Empty { .. }) = check_finite("the points", x) {
        return Err(error);
    }
    check_taken("the points", x, kernel)?;
    let n = x.nrows();
    if m == 0 || m > n {
        return Err(Error::setting("m", m, &format!("must be at least 1 and at most the number of points, {n}")));
    }
    let mut left = vec![0.0; n];
    diag_into(kernel, x, &mut left)?;
    let read = kernel.inputs(x.ncols())?;
    let missing = |row: usize| read.columns().any(|col| x[(row, col)].is_nan());
    (0..n).filter(|&row| missing(row)).for_each(|row| left[row] = f64::NEG_INFINITY);
    if left.iter().all(|left| left.is_infinite()) {
        return Err(Error::Empty { what: "the list of points that are not missing".to_owned() });
    }
    let threshold = m as f64 * f64::EPSILON * left.iter().fold(0.0, |largest: f64, &value| largest.max(value));
    let mut factor = Mat::<f64>::zeros(n, m);
    let mut chosen = Vec::with_capacity(m);
    while chosen.len() < m {
        let pivot = (0..n).reduce(|best, row| if left[row] > left[best] { row } else { best });
        let Some(pivot) = pivot.filter(|&pivot| chosen.is_empty() || left[pivot] > threshold) else { break };
        let step = chosen.len();
        chosen.push(pivot);
        if left[pivot] <= 0.0 {
            break;
        }
        let (earlier, mut column) = factor.as_mut().split_at_col_mut(step);
        cross_into(kernel, x, x.subrows(pivot, 1), column.as_mut().subcols_mut(0, 1), Par::rayon(0))?;
        let column = crate::linalg::column_mut(column, 0);
        for earlier in (0..step).map(|step| crate::linalg::column(earlier.as_ref(), step)) {
            let factor = earlier[pivot];
            column.iter_mut().zip(earlier).for_each(|(entry, e)| *entry -= factor * e);
        }
        let scale = left[pivot].sqrt();
        for (entry, left) in column.iter_mut().zip(&mut left) {
            *entry /= scale;
            *left -= *entry * *entry;
        }
        left[pivot] = f64::NEG_INFINITY;
    }
    // Inducing inputs are finite, also where nobody reads them.
    let mut inputs = rows(x, &chosen)?;
    for col in (0..x.ncols()).filter(|&col| !read.read(col)) {
        inputs.col_as_slice_mut(col).iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::linalg::{Cholesky, Jitter};
    use crate::prelude::*;

    /// k(x, x) less what the rows chosen explain, by a solve.
    fn conditional_variances(kernel: &DynKernel, x: &Mat<f64>, z: MatRef<'_, f64>) -> Vec<f64> {
        let factor = Cholesky::new(kernel.gram(z).unwrap().as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
        let mut a = kernel.cross(z, x.as_ref()).unwrap();
        factor.solve_lower_in_place(a.as_mut(), Par::Seq).unwrap();
        let diag = kernel.diag(x.as_ref()).unwrap();
        (0..x.nrows()).map(|row| diag[row] - a.col(row).squared_norm_l2()).collect()
    }

    #[test]
    fn each_row_has_the_largest_conditional_variance() {
        let x = Mat::from_fn(40, 2, |row, col| ((row * (7 + 4 * col)) % 40) as f64 * 0.15);
        let kernel = (1.5 * Matern32::new(0.8) + 0.3 * Linear::new(0.5)).dynamic();
        let z = greedy_variance(&kernel, x.as_ref(), 12).unwrap();
        assert_eq!(z.nrows(), 12);
        for step in 1..12 {
            let variances = conditional_variances(&kernel, &x, z.subrows(0, step));
            let next = (0..40).find(|&row| x.row(row) == z.row(step)).unwrap();
            let largest = variances.iter().fold(0.0f64, |largest, &value| largest.max(value));
            assert!(variances[next] >= largest - 1e-12, "{step}: {} {largest}", variances[next]);
        }
    }

    #[test]
    fn arguments_are_checked() {
        let x = faer::mat![[1.0], [2.0]];
        for m in [0, 3] {
            assert!(matches!(greedy_variance(&Rbf::new(1.0), x.as_ref(), m), Err(Error::Setting { .. })));
        }
        let bad = faer::mat![[1.0], [f64::NAN]];
        assert!(matches!(greedy_variance(&Rbf::new(1.0), bad.as_ref(), 1), Err(Error::NonFinite { row: 1, .. })));
        let kernel = Linear::new(1.0).on([1]);
        assert!(matches!(greedy_variance(&kernel, x.as_ref(), 1), Err(Error::Dimension { .. })));
    }
}
