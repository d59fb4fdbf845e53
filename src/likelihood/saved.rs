//! Likelihoods in files.

use std::any::Any;
use std::sync::RwLock;

use faer::Mat;

use super::bernoulli::Link;
use super::per_observation::{PerObservation, Values};
use super::*;
use crate::params::{Constraint, Parameter, ParameterArray, Shape};
use crate::save::registry::{self, Kind, Part, PartOf};
use crate::save::{FromValue, Load, Node, Numbers, Place, Reader, Save, Value, Writer, named};

/// Has files know a likelihood of one's own, by its [`NAME`](Save::NAME): in programs that save models with it, and in those
/// that load them.
///
/// [`Save`] has an example.
///
/// # Errors
///
/// [`Error::Setting`] for the name of another likelihood.
pub fn register<L: Likelihood + Load>() -> Result<()> {
    registry::register::<Box<dyn Likelihood>, L>()
}

impl Kind for Box<dyn Likelihood> {
    const WHAT: &'static str = "likelihood";
    const REGISTER: &'static str = "mercer::likelihood::register";

    fn built_in() -> Vec<Part<Self>> {
        vec![
            Part::of::<Bernoulli>(),
            Part::of::<Beta>(),
            Part::of::<FixedNoise>(),
            Part::of::<Gamma>(),
            Part::of::<Gaussian>(),
            Part::of::<Heteroscedastic>(),
            Part::of::<Laplace>(),
            Part::of::<LinearMixing>(),
            Part::of::<NegativeBinomial>(),
            Part::of::<Ordinal>(),
            Part::of::<Poisson>(),
            Part::of::<RobustMax>(),
            Part::of::<Softmax>(),
            Part::of::<StudentT>(),
        ]
    }

    fn registered() -> &'static RwLock<Vec<Part<Self>>> {
        static REGISTERED: RwLock<Vec<Part<Box<dyn Likelihood>>>> = RwLock::new(Vec::new());
        &REGISTERED
    }
}

impl<L: Likelihood> PartOf<Box<dyn Likelihood>> for L {
    fn boxed(self) -> Box<dyn Likelihood> {
        Box::new(self)
    }
}

impl Value for dyn Likelihood {
    fn node(&self) -> Result<Node> {
        let part: &dyn Any = self;
        match part.downcast_ref::<Box<dyn Likelihood>>() {
            Some(inner) => inner.node(),
            None => registry::node::<Box<dyn Likelihood>>(part, self.name()),
        }
    }
}

impl Value for Box<dyn Likelihood> {
    fn node(&self) -> Result<Node> {
        (**self).node()
    }
}

impl FromValue for Box<dyn Likelihood> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        registry::read(place)
    }
}

/// Rules of more nodes take longer than anybody waits.
const HIGHEST_ORDER: usize = 10_000;

/// Its order.
impl Value for GaussHermite {
    fn node(&self) -> Result<Node> {
        self.nodes().len().node()
    }
}

impl FromValue for GaussHermite {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        let order = usize::from_place(place)?;
        if order > HIGHEST_ORDER {
            let expected = format!("must be at most {HIGHEST_ORDER}");
            return Err(Error::setting("the order of the quadrature", order, &expected));
        }
        Self::new(order)
    }
}

type Constructor = fn(&'static str, &[f64]) -> Result<PerObservation>;

impl PerObservation {
    fn write(&self, name: &str, to: &mut Writer) -> Result<()> {
        let (of, values) = match &self.values {
            Values::Same(value) => ("all", std::slice::from_ref(value)),
            Values::Data(values) => ("data", values.as_slice()),
            Values::New(values) => ("new", values.as_slice()),
        };
        to.put(name, values)?;
        to.put("of", of)
    }

    fn read(what: &'static str, name: &str, from: &mut Reader<'_>) -> Result<Self> {
        let (Numbers(values), of) = (from.take(name)?, from.take::<String>("of")?);
        let kinds: [(&str, Constructor); 3] = [("all", Self::one), ("data", Self::of_data), ("new", Self::of_new)];
        named(&of, "what each number is of", &kinds)?(what, &values)
    }

    fn one(what: &'static str, values: &[f64]) -> Result<Self> {
        match *values {
            [value] => Self::same(what, value),
            _ => Err(Error::shape(what, "one value", (values.len(), 1))),
        }
    }
}

const LINKS: [(&str, Link); 2] = [("logit", Link::Logit), ("probit", Link::Probit)];

impl Save for Bernoulli {
    const NAME: &'static str = "bernoulli";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let link = if self.link == Link::Logit { "logit" } else { "probit" };
        to.put("link", link)?;
        to.put_optional("quadrature", self.quadrature.as_ref())
    }
}

