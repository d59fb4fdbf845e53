//! Collapsed models in files.

use faer::Par;

use super::Sgpr;
use crate::gp::collapsed::Approximation;
use crate::inducing::InducingFeatures;
use crate::likelihood::GaussianNoise;
use crate::save::{Load, Reader, Save, Writer, named};
use crate::{DynKernel, Expr, Result};

const APPROXIMATIONS: [(&str, Approximation); 3] =
    [("vfe", Approximation::Vfe), ("fitc", Approximation::Fitc), ("dtc", Approximation::Dtc)];

impl<K: Expr + Clone, F: InducingFeatures + Save, N: GaussianNoise + Clone + Save> Save for Sgpr<K, F, N> {
    const NAME: &'static str = "sgpr";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, mean, likelihood, inducing, approximation, jitter, allow_indefinite, par: _ } = self;
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("mean", mean)?;
        to.put("likelihood", likelihood)?;
        to.put("inducing", inducing)?;
        let name = APPROXIMATIONS.iter().find(|(_, known)| known == approximation).map_or("vfe", |(name, _)| name);
        to.put("approximation", name)?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl<F: InducingFeatures + Load, N: GaussianNoise + Clone + Load> Load for Sgpr<DynKernel, F, N> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (kernel, inducing): (DynKernel, F) = (from.take("kernel")?, from.take("inducing")?);
        inducing.check_kernel(&kernel)?;
        let approximation = from.take::<String>("approximation")?;
        let mut model = Self {
            kernel,
            mean: from.take("mean")?,
            likelihood: from.take("likelihood")?,
            inducing,
            approximation: named(&approximation, "the approximation", &APPROXIMATIONS)?,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        };
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}
