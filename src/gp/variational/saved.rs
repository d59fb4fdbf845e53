//! Variational distributions in files.

use faer::Mat;

use super::{Covariance, Variational, deviations};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::save::{Load, Numbers, Reader, Save, Writer};
use crate::{Error, Result};

/// The factor of a full covariance by columns of its lower half, that of a low-rank one as a matrix.
impl Save for Variational {
    const NAME: &'static str = "variational";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("mean", self.mean())?;
        match &self.covariance {
            Covariance::Full { factor } => to.put("factor", factor.values())?,
            Covariance::Diagonal { deviation } => to.put("deviation", deviation.values())?,
            Covariance::LowRank { deviation, factor } => {
                to.put("deviation", deviation.values())?;
                to.put("columns", &factor.as_matrix())?;
            }
        }
        to.put("whitened", &self.whitened)
    }
}

impl Load for Variational {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let Numbers(mean) = from.take("mean")?;
        let factor: Option<Numbers> = from.take_optional("factor")?;
        let deviation: Option<Numbers> = from.take_optional("deviation")?;
        let columns: Option<Mat<f64>> = from.take_optional("columns")?;
        let m = mean.len();
        let covariance = match (factor, deviation, columns) {
            (Some(Numbers(packed)), None, None) => {
                // As many as the mean says could be beyond all numbers.
                let expected = (m as u128) * (m as u128 + 1) / 2;
                if packed.len() as u128 != expected {
                    let expected = format!("{expected} value(s), those of a lower half");
                    return Err(Error::shape("the variational factor", expected, (packed.len(), 1)));
                }
                let factor = ParameterArray::new("factor", packed, Shape::Triangle(m), Constraint::Real)?;
                Covariance::Full { factor }
            }
            (None, Some(Numbers(deviation)), None) => Covariance::Diagonal { deviation: deviations(&deviation, m)? },
            (None, Some(Numbers(deviation)), Some(columns)) => {
                super::check_factor(columns.as_ref(), m, columns.ncols())?;
                let deviation = deviations(&deviation, m)?;
                let factor = ParameterArray::of_matrix("factor", columns.as_ref(), Constraint::Real)?;
                Covariance::LowRank { deviation, factor }
            }
            _ => return Err(from.error("has no covariance that is known")),
        };
        let whitened = from.take("whitened")?;
        Ok(Self { whitened, ..Self::with_covariance(&mean, covariance)? })
    }
}
