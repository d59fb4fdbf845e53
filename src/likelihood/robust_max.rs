//! The robust-max likelihood.

use rand::{Rng, RngExt};

use super::draws;
use super::latents::{check_class_count, check_classes, check_latents, observations, of_row, without_order};
use super::quadrature::{GaussHermite, deviation};
use super::special::{normal_cdf, normal_density};
use super::{Expectations, Likelihood, Predicted, check_latent_values};
use crate::params::{Constraint, Parameter};
use crate::{Result, parameterized};

/// Classes 0, 1, …, C − 1: the one of the largest of C latent functions, but for a small probability of error.
///
/// # Definition
///
/// With the probability of error ε,
///
/// p(y | f) = 1 − ε if f_y is the largest (of equal ones the first counts), else ε / (C − 1)
///
/// With f_c ~ N(μ_c, v_c) independent, everything follows from the probability that class c is the largest,
///
/// P_c = E Π_{j≠c} Φ((f_c − μ_j)/√v_j) over f_c ~ N(μ_c, v_c),
///
/// by Gauss–Hermite quadrature of order 20 in one variable: within 1e-4 where all v are equal, and less accurate the
/// smaller some v_j are beside v_c, down to 0.2 for v_j = 0. Predictions divide the P_c by their sum.
///
/// Slices of latent values have the N values of class 0 first. A prediction is of the indicators of the
/// classes: N·C means, the probabilities p_c, all of class 0 first, and variances p_c (1 − p_c). Variances count
/// as 1e-8 times the largest at least, so that derivatives are finite.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `error` | ε | none | between 0 and 1 |
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Likelihood, RobustMax};
///
/// let likelihood = RobustMax::new(3, 0.1);
/// let density = likelihood.log_density(&[0.0, 1.0], &[2.0, 2.0, 1.0, 1.0, 0.0, 0.0])?;
/// assert!((density[0] - 0.9f64.ln()).abs() < 1e-15 && (density[1] - 0.05f64.ln()).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Hernández-Lobato, Hernández-Lobato & Dupont (2011), "Robust multi-class Gaussian process classification",
/// *Advances in Neural Information Processing Systems* 24.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustMax {
    pub(super) classes: usize,
    pub(super) error: Parameter,
    pub(super) quadrature: GaussHermite,
}

parameterized!(RobustMax as "robust_max", parameters: [error]);

impl RobustMax {
    /// So many classes, each with its latent function, and a probability of error.
    ///
    /// # Panics
    ///
    /// For fewer than two classes, or an error that is not between 0 and 1; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(classes: usize, error: f64) -> Self {
        crate::error::literal(Self::try_new(classes, error))
    }

    /// So many classes, each with its latent function, and a probability of error.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for fewer than two classes;
    /// [`Error::Parameter`](crate::Error::Parameter) for an error that is not between 0 and 1.
    pub fn try_new(classes: usize, error: f64) -> Result<Self> {
        check_class_count(classes)?;
        let error = Parameter::new("error", error, Constraint::Interval { lower: 0.0, upper: 1.0 })?;
        Ok(Self { classes, error, quadrature: GaussHermite::default() })
    }

    super::one_latent::quadrature_setting!("Takes Gauss–Hermite quadrature of another order than 20.");

    /// The probability of error ε.
    pub fn error(&self) -> f64 {
        self.error.value()
    }

    /// The probability of one other class given an error.
    fn each_other(&self) -> f64 {
        1.0 / (self.classes - 1) as f64
    }

    /// p_c of each class at one observation.
    fn probabilities(&self, mean: &[f64], variance: &[f64]) -> Vec<f64> {
        let largest = |class| Largest::new(&self.quadrature, class, mean, variance).probability;
        let largest: Vec<f64> = (0..self.classes).map(largest).collect();
        let sum: f64 = largest.iter().sum();
        let error = self.error();
        largest.iter().map(|p| p / sum).map(|p| (1.0 - error) * p + error * self.each_other() * (1.0 - p)).collect()
    }
}

/// P of one class, and its derivatives in all means and variances.
struct Largest {
    probability: f64,
    d_mean: Vec<f64>,
    d_variance: Vec<f64>,
}

