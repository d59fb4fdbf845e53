//! Batches in files.

use faer::Par;

use super::{BatchGp, BatchPosterior};
use crate::batch::Batched;
use crate::gp::posterior::Posterior;
use crate::gp::saved::fit;
use crate::params::Parameterized;
use crate::save::{FromValue, Load, Node, Numbers, Place, Precision, Reader, Save, Value, Writer};
use crate::{DynKernel, Expr, Result, Scalar};

/// Members, and which of their scalars all share.
fn put_batch<'v, K, V: Value + ?Sized + 'v>(
    to: &mut Writer,
    name: &str,
    batch: &'v Batched<K>,
    member: impl Fn(&'v K) -> &'v V,
) -> Result<()> {
    let node = Writer::map(|to| {
        to.put_each("members", batch.members().iter().map(member))?;
        to.put("shared", &batch.shared().to_vec())
    });
    to.put(name, &Made(node?))
}

/// What has been made already.
struct Made(Node);

impl Value for Made {
    fn node(&self) -> Result<Node> {
        Ok(self.0.clone())
    }
}

impl<K: FromValue + Parameterized + Clone> FromValue for Batched<K> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| Self::with_shared(from.take("members")?, from.take("shared")?))
    }
}

impl<K: Expr + Clone> Save for BatchGp<K> {
    const NAME: &'static str = "batch_gp";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, mean, likelihood, jitter, allow_indefinite, par: _ } = self;
        put_batch(to, "kernel", kernel, |kernel| kernel as &dyn Expr)?;
        put_batch(to, "mean", mean, |mean| mean)?;
        put_batch(to, "likelihood", likelihood, |likelihood| likelihood)?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl Load for BatchGp<DynKernel> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut model = Self {
            kernel: from.take("kernel")?,
            mean: from.take("mean")?,
            likelihood: from.take("likelihood")?,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        };
        model.check_outputs("the mean functions", model.mean.members().len())?;
        model.check_outputs("the noise variances", model.likelihood.members().len())?;
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}

impl<T: Scalar> Save for BatchPosterior<T> {
    const NAME: &'static str = "batch_posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("precision", &Precision::<T>::new())?;
        to.put("noise", &*self.noise)?;
        to.put_each("outputs", self.groups.iter().map(|(outputs, _)| outputs))?;
        to.put_each("posteriors", self.groups.iter().map(|(_, posterior)| posterior))
    }
}

impl<T: Scalar> Load for BatchPosterior<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let _: Precision<T> = from.take("precision")?;
        let Numbers(noise) = from.take("noise")?;
        let outputs: Vec<Vec<usize>> = from.take("outputs")?;
        let posteriors: Vec<Posterior<T>> = from.take("posteriors")?;
        fit("the list of posteriors", (posteriors.len(), 1), (outputs.len(), 1))?;
        for (outputs, posterior) in outputs.iter().zip(&posteriors) {
            fit("the list of outputs of a posterior", (outputs.len(), 1), (posterior.latents(), 1))?;
        }
        let mut all: Vec<usize> = outputs.concat();
        all.sort_unstable();
        if !all.iter().copied().eq(0..noise.len()) {
            return Err(from.error("has posteriors that are not of each output once"));
        }
        // Groups are side by side, each on one thread.
        let groups =
            outputs.into_iter().zip(posteriors.into_iter().map(|posterior| Posterior { par: Par::Seq, ..posterior }));
        Ok(Self { groups: groups.collect(), noise: noise.into(), par: Par::rayon(0) })
    }
}
