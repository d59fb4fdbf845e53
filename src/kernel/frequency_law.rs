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
    /// Each coordinate by itself with the density (ω₀³/πQ)/((z² − ω₀²)² + ω₀²z²/Q²): the spectrum of the damped
    /// oscillator in one dimension, and of Π_d k(r_d) in more.
    Oscillator {
        /// ω₀; positive.
        frequency: f64,
        /// Q; positive.
        quality: f64,
    },
}

impl FrequencyLaw {
    /// Whether directions are alike in any dimension, so that k is a function of the Euclidean distance.
    pub(crate) fn is_isotropic(self) -> bool {
        !matches!(self, Self::Signs | Self::Oscillator { .. })
    }

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
            Self::Oscillator { frequency, quality } => {
                let oscillator = Oscillator::new(quality)?;
                z.iter_mut().for_each(|z| *z = frequency * oscillator.draw(rng));
                return Ok(());
            }
        };
        z.iter_mut().for_each(|z| *z = scale * rng.sample::<f64, _>(StandardNormal));
        Ok(())
    }
}

/// The density in v = z/ω₀, which is 1/((v² − 1)² + 4a²v²) but for a constant, with a = 1/(2Q).
///
/// For a ≤ 1 it is 1/(((v − η)² + a²)((v + η)² + a²)), with η² = 1 − a²: 1/(1 + v²) times the sum of the Cauchy densities about
/// −η and η, of which one half is kept. For a > 1 it is 1/((v² + α²)(v² + β²)), with β = 1/α = a + √(a² − 1): a Cauchy
/// density of scale α times 1/(1 + v²/β²), of which more than one half is kept.
enum Oscillator {
    Under { centre: f64, scale: f64 },
    Over { scale: f64 },
}

impl Oscillator {
    fn new(quality: f64) -> Result<Self> {
        if !(quality > 0.0 && quality < f64::INFINITY) {
            return Err(Error::setting("the quality of a law of frequencies", quality, "must be positive and finite"));
        }
        let damping = 0.5 / quality;
        // |1 − a| = |Q − ½|/Q
        let root = ((quality - 0.5).abs() / quality).sqrt() * (1.0 + damping).sqrt();
        Ok(match quality < 0.5 {
            true => Self::Over { scale: 1.0 / (damping + root) },
            false => Self::Under { centre: root, scale: damping },
        })
    }

    fn draw(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        loop {
            // The ratio of normal numbers is Cauchy.
            let ratio = rng.sample::<f64, _>(StandardNormal) / rng.sample::<f64, _>(StandardNormal);
            let (v, most) = match *self {
                Self::Under { centre, scale } => {
                    let v = if rng.random::<bool>() { centre } else { -centre } + scale * ratio;
                    (v, v)
                }
                Self::Over { scale } => (scale * ratio, scale * scale * ratio),
            };
            if rng.random::<f64>() * (1.0 + most * most) < 1.0 {
                return v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;

    /// P(|v| ≤ at), by the trapezoidal rule in the angle whose tangent is v.
    fn below(at: f64, quality: f64) -> f64 {
        let steps = 200_000;
        let angle = at.atan() / f64::from(steps);
        let density = |step: f64| {
            let v = (angle * step).tan();
            (1.0 + v * v) / ((v * v - 1.0).powi(2) + (v / quality).powi(2))
        };
        let inner: f64 = (1..steps).map(|step| density(f64::from(step))).sum();
        2.0 * angle * (inner + 0.5 * (density(0.0) + density(f64::from(steps)))) / (std::f64::consts::PI * quality)
    }

    #[test]
    fn oscillators_have_their_density() {
        let mut rng = Pcg64::seed_from_u64(17);
        let count = 40_000;
        for quality in [0.05, 0.4, 0.5, 0.7, 3.0, 40.0] {
            let law = FrequencyLaw::Oscillator { frequency: 2.5, quality };
            let (mut z, mut drawn, mut positive) = ([0.0], Vec::new(), 0);
            for _ in 0..count {
                law.draw(&mut z, &mut rng).unwrap();
                drawn.push(z[0].abs() / 2.5);
                positive += usize::from(z[0] > 0.0);
            }
            // 4 standard deviations of a share.
            let close = |share: f64, expected: f64| (share - expected).abs() < 2.0 / f64::from(count).sqrt();
            assert!(close(positive as f64 / f64::from(count), 0.5), "{quality}: {positive}");
            for at in [0.03, 0.1, 0.5, 0.9, 1.0, 1.05, 1.5, 4.0] {
                let share = drawn.iter().filter(|&&v| v <= at).count() as f64 / f64::from(count);
                let expected = below(at, quality);
                assert!(close(share, expected), "Q = {quality}, up to {at}: {share}, expected {expected}");
            }
        }
    }

    #[test]
    fn what_is_no_quality_is_refused() {
        for quality in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let law = FrequencyLaw::Oscillator { frequency: 1.0, quality };
            let error = law.draw(&mut [0.0], &mut Pcg64::seed_from_u64(1)).unwrap_err();
            assert!(error.to_string().contains("the quality of a law of frequencies"), "{error}");
        }
    }
}