impl Largest {
    fn new(rule: &GaussHermite, class: usize, mean: &[f64], variance: &[f64]) -> Self {
        let floor = 1e-8 * variance.iter().fold(1e-192, |largest: f64, &v| largest.max(v));
        let deviations: Vec<f64> =
            variance.iter().map(|&v| if v < floor { floor.sqrt() } else { deviation(v) }).collect();
        let mut all = Self { probability: 0.0, d_mean: vec![0.0; mean.len()], d_variance: vec![0.0; mean.len()] };
        // Φ of each other class and the product of those of all others but it.
        let mut below = vec![1.0; mean.len()];
        let mut rest = vec![1.0; mean.len()];
        for (z, weight) in rule.iter() {
            let f = mean[class] + deviations[class] * z;
            let standard = |c: usize| (f - mean[c]) / deviations[c];
            for c in (0..mean.len()).filter(|&c| c != class) {
                below[c] = normal_cdf(standard(c));
            }
            let mut before = 1.0;
            for c in 0..mean.len() {
                rest[c] = before;
                before *= below[c];
            }
            let mut after = 1.0;
            for c in (0..mean.len()).rev() {
                rest[c] *= after;
                after *= below[c];
            }
            all.probability += weight * rest[class];
            for c in (0..mean.len()).filter(|&c| c != class) {
                let slope = weight * rest[c] * normal_density(standard(c)) / deviations[c];
                all.d_mean[c] -= slope;
                all.d_variance[c] -= 0.5 * slope * standard(c) / deviations[c];
                all.d_mean[class] += slope;
                all.d_variance[class] += 0.5 * slope * z / deviations[class];
            }
        }
        all
    }
}

impl Likelihood for RobustMax {
    fn latents(&self) -> usize {
        self.classes
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        check_latents(y.len(), self.classes, &[("the latent values", f)])?;
        let classes = check_classes("robust-max", y, self.classes)?;
        let (right, wrong) = ((-self.error()).ln_1p(), (self.error() * self.each_other()).ln());
        let density = |(row, class): (usize, usize)| {
            let f = of_row(f, row, y.len());
            let largest = (1..f.len()).fold(0, |best, c| if f[c] > f[best] { c } else { best });
            if class == largest { right } else { wrong }
        };
        Ok(classes.into_iter().enumerate().map(density).collect())
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        check_latents(y.len(), self.classes, &[("the means", mean), ("the variances", variance)])?;
        let classes = check_classes("robust-max", y, self.classes)?;
        let (n, error) = (y.len(), self.error());
        let (right, wrong) = ((-error).ln_1p(), (error * self.each_other()).ln());
        let mut all = Expectations::with_capacity(n, mean.len(), 1);
        all.d_mean.resize(mean.len(), 0.0);
        all.d_variance.resize(mean.len(), 0.0);
        for (row, class) in classes.into_iter().enumerate() {
            let largest = Largest::new(&self.quadrature, class, &of_row(mean, row, n), &of_row(variance, row, n));
            let p = largest.probability;
            all.values.push(right * p + wrong * (1.0 - p));
            all.d_params[0] += (1.0 - p) / error - p / (1.0 - error);
            for c in 0..self.classes {
                all.d_mean[c * n + row] = (right - wrong) * largest.d_mean[c];
                all.d_variance[c * n + row] = (right - wrong) * largest.d_variance[c];
            }
        }
        Ok(all)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        let n = observations(self.classes, mean, variance)?;
        let mut probabilities = vec![0.0; mean.len()];
        for row in 0..n {
            let of_row = self.probabilities(&of_row(mean, row, n), &of_row(variance, row, n));
            for (c, p) in of_row.into_iter().enumerate() {
                probabilities[c * n + row] = p;
            }
        }
        Ok(Predicted::of_indicators(probabilities))
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_latents(y.len(), self.classes, &[("the means", mean), ("the variances", variance)])?;
        let classes = check_classes("robust-max", y, self.classes)?;
        let density = |(row, class): (usize, usize)| {
            self.probabilities(&of_row(mean, row, y.len()), &of_row(variance, row, y.len()))[class].ln()
        };
        Ok(classes.into_iter().enumerate().map(density).collect())
    }

    fn cumulative(&self, _y: &[f64], _mean: &[f64], _variance: &[f64]) -> Result<Vec<f64>> {
        Err(without_order("a robust-max"))
    }

