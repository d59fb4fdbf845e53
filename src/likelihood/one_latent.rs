//! Likelihoods of one latent value, from what one observation has to say.

use std::fmt::Debug;

use rand::Rng;

use super::average::{Turn, average};
use super::bend::Bend;
use super::expectation::{Expected, Terms, by_quadrature, expectation};
use super::log_mean_exp::log_mean_exp;
use super::quadrature::{GaussHermite, deviation};
use super::solve::{Support, quantile};
use super::special::log_sum_exp;
use super::tails::{Tails, normal_quantile};
use super::{
    Expectations, Likelihood, Predicted, check_draws, check_latent_values, check_len, check_probability, many_points,
};
use crate::params::{Parameterized, ParameterizedExt};
use crate::{Error, Result};

/// A likelihood of one latent value, by what one observation has to say.
///
/// From [`terms`](Self::terms), [`bend`](Self::bend) and [`supports`](Self::supports) expectations and densities
/// follow by quadrature; what has a closed form overrides its method. All arguments `row` count observations
/// of the call.
pub(super) trait OneLatent: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// A gradient: `[f64; P]` in the P parameters, unless [`scatter`](Self::scatter) says otherwise.
    type Gradient: Copy + Default + AsRef<[f64]> + AsMut<[f64]>;

    /// Whether log p(y | f) is concave in f: then a fixed rule goes about the mode for densities of new observations.
    const LOG_CONCAVE: bool = false;

    /// What is observed, as a clause: "a Bernoulli likelihood takes 0 and 1".
    fn expected(&self) -> String;

    /// Whether the likelihood gives this observation a density.
    fn supports(&self, y: f64) -> bool;

    /// A fixed rule for what has no closed form, where one was asked for.
    fn fixed_rule(&self) -> Option<&GaussHermite> {
        None
    }

    /// log p(y | f) as a function of f. What does not depend on f is computed before.
    fn terms(&self, row: usize, y: f64) -> impl Fn(f64) -> Terms<Self::Gradient>;

    /// Whether [`at_points`](Self::at_points) is there. For likelihoods without parameters.
    const IN_LANES: bool = false;

    /// log p(y | f) and its derivative in f, for many pairs of both at once.
    fn at_points(&self, y: &[f64], f: &[f64], value: &mut [f64], slope: &mut [f64]) {
        let _ = (y, f, value, slope);
    }

    /// Where log p(y | f) bends. Of no use where closed forms take the place of quadrature.
    fn bend(&self, _row: usize, _y: f64) -> Bend {
        Bend::NONE
    }

    /// Adds a gradient of the observation y to that of all parameters.
    fn scatter(&self, _y: f64, gradient: &Self::Gradient, all: &mut [f64]) {
        all.iter_mut().zip(gradient.as_ref()).for_each(|(sum, entry)| *sum += entry);
    }

    /// Refuses a number of observations other than the one that this likelihood is for.
    fn check_count(&self, _count: usize) -> Result<()> {
        Ok(())
    }

    /// Refuses to predict so many new observations.
    fn check_new(&self, _count: usize) -> Result<()> {
        Ok(())
    }

    /// Refuses to give a mean and a variance where there is none.
    fn check_moments(&self) -> Result<()> {
        Ok(())
    }

    /// See [`Likelihood::rows`].
    fn select(&self, _rows: &[usize]) -> Result<Option<Self>> {
        Ok(None)
    }

    fn expectation(&self, row: usize, y: f64, mean: f64, variance: f64) -> Expected<Self::Gradient> {
        match self.fixed_rule() {
            Some(rule) => by_quadrature(rule, self.terms(row, y), mean, variance),
            None => expectation(self.terms(row, y), self.bend(row, y), mean, variance),
        }
    }

    /// Mean and variance of a new observation.
    fn predict_one(&self, row: usize, mean: f64, variance: f64) -> (f64, f64);

    fn log_predictive(&self, row: usize, y: f64, mean: f64, variance: f64) -> f64 {
        let terms = self.terms(row, y);
        match self.fixed_rule().filter(|_| Self::LOG_CONCAVE) {
            Some(rule) => log_mean_exp_about_mode(rule, terms, mean, variance),
            None => log_mean_exp(|f| terms(f).jet(), &self.bend(row, y).landmarks(), mean, variance),
        }
    }

    /// What may be observed.
    fn support(&self) -> Support;

    /// P(Y ≤ y | f) and P(Y > y | f) as functions of f, for a y that may be observed. What does not depend on f is computed
    /// before.
    fn tails(&self, row: usize, y: f64) -> impl Fn(f64) -> Tails;

    /// Where they turn.
    fn turn(&self, row: usize, y: f64) -> Turn;

    /// A likely observation given f.
    fn likely(&self, row: usize, f: f64) -> f64;

    /// One draw given f.
    fn draw_one(&self, row: usize, f: f64, rng: &mut dyn Rng) -> f64;

    /// Refuses to give a distribution function where there is none.
    fn check_cumulative(&self) -> Result<()> {
        Ok(())
    }

    /// Refuses to draw what cannot be drawn.
    fn check_drawn(&self) -> Result<()> {
        Ok(())
    }

    /// P(Y ≤ y) and P(Y > y) of a new observation, for a y that may be observed.
    fn predictive_tails(&self, row: usize, y: f64, mean: f64, variance: f64) -> Tails {
        average(self.tails(row, y), self.turn(row, y), mean, variance)
    }

    /// A quantile of a new observation, for a probability between 0 and 1.
    fn predictive_quantile(&self, row: usize, p: f64, mean: f64, variance: f64) -> f64 {
        let of_f = deviation(variance);
        let spread_at = |f: f64| of_f.hypot(self.turn(row, self.likely(row, f)).width);
        let f = mean + normal_quantile(p) * spread_at(mean);
        let (likely, spread) = (self.likely(row, f), spread_at(f));
        let spread = match self.support() {
            // The coordinate of counts is not their logarithm.
            Support::Whole { .. } => spread.min(1.0) * (1.0 + likely),
            _ => spread,
        };
        quantile(self.support(), p, likely, spread, |y| self.predictive_tails(row, y, mean, variance))
    }
}

