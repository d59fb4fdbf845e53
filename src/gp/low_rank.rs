//! Inference of whitened inducing variables under Gaussian noise, in closed form.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatRef, Par};

use super::variational::excess;
use crate::linalg::{Cholesky, Jitter, column_mut, padded};
use crate::{Result, Scalar};

/// The posterior N(m, RRᵀ) of v ~ N(0, I) given r = Aᵀv + ε with ε ~ N(0, Λ), Λ diagonal:
///
/// (RRᵀ)⁻¹ = B = I + AΛ⁻¹Aᵀ, m = B⁻¹AΛ⁻¹r
pub(super) struct LowRank<T: Scalar> {
    /// m, M × 1.
    pub(super) mean: Mat<T>,
    /// R, M × M, lower triangular.
    pub(super) root: Mat<T>,
    /// rᵀ(AᵀA + Λ)⁻¹r
    pub(super) quadratic: f64,
    /// log|B|
    pub(super) log_det: f64,
}

impl<T: Scalar> LowRank<T> {
    /// From A, M × N, with Λ and r by their N elements: O(N·M² + M³).
    pub(super) fn new(a: MatRef<'_, T>, residual: &[T], noise: &[T], par: Par) -> Result<Self> {
        let (m, n) = (a.nrows(), a.ncols());
        let target = Mat::from_fn(n, 1, |row, _| residual[row] / noise[row]);
        let mut mean = Mat::zeros(m, 1);
        matmul(mean.as_mut(), Accum::Replace, a, target.as_ref(), T::from_f64(1.0), par);
        let Solved { mean, root, log_det } =
            Solved::new(reversed_precision(a, noise, par).as_ref(), mean.as_ref(), par)?;

        let mut misfit = Mat::from_fn(n, 1, |row, _| residual[row]);
        matmul(misfit.as_mut().rb_mut(), Accum::Add, a.transpose(), mean.as_ref(), T::from_f64(-1.0), par);
        // The least value of Σᵢ (rᵢ − aᵢᵀm)²/λᵢ + ‖m‖²: a sum of squares, where the inversion lemma
        // gives a difference.
        let misfit: f64 =
            misfit.col_as_slice(0).iter().zip(noise).map(|(e, noise)| e.as_f64() * (e.as_f64() / noise.as_f64())).sum();
        let penalty: f64 = mean.col_as_slice(0).iter().map(|value| value.as_f64() * value.as_f64()).sum();
        Ok(Self { mean, root, quadratic: misfit + penalty, log_det })
    }

    /// RᵀA, M × N: the squared norm of a column is aᵀB⁻¹a.
    pub(super) fn spread(&self, a: MatRef<'_, T>, par: Par) -> Mat<T> {
        let mut spread = padded(a.nrows(), a.ncols());
        triangular::matmul(
            spread.as_mut(),
            BlockStructure::Rectangular,
            Accum::Replace,
            self.root.transpose(),
            BlockStructure::TriangularUpper,
            a,
            BlockStructure::Rectangular,
            T::from_f64(1.0),
            par,
        );
        spread
    }

    /// KL(N(m₀, R₀R₀ᵀ) ‖ N(m, RRᵀ)) for another mean and lower triangular root.
    pub(super) fn divergence_of(&self, mean: MatRef<'_, T>, root: MatRef<'_, T>, par: Par) -> f64 {
        use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
        let mut shift = mean - &self.mean;
        solve_lower_triangular_in_place(self.root.as_ref(), shift.as_mut(), par);
        let mut ratio = root.to_owned();
        solve_lower_triangular_in_place(self.root.as_ref(), ratio.as_mut(), par);
        // Each term of the sum of r² − 1 − ln r² is at least 0, and none cancels another.
        let diagonal: f64 = (0..ratio.nrows()).map(|i| ratio[(i, i)].as_f64()).map(excess).sum();
        let below: f64 = (0..ratio.ncols())
            .flat_map(|col| (col + 1..ratio.nrows()).map(move |row| (row, col)))
            .map(|(row, col)| ratio[(row, col)].as_f64().powi(2))
            .sum();
        0.5 * (diagonal + below + shift.squared_norm_l2().as_f64())
    }
}

