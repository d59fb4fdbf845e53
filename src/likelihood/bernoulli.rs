//! The Bernoulli likelihood.

use std::f64::consts::PI;

use rand::Rng;

use super::average::{Turn, average};
use super::bend::Bend;
use super::draws;
use super::expectation::{Terms, short_rule};
use super::in_lanes::{log_logistic, log_normal_cdf};
use super::jet;
use super::log_mean_exp::log_mean_exp;
use super::one_latent::{OneLatent, quadrature_setting};
use super::quadrature::GaussHermite;
use super::solve::Support;
use super::special::{Logistic, Normal, logistic, normal_cdf};
use super::tails::Tails;
use crate::parameterized;
use crate::simd::Lanes;
use crate::simd::map::{Map, map};

/// Observations 0 and 1, the probability of 1 a function of f.
///
/// # Definition
///
/// With s = 1 for y = 1 and s = −1 for y = 0,
///
/// - [`logit`](Self::logit): p(y | f) = 1 / (1 + exp(−s f));
/// - [`probit`](Self::probit): p(y | f) = Φ(s f), Φ the distribution function of N(0, 1).
///
/// A new observation has, with the probit link, the probability Φ(s μ / √(1 + v)), in closed form. All else is by
/// quadrature that follows the variance: expectations within 1e-9 · (1 + |E|), probabilities within 1e-9 of themselves.
///
/// Log densities and their derivatives keep all digits in both tails: of the probit link they come
/// from the continued fraction of Mills' ratio below −5.
///
/// # Hyperparameters
///
/// None.
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Bernoulli, Likelihood};
///
/// // Φ(1 / √(1 + 3)) = Φ(½)
/// let predicted = Bernoulli::probit().predict(&[1.0], &[3.0])?;
/// assert!((predicted.mean[0] - 0.6914624612740131).abs() < 1e-15);
///
/// // Far on the wrong side, log(1/(1 + e¹⁰⁰⁰)) = −1000.
/// assert_eq!(Bernoulli::logit().log_density(&[0.0], &[1e3])?, [-1e3]);
///
/// let error = Bernoulli::logit().log_density(&[0.0, -1.0], &[0.1, 0.2]).unwrap_err();
/// assert_eq!(error.to_string(), "y[1] is -1, but a Bernoulli likelihood takes 0 and 1");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, sections 3.1 and 3.9.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "classification", alias = "probit")]
pub struct Bernoulli {
    pub(super) link: Link,
    pub(super) quadrature: Option<GaussHermite>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Link {
    Logit,
    Probit,
}

parameterized!(Bernoulli as "bernoulli", parameters: []);

impl Bernoulli {
    /// The logit link: f is the log odds of 1.
    pub fn logit() -> Self {
        Self { link: Link::Logit, quadrature: None }
    }

    /// The probit link: 1 is observed where f and noise of variance 1 are positive together.
    pub fn probit() -> Self {
        Self { link: Link::Probit, quadrature: None }
    }

    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order in all that has no closed form, at all variances, as other libraries do."
    );
}

/// log Φ(s f) and its derivative in f.
#[derive(Clone, Copy)]
struct LogNormal;

impl Map<f64, 2, 2, 0> for LogNormal {
    #[inline(always)]
    fn map<L: Lanes<f64>>(self, [y, f]: [L; 2]) -> ([L; 2], [L; 0]) {
        let sign = y * 2.0 - 1.0;
        let [value, hazard] = log_normal_cdf(sign * f);
        ([value, sign * hazard], [])
    }
}

/// log 1/(1 + exp(−s f)) and its derivative in f.
#[derive(Clone, Copy)]
struct LogLogistic;

impl Map<f64, 2, 2, 0> for LogLogistic {
    #[inline(always)]
    fn map<L: Lanes<f64>>(self, [y, f]: [L; 2]) -> ([L; 2], [L; 0]) {
        let sign = y * 2.0 - 1.0;
        let [value, wrong] = log_logistic(sign * f);
        ([value, sign * wrong], [])
    }
}

impl OneLatent for Bernoulli {
    type Gradient = [f64; 0];

    fn expected(&self) -> String {
        "a Bernoulli likelihood takes 0 and 1".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        y == 0.0 || y == 1.0
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 0]> {
        let sign = 2.0 * y - 1.0;
        move |f| match self.link {
            Link::Logit => {
                let Logistic { right, wrong, ln_right } = Logistic::new(sign * f);
                Terms { value: ln_right, slope: sign * wrong, curvature: -right * wrong, gradient: [] }
            }
            Link::Probit => {
                let normal = Normal::new(sign * f);
                let curvature = -normal.hazard * normal.excess;
                Terms { value: normal.ln_cdf, slope: sign * normal.hazard, curvature, gradient: [] }
            }
        }
    }

    const IN_LANES: bool = true;

    fn at_points(&self, y: &[f64], f: &[f64], value: &mut [f64], slope: &mut [f64]) {
        match self.link {
            Link::Logit => map(LogLogistic, [y, f], [value, slope]),
            Link::Probit => map(LogNormal, [y, f], [value, slope]),
        };
    }

