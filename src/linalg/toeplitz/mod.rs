//! Symmetric Toeplitz matrices: covariances of points at equal distances.

mod correlations;
mod levinson;

use faer::prelude::Reborrow;
use faer::{ColMut, MatMut, Par};
use rayon::iter::ParallelIterator;

use super::checks::check_rows;
use crate::{Error, Result};
use correlations::correlations;
use levinson::Levinson;

/// A symmetric positive definite Toeplitz matrix T, Tᵢⱼ = c<sub>|i−j|</sub>, with the solution x = T⁻¹y for one y.
///
/// 5n²/2 fused operations to make, and 2n² for each further solve; memory for a few columns.
///
/// Its predictor a has a₀ = 1 and T a = e·(1, 0, …, 0)ᵀ: −a₁, …, −aₙ₋₁ are the weights of the best linear prediction of
/// a value from the n − 1 values next to it, and e is the mean square of its error. The inverse follows from it,
///
/// T⁻¹ = (L(a) L(a)ᵀ − L(b) L(b)ᵀ) / e,  b = (0, aₙ₋₁, …, a₁),
///
/// where L(v) is the lower triangular Toeplitz matrix with first column v (Gohberg & Semencul).
///
/// # Accuracy
///
/// Solutions are about as exact as those of a Cholesky factorisation: they are off by less than κε of their norm for a
/// condition number κ. Rounding in a step acts like an error in the cₖ that the step takes up, of a size up to ε c₀ Σᵢ |aᵢ|. The
/// log-determinant is off by what such errors make of it, at most that times Σₖ (2 − δₖ₀) |tₖ| with the
/// [sums by lag](Self::lag_sums), and by up to n²ε for the pivots, which are products. A Cholesky factorisation rounds each
/// element of T by itself, and the errors average out: it often loses ten to a hundred times less of the same column.
///
/// # References
///
/// Levinson (1946), "The Wiener (root mean square) error criterion in filter design and prediction", *Journal of
/// Mathematics and Physics* 25, 261–278, [doi:10.1002/sapm1946251261](https://doi.org/10.1002/sapm1946251261).
/// Durbin (1960), "The fitting of time-series models", *Revue de l'Institut International de Statistique* 28, 233–244,
/// [doi:10.2307/1401322](https://doi.org/10.2307/1401322). Gohberg & Semencul (1972), "On the inversion of finite
/// Toeplitz matrices and their continuous analogues", *Matematicheskie Issledovaniya* 7(2), 201–223. Golub & Van Loan (2013),
/// *Matrix Computations*, fourth edition, section 4.7.
#[derive(Clone, Debug)]
pub(crate) struct Toeplitz {
    predictor: Vec<f64>,
    error: f64,
    solution: Vec<f64>,
    log_det: f64,
    quadratic: f64,
}

impl Toeplitz {
    /// The matrix with a first column c, and the solution for a right-hand side y. Nothing is added to the diagonal.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without rows; [`Error::Shape`] if both do not have the same length; [`Error::NonFinite`] for a
    /// NaN or an infinity; [`Error::NotPositiveDefinite`] with the first pivot of LDLᵀ that is not positive, or below
    /// ε c₀, which is what rounding leaves of zero.
    pub(crate) fn factor(column: &[f64], rhs: &[f64]) -> Result<Self> {
        if column.is_empty() {
            return Err(Error::Empty { what: "the first column of the matrix".to_owned() });
        }
        check_finite("the first column of the matrix", column)?;
        check_length(column.len(), rhs)?;
        check_finite("the right-hand side", rhs)?;
        let mut levinson = Levinson::new(column);
        let found = levinson.solve(rhs).map_err(|pivot| Error::NotPositiveDefinite {
            pivot,
            jitter: 0.0,
            mean_diagonal: column[0],
        })?;
        let (predictor, solution) = levinson.into_parts();
        Ok(Self { predictor, error: found.error, solution, log_det: found.log_det, quadratic: found.quadratic })
    }

