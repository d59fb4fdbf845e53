//! Draws of variables, at all sizes of their parameters.

use rand::{Rng, RngExt};
use rand_distr::{Exp1, Gamma, Poisson, StandardNormal};

pub(super) fn normal(rng: &mut dyn Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// Of the rate 1.
pub(super) fn exponential(rng: &mut dyn Rng) -> f64 {
    rng.sample(Exp1)
}

/// Whether something of this probability happens.
pub(super) fn happens(p: f64, rng: &mut dyn Rng) -> bool {
    rng.random::<f64>() < p
}

/// Of the standard gamma distribution, the logarithm, which does not underflow for small shapes: a variable of shape a is
/// one of shape a + 1 times U^(1/a), U uniform.
pub(super) fn ln_gamma(shape: f64, rng: &mut dyn Rng) -> f64 {
    let of_shape = |shape: f64, rng: &mut dyn Rng| {
        // Refused only for what is no shape.
        Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| rng.sample(gamma)).ln()
    };
    if shape >= 1.0 { of_shape(shape, rng) } else { of_shape(shape + 1.0, rng) - exponential(rng) / shape }
}

/// A count of this rate.
pub(super) fn count(rate: f64, rng: &mut dyn Rng) -> f64 {
    if rate == 0.0 {
        return 0.0;
    }
    match Poisson::new(rate) {
        Ok(poisson) => rng.sample(poisson),
        // Of rates that large counts are normal to all digits.
        Err(_) if rate > Poisson::<f64>::MAX_LAMBDA => (rate + rate.sqrt() * normal(rng)).round(),
        Err(_) => f64::NAN,
    }
}

/// The number of the largest, each with noise of the standard Gumbel distribution: by the softmax of the numbers.
pub(super) fn softmax(f: &[f64], rng: &mut dyn Rng) -> usize {
    largest(f.iter().map(|f| f - exponential(rng).ln()))
}

/// The number of the largest; of equal ones, the first.
pub(super) fn largest(values: impl Iterator<Item = f64>) -> usize {
    let better = |(best, most): (usize, f64), (index, value): (usize, f64)| {
        if index == 0 || value > most { (index, value) } else { (best, most) }
    };
    values.enumerate().fold((0, f64::NEG_INFINITY), better).0
}
