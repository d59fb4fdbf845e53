//! Emulators, their spectra and their posteriors in files.

use std::sync::Arc;

use faer::{Mat, Par};

use super::kernels::Kernels;
use super::structure::Problem;
use super::{Emulator, Evidence, Outside, Posterior, Spectra, Structure};
use crate::data::{Basis, check_finite};
use crate::params::{Constraint, Parameter, ParameterArray, Shape};
use crate::save::{FromValue, Load, Node, Numbers, Place, Reader, Save, Value, Writer, named};
use crate::{DynKernel, Error, Expr, Kernel, Result};

/// An emulator and the spectra that it has learned from, to be saved in one file: the one is conditioned on the other.
///
/// To predict alone, a [`Posterior`] is saved by itself.
///
/// # Examples
///
/// ```
/// use mercer::data::{Components, Pca, PcaSettings};
/// use mercer::emulator::{Emulator, Saved, Spectra};
/// use mercer::prelude::*;
/// use mercer::save::{Save, from_bytes};
///
/// let theta = Mat::from_fn(6, 1, |j, _| j as f64);
/// let fluxes = Mat::from_fn(6, 9, |j, pixel| 1.0 + (0.1 * (j * pixel) as f64).sin());
/// let settings = PcaSettings { components: Components::Count(2), ..PcaSettings::default() };
/// let spectra = Spectra::new(&theta, &fluxes, &Pca::fit(fluxes.as_ref(), &settings)?)?;
/// let emulator = Emulator::new(&spectra)?;
/// let before = emulator.condition(&spectra)?.fluxes(mat![[2.5]].as_ref())?;
///
/// let bytes = Saved { emulator, spectra }.to_bytes()?;
/// let Saved { emulator, spectra } = from_bytes(&bytes)?;
/// assert_eq!(emulator.condition(&spectra)?.fluxes(mat![[2.5]].as_ref())?, before);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Saved {
    /// The emulator.
    pub emulator: Emulator,
    /// The spectra.
    pub spectra: Spectra,
}

impl Save for Saved {
    const NAME: &'static str = "emulator_and_spectra";

    fn write(&self, to: &mut Writer) -> Result<()> {
        self.emulator.check(&self.spectra)?;
        to.put("emulator", &self.emulator)?;
        to.put("spectra", &self.spectra)
    }
}

impl Load for Saved {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let saved = Self { emulator: from.take("emulator")?, spectra: from.take("spectra")? };
        saved.emulator.check_components(&saved.spectra)?;
        Ok(saved)
    }
}

const EVIDENCES: [(&str, Evidence); 2] = [("weights", Evidence::Weights), ("fluxes", Evidence::Fluxes)];
const OUTSIDES: [(&str, Outside); 2] = [("flag", Outside::Flag), ("refuse", Outside::Refuse)];
const STRUCTURES: [(&str, Structure); 4] = [
    ("independent", Structure::Independent),
    ("dense", Structure::Dense),
    ("shared_correlation", Structure::SharedCorrelation),
    ("grid", Structure::Grid),
];

/// The name of one of them.
fn name_of<V: PartialEq>(value: &V, values: &[(&'static str, V)]) -> Option<&'static str> {
    values.iter().find(|(_, known)| known == value).map(|(name, _)| *name)
}

impl Value for Structure {
    fn node(&self) -> Result<Node> {
        if let Self::Iterative { probes, seed } = self {
            return Writer::map(|to| {
                to.put("probes", probes)?;
                to.put("seed", seed)
            });
        }
        Ok(Node::Text(name_of(self, &STRUCTURES).unwrap_or_default().to_owned()))
    }
}

impl FromValue for Structure {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        match String::from_place(place) {
            Ok(name) => named(&name, "the structure", &STRUCTURES),
            Err(_) => Reader::map(place, |from| {
                Ok(Self::Iterative { probes: from.take("probes")?, seed: from.take("seed")? })
            }),
        }
    }
}

impl Value for Evidence {
    fn node(&self) -> Result<Node> {
        Ok(Node::Text(name_of(self, &EVIDENCES).unwrap_or_default().to_owned()))
    }
}

impl FromValue for Evidence {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        named(&String::from_place(place)?, "the evidence", &EVIDENCES)
    }
}

impl Value for Outside {
    fn node(&self) -> Result<Node> {
        Ok(Node::Text(name_of(self, &OUTSIDES).unwrap_or_default().to_owned()))
    }
}

impl FromValue for Outside {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        named(&String::from_place(place)?, "what is done outside", &OUTSIDES)
    }
}

