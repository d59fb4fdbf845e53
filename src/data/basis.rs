//! Spectra as weighted sums of a few components.

use faer::{Mat, MatRef, Par};

use super::{Standardizer, check_finite};
use crate::linalg::{Cholesky, Jitter, product};
use crate::{Error, Result};

/// Rows that are standardised at a time: bounds the memory beside the data.
pub(super) const CHUNK: usize = 64;

/// A linear basis for rows of P features, spectra of P pixels say: what is done to a row before it is
/// written as a weighted sum of m components, and back.
///
/// # Definition
///
/// With components E (m × P, of linearly independent rows), means μ and scales s of the features, a spectrum x
/// and its factor c, the mean of its pixels if spectra are [normalised](Self::with_normalisation) and 1 if not:
///
/// - its standardised form is fₚ = (xₚ / c − μₚ) / sₚ;
/// - its [weights](Self::weights) are those of least squares, w = G⁻¹ E f with G = E Eᵀ;
/// - weights [reconstruct](Self::reconstruct) x̂ₚ = μₚ + sₚ Σᵢ wᵢ Eᵢₚ, a spectrum in units of its factor.
///
/// No P × P matrix is made; standardised rows are made some at a time.
///
/// # Examples
///
/// ```
/// use mercer::data::Basis;
/// use mercer::prelude::*;
///
/// // Two components that are not orthogonal, and a spectrum that is 2 E₀ − E₁.
/// let basis = Basis::new(mat![[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])?;
/// let weights = basis.weights(mat![[2.0, 1.0, -1.0]].as_ref())?;
/// assert!((&weights - mat![[2.0, -1.0]]).norm_max() < 1e-14);
/// assert!((basis.reconstruct(weights.as_ref())? - mat![[2.0, 1.0, -1.0]]).norm_max() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Basis {
    components: Mat<f64>,
    standardizer: Standardizer,
    normalised: bool,
    fitted: usize,
    truncation: Option<Vec<f64>>,
    gram: Mat<f64>,
    factor: Cholesky<f64>,
}

/// What a [`Basis`] leaves of some spectra, in units of their standardised form.
#[derive(Clone, Debug, PartialEq)]
pub struct Residuals {
    /// The weights of least squares, a row for each spectrum: n × m.
    pub weights: Mat<f64>,
    /// Σ over spectra and features of (f − Σᵢ wᵢ Eᵢ)².
    pub total: f64,
    /// The same for each feature.
    pub per_feature: Vec<f64>,
}

impl Residuals {
    /// The variance of each feature, in squared units of the (normalised) spectra: that of the basis, or else with the
    /// degrees of freedom that the fit of the basis leaves; none where it leaves none.
    pub(crate) fn truncation(&self, basis: &Basis) -> Option<Vec<f64>> {
        basis.truncation.clone().or_else(|| self.variance(basis))
    }

    /// The variance of each feature with the degrees of freedom that the fit of the basis leaves; none where it leaves none.
    pub(crate) fn variance(&self, basis: &Basis) -> Option<Vec<f64>> {
        let freedom = self.weights.nrows().checked_sub(basis.fitted).filter(|&freedom| freedom > 0)? as f64;
        let variance = |(sum, scale): (&f64, &f64)| scale * (scale * sum / freedom);
        Some(self.per_feature.iter().zip(basis.standardizer.scale()).map(variance).collect())
    }
}

impl Basis {
    /// The basis of these components, m × P, for features that are neither shifted nor scaled.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for such components; [`Error::Shape`] if there are more of them
    /// than features; [`Error::NotPositiveDefinite`] if they are not linearly independent.
    pub fn new(components: Mat<f64>) -> Result<Self> {
        let features = components.ncols();
        check_finite("the components", components.as_ref())?;
        if components.nrows() > features {
            let shape = (components.nrows(), features);
            return Err(Error::shape("the components", format!("at most {features} row(s)"), shape));
        }
        let gram = exact_gram(components.as_ref());
        let factor = Cholesky::new(gram.as_ref(), Jitter::GUARD, Par::Seq)?;
        let standardizer = Standardizer::new(vec![0.0; features], vec![1.0; features])?;
        Ok(Self { components, standardizer, normalised: false, fitted: 0, truncation: None, gram, factor })
    }

    /// The same for features that are shifted and scaled.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the standardizer is for another number of features.
    pub fn with_standardizer(mut self, standardizer: Standardizer) -> Result<Self> {
        if standardizer.mean().len() != self.features() {
            let expected = format!("{} column(s), as the components have", self.features());
            return Err(Error::shape("the standardizer", expected, (1, standardizer.mean().len())));
        }
        self.standardizer = standardizer;
        self.truncation = None;
        Ok(self)
    }

