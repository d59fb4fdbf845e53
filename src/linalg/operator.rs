//! Symmetric positive definite operators, by what models ask of them.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::storage::{column_mut, padded};
use super::{Cholesky, Jitter};
use crate::{Error, Result, Scalar};

/// A symmetric positive definite matrix A, in whatever form its products and solves are cheapest.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Dense, Diagonal, Jitter, Operator};
/// use mercer::prelude::*;
///
/// fn mahalanobis(a: &dyn Operator<f64>, b: &Mat<f64>) -> Result<f64, Error> {
///     let half = a.half_solve(b.as_ref(), Par::Seq)?;
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
    /// [`Error::Shape`] if B does not have [`dim`](Self::dim) rows.
    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// A⁻¹ B.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have [`dim`](Self::dim) rows.
    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// L⁻¹ B, for a factor with LLᵀ = A: the factor is the operator's choice.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have [`dim`](Self::dim) rows.
    fn half_solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>>;

    /// ln det A.
    fn log_det(&self) -> f64;
}

/// A matrix without structure, by its Cholesky factor. The operator is A + jitter·I.
#[derive(Clone, Debug)]
pub struct Dense<T: Scalar>(Cholesky<T>);

impl<T: Scalar> Dense<T> {
    /// Factorises a symmetric matrix, whose lower triangle is read.
    ///
    /// # Errors
    ///
    /// Those of [`Cholesky::new`].
    pub fn new(matrix: MatRef<'_, T>, jitter: Jitter, par: Par) -> Result<Self> {
        Cholesky::new(matrix, jitter, par).map(Self)
    }

    /// The factorisation.
    pub fn cholesky(&self) -> &Cholesky<T> {
        &self.0
    }
}

impl<T: Scalar> From<Cholesky<T>> for Dense<T> {
    fn from(cholesky: Cholesky<T>) -> Self {
        Self(cholesky)
    }
}

impl<T: Scalar> Operator<T> for Dense<T> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        use BlockStructure::{Rectangular, TriangularLower, TriangularUpper};
        check_rows(self.dim(), b)?;
        let (l, one) = (self.0.factor(), T::from_f64(1.0));
        let mut half = padded(b.nrows(), b.ncols());
        matmul(half.as_mut(), Rectangular, Accum::Replace, l.transpose(), TriangularUpper, b, Rectangular, one, par);
        let mut out = padded(b.nrows(), b.ncols());
        matmul(out.as_mut(), Rectangular, Accum::Replace, l, TriangularLower, half.as_ref(), Rectangular, one, par);
        Ok(out)
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        self.0.solve_in_place(out.as_mut(), par)?;
        Ok(out)
    }

    fn half_solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        self.0.half_solve_in_place(out.as_mut(), par)?;
        Ok(out)
    }

    fn log_det(&self) -> f64 {
        self.0.log_det()
    }
}

/// A diagonal matrix with positive entries: everything takes O(n) for a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagonal<T: Scalar> {
    entries: Vec<T>,
}

impl<T: Scalar> Diagonal<T> {
    /// From the entries of the diagonal.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] for a NaN or an infinity; [`Error::NotPositiveDefinite`] with the first
    /// entry that is not positive.
    pub fn new(entries: Vec<T>) -> Result<Self> {
        for (pivot, entry) in entries.iter().map(|&entry| Scalar::as_f64(entry)).enumerate() {
            if !entry.is_finite() {
                let what = "the diagonal".to_owned();
                return Err(Error::NonFinite { what, row: pivot, col: 0, value: entry });
            }
            if entry <= 0.0 {
                let mean_diagonal =
                    entries.iter().map(|&entry| Scalar::as_f64(entry)).sum::<f64>() / entries.len() as f64;
                return Err(Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal });
            }
        }
        Ok(Self { entries })
    }

    /// The entries of the diagonal.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// B with a function of each entry and the element of B applied along the rows.
    fn by_row(&self, b: MatRef<'_, T>, f: impl Fn(T, T) -> T) -> Result<Mat<T>> {
        check_rows(self.dim(), b)?;
        let mut out = copied(b);
        for col in 0..b.ncols() {
            let column = column_mut(out.as_mut(), col);
            column.iter_mut().zip(&self.entries).for_each(|(value, &entry)| *value = f(*value, entry));
        }
        Ok(out)
    }
}

impl<T: Scalar> Operator<T> for Diagonal<T> {
    fn dim(&self) -> usize {
        self.entries.len()
    }

    fn matmul(&self, b: MatRef<'_, T>, _: Par) -> Result<Mat<T>> {
        self.by_row(b, |value, entry| value * entry)
    }

    fn solve(&self, b: MatRef<'_, T>, _: Par) -> Result<Mat<T>> {
        self.by_row(b, |value, entry| value / entry)
    }

    fn half_solve(&self, b: MatRef<'_, T>, _: Par) -> Result<Mat<T>> {
        self.by_row(b, |value, entry| value / num_traits::Float::sqrt(entry))
    }

    fn log_det(&self) -> f64 {
        self.entries.iter().map(|&entry| Scalar::as_f64(entry).ln()).sum()
    }
}

fn copied<T: Scalar>(b: MatRef<'_, T>) -> Mat<T> {
    let mut out = padded(b.nrows(), b.ncols());
    let mut target: MatMut<'_, T> = out.as_mut();
    target.rb_mut().copy_from(b);
    out
}

fn check_rows<T: Scalar>(dim: usize, b: MatRef<'_, T>) -> Result<()> {
    if b.nrows() == dim {
        return Ok(());
    }
    Err(Error::shape("the right-hand side", format!("{dim} row(s)"), (b.nrows(), b.ncols())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
            [a.matmul(b.as_ref(), Par::Seq), a.solve(b.as_ref(), Par::Seq), a.half_solve(b.as_ref(), Par::Seq)]
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