impl<K: Expr + Clone> Save for Emulator<K> {
    const NAME: &'static str = "emulator";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { precision, nugget, kernel, evidence, structure, outside, jitter, allow_indefinite, par: _ } = self;
        to.put("precision", &precision.value())?;
        to.put("nugget", nugget.values())?;
        to.put_each("kernels", kernel.0.iter().map(|kernel| kernel as &dyn Expr))?;
        to.put("evidence", evidence)?;
        to.put_optional("structure", structure.as_ref())?;
        to.put("outside", outside)?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl Load for Emulator {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let kernels: Vec<DynKernel> = from.take("kernels")?;
        let (precision, Numbers(nugget)) = (from.take("precision")?, from.take("nugget")?);
        if kernels.is_empty() || ![0, kernels.len()].contains(&nugget.len()) {
            let expected = format!("{} nugget(s), one for each kernel, or none", kernels.len());
            return Err(Error::shape("the emulator", expected, (nugget.len(), 1)));
        }
        let shape = Shape::Vector(nugget.len());
        let mut emulator = Self {
            precision: Parameter::new("precision", precision, Constraint::Positive)?,
            nugget: ParameterArray::new("nugget", nugget, shape, Constraint::Positive)?,
            kernel: Kernels(kernels),
            evidence: from.take("evidence")?,
            structure: from.take_optional("structure")?,
            outside: from.take("outside")?,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        };
        from.take_parameters(&mut emulator)?;
        Ok(emulator)
    }
}

impl Emulator {
    /// Refuses spectra of another number of components.
    fn check_components(&self, spectra: &Spectra) -> Result<()> {
        let (kernels, components) = (self.kernel.0.len(), spectra.basis().len());
        if kernels == components {
            return Ok(());
        }
        let expected = format!("must be {components}, one for each component of the spectra");
        Err(Error::setting("the number of kernels", kernels, &expected))
    }
}

impl Save for Spectra {
    const NAME: &'static str = "spectra";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("theta", &self.theta())?;
        to.put("basis", self.basis())?;
        to.put("weights", &self.weights())?;
        to.put("residual", &self.residual())?;
        to.put_optional("truncation", self.known_truncation())
    }
}

impl Load for Spectra {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (theta, basis, weights): (Mat<f64>, Basis, Mat<f64>) =
            (from.take("theta")?, from.take("basis")?, from.take("weights")?);
        check_finite("theta", theta.as_ref())?;
        check_finite("the weights", weights.as_ref())?;
        if weights.shape() != (theta.nrows(), basis.len()) {
            let expected = format!("{} x {}, as theta and the components have", theta.nrows(), basis.len());
            return Err(Error::shape("the weights", expected, weights.shape()));
        }
        let residual: f64 = from.take("residual")?;
        let truncation = from.take_optional("truncation")?.map(|Numbers(truncation)| truncation);
        if let Some(truncation) = truncation.as_ref().filter(|truncation| truncation.len() != basis.features()) {
            let expected = format!("{} value(s), one for each pixel", basis.features());
            return Err(Error::shape("the truncation", expected, (truncation.len(), 1)));
        }
        for &value in truncation.iter().flatten().chain([&residual]) {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::setting("a variance of the truncation", value, "must be finite and not negative"));
            }
        }
        Ok(Self::of(theta, basis, weights, residual, truncation))
    }
}

/// What the covariance of the weights is made of, which is factorised again when it is loaded: to the same bits.
impl Save for Posterior {
    const NAME: &'static str = "emulator_posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Problem { kernels, theta: _, noise, jitter, par: _ } = self.covariance.problem();
        to.put("spectra", &self.spectra)?;
        to.put("precision", &self.precision)?;
        to.put("nugget", &*self.nugget)?;
        to.put("outside", &self.outside)?;
        let kernels = kernels.iter().map(|kernel| {
            let kernel: &dyn Kernel<f64> = &**kernel;
            kernel as &dyn Expr
        });
        to.put_each("kernels", kernels)?;
        to.put("noise", noise)?;
        to.put("jitter", jitter)?;
        to.put("structure", &self.covariance.structure())?;
        to.put("solved", &*self.solved)
    }
}

impl Load for Posterior {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let spectra: Spectra = from.take("spectra")?;
        let (m, dim) = (spectra.basis().len(), spectra.theta().ncols());
        let kernels: Vec<DynKernel> = from.take("kernels")?;
        kernels.iter().try_for_each(|kernel| kernel.inputs(dim).map(drop))?;
        let (noise, solved): (Mat<f64>, Mat<f64>) = (from.take("noise")?, from.take("solved")?);
        let Numbers(nugget) = from.take("nugget")?;
        let precision: f64 = from.take("precision")?;
        let shapes = [
            ("the list of kernels", (kernels.len(), 1), (m, 1)),
            ("the noise of the weights", noise.shape(), (m, m)),
            ("the solved weights", solved.shape(), (spectra.theta().nrows(), m)),
            ("the nuggets", (nugget.len(), 1), (if nugget.is_empty() { 0 } else { m }, 1)),
        ];
        if let Some((what, found, (rows, cols))) = shapes.into_iter().find(|(_, found, expected)| found != expected) {
            return Err(Error::shape(what, format!("{rows} x {cols}"), found));
        }
        check_finite("the noise of the weights", noise.as_ref())?;
        if !(precision > 0.0 && precision.is_finite()) {
            return Err(Error::setting("the precision", precision, "must be positive and finite"));
        }
        let kernels = kernels.into_iter().map(|kernel| Arc::new(kernel) as Arc<dyn Kernel<f64>>).collect();
        let (jitter, theta) = (from.take("jitter")?, spectra.shared_theta());
        let covariance = Problem { kernels, theta, noise, jitter, par: Par::rayon(0) }.by(from.take("structure")?)?;
        Ok(Self::new(spectra, (precision, &nugget), from.take("outside")?, covariance, solved))
    }
}