    /// The number of rows.
    pub(crate) fn dim(&self) -> usize {
        self.predictor.len()
    }

    /// x = T⁻¹y.
    pub(crate) fn solution(&self) -> &[f64] {
        &self.solution
    }

    /// yᵀT⁻¹y, the sum of the squares of what is new in each element of y, over their variances.
    pub(crate) fn quadratic(&self) -> f64 {
        self.quadratic
    }

    /// ln det T, the sum of the logarithms of the pivots.
    pub(crate) fn log_det(&self) -> f64 {
        self.log_det
    }

    /// a, with a₀ = 1.
    #[cfg(test)]
    pub(crate) fn predictor(&self) -> &[f64] {
        &self.predictor
    }

    /// e, the last pivot: T⁻¹ has a/e as its first column.
    #[cfg(test)]
    pub(crate) fn error(&self) -> f64 {
        self.error
    }

    /// The diagonal of T⁻¹, in O(n): (T⁻¹)ᵢᵢ = Σ<sub>l≤i</sub> (a<sub>l</sub>² − b<sub>l</sub>²) / e.
    pub(crate) fn inverse_diagonal(&self) -> Vec<f64> {
        let n = self.dim();
        let mut diagonal = vec![0.0; n];
        let mut sum = 0.0;
        // It reads the same from both ends, and the first half has lost less to cancellation.
        for i in 0..n.div_ceil(2) {
            let (a, b) = (self.predictor[i], if i == 0 { 0.0 } else { self.predictor[n - i] });
            sum += (a - b) * (a + b);
            diagonal[i] = sum / self.error;
            diagonal[n - 1 - i] = diagonal[i];
        }
        diagonal
    }

    /// tₖ = Σᵢ (T⁻¹)<sub>i,i+k</sub> for each lag k: Σᵢ (n − k − 2i) aᵢ aᵢ₊ₖ / e, over i from 0 to n − 1 − k.
    pub(crate) fn lag_sums(&self) -> Vec<f64> {
        let (a, n) = (&self.predictor, self.dim() as f64);
        let weighted: Vec<f64> = a.iter().enumerate().map(|(i, a)| (n - 2.0 * i as f64) * a).collect();
        let mut sums = correlations(&weighted, a);
        for ((k, sum), plain) in sums.iter_mut().enumerate().zip(correlations(a, a)) {
            *sum = (*sum - k as f64 * plain) / self.error;
        }
        sums
    }

    /// The gradient of the Gaussian log density of y in the column: for ℓ = −½ (yᵀT⁻¹y + ln det T + n ln 2π),
    ///
    /// ∂ℓ/∂cₖ = ½ (Σᵢ xᵢ xᵢ₊ₖ − tₖ) (2 − δₖ₀),
    ///
    /// where cₖ stands in all places of T that hold it. The derivative in a parameter θ is Σₖ (∂ℓ/∂cₖ) (∂cₖ/∂θ).
    pub(crate) fn log_density_weights(&self) -> Vec<f64> {
        let mut weights = correlations(&self.solution, &self.solution);
        weights.iter_mut().zip(self.lag_sums()).for_each(|(weight, sum)| *weight -= sum);
        weights[0] *= 0.5;
        weights
    }

    /// T⁻¹v.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if v does not have an element for each row of T.
    #[cfg(test)]
    pub(crate) fn solve(&self, rhs: &[f64]) -> Result<Vec<f64>> {
        check_length(self.dim(), rhs)?;
        Ok(self.inverse().times(rhs))
    }

