//! Bases of the mean in files.

use faer::Mat;

use super::MeanBasis;
use crate::Result;
use crate::save::{Load, Reader, Save, Writer};

impl Save for MeanBasis {
    const NAME: &'static str = "mean_basis";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("inputs", &self.inputs())?;
        to.put("weights", &self.weights())?;
        to.put("orthogonal", &self.orthogonal)
    }
}

impl Load for MeanBasis {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (inputs, weights): (Mat<f64>, Mat<f64>) = (from.take("inputs")?, from.take("weights")?);
        let orthogonal = from.take("orthogonal")?;
        Self { orthogonal, ..Self::new(inputs.as_ref())? }.with_weights(weights.as_ref())
    }
}
