//! Exact models in files.

use faer::Par;

use super::ExactGp;
use crate::gp::Engine;
use crate::likelihood::GaussianNoise;
use crate::save::{Load, Reader, Save, Writer};
use crate::{DynKernel, Expr, Result};

impl<K: Expr + Clone, N: GaussianNoise + Clone + Save> Save for ExactGp<K, N> {
    const NAME: &'static str = "exact_gp";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, mean, likelihood, jitter, allow_indefinite, engine, par: _ } = self;
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("mean", mean)?;
        to.put("likelihood", likelihood)?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_optional("engine", (*engine != Engine::Auto).then_some(engine))?;
        to.put_parameters(self)
    }
}

impl<N: GaussianNoise + Clone + Load> Load for ExactGp<DynKernel, N> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut model = Self {
            kernel: from.take("kernel")?,
            mean: from.take("mean")?,
            likelihood: from.take("likelihood")?,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            engine: from.take_optional("engine")?.unwrap_or_default(),
            par: Par::rayon(0),
        };
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}
