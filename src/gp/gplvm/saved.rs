//! Models of latent inputs in files.

use std::any::Any;
use std::sync::{Arc, RwLock};

use faer::{Mat, Par};

use super::latents::{GaussianLatents, LatentPrior, Locations, Source};
use super::{
    BackConstraint, BayesianGplvm, ClosedForm, Gplvm, GplvmPosterior, KernelExpectations, LatentMarginals, Nodes,
};
use crate::gp::saved::fit;
use crate::params::{Constraint, ParameterArray};
use crate::save::registry::{self, Kind, Part, PartOf};
use crate::save::{FromValue, Load, Node, Numbers, Place, Reader, Save, Value, Writer};
use crate::{DynKernel, Error, Expr, Result};

type Expectations = Arc<dyn KernelExpectations>;

/// Has files know a way to expectations of one's own, by its [`NAME`](Save::NAME): in programs that save models with it, and
/// in those that load them.
///
/// # Errors
///
/// [`Error::Setting`] for the name of another way.
///
/// # Examples
///
/// ```
/// use mercer::gp::gplvm::{Nodes, register};
///
/// // Those of the crate are known.
/// register::<Nodes>()?;
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn register<E: KernelExpectations + Load>() -> Result<()> {
    registry::register::<Expectations, E>()
}

impl Kind for Expectations {
    const WHAT: &'static str = "way to expectations";
    const REGISTER: &'static str = "mercer::gp::gplvm::register";

    fn built_in() -> Vec<Part<Self>> {
        vec![Part::of::<ClosedForm>(), Part::of::<Nodes>()]
    }

    fn registered() -> &'static RwLock<Vec<Part<Self>>> {
        static REGISTERED: RwLock<Vec<Part<Expectations>>> = RwLock::new(Vec::new());
        &REGISTERED
    }
}

impl<E: KernelExpectations> PartOf<Expectations> for E {
    fn boxed(self) -> Expectations {
        Arc::new(self)
    }
}

impl Value for dyn KernelExpectations {
    fn node(&self) -> Result<Node> {
        let (part, debug): (&dyn Any, _) = (self, format!("{self:?}"));
        let name = debug.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        registry::node::<Expectations>(part, name)
    }
}

impl FromValue for Expectations {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        registry::read(place)
    }
}

impl Save for ClosedForm {
    const NAME: &'static str = "closed_form";

    fn write(&self, _: &mut Writer) -> Result<()> {
        Ok(())
    }
}

impl Load for ClosedForm {
    fn read(_: &mut Reader<'_>) -> Result<Self> {
        Ok(Self)
    }
}

impl Save for Nodes {
    const NAME: &'static str = "nodes";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("nodes", &self.nodes)?;
        to.put("weights", self.weights.as_slice())
    }
}

impl Load for Nodes {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (nodes, Numbers(weights)): (Mat<f64>, _) = (from.take("nodes")?, from.take("weights")?);
        fit("the weights of the nodes", (weights.len(), 1), (nodes.nrows(), 1))?;
        Ok(Self { nodes, weights })
    }
}

impl Save for BackConstraint {
    const NAME: &'static str = "back_constraint";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("kernel", &self.kernel)?;
        to.put("weights", &self.weights.as_matrix())?;
        to.put("jitter", &self.jitter)
    }
}

impl Load for BackConstraint {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (kernel, weights): (DynKernel, Mat<f64>) = (from.take("kernel")?, from.take("weights")?);
        let weights = ParameterArray::of_matrix("weights", weights.as_ref(), Constraint::Real)?;
        Ok(Self { kernel, weights, jitter: from.take("jitter")? })
    }
}

/// Latent inputs under the name of what they are: free, or a map from the outputs.
fn put_locations(to: &mut Writer, name: &str, locations: &Locations) -> Result<()> {
    match &locations.source {
        Source::Free(array) => to.put(name, &array.as_matrix()),
        Source::Mapped(map) => to.put("map", map),
    }
}

fn take_locations(from: &mut Reader<'_>, name: &'static str) -> Result<Locations> {
    let locations = match from.take_optional::<BackConstraint>("map")? {
        Some(map) => {
            let (rows, cols) = map.shape();
            // Of which only the shape counts, and that is one of numbers that are there.
            Locations::free(name, Mat::zeros(rows, cols).as_ref())?.mapped(map)?
        }
        None => {
            let locations: Mat<f64> = from.take(name)?;
            Locations::free(name, locations.as_ref())?
        }
    };
    let (rows, cols) = locations.shape();
    if rows == 0 || cols == 0 { Err(Error::Empty { what: "the latent inputs".to_owned() }) } else { Ok(locations) }
}