/// log E exp l(f) for a concave l, by the rule about the mode of exp l(f) N(f; μ, v), at the scale that
/// the curvature there has: accurate where l is narrower than N(μ, v) too.
///
/// Liu & Pierce (1994), "A note on Gauss–Hermite quadrature", *Biometrika* 81(3), 624–629.
fn log_mean_exp_about_mode<G>(rule: &GaussHermite, terms: impl Fn(f64) -> Terms<G>, mean: f64, variance: f64) -> f64 {
    let deviation = deviation(variance);
    if deviation == 0.0 {
        return terms(mean).value;
    }
    // With f = μ + √v z the mode solves √v l′(f) = z. The left side falls in z: the solution is
    // between 0 and its value at 0.
    let at = |z: f64| terms(mean + deviation * z);
    let end = deviation * at(0.0).slope;
    let (mut lower, mut upper) = (end.clamp(-1e8, 0.0), end.clamp(0.0, 1e8));
    let (mut z, mut step) = (0.0, upper - lower);
    for _ in 0..200 {
        let terms = at(z);
        let slope = deviation * terms.slope - z;
        if slope > 0.0 {
            lower = z
        } else {
            upper = z
        }
        let newton = slope / (1.0 - variance * terms.curvature.min(0.0));
        // A step of Newton's method that is not far below the last one is not yet near the mode.
        let sound = z + newton > lower && z + newton < upper && 2.0 * f64::abs(newton) < step;
        let next = if sound { z + newton } else { 0.5 * (lower + upper) };
        step = f64::abs(next - z);
        z = next;
        // The rule need not be centred to more digits.
        if step <= 1e-8 * (1.0 + f64::abs(z)) {
            break;
        }
    }
    let scale = (1.0 - variance * at(z).curvature.min(0.0)).recip().sqrt();
    let exponents = rule.iter().map(|(node, weight)| {
        let moved = z + scale * node;
        // φ(moved) / φ(node), without the difference of large squares where scale is near 1.
        let ratio = -0.5 * (z * (moved + scale * node) + (scale * scale - 1.0) * node * node);
        weight.ln() + at(moved).value + ratio
    });
    scale.ln() + log_sum_exp(exponents)
}

fn check_support(likelihood: &impl OneLatent, y: &[f64]) -> Result<()> {
    likelihood.check_count(y.len())?;
    match y.iter().position(|&y| !likelihood.supports(y)) {
        Some(row) => Err(Error::Observation { row, value: y[row], expected: likelihood.expected() }),
        None => Ok(()),
    }
}

