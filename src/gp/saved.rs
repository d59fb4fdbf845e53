//! Posteriors and priors in files, and what models have in common there.

use std::sync::Arc;

use faer::Mat;

use super::engine::Solution;
use super::latents::PerLatent;
use super::posterior::{Form, Given, Inducing, Posterior};
use super::prior::{Observed, Prior};
use super::process::{Latent, MeanBasisWeights, Process, Roots, Values, data_of, on_data};
use crate::inducing::{Basis, StoredPrior};
use crate::kernel::Kernel;
use crate::likelihood::Likelihood;
use crate::linalg::Root;
use crate::mean::{DynMean, MeanExpr};
use crate::save::{FromValue, Load, Lower, Node, Numbers, Place, Precision, Reader, Save, Value, Writer};
use crate::{DynKernel, Error, Expr, Result, Scalar};

/// Refuses a matrix or a list of another shape.
pub(super) fn fit(what: &str, found: (usize, usize), expected: (usize, usize)) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape(what, format!("{} x {}", expected.0, expected.1), found))
}

/// Puts kernels of any type as what they are as expressions.
pub(super) fn put_kernels<K: Expr>(to: &mut Writer, kernels: &[K]) -> Result<()> {
    to.put_each("kernels", kernels.iter().map(|kernel| kernel as &dyn Expr))
}

/// One part for all latent functions, or one for each.
impl<P: Value> Value for PerLatent<P> {
    fn node(&self) -> Result<Node> {
        Ok(Node::List(self.all().iter().map(P::node).collect::<Result<_>>()?))
    }
}

impl<P: FromValue> FromValue for PerLatent<P> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Self::try_new("parts", Vec::from_place(place)?)
    }
}

/// Refuses other numbers of parts than 1 and that of what each is for.
pub(super) fn check_count<P>(what: &str, parts: &PerLatent<P>, count: usize) -> Result<()> {
    let found = parts.all().len();
    if found == 1 || found == count {
        return Ok(());
    }
    Err(Error::setting(&format!("the number of {what}"), found, &format!("must be 1 or {count}")))
}

impl<T: Scalar> Save for Posterior<T> {
    const NAME: &'static str = "posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("precision", &Precision::<T>::new())?;
        match &self.form {
            Form::Inducing(Inducing { basis, processes }) => {
                if data_of(&**basis).is_none() {
                    to.put("features", &**basis)?;
                }
                to.put_each("processes", &**processes)?;
            }
            Form::Engine(Given { mean, solution, jitter }) => {
                to.put("mean", mean)?;
                to.put("jitter", jitter)?;
                to.put("solution", &**solution)?;
            }
        }
        to.put_optional("likelihood", self.likelihood.as_deref())
    }
}

impl<T: Scalar> Load for Posterior<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let _: Precision<T> = from.take("precision")?;
        let likelihood: Option<Box<dyn Likelihood>> = from.take_optional("likelihood")?;
        if let Some(solution) = from.take_optional::<Arc<dyn Solution<T>>>("solution")? {
            let mean: DynMean = from.take("mean")?;
            mean.check_dim(solution.dim())?;
            let form = Form::Engine(Given { mean, solution, jitter: from.take("jitter")? });
            let posterior = Self { form, likelihood: likelihood.map(Arc::from), par: faer::Par::rayon(0) };
            posterior.fitting()?;
            return Ok(posterior);
        }
        let features: Option<Arc<dyn Basis<T>>> = from.take_optional("features")?;
        let processes: Vec<Process<T>> = from.take("processes")?;
        let Some(first) = processes.first() else { return Err(from.error("has no processes")) };
        let basis = features.unwrap_or_else(|| on_data(first.prior.parameter().clone()));
        processes.iter().try_for_each(|process| check(process, &*basis))?;
        let posterior = Self::of(basis, processes, likelihood.map(Arc::from), faer::Par::rayon(0));
        if posterior.likelihood.is_some() {
            posterior.fitting()?;
        }
        Ok(posterior)
    }
}