impl Value for LatentPrior {
    fn node(&self) -> Result<Node> {
        Writer::map(|to| {
            to.put("mean", &self.mean)?;
            to.put("variance", &self.variance)
        })
    }
}

impl FromValue for LatentPrior {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let (mean, variance): (Mat<f64>, Mat<f64>) = (from.take("mean")?, from.take("variance")?);
            Self::new(mean.as_ref(), variance.as_ref(), mean.shape())
        })
    }
}

impl Value for LatentMarginals {
    fn node(&self) -> Result<Node> {
        Writer::map(|to| {
            to.put("mean", &self.mean)?;
            to.put("variance", &self.variance)
        })
    }
}

impl FromValue for LatentMarginals {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let (mean, variance): (Mat<f64>, Mat<f64>) = (from.take("mean")?, from.take("variance")?);
            fit("the variances of the latent inputs", variance.shape(), mean.shape())?;
            Ok(Self { mean, variance })
        })
    }
}

impl<K: Expr + Clone> Save for Gplvm<K> {
    const NAME: &'static str = "gplvm";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, likelihood, latents, inducing, prior, expectations, jitter, allow_indefinite, par: _ } =
            self;
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("likelihood", likelihood)?;
        put_locations(to, "position", latents)?;
        to.put_optional("inducing", inducing.as_ref())?;
        to.put("prior", prior)?;
        to.put_optional("expectations", expectations.as_deref())?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl Load for Gplvm<DynKernel> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let latents = take_locations(from, "position")?;
        let (n, dim) = latents.shape();
        let mut model = Self {
            kernel: from.take("kernel")?,
            likelihood: from.take("likelihood")?,
            latents,
            inducing: from.take_optional("inducing")?,
            prior: from.take("prior")?,
            expectations: from.take_optional("expectations")?,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        };
        model.kernel.inputs(dim)?;
        fit("the latent prior", model.prior.mean.shape(), (n, dim))?;
        if let Some(inducing) = &model.inducing {
            fit("the inducing inputs", (1, inducing.inputs().ncols()), (1, dim))?;
        }
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}

impl<K: Expr + Clone> Save for BayesianGplvm<K> {
    const NAME: &'static str = "bayesian_gplvm";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("kernel", &self.kernel as &dyn Expr)?;
        to.put("likelihood", &self.likelihood)?;
        put_locations(to, "mean", &self.latents.mean)?;
        to.put("variance", &self.latents.variance())?;
        to.put("inducing", &self.inducing)?;
        to.put("prior", &self.prior)?;
        to.put("expectations", &*self.expectations)?;
        to.put("inducing_noise", &self.inducing_noise)?;
        to.put("jitter", &self.jitter)?;
        to.put("allow_indefinite", &self.allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl Load for BayesianGplvm<DynKernel> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mean = take_locations(from, "mean")?;
        let (n, dim) = mean.shape();
        let variance: Mat<f64> = from.take("variance")?;
        fit("the latent variances", variance.shape(), (n, dim))?;
        let variance = ParameterArray::of_matrix("variance", variance.as_ref(), Constraint::Positive)?;
        let mut model = Self {
            kernel: from.take("kernel")?,
            likelihood: from.take("likelihood")?,
            latents: GaussianLatents { mean, variance },
            inducing: from.take("inducing")?,
            prior: from.take("prior")?,
            expectations: from.take("expectations")?,
            inducing_noise: 0.0,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        }
        .with_inducing_noise(from.take("inducing_noise")?)?;
        model.kernel.inputs(dim)?;
        fit("the latent prior", model.prior.mean.shape(), (n, dim))?;
        fit("the inducing inputs", (1, model.inducing.inputs().ncols()), (1, dim))?;
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}

impl Save for GplvmPosterior {
    const NAME: &'static str = "gplvm_posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("processes", &self.processes)?;
        to.put_optional("expectations", self.expectations.as_deref())?;
        to.put("noise", &self.noise)?;
        to.put("latents", &*self.latents)?;
        to.put("explained", &*self.explained)
    }
}

impl Load for GplvmPosterior {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let posterior = Self {
            processes: from.take("processes")?,
            expectations: from.take_optional("expectations")?,
            noise: from.take("noise")?,
            latents: Arc::new(from.take("latents")?),
            explained: Arc::new(from.take("explained")?),
        };
        let process = posterior.process()?;
        let (m, dim) = process.prior.parameter().shape();
        fit("what is explained", posterior.explained.shape(), (m, m))?;
        fit("the latent inputs", (1, posterior.dim()), (1, dim))?;
        if !(posterior.noise > 0.0 && posterior.noise.is_finite()) {
            return Err(Error::setting("the noise", posterior.noise, "must be positive and finite"));
        }
        Ok(posterior)
    }
}
