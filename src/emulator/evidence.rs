//! What an emulator maximises.

use std::f64::consts::TAU;

use faer::Mat;

use super::structure::Covariance;
use super::{Emulator, Posterior, Spectra, Structure};
use crate::gp::{Memory, Model, Objective};
use crate::kernel::check_differentiable;
use crate::optim::{Minimizer, Minimum};
use crate::{Expr, Kernel, Result};

/// The log density that an [`Emulator`] maximises: of M spectra of P pixels, m components. See
/// [`Emulator::with_evidence`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    /// How probable the weights ŵ are, but for the constant −(mM/2) log 2π:
    ///
    /// −½ (log|V| + ŵᵀV⁻¹ŵ)
    Weights,
    /// How probable the standardised spectra F are, that is how well they are reconstructed, constants included:
    ///
    /// log N(ŵ; 0, V) + (M(P − m)/2) log(λ/2π) − (M/2) log|G| − (λ/2) ‖F − Φŵ‖²
    ///
    /// It is the density of N(0, Φ blockdiag(K₁ + ν₁I, …) Φᵀ + λ⁻¹ I) at F, without a matrix of pixels.
    #[default]
    Fluxes,
}

/// The objective of an [`Emulator`], and how it was computed.
///
/// # Examples
///
/// One spectrum of two pixels: the density of N(0, 3 EEᵀ + I/λ) at the spectrum.
///
/// ```
/// use mercer::data::Basis;
/// use mercer::emulator::{Emulator, Spectra};
/// use mercer::prelude::*;
///
/// let spectra = Spectra::new(mat![[0.5]], mat![[2.0, 0.1]], Basis::new(mat![[1.0, 0.0]])?)?;
/// let emulator = Emulator::new(&spectra)?.with_kernels(vec![3.0 * Rbf::new(1.0)])?.with_precision(4.0)?;
///
/// let log_normal = |x: f64, v: f64| -0.5 * (x * x / v + (2.0 * std::f64::consts::PI * v).ln());
/// let expected = log_normal(2.0, 3.25) + log_normal(0.1, 0.25);
/// assert!((emulator.objective(&spectra)?.value - expected).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// An estimate states its standard error:
///
/// ```
/// use mercer::data::Basis;
/// use mercer::emulator::{Emulator, Spectra, Structure};
/// use mercer::prelude::*;
///
/// // Components that are not orthogonal, with kernels that differ.
/// let theta = Mat::from_fn(30, 1, |j, _| 0.1 * j as f64);
/// let fluxes = Mat::from_fn(30, 2, |j, pixel| (0.1 * j as f64 + pixel as f64).sin());
/// let spectra = Spectra::new(&theta, &fluxes, Basis::new(mat![[1.0, 1.0], [1.0, 0.0]])?)?;
/// let emulator = Emulator::new(&spectra)?.with_kernels(vec![Rbf::new(1.0), Rbf::new(2.0)])?;
///
/// let exact = emulator.objective(&spectra)?;
/// let estimated = emulator.with_structure(Structure::Iterative { probes: 20, seed: 1 }).objective(&spectra)?;
/// assert!(exact.standard_error == 0.0 && estimated.standard_error > 0.0);
/// assert!((estimated.value - exact.value).abs() < 4.0 * estimated.standard_error);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogEvidence {
    /// The log density that [`Evidence`] states.
    pub value: f64,
    /// The standard error of `value`: 0 but for [`Structure::Iterative`].
    pub standard_error: f64,
    /// The structure of the covariance that was taken.
    pub structure: Structure,
    /// The largest jitter that was added to the diagonal of a covariance.
    pub jitter: f64,
}

impl Objective for LogEvidence {
    fn value(&self) -> f64 {
        self.value
    }
}

impl<K: Kernel<f64> + Clone> Model<Spectra> for Emulator<K> {
    type Objective = LogEvidence;
    type Posterior = Posterior;

