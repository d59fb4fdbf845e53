//! Prior densities of parameters.

use std::f64::consts::{LN_2, PI};
use std::fmt;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma, StandardNormal};

use super::horseshoe::log_and_decline;
use crate::{Error, Result};

/// A probability density of a parameter, in natural units.
///
/// # Definition
///
/// | prior | p(x) | on |
/// |---|---|---|
/// | [`log_normal`](Self::log_normal) | exp(−½ ((log x − m)/d)²) / (√(2π) d x) | x > 0 |
/// | [`gamma`](Self::gamma) | rᵏ xᵏ⁻¹ exp(−r x) / Γ(k) | x ≥ 0 |
/// | [`normal`](Self::normal) | exp(−½ ((x − m)/d)²) / (√(2π) d) | all x |
/// | [`uniform`](Self::uniform) | 1 / (b − a) | a ≤ x ≤ b |
/// | [`horseshoe`](Self::horseshoe) | exp(u) E₁(u) / (√(2π³) s), with u = x²/(2s²) | all x |
/// | [`half_horseshoe`](Self::half_horseshoe) | twice the above | x ≥ 0 |
///
/// The horseshoe is a normal of standard deviation s λ whose λ is half-Cauchy. It has a pole at 0, where
/// the log density is +∞, and tails like those of 1/x². E₁ is the exponential integral.
///
/// # Examples
///
/// ```
/// use mercer::params::Prior;
///
/// let prior = Prior::log_normal(0.0, 1.0)?;
/// assert!((prior.log_density(1.0) + 0.5 * (2.0 * std::f64::consts::PI).ln()).abs() < 1e-15);
/// assert_eq!(prior.gradient(1.0), -1.0);
/// assert_eq!(prior.log_density(-1.0), f64::NEG_INFINITY);
/// assert_eq!(prior.to_string(), "log_normal(mean=0, deviation=1)");
///
/// use rand::SeedableRng;
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// assert!(prior.sample(&mut rng) > 0.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Carvalho, Polson & Scott (2010), "The horseshoe estimator for sparse signals", Biometrika 97(2),
/// theorem 1, [doi:10.1093/biomet/asq017](https://doi.org/10.1093/biomet/asq017).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    /// The logarithm is normal.
    #[non_exhaustive]
    LogNormal {
        /// The mean m of the logarithm: exp(m) is the median, exp(m − d²) the mode.
        mean: f64,
        /// The standard deviation d of the logarithm.
        deviation: f64,
    },
    /// The gamma distribution, of mean k/r.
    #[non_exhaustive]
    Gamma {
        /// The shape k.
        shape: f64,
        /// The rate r, in units of 1/x.
        rate: f64,
    },
    /// The normal distribution.
    #[non_exhaustive]
    Normal {
        /// The mean m.
        mean: f64,
        /// The standard deviation d.
        deviation: f64,
    },
    /// Any value between two bounds alike.
    #[non_exhaustive]
    Uniform {
        /// The lower bound a, included.
        lower: f64,
        /// The upper bound b, included.
        upper: f64,
    },
    /// Most values near 0, few very far from it, of both signs.
    #[non_exhaustive]
    Horseshoe {
        /// The scale s.
        scale: f64,
    },
    /// Most values near 0, few very far from it, none negative.
    #[non_exhaustive]
    HalfHorseshoe {
        /// The scale s.
        scale: f64,
    },
}

fn finite(name: &str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::setting(name, value, "must be finite")) }
}

fn positive(name: &str, value: f64) -> Result<f64> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Error::setting(name, value, "must be positive and finite"))
}

impl Prior {
    /// A log-normal prior, from the mean and the standard deviation of the logarithm.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the mean is not finite, or the deviation not positive and finite.
    pub fn log_normal(mean: f64, deviation: f64) -> Result<Self> {
        Ok(Self::LogNormal {
            mean: finite("the mean of a log-normal prior", mean)?,
            deviation: positive("the deviation of a log-normal prior", deviation)?,
        })
    }