/// m and R, with log|B|.
pub(super) struct Solved<T: Scalar> {
    pub(super) mean: Mat<T>,
    pub(super) root: Mat<T>,
    log_det: f64,
}

impl<T: Scalar> Solved<T> {
    /// From JBJ, with J the reversal of order, and AΛ⁻¹r, M × 1.
    ///
    /// R comes without inverting B and factorising the inverse, which may fail where B is
    /// ill-conditioned: JBJ = GGᵀ gives B = (JGJ)(JGJ)ᵀ with JGJ upper triangular, so R = (JGJ)⁻ᵀ = J G⁻ᵀ J, which is
    /// lower triangular.
    fn new(reversed: MatRef<'_, T>, target: MatRef<'_, T>, par: Par) -> Result<Self> {
        Self::by(Jitter::default(), reversed, target, par)
    }

    fn by(jitter: Jitter, reversed: MatRef<'_, T>, target: MatRef<'_, T>, par: Par) -> Result<Self> {
        let m = reversed.nrows();
        let factor = Cholesky::new(reversed, jitter, par)?;
        let mut mean = reversed_rows(target);
        factor.solve_in_place(mean.as_mut(), par)?;
        let mut inverse = Mat::identity(m, m);
        factor.solve_lower_in_place(inverse.as_mut(), par)?;
        let root = Mat::from_fn(m, m, |row, col| inverse[(m - 1 - col, m - 1 - row)]);
        Ok(Self { mean: reversed_rows(mean.as_ref()), root, log_det: factor.log_det() })
    }

    /// Of a mean and a root.
    pub(super) fn of(mean: Mat<T>, root: Mat<T>) -> Self {
        Self { mean, root, log_det: f64::NAN }
    }

    /// From JBJ and AΛ⁻¹r, for a B that may not be positive definite: then nothing is added to it, and it is an error.
    pub(super) fn certain(reversed: MatRef<'_, T>, target: MatRef<'_, T>, par: Par) -> Result<Self> {
        Self::by(Jitter::Fixed(0.0), reversed, target, par)
    }

    /// From AAᵀ and Ar, for Λ = σ²I.
    pub(super) fn of_moments(outer: MatRef<'_, T>, target: MatRef<'_, T>, noise: f64, par: Par) -> Result<Self> {
        let (m, inverse) = (outer.nrows(), T::from_f64(1.0 / noise));
        let mut precision = Mat::from_fn(m, m, |row, col| outer[(m - 1 - row, m - 1 - col)] * inverse);
        (0..m).for_each(|i| precision[(i, i)] += T::from_f64(1.0));
        Self::new(precision.as_ref(), (faer::Scale(inverse) * target).as_ref(), par)
    }
}

/// JBJ, of which the lower triangle is computed: I + (JW)(JW)ᵀ, with W = AΛ^(−1/2).
fn reversed_precision<T: Scalar>(a: MatRef<'_, T>, noise: &[T], par: Par) -> Mat<T> {
    let (m, n) = (a.nrows(), a.ncols());
    let mut scaled = padded(m, n);
    for col in 0..n {
        let factor = T::from_f64(1.0) / num_traits::Float::sqrt(noise[col]);
        let target = column_mut(scaled.as_mut(), col);
        target.iter_mut().enumerate().for_each(|(row, value)| *value = a[(m - 1 - row, col)] * factor);
    }
    let mut precision = Mat::<T>::identity(m, m);
    triangular::matmul(
        precision.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        scaled.as_ref(),
        BlockStructure::Rectangular,
        scaled.transpose(),
        BlockStructure::Rectangular,
        T::from_f64(1.0),
        par,
    );
    precision
}

fn reversed_rows<T: Scalar>(a: MatRef<'_, T>) -> Mat<T> {
    a.reverse_rows().to_owned()
}
