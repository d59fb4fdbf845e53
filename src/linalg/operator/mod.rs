//! Symmetric positive definite operators, by what models ask of them.

mod block_diagonal;
mod dense;
mod diagonal;
mod kronecker;
mod low_rank;
mod noisy_kronecker;

pub use block_diagonal::BlockDiagonal;
pub use dense::Dense;
pub use diagonal::Diagonal;
pub use kronecker::Kronecker;
pub use low_rank::LowRank;
#[cfg(feature = "serde")]
pub(crate) use noisy_kronecker::KroneckerParts;
pub use noisy_kronecker::{NoisyKronecker, NoisyKroneckerGradient};

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef, Par};

use super::checks;
use super::storage::padded;
use crate::{Result, Scalar};

/// A symmetric positive definite matrix A, in whatever form its products and solves are cheapest.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Dense, Diagonal, Jitter, Operator};
/// use mercer::prelude::*;
///
/// fn mahalanobis(a: &dyn Operator<f64>, b: &Mat<f64>) -> Result<f64, Error> {
///     let half = a.solve_lower(b.as_ref(), Par::Seq)?;
///     Ok(half.norm_l2().powi(2))
/// }
///
/// let b = mat![[2.0], [3.0]];
/// let dense = Dense::new(mat![[4.0, 0.0], [0.0, 9.0]].as_ref(), Jitter::default(), Par::Seq)?;
/// let diagonal = Diagonal::new(vec![4.0, 9.0])?;
/// assert!((mahalanobis(&dense, &b)? - 2.0).abs() < 1e-15);
/// assert!((mahalanobis(&diagonal, &b)? - 2.0).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
pub trait Operator<T: Scalar>: std::fmt::Debug {
    /// The number of rows, and of columns.
    fn dim(&self) -> usize;

    /// A B.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if B does not have [`dim`](Self::dim) rows.
    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// A⁻¹ B.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if B does not have [`dim`](Self::dim) rows.
    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// L⁻¹ B, for a factor with LLᵀ = A: the factor is the operator's choice.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if B does not have [`dim`](Self::dim) rows.
    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// L⁻ᵀ B, for the same factor. If the columns of B are standard normal, those of the result have the
    /// covariance A⁻¹.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if B does not have [`dim`](Self::dim) rows.
    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// ln det A.
    fn log_det(&self) -> f64;
}

impl<T: Scalar, A: Operator<T> + ?Sized> Operator<T> for Box<A> {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        (**self).matmul(b, par)
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        (**self).solve(b, par)
    }

    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        (**self).solve_lower(b, par)
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        (**self).solve_upper(b, par)
    }

    fn log_det(&self) -> f64 {
        (**self).log_det()
    }
}

pub(super) fn copied<T: Scalar>(b: MatRef<'_, T>) -> Mat<T> {
    let mut out = padded(b.nrows(), b.ncols());
    let mut target: MatMut<'_, T> = out.as_mut();
    target.rb_mut().copy_from(b);
    out
}

fn check_rows<T: Scalar>(dim: usize, b: MatRef<'_, T>) -> Result<()> {
    checks::check_rows("the right-hand side", dim, b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Error;
    use crate::linalg::Jitter;

    #[test]
    fn dense_and_diagonal_agree() {
        let entries = vec![4.0, 0.25, 9.0, 2.0];
        let full = Mat::from_fn(4, 4, |i, j| if i == j { entries[i] } else { 0.0 });
        let dense = Dense::new(full.as_ref(), Jitter::default(), Par::Seq).unwrap();
        let diagonal = Diagonal::new(entries).unwrap();
        let b = Mat::from_fn(4, 3, |i, j| (1 + i * 3 + j) as f64);
        let operators: [&dyn Operator<f64>; 2] = [&dense, &diagonal];
        let results = operators.map(|a| {
            assert_eq!(a.dim(), 4);
            [a.matmul(b.as_ref(), Par::Seq), a.solve(b.as_ref(), Par::Seq), a.solve_lower(b.as_ref(), Par::Seq)]
                .map(Result::unwrap)
        });
        for (x, y) in results[0].iter().zip(&results[1]) {
            assert!((x - y).norm_max() < 1e-13);
        }
        assert!((&results[0][0] - &full * &b).norm_max() < 1e-13);
        assert!((dense.log_det() - diagonal.log_det()).abs() < 1e-14);
        assert!((diagonal.log_det() - 18.0f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn dense_inverts_its_own_product() {
        let a = Mat::from_fn(5, 5, |i, j| if i == j { 3.0 } else { 1.0 / (1 + i + j) as f64 });
        let dense = Dense::new(a.as_ref(), Jitter::Fixed(0.5), Par::Seq).unwrap();
        let b = Mat::from_fn(5, 2, |i, j| (i as f64) - (j as f64));
        let product = dense.matmul(b.as_ref(), Par::Seq).unwrap();
        assert!((&product - (&a * &b + &b * 0.5)).norm_max() < 1e-13);
        assert!((dense.solve(product.as_ref(), Par::Seq).unwrap() - b).norm_max() < 1e-13);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let diagonal = Diagonal::new(vec![1.0, 2.0]).unwrap();
        assert!(matches!(diagonal.solve(Mat::zeros(3, 1).as_ref(), Par::Seq), Err(Error::Shape { .. })));
        assert!(matches!(Diagonal::new(vec![1.0, 0.0]), Err(Error::NotPositiveDefinite { pivot: 1, .. })));
        assert!(matches!(Diagonal::new(vec![f64::NAN]), Err(Error::NonFinite { row: 0, .. })));
    }
}