    /// B becomes T⁻¹B, column by column; each has the same bits for any number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if B does not have a row for each row of T.
    pub(crate) fn solve_in_place(&self, b: MatMut<'_, f64>, par: Par) -> Result<()> {
        check_rows("the right-hand side", self.dim(), b.rb())?;
        let inverse = self.inverse();
        let solve = |column: ColMut<'_, f64>| {
            let rhs: Vec<f64> = column.rb().iter().copied().collect();
            column.iter_mut().zip(inverse.times(&rhs)).for_each(|(value, solved)| *value = solved);
        };
        match par {
            Par::Seq => b.col_iter_mut().for_each(solve),
            Par::Rayon(_) => b.par_col_iter_mut().for_each(solve),
        }
        Ok(())
    }

    fn inverse(&self) -> Inverse<'_> {
        let (a, zero) = (&self.predictor, std::iter::once(0.0));
        Inverse {
            a,
            b: zero.clone().chain(a[1..].iter().rev().copied()).collect(),
            a_reversed: a.iter().rev().copied().collect(),
            b_reversed: a[1..].iter().copied().chain(zero).collect(),
            error: self.error,
        }
    }
}

/// T⁻¹, as the first columns of its triangular factors from both ends.
struct Inverse<'a> {
    a: &'a [f64],
    b: Vec<f64>,
    a_reversed: Vec<f64>,
    b_reversed: Vec<f64>,
    error: f64,
}

impl Inverse<'_> {
    /// L(a)ᵀv has the elements Σᵢ aᵢ vᵢ₊ₖ, and L(a)w, from its end, those of Σᵢ wᵢ aₙ₋₁₋ᵢ₋ₖ.
    fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut product = correlations(&correlations(self.a, v), &self.a_reversed);
        let less = correlations(&correlations(&self.b, v), &self.b_reversed);
        product.iter_mut().zip(less).for_each(|(value, less)| *value = (*value - less) / self.error);
        product.reverse();
        product
    }
}

fn check_length(dim: usize, rhs: &[f64]) -> Result<()> {
    if rhs.len() == dim {
        return Ok(());
    }
    Err(Error::shape("the right-hand side", format!("{dim} row(s)"), (rhs.len(), 1)))
}

