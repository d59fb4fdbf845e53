//! Principal components.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder;
use faer::linalg::qr::no_pivoting::factor as qr;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Conj, Mat, MatRef, Par};

use super::basis::{CHUNK, means};
use super::left_out::left_out;
use super::{Basis, Residuals, Standardizer, check_finite};
use crate::linalg::product;
use crate::{Error, Result};

/// How many principal components to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Components {
    /// So many.
    Count(usize),
    /// As few as explain this fraction of the total variance, above 0 and at most 1.
    Explained(f64),
}

/// What is done to the rows before their principal components are taken, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PcaSettings {
    /// The number of components.
    pub components: Components,
    /// Whether each feature is divided by its standard deviation over the rows, with n in the denominator. Constant
    /// features are not.
    pub scale: bool,
    /// Whether each row is first divided by its mean, which must be positive: spectra of different brightness, or in
    /// large units.
    pub normalise: bool,
}

impl Default for PcaSettings {
    /// 99% of the variance, of rows that are centred and nothing else.
    fn default() -> Self {
        Self { components: Components::Explained(0.99), scale: false, normalise: false }
    }
}

/// Principal components of n rows of P features, spectra of P pixels say.
///
/// # Definition
///
/// F (n × P) are the rows, treated as the [settings](PcaSettings) say, less the mean row. With the thin singular value
/// decomposition F = U S Vᵀ, the components are the first m rows of Vᵀ, which are orthonormal; the weights of the rows
/// are F V, and component i explains a variance of Sᵢ²/(n − 1). Each component has the sign that makes its element of
/// largest magnitude positive.
///
/// The [truncation](Basis::truncation) of the basis is the mean square, for each feature, of what the components leave of a
/// row if they and the mean are made from the others, at the same scales, for each row in turn: rows that they were made
/// from are nearer to them than others, by more than degrees of freedom tell if few rows are far from the rest.
///
/// O(n P min(n, P)) time on one thread, so that the bits do not depend on the number of threads; two copies of the rows in memory, and nothing of P × P if n is less than P.
///
/// # Examples
///
/// ```
/// use mercer::data::{Pca, PcaSettings};
/// use mercer::prelude::*;
///
/// // Points on a line, but for a little.
/// let x = mat![[0.0, 0.01], [3.0, 3.99], [6.0, 8.01], [9.0, 11.99]];
/// let pca = Pca::fit(x.as_ref(), &PcaSettings::default())?;
/// assert_eq!(pca.basis().len(), 1);
/// assert!((&pca.basis().components() - mat![[0.6, 0.8]]).norm_max() < 1e-3);
/// assert!(pca.explained()[0] > 0.9999);
///
/// let weights = pca.transform(x.as_ref())?;
/// assert!((pca.inverse(weights.as_ref())? - x).norm_max() < 0.02);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Jolliffe (2002), *Principal Component Analysis*, 2nd edition, section 3.5.
#[derive(Clone, Debug)]
pub struct Pca {
    basis: Basis,
    singular_values: Vec<f64>,
    residuals: Residuals,
}