    /// A gamma prior, from its shape and its rate (not its scale, which is 1/rate).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if one is not positive and finite.
    pub fn gamma(shape: f64, rate: f64) -> Result<Self> {
        Ok(Self::Gamma {
            shape: positive("the shape of a gamma prior", shape)?,
            rate: positive("the rate of a gamma prior", rate)?,
        })
    }

    /// A normal prior, from its mean and its standard deviation.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the mean is not finite, or the deviation not positive and finite.
    pub fn normal(mean: f64, deviation: f64) -> Result<Self> {
        Ok(Self::Normal {
            mean: finite("the mean of a normal prior", mean)?,
            deviation: positive("the deviation of a normal prior", deviation)?,
        })
    }

    /// A uniform prior between two bounds.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the bounds are not finite, not in order, or further apart than the
    /// largest number.
    pub fn uniform(lower: f64, upper: f64) -> Result<Self> {
        finite("the lower bound of a uniform prior", lower)?;
        finite("the upper bound of a uniform prior", upper)?;
        positive("the distance from the lower to the upper bound of a uniform prior", upper - lower)?;
        Ok(Self::Uniform { lower, upper })
    }

    /// A horseshoe prior of a scale, over all numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the scale is not positive and finite.
    pub fn horseshoe(scale: f64) -> Result<Self> {
        Ok(Self::Horseshoe { scale: positive("the scale of a horseshoe prior", scale)? })
    }

    /// A horseshoe prior of a scale, over the numbers that are not negative.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the scale is not positive and finite.
    pub fn half_horseshoe(scale: f64) -> Result<Self> {
        Ok(Self::HalfHorseshoe { scale: positive("the scale of a half-horseshoe prior", scale)? })
    }

    /// Whether the density is defined here and not 0 by definition.
    fn covers(self, x: f64) -> bool {
        match self {
            Self::Normal { .. } | Self::Horseshoe { .. } => x.is_finite(),
            Self::LogNormal { .. } => x > 0.0 && x.is_finite(),
            Self::Gamma { .. } | Self::HalfHorseshoe { .. } => x >= 0.0 && x.is_finite(),
            Self::Uniform { lower, upper } => lower <= x && x <= upper,
        }
    }

    /// log p(x): −∞ where the density is 0, +∞ at a pole, NaN for NaN.
    pub fn log_density(&self, x: f64) -> f64 {
        if x.is_nan() || !self.covers(x) {
            return if x.is_nan() { x } else { f64::NEG_INFINITY };
        }
        match *self {
            Self::LogNormal { mean, deviation } => normal(x.ln(), mean, deviation) - x.ln(),
            Self::Gamma { shape, rate } => {
                let log = rate.ln() + x.ln();
                let power = if shape == 1.0 { 0.0 } else { (shape - 1.0) * log };
                rate.ln() + power - rate * x - libm::lgamma(shape)
            }
            Self::Normal { mean, deviation } => normal(x, mean, deviation),
            Self::Uniform { lower, upper } => -(upper - lower).ln(),
            Self::Horseshoe { scale } => horseshoe(x, scale),
            Self::HalfHorseshoe { scale } => LN_2 + horseshoe(x, scale),
        }
    }

    /// The derivative of [`log_density`](Self::log_density) in x: 0 where that is infinite, NaN for
    /// NaN.
    pub fn gradient(&self, x: f64) -> f64 {
        let log_density = self.log_density(x);
        if !log_density.is_finite() {
            return if log_density.is_nan() { log_density } else { 0.0 };
        }
        match *self {
            Self::LogNormal { mean, deviation } => -(1.0 + (x.ln() - mean) / deviation / deviation) / x,
            Self::Gamma { shape, rate } => (if shape == 1.0 { 0.0 } else { (shape - 1.0) / x }) - rate,
            Self::Normal { mean, deviation } => (mean - x) / deviation / deviation,
            Self::Uniform { .. } => 0.0,
            Self::Horseshoe { scale } | Self::HalfHorseshoe { scale } => {
                -2.0 * log_and_decline(x / scale, x.abs().ln() - scale.ln()).1 / x
            }
        }
    }