fn check_finite(what: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(row) => Err(Error::NonFinite { what: what.to_owned(), row, col: 0, value: values[row] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use faer::Mat;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::linalg::{Cholesky, Eigendecomposition, Jitter};
    use crate::testkit::{directional_difference, seed, trials};

    fn dense(column: &[f64]) -> Mat<f64> {
        Mat::from_fn(column.len(), column.len(), |i, j| column[i.abs_diff(j)])
    }

    fn normal(rng: &mut Pcg64, n: usize) -> Vec<f64> {
        (0..n).map(|_| rng.sample(StandardNormal)).collect()
    }

    /// The covariances of a process at equal distances, with noise.
    fn column(rng: &mut Pcg64, kind: usize, n: usize) -> Vec<f64> {
        let (scale, step) = (10f64.powf(rng.random_range(-1.0..1.0)), 1.0 / rng.random_range(0.5..20.0));
        let noise = 10f64.powf(rng.random_range(-6.0..0.0));
        let frequency = rng.random_range(0.0..3.0);
        let covariance = |i: usize| {
            let x = i as f64 * step;
            let value = match kind % 4 {
                0 => (-x).exp(),
                1 => (1.0 + x) * (-x).exp(),
                2 => (-0.5 * x * x).exp(),
                _ => (frequency * i as f64).cos() * (-x).exp(),
            };
            scale * if i == 0 { value + noise } else { value }
        };
        (0..n).map(covariance).collect()
    }

    fn condition(matrix: &Mat<f64>) -> f64 {
        let eigen = Eigendecomposition::new(matrix.as_ref()).unwrap();
        eigen.values()[matrix.nrows() - 1] / eigen.values()[0]
    }

    fn norm(values: &[f64]) -> f64 {
        values.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    fn solved(cholesky: &Cholesky<f64>, rhs: &[f64]) -> Vec<f64> {
        let mut x = Mat::from_fn(rhs.len(), 1, |row, _| rhs[row]);
        cholesky.solve_in_place(x.as_mut(), Par::Seq).unwrap();
        (0..rhs.len()).map(|row| x[(row, 0)]).collect()
    }

    #[track_caller]
    fn close(what: &str, found: &[f64], expected: &[f64], relative: f64) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let off: Vec<f64> = found.iter().zip(expected).map(|(found, expected)| found - expected).collect();
        let (off, size) = (norm(&off), norm(expected));
        assert!(off <= relative * size, "{what} is off by {:e} of its norm, more than {relative:e}", off / size);
    }

    #[test]
    fn all_results_are_those_of_the_dense_matrix() {
        let mut rng = Pcg64::seed_from_u64(seed(52));
        for trial in 0..trials(40) {
            let n = if trial < 8 { 1 + trial / 4 } else { rng.random_range(3..=60) };
            let (c, y, v) = (column(&mut rng, trial, n), normal(&mut rng, n), normal(&mut rng, n));
            let toeplitz = Toeplitz::factor(&c, &y).unwrap();
            let matrix = dense(&c);
            let cholesky = Cholesky::new(matrix.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
            let inverse = cholesky.inverse(Par::Seq);

            // Both are off by less than κε, and by a few ε where κ is 1.
            let relative = (2.0 * condition(&matrix) + 16.0) * f64::EPSILON;
            let x = solved(&cholesky, &y);
            close("the solution", toeplitz.solution(), &x, relative);
            close("a further solution", &toeplitz.solve(&v).unwrap(), &solved(&cholesky, &v), relative);
            close("the solution again", &toeplitz.solve(&y).unwrap(), &x, relative);
            let quadratic = y.iter().zip(&x).map(|(y, x)| y * x).sum();
            close("the quadratic form", &[toeplitz.quadratic()], &[quadratic], relative);
            let first: Vec<f64> = toeplitz.predictor().iter().map(|a| a / toeplitz.error()).collect();
            close("the first column", &first, &(0..n).map(|i| inverse[(i, 0)]).collect::<Vec<_>>(), relative);
            let diagonal: Vec<f64> = (0..n).map(|i| inverse[(i, i)]).collect();
            close("the diagonal", &toeplitz.inverse_diagonal(), &diagonal, relative);
            let mut sums = vec![0.0; n];
            for (k, sum) in sums.iter_mut().enumerate() {
                for i in 0..n - k {
                    *sum += inverse[(i, i + k)];
                }
            }
            close("sums by lag", &toeplitz.lag_sums(), &sums, relative);
            let weight = |k: usize| {
                let products: f64 = (0..n - k).map(|i| x[i] * x[i + k]).sum();
                (products - sums[k]) * if k == 0 { 0.5 } else { 1.0 }
            };
            let weights = toeplitz.log_density_weights();
            let size = norm(&sums) + norm(&x).powi(2);
            for (k, found) in weights.iter().enumerate() {
                assert!((found - weight(k)).abs() <= relative * size, "weight {k}: {found}, not {}", weight(k));
            }

            // Errors in the column and in products of pivots, as the documentation has it, and the sum of logarithms.
            let of_lags: f64 = sums.iter().map(|sum| 2.0 * sum.abs()).sum::<f64>() - sums[0];
            let of_predictor: f64 = (0..n).map(|i| (inverse[(i, 0)] / inverse[(0, 0)]).abs()).sum();
            let of_column = f64::EPSILON * of_predictor * c[0] * of_lags;
            let logarithms: f64 = (0..n).map(|i| 2.0 * cholesky.factor()[(i, i)].ln().abs()).sum();
            let bound = of_column + n as f64 * f64::EPSILON * (logarithms + n as f64 + 1.0);
            let off = (toeplitz.log_det() - cholesky.log_det()).abs();
            assert!(off <= bound, "the log-determinant is off by {off:e}, more than {bound:e}");
        }
    }

    #[test]
    fn weights_are_differences_of_the_log_density() {
        let mut rng = Pcg64::seed_from_u64(seed(53));
        for trial in 0..trials(8) {
            let n = [1, 2, 9, 24][trial / 2 % 4];
            let mut c = column(&mut rng, trial, n);
            // Steps in any direction stay positive definite.
            c[0] *= 1.5;
            let y = normal(&mut rng, n);
            let log_density = |c: &[f64]| {
                let cholesky = Cholesky::new(dense(c).as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
                let x = solved(&cholesky, &y);
                -0.5 * (y.iter().zip(&x).map(|(y, x)| y * x).sum::<f64>() + cholesky.log_det())
            };
            let weights = Toeplitz::factor(&c, &y).unwrap().log_density_weights();
            let size = norm(&weights);
            for (k, found) in weights.into_iter().enumerate() {
                let expected = directional_difference(1e-4 * c[0], |by| {
                    let mut c = c.clone();
                    c[k] += by;
                    log_density(&c)
                });
                assert!((found - expected).abs() < 1e-8 * size, "{k} of {n}: {found}, not {expected}");
            }
        }
    }

    /// Tᵢⱼ = φ^|i−j| has a tridiagonal inverse: a value is predicted by its neighbour alone.
    #[test]
    fn an_autoregression_has_its_closed_form() {
        for (n, phi) in [(2, 0.5), (15, -0.3), (16, 0.9), (17, 0.9), (1100, 0.8)] {
            let c: Vec<f64> = (0..n).map(|i| f64::powi(phi, i)).collect();
            let rhs: Vec<f64> = (0..n).map(|i| (0.3 * f64::from(i)).sin()).collect();
            let n = c.len();
            let toeplitz = Toeplitz::factor(&c, &rhs).unwrap();
            let (left, relative) = (1.0 - phi * phi, 1e-13);
            let inside = |i: usize| if i == 0 || i == n - 1 { 1.0 } else { 1.0 + phi * phi };
            let expected: Vec<f64> = (0..n)
                .map(|i| {
                    let beside = if i > 0 { rhs[i - 1] } else { 0.0 } + rhs.get(i + 1).unwrap_or(&0.0);
                    (inside(i) * rhs[i] - phi * beside) / left
                })
                .collect();
            close("the solution", toeplitz.solution(), &expected, relative);
            close("the solution again", &toeplitz.solve(&rhs).unwrap(), &expected, relative);
            let mut predictor = vec![0.0; n];
            (predictor[0], predictor[1]) = (1.0, -phi);
            close("the predictor", toeplitz.predictor(), &predictor, relative);
            close("the error", &[toeplitz.error()], &[left], relative);
            close("the log-determinant", &[toeplitz.log_det()], &[(n - 1) as f64 * left.ln()], relative * n as f64);
            let diagonal: Vec<f64> = (0..n).map(|i| inside(i) / left).collect();
            close("the diagonal", &toeplitz.inverse_diagonal(), &diagonal, relative);
            let mut sums = vec![0.0; n];
            (sums[0], sums[1]) = (diagonal.iter().sum(), -phi * (n - 1) as f64 / left);
            close("sums by lag", &toeplitz.lag_sums(), &sums, relative);
        }
    }

    #[test]
    fn columns_are_solved_one_by_one_in_any_layout_and_by_any_number_of_threads() {
        let mut rng = Pcg64::seed_from_u64(seed(54));
        let (c, n) = (column(&mut rng, 1, 37), 37);
        let toeplitz = Toeplitz::factor(&c, &vec![0.0; n]).unwrap();
        let b = Mat::from_fn(n, 5, |_, _| rng.sample::<f64, _>(StandardNormal));
        let mut x = b.clone();
        toeplitz.solve_in_place(x.as_mut(), Par::Seq).unwrap();
        for col in 0..5 {
            let rhs: Vec<f64> = (0..n).map(|row| b[(row, col)]).collect();
            assert_eq!(toeplitz.solve(&rhs).unwrap(), (0..n).map(|row| x[(row, col)]).collect::<Vec<_>>());
        }
        let mut threads = b.clone();
        toeplitz.solve_in_place(threads.as_mut(), Par::rayon(2)).unwrap();
        assert_eq!(threads, x);
        let mut rows = b.transpose().to_owned();
        toeplitz.solve_in_place(rows.as_mut().transpose_mut(), Par::Seq).unwrap();
        assert_eq!(rows.transpose(), x);
        assert!(toeplitz.solution().iter().all(|&value| value == 0.0) && toeplitz.quadratic() == 0.0);
    }

    #[test]
    fn one_row_is_a_division() {
        let toeplitz = Toeplitz::factor(&[4.0], &[6.0]).unwrap();
        assert_eq!((toeplitz.solution(), toeplitz.quadratic()), ([1.5].as_slice(), 9.0));
        assert_eq!((toeplitz.log_det(), toeplitz.error(), toeplitz.dim()), (4.0f64.ln(), 4.0, 1));
        assert_eq!((toeplitz.inverse_diagonal(), toeplitz.lag_sums()), (vec![0.25], vec![0.25]));
        assert_eq!(toeplitz.log_density_weights(), [0.5 * (1.5 * 1.5 - 0.25)]);
        assert_eq!(toeplitz.solve(&[2.0]).unwrap(), [0.5]);
    }

    #[test]
    fn refusals_carry_what_was_found() {
        let refused = |c: &[f64]| Toeplitz::factor(c, &vec![1.0; c.len()]).unwrap_err();
        let pivot_of = |c: &[f64]| match refused(c) {
            Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal } if mean_diagonal == c[0] => pivot,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(pivot_of(&[0.0, 0.0]), 0);
        assert_eq!(pivot_of(&[-1.0]), 0);
        assert_eq!(pivot_of(&[1.0, 1.0, 1.0]), 1);
        assert_eq!(pivot_of(&[1.0, -2.0]), 1);
        assert_eq!(pivot_of(&[1.0, 1e300]), 1);
        assert_eq!(pivot_of(&[1.0, 0.0, 3.0, 0.0]), 2);
        // Of rank 2, but for rounding, which leaves a quarter of ε in the third pivot.
        assert_eq!(pivot_of(&[1.0, 0.87, 0.5138]), 2);
        let cosine: Vec<f64> = (0..30).map(|i| (0.7 * f64::from(i)).cos()).collect();
        assert!(pivot_of(&cosine) >= 2);

        // A Cholesky factorisation stops at the same pivot.
        let mut rng = Pcg64::seed_from_u64(seed(55));
        let mut indefinite = 0;
        for _ in 0..trials(100) {
            let mut c: Vec<f64> = (0..20).map(|_| rng.random_range(-0.5..0.5)).collect();
            c[0] = 1.0;
            let found = Toeplitz::factor(&c, &[1.0; 20]);
            match Cholesky::new(dense(&c).as_ref(), Jitter::Fixed(0.0), Par::Seq) {
                Ok(_) => assert!(found.is_ok()),
                Err(error) => {
                    assert_eq!(found.unwrap_err(), error);
                    indefinite += 1;
                }
            }
        }
        assert!(indefinite > 20, "{indefinite}");

        let error = refused(&[]);
        assert!(matches!(error, Error::Empty { .. }), "{error:?}");
        let error = refused(&[1.0, f64::NAN]);
        assert!(matches!(error, Error::NonFinite { row: 1, col: 0, .. }), "{error:?}");
        let error = Toeplitz::factor(&[1.0, 0.5], &[0.0, f64::INFINITY]).unwrap_err();
        assert!(matches!(error, Error::NonFinite { row: 1, col: 0, .. }), "{error:?}");
        let error = Toeplitz::factor(&[1.0, 0.5], &[0.0]).unwrap_err();
        assert!(matches!(error, Error::Shape { found: (1, 1), .. }), "{error:?}");
        let toeplitz = Toeplitz::factor(&[1.0, 0.5], &[0.0, 1.0]).unwrap();
        let error = toeplitz.solve(&[0.0; 3]).unwrap_err();
        assert!(matches!(error, Error::Shape { found: (3, 1), .. }), "{error:?}");
        let error = toeplitz.solve_in_place(Mat::zeros(3, 2).as_mut(), Par::Seq).unwrap_err();
        assert!(matches!(error, Error::Shape { found: (3, 2), .. }), "{error:?}");
    }
}
