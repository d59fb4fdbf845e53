//! Emulators in the formats of serde.

use std::collections::BTreeMap;

use faer::{Mat, MatRef, Par};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kernels::Kernels;
use super::{Emulator, Evidence, Outside, Spectra, Structure};
use crate::data::checksum::{check_sum, checksum};
use crate::data::{Basis, Standardizer, check_finite};
use crate::linalg::Jitter;
use crate::params::{Constraint, Notes, Parameter, ParameterArray, Shape};
use crate::{DynKernel, Error, Result};

/// An emulator and the spectra that it has learned from, to be saved: one without the other predicts nothing.
///
/// It is saved as a map with all that both are: the parameters and weights of the spectra, the basis, the kernels as text,
/// and settings; with a checksum of all of it. The number of threads is not saved. Kernels of one's own need their names
/// to be read: [`register`](crate::algebra::register).
///
/// # Examples
///
/// Predictions come back to the last bit, from a format that keeps numbers; `serde_json` needs its feature
/// `float_roundtrip` for it.
///
/// ```
/// use mercer::data::{Components, Pca, PcaSettings};
/// use mercer::emulator::{Emulator, Saved, Spectra};
/// use mercer::prelude::*;
///
/// let theta = Mat::from_fn(6, 1, |j, _| j as f64);
/// let fluxes = Mat::from_fn(6, 9, |j, pixel| 1.0 + (0.1 * (j * pixel) as f64).sin());
/// let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
/// let spectra = Spectra::new(&theta, &fluxes, &Pca::fit(fluxes.as_ref(), &settings)?)?;
/// let emulator = Emulator::new(&spectra)?;
/// let before = emulator.condition(&spectra)?.fluxes(mat![[2.5]].as_ref())?;
///
/// let saved = serde_json::to_string(&Saved { emulator, spectra })?;
/// let Saved { emulator, spectra } = serde_json::from_str(&saved)?;
/// assert_eq!(emulator.condition(&spectra)?.fluxes(mat![[2.5]].as_ref())?, before);
///
/// let corrupt = saved.replacen("0.1", "0.2", 1);
/// assert!(serde_json::from_str::<Saved>(&corrupt).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Saved {
    /// The emulator.
    pub emulator: Emulator,
    /// The spectra.
    pub spectra: Spectra,
}

/// A matrix by columns.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rows: usize,
    values: Vec<f64>,
}

/// All that an emulator and its spectra are, but for the number of threads.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    theta: Table,
    components: Table,
    mean: Vec<f64>,
    scale: Vec<f64>,
    normalised: bool,
    fitted: usize,
    weights: Table,
    residual: f64,
    truncation: Option<Vec<f64>>,
    /// Whether the basis states the truncation.
    stated: bool,
    precision: f64,
    nugget: Vec<f64>,
    kernels: Vec<String>,
    /// Paths of parameters that are positive, and may be of any sign.
    real: Vec<String>,
    frozen: Vec<String>,
    priors: BTreeMap<String, String>,
    ties: Vec<Vec<String>>,
    evidence: Evidence,
    structure: Option<Structure>,
    outside: Outside,
    jitter: Jitter,
    allow_indefinite: bool,
    /// That of the document without one.
    checksum: Option<String>,
}

impl Table {
    fn of(matrix: MatRef<'_, f64>) -> Self {
        let values = matrix.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>());
        Self { rows: matrix.nrows(), values: values.collect() }
    }

    fn matrix(&self, what: &str) -> Result<Mat<f64>> {
        if self.rows == 0 || !self.values.len().is_multiple_of(self.rows) {
            return Err(Error::shape(what, "whole columns", (self.values.len(), 1)));
        }
        let matrix = MatRef::from_column_major_slice(&self.values, self.rows, self.values.len() / self.rows);
        check_finite(what, matrix)?;
        Ok(matrix.to_owned())
    }
}

impl Document {
    fn of(Saved { emulator, spectra }: &Saved) -> Result<Self> {
        emulator.check(spectra)?;
        let basis = spectra.basis();
        let Notes { real, frozen, priors, ties } = Notes::of(emulator);
        let mut document = Self {
            theta: Table::of(spectra.theta()),
            components: Table::of(basis.components()),
            mean: basis.standardizer().mean().to_vec(),
            scale: basis.standardizer().scale().to_vec(),
            normalised: basis.is_normalised(),
            fitted: basis.fitted(),
            weights: Table::of(spectra.weights()),
            residual: spectra.residual(),
            truncation: spectra.known_truncation().map(<[f64]>::to_vec),
            stated: basis.truncation().is_some(),
            precision: emulator.precision.value(),
            nugget: emulator.nugget.values().to_vec(),
            kernels: emulator.kernel.0.iter().map(DynKernel::to_string).collect(),
            real,
            frozen,
            priors,
            ties,
            evidence: emulator.evidence,
            structure: emulator.structure,
            outside: emulator.outside,
            jitter: emulator.jitter,
            allow_indefinite: emulator.allow_indefinite,
            checksum: None,
        };
        document.checksum = Some(checksum(&document)?);
        Ok(document)
    }