    /// The same for spectra that are first divided by the mean of their pixels, or not.
    #[must_use]
    pub fn with_normalisation(mut self, normalised: bool) -> Self {
        self.normalised = normalised;
        self.truncation = None;
        self
    }

    /// The same, said to have so many degrees of freedom that were fitted to the spectra whose
    /// [residuals](Self::residuals) give the components' truncation: each mean over the spectra is one, and so is each
    /// component that was made from them. 0 by default, 1 + m for [principal components](super::Pca). A truncation that was
    /// [stated](Self::with_truncation) is forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::Spectra;
    /// use mercer::prelude::*;
    ///
    /// // The second pixel, 1 and −1, is left by the component: a variance of 2 / 2, or of 2 / 1.
    /// let (theta, fluxes) = (mat![[0.0], [1.0]], mat![[3.0, 1.0], [2.0, -1.0]]);
    /// let given = Basis::new(mat![[1.0, 0.0]])?;
    /// let spectra = |basis: Basis| Spectra::new(&theta, &fluxes, basis);
    /// assert_eq!(spectra(given.clone())?.truncation()?, [0.0, 1.0]);
    /// assert_eq!(spectra(given.clone().with_fitted(1))?.truncation()?, [0.0, 2.0]);
    /// assert!(spectra(given.with_fitted(2))?.truncation().is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn with_fitted(mut self, degrees: usize) -> Self {
        self.fitted = degrees;
        self.truncation = None;
        self
    }

    /// The same, said to leave this variance of each feature of new spectra, in squared units of the (normalised) spectra: 0
    /// for components that give every spectrum exactly. Without, it is that of the [residuals](Self::residuals) of the spectra
    /// that are emulated, by the [degrees of freedom](Self::with_fitted). [Principal components](super::Pca) state what they
    /// leave of spectra that they were not made from.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] unless there is one for each feature; [`Error::Setting`] for one that is negative or not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Spectra};
    /// use mercer::prelude::*;
    ///
    /// let basis = Basis::new(mat![[1.0, 0.0]])?.with_truncation(vec![0.0, 0.25])?;
    /// let spectra = Spectra::new(mat![[0.5]], mat![[2.0, 0.1]], basis)?;
    /// let flux = &Emulator::new(&spectra)?.condition(&spectra)?.fluxes(mat![[0.7]].as_ref())?[0];
    /// assert_eq!(flux.variance()[1], 0.25);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_truncation(mut self, variances: Vec<f64>) -> Result<Self> {
        if variances.len() != self.features() {
            let expected = format!("{} value(s), one for each feature", self.features());
            return Err(Error::shape("the truncation", expected, (variances.len(), 1)));
        }
        if let Some(value) = variances.iter().find(|variance| !(variance.is_finite() && **variance >= 0.0)) {
            return Err(Error::setting("a variance of the truncation", value, "must be finite and not negative"));
        }
        self.truncation = Some(variances);
        Ok(self)
    }

    /// How many degrees of freedom [were fitted](Self::with_fitted).
    pub fn fitted(&self) -> usize {
        self.fitted
    }

    /// The components E, m × P.
    pub fn components(&self) -> MatRef<'_, f64> {
        self.components.as_ref()
    }

    /// G = E Eᵀ, m × m. Elements off the diagonal are 0 where rounding explains them.
    pub fn gram(&self) -> MatRef<'_, f64> {
        self.gram.as_ref()
    }

    /// The Cholesky factor of G.
    pub(crate) fn gram_factor(&self) -> &Cholesky<f64> {
        &self.factor
    }

    /// What is subtracted from the features, and what they are divided by.
    pub fn standardizer(&self) -> &Standardizer {
        &self.standardizer
    }

    /// What new spectra have beside the components, as a variance of each feature, if that was
    /// [stated](Self::with_truncation).
    pub fn truncation(&self) -> Option<&[f64]> {
        self.truncation.as_deref()
    }

    /// Whether spectra are divided by the mean of their pixels.
    pub fn is_normalised(&self) -> bool {
        self.normalised
    }

    /// m, the number of components.
    pub fn len(&self) -> usize {
        self.components.nrows()
    }

    /// Whether there are no components, which is never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// P, the number of features.
    pub fn features(&self) -> usize {
        self.components.ncols()
    }

    /// What each spectrum is divided by, to undo it: the mean of its pixels, or 1.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for spectra that do not fit;
    /// [`Error::Parameter`] for a mean that is not positive.
    pub fn factors(&self, spectra: MatRef<'_, f64>) -> Result<Vec<f64>> {
        self.check(spectra)?;
        if self.normalised { means(spectra) } else { Ok(vec![1.0; spectra.nrows()]) }
    }

    /// The weights of least squares of n spectra: n × m.
    ///
    /// # Errors
    ///
    /// As [`factors`](Self::factors).
    pub fn weights(&self, spectra: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let mut weights = Mat::zeros(spectra.nrows(), self.len());
        self.by_chunks(spectra, |start, standardised| {
            let part = self.solve(standardised)?;
            weights.as_mut().subrows_mut(start, part.nrows()).copy_from(&part);
            Ok(())
        })?;
        Ok(weights)
    }

    /// What is left of spectra beside the components.
    ///
    /// # Errors
    ///
    /// As [`factors`](Self::factors).
    pub fn residuals(&self, spectra: MatRef<'_, f64>) -> Result<Residuals> {
        let mut weights = Mat::zeros(spectra.nrows(), self.len());
        let mut per_feature = vec![0.0; self.features()];
        self.by_chunks(spectra, |start, standardised| {
            let part = self.solve(standardised)?;
            let left = standardised - product(part.as_ref(), self.components.as_ref());
            for (sum, column) in per_feature.iter_mut().zip(left.col_iter()) {
                *sum += column.squared_norm_l2();
            }
            weights.as_mut().subrows_mut(start, part.nrows()).copy_from(&part);
            Ok(())
        })?;
        Ok(Residuals { weights, total: per_feature.iter().sum(), per_feature })
    }

    /// The spectra of n × m weights, in units of their factors: n × P.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of weights.
    pub fn reconstruct(&self, weights: MatRef<'_, f64>) -> Result<Mat<f64>> {
        if weights.ncols() != self.len() {
            let expected = format!("{} column(s), one for each component", self.len());
            return Err(Error::shape("the weights", expected, (weights.nrows(), weights.ncols())));
        }
        self.standardizer.inverse_mean(product(weights, self.components.as_ref()).as_ref())
    }

    /// A factor of the covariance that weights of the covariance RRᵀ give the features, without a matrix of features:
    /// diag(s) Eᵀ R, P × m.
    pub(crate) fn spread(&self, root: MatRef<'_, f64>) -> Mat<f64> {
        let mut spread = product(self.components.transpose(), root);
        for column in spread.col_iter_mut() {
            column.iter_mut().zip(self.standardizer.scale()).for_each(|(entry, scale)| *entry *= scale);
        }
        spread
    }

    fn check(&self, spectra: MatRef<'_, f64>) -> Result<()> {
        check_finite("the spectra", spectra)?;
        if spectra.ncols() == self.features() {
            return Ok(());
        }
        let expected = format!("{} column(s), as the components have", self.features());
        Err(Error::shape("the spectra", expected, (spectra.nrows(), spectra.ncols())))
    }

    /// F Eᵀ G⁻¹ for standardised rows F.
    fn solve(&self, standardised: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let mut weights = product(self.components.as_ref(), standardised.transpose());
        self.factor.solve_in_place(weights.as_mut(), Par::Seq)?;
        Ok(weights.transpose().to_owned())
    }

    /// Calls `see` with standardised rows, and the first of them.
    fn by_chunks(
        &self,
        spectra: MatRef<'_, f64>,
        mut see: impl FnMut(usize, MatRef<'_, f64>) -> Result<()>,
    ) -> Result<()> {
        let factors = self.factors(spectra)?;
        let (mean, scale) = (self.standardizer.mean(), self.standardizer.scale());
        for start in (0..spectra.nrows()).step_by(CHUNK) {
            let rows = CHUNK.min(spectra.nrows() - start);
            let standardised = Mat::from_fn(rows, self.features(), |row, col| {
                (spectra[(start + row, col)] / factors[start + row] - mean[col]) / scale[col]
            });
            see(start, standardised.as_ref())?;
        }
        Ok(())
    }
}

