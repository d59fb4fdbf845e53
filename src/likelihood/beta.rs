//! The beta likelihood.

use std::f64::consts::{LN_2, PI};

use rand::Rng;

use super::average::Turn;
use super::bend::Bend;
use super::draws;
use super::expectation::{Terms, short_rule};
use super::incomplete::BetaTails;
use super::jet::{Jet, log_logistic};
use super::log_mean_exp::log_mean_exp;
use super::one_latent::{OneLatent, quadrature_setting};
use super::quadrature::GaussHermite;
use super::solve::Support;
use super::special::{digamma, ln_gamma_rest, logistic, softplus, trigamma};
use super::tails::Tails;

crate::declare! {
    /// Fractions strictly between 0 and 1, of mean 1 / (1 + exp(−f)).
    ///
    /// # Definition
    ///
    /// With concentration c, m = 1 / (1 + exp(−f)), a = c m and b = c (1 − m),
    ///
    /// p(y | f) = Γ(c) / (Γ(a) Γ(b)) · y^(a−1) (1 − y)^(b−1), of variance m (1 − m) / (1 + c).
    ///
    /// Expectations, and the mean, the variance and the density of a new observation, are by quadrature that follows the
    /// variance of f, to about 1e-9 of themselves or of 1 (log p is the difference of numbers c times as large).
    ///
    /// Where m or 1 − m underflows, Γ(a) = Γ(1 + a)/a with log a = log c + log m keeps all digits.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `concentration` | c | none | positive |
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Beta, Likelihood};
    ///
    /// // c = 4 and m = ½: 6 y (1 − y)
    /// let density = Beta::new(4.0).log_density(&[0.25], &[0.0])?[0];
    /// assert!((density - (6.0 * 0.25 * 0.75f64).ln()).abs() < 1e-14);
    /// // Given f, the variance is m (1 − m) / (1 + c).
    /// assert!((Beta::new(4.0).predict(&[0.0], &[0.0])?.variance[0] - 0.05).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Ferrari & Cribari-Neto (2004), "Beta regression for modelling rates and proportions", *Journal of Applied
    /// Statistics* 31(7), 799–815.
    pub Beta as "beta" {
        /// The concentration c.
        concentration: Scalar = Positive,
        state quadrature: Option<GaussHermite>,
    }
}

#[cfg(feature = "serde")]
crate::save::saved!(Beta as "beta": try_new(concentration), quadrature);

impl Beta {
    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order for expectations and predictions at all variances, as other libraries do."
    );
}

/// KL of the probabilities 1 / (1 + exp(−f)) and 1 / (1 + exp(−g)). It is the same of their complements: of those it takes
/// where the first is smaller, so that small and nearly equal ones keep their digits.
fn divergence(f: f64, g: f64) -> f64 {
    let (f, g) = if f > 0.0 { (-f, -g) } else { (f, g) };
    let (m, t) = (logistic(f), g - f);
    if t.abs() < 1.0 { (m * t.exp_m1()).ln_1p() - m * t } else { softplus(g) - softplus(f) - m * t }
}

impl OneLatent for Beta {
    type Gradient = [f64; 1];

    fn expected(&self) -> String {
        "a beta likelihood takes numbers strictly between 0 and 1".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        y > 0.0 && y < 1.0
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 1]> {
        let c = self.concentration();
        let (log_y, log_rest) = (y.ln(), (-y).ln_1p());
        let logit = log_y - log_rest;
        // Of Γ(c), from Γ(1 + c) as for a and b. The leading terms of the three make −c KL of the two means.
        let (of_c, psi) = (ln_gamma_rest(c) + c.ln() - log_y - log_rest, digamma(1.0 + c) - 1.0 / c);
        move |f| {
            let (m, rest) = (logistic(f), logistic(-f));
            let (a, b) = (c * m, c * rest);
            let (psi_a, psi_b) = (digamma(1.0 + a), digamma(1.0 + b));
            let logs = -softplus(-f) - softplus(f);
            let value = of_c + logs - ln_gamma_rest(a) - ln_gamma_rest(b) - c * divergence(f, logit);
            // a ψ(a) and b ψ(b), finite as a or b → 0; da/df = a (1 − m) = −db/df.
            let (a_psi, b_psi) = (a * psi_a - 1.0, b * psi_b - 1.0);
            let slope = c * m * rest * logit - rest * a_psi + m * b_psi;
            let (d_a_psi, d_b_psi) = (psi_a + a * trigamma(1.0 + a), psi_b + b * trigamma(1.0 + b));
            let curvature = m * rest * (c * (rest - m) * logit + a_psi + b_psi - c * (rest * d_a_psi + m * d_b_psi));
            let in_c = psi + 2.0 / c - m * psi_a - rest * psi_b + m * log_y + rest * log_rest;
            Terms { value, slope, curvature, gradient: [in_c] }
        }
    }