    fn read(mut self) -> Result<Saved> {
        let sum = self.checksum.take();
        check_sum("the saved emulator", &self, sum.as_deref())?;
        let spectra = self.spectra()?;
        let components = spectra.basis().len();
        if self.kernels.len() != components || ![0, components].contains(&self.nugget.len()) {
            let expected = format!("{components} kernel(s), and as many nuggets or none");
            return Err(Error::shape("the saved emulator", expected, (self.kernels.len(), self.nugget.len())));
        }
        let kernels: Result<Vec<DynKernel>> = self.kernels.iter().map(|kernel| kernel.parse()).collect();
        let shape = Shape::Vector(self.nugget.len());
        let mut emulator = Emulator {
            precision: Parameter::new("precision", self.precision, Constraint::Positive)?,
            nugget: ParameterArray::new("nugget", self.nugget, shape, Constraint::Positive)?,
            kernel: Kernels(kernels?),
            evidence: self.evidence,
            structure: self.structure,
            outside: self.outside,
            jitter: self.jitter,
            allow_indefinite: self.allow_indefinite,
            par: Par::rayon(0),
        };
        Notes { real: self.real, frozen: self.frozen, priors: self.priors, ties: self.ties }.give(&mut emulator)?;
        Ok(Saved { emulator, spectra })
    }

    fn spectra(&self) -> Result<Spectra> {
        let theta = self.theta.matrix("theta")?;
        let standardizer = Standardizer::new(self.mean.clone(), self.scale.clone())?;
        let basis = Basis::new(self.components.matrix("the components")?)?.with_standardizer(standardizer)?;
        let weights = self.weights.matrix("the weights")?;
        if (weights.nrows(), weights.ncols()) != (theta.nrows(), basis.len()) {
            let expected = format!("{} x {}, as theta and the components have", theta.nrows(), basis.len());
            return Err(Error::shape("the weights", expected, (weights.nrows(), weights.ncols())));
        }
        let truncation = self.truncation.as_deref().unwrap_or_default();
        if self.truncation.is_some() && truncation.len() != basis.features() {
            let expected = format!("{} value(s), one for each pixel", basis.features());
            return Err(Error::shape("the truncation", expected, (truncation.len(), 1)));
        }
        for &value in truncation.iter().chain([&self.residual]) {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::setting("a variance of the truncation", value, "must be finite and not negative"));
            }
        }
        let mut basis = basis.with_normalisation(self.normalised).with_fitted(self.fitted);
        if let Some(truncation) = self.truncation.as_ref().filter(|_| self.stated) {
            basis = basis.with_truncation(truncation.clone())?;
        }
        Ok(Spectra::of(theta, basis, weights, self.residual, self.truncation.clone()))
    }
}

impl Serialize for Saved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::of(self).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Saved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let corrupt = |error: Error| D::Error::custom(format!("the saved emulator is corrupt: {error}"));
        Document::deserialize(deserializer)?.read().map_err(corrupt)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::checksum::assert_flips_are_found;
    use crate::data::{Components, Pca, PcaSettings};
    use crate::params::Prior;
    use crate::prelude::*;

    #[test]
    fn no_flipped_bit_makes_another_emulator() {
        let theta = Mat::from_fn(5, 1, |row, _| 0.3 * row as f64);
        let fluxes = Mat::from_fn(5, 4, |row, pixel| 1.0 + (0.3 * (row * pixel) as f64).sin());
        let settings = PcaSettings { components: Components::Count(2), scale: true, normalise: true };
        let pca = Pca::fit(fluxes.as_ref(), &settings).unwrap();
        let spectra = Spectra::new(&theta, &fluxes, &pca).unwrap();
        let plain = Emulator::new(&spectra).unwrap();
        let kernels =
            vec![2e-8 * Rbf::new(1.0 / 3.0), 1e30 * Rbf::new(0.7)].into_iter().map(Compose::dynamic).collect();
        let mut noted = plain.clone().with_kernels(kernels).unwrap().with_nugget(&[0.1, 1e-300]).unwrap();
        noted = noted
            .with_evidence(Evidence::Weights)
            .with_outside(Outside::Refuse)
            .with_structure(Structure::Iterative { probes: 3, seed: 8 });
        noted.tie(&["kernel[0].scaled.rbf.lengthscale", "kernel[1].scaled.rbf.lengthscale"]).unwrap();
        noted.freeze("nugget[1]").unwrap();
        noted.set_prior("precision", Prior::gamma(2.0, 1.0 / 3.0).unwrap()).unwrap();
        for emulator in [plain, noted] {
            assert_flips_are_found(&Saved { emulator, spectra: spectra.clone() });
        }
    }

    #[test]
    fn a_file_without_a_checksum_says_what_to_do() {
        let (theta, fluxes) = (mat![[0.0], [1.0]], mat![[1.0, 2.0], [2.0, 1.0]]);
        let spectra = Spectra::new(&theta, &fluxes, Basis::new(mat![[1.0, 0.0]]).unwrap()).unwrap();
        let emulator = Emulator::new(&spectra).unwrap();
        let mut saved = serde_json::to_value(Saved { emulator, spectra }).unwrap();
        saved.as_object_mut().unwrap().remove("checksum");
        let error = serde_json::from_value::<Saved>(saved).unwrap_err().to_string();
        assert!(error.contains("the checksum of the saved emulator is missing") && error.contains("save it again"));
    }
}