impl Pca {
    /// The principal components of the rows.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for such rows; [`Error::Setting`] for less than two rows, for a
    /// number of components that is 0 or above the rank of the centred rows, and for a fraction that is not above 0
    /// and at most 1; [`Error::Parameter`] for a row to be normalised whose mean is not positive.
    pub fn fit(x: MatRef<'_, f64>, settings: &PcaSettings) -> Result<Self> {
        check_finite("the rows", x)?;
        if x.nrows() < 2 {
            return Err(Error::setting("the number of rows", x.nrows(), "must be at least 2"));
        }
        let factors = if settings.normalise { means(x)? } else { vec![1.0; x.nrows()] };
        let standardizer = {
            let divided = Mat::from_fn(x.nrows(), x.ncols(), |row, col| x[(row, col)] / factors[row]);
            let fitted = Standardizer::fit(divided.as_ref(), 0)?;
            let ones = || vec![1.0; x.ncols()];
            if settings.scale { fitted } else { Standardizer::new(fitted.mean().to_vec(), ones())? }
        };
        let (mean, scale) = (standardizer.mean(), standardizer.scale());
        let standardised = |row: usize, col: usize| (x[(row, col)] / factors[row] - mean[col]) / scale[col];
        let decomposition = Decomposition::new(x.nrows(), x.ncols(), standardised)?;

        let count = settings.components.number(&decomposition.singular_values, x.nrows().max(x.ncols()))?;
        let truncation = (x.nrows() > 1 + count).then(|| {
            let left = decomposition.left_out(x.nrows(), standardised, count);
            left.iter().zip(scale).map(|(square, scale)| scale * (scale * square)).collect()
        });
        let basis = Basis::new(decomposition.components(count))?;
        let mut basis =
            basis.with_standardizer(standardizer)?.with_normalisation(settings.normalise).with_fitted(1 + count);
        let residuals = basis.residuals(x)?;
        if let Some(truncation) = truncation {
            basis = basis.with_truncation(truncation)?;
        }
        Ok(Self { basis, singular_values: decomposition.singular_values, residuals })
    }

    /// The components, with what is done to rows before and after.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The singular values S of the treated rows, all of them, the largest first.
    pub fn singular_values(&self) -> &[f64] {
        &self.singular_values
    }

    /// The fraction of the total variance that each kept component explains.
    pub fn explained(&self) -> Vec<f64> {
        fractions(&self.singular_values).take(self.basis.len()).collect()
    }

    /// The weights of the rows that were fitted, n × m.
    pub fn weights(&self) -> MatRef<'_, f64> {
        self.residuals.weights.as_ref()
    }

    /// The variance of each feature that the components do not explain, in the squared units of the (normalised) rows:
    /// that of the fitted rows' residuals, with the n − 1 − m degrees of freedom that the mean and the components
    /// leave; 0 where they leave none.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::{Components, Pca, PcaSettings};
    /// use mercer::prelude::*;
    ///
    /// // The second feature is uncorrelated with the first, and small: its squares sum to 4.
    /// let x = mat![[9.0, 1.0], [9.0, -1.0], [-9.0, 1.0], [-9.0, -1.0]];
    /// let pca = Pca::fit(x.as_ref(), &PcaSettings { components: Components::Count(1), ..PcaSettings::default() })?;
    /// assert!(pca.residual_variance()[0] < 1e-28);
    /// assert!((pca.residual_variance()[1] - 4.0 / 2.0).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn residual_variance(&self) -> Vec<f64> {
        self.residuals.variance(&self.basis).unwrap_or_else(|| vec![0.0; self.basis.features()])
    }

    /// The weights of other rows: [`Basis::weights`].
    ///
    /// # Errors
    ///
    /// Those of [`Basis::weights`].
    pub fn transform(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        self.basis.weights(x)
    }

    /// Rows from weights, in units of their [factors](Basis::factors): [`Basis::reconstruct`].
    ///
    /// # Errors
    ///
    /// Those of [`Basis::reconstruct`].
    pub fn inverse(&self, weights: MatRef<'_, f64>) -> Result<Mat<f64>> {
        self.basis.reconstruct(weights)
    }
}

impl From<&Pca> for Basis {
    fn from(pca: &Pca) -> Self {
        pca.basis.clone()
    }
}

impl Components {
    /// How many these are of the components of such singular values.
    fn number(self, singular_values: &[f64], longer: usize) -> Result<usize> {
        let rank = rank(singular_values, longer);
        match self {
            Self::Count(count) if (1..=rank).contains(&count) => Ok(count),
            Self::Count(count) => {
                let expected = format!("must be at least 1 and at most {rank}, the rank of the centred rows");
                Err(Error::setting("the number of components", count, &expected))
            }
            Self::Explained(target) if !(target > 0.0 && target <= 1.0) => {
                Err(Error::setting("the fraction of the variance", target, "must be above 0 and at most 1"))
            }
            Self::Explained(_) if rank == 0 => {
                Err(Error::setting("the rank of the centred rows", 0, "must be at least 1: all rows are the same"))
            }
            Self::Explained(target) => {
                let mut sum = 0.0;
                let needed = fractions(singular_values).take_while(|fraction| {
                    let missing = sum < target;
                    sum += fraction;
                    missing
                });
                Ok(needed.count().min(rank))
            }
        }
    }
}