    fn quantile(&self, _probability: f64, _mean: &[f64], _variance: &[f64]) -> Result<Vec<f64>> {
        Err(without_order("a robust-max"))
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        check_latent_values(f)?;
        let n = observations(self.classes, f, f)?;
        let class = |row: usize| {
            let largest = draws::largest(of_row(f, row, n).into_iter());
            if !draws::happens(self.error(), rng) {
                return largest as f64;
            }
            let other = rng.random_range(0..self.classes - 1);
            (if other < largest { other } else { other + 1 }) as f64
        };
        Ok((0..n).map(class).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::Error;
    use crate::testkit::likelihoods::Oracle;

    const Y: [f64; 2] = [2.0, 0.0];
    const MEAN: [f64; 6] = [0.4, 0.1, -0.3, 0.6, 1.0, -2.0];
    const VARIANCE: [f64; 6] = [0.3, 1.2, 0.2, 0.5, 0.6, 0.9];

    /// E log p by the trapezoid rule over all three latent values, from nothing but the log density. Its
    /// integrand jumps: the rule is off by the first power of the step.
    #[test]
    fn matches_brute_force() {
        let likelihood = RobustMax::new(3, 0.05);
        let found = likelihood.variational_expectations(&Y, &MEAN, &VARIANCE).unwrap();
        let predictive = likelihood.log_predictive_density(&Y, &MEAN, &VARIANCE).unwrap();
        let (steps, h) = (40, 0.125);
        let grid: Vec<f64> = (-steps..=steps).map(|i| h * f64::from(i)).collect();
        for row in 0..2 {
            let (mut value, mut marginal) = (0.0, 0.0);
            for a in &grid {
                for b in &grid {
                    // One call for all values of the third.
                    let at = |c: usize, z: f64| MEAN[2 * c + row] + VARIANCE[2 * c + row].sqrt() * z;
                    let mut f = vec![at(0, *a); grid.len()];
                    f.extend(vec![at(1, *b); grid.len()]);
                    f.extend(grid.iter().map(|&c| at(2, c)));
                    let density = likelihood.log_density(&vec![Y[row]; grid.len()], &f).unwrap();
                    for (l, c) in density.iter().zip(&grid) {
                        let weight = h.powi(3) * normal_density(*a) * normal_density(*b) * normal_density(*c);
                        value += weight * l;
                        marginal += weight * l.exp();
                    }
                }
            }
            close("value", found.values[row], value, 3e-3);
            close("predictive", predictive[row], marginal.ln(), 3e-3);
        }
        Oracle::of(&likelihood).at(&Y, &MEAN, &VARIANCE).check_slopes().unwrap();
    }

    /// Of two classes P = Φ((μ₁ − μ₀)/√(v₀ + v₁)), and of equal ones 1/C.
    #[test]
    fn closed_forms() {
        let rule = GaussHermite::default();
        for (variance, tolerance) in [([0.7, 0.7], 1e-5), ([0.7, 0.2], 1e-3), ([0.2, 0.7], 1e-8)] {
            for mean in [0.0, 0.5, -2.0] {
                let found = Largest::new(&rule, 1, &[0.3, 0.3 + mean], &[variance[1], variance[0]]);
                let expected = normal_cdf(mean / (variance[0] + variance[1]).sqrt());
                close("two", found.probability, expected, tolerance);
            }
        }
        for classes in [3, 10] {
            let found = Largest::new(&rule, 1, &vec![0.4; classes], &vec![2.0; classes]);
            close("equal", found.probability, 1.0 / classes as f64, 1e-4);
        }
        // Jumps, where some are certain.
        let found = Largest::new(&rule, 0, &[0.0, 0.1], &[1.0, 0.0]);
        close("certain", found.probability, normal_cdf(-0.1), 0.2);
        assert!(Largest::new(&rule, 0, &[1.0, 0.5], &[0.0; 2]).probability > 1.0 - 1e-12);
    }

    #[test]
    fn probabilities_sum_to_one() {
        let predicted = RobustMax::new(3, 0.05).predict(&[0.4, -0.3, 1.0], &[0.3, 0.0, 2.0]).unwrap();
        close("sum", predicted.mean.iter().sum(), 1.0, 1e-14);
        let density =
            RobustMax::new(3, 0.05).log_predictive_density(&[2.0], &[0.4, -0.3, 1.0], &[0.3, 0.0, 2.0]).unwrap();
        close("density", density[0].exp(), predicted.mean[2], 1e-14);
    }

    #[test]
    fn tails_and_what_is_refused() {
        let likelihood = RobustMax::new(3, 0.1);
        let at = likelihood.variational_expectations(&[1.0], &[1e3, 0.0, -1e3], &[1.0; 3]).unwrap();
        close("value", at.values[0], 0.05f64.ln(), 1e-14);
        assert!(at.d_mean.iter().chain(&at.d_variance).all(|entry| *entry == 0.0));
        for bad in [-1.0, 0.5, 3.0, f64::NAN] {
            assert_refused(&likelihood, &[0.0, 2.0], bad);
        }
        assert!(matches!(RobustMax::try_new(1, 0.1), Err(Error::Setting { .. })));
        assert!(matches!(RobustMax::try_new(3, 1.0), Err(Error::Parameter { .. })));
        assert!(matches!(likelihood.predict(&[0.0; 4], &[0.0; 4]), Err(Error::Shape { .. })));
    }
}
