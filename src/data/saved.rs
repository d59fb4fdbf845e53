//! Standardisers and bases in files.

use faer::Mat;

use super::{Basis, Standardizer};
use crate::Result;
use crate::save::{Load, Numbers, Reader, Save, Writer};

impl Save for Standardizer {
    const NAME: &'static str = "standardizer";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("mean", self.mean())?;
        to.put("scale", self.scale())
    }
}

impl Load for Standardizer {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (Numbers(mean), Numbers(scale)) = (from.take("mean")?, from.take("scale")?);
        Self::new(mean, scale)
    }
}

impl Save for Basis {
    const NAME: &'static str = "basis";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("components", &self.components())?;
        to.put("standardizer", self.standardizer())?;
        to.put("normalised", &self.is_normalised())?;
        to.put("fitted", &self.fitted())?;
        to.put_optional("truncation", self.truncation())
    }
}

impl Load for Basis {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let components: Mat<f64> = from.take("components")?;
        let basis = Self::new(components)?.with_standardizer(from.take("standardizer")?)?;
        let basis = basis.with_normalisation(from.take("normalised")?).with_fitted(from.take("fitted")?);
        match from.take_optional("truncation")? {
            Some(Numbers(truncation)) => basis.with_truncation(truncation),
            None => Ok(basis),
        }
    }
}