impl Load for Bernoulli {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let link = named(&from.take::<String>("link")?, "the link", &LINKS)?;
        Ok(Self { link, quadrature: from.take_optional("quadrature")? })
    }
}

impl Save for FixedNoise {
    const NAME: &'static str = "fixed_noise";

    fn write(&self, to: &mut Writer) -> Result<()> {
        self.variances.write("variances", to)
    }
}

impl Load for FixedNoise {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { variances: PerObservation::read("noise variance", "variances", from)? })
    }
}

impl Save for Heteroscedastic {
    const NAME: &'static str = "heteroscedastic";

    fn write(&self, _: &mut Writer) -> Result<()> {
        Ok(())
    }
}

impl Load for Heteroscedastic {
    fn read(_: &mut Reader<'_>) -> Result<Self> {
        Ok(Self)
    }
}

impl Save for LinearMixing {
    const NAME: &'static str = "linear_mixing";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("weights", &self.weights())?;
        to.put("offset", self.offset())?;
        to.put("outputs", &self.outputs)
    }
}

impl Load for LinearMixing {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (weights, Numbers(offset)): (Mat<f64>, _) = (from.take("weights")?, from.take("offset")?);
        Self::new(weights.as_ref(), from.take("outputs")?)?.with_offset(&offset)
    }
}

/// The gaps, as sums of them do not give back the bits.
impl Save for Ordinal {
    const NAME: &'static str = "ordinal";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("first_cut", &self.first_cut.value())?;
        to.put("gaps", self.gaps.values())?;
        to.put_optional("quadrature", self.quadrature.as_ref())
    }
}

impl Load for Ordinal {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (first, Numbers(gaps)) = (from.take("first_cut")?, from.take("gaps")?);
        let shape = Shape::Vector(gaps.len());
        Ok(Self {
            first_cut: Parameter::new("first_cut", first, Constraint::Real)?,
            gaps: ParameterArray::new("gaps", gaps, shape, Constraint::Positive)?,
            quadrature: from.take_optional("quadrature")?,
        })
    }
}

impl Save for Poisson {
    const NAME: &'static str = "poisson";

    fn write(&self, to: &mut Writer) -> Result<()> {
        if let Some(exposure) = &self.exposure {
            exposure.write("exposure", to)?;
        }
        to.put_optional("quadrature", self.quadrature.as_ref())
    }
}

impl Load for Poisson {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let exposure = from.has("exposure").then(|| PerObservation::read("exposure", "exposure", from)).transpose()?;
        Ok(Self { exposure, quadrature: from.take_optional("quadrature")? })
    }
}

impl Save for RobustMax {
    const NAME: &'static str = "robust_max";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("classes", &self.classes)?;
        to.put("error", &self.error())?;
        to.put("quadrature", &self.quadrature)
    }
}

impl Load for RobustMax {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let likelihood = Self::try_new(from.take("classes")?, from.take("error")?)?;
        Ok(Self { quadrature: from.take("quadrature")?, ..likelihood })
    }
}

impl Save for Softmax {
    const NAME: &'static str = "softmax";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("classes", &self.classes)?;
        to.put("quadrature", &self.quadrature)
    }
}

impl Load for Softmax {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { quadrature: from.take("quadrature")?, ..Self::try_new(from.take("classes")?)? })
    }
}