    /// The log density that [`Evidence`] states.
    ///
    /// # Errors
    ///
    /// As [`Model::objective`], and [`Error::Setting`](crate::Error::Setting) for spectra of another number of components than
    /// there are kernels, and for a structure that was asked for and does not hold;
    /// [`Error::NotConverged`](crate::Error::NotConverged) from [`Structure::Iterative`].
    fn objective(&self, spectra: &Spectra) -> Result<LogEvidence> {
        let covariance = self.covariance(spectra)?;
        let solved = solved(&*covariance, spectra)?;
        Ok(self.likelihood_of(spectra, &*covariance, &solved))
    }

    fn evaluate(&self, spectra: &Spectra, _: &Memory) -> Result<(LogEvidence, Vec<f64>)> {
        self.kernel.0.iter().try_for_each(|kernel| check_differentiable(kernel))?;
        let covariance = self.covariance(spectra)?;
        let solved = solved(&*covariance, spectra)?;
        let cotangents = covariance.cotangents(solved.as_ref())?;

        let precision = self.precision.value();
        let inverse_gram = spectra.inverse_gram();
        let along: f64 =
            (0..inverse_gram.ncols()).map(|col| cotangents.noise.col(col).transpose() * inverse_gram.col(col)).sum();
        // N = G⁻¹/λ + diag(ν)
        let mut gradient = vec![-along / (precision * precision)];
        if self.evidence == Evidence::Fluxes {
            gradient[0] += 0.5 * (spectra.residual_freedom() / precision - spectra.residual());
        }
        gradient.extend((0..self.nugget.values().len()).map(|component| cotangents.noise[(component, component)]));
        gradient.extend(cotangents.kernels.into_iter().flatten());
        Ok((self.likelihood_of(spectra, &*covariance, &solved), gradient))
    }

    fn condition(&self, spectra: &Spectra) -> Result<Posterior> {
        let covariance = self.covariance(spectra)?;
        let solved = solved(&*covariance, spectra)?;
        Ok(Posterior::new(
            spectra.clone(),
            (self.precision.value(), self.nugget.values()),
            self.outside,
            covariance,
            solved,
        ))
    }

    /// Climbs from where the parameters are, then looks for the best of many maxima: see [`Emulator`].
    fn climb(&mut self, spectra: &Spectra, minimizer: &dyn Minimizer, _: f64) -> Result<Minimum> {
        self.search(spectra, minimizer)
    }
}

impl<K: Expr + Clone> Emulator<K> {
    /// The objective, from V and a = V⁻¹ŵ.
    fn likelihood_of(&self, spectra: &Spectra, covariance: &dyn Covariance, a: &Mat<f64>) -> LogEvidence {
        let weights = spectra.weights();
        let fit: f64 = (0..a.ncols()).map(|col| weights.col(col).transpose() * a.col(col)).sum();
        let of_weights = -0.5 * (covariance.log_det() + fit);
        let value = match self.evidence {
            Evidence::Weights => of_weights,
            Evidence::Fluxes => {
                let (count, components) = (weights.nrows() as f64, weights.ncols() as f64);
                let precision = self.precision.value();
                let of_gram = count * spectra.basis().gram_factor().log_det();
                let of_residual = spectra.residual_freedom() * (precision / TAU).ln() - precision * spectra.residual();
                of_weights + 0.5 * (of_residual - of_gram - count * components * TAU.ln())
            }
        };
        let standard_error = 0.5 * covariance.log_det_error();
        LogEvidence { value, standard_error, structure: covariance.structure(), jitter: covariance.jitter() }
    }
}

/// V⁻¹ŵ.
fn solved(covariance: &dyn Covariance, spectra: &Spectra) -> Result<Mat<f64>> {
    let mut solved = spectra.weights().to_owned();
    covariance.solve_in_place(solved.as_mut())?;
    Ok(solved)
}