/// Refuses a process that does not go with the inducing variables.
fn check<T: Scalar>(process: &Process<T>, basis: &dyn Basis<T>) -> Result<()> {
    let (m, dim, latents) = (basis.len(), basis.dim(), process.latents.len());
    fit("the factor", (process.prior.len(), 1), (m, 1))?;
    fit("the parameter of the inducing features", process.prior.parameter().shape(), basis.parameter_shape()?)?;
    fit("the weights", process.weights.shape(), (m, latents.max(1)))?;
    basis.check_kernel(&*process.kernel)?;
    process.kernel.inputs(dim)?;
    for latent in &process.latents {
        latent.mean.check_dim(dim)?;
        for root in &*latent.roots {
            match root {
                Root::Lower(root) => fit("a root", (root.nrows(), 1), (m, 1))?,
                Root::Diagonal(root) => fit("a root", root.shape(), (m, 1))?,
                Root::Columns(root) => fit("a root", (root.nrows(), 1), (m, 1))?,
            }
        }
    }
    if let Some(MeanBasisWeights { points, weights }) = &process.further {
        fit("the points of the mean basis", (1, points.ncols()), (1, dim))?;
        fit("the weights of the mean basis", weights.shape(), (points.nrows(), latents))?;
    }
    if let Some(Values { points, noise, .. }) = &process.values {
        fit("the points of the inducing variables", points.shape(), (m, dim))?;
        fit("the noise of the inducing variables", (noise.len(), 1), (m, 1))?;
    }
    Ok(())
}

impl<T: Scalar> Value for Process<T> {
    fn node(&self) -> Result<Node> {
        let Self { kernel, prior, latents, weights, further, values, fitc } = self;
        // Functions that share their roots go on to share them.
        let mut roots: Vec<&Roots<T>> = Vec::new();
        let mut of_latents = Vec::new();
        for latent in latents {
            let known = roots.iter().position(|known| Arc::ptr_eq(known, &latent.roots));
            of_latents.push(known.unwrap_or(roots.len()));
            if known.is_none() {
                roots.push(&latent.roots);
            }
        }
        Writer::map(|to| {
            let kernel: &dyn Kernel<T> = &**kernel;
            to.put("kernel", kernel as &dyn Expr)?;
            to.put_each("means", latents.iter().map(|latent| &latent.mean))?;
            to.put("prior", &**prior)?;
            to.put("weights", weights)?;
            to.put_each("roots", roots.iter().map(|roots| &***roots))?;
            to.put("roots_of", &of_latents)?;
            if let Some(MeanBasisWeights { points, weights }) = further {
                to.put("mean_basis", points)?;
                to.put("mean_basis_weights", weights)?;
            }
            if *fitc {
                to.put("fitc", fitc)?;
            }
            if let Some(Values { points, noise, .. }) = values {
                to.put("noise", noise.as_slice())?;
                if points != prior.parameter() {
                    to.put("points", points)?;
                }
            }
            Ok(())
        })
    }
}

