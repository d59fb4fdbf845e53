//! Kronecker products.

use faer::{Mat, MatRef, Par};

use super::{Operator, check_rows};
use crate::linalg::axes::{along_axes, by_column, product_size};
use crate::linalg::transpose_into;
use crate::{Result, Scalar};

/// A Kronecker product A₁ ⊗ … ⊗ A_d of operators with n₁, …, n_d rows: the covariance, on a Cartesian grid, of a
/// product of kernels of one axis each.
///
/// The index of the last factor runs fastest: (A ⊗ B) vec(X) = vec(B X Aᵀ), where vec stacks columns. The product
/// is never formed: with N = ∏ nₖ rows, a column takes O(N Σ nₖ) operations by dense factors, and the
/// memory of a few vectors. The factor of [`solve_lower`](Operator::solve_lower) is L₁ ⊗ … ⊗ L_d, of the
/// factors' own.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Dense, Jitter, Kronecker, Operator};
/// use mercer::prelude::*;
///
/// let dense = |a: Mat<f64>| Dense::new(a.as_ref(), Jitter::default(), Par::Seq);
/// let a = Kronecker::new(vec![dense(mat![[2.0, 1.0], [1.0, 2.0]])?, dense(mat![[3.0]])?, dense(mat![[5.0]])?])?;
/// let product = a.matmul(mat![[1.0], [0.0]].as_ref(), Par::Seq)?;
/// assert!((product - mat![[30.0], [15.0]]).norm_max() < 1e-13);
/// assert!((a.log_det() - (3.0 * 15.0 * 15.0f64).ln()).abs() < 1e-14);
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// Saatçi (2011), *Scalable Inference for Structured Gaussian Process Models*, chapter 5.
#[derive(Clone, Debug)]
pub struct Kronecker<A> {
    factors: Vec<A>,
    sizes: Vec<usize>,
    dim: usize,
}

impl<A> Kronecker<A> {
    /// From the factors, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) without factors, or with one that has no rows;
    /// [`Error::Setting`](crate::Error::Setting) if the number of rows does not fit a `usize`.
    pub fn new<T: Scalar>(factors: Vec<A>) -> Result<Self>
    where
        A: Operator<T>,
    {
        let sizes: Vec<usize> = factors.iter().map(Operator::dim).collect();
        let dim = product_size("the Kronecker product", &sizes)?;
        Ok(Self { factors, sizes, dim })
    }

    /// The factors.
    pub fn factors(&self) -> &[A] {
        &self.factors
    }

    /// B multiplied by the Kronecker product of what each factor multiplies by.
    fn by_factor<T: Scalar>(
        &self,
        b: MatRef<'_, T>,
        f: impl Fn(&A, MatRef<'_, T>) -> Result<Mat<T>>,
    ) -> Result<Mat<T>> {
        check_rows(self.dim, b)?;
        by_column(b, |x| {
            along_axes(x, &self.sizes, |axis, x, out| {
                transpose_into(out, f(&self.factors[axis], x)?.as_ref());
                Ok(())
            })
        })
    }
}

impl<T: Scalar, A: Operator<T>> Operator<T> for Kronecker<A> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_factor(b, |factor, x| factor.matmul(x, par))
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_factor(b, |factor, x| factor.solve(x, par))
    }

    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_factor(b, |factor, x| factor.solve_lower(x, par))
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_factor(b, |factor, x| factor.solve_upper(x, par))
    }

    fn log_det(&self) -> f64 {
        self.factors.iter().zip(&self.sizes).map(|(a, &size)| a.log_det() * (self.dim / size) as f64).sum()
    }
}
