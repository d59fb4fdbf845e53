//! Variational models in files.

use faer::Par;

use super::Svgp;
use crate::gp::latents::PerLatent;
use crate::gp::mean_basis::MeanBasis;
use crate::gp::saved::{check_count, fit, put_kernels};
use crate::gp::variational::Variational;
use crate::inducing::InducingFeatures;
use crate::likelihood::Likelihood;
use crate::mean::{DynMean, MeanExpr};
use crate::save::{Load, Reader, Save, Writer};
use crate::{DynKernel, Expr, Result};

impl<K: Expr + Clone, F: InducingFeatures + Save> Save for Svgp<K, F> {
    const NAME: &'static str = "svgp";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, mean, likelihood, inducing, mean_basis, variational, jitter, allow_indefinite, par: _ } =
            self;
        put_kernels(to, kernel.all())?;
        to.put("means", mean)?;
        to.put("likelihood", likelihood)?;
        to.put("inducing", inducing)?;
        to.put_optional("mean_basis", mean_basis.as_ref())?;
        to.put("variational", variational)?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl<F: InducingFeatures + Load> Load for Svgp<DynKernel, F> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let kernel: PerLatent<DynKernel> = from.take("kernels")?;
        let mean: PerLatent<DynMean> = from.take("means")?;
        let likelihood: Box<dyn Likelihood> = from.take("likelihood")?;
        let inducing: F = from.take("inducing")?;
        let mean_basis: Option<MeanBasis> = from.take_optional("mean_basis")?;
        let variational: PerLatent<Variational> = from.take("variational")?;

        let (dim, latents) = (inducing.dim(), likelihood.latents());
        fit("the list of variational distributions", (variational.all().len(), 1), (latents, 1))?;
        check_count("kernels", &kernel, latents)?;
        check_count("mean functions", &mean, latents)?;
        kernel.all().iter().try_for_each(|kernel| inducing.check_kernel(kernel))?;
        mean.all().iter().try_for_each(|mean| mean.check_dim(dim))?;
        let as_features = |q: &Variational| fit("the variational mean", (q.len(), 1), (inducing.len(), 1));
        variational.all().iter().try_for_each(as_features)?;
        if let Some(basis) = &mean_basis {
            fit("the weights of the mean basis", basis.weights().shape(), (basis.len(), latents))?;
            fit("the inputs of the mean basis", basis.inputs().shape(), (basis.len(), dim))?;
        }
        let (jitter, allow_indefinite, par) = (from.take("jitter")?, from.take("allow_indefinite")?, Par::rayon(0));
        let mut model =
            Self { kernel, mean, likelihood, inducing, mean_basis, variational, jitter, allow_indefinite, par };
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}