/// How many singular values are not 0 up to rounding.
fn rank(singular_values: &[f64], longer: usize) -> usize {
    let largest = singular_values.first().copied().unwrap_or(0.0);
    let rounding = longer as f64 * f64::EPSILON * largest;
    singular_values.iter().take_while(|&&s| s > rounding).count()
}

/// The squares in units of their sum.
fn fractions(singular_values: &[f64]) -> impl Iterator<Item = f64> {
    // Relative to the largest, so that squares neither overflow nor vanish.
    let largest = singular_values.first().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
    let total: f64 = singular_values.iter().map(|s| (s / largest).powi(2)).sum();
    singular_values.iter().map(move |s| (s / largest).powi(2) / total)
}

/// The right singular vectors of an n × P matrix, by the triangular factor of the longer side.
struct Decomposition {
    /// The reflections that the vectors are still to go through, if P is the longer side.
    reflections: Option<Reflections>,
    /// By columns.
    vectors: Mat<f64>,
    singular_values: Vec<f64>,
}

/// Q of A = QR, on one thread, as the additions of a factorisation are in an order that depends on their number.
struct Reflections {
    /// Below the diagonal, the reflections by columns; from there on, R.
    packed: Mat<f64>,
    coefficients: Mat<f64>,
}

impl Reflections {
    fn of(mut matrix: Mat<f64>) -> Self {
        let (rows, cols) = matrix.shape();
        let block = qr::recommended_block_size::<f64>(rows, cols);
        let mut coefficients = Mat::zeros(block, rows.min(cols));
        let scratch = qr::qr_in_place_scratch::<f64>(rows, cols, block, Par::Seq, Default::default());
        let mut buffer = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut buffer);
        qr::qr_in_place(matrix.as_mut(), coefficients.as_mut(), Par::Seq, stack, Default::default());
        Self { packed: matrix, coefficients }
    }

    /// R, square.
    fn triangle(&self) -> Mat<f64> {
        let size = self.packed.ncols();
        Mat::from_fn(size, size, |row, col| if row <= col { self.packed[(row, col)] } else { 0.0 })
    }

    /// Q X, for the first rows of X.
    fn apply(&self, first: MatRef<'_, f64>) -> Mat<f64> {
        let (rows, block) = (self.packed.nrows(), self.coefficients.nrows());
        let mut columns = Mat::zeros(rows, first.ncols());
        columns.as_mut().subrows_mut(0, first.nrows()).copy_from(first);
        let scratch = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(
            rows,
            block,
            first.ncols(),
        );
        householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
            self.packed.as_ref(),
            self.coefficients.as_ref(),
            Conj::No,
            columns.as_mut(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
        );
        columns
    }
}

