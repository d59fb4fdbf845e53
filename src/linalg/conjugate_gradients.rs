//! Solves by products alone.

use faer::{Mat, MatRef, Par};

use super::checks::{check_finite, check_rows};
use super::operator::{Operator, copied};
use super::{column, column_mut, padded};
use crate::{Error, Result, Scalar};

/// Preconditioned conjugate gradients: solves A X = B for a symmetric positive definite A that is known by its products.
///
/// The error in the norm of A falls at least by a factor (√κ − 1)/(√κ + 1) in each iteration, with the condition
/// number κ of F⁻¹AF⁻ᵀ for a preconditioner P = FFᵀ. An iteration takes one product with A and one
/// solve with P.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{ConjugateGradients, Diagonal, Operator};
/// use mercer::prelude::*;
///
/// // Close to its diagonal, so that the diagonal is a good preconditioner.
/// let a = Mat::from_fn(50, 50, |i, j| if i == j { 1.0 + (i * i) as f64 } else { 0.01 });
/// let b = Mat::full(50, 1, 1.0);
/// let diagonal = Diagonal::new((0..50).map(|i| a[(i, i)]).collect())?;
///
/// let solver = ConjugateGradients { tolerance: 1e-12, limit: 20 };
/// let found = solver.solve(|x| Ok(&a * x), b.as_ref(), Some(&diagonal), Par::Seq)?;
/// assert!((&a * &found.solution - &b).norm_l2() <= 1e-12 * b.norm_l2());
/// assert!(found.iterations <= 10 && found.residual <= 1e-12);
///
/// // Without it, twenty iterations are not enough, which is an error.
/// let refused = solver.solve(|x| Ok(&a * x), b.as_ref(), None, Par::Seq);
/// assert!(matches!(refused, Err(Error::NotConverged { iterations: 20, .. })));
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// Golub & Van Loan (2013), *Matrix Computations*, fourth edition, section 11.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConjugateGradients {
    /// The largest ‖b − Ax‖/‖b‖ of a column that counts as solved.
    pub tolerance: f64,
    /// The number of iterations after which giving up is an error.
    pub limit: usize,
}

impl Default for ConjugateGradients {
    /// A tolerance of 10⁻¹⁰, at most 1000 iterations.
    fn default() -> Self {
        Self { tolerance: 1e-10, limit: 1000 }
    }
}

/// The result of [`ConjugateGradients::solve`].
#[derive(Clone, Debug)]
pub struct Converged<T: Scalar> {
    /// X.
    pub solution: Mat<T>,
    /// The number of products with A, but for those that check the result.
    pub iterations: usize,
    /// The largest ‖b − Ax‖/‖b‖ of a column, computed from X; 0 for columns of zeros.
    pub residual: f64,
}

