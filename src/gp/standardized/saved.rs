//! Standardised models in files.

use std::sync::Arc;

use super::{Standardization, Standardized, StandardizedPosterior};
use crate::Result;
use crate::save::{Load, Reader, Save, Writer};

impl Save for Standardization {
    const NAME: &'static str = "standardization";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("inputs", self.of_inputs())?;
        to.put("outputs", self.of_outputs())
    }
}

impl Load for Standardization {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self::new(from.take("inputs")?, from.take("outputs")?))
    }
}

impl<M: Save> Save for Standardized<M> {
    const NAME: &'static str = "standardized";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("standardization", &*self.standardization)?;
        to.put("model", &self.model)
    }
}

impl<M: Load> Load for Standardized<M> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let standardization: Standardization = from.take("standardization")?;
        Ok(standardization.around(from.take("model")?))
    }
}

impl<P: Save> Save for StandardizedPosterior<P> {
    const NAME: &'static str = "standardized_posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("standardization", &*self.standardization)?;
        to.put("posterior", &self.posterior)
    }
}

impl<P: Load> Load for StandardizedPosterior<P> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let standardization: Standardization = from.take("standardization")?;
        Ok(Self { standardization: Arc::new(standardization), posterior: from.take("posterior")? })
    }
}