/// The mean of each row.
///
/// # Errors
///
/// [`Error::Parameter`] for a mean that is not positive and finite.
pub(super) fn means(spectra: MatRef<'_, f64>) -> Result<Vec<f64>> {
    let features = spectra.ncols() as f64;
    let mean = |row: usize| spectra.row(row).iter().map(|x| x / features).sum::<f64>();
    let means: Vec<f64> = (0..spectra.nrows()).map(mean).collect();
    match means.iter().enumerate().find(|(_, mean)| !(mean.is_finite() && **mean > 0.0)) {
        None => Ok(means),
        Some((row, &value)) => {
            let expected = "positive and finite, for the spectrum to be divided by it".to_owned();
            Err(Error::Parameter { path: format!("the mean of spectrum {row}"), value, expected })
        }
    }
}

/// E Eᵀ, exactly symmetric, with exact zeros for rows that are orthogonal up to rounding.
fn exact_gram(components: MatRef<'_, f64>) -> Mat<f64> {
    let (count, features) = (components.nrows(), components.ncols());
    let mut gram = product(components, components.transpose());
    // The bound of the rounding errors of an inner product, and as much for those of the components.
    let rounding = (2 * features + 64) as f64 * f64::EPSILON;
    for col in 0..count {
        for row in col + 1..count {
            let small = rounding * (gram[(row, row)] * gram[(col, col)]).sqrt();
            let value = if gram[(row, col)].abs() <= small { 0.0 } else { gram[(row, col)] };
            gram[(row, col)] = value;
            gram[(col, row)] = value;
        }
    }
    gram
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::mat;

    /// More rows than are standardised at a time.
    #[test]
    fn residuals_are_what_the_components_leave() {
        let components = Mat::from_fn(2, 5, |i, p| ((1 + i) as f64 * p as f64).cos());
        let standardizer = Standardizer::new(vec![1.0, 2.0, 0.0, -1.0, 0.5], vec![1.0, 2.0, 3.0, 0.5, 1.0]).unwrap();
        let basis = Basis::new(components).unwrap().with_standardizer(standardizer).unwrap().with_normalisation(true);
        let spectra = Mat::from_fn(150, 5, |row, p| 4.0 + ((7 * row + 3 * p) as f64).sin());
        let residuals = basis.residuals(spectra.as_ref()).unwrap();
        assert_eq!(residuals.weights, basis.weights(spectra.as_ref()).unwrap());

        let factors = basis.factors(spectra.as_ref()).unwrap();
        let divided = Mat::from_fn(150, 5, |row, p| spectra[(row, p)] / factors[row]);
        let standardised = basis.standardizer().transform(divided.as_ref()).unwrap();
        let left = &standardised - &residuals.weights * basis.components();
        assert!((&left * basis.components().transpose()).norm_max() < 1e-13); // least squares
        assert!((residuals.total / left.squared_norm_l2() - 1.0).abs() < 1e-13);
        for (p, &found) in residuals.per_feature.iter().enumerate() {
            assert!((found / left.col(p).squared_norm_l2() - 1.0).abs() < 1e-12);
        }
        for (fitted, freedom) in [(0, 150.0), (3, 147.0), (149, 1.0)] {
            let variance = residuals.variance(&basis.clone().with_fitted(fitted)).unwrap();
            assert!((variance[2] / (9.0 * residuals.per_feature[2] / freedom) - 1.0).abs() < 1e-14);
        }
        assert!([150, 151].into_iter().all(|fitted| residuals.variance(&basis.clone().with_fitted(fitted)).is_none()));
    }

    #[test]
    fn a_covariance_of_weights_spreads_to_the_features() {
        let standardizer = Standardizer::new(vec![0.0; 3], vec![1.0, 2.0, 4.0]).unwrap();
        let basis =
            Basis::new(mat![[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]).unwrap().with_standardizer(standardizer).unwrap();
        let root = mat![[2.0, 0.0], [0.5, 1.0]];
        let factor = basis.spread(root.as_ref());
        let scaled = Mat::from_fn(2, 3, |i, p| basis.components()[(i, p)] * [1.0, 2.0, 4.0][p]);
        let expected = scaled.transpose() * (&root * root.transpose()) * &scaled;
        assert!((&factor * factor.transpose() - expected).norm_max() < 1e-13);
    }

    #[test]
    fn components_that_are_orthogonal_up_to_rounding_are_so() {
        let angle: f64 = 0.3;
        let rotated = Mat::from_fn(2, 2, |i, j| if i == j { angle.cos() } else { angle.sin() * (j as f64 - i as f64) });
        let mix = mat![[0.1, 0.7], [0.7, -0.1]] * rotated;
        let basis = Basis::new(mix).unwrap();
        assert_eq!((basis.gram()[(0, 1)], basis.gram()[(1, 0)]), (0.0, 0.0));
        let basis = Basis::new(mat![[1.0, 1e-12], [0.0, 1.0]]).unwrap();
        assert_eq!(basis.gram()[(0, 1)], 1e-12);
    }

    #[test]
    fn what_is_no_basis_is_refused() {
        let dependent = Basis::new(mat![[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]);
        assert!(matches!(dependent, Err(Error::NotPositiveDefinite { .. })), "{dependent:?}");
        assert!(matches!(Basis::new(Mat::zeros(3, 2)), Err(Error::Shape { .. })));
        assert!(matches!(Basis::new(mat![[f64::NAN]]), Err(Error::NonFinite { .. })));
        let basis = Basis::new(mat![[1.0, 2.0]]).unwrap();
        assert!(matches!(basis.weights(mat![[1.0]].as_ref()), Err(Error::Shape { .. })));
        assert!(matches!(basis.reconstruct(mat![[1.0, 2.0]].as_ref()), Err(Error::Shape { .. })));
        let other = Standardizer::new(vec![0.0], vec![1.0]).unwrap();
        assert!(matches!(basis.with_standardizer(other), Err(Error::Shape { .. })));
    }
}
