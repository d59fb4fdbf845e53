//! What the training spectra leave behind.

use faer::{Mat, MatRef, Par};

use super::Emulator;
use super::hull::Hull;
use crate::data::Basis;
use crate::{Error, Result};

/// What the training spectra are to an emulator: their weights, and how much the components leave of them.
#[derive(Debug)]
pub(super) struct Data {
    /// M × d
    pub(super) theta: Mat<f64>,
    pub(super) basis: Basis,
    /// ŵ, M × m
    pub(super) weights: Mat<f64>,
    /// ‖F − Φŵ‖²
    pub(super) residual: f64,
    /// The variance of each pixel beside the components, in squared units of the normalised flux; none where the fit of
    /// the basis has used up the spectra.
    pub(super) truncation: Option<Vec<f64>>,
    /// G⁻¹, m × m, exactly diagonal if G is.
    pub(super) inverse_gram: Mat<f64>,
    pub(super) hull: Hull,
}

impl Data {
    pub(super) fn new(
        theta: Mat<f64>,
        basis: Basis,
        weights: Mat<f64>,
        residual: f64,
        truncation: Option<Vec<f64>>,
    ) -> Self {
        let inverse_gram = basis.gram_factor().inverse(Par::Seq);
        let hull = Hull::new(theta.as_ref());
        Self { theta, basis, weights, residual, truncation, inverse_gram, hull }
    }

    pub(super) fn truncation(&self) -> Result<&[f64]> {
        self.truncation.as_deref().ok_or_else(|| {
            let fitted = self.basis.fitted();
            let expected = format!(
                "must be above {fitted}, the degrees of freedom that were fitted to them, for the variance that the \
                 components leave: keep fewer components, or give more spectra"
            );
            Error::setting("the number of spectra", self.theta.nrows(), &expected)
        })
    }
}

impl<K> Emulator<K> {
    /// The basis.
    pub fn basis(&self) -> &Basis {
        &self.data.basis
    }

    /// The parameters of the training spectra, M × d.
    pub fn theta(&self) -> MatRef<'_, f64> {
        self.data.theta.as_ref()
    }

    /// ŵ, the weights of the training spectra by least squares, M × m.
    pub fn weights(&self) -> MatRef<'_, f64> {
        self.data.weights.as_ref()
    }

    /// ‖F − Φŵ‖², the sum of squares of what the components leave of the standardised training spectra.
    pub fn residual(&self) -> f64 {
        self.data.residual
    }

    /// The variance of each pixel beside the components, in squared units of the normalised flux: that which the basis
    /// [states](Basis::truncation), as principal components do, from spectra that they are not made from. Else the sum of
    /// squares of the training spectra's residuals, divided by M less the degrees of freedom that were
    /// [fitted](Basis::with_fitted), 0 for a basis that does not come from them.
    ///
    /// It is part of the [distribution of a flux](super::FluxDistribution), of its variances and covariance, and so of
    /// densities and draws.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if M is not above those: as the residuals are 0 by the fit, they say nothing.
    pub fn truncation(&self) -> Result<&[f64]> {
        self.data.truncation()
    }

    /// The precision that the residuals alone give: λ = M(P − m)/‖F − Φŵ‖², where the terms of
    /// [`Evidence::Fluxes`](super::Evidence::Fluxes) that are of the residuals have their maximum.
    ///
    /// The maximum of the whole has no closed form, as λ is part of V, but is near if there are many more pixels than
    /// components. To train with it, set it by [`with_precision`](Self::with_precision) and freeze `precision`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the components leave nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::Emulator;
    /// use mercer::prelude::*;
    ///
    /// // One spectrum, two pixels beside the component, squares of 0.25 in all.
    /// let basis = Basis::new(mat![[1.0, 0.0, 0.0]])?;
    /// let emulator = Emulator::new(mat![[0.5]].as_ref(), mat![[2.0, 0.3, 0.4]].as_ref(), basis)?;
    /// assert!((emulator.residual_precision()? - 2.0 / 0.25).abs() < 1e-13);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn residual_precision(&self) -> Result<f64> {
        let freedom = self.residual_freedom();
        let precision = freedom / self.data.residual;
        if freedom > 0.0 && precision.is_finite() {
            return Ok(precision);
        }
        let expected = "must be positive for a precision: there are as many components as the spectra need";
        Err(Error::setting("the sum of squares of the residuals", self.data.residual, expected))
    }

    /// M(P − m).
    pub(super) fn residual_freedom(&self) -> f64 {
        let basis = &self.data.basis;
        self.data.theta.nrows() as f64 * (basis.features() - basis.len()) as f64
    }
}
