//! A diagonal matrix and one of low rank.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatRef, Par};

use super::{Diagonal, Operator};
use crate::linalg::checks::{check_finite, check_rows};
use crate::linalg::{Cholesky, Jitter, padded};
use crate::{Result, Scalar};

/// D + U Uᵀ, for a diagonal D with positive entries and U with n rows and r columns.
///
/// With W = D^(−½) U and the r × r matrix C = I + WᵀW:
///
/// (D + U Uᵀ)⁻¹ = D^(−½) (I − W C⁻¹ Wᵀ) D^(−½), ln det (D + U Uᵀ) = ln det D + ln det C
///
/// O(n r²) to make, O(n r) for a column of a product or a solve, O(n r) memory.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Diagonal, LowRank, Operator};
/// use mercer::prelude::*;
///
/// // [[2, 1], [1, 2]]
/// let a = LowRank::new(Diagonal::new(vec![1.0, 1.0])?, mat![[1.0], [1.0]], Par::Seq)?;
/// let solution = a.solve(mat![[3.0], [3.0]].as_ref(), Par::Seq)?;
/// assert!((solution - mat![[1.0], [1.0]]).norm_max() < 1e-14);
/// assert!((a.log_det() - 3f64.ln()).abs() < 1e-15);
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// Golub & Van Loan (2013), *Matrix Computations*, section 2.1.4 (Sherman–Morrison–Woodbury).
#[derive(Clone, Debug)]
pub struct LowRank<T: Scalar> {
    diagonal: Diagonal<T>,
    /// U
    factor: Mat<T>,
    /// W
    scaled: Mat<T>,
    /// The factor L of C = LLᵀ.
    inner: Cholesky<T>,
    /// I + L
    shifted: Mat<T>,
}

impl<T: Scalar> LowRank<T> {
    /// From D and U.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if U does not have a row for each entry of D; [`Error::NonFinite`](crate::Error::NonFinite) for a NaN or an
    /// infinity in U; [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if C overflows to what cannot be factorised.
    pub fn new(diagonal: Diagonal<T>, factor: Mat<T>, par: Par) -> Result<Self> {
        let r = factor.ncols();
        check_rows("the low-rank factor", diagonal.dim(), factor.as_ref())?;
        check_finite("the low-rank factor", factor.as_ref())?;
        let scaled = diagonal.solve_lower(factor.as_ref(), par)?;
        let one = T::from_f64(1.0);
        let mut inner = Mat::<T>::identity(r, r);
        matmul(inner.as_mut(), Accum::Add, scaled.transpose(), scaled.as_ref(), one, par);
        let inner = Cholesky::new(inner.as_ref(), Jitter::Fixed(0.0), par)?;
        let mut shifted = inner.factor().to_owned();
        (0..r).for_each(|i| shifted[(i, i)] += one);
        Ok(Self { diagonal, factor, scaled, inner, shifted })
    }

    /// D.
    pub fn diagonal(&self) -> &Diagonal<T> {
        &self.diagonal
    }

    /// U.
    pub fn factor(&self) -> MatRef<'_, T> {
        self.factor.as_ref()
    }

    /// B − W f(Wᵀ B).
    fn reduced(&self, mut b: Mat<T>, f: impl FnOnce(&mut Mat<T>) -> Result<()>, par: Par) -> Result<Mat<T>> {
        let one = T::from_f64(1.0);
        let mut inner = padded(self.scaled.ncols(), b.ncols());
        matmul(inner.as_mut(), Accum::Replace, self.scaled.transpose(), b.as_ref(), one, par);
        f(&mut inner)?;
        matmul(b.as_mut(), Accum::Add, self.scaled.as_ref(), inner.as_ref(), -one, par);
        Ok(b)
    }
}

impl<T: Scalar> Operator<T> for LowRank<T> {
    fn dim(&self) -> usize {
        self.diagonal.dim()
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        let mut out = self.diagonal.matmul(b, par)?;
        let one = T::from_f64(1.0);
        let mut inner = padded(self.factor.ncols(), b.ncols());
        matmul(inner.as_mut(), Accum::Replace, self.factor.transpose(), b, one, par);
        matmul(out.as_mut(), Accum::Add, self.factor.as_ref(), inner.as_ref(), one, par);
        Ok(out)
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        let half = self.diagonal.solve_lower(b, par)?;
        let reduced = self.reduced(half, |inner| self.inner.solve_in_place(inner.as_mut(), par), par)?;
        self.diagonal.solve_lower(reduced.as_ref(), par)
    }

    /// (I − W X Wᵀ) D^(−½) B with X = (I + Lᵀ)⁻¹ L⁻¹ and C = LLᵀ. That its transpose times itself is the inverse
    /// needs X + Xᵀ − Xᵀ(C − I)X = C⁻¹: multiplied by (I + L)Lᵀ and its transpose, either side is (I + L)(I + L)ᵀ.
    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        let half = self.diagonal.solve_lower(b, par)?;
        let root = |inner: &mut Mat<T>| {
            self.inner.solve_lower_in_place(inner.as_mut(), par)?;
            solve_upper_triangular_in_place(self.shifted.transpose(), inner.as_mut(), par);
            Ok(())
        };
        self.reduced(half, root, par)
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        check_rows("the right-hand side", self.dim(), b)?;
        let root = |inner: &mut Mat<T>| {
            solve_lower_triangular_in_place(self.shifted.as_ref(), inner.as_mut(), par);
            self.inner.solve_upper_in_place(inner.as_mut(), par)
        };
        let reduced = self.reduced(super::copied(b), root, par)?;
        self.diagonal.solve_lower(reduced.as_ref(), par)
    }

    fn log_det(&self) -> f64 {
        self.diagonal.log_det() + self.inner.log_det()
    }
}