    fn bend(&self, _row: usize, _y: f64) -> Bend {
        // 1 + exp(−f) is 0 at iπ, and m = −k/c, a pole of Γ(1 + c m), at −log(1 + c/k) + iπ.
        let c = self.concentration();
        Bend { span: c.ln_1p(), size: 1.0 + c, ..Bend::new(0.0, PI) }
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        let c = self.concentration();
        if let Some(rule) = self.fixed_rule().or_else(|| short_rule(Bend::new(0.0, PI), variance)) {
            let center = rule.expectation(mean, variance, logistic);
            let spread = |f: f64| logistic(f) * logistic(-f) / (1.0 + c) + (logistic(f) - center).powi(2);
            return (center, rule.expectation(mean, variance, spread));
        }
        let expected = |of: &dyn Fn(f64) -> Jet| log_mean_exp(of, &[(0.0, PI)], mean, variance).exp();
        let (m, rest) = (log_logistic, |f: f64| log_logistic(-f).mirrored());
        let center = expected(&m);
        // m and 1 − m have one variance: the difference of squares keeps its digits for the smaller of the two.
        let (smaller, square) = if mean > 0.0 {
            (expected(&rest), expected(&|f| rest(f).times(2.0)))
        } else {
            (center, expected(&|f| m(f).times(2.0)))
        };
        let given = expected(&|f| m(f) + rest(f)) / (1.0 + c);
        (center, given + square - smaller * smaller)
    }

    fn support(&self) -> Support {
        Support::Fraction
    }

    fn tails(&self, _row: usize, y: f64) -> impl Fn(f64) -> Tails {
        let c = self.concentration();
        move |f| BetaTails::new(c * logistic(f), c * logistic(-f)).at(y, 1.0 - y)
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        // The mean of which y is the median: about y, but for a = c m below 1, where the median is about 2^(−1/a).
        let (c, smaller) = (self.concentration(), y.min(1.0 - y));
        let mean = smaller.max(LN_2 / (-c * smaller.ln())).min(0.5);
        let at = mean.ln() - (-mean).ln_1p();
        let width = ((1.0 + c) * mean * (1.0 - mean)).sqrt().recip().min(Turn::LOGISTIC);
        Turn { at: if y < 0.5 { at } else { -at }, width }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        logistic(f)
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        let c = self.concentration();
        let of_mean = |m: f64, rng: &mut dyn Rng| draws::ln_gamma(c * m, rng);
        let logit = of_mean(logistic(f), rng) - of_mean(logistic(-f), rng);
        // What rounds to 0 or 1 is the nearest number that has a density.
        logistic(logit).clamp(f64::MIN_POSITIVE, 1.0f64.next_down())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::likelihood::Likelihood;
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        for concentration in [0.7, 4.0, 30.0] {
            let likelihood = Beta::new(concentration).with_quadrature(200).unwrap();
            Oracle::of(&likelihood).at(&[0.3, 0.01, 0.8], &[0.4, -1.3, 2.0], &[0.3, 1.2, 0.8]).check().unwrap();
        }
        // In the log odds of y the integrands are smooth and fall off on both sides.
        let y = |i: i32| logistic(0.02 * f64::from(i));
        let weighted: Vec<(f64, f64)> = (-1700..1700).map(|i| (y(i), 0.02 * y(i) * y(-i))).collect();
        Oracle::of(&Beta::new(30.0)).within(1e-9).integrates_to_one(&weighted).unwrap();
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        for y in [0.02, 0.4, 0.9] {
            for mean in [-2.0, 0.0, 1.0] {
                for concentration in [1.0, 10.0, 50.0] {
                    Oracle::of(&Beta::new(concentration))
                        .within(1e-7)
                        .at(&[y], &[mean], &[1.0])
                        .check_values()
                        .unwrap();
                    Oracle::of(&Beta::new(concentration))
                        .within(1e-9)
                        .at(&[y], &[mean], &[4.0])
                        .check_predictive()
                        .unwrap();
                }
            }
        }
    }

    /// About its mean a fraction of a high concentration is normal, with the variance m (1 − m) / c.
    #[test]
    fn high_concentrations_keep_their_digits() {
        for c in [1e8, 1e12, 1e15] {
            for y in [1e-3, 0.3, 0.999f64] {
                let f = (y / (1.0 - y)).ln();
                let skewness = 1.0 / (c * y * (1.0 - y));
                let found = Beta::new(c).log_density(&[y], &[f]).unwrap()[0];
                close("density", found, 0.5 * (c / (2.0 * PI * y * (1.0 - y))).ln(), 1e-12 + skewness);
            }
        }
        for (f, g) in [(0.3, 0.3 + 1e-7), (-30.0, -29.5), (30.0, 33.0), (-30.0, -33.0), (2.0, -7.0)] {
            let (m, n) = (logistic(f), logistic(g));
            let (rest, other) = (logistic(-f), logistic(-g));
            let expected = m * (m / n).ln() + rest * (rest / other).ln();
            // Beside what this form of it loses.
            assert!((divergence(f, g) - expected).abs() <= 1e-14 * (f - g).abs().max(1.0), "{f} {g}");
        }
    }

    /// As m → 0, p(y | f) → c m (1 − y)^(c−1) / y.
    #[test]
    fn tails_and_support() {
        let likelihood = Beta::new(4.0);
        let at = likelihood.variational_expectations(&[0.3], &[-1e3], &[0.0]).unwrap();
        assert!((at.values[0] - (4f64.ln() - 1e3 + 3.0 * 0.7f64.ln() - 0.3f64.ln())).abs() < 1e-12);
        assert!((at.d_mean[0] - 1.0).abs() < 1e-14);
        for bad in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert_refused(&likelihood, &[0.5], bad);
        }
        assert!(Beta::try_new(-1.0).is_err());
    }
}
