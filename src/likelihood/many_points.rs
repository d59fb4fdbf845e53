//! E log p(y | f) of many observations, whose points are taken together.

use super::Expectations;
use super::expectation::{Rule, SMALL, rule};
use super::one_latent::OneLatent;
use crate::simd::Lanes;
use crate::simd::map::{Map, map};

/// So many points are worth their passes, and stay in the first-level cache.
const TOGETHER: usize = 512;

/// The points of some observations.
#[derive(Default)]
struct Points {
    y: Vec<f64>,
    f: Vec<f64>,
    /// In deviations from the mean.
    z: Vec<f64>,
    weight: Vec<f64>,
    value: Vec<f64>,
    slope: Vec<f64>,
    of: Vec<Of>,
}

/// The points of one observation.
struct Of {
    row: usize,
    from: usize,
    deviation: f64,
    /// Whether weights lack the density, and their sum is not 1.
    even: bool,
}

/// The expectations of all observations, for a likelihood without parameters that is there [in lanes](OneLatent::IN_LANES).
pub(super) fn expectations<L: OneLatent>(likelihood: &L, y: &[f64], mean: &[f64], variance: &[f64]) -> Expectations {
    let zeros = || vec![0.0; y.len()];
    let mut all = Expectations { values: zeros(), d_mean: zeros(), d_variance: zeros(), d_params: Vec::new() };
    let mut points = Points::default();
    for (row, ((&y, &mean), &variance)) in y.iter().zip(mean).zip(variance).enumerate() {
        // Where there is next to no variance, its derivative is made of second derivatives.
        if !(variance >= SMALL && variance.is_finite() && mean.is_finite()) {
            let expected = likelihood.expectation(row, y, mean, variance);
            (all.values[row], all.d_mean[row], all.d_variance[row]) =
                (expected.value, expected.d_mean, expected.d_variance);
            continue;
        }
        let rule = match likelihood.fixed_rule() {
            Some(fixed) => Rule::Hermite(fixed),
            None => rule(likelihood.bend(row, y), mean, variance),
        };
        points.add(row, y, mean, variance.sqrt(), rule);
        if points.f.len() >= TOGETHER {
            points.finish(likelihood, &mut all);
        }
    }
    points.finish(likelihood, &mut all);
    all
}

impl Points {
    fn add(&mut self, row: usize, y: f64, mean: f64, deviation: f64, rule: Rule<'_>) {
        let from = self.f.len();
        let even = match rule {
            Rule::Hermite(rule) => {
                self.z.extend_from_slice(rule.nodes());
                self.weight.extend_from_slice(rule.weights());
                false
            }
            Rule::Trapezoid(rule) => {
                for (z, weight) in rule.points() {
                    self.z.push(z);
                    self.weight.push(weight);
                }
                true
            }
        };
        self.f.extend(self.z[from..].iter().map(|z| mean + deviation * z));
        self.y.resize(self.f.len(), y);
        self.of.push(Of { row, from, deviation, even });
    }

    /// Sums over what there is, and forgets it.
    fn finish<L: OneLatent>(&mut self, likelihood: &L, all: &mut Expectations) {
        let Self { y, f, z, weight, value, slope, of } = self;
        value.resize(f.len(), 0.0);
        slope.resize(f.len(), 0.0);
        if of.iter().any(|of| of.even) {
            // The room of the values, which come after.
            map(Density, [&z[..]], [&mut value[..]]);
            for (index, of_one) in of.iter().enumerate().filter(|(_, of)| of.even) {
                let to = of.get(index + 1).map_or(f.len(), |next| next.from);
                let densities = &value[of_one.from..to];
                weight[of_one.from..to].iter_mut().zip(densities).for_each(|(weight, density)| *weight *= density);
            }
        }
        likelihood.at_points(y, f, value, slope);
        let mut to = f.len();
        for of in of.drain(..).rev() {
            let range = of.from..to;
            to = of.from;
            let parts = [&weight[range.clone()], &z[range.clone()], &value[range.clone()], &slope[range]];
            let [total, of_value, of_slope, of_product] = sums(parts);
            let total = if of.even { total } else { 1.0 };
            all.values[of.row] = of_value / total;
            all.d_mean[of.row] = of_slope / total;
            all.d_variance[of.row] = of_product / (2.0 * of.deviation * total);
        }
        for part in [y, f, z, weight, value, slope] {
            part.clear();
        }
    }
}

