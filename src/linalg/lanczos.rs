//! Log-determinants by products alone.

use faer::{Mat, MatRef, Par};
use rand::{Rng, RngExt};

use super::checks::check_rows;
use super::operator::Operator;
use super::{Eigendecomposition, column, column_mut, padded};
use crate::{Error, Result, Scalar};

/// ln det A by stochastic Lanczos quadrature, for a symmetric positive definite A that is known by its products.
///
/// # Definition
///
/// With a preconditioner P = FFᵀ and S = F⁻¹AF⁻ᵀ, ln det A = ln det P + tr ln S, and
///
/// tr ln S ≈ (1/s) Σ zᵀ ln(S) z over s vectors z of random signs,
///
/// each by Gauss quadrature with the Ritz values of so many Lanczos steps from z as nodes. The variance is twice the sum
/// of squares of the elements of ln S off the diagonal, divided by s: none for P = A. The error of the quadrature
/// falls geometrically with the steps, faster for S with a smaller condition number, and is not part of the standard
/// error.
///
/// # Complexity
///
/// A step takes one product with A of s columns, and half solves with P; n · s numbers are held for each step, to keep the
/// bases orthogonal.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Diagonal, StochasticLogDet};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let a = Mat::from_fn(60, 60, |i, j| if i == j { 1.0 + i as f64 } else { 0.3 / (1 + i + j) as f64 });
/// let diagonal = Diagonal::new((0..60).map(|i| 1.0 + i as f64).collect())?;
/// let estimator = StochasticLogDet { probes: 20, steps: 15 };
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let found = estimator.estimate(|x| Ok(&a * x), Some(&diagonal), 60, &mut rng, Par::Seq)?;
///
/// let exact: f64 = a.self_adjoint_eigenvalues(faer::Side::Lower).unwrap().iter().map(|value| value.ln()).sum();
/// assert!((found.value - exact).abs() < 3.0 * found.standard_error);
/// assert!(found.standard_error < 1e-3 * exact);
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// Ubaru, Chen & Saad (2017), "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", *SIAM Journal on Matrix
/// Analysis and Applications* 38(4), 1075–1099.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StochasticLogDet {
    /// The number s of random vectors, at least 2.
    pub probes: usize,
    /// The largest number of Lanczos steps, at least 1.
    pub steps: usize,
}

impl Default for StochasticLogDet {
    /// 32 vectors, 50 steps.
    fn default() -> Self {
        Self { probes: 32, steps: 50 }
    }
}

/// An estimate of a log-determinant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogDetEstimate {
    /// ln det A.
    pub value: f64,
    /// The standard deviation of `value` over draws of the random vectors, estimated from them.
    pub standard_error: f64,
}

impl StochasticLogDet {
    /// Estimates ln det A for `product`, which multiplies by A, with `dim` rows.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for fewer than 2 vectors or no steps, or if a Ritz value shows that A is not positive definite;
    /// [`Error::Shape`] if products or the preconditioner do not have `dim` rows; [`Error::NonFinite`] if products have a
    /// NaN or an infinity; and the errors of `product`.
    pub fn estimate<T: Scalar>(
        &self,
        product: impl Fn(MatRef<'_, T>) -> Result<Mat<T>>,
        preconditioner: Option<&dyn Operator<T>>,
        dim: usize,
        rng: &mut impl Rng,
        par: Par,
    ) -> Result<LogDetEstimate> {
        if self.probes < 2 {
            return Err(Error::setting("the number of probes", self.probes, "must be at least 2"));
        }
        if self.steps == 0 {
            return Err(Error::setting("the number of Lanczos steps", self.steps, "must be at least 1"));
        }
        let signs = random_signs(dim, self.probes, rng);
        let whitened = |x: MatRef<'_, T>| {
            let Some(preconditioner) = preconditioner else { return product(x) };
            let image = product(preconditioner.solve_upper(x, par)?.as_ref())?;
            preconditioner.solve_lower(image.as_ref(), par)
        };
        let values: Vec<f64> = tridiagonals(whitened, signs, self.steps)?
            .iter()
            .map(|tridiagonal| Ok(dim as f64 * log_of_first(tridiagonal)?))
            .collect::<Result<_>>()?;
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let known = preconditioner.map_or(0.0, Operator::log_det);
        Ok(LogDetEstimate { value: known + mean, standard_error: (variance / count).sqrt() })
    }
}