impl ConjugateGradients {
    /// Solves A X = B for `product`, which multiplies by A, from a start of 0. Columns are solved side by side; one that
    /// is solved stays as it is. Their sizes do not matter: each is solved in units of its largest magnitude.
    ///
    /// # Errors
    ///
    /// [`Error::NotConverged`] if `limit` iterations do not reach the tolerance, which may be below what rounding allows,
    /// or if a residual is NaN; [`Error::Setting`] for a tolerance that is not positive, or if a product shows that A is
    /// not positive definite; [`Error::NonFinite`] for a NaN or an infinity in B, or for an X that overflows;
    /// [`Error::Shape`] if products or the preconditioner do not have the rows of B; and the errors of `product`.
    pub fn solve<T: Scalar>(
        &self,
        product: impl Fn(MatRef<'_, T>) -> Result<Mat<T>>,
        b: MatRef<'_, T>,
        preconditioner: Option<&dyn Operator<T>>,
        par: Par,
    ) -> Result<Converged<T>> {
        if self.tolerance.is_nan() || self.tolerance <= 0.0 {
            return Err(Error::setting("the tolerance", self.tolerance, "must be positive"));
        }
        check_finite("the right-hand side", b)?;
        let product = |x: MatRef<'_, T>| {
            let out = product(x)?;
            check_rows("the product with the matrix", x.nrows(), out.as_ref())?;
            Ok(out)
        };
        let (b, sizes) = in_units_of_largest(b);
        let norms = dots(b.as_ref(), b.as_ref());
        let mut iterations = 0;
        let mut solution = padded(b.nrows(), b.ncols());
        let mut rest = b.clone();
        loop {
            let larger = |worst: f64, left: f64| if left.is_nan() || left > worst { left } else { worst };
            let residual = ratios(rest.as_ref(), &norms).into_iter().fold(0.0, larger);
            if residual <= self.tolerance {
                for (col, &size) in sizes.iter().enumerate() {
                    column_mut(solution.as_mut(), col).iter_mut().for_each(|value| *value *= size);
                }
                check_finite("the solution", solution.as_ref())?;
                return Ok(Converged { solution, iterations, residual });
            }
            if iterations >= self.limit || residual.is_nan() {
                let what = "conjugate gradients".to_owned();
                return Err(Error::NotConverged { what, iterations, residual, tolerance: self.tolerance });
            }
            // The residual that the recurrence keeps drifts from the true one, from which it is started again.
            let condition = |x: MatRef<'_, T>| match preconditioner {
                Some(preconditioner) => preconditioner.solve(x, par),
                None => Ok(copied(x)),
            };
            iterations += self.run(product, condition, rest, &mut solution, &norms, self.limit - iterations)?;
            let found = product(solution.as_ref())?;
            rest = &b - found;
        }
    }

    /// Adds A⁻¹R to the solution, within so many iterations, and returns how many they were.
    fn run<T: Scalar>(
        &self,
        product: impl Fn(MatRef<'_, T>) -> Result<Mat<T>>,
        condition: impl Fn(MatRef<'_, T>) -> Result<Mat<T>>,
        mut rest: Mat<T>,
        solution: &mut Mat<T>,
        norms: &[f64],
        limit: usize,
    ) -> Result<usize> {
        let mut direction = condition(rest.as_ref())?;
        let mut slope = dots(rest.as_ref(), direction.as_ref());
        let mut open = vec![true; norms.len()];
        for iteration in 0..limit {
            let left = ratios(rest.as_ref(), norms);
            open.iter_mut().zip(left).for_each(|(open, left)| *open &= left > self.tolerance);
            if !open.contains(&true) {
                return Ok(iteration);
            }
            let image = product(direction.as_ref())?;
            let curvature = dots(direction.as_ref(), image.as_ref());
            for col in (0..open.len()).filter(|&col| open[col]) {
                if curvature[col].is_nan() || curvature[col] <= 0.0 {
                    let found = format!("one with xᵀAx = {:e}", curvature[col]);
                    return Err(Error::setting(
                        "the matrix of conjugate gradients",
                        found,
                        "must be positive definite",
                    ));
                }
                let step = T::from_f64(slope[col] / curvature[col]);
                add(solution, col, direction.as_ref(), step);
                add(&mut rest, col, image.as_ref(), -step);
            }
            let next = condition(rest.as_ref())?;
            let slopes = dots(rest.as_ref(), next.as_ref());
            for col in 0..open.len() {
                let ratio = T::from_f64(slopes[col] / slope[col]);
                let values = column_mut(direction.as_mut(), col).iter_mut().zip(column(next.as_ref(), col));
                values.filter(|_| open[col]).for_each(|(value, &next)| *value = *value * ratio + next);
            }
            slope = slopes;
        }
        Ok(limit)
    }
}

/// The columns of B in units of their largest magnitudes, so that squares neither overflow nor vanish, and those; 1 for
/// a column of zeros.
fn in_units_of_largest<T: Scalar>(b: MatRef<'_, T>) -> (Mat<T>, Vec<T>) {
    let (mut scaled, mut sizes) = (copied(b), Vec::new());
    for col in 0..b.ncols() {
        let column = column_mut(scaled.as_mut(), col);
        let zero = T::from_f64(0.0);
        let largest = column.iter().fold(zero, |size, &x| num_traits::Float::max(size, num_traits::Float::abs(x)));
        let size = if largest > zero { largest } else { T::from_f64(1.0) };
        column.iter_mut().for_each(|value| *value /= size);
        sizes.push(size);
    }
    (scaled, sizes)
}

/// xᵀy for each pair of columns, in `f64`.
pub(super) fn dots<T: Scalar>(x: MatRef<'_, T>, y: MatRef<'_, T>) -> Vec<f64> {
    let dot = |col| x.col(col).iter().zip(y.col(col).iter()).map(|(&x, &y)| x.as_f64() * y.as_f64()).sum();
    (0..x.ncols()).map(dot).collect()
}

/// Adds a multiple of a column of another matrix to the same column.
fn add<T: Scalar>(to: &mut Mat<T>, col: usize, of: MatRef<'_, T>, factor: T) {
    column_mut(to.as_mut(), col).iter_mut().zip(of.col(col).iter()).for_each(|(value, &of)| *value += factor * of);
}

/// The norm of each column, relative to one whose square is given; 0 where nothing is left, of nothing too.
fn ratios<T: Scalar>(x: MatRef<'_, T>, squares: &[f64]) -> Vec<f64> {
    let ratio = |(of, square): (f64, &f64)| if of == 0.0 { 0.0 } else { (of / square).sqrt() };
    dots(x, x).into_iter().zip(squares).map(ratio).collect()
}