    /// A draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        let mut standard = || -> f64 { StandardNormal.sample(rng) };
        match *self {
            Self::LogNormal { mean, deviation } => (mean + deviation * standard()).exp(),
            Self::Normal { mean, deviation } => mean + deviation * standard(),
            // A quotient of two normals is Cauchy.
            Self::Horseshoe { scale } => scale * standard() * (standard() / standard()).abs(),
            Self::HalfHorseshoe { scale } => scale * (standard() * standard() / standard()).abs(),
            // The constructor has refused every shape that this does.
            Self::Gamma { shape, rate } => Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(rng) / rate),
            Self::Uniform { lower, upper } => {
                let fraction: f64 = rng.random();
                (lower + (upper - lower) * fraction).min(upper)
            }
        }
    }
}

fn normal(x: f64, mean: f64, deviation: f64) -> f64 {
    let z = (x - mean) / deviation;
    -0.5 * z * z - deviation.ln() - 0.5 * (2.0 * PI).ln()
}

fn horseshoe(x: f64, scale: f64) -> f64 {
    let normalisation = 0.5 * (2.0 * PI.powi(3)).ln() + scale.ln();
    log_and_decline(x / scale, x.abs().ln() - scale.ln()).0 - normalisation
}

impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogNormal { mean, deviation } => write!(f, "log_normal(mean={mean}, deviation={deviation})"),
            Self::Gamma { shape, rate } => write!(f, "gamma(shape={shape}, rate={rate})"),
            Self::Normal { mean, deviation } => write!(f, "normal(mean={mean}, deviation={deviation})"),
            Self::Uniform { lower, upper } => write!(f, "uniform(lower={lower}, upper={upper})"),
            Self::Horseshoe { scale } => write!(f, "horseshoe(scale={scale})"),
            Self::HalfHorseshoe { scale } => write!(f, "half_horseshoe(scale={scale})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    fn all() -> Vec<Prior> {
        vec![
            Prior::log_normal(0.4, 0.7).unwrap(),
            Prior::gamma(0.6, 2.0).unwrap(),
            Prior::gamma(1.0, 2.0).unwrap(),
            Prior::gamma(7.5, 0.3).unwrap(),
            Prior::normal(-1.0, 0.4).unwrap(),
            Prior::uniform(-2.0, 3.0).unwrap(),
            Prior::horseshoe(0.5).unwrap(),
            Prior::half_horseshoe(2.0).unwrap(),
        ]
    }

    /// The probability of the interval, by the trapezium rule in t = log |x|, which converges
    /// faster than any power of the step where the integrand and its derivatives vanish at the ends.
    fn probability(prior: Prior, below: f64) -> f64 {
        let step = 1e-3;
        let mut sum = 0.0;
        for index in -80_000..80_000 {
            let size = (step * f64::from(index)).exp();
            for x in [-size, size] {
                if x <= below {
                    sum += step * size * prior.log_density(x).exp();
                }
            }
        }
        sum
    }

    #[test]
    fn densities_integrate_to_one() {
        for prior in all() {
            // Where a density jumps, the rule is off by half a step's worth.
            let tolerance = if matches!(prior, Prior::Uniform { .. }) { 1e-3 } else { 1e-11 };
            assert!((probability(prior, f64::INFINITY) - 1.0).abs() < tolerance, "{prior}");
        }
    }

    #[test]
    fn gradients_are_those_of_the_log_density() {
        for prior in all() {
            for x in [-1.9, -0.3, 1e-3, 0.2, 1.0, 2.7, 40.0] {
                let step = 1e-5 * f64::abs(x);
                let (above, below) = (prior.log_density(x + step), prior.log_density(x - step));
                if !above.is_finite() {
                    assert_eq!(prior.gradient(x), 0.0);
                    continue;
                }
                let difference = (above - below) / (2.0 * step);
                let scale = 1.0 + prior.gradient(x).abs() + above.abs() / f64::abs(x);
                assert!((prior.gradient(x) - difference).abs() < 1e-9 * scale, "{prior} at {x}");
            }
        }
    }

    /// Fractions of draws below some points against the integral of the density.
    #[test]
    fn draws_follow_the_density() {
        const DRAWS: usize = 40_000;
        for prior in all() {
            let mut rng = Pcg64::seed_from_u64(7);
            let draws: Vec<f64> = (0..DRAWS).map(|_| prior.sample(&mut rng)).collect();
            for point in [-3.0, -1.2, -0.5, 0.02, 0.3, 1.0, 2.0, 25.0] {
                let expected = probability(prior, point);
                let found = draws.iter().filter(|draw| **draw <= point).count() as f64 / DRAWS as f64;
                let deviation = (expected * (1.0 - expected) / DRAWS as f64).max(0.0).sqrt();
                // The integral ends within a step of the point.
                assert!((found - expected).abs() < 4.0 * deviation + 2e-3, "{prior} below {point}: {found} {expected}");
            }
        }
    }

    #[test]
    fn tails_are_finite() {
        for prior in all() {
            for x in [1e-300, 1e-150, 1e-20, 1e20, 1e100] {
                let inside = !matches!(prior, Prior::Uniform { .. }) || x < 3.0;
                assert_eq!(prior.log_density(x).is_finite(), inside, "{prior} at {x}");
                assert!(prior.gradient(x).is_finite(), "{prior} at {x}");
            }
            assert!(prior.log_density(f64::NAN).is_nan() && prior.gradient(f64::NAN).is_nan());
            for x in [f64::INFINITY, f64::NEG_INFINITY] {
                assert_eq!((prior.log_density(x), prior.gradient(x)), (f64::NEG_INFINITY, 0.0), "{prior}");
            }
        }
        let horseshoe = Prior::horseshoe(1e-300).unwrap();
        assert!(horseshoe.log_density(1e300).is_finite());
    }

    #[test]
    fn at_zero() {
        let at_zero = |prior: Result<Prior>| {
            let prior = prior.unwrap();
            (prior.log_density(0.0), prior.gradient(0.0))
        };
        assert_eq!(at_zero(Prior::horseshoe(1.0)), (f64::INFINITY, 0.0));
        assert_eq!(at_zero(Prior::half_horseshoe(1.0)), (f64::INFINITY, 0.0));
        assert_eq!(at_zero(Prior::log_normal(0.0, 1.0)), (f64::NEG_INFINITY, 0.0));
        assert_eq!(at_zero(Prior::gamma(2.0, 3.0)), (f64::NEG_INFINITY, 0.0));
        assert_eq!(at_zero(Prior::gamma(1.0, 3.0)), (3f64.ln(), -3.0));
        assert_eq!(at_zero(Prior::gamma(0.5, 3.0)), (f64::INFINITY, 0.0));
    }

    #[test]
    fn bad_settings_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            for prior in [
                Prior::log_normal(0.0, bad),
                Prior::gamma(bad, 1.0),
                Prior::gamma(1.0, bad),
                Prior::normal(0.0, bad),
                Prior::uniform(0.0, bad),
                Prior::horseshoe(bad),
                Prior::half_horseshoe(bad),
            ] {
                assert!(matches!(prior, Err(Error::Setting { .. })), "{prior:?}");
            }
        }
        assert!(Prior::normal(f64::NAN, 1.0).is_err() && Prior::log_normal(f64::INFINITY, 1.0).is_err());
        assert!(Prior::uniform(-1e308, 1e308).is_err());
        let error = Prior::gamma(-1.0, 1.0).unwrap_err();
        assert_eq!(error.to_string(), "the shape of a gamma prior is -1, but must be positive and finite");
    }
}