    fn bend(&self, _row: usize, _y: f64) -> Bend {
        match self.link {
            // 1 + exp(−f) is 0 at iπ.
            Link::Logit => Bend::new(0.0, PI),
            Link::Probit => Bend::PROBIT,
        }
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        let rule = self.fixed_rule().or_else(|| short_rule(self.bend(0, 0.0), variance));
        let probability = |mean: f64| match (self.link, rule) {
            (Link::Logit, Some(rule)) => rule.expectation(mean, variance, logistic),
            (Link::Logit, None) => log_mean_exp(jet::log_logistic, &[(0.0, PI)], mean, variance).exp(),
            (Link::Probit, _) => normal_cdf(mean / (1.0 + variance).sqrt()),
        };
        let p = probability(mean);
        (p, p * probability(-mean))
    }

    fn log_predictive(&self, row: usize, y: f64, mean: f64, variance: f64) -> f64 {
        let terms = self.terms(row, y);
        match (self.link, &self.quadrature) {
            (Link::Logit, Some(rule)) => rule.log_mean_exp(mean, variance, |f| terms(f).value),
            (Link::Logit, None) => log_mean_exp(|f| terms(f).jet(), &[(0.0, PI)], mean, variance),
            (Link::Probit, _) => Normal::new((2.0 * y - 1.0) * mean / (1.0 + variance).sqrt()).ln_cdf,
        }
    }

    fn support(&self) -> Support {
        Support::Whole { first: 0.0, last: 1.0 }
    }

    fn tails(&self, _row: usize, _y: f64) -> impl Fn(f64) -> Tails {
        // Below 1 there is 0 alone.
        move |f| match self.link {
            Link::Logit => Tails { below: logistic(-f), above: logistic(f) },
            Link::Probit => Tails::normal(-f),
        }
    }

    fn turn(&self, _row: usize, _y: f64) -> Turn {
        let width = if self.link == Link::Logit { Turn::LOGISTIC } else { 1.0 };
        Turn { at: 0.0, width }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        if f > 0.0 { 1.0 } else { 0.0 }
    }

    fn predictive_tails(&self, row: usize, y: f64, mean: f64, variance: f64) -> Tails {
        match self.link {
            Link::Logit => average(self.tails(row, y), self.turn(row, y), mean, variance),
            Link::Probit => Tails::normal(-mean / (1.0 + variance.max(0.0)).sqrt()),
        }
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        let happens = draws::happens(if self.link == Link::Logit { logistic(f) } else { normal_cdf(f) }, rng);
        if happens { 1.0 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::assert_refused;
    use super::*;
    use crate::likelihood::Likelihood;
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        for likelihood in [Bernoulli::logit(), Bernoulli::probit()] {
            let likelihood = likelihood.with_quadrature(100).unwrap();
            Oracle::of(&likelihood).at(&[1.0, 0.0, 1.0], &[0.4, 1.3, -2.0], &[0.3, 1.2, 0.01]).check().unwrap();
            Oracle::of(&likelihood).sums_to_one(&[0.0, 1.0]).unwrap();
        }
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        for likelihood in [Bernoulli::logit(), Bernoulli::probit()] {
            for mean in [-3.0, -0.5, 0.0, 1.0, 4.0] {
                Oracle::of(&likelihood).within(1e-9).at(&[1.0], &[mean], &[1.0]).check_values().unwrap();
                Oracle::of(&likelihood).within(1e-3).at(&[1.0], &[mean], &[10.0]).check_values().unwrap();
            }
        }
    }

    #[test]
    fn tails_keep_their_digits() {
        for size in [1e3, 1e5] {
            let logit = Bernoulli::logit().variational_expectations(&[1.0, 1.0], &[-size, size], &[0.0; 2]).unwrap();
            assert!((logit.values[0] / -size - 1.0).abs() < 1e-15 && logit.values[1] == 0.0);
            assert!((logit.d_mean[0] - 1.0).abs() < 1e-15 && logit.d_mean[1] == 0.0);
            let probit = Bernoulli::probit().variational_expectations(&[0.0, 0.0], &[size, -size], &[0.0; 2]).unwrap();
            // log Φ(−x) = −x²/2 − log(x√2π) − 1/x² + …; its slope x + 1/x − …, its curvature −1 + 1/x² − …
            let value = -0.5 * size * size - (size * (2.0 * std::f64::consts::PI).sqrt()).ln() - 1.0 / (size * size);
            assert!((probit.values[0] / value - 1.0).abs() < 1e-15);
            assert!((probit.d_mean[0] / -(size + 1.0 / size) - 1.0).abs() < 1e-11);
            assert!((probit.d_variance[0] + 0.5 - 0.5 / (size * size)).abs() < 1e-11);
            assert_eq!((probit.values[1], probit.d_mean[1]), (0.0, 0.0));
        }
    }

    #[test]
    fn what_is_refused() {
        for bad in [-1.0, 0.5, 2.0, f64::NAN] {
            assert_refused(&Bernoulli::logit(), &[0.0, 1.0], bad);
        }
        assert!(Bernoulli::probit().with_quadrature(0).is_err());
    }
}