impl<T: Scalar> FromValue for Process<T> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let kernel: DynKernel = from.take("kernel")?;
            let means: Vec<DynMean> = from.take("means")?;
            let prior: Arc<StoredPrior<T>> = Arc::new(from.take("prior")?);
            let roots: Vec<Roots<T>> = from.take("roots")?;
            let roots_of: Vec<usize> = from.take("roots_of")?;
            fit("the list of roots", (roots_of.len(), 1), (means.len(), 1))?;
            let latent = |(mean, roots_of): (DynMean, usize)| {
                let roots = roots.get(roots_of).cloned();
                let roots = roots.ok_or_else(|| {
                    Error::setting("the place in the list of roots", roots_of, "must be below its length")
                })?;
                Ok(Latent { mean, roots })
            };
            let latents = means.into_iter().zip(roots_of).map(latent).collect::<Result<_>>()?;
            let further = match (from.take_optional("mean_basis")?, from.take_optional("mean_basis_weights")?) {
                (Some(points), Some(weights)) => Some(MeanBasisWeights { points, weights }),
                (None, None) => None,
                _ => return Err(from.error("has one half of a mean basis")),
            };
            let (noise, points) = (from.take_optional("noise")?, from.take_optional("points")?);
            let values = noise.map(|Numbers(noise)| {
                let points = points.unwrap_or_else(|| prior.parameter().clone());
                Values::new(points, noise)
            });
            let weights = from.take("weights")?;
            let fitc = from.take_optional("fitc")?.unwrap_or(false);
            Ok(Self { kernel: Arc::new(kernel), prior, latents, weights, further, values, fitc })
        })
    }
}

impl<T: Scalar> Value for [Root<Mat<T>>] {
    fn node(&self) -> Result<Node> {
        let each = self.iter().map(|root| {
            Writer::map(|to| match root {
                Root::Lower(root) => to.put("lower", &Lower(root)),
                Root::Diagonal(root) => to.put("diagonal", root),
                Root::Columns(root) => to.put("columns", root),
            })
        });
        Ok(Node::List(each.collect::<Result<_>>()?))
    }
}

impl<T: Scalar> FromValue for Roots<T> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        struct One<T: Scalar>(Root<Mat<T>>);
        impl<T: Scalar> FromValue for One<T> {
            fn from_place(place: &Place<'_>) -> Result<Self> {
                Reader::map(place, |from| {
                    if let Some(Lower(root)) = from.take_optional("lower")? {
                        return Ok(Self(Root::Lower(root)));
                    }
                    if let Some(root) = from.take_optional("diagonal")? {
                        return Ok(Self(Root::Diagonal(root)));
                    }
                    Ok(Self(Root::Columns(from.take("columns")?)))
                })
            }
        }
        let roots: Vec<One<T>> = Vec::from_place(place)?;
        Ok(roots.into_iter().map(|One(root)| root).collect())
    }
}

impl<T: Scalar> Save for Prior<T> {
    const NAME: &'static str = "prior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("precision", &Precision::<T>::new())?;
        let kernels = self.kernels.iter().map(|kernel| {
            let kernel: &dyn Kernel<T> = &**kernel;
            kernel as &dyn Expr
        });
        to.put_each("kernels", kernels)?;
        to.put("means", &*self.means)?;
        to.put("mixing", &*self.mixing)?;
        match &self.seen {
            Observed::Through(likelihood) => to.put("likelihood", &**likelihood)?,
            Observed::WithNoise(noise) => to.put("noise", &**noise)?,
        }
        to.put("allow_indefinite", &self.allow_indefinite)
    }
}

impl<T: Scalar> Load for Prior<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let _: Precision<T> = from.take("precision")?;
        let kernels: PerLatent<DynKernel> = from.take("kernels")?;
        let means: PerLatent<DynMean> = from.take("means")?;
        let mixing: Mat<T> = from.take("mixing")?;
        let likelihood: Option<Box<dyn Likelihood>> = from.take_optional("likelihood")?;
        let (functions, processes) = mixing.shape();
        let seen = match likelihood {
            Some(likelihood) => {
                fit("the list of latent functions", (likelihood.latents(), 1), (functions, 1))?;
                Observed::Through(likelihood.into())
            }
            None => {
                let noise: Mat<T> = from.take("noise")?;
                fit("the noise", noise.shape(), (functions, functions))?;
                Observed::WithNoise(noise.into())
            }
        };
        check_count("kernels", &kernels, processes)?;
        check_count("mean functions", &means, functions)?;
        let prior = Self::mixed(kernels.all(), means, mixing, seen, faer::Par::rayon(0));
        Ok(prior.allowing_indefinite(from.take("allow_indefinite")?))
    }
}
