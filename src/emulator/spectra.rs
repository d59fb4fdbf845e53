//! What an emulator learns from.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::hull::Hull;
use crate::data::{Basis, check_finite};
use crate::kernel::MatrixView;
use crate::{Error, Result};

/// Training spectra as an [`Emulator`](super::Emulator) learns from them: parameters, the weights of the components of a
/// basis, and how much these leave.
///
/// The pixels themselves are not kept, so that nothing that follows depends on how many there were. All is shared and not
/// copied when spectra are cloned.
///
/// # Examples
///
/// One spectrum of three pixels, of which the component takes the first:
///
/// ```
/// use mercer::data::Basis;
/// use mercer::emulator::Spectra;
/// use mercer::prelude::*;
///
/// let basis = Basis::new(mat![[1.0, 0.0, 0.0]])?;
/// let spectra = Spectra::new(mat![[0.5]], mat![[2.0, 0.3, 0.4]], basis)?;
/// assert_eq!(spectra.weights(), mat![[2.0]]);
/// assert!((spectra.residual() - 0.25).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Spectra {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    /// M × d
    theta: Arc<Mat<f64>>,
    basis: Basis,
    /// ŵ, M × m
    weights: Mat<f64>,
    /// ‖F − Φŵ‖²
    residual: f64,
    /// The variance of each pixel beside the components, in squared units of the normalised flux; none where the fit of
    /// the basis has used up the spectra.
    truncation: Option<Vec<f64>>,
    /// G⁻¹, m × m, exactly diagonal if G is.
    inverse_gram: Mat<f64>,
    hull: Hull,
}

impl Spectra {
    /// Spectra, M × P, at parameters, M × d: their weights, and what is left of them beside the components. They are
    /// [normalised and standardised](Basis) as the basis says. O(MPm) time.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for parameters or spectra that do not fit; those of
    /// [`Basis::factors`]; [`Error::NonFinite`] and [`Error::Setting`] for weights or residuals that overflow.
    pub fn new(theta: impl MatrixView<f64>, spectra: impl MatrixView<f64>, basis: impl Into<Basis>) -> Result<Self> {
        let (theta, spectra, basis) = (theta.as_mat_ref(), spectra.as_mat_ref(), basis.into());
        check_finite("theta", theta)?;
        if theta.nrows() != spectra.nrows() {
            let expected = format!("{} row(s), one for each spectrum", spectra.nrows());
            return Err(Error::shape("theta", expected, theta.shape()));
        }
        let residuals = basis.residuals(spectra)?;
        let truncation = residuals.truncation(&basis);
        check_finite("the weights of the spectra", residuals.weights.as_ref())?;
        for &size in truncation.iter().flatten().chain([&residuals.total]) {
            if !size.is_finite() {
                let expected = "must be finite: the spectra are too large for the scales of the basis";
                return Err(Error::setting("the sum of squares of the residuals", size, expected));
            }
        }
        Ok(Self::of(theta.to_owned(), basis, residuals.weights, residuals.total, truncation))
    }

    /// Of weights and residuals that are known to fit.
    pub(super) fn of(
        theta: Mat<f64>,
        basis: Basis,
        weights: Mat<f64>,
        residual: f64,
        truncation: Option<Vec<f64>>,
    ) -> Self {
        let inverse_gram = basis.gram_factor().inverse(Par::Seq);
        let hull = Hull::new(theta.as_ref());
        let theta = Arc::new(theta);
        Self { parts: Arc::new(Parts { theta, basis, weights, residual, truncation, inverse_gram, hull }) }
    }

    /// The parameters, M × d.
    pub fn theta(&self) -> MatRef<'_, f64> {
        (*self.parts.theta).as_ref()
    }

    /// The basis.
    pub fn basis(&self) -> &Basis {
        &self.parts.basis
    }

    /// ŵ, the weights by least squares, M × m.
    pub fn weights(&self) -> MatRef<'_, f64> {
        self.parts.weights.as_ref()
    }

    /// ‖F − Φŵ‖², the sum of squares of what the components leave of the standardised spectra.
    pub fn residual(&self) -> f64 {
        self.parts.residual
    }

    /// The variance of each pixel beside the components, in squared units of the normalised flux: that which the basis
    /// [states](Basis::truncation), as principal components do, from spectra that they are not made from. Else the sum of
    /// squares of the residuals, divided by M less the degrees of freedom that were [fitted](Basis::with_fitted), 0 for a
    /// basis that does not come from the spectra.
    ///
    /// It is part of the [distribution of a flux](super::FluxDistribution), of its variances and covariance, and so of
    /// densities and draws.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if M is not above those: as the residuals are 0 by the fit, they say nothing.
    pub fn truncation(&self) -> Result<&[f64]> {
        self.parts.truncation.as_deref().ok_or_else(|| {
            let fitted = self.basis().fitted();
            let expected = format!(
                "must be above {fitted}, the degrees of freedom that were fitted to them, for the variance that the \
                 components leave: keep fewer components, or give more spectra"
            );
            Error::setting("the number of spectra", self.theta().nrows(), &expected)
        })
    }

    /// The precision that the residuals alone give: λ = M(P − m)/‖F − Φŵ‖², where the terms of
    /// [`Evidence::Fluxes`](super::Evidence::Fluxes) that are of the residuals have their maximum.
    ///
    /// The maximum of the whole has no closed form, as λ is part of V, but is near if there are many more pixels than
    /// components. To train with it, set it by [`with_precision`](super::Emulator::with_precision) and freeze `precision`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the components leave nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::Spectra;
    /// use mercer::prelude::*;
    ///
    /// // One spectrum, two pixels beside the component, squares of 0.25 in all.
    /// let basis = Basis::new(mat![[1.0, 0.0, 0.0]])?;
    /// let spectra = Spectra::new(mat![[0.5]], mat![[2.0, 0.3, 0.4]], basis)?;
    /// assert!((spectra.residual_precision()? - 2.0 / 0.25).abs() < 1e-13);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn residual_precision(&self) -> Result<f64> {
        let freedom = self.residual_freedom();
        let precision = freedom / self.residual();
        if freedom > 0.0 && precision.is_finite() {
            return Ok(precision);
        }
        let expected = "must be positive for a precision: there are as many components as the spectra need";
        Err(Error::setting("the sum of squares of the residuals", self.residual(), expected))
    }

    /// M(P − m).
    pub(super) fn residual_freedom(&self) -> f64 {
        let basis = self.basis();
        self.theta().nrows() as f64 * (basis.features() - basis.len()) as f64
    }

    /// G⁻¹.
    pub(super) fn inverse_gram(&self) -> &Mat<f64> {
        &self.parts.inverse_gram
    }

    /// The same parameters, shared.
    pub(super) fn shared_theta(&self) -> Arc<Mat<f64>> {
        self.parts.theta.clone()
    }

    /// The convex hull of the parameters.
    pub(super) fn hull(&self) -> &Hull {
        &self.parts.hull
    }

    /// The truncation, if it is known.
    #[cfg(feature = "serde")]
    pub(super) fn known_truncation(&self) -> Option<&[f64]> {
        self.parts.truncation.as_deref()
    }
}