/// n × s entries of −1 and 1.
pub(crate) fn random_signs<T: Scalar>(n: usize, probes: usize, rng: &mut impl Rng) -> Mat<T> {
    let mut signs = padded(n, probes);
    for col in 0..probes {
        let sign = |value: &mut T| *value = T::from_f64(if rng.random() { 1.0 } else { -1.0 });
        column_mut(signs.as_mut(), col).iter_mut().for_each(sign);
    }
    signs
}

/// A symmetric tridiagonal matrix, by its diagonal and the elements beside it.
#[derive(Default)]
struct Tridiagonal {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// The Krylov space is exhausted, and the quadrature exact.
    complete: bool,
}

/// Lanczos' tridiagonal matrices from each column, with bases that are kept orthogonal.
fn tridiagonals<T: Scalar>(
    product: impl Fn(MatRef<'_, T>) -> Result<Mat<T>>,
    start: Mat<T>,
    steps: usize,
) -> Result<Vec<Tridiagonal>> {
    let (dim, probes) = start.shape();
    let mut found: Vec<Tridiagonal> = (0..probes).map(|_| Tridiagonal::default()).collect();
    let scale = T::from_f64(1.0 / (dim.max(1) as f64).sqrt());
    let mut basis = vec![faer::Scale(scale) * start];
    for step in 0..steps.min(dim) {
        let mut next = product(basis[step].as_ref())?;
        check_rows("the product with the matrix", dim, next.as_ref())?;
        for (col, found) in found.iter_mut().enumerate().filter(|(_, found)| !found.complete) {
            let image = column_mut(next.as_mut(), col);
            let before = norm(image);
            found.diagonal.push(dot(image, column(basis[step].as_ref(), col)));
            // Twice, as once leaves what cancellation has spoilt.
            for earlier in basis.iter().chain(&basis) {
                let earlier = column(earlier.as_ref(), col);
                let along = T::from_f64(dot(image, earlier));
                image.iter_mut().zip(earlier).for_each(|(value, &earlier)| *value -= along * earlier);
            }
            let length = norm(image);
            found.complete = length <= T::epsilon().as_f64() * (dim as f64).sqrt() * before || step + 1 == dim;
            if !found.complete {
                found.beside.push(length);
            }
            // A column that is done goes on as zeros.
            let inverse = T::from_f64(if found.complete { 0.0 } else { 1.0 / length });
            image.iter_mut().for_each(|value| *value *= inverse);
        }
        if found.iter().all(|found| found.complete) {
            break;
        }
        basis.push(next);
    }
    Ok(found)
}

/// e₁ᵀ ln(T) e₁.
fn log_of_first(tridiagonal: &Tridiagonal) -> Result<f64> {
    let n = tridiagonal.diagonal.len();
    let matrix = Mat::from_fn(n, n, |i, j| match i.abs_diff(j) {
        0 => tridiagonal.diagonal[i],
        1 => tridiagonal.beside[i.min(j)],
        _ => 0.0,
    });
    let eigen = Eigendecomposition::new(matrix.as_ref())?;
    let mut sum = 0.0;
    for (k, &ritz) in eigen.values().iter().enumerate() {
        if ritz.is_nan() || ritz <= 0.0 {
            let found = format!("one with the Ritz value {ritz:e}");
            return Err(Error::setting("the matrix of the log-determinant", found, "must be positive definite"));
        }
        sum += eigen.vectors()[(0, k)].powi(2) * ritz.ln();
    }
    Ok(sum)
}

fn dot<T: Scalar>(x: &[T], y: &[T]) -> f64 {
    x.iter().zip(y).map(|(&x, &y)| x.as_f64() * y.as_f64()).sum()
}

fn norm<T: Scalar>(x: &[T]) -> f64 {
    dot(x, x).sqrt()
}