#[diagnostic::do_not_recommend]
impl<L: OneLatent> Likelihood for L {
    fn rows(&self, rows: &[usize]) -> Result<Option<Box<dyn Likelihood>>> {
        Ok(self.select(rows)?.map(|likelihood| Box::new(likelihood) as Box<dyn Likelihood>))
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        check_len(y.len(), &[("the latent values", f)])?;
        check_support(self, y)?;
        Ok(y.iter().zip(f).enumerate().map(|(row, (&y, &f))| self.terms(row, y)(f).value).collect())
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        check_len(y.len(), &[("the means", mean), ("the variances", variance)])?;
        check_support(self, y)?;
        if Self::IN_LANES {
            return Ok(many_points::expectations(self, y, mean, variance));
        }
        let mut all = Expectations::with_capacity(y.len(), y.len(), self.num_params());
        for (row, ((&y, &mean), &variance)) in y.iter().zip(mean).zip(variance).enumerate() {
            let expected = self.expectation(row, y, mean, variance);
            all.values.push(expected.value);
            all.d_mean.push(expected.d_mean);
            all.d_variance.push(expected.d_variance);
            self.scatter(y, &expected.gradient, &mut all.d_params);
        }
        Ok(all)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        check_len(mean.len(), &[("the variances", variance)])?;
        self.check_new(mean.len())?;
        self.check_moments()?;
        let rows = mean.iter().zip(variance).enumerate();
        let (mean, variance) = rows.map(|(row, (&mean, &variance))| self.predict_one(row, mean, variance)).unzip();
        Ok(Predicted { mean, variance })
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_len(y.len(), &[("the means", mean), ("the variances", variance)])?;
        self.check_new(y.len())?;
        check_support(self, y)?;
        let rows = y.iter().zip(mean).zip(variance).enumerate();
        Ok(rows.map(|(row, ((&y, &mean), &variance))| self.log_predictive(row, y, mean, variance)).collect())
    }

    fn cumulative(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_len(y.len(), &[("the means", mean), ("the variances", variance)])?;
        self.check_new(y.len())?;
        self.check_cumulative()?;
        let support = self.support();
        let rows = y.iter().zip(mean).zip(variance).enumerate();
        let tails =
            |(row, ((&y, &mean), &variance))| support.tails(y, |y| self.predictive_tails(row, y, mean, variance));
        Ok(rows.map(|of_row| tails(of_row).probability()).collect())
    }

    fn quantile(&self, probability: f64, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        check_probability(probability)?;
        check_len(mean.len(), &[("the variances", variance)])?;
        self.check_new(mean.len())?;
        self.check_cumulative()?;
        let rows = mean.iter().zip(variance).enumerate();
        Ok(rows.map(|(row, (&mean, &variance))| self.predictive_quantile(row, probability, mean, variance)).collect())
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        check_latent_values(f)?;
        self.check_new(f.len())?;
        self.check_drawn()?;
        let draws = f.iter().enumerate().map(|(row, &f)| self.draw_one(row, f, rng)).collect();
        check_draws(self.name(), f, draws)
    }
}

/// The method that sets the order of the quadrature, for a likelihood with a field `quadrature`.
macro_rules! quadrature_setting {
    ($what:literal) => {
        #[doc = $what]
        ///
        /// # Errors
        ///
        /// [`Error::Setting`](crate::Error::Setting) for the order 0.
        pub fn with_quadrature(mut self, order: usize) -> crate::Result<Self> {
            self.quadrature = crate::likelihood::GaussHermite::new(order)?.into();
            Ok(self)
        }
    };
}
pub(super) use quadrature_setting;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::likelihood::{Gamma, Likelihood, NegativeBinomial, Poisson};

    /// Of one node, about the mode, it is the approximation of Laplace; of many it is exact.
    #[test]
    fn a_rule_that_is_set_is_used() {
        fn check<L: Likelihood>(exact: &L, of_order: impl Fn(usize) -> L) {
            let density = |likelihood: &L| likelihood.log_predictive_density(&[3.0], &[0.5], &[0.8]).unwrap()[0];
            let miss = |order: usize| (density(&of_order(order)) - density(exact)).abs();
            assert!(miss(40) < 1e-8 && miss(1) > 1e-4 && miss(1) < 0.1, "{exact:?}: {} {}", miss(40), miss(1));
        }
        check(&Poisson::new(), |order| Poisson::new().with_quadrature(order).unwrap());
        check(&Gamma::new(2.0), |order| Gamma::new(2.0).with_quadrature(order).unwrap());
        check(&NegativeBinomial::new(0.5), |order| NegativeBinomial::new(0.5).with_quadrature(order).unwrap());
    }
}