impl Decomposition {
    fn new(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> f64) -> Result<Self> {
        let wide = cols > rows;
        let reflections = Reflections::of(if wide {
            Mat::from_fn(cols, rows, |col, row| entry(row, col))
        } else {
            Mat::from_fn(rows, cols, &entry)
        });
        let triangle = reflections.triangle();
        let size = triangle.nrows();
        // If F = QR then Vᵀ is that of R; if Fᵀ = QR, R = U S Wᵀ, then F = W S (QU)ᵀ.
        let (mut vectors, mut values) = (Mat::zeros(size, size), Diag::zeros(size));
        let (left, right) = if wide { (Some(vectors.as_mut()), None) } else { (None, Some(vectors.as_mut())) };
        let wanted = |wanted: bool| if wanted { ComputeSvdVectors::Thin } else { ComputeSvdVectors::No };
        let scratch = svd_scratch::<f64>(size, size, wanted(wide), wanted(!wide), Par::Seq, Default::default());
        let mut buffer = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut buffer);
        if svd(triangle.as_ref(), values.as_mut(), left, right, Par::Seq, stack, Default::default()).is_err() {
            let found = "a matrix whose singular values do not converge";
            return Err(Error::setting("the rows", found, "must have singular values"));
        }
        let singular_values = values.column_vector().iter().copied().collect();
        Ok(Self { reflections: wide.then_some(reflections), vectors, singular_values })
    }

    /// For each feature, the mean square of what the first so many components leave of a row, if they and the mean are made
    /// from the other rows.
    fn left_out(&self, rows: usize, entry: impl Fn(usize, usize) -> f64, count: usize) -> Vec<f64> {
        let longer = rows.max(self.features());
        let values = &self.singular_values[..rank(&self.singular_values, longer)];
        let components = self.components(values.len());
        let chunks = || (0..rows).step_by(CHUNK).map(|start| (start, CHUNK.min(rows - start)));
        let mut coordinates = Mat::zeros(rows, values.len());
        for (start, size) in chunks() {
            let part = Mat::from_fn(size, components.ncols(), |row, col| entry(start + row, col));
            let part = product(part.as_ref(), components.transpose());
            coordinates.as_mut().subrows_mut(start, size).copy_from(part);
        }
        let left = left_out(coordinates.as_ref(), values, count);
        let mut squares = vec![0.0; components.ncols()];
        for (start, size) in chunks() {
            let part = product(left.as_ref().subrows(start, size), components.as_ref());
            for (sum, column) in squares.iter_mut().zip(part.col_iter()) {
                *sum += column.squared_norm_l2() / rows as f64;
            }
        }
        squares
    }

    fn features(&self) -> usize {
        self.reflections.as_ref().map_or(self.vectors.nrows(), |reflections| reflections.packed.nrows())
    }

    /// The first so many as rows, of determined sign.
    fn components(&self, count: usize) -> Mat<f64> {
        let first = self.vectors.as_ref().subcols(0, count);
        let columns = self.reflections.as_ref().map_or_else(|| first.to_owned(), |q| q.apply(first));
        let sign = |column: usize| {
            let larger = |extreme: f64, &x: &f64| if x.abs() > extreme.abs() { x } else { extreme };
            1f64.copysign(columns.col(column).iter().fold(0.0, larger))
        };
        let signs: Vec<f64> = (0..count).map(sign).collect();
        Mat::from_fn(count, columns.nrows(), |row, col| signs[row] * columns[(col, row)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::{Side, mat};
    use rand::{RngExt, SeedableRng};

    fn rows(n: usize, features: usize) -> Mat<f64> {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
        let size = |col: usize| 1.0 / (1.0 + col as f64);
        Mat::from_fn(n, features, |_, col| 5.0 + size(col) * rng.random_range(-1.0..1.0))
    }

    fn settings(components: Components, scale: bool, normalise: bool) -> PcaSettings {
        PcaSettings { components, scale, normalise }
    }

    /// The components are eigenvectors of the covariance of the features, more rows than features or less.
    #[test]
    fn components_are_eigenvectors_of_the_covariance() {
        for (n, features) in [(30, 6), (6, 30), (8, 8)] {
            for (scale, normalise) in [(false, false), (true, false), (true, true)] {
                let x = rows(n, features);
                let pca = Pca::fit(x.as_ref(), &settings(Components::Count(4), scale, normalise)).unwrap();
                let factors = if normalise { means(x.as_ref()).unwrap() } else { vec![1.0; n] };
                let divided = Mat::from_fn(n, features, |row, col| x[(row, col)] / factors[row]);
                let f = pca.basis().standardizer().transform(divided.as_ref()).unwrap();
                let covariance = f.transpose() * &f;
                let eigen = covariance.self_adjoint_eigen(Side::Lower).unwrap();
                for component in 0..4 {
                    let value = eigen.S().column_vector()[features - 1 - component];
                    assert!((pca.singular_values()[component].powi(2) / value - 1.0).abs() < 1e-11);
                    let row = pca.basis().components().row(component);
                    let left = &covariance * row.transpose() - faer::Scale(value) * row.transpose();
                    assert!(left.norm_max() < 1e-12 * eigen.S().column_vector()[features - 1], "{left:?}");
                    let extreme = row.iter().copied().fold(0.0, |a: f64, b: f64| if b.abs() > a.abs() { b } else { a });
                    assert!(extreme > 0.0);
                }
                assert!((pca.weights() - &f * pca.basis().components().transpose()).norm_max() < 1e-12);
            }
        }
    }

    #[test]
    fn all_components_give_the_rows_back() {
        let x = rows(7, 12);
        let pca = Pca::fit(x.as_ref(), &settings(Components::Explained(1.0), true, true)).unwrap();
        assert_eq!(pca.basis().len(), 6);
        assert!((pca.explained().iter().sum::<f64>() - 1.0).abs() < 1e-14);
        let (weights, factors) = (pca.transform(x.as_ref()).unwrap(), pca.basis().factors(x.as_ref()).unwrap());
        let back = pca.inverse(weights.as_ref()).unwrap();
        let worst = (0..7).flat_map(|row| (0..12).map(move |col| (row, col)));
        let worst = worst.map(|(row, col)| (factors[row] * back[(row, col)] - x[(row, col)]).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-13, "{worst:e}");
        assert!(pca.residual_variance().iter().all(|&variance| variance == 0.0));
    }

    #[test]
    fn a_target_takes_as_few_components_as_reach_it() {
        let x = rows(40, 5);
        let all = Pca::fit(x.as_ref(), &settings(Components::Count(5), false, false)).unwrap().explained();
        for count in 1..5 {
            let reached: f64 = all[..count].iter().sum();
            for (target, expected) in [(reached - 1e-9, count), (reached + 1e-9, count + 1)] {
                let pca = Pca::fit(x.as_ref(), &settings(Components::Explained(target), false, false)).unwrap();
                assert_eq!(pca.basis().len(), expected);
            }
        }
    }

    #[test]
    fn the_residual_variance_is_unbiased() {
        // One strong component, and noise of known size in each feature.
        let mut rng = rand_pcg::Pcg64::seed_from_u64(2);
        let noise = |rng: &mut rand_pcg::Pcg64| rng.sample::<f64, _>(rand_distr::StandardNormal);
        let strengths: Vec<f64> = (0..12).map(|_| 100.0 * noise(&mut rng)).collect();
        let x = Mat::from_fn(12, 2000, |row, col| strengths[row] * (col as f64).cos() + 0.5 * noise(&mut rng));
        let pca = Pca::fit(x.as_ref(), &settings(Components::Count(1), false, false)).unwrap();
        let mean = pca.residual_variance().iter().sum::<f64>() / 2000.0;
        assert!((mean / 0.25 - 1.0).abs() < 0.03, "{mean}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let x = rows(4, 6);
        let fit = |x: &Mat<f64>, components| Pca::fit(x.as_ref(), &settings(components, false, false)).map(|_| ());
        for components in
            [Components::Count(0), Components::Count(4), Components::Explained(0.0), Components::Explained(f64::NAN)]
        {
            assert!(matches!(fit(&x, components), Err(Error::Setting { .. })), "{components:?}");
        }
        let same = Mat::full(3, 2, 0.1);
        assert!(matches!(fit(&same, Components::Explained(0.9)), Err(Error::Setting { .. })));
        assert!(matches!(fit(&rows(1, 3), Components::Count(1)), Err(Error::Setting { .. })));
        let bad = mat![[1.0, 2.0], [1.0, f64::NAN]];
        assert!(matches!(fit(&bad, Components::Count(1)), Err(Error::NonFinite { row: 1, col: 1, .. })));
        let dark = mat![[1.0, 2.0], [-1.0, 1.0]];
        let normalised = Pca::fit(dark.as_ref(), &settings(Components::Count(1), false, true));
        assert!(matches!(normalised, Err(Error::Parameter { .. })));
    }
}