/// exp(−z²/2)
#[derive(Clone, Copy)]
struct Density;

impl Map<f64, 1, 1, 0> for Density {
    #[inline(always)]
    fn map<L: Lanes<f64>>(self, [z]: [L; 1]) -> ([L; 1], [L; 0]) {
        ([(z * z).decay(0.5)], [])
    }
}

/// The sums of weights, and of weights times values, slopes, and slopes times z.
fn sums([weight, z, value, slope]: [&[f64]; 4]) -> [f64; 4] {
    const WIDTH: usize = 4;
    let terms = |weight: f64, z: f64, value: f64, slope: f64| {
        let slope = weight * slope;
        [weight, weight * value, slope, slope * z]
    };
    // In columns, so that no sum waits for the one before.
    let mut partial = [[0.0; WIDTH]; 4];
    let parts = [weight, z, value, slope].map(|part| part.as_chunks::<WIDTH>());
    for index in 0..parts[0].0.len() {
        let [weight, z, value, slope] = parts.map(|(chunks, _)| chunks[index]);
        for lane in 0..WIDTH {
            let terms = terms(weight[lane], z[lane], value[lane], slope[lane]);
            for (partial, term) in partial.iter_mut().zip(terms) {
                partial[lane] += term;
            }
        }
    }
    for lane in 0..parts[0].1.len() {
        let [weight, z, value, slope] = parts.map(|(_, rest)| rest[lane]);
        for (partial, term) in partial.iter_mut().zip(terms(weight, z, value, slope)) {
            partial[lane] += term;
        }
    }
    partial.map(|[a, b, c, d]| (a + c) + (b + d))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::close;
    use super::*;
    use crate::likelihood::{Bernoulli, Likelihood};

    /// More observations than are taken together, of all kinds of rules, against one by one.
    #[test]
    fn the_same_as_one_by_one() {
        let count = 300;
        let y: Vec<f64> = (0..count).map(|row| f64::from(row % 2)).collect();
        let mean: Vec<f64> = (0..count).map(|row| (f64::from(row) * 0.37).sin() * 4.0).collect();
        let size = |row: i32| [0.0, 1e-12, 1e-6, 0.05, 0.2, 0.5, 1.0, 3.0, 40.0, 1e4][row as usize % 10];
        let variance: Vec<f64> = (0..count).map(|row| size(row) * (1.0 + f64::from(row) * 1e-3)).collect();
        for likelihood in [Bernoulli::logit(), Bernoulli::probit(), Bernoulli::probit().with_quadrature(20).unwrap()] {
            let found = likelihood.variational_expectations(&y, &mean, &variance).unwrap();
            for row in 0..y.len() {
                let expected = likelihood.expectation(row, y[row], mean[row], variance[row]);
                close("value", found.values[row], expected.value, 1e-13);
                close("in the mean", found.d_mean[row], expected.d_mean, 1e-13);
                // A sum whose terms cancel but for a part of the size of the deviation.
                let tolerance = 1e-13 + 4e-15 / variance[row].sqrt().max(SMALL.sqrt());
                close("in the variance", found.d_variance[row], expected.d_variance, tolerance);
            }
            assert!(found.d_params.is_empty());
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let likelihood = Bernoulli::probit();
        let found =
            likelihood.variational_expectations(&[1.0; 3], &[f64::NAN, 0.3, 0.3], &[1.0, f64::NAN, 1.0]).unwrap();
        assert!(found.values[0].is_nan() && found.values[1].is_nan() && found.values[2].is_finite());
    }
}
