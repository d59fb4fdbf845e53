//! Laws of random frequencies.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma, StandardNormal};

use crate::{Error, Result};

/// The law of a random vector z of angular frequencies in D dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FrequencyLaw {
    /// N(0, I): the spectrum of exp(−r²/2).
    Normal,
    /// Student's t with so many degrees of freedom, one for all coordinates together: the spectrum of the Matérn kernel of
    /// lengthscale 1 and ν of half the degrees, in any dimension. Coordinates are uncorrelated, but not
    /// independent.
    StudentT {
        /// 2ν; positive.
        degrees: f64,
    },
    /// N(0, τI) with τ from the gamma distribution of this shape and the mean 1: the spectrum of the rational
    /// quadratic kernel (1 + r²/2α)^−α.
    GammaNormal {
        /// α; positive.
        shape: f64,
    },
    /// Each coordinate 1 or −1 with probability ½: the spectrum of Π_d cos r_d.
    Signs,
}

impl FrequencyLaw {
    /// Draws z.
    pub(crate) fn draw(self, z: &mut [f64], rng: &mut (impl Rng + ?Sized)) -> Result<()> {
        // The mean of χ²/degrees is 1 too: a gamma variable of half the degrees.
        let mut precision = |shape: f64| -> Result<f64> {
            let refused = |_| Error::setting("the shape of a law of frequencies", shape, "must be positive and finite");
            // A tiny shape may underflow to 0.
            Ok(Gamma::new(shape, 1.0 / shape).map_err(refused)?.sample(rng).max(f64::MIN_POSITIVE))
        };
        let scale = match self {
            Self::Normal => 1.0,
            Self::StudentT { degrees } => precision(0.5 * degrees)?.sqrt().recip(),
            Self::GammaNormal { shape } => precision(shape)?.sqrt(),
            Self::Signs => {
                z.iter_mut().for_each(|z| *z = if rng.random::<bool>() { 1.0 } else { -1.0 });
                return Ok(());
            }
        };
        z.iter_mut().for_each(|z| *z = scale * rng.sample::<f64, _>(StandardNormal));
        Ok(())
    }
}
